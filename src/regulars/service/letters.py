"""Tomorrow's letters: everybody is decided about, with caps and ledger, and what is said is written to a table."""

from __future__ import annotations

import csv
import datetime
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from regulars.errors import SettingError
from regulars.retail.decision import Reason
from regulars.service.engine import Engine
from regulars.service.naming import EMAIL, PHONE, USER
from regulars.service.shop import Ask, Shop
from regulars.terms import Action, Channel

CHUNK = 1_000
HOUR_MS = 3_600_000
COLUMNS = (
    "decision", "user", "address", "action", "category", "saving", "last_day", "to_her", "reason", "products",
)  # fmt: skip
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write(engine: Engine, shop: Shop, channel: str, day: str, hour: int, out: Path) -> dict[str, Any]:
    """Decide about everybody for a day and channel; returns how many messages went to how many customers.

    Raises
    ------
    SettingError
        when there is no such channel, the day is neither today nor tomorrow, the hour is over, or ``out`` is there already.
    """
    if channel.upper() not in Channel.__members__:
        raise SettingError(
            f"there is no channel {channel!r}. Take {', '.join(c.name.lower() for c in Channel)}"
        )
    at_ms = _moment(shop, day, hour, engine.now())
    everybody = engine.call(shop, lambda work: work.everybody(shop.number)).result()
    count = 0
    with _new(out) as file, ThreadPoolExecutor(1) as pool:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for first in range(0, len(everybody), CHUNK):
            asks = [
                Ask(customer, Channel[channel.upper()], at_ms)
                for customer in everybody[first : first + CHUNK]
            ]
            # Whoever stops it stops waiting: what is being decided counts, so it is written first.
            count += pool.submit(_decide, engine, shop, asks, table, file).result()
    return {
        "messages": count,
        "customers": len(everybody),
        "channel": channel,
        "at_ms": at_ms,
        "out": str(out),
    }


def _new(out: Path) -> TextIO:
    try:
        return out.open("x", newline="", encoding="utf-8")
    except FileExistsError as error:
        raise SettingError(
            f"--out {out} is there already: what is in it was decided and counts. Give another --out"
        ) from error


def _decide(engine: Engine, shop: Shop, asks: list[Ask], table: Any, file: TextIO) -> int:
    """Decide about these and write down what is said; returns how many messages."""
    answers = engine.decide(shop, asks).result()
    told = [(ask.customer, answer) for ask, answer in zip(asks, answers, strict=True)]
    said = [(customer, answer) for customer, answer in told if answer.stored.action != Action.SILENCE]
    spoken_to = [customer for customer, _ in said]
    names = engine.call(shop, partial(shop.known_as, customers=spoken_to)).result()
    for customer, answer in said:
        stored = answer.stored
        known = names.get(customer, {})
        address = known.get(EMAIL if asks[0].channel == Channel.EMAIL else PHONE, "")
        category = shop.assortment.catalog.names[stored.category] if stored.category >= 0 else ""
        row = (
            answer.id, known.get(USER, ""), address, Action(stored.action).name.lower(), category,
            round(stored.saving, 4), shop.calendar.date(stored.last_day).isoformat(), stored.to_her,
            Reason(stored.reason).name.lower(), " ".join(answer.products),
        )  # fmt: skip
        table.writerow([_cell(value) for value in row])
    file.flush()
    return len(said)


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
    at_ms = shop.calendar.moment(date, hour)
    if at_ms + HOUR_MS <= now_ms:
        now = shop.calendar.hour(now_ms)
        later = f"--hour {now} or later, or " if now > hour else ""
        raise SettingError(
            f"--for {day} --hour {hour} is over: where the retailer is ({shop.calendar.zone}) it is past {now}:00. "
            f"Take {later}tomorrow"
        )
    return at_ms
