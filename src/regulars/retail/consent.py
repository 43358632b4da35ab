"""The gate between the record and every policy: it copies out what she allows, and writes that it did.

A policy is handed a :class:`View` and nothing else. A field that she withheld is not in it: counts are 0,
days are ``NEVER``, codes are 255 and ``present`` says no. The view shares no memory with the record. It
cannot be opened without an entry in the ledger, because the gate writes the entry before it hands the view
over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from regulars.errors import ConsentError
from regulars.ledger import Ledger
from regulars.retail.record import (
    ELSEWHERE,
    I16,
    INFERENCES,
    RECENT,
    U16,
    U32,
    UNKNOWN,
    UNLIKES,
    WISHES,
    Record,
)
from regulars.terms import F32, I32, I64, NEVER, NONE, U8, Purpose, Scope

#: What a member of a loyalty programme usually allows on one scope: all but sharing with third parties.
USUAL = (1 << Purpose.SERVE) | (1 << Purpose.PERSONALIZE) | (1 << Purpose.CONTACT) | (1 << Purpose.MEASURE)


class Consent(NamedTuple):
    """What N customers allow."""

    bits: U8  #: (N, 9) by Scope, one bit for each Purpose
    since: I16  #: (N, 9) day of the last change
    epoch: U32  #: (N,) goes up with every change


class View(NamedTuple):
    """The record behind the gate, for n customers. A scope that the policy did not ask for has no columns."""

    day: int
    row: I32  #: (n,) customer row
    customer: U32  #: (n,) the name of her luck
    present: U8  #: (n, 9) 1 where the scope is open
    room: U8  #: (n,) messages that the contact rules leave her today
    channels: U8  #: (n,) bits of Channel on which she may be reached today
    # orders
    unlike_category: I16
    unlike_until: I16
    # contact
    last_contact: I16
    last_ask: I16
    week: U8  #: (n,) contacts of the last 7 days
    month: U8  #: (n,) contacts of the last 28 days
    recent_category: I16
    recent_day: I16
    sent: U16
    opened: U16
    clicked: U16
    unliked: U16
    # purchases
    bought: U16
    kept: U16
    lately: U16
    last_nth: U16
    first_day: I16
    last_day: I16
    visits: U16
    last_visit: I16
    pace: U16
    small: U16
    spend_cents: I64
    # stated
    wish_category: I16
    wish_until: I16
    # browsing
    elsewhere_category: I16
    elsewhere_day: I16
    # demographics
    age: U8
    income: U8
    kids: U8
    household_size: U8
    # inferred
    inferred: F32


def new(customers: int) -> Consent:
    """Anonymous by default: nothing is allowed."""
    scopes = len(Scope)
    return Consent(
        np.zeros((customers, scopes), np.uint8),
        np.full((customers, scopes), NEVER, np.int16),
        np.zeros(customers, np.uint32),
    )


def grant(consent: Consent, rows: I64, scope: Scope, purposes: int, day: int) -> None:
    """She allows a scope for these purposes (bits of Purpose). Sharing is granted only when named."""
    _change(consent, rows, scope, purposes, day, granted=True)


def withdraw(consent: Consent, rows: I64, scope: Scope, purposes: int, day: int) -> None:
    """She takes it back; the very next view obeys."""
    _change(consent, rows, scope, purposes, day, granted=False)


def refused(consent: Consent, row: int) -> U8:
    """(9,) bits of what she refuses, by scope; what she was never asked is not refused.

    Of two accounts of one consent (two devices, a merge) what either refuses is refused.
    """
    return np.where(consent.since[row] > NEVER, ~consent.bits[row], 0).astype(np.uint8)


def allows(consent: Consent, row: int, scope: Scope, purpose: Purpose) -> bool:
    """Whether she allows it now."""
    return bool(consent.bits[row, scope] >> purpose & 1)


def allowed(bits: U8, purpose: Purpose) -> U8:
    """(n, 9) 1 where bits of consent allow a scope for this purpose; the contact scope is ever for CONTACT."""
    out = (bits >> purpose & 1).astype(np.uint8)
    out[:, Scope.CONTACT] = bits[:, Scope.CONTACT] >> Purpose.CONTACT & 1
    return out


def subset(consent: Consent, rows: I64) -> Consent:
    """The consent of these customers only."""
    return Consent._make(np.ascontiguousarray(column[rows]) for column in consent)


def _change(consent: Consent, rows: I64, scope: Scope, purposes: int, day: int, granted: bool) -> None:
    if not 0 < purposes < 1 << len(Purpose):
        raise ConsentError(
            f"purposes {purposes} names no purpose. Give bits such as 1 << Purpose.PERSONALIZE"
        )
    cells = consent.bits[rows, scope]
    consent.bits[rows, scope] = cells | purposes if granted else cells & (255 ^ purposes)
    consent.since[rows, scope] = day
    np.add.at(consent.epoch, rows, np.uint32(1))


def open_view(
    record: Record,
    consent: Consent,
    rows: I32,
    scopes: tuple[Scope, ...],
    purpose: Purpose,
    ledger: Ledger,
    day: int,
    context: str,
    *,
    room: U8 | None = None,
    channels: U8 | None = None,
    honours_consent: bool = True,
) -> View:
    """Copy out what these customers allow, after writing so into the ledger.

    Parameters
    ----------
    record, consent : of N customers
    rows : (n,) int32 customers
    scopes : what to open; a scope not named has no columns in the view
    purpose : for what; the contact scope is always opened for ``Purpose.CONTACT``
    ledger : told first
    day : today
    context : what it is for: policy and version
    room, channels : (n,) what the contact rules leave her; none when left out
    honours_consent : False opens everything and marks the entries covert; for simulation only

    Returns
    -------
    View
        copies of n rows
    """
    n = len(rows)
    view = _blank(record, rows, scopes, day, room, channels)
    covert = np.zeros((n, len(Scope)), np.uint8)
    wanted = np.zeros(len(Scope), np.uint8)
    wanted[list(scopes)] = 1
    _admit(consent.bits, rows, wanted, int(purpose), honours_consent, view.present, covert)
    ledger.used(day, rows, view.present, covert, purpose, context)
    _copy(record, view)
    return view


def note_use(
    ledger: Ledger, day: int, bits: U8, rows: I32, present: U8, purpose: Purpose, context: str
) -> None:
    """Write into the ledger what was read without a view: of many at once, for what they tell together.

    Parameters
    ----------
    bits : (N, 9) consent
    rows : (n,) customers whose data was read
    present : (n, 9) 1 for each scope read; one that she does not allow for this purpose is covert
    """
    ledger.used(day, rows, present, present & ~allowed(bits[rows], purpose), purpose, context)


def _blank(
    record: Record, rows: I32, scopes: tuple[Scope, ...], day: int, room: U8 | None, channels: U8 | None
) -> View:
    n, categories = len(rows), record.bought.shape[1]
    # Of a scope that is not opened there is no row.
    contact, purchases, stated, browsing, people, inferred = (
        n if scope in scopes else 0
        for scope in (
            Scope.CONTACT, Scope.PURCHASES, Scope.STATED, Scope.BROWSING, Scope.DEMOGRAPHICS, Scope.INFERRED,
        )
    )  # fmt: skip
    return View(
        day=day,
        row=rows.copy(),
        customer=np.empty(n, np.uint32),
        present=np.empty((n, len(Scope)), np.uint8),
        room=np.zeros(n, np.uint8) if room is None else room,
        channels=np.zeros(n, np.uint8) if channels is None else channels,
        unlike_category=np.empty((n, UNLIKES), np.int16),
        unlike_until=np.empty((n, UNLIKES), np.int16),
        last_contact=np.empty(contact, np.int16),
        last_ask=np.empty(contact, np.int16),
        week=np.empty(contact, np.uint8),
        month=np.empty(contact, np.uint8),
        recent_category=np.empty((contact, RECENT), np.int16),
        recent_day=np.empty((contact, RECENT), np.int16),
        sent=np.empty(contact, np.uint16),
        opened=np.empty(contact, np.uint16),
        clicked=np.empty(contact, np.uint16),
        unliked=np.empty(contact, np.uint16),
        bought=np.empty((purchases, categories), np.uint16),
        kept=np.empty((purchases, categories), np.uint16),
        lately=np.empty((purchases, categories), np.uint16),
        last_nth=np.empty((purchases, categories), np.uint16),
        first_day=np.empty((purchases, categories), np.int16),
        last_day=np.empty((purchases, categories), np.int16),
        visits=np.empty(purchases, np.uint16),
        last_visit=np.empty(purchases, np.int16),
        pace=np.empty(purchases, np.uint16),
        small=np.empty(purchases, np.uint16),
        spend_cents=np.empty(purchases, np.int64),
        wish_category=np.empty((stated, WISHES), np.int16),
        wish_until=np.empty((stated, WISHES), np.int16),
        elsewhere_category=np.empty((browsing, ELSEWHERE), np.int16),
        elsewhere_day=np.empty((browsing, ELSEWHERE), np.int16),
        age=np.empty(people, np.uint8),
        income=np.empty(people, np.uint8),
        kids=np.empty(people, np.uint8),
        household_size=np.empty(people, np.uint8),
        inferred=np.empty((inferred, INFERENCES), np.float32),
    )


# ---- kernels --------------------------------------------------------------------------------------

_CONTACT = int(Scope.CONTACT)
_PURCHASES = int(Scope.PURCHASES)
_STATED = int(Scope.STATED)
_BROWSING = int(Scope.BROWSING)
_DEMOGRAPHICS = int(Scope.DEMOGRAPHICS)
_INFERRED = int(Scope.INFERRED)
_FOR_CONTACT = int(Purpose.CONTACT)


@njit(cache=True, nogil=True, error_model="numpy")
def _admit(bits, rows, wanted, purpose, honours, present, covert):
    for k in range(len(rows)):
        for scope in range(len(wanted)):
            allowed = bits[rows[k], scope] >> (_FOR_CONTACT if scope == _CONTACT else purpose) & 1
            present[k, scope] = wanted[scope] and (allowed or not honours)
            covert[k, scope] = wanted[scope] and not honours and not allowed


@njit(cache=True, nogil=True, error_model="numpy")
def _copy(record, view):
    day = view.day
    n = len(view.row)
    for k in range(n):
        i = view.row[k]
        view.customer[k] = record.customer[i]
        for j in range(UNLIKES):
            view.unlike_category[k, j] = record.unlike_category[i, j]
            view.unlike_until[k, j] = record.unlike_until[i, j]
    for k in range(len(view.sent)):
        i, open_ = view.row[k], view.present[k, _CONTACT] != 0
        _, week, month = contacts_of(record.ring, record.ring_day, i, day)
        view.last_contact[k] = record.last_contact[i] if open_ else NEVER
        view.last_ask[k] = record.last_ask[i] if open_ else NEVER
        view.week[k] = week if open_ else 0
        view.month[k] = month if open_ else 0
        for j in range(RECENT):
            view.recent_category[k, j] = record.recent_category[i, j] if open_ else NONE
            view.recent_day[k, j] = record.recent_day[i, j] if open_ else NEVER
        view.sent[k] = record.sent[i] if open_ else 0
        view.opened[k] = record.opened[i] if open_ else 0
        view.clicked[k] = record.clicked[i] if open_ else 0
        view.unliked[k] = record.unliked[i] if open_ else 0
    for k in range(len(view.visits)):
        i, open_ = view.row[k], view.present[k, _PURCHASES] != 0
        _copy_row(record.bought, view.bought, i, k, open_, 0)
        _copy_row(record.kept, view.kept, i, k, open_, 0)
        _copy_row(record.lately, view.lately, i, k, open_, 0)
        _copy_row(record.last_nth, view.last_nth, i, k, open_, 0)
        _copy_row(record.first_day, view.first_day, i, k, open_, NEVER)
        _copy_row(record.last_day, view.last_day, i, k, open_, NEVER)
        view.visits[k] = record.visits[i] if open_ else 0
        view.last_visit[k] = record.last_visit[i] if open_ else NEVER
        view.pace[k] = record.pace[i] if open_ else 0
        view.small[k] = record.small[i] if open_ else 0
        view.spend_cents[k] = record.spend_cents[i] if open_ else 0
    for k in range(len(view.wish_until)):
        i, open_ = view.row[k], view.present[k, _STATED] != 0
        for j in range(WISHES):
            view.wish_category[k, j] = record.wish_category[i, j] if open_ else NONE
            view.wish_until[k, j] = record.wish_until[i, j] if open_ else NEVER
    for k in range(len(view.elsewhere_day)):
        i, open_ = view.row[k], view.present[k, _BROWSING] != 0
        for j in range(ELSEWHERE):
            view.elsewhere_category[k, j] = record.elsewhere_category[i, j] if open_ else NONE
            view.elsewhere_day[k, j] = record.elsewhere_day[i, j] if open_ else NEVER
    for k in range(len(view.age)):
        i, open_ = view.row[k], view.present[k, _DEMOGRAPHICS] != 0
        view.age[k] = record.age[i] if open_ else UNKNOWN
        view.income[k] = record.income[i] if open_ else UNKNOWN
        view.kids[k] = record.kids[i] if open_ else UNKNOWN
        view.household_size[k] = record.household_size[i] if open_ else UNKNOWN
    for k in range(len(view.inferred)):
        for j in range(INFERENCES):
            open_ = view.present[k, _INFERRED] != 0
            view.inferred[k, j] = record.inferred[view.row[k], j] if open_ else np.float32(-1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _copy_row(source, target, i, k, open_, absent):
    # Plain loops: twice as fast here as slices.
    if open_:
        for j in range(target.shape[1]):
            target[k, j] = source[i, j]
    else:
        for j in range(target.shape[1]):
            target[k, j] = absent


@njit(cache=True, nogil=True, error_model="numpy")
def contacts_of(ring, ring_day, i, day):
    """Contacts of customer ``i`` today, in the 7 and in the 28 days that end today.

    What was said for a later day already, such as tomorrow's letters, counts as well.
    """
    slots = ring.shape[1]
    today, week, month = 0, 0, 0
    behind = day - ring_day[i]
    if behind < slots:
        last = max(day, np.int64(ring_day[i]))
        here = last % slots
        for slot in range(slots):
            back = here - slot
            back = back + slots if back < 0 else back
            # Younger slots were not written yet: they still hold the round before.
            count = int(ring[i, slot]) if back >= behind else 0
            age = day - last + back
            month += count if age < slots else 0
            week += count if age < 7 else 0
            today += count if age == 0 else 0
    return today, min(week, 255), min(month, 255)
