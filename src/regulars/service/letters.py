"""Tomorrow's letters: everybody is decided about, with caps and ledger, and what is said is written to a table."""

from __future__ import annotations

import csv
import datetime
from functools import partial
from pathlib import Path
from typing import Any

from regulars.errors import SettingError
from regulars.retail.decision import Reason
from regulars.service.engine import Engine
from regulars.service.naming import EMAIL, PHONE, USER
from regulars.service.shop import Ask, Shop
from regulars.terms import Action, Channel

CHUNK = 1_000
COLUMNS = ("decision", "user", "address", "action", "category", "saving", "last_day", "to_her", "reason")
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write(engine: Engine, shop: Shop, channel: str, day: str, hour: int, out: Path) -> dict[str, Any]:
    """Decide about everybody for a day and channel; returns how many messages went to how many customers.

    Raises
    ------
    SettingError
        when there is no such channel, or the day is neither today nor tomorrow.
    """
    if channel.upper() not in Channel.__members__:
        raise SettingError(
            f"there is no channel {channel!r}. Take {', '.join(c.name.lower() for c in Channel)}"
        )
    at_ms = _moment(shop, day, hour, engine.now())
    everybody = engine.call(shop, lambda work: work.everybody(shop.number)).result()
    count = 0
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for first in range(0, len(everybody), CHUNK):
            asks = [
                Ask(customer, Channel[channel.upper()], at_ms)
                for customer in everybody[first : first + CHUNK]
            ]
            answers = engine.decide(shop, asks).result()
            told = [(ask.customer, answer) for ask, answer in zip(asks, answers, strict=True)]
            said = [(customer, answer) for customer, answer in told if answer.stored.action != Action.SILENCE]
            spoken_to = [customer for customer, _ in said]
            names = engine.call(shop, partial(shop.known_as, customers=spoken_to)).result()
            for customer, answer in said:
                stored = answer.stored
                known = names.get(customer, {})
                category = shop.assortment.catalog.names[stored.category] if stored.category >= 0 else ""
                row = (
                    answer.id, known.get(USER, ""), known.get(EMAIL if channel == "email" else PHONE, ""),
                    Action(stored.action).name.lower(), category, round(stored.saving, 4),
                    shop.calendar.date(stored.last_day).isoformat(), stored.to_her, Reason(stored.reason).name.lower(),
                )  # fmt: skip
                table.writerow([_cell(value) for value in row])
                count += 1
    return {
        "messages": count,
        "customers": len(everybody),
        "channel": channel,
        "at_ms": at_ms,
        "out": str(out),
    }


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


def _moment(shop: Shop, day: str, hour: int, now_ms: int) -> int:
    today = shop.calendar.date(shop.calendar.day(now_ms))
    tomorrow = today + datetime.timedelta(days=1)
    mend = f"Take today or tomorrow: {today} or {tomorrow}"
    if day in ("today", "tomorrow"):
        date = today if day == "today" else tomorrow
    else:
        try:
            date = datetime.date.fromisoformat(day)
        except ValueError:
            raise SettingError(f"--for {day!r} is no day. {mend}") from None
    if date < today:
        raise SettingError(f"--for {date} is over. {mend}")
    if date > tomorrow:
        raise SettingError(f"--for {date} is too far ahead to know what she allows then. {mend}")
    return shop.calendar.moment(date, hour)
