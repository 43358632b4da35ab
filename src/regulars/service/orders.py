"""What a customer bought, by her events: less what she brought back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from regulars.service.events import Did, Event, Line
from regulars.service.shop import Seats, Shop
from regulars.service.store import Transaction


def told(work: Transaction, shop: Shop, seats: Seats, customer: int) -> list[Event]:
    """Her events as they came, and after them those of whoever was merged into her."""
    return [
        msgspec.msgpack.decode(body, type=Event)
        for who in (customer, *work.merged_from(shop.number, customer))
        for _, body in shop.events_of(work, seats, who)
    ]


def baskets(shop: Shop, told: Sequence[Event]) -> list[tuple[int, list[Line]]]:
    """Her baskets as (day, lines), without what she brought back."""
    back: dict[str, Counter[str] | None] = {}
    for event in told:
        if event.did == Did.REFUNDED:
            gone = back.setdefault(event.order, Counter())
            if not event.lines:
                back[event.order] = None
            elif gone is not None:
                for line in event.lines:
                    gone[_called(shop, line)[0]] += line.units
    found = []
    for event in told:
        if event.did != Did.PURCHASED:
            continue
        lines = event.lines
        if event.order and event.order in back:
            gone = back[event.order]
            lines = (
                []
                if gone is None
                else [line for line in (_less(shop, line, gone) for line in lines) if line.units > 0]
            )
        if lines:
            found.append((shop.calendar.day(event.at_ms), lines))
    return found


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
