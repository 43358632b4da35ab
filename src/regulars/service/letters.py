"""Tomorrow's letters: everybody is decided about, with caps and ledger, and what is said is written to a table."""

from __future__ import annotations

import csv
import datetime
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from regulars.errors import SettingError
from regulars.retail.decision import Reason
from regulars.service.decided import Answer, Ask
from regulars.service.engine import Engine
from regulars.service.naming import EMAIL, PHONE, USER
from regulars.service.shop import Shop
from regulars.service.store import Transaction
from regulars.terms import Action, Channel

CHUNK = 1_000
HOUR_MS = 3_600_000
COLUMNS = (
    "decision", "user", "address", "action", "category", "saving", "last_day", "to_her", "reason", "products",
)  # fmt: skip
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write(
    engine: Engine, shop: Shop, channel: str, day: str, hour: int, out: Path, again: bool = False
) -> dict[str, Any]:
    """Decide about everybody for a day and channel, and write down what is said.

    Parameters
    ----------
    again : decide nothing; write what was decided for that moment and channel before, in runs that were broken off too

    Returns
    -------
    ``messages`` to how many ``customers``; ``silent`` by reason; how many messages were decided ``before`` and are not in
    this file; how many have ``no_address``; ``channel``, ``at_ms``, ``out``

    Raises
    ------
    SettingError
        when there is no such channel, the day is neither today nor tomorrow, the hour is over, or ``out`` is there already.
    """
    if channel.upper() not in Channel.__members__:
        raise SettingError(
            f"there is no channel {channel!r}. Take {', '.join(c.name.lower() for c in Channel)}"
        )
    by, at_ms = Channel[channel.upper()], _moment(shop, day, hour, engine.now())
    everybody = engine.call(shop, lambda work: work.everybody(shop.number)).result()
    count: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    with _new(out) as file, ThreadPoolExecutor(1) as pool:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for first in range(0, len(everybody), CHUNK):
            who = everybody[first : first + CHUNK]
            before = engine.call(
                shop, partial(_decided, shop, customers=who, channel=by, at_ms=at_ms)
            ).result()
            if again:
                count.update(_write(engine, shop, by, before, table, file))
                continue
            count["before"] += len(before)
            had = dict(before)
            asks = [Ask(customer, by, at_ms) for customer in who if customer not in had]
            if not asks:
                continue
            # Whoever stops it stops waiting: what is being decided counts, so it is written first.
            told, kept = pool.submit(_decide, engine, shop, asks, table, file).result()
            count.update(told)
            silent.update(kept)
    return {
        "messages": count["messages"], "customers": len(everybody), "silent": dict(silent.most_common()),
        "before": count["before"], "no_address": count["no_address"], "channel": channel, "at_ms": at_ms, "out": str(out),
    }  # fmt: skip


def _new(out: Path) -> TextIO:
    try:
        return out.open("x", newline="", encoding="utf-8")
    except FileExistsError as error:
        raise SettingError(
            f"--out {out} is there already: what is in it was decided and counts. Give another --out"
        ) from error


def _decided(
    shop: Shop, work: Transaction, *, customers: list[int], channel: Channel, at_ms: int
) -> list[tuple[int, Answer]]:
    """What was said to these for that moment and channel already."""
    found = []
    seats = shop.seat(work, customers)
    for row in work.decided_for(shop.number, customers, shop.calendar.day(at_ms)):
        if seats.at(row.customer) < 0:
            continue
        stored = shop.opened(seats, row)
        if stored.asked == channel and stored.at_ms == at_ms and stored.action != Action.SILENCE:
            found.append((row.customer, Answer(row.id, stored, products=shop.good_for(work, stored))))
    return found


def _decide(
    engine: Engine, shop: Shop, asks: list[Ask], table: Any, file: TextIO
) -> tuple[dict[str, int], Counter[str]]:
    """Decide about these and write down what is said; returns what :func:`_write` does, and who is not spoken to, by why."""
    answers = engine.decide(shop, asks).result()
    told = [(ask.customer, answer) for ask, answer in zip(asks, answers, strict=True)]
    silent = Counter(
        Reason(answer.stored.reason).name.lower()
        for _, answer in told
        if answer.stored.action == Action.SILENCE
    )
    said = [(customer, answer) for customer, answer in told if answer.stored.action != Action.SILENCE]
    channel = asks[0].channel
    assert channel is not None  # noqa: S101 - letters go by one
    return _write(engine, shop, channel, said, table, file), silent


def _write(
    engine: Engine, shop: Shop, channel: Channel, said: list[tuple[int, Answer]], table: Any, file: TextIO
) -> dict[str, int]:
    """Write down what is said to whom; returns how many messages, and how many of them have no address."""
    spoken_to = [customer for customer, _ in said]
    names = engine.call(shop, partial(shop.known_as, customers=spoken_to)).result()
    bare = 0
    for customer, answer in said:
        stored = answer.stored
        known = names.get(customer, {})
        address = known.get(EMAIL if channel == Channel.EMAIL else PHONE, "")
        bare += not address
        category = shop.assortment.catalog.names[stored.category] if stored.category >= 0 else ""
        row = (
            answer.id, known.get(USER, ""), address, Action(stored.action).name.lower(), category,
            round(stored.saving, 4), shop.calendar.date(stored.last_day).isoformat(), stored.to_her,
            Reason(stored.reason).name.lower(), " ".join(answer.products),
        )  # fmt: skip
        table.writerow([_cell(value) for value in row])
    file.flush()
    addressed = channel in (Channel.EMAIL, Channel.SMS)
    return {"messages": len(said), "no_address": bare if addressed else 0}


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
