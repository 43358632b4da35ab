"""One person where two were known: what was known of either, the stricter consent, and how it is undone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from regulars.ledger.entries import Entry
from regulars.ledger.protocol import Kind
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.retail.record import UNKNOWN
from regulars.service import orders
from regulars.service import rows as codec
from regulars.service.events import CODES
from regulars.service.shop import Seats, Shop
from regulars.service.store import Transaction
from regulars.terms import NEVER, NONE, Channel, Scope

_MERGE = b"merge"
#: Columns that tell what was said to somebody, and of what she wants to hear no more.
CONTACTS = tuple(name for name in codec.CONTACT if name != "optin")


class Joined(msgspec.Struct):
    """What a merge changed of the one into whom somebody was merged, for the day when it is undone."""

    epoch: int  #: of her consent after it
    lost: list[int]  #: bits of consent by scope
    closed: int  #: bits of channels
    wishes: list[tuple[int, int]]  #: (category, until_day)
    codes: list[str]  #: columns that were unknown
    values: list[int] = []  #: what they were taken to be


def merge(work: Transaction, shop: Shop, seats: Seats, one: int, other: int, at_ms: int) -> None:
    """What was known of ``one`` becomes ``other``'s; what either refused stays refused. It can be undone."""
    if one not in seats.place or other not in seats.place:
        return
    a, b = seats.place[one], seats.place[other]
    record, consent, today = seats.record, seats.consent, shop.calendar.day(at_ms)
    refused, shut = _refused(work, shop, seats, one)
    lost = consent.bits[b] & refused
    for scope in np.flatnonzero(lost).tolist():
        shop.retailer.consented(b, scope, int(lost[scope]), False, today)
    closed = int(record.optin[b]) & shut
    for channel in _channels(closed):
        shop.retailer.reachable(b, channel, False, today)
    hers = set(_wishes(record, b))
    wishes = (
        [each for each in _wishes(record, a) if each not in hers] if consent.bits[b, Scope.STATED] else []
    )
    for category, until in wishes:
        shop.retailer.wished(b, category, until, today)
    codes = [
        name for name in CODES.values() if getattr(record, name)[b] == UNKNOWN != getattr(record, name)[a]
    ]
    codes = codes if consent.bits[b, Scope.DEMOGRAPHICS] else []
    for name in codes:
        getattr(record, name)[b] = getattr(record, name)[a]
    _add_contacts(record, a, b)
    values = [int(getattr(record, name)[b]) for name in codes]
    joined = Joined(int(consent.epoch[b]), lost.tolist(), closed, wishes, codes, values)
    work.add_merge(
        shop.number, one, other, at_ms, seats.seals[b].close(msgspec.msgpack.encode(joined), _MERGE)
    )
    work.change_customers(shop.number, ("into_customer",), [(other, one)])
    seats.rows[a] = seats.rows[a]._replace(into=other)
    orders.rebuild(work, shop, seats, [other])


def _refused(work: Transaction, shop: Shop, seats: Seats, customer: int) -> tuple[NDArray[np.uint8], int]:
    """What somebody refuses: bits of consent by scope, of scopes of which she ever said anything; bits of such channels."""
    row = seats.place[customer]
    refused = consents.refused(seats.consent, row)
    spoken_of = _spoken_of([*shop.ledger_of(work, customer), *seats.ledger.of[row]])
    return refused, ~int(seats.record.optin[row]) & spoken_of


def _spoken_of(entries: Iterable[Entry]) -> int:
    """Bits of the channels that somebody opened or closed, by her account."""
    bits = 0
    for entry in entries:
        name = entry.context.removeprefix("channel=")
        if entry.kind in (Kind.GRANTED, Kind.WITHDRAWN) and name in Channel.__members__:
            bits |= 1 << Channel[name]
    return bits


def _channels(bits: int) -> list[Channel]:
    return [channel for channel in Channel if bits >> channel & 1]


def _wishes(record: records.Record, row: int) -> list[tuple[int, int]]:
    """Her wishes as (category, until_day)."""
    pairs = zip(record.wish_category[row].tolist(), record.wish_until[row].tolist(), strict=True)
    return [(category, until) for category, until in pairs if category >= 0]


def _add_contacts(record: records.Record, a: int, b: int) -> None:
    """What was said to ``a``, and what ``a`` wants to hear no more of, counts for ``b`` too."""
    for name in ("sent", "opened", "clicked", "unliked"):
        column = getattr(record, name)
        column[b] = min(int(column[a]) + int(column[b]), 65535)
    for name in ("last_contact", "last_ask"):
        getattr(record, name)[b] = max(getattr(record, name)[a], getattr(record, name)[b])
    _add_ring(record, a, b)
    for channel, day in enumerate(record.channel_day[a].tolist()):
        if day == record.channel_day[b, channel] != NEVER:
            both = int(record.channel_count[a, channel]) + int(record.channel_count[b, channel])
            record.channel_count[b, channel] = min(both, 255)
        elif day > record.channel_day[b, channel]:
            record.channel_day[b, channel] = day
            record.channel_count[b, channel] = record.channel_count[a, channel]
    days = np.concatenate([record.recent_day[a], record.recent_day[b]])
    about = np.concatenate([record.recent_category[a], record.recent_category[b]])
    latest = np.argsort(days, kind="stable")[-len(record.recent_day[b]) :]
    record.recent_day[b], record.recent_category[b], record.recent_next[b] = days[latest], about[latest], 0
    for k in range(record.unlike_category.shape[1]):
        if record.unlike_category[a, k] >= 0:
            records.unliked(
                record, np.array([b]), record.unlike_category[a, k : k + 1].astype(np.int32),
                record.unlike_until[a, k : k + 1].astype(np.int32),
            )  # fmt: skip


def _add_ring(record: records.Record, a: int, b: int) -> None:
    """Contacts of the last days were made to one person, so they count together."""
    days = record.ring.shape[1]
    last = max(int(record.ring_day[a]), int(record.ring_day[b]))
    if last <= NEVER:
        return
    joined = np.zeros(days, np.int64)
    for i in (a, b):
        until = int(record.ring_day[i])
        for day in range(max(until, last - days) - days + 1, until + 1):
            if day > last - days and until > NEVER:
                joined[day % days] += record.ring[i, day % days]
    record.ring[b] = np.minimum(joined, 255)
    record.ring_day[b] = last


def unmerge(work: Transaction, shop: Shop, one: int, today: int) -> bool:
    """Undo the last merge of ``one`` into somebody: both stand apart again, with what each of them did.

    Contacts and unlikes count for both from now on, so that no cap is broken and no order of hers; what the merge took from
    her consent is given back when she has not changed it since, and none who is hers still refuses it. A device that was
    taken apart is not merged into her again.
    Returns False when it was never merged.
    """
    work.tenant(shop.number, change=True)
    last = work.last_merge(shop.number, one)
    if last is None:
        return False
    other, at_ms, sealed = last
    work.change_customers(shop.number, ("into_customer",), [(-1, one)])
    work.undo_merge(shop.number, one, at_ms)
    still_hers = work.merged_from(shop.number, other)
    theirs = shop.seat(work, still_hers)
    refusals = [_refused(work, shop, theirs, who) for who in still_hers if who in theirs.place]
    seats = shop.seat(work, [one, other])
    if one in seats.place and other in seats.place:
        for name in CONTACTS:
            column = getattr(seats.record, name)
            column[seats.place[one]] = column[seats.place[other]]
    if other in seats.place:
        b = seats.place[other]
        joined = msgspec.msgpack.decode(seats.seals[b].open(sealed, _MERGE), type=Joined)
        if int(seats.consent.epoch[b]) == joined.epoch:
            closed = joined.closed
            lost = np.array(joined.lost, np.uint8)
            for refused, shut in refusals:
                lost &= ~refused
                closed &= ~shut
            for scope in np.flatnonzero(lost).tolist():
                shop.retailer.consented(b, scope, int(lost[scope]), True, today)
            for channel in _channels(closed):
                shop.retailer.reachable(b, channel, True, today)
        for k, wish in enumerate(zip(seats.record.wish_category[b], seats.record.wish_until[b], strict=True)):
            if tuple(map(int, wish)) in joined.wishes:
                seats.record.wish_category[b, k], seats.record.wish_until[b, k] = NONE, NEVER
        for k, name in enumerate(joined.codes):
            column = getattr(seats.record, name)
            if k >= len(joined.values) or column[b] == joined.values[k]:  # she said nothing else since
                column[b] = UNKNOWN
    orders.rebuild(work, shop, seats, [each for each in (one, other) if each in seats.place])
    shop.keep(work, seats, known=True, consent=True)
    return True
