"""What a customer bought, by her events: each order once, less what she brought back; and her record by it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from regulars.retail import record as records
from regulars.service.events import Did, Event, Line
from regulars.service.shop import WINDOW_DAYS, Seats, Shop
from regulars.service.store import Transaction
from regulars.terms import Scope

#: Columns of the record that are worked out from purchases alone.
FROM_PURCHASES = (
    "bought", "kept", "lately", "last_nth", "first_day", "last_day", "visits", "last_visit", "pace", "small", "spend_cents",
)  # fmt: skip


def told(work: Transaction, shop: Shop, seats: Seats, customer: int, *, but: int = 0) -> list[Event]:
    """Her events as they came, without the last of them, and after them those of whoever was merged into her."""
    own = told_under(work, shop, seats, customer)
    others = work.merged_from(shop.number, customer)
    return own[: len(own) - but] + [event for who in others for event in told_under(work, shop, seats, who)]


def told_under(work: Transaction, shop: Shop, seats: Seats, customer: int) -> list[Event]:
    """The events that are kept under one number, as they came."""
    return [msgspec.msgpack.decode(body, type=Event) for _, body in shop.events_of(work, seats, customer)]


def baskets(shop: Shop, told: Sequence[Event]) -> list[tuple[int, list[Line]]]:
    """Her baskets as (day, lines), without what she brought back."""
    back: dict[str, list[tuple[int, Counter[str] | None]]] = defaultdict(list)
    for event in told:
        if event.did == Did.REFUNDED:
            gone: Counter[str] = Counter()
            for line in event.lines:
                gone[_called(shop, line)[0]] += line.units
            back[event.order].append((shop.calendar.day(event.at_ms), gone if event.lines else None))
    found = []
    once_more = again(shop, told)
    places = [k for k, event in enumerate(told) if event.did == Did.PURCHASED and k not in once_more]
    # The earliest is taken back first, whoever told of it.
    for event in sorted((told[k] for k in places), key=lambda event: event.at_ms):
        day, lines = shop.calendar.day(event.at_ms), event.lines
        for since, less in back.get(event.order, ()) if event.order else ():
            if day - since > WINDOW_DAYS:
                continue  # the number was given to another order since
            lines = [] if less is None else [_less(shop, line, less) for line in lines]
            lines = [line for line in lines if line.units > 0]
        if lines:
            found.append((day, lines))
    return found


def again(shop: Shop, told: Sequence[Event]) -> set[int]:
    """Places of the purchases that tell of an order once more, within the window.

    A browser and a server may both tell of an order, each in its own message. The earliest counts, in whatever order they
    came; one that names nothing the catalog has does not stand in the way of another.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for k, event in enumerate(told):
        if event.live and event.order and event.did == Did.PURCHASED:
            alike[event.order].append(k)
    found: set[int] = set()
    for places in alike.values():
        if len(places) == 1:
            continue
        since: int | None = None
        for k in sorted(places, key=lambda k: (told[k].at_ms, msgspec.msgpack.encode(told[k].lines))):
            day = shop.calendar.day(told[k].at_ms)
            if not sells(shop, told[k]):
                continue
            if since is not None and day - since <= WINDOW_DAYS:
                found.add(k)
            else:
                since = day
    return found


def sells(shop: Shop, event: Event) -> bool:
    """Whether an event names anything that the catalog has."""
    return any(shop.category(line) >= 0 for line in event.lines)


def changed(shop: Shop, before: list[Event], more: Iterable[Event]) -> list[tuple[bool, bool]]:
    """Of each event that came after others: whether it sells what they did not, and whether it alters which of them count.

    Parameters
    ----------
    before : her events that are there already; those that come are added
    """
    counted = _counted(shop, before)
    found = []
    for event in more:
        before.append(event)
        now = _counted(shop, before)
        found.append((len(now) > len(counted), not counted <= now))
        counted = now
    return found


def _counted(shop: Shop, told: Sequence[Event]) -> set[int]:
    once_more = again(shop, told)
    return {k for k in range(len(told)) if k not in once_more}


def _called(shop: Shop, line: Line) -> tuple[str, ...]:
    """What a line can be called in a refund: first the name that the catalog has, else as it was told."""
    product = shop.product(line)
    known = (shop.assortment.sku[product],) if product >= 0 else ()
    return (*known, *line.names()) or (line.category,)


def _less(shop: Shop, line: Line, gone: Counter[str]) -> Line:
    """A line without the units that came back."""
    left = line.units
    for name in dict.fromkeys(_called(shop, line)):
        back = min(gone[name], left)
        gone[name] -= back
        left -= back
    share = left / line.units if line.units else 0.0
    return msgspec.structs.replace(
        line,
        units=left,
        paid_cents=round(line.paid_cents * share),
        coupon_cents=round(line.coupon_cents * share),
    )


def rebuild(work: Transaction, shop: Shop, seats: Seats, customers: Iterable[int]) -> None:
    """Work out what these customers' purchases say anew, day by day: something came late, or came back."""
    chosen = sorted(set(customers))
    by_day: dict[int, list[tuple[int, list[Line]]]] = defaultdict(list)
    for k, customer in enumerate(chosen):
        for day, lines in baskets(shop, told(work, shop, seats, customer)):
            by_day[day].append((k, lines))
    rows = np.array([seats.place[customer] for customer in chosen])
    fresh = records.new(np.array(chosen, np.uint32), shop.categories)
    totals = records.new_totals(shop.categories)
    # What was kept was allowed when it came; what she takes back is closed at the gate, not forgotten.
    bits = np.full((len(chosen), len(Scope)), 255, np.uint8)
    for day, members in sorted(by_day.items()):
        table, n, _ = shop.lines_of(members)
        none = np.zeros(len(chosen), np.int64)
        records.purchased(
            fresh, totals, bits, day, table, n, -1, True, False, none, np.zeros(len(chosen), np.uint8)
        )
    for name in FROM_PURCHASES:
        getattr(seats.record, name)[rows] = getattr(fresh, name)
