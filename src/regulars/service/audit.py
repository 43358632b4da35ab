"""Looking back: a decision made again, what else could have been said, and whether every ledger holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from regulars.errors import RegularsError
from regulars.ledger.entries import Entries, verify
from regulars.retail import contact_rules, explain
from regulars.retail.retailer import Retailer
from regulars.service import rows as codec
from regulars.service.decided import Stored, silence
from regulars.service.engine import Engine
from regulars.service.shop import KNOWN, Seats, Shop, bits_of
from regulars.service.store import Transaction
from regulars.service.store.sql import DecisionRow

#: Customers whose chains are checked at a time.
AT_A_TIME = 200
_ID = re.compile("[0-9a-f]{32}")


def is_id(name: str) -> bool:
    """Whether a decision may have this id."""
    return _ID.fullmatch(name) is not None


def looked_up(shop: Shop, work: Transaction, name: str) -> tuple[DecisionRow, Stored, Seats] | None:
    """A decision by its id."""
    row = work.decisions(shop.number, [name]).get(name) if is_id(name) else None
    if row is None:
        return None
    seats = shop.seat(work, [row.customer, *work.merged_into(shop.number, [row.customer]).values()])
    return (row, shop.opened(seats, row), seats) if row.customer in seats.place else None


def _stood(shop: Shop, work: Transaction, row: DecisionRow, stored: Stored, seats: Seats) -> Retailer:
    """The retailer as it stood before this decision, with her alone; its ledger is of no account."""
    k = seats.place[row.customer]
    now = seats.rows[k]
    changed = stored.known != now.version
    known = work.known_then(shop.number, row.customer, stored.known) if changed else now.known
    if known is None:
        raise RegularsError(f"what decision {row.id} rested on is not in the store. Restore it from a backup")
    plain = seats.seals[k].open(known, KNOWN)
    record = codec.record_of([row.customer], [stored.contact], [plain], shop.categories)
    shop.learned(work, stored.common)
    shop.shelved(work, stored.shelf)
    shop.retailer.seat(record, codec.consent_of([stored.consent]), Entries(1))
    return shop.retailer


def made_again(shop: Shop, work: Transaction, row: DecisionRow, stored: Stored, seats: Seats) -> Stored:
    """The same decision from what it rested on then; equal, or the store was tampered with."""
    then = _stood(shop, work, row, stored, seats)
    channels = bits_of(then, stored.asked)
    in_stock = _stock_of(shop, stored)
    her = np.zeros(1, np.int32)
    (kept_from,) = contact_rules.why_not(
        then.record, then.consent.bits, her, row.day, stored.hour, then.rules, channels=channels
    )
    said = then.decide(
        row.day, her, stored.hour, in_stock=in_stock, among=shop.among(stored.limit), channels=channels, most=1,
        cutoff=stored.cutoff,
    )  # fmt: skip
    about: dict[str, Any] = {
        "at_ms": stored.at_ms, "channel": stored.asked, "asked": stored.asked, "hour": stored.hour,
        "policy": then.policy.name, "version": then.policy.version, "cutoff": stored.cutoff,
    }  # fmt: skip
    rest: dict[str, Any] = {
        "common": stored.common, "out": stored.out, "consent": stored.consent, "contact": stored.contact,
        "known": stored.known, "settings": stored.settings, "reactions": stored.reactions,
        "unliked_as": stored.unliked_as, "bought": stored.bought, "shelf": stored.shelf, "limit": stored.limit,
    }  # fmt: skip
    if len(said.number):
        again = shop.stored_of(said, 0, int(then.pending.blocks[-1].scopes[0]), about)
    else:
        again = silence(shop.why_silent(kept_from, row.day, 0), about)
    return msgspec.structs.replace(again, **rest)


def replayed(shop: Shop, work: Transaction, name: str) -> list[str] | None:
    """Fields in which a decision, made again, differs from what is stored; None when there is none of that id."""
    found = looked_up(shop, work, name)
    if found is None:
        return None
    row, stored, seats = found
    again = made_again(shop, work, row, stored, seats)
    return [each for each in stored.__struct_fields__ if getattr(stored, each) != getattr(again, each)]


def considered(
    shop: Shop, work: Transaction, row: DecisionRow, stored: Stored, seats: Seats
) -> tuple[explain.Considered, ...]:
    """What else could have been said then, and what ruled it out; the ledger tells her that somebody asked."""
    then = _stood(shop, work, row, stored, seats)
    told = explain.why(
        then, 0, row.day, stored.hour, in_stock=_stock_of(shop, stored), among=shop.among(stored.limit),
        cutoff=stored.cutoff,
    )  # fmt: skip
    asked_now = then.ledger
    for entry in asked_now.of[0] if isinstance(asked_now, Entries) else ():
        seats.ledger.note(seats.place[row.customer], entry)
    shop.keep_ledger(work, seats)
    return told[0].candidates


def _stock_of(shop: Shop, stored: Stored) -> NDArray[np.bool_] | None:
    if not stored.out:
        return None
    in_stock = np.ones(len(shop.assortment.sku), np.bool_)
    in_stock[stored.out] = False
    return in_stock


def verified(shop: Shop, work: Transaction, customers: Sequence[int] | None = None) -> dict[str, Any]:
    """Whether the chains of these customers, or of all, hold up to the heads that their rows tell; who has no key here."""
    work.tenant(shop.number)  # before any customer: everybody locks in this order
    count, broken = 0, []
    chosen = work.everybody(shop.number, merged=True) if customers is None else customers
    # Locked, or something could be added to a chain after its head was read.
    found = work.customers(shop.number, chosen)
    unread = set(chosen) - found.keys()
    if unread:  # erased meanwhile, or her key is not in this store
        unread &= set(work.everybody(shop.number, merged=True))
    for customer, row in found.items():
        entries = shop.ledger_of(work, customer)
        count += len(entries)
        at = verify(entries)
        if at is None and (len(entries), entries[-1].chain if entries else "") != (row.entries, row.chain):
            at = len(entries)
        if at is not None:
            broken.append({"customer": customer, "entry": at})
    return {"customers": len(chosen), "entries": count, "broken": broken, "unread": sorted(unread)}


def all_verified(engine: Engine, shop: Shop) -> dict[str, Any]:
    """The same of everybody, some at a time: whoever decides in another process waits for none of it."""
    everybody = engine.call(shop, lambda work: work.everybody(shop.number, merged=True)).result()
    told: dict[str, Any] = {"customers": 0, "entries": 0, "broken": [], "unread": []}
    for first in range(0, len(everybody), AT_A_TIME):
        some = everybody[first : first + AT_A_TIME]
        part = engine.call(shop, partial(verified, shop, customers=some), drained=False).result()
        told = {name: told[name] + part[name] for name in told}
    return told
