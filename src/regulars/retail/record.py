"""What one retailer knows of each customer, as columns by scope, changed only by what she does and says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.errors import ShapeError
from regulars.terms import F32, I32, I64, NEVER, NONE, U8, Channel, Fate, Purpose, Reaction, Scope

I16 = NDArray[np.int16]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]

WISHES = 4  #: wishes kept of one customer
UNLIKES = 16  #: unliked categories kept of one customer
ELSEWHERE = 4  #: categories bought elsewhere that a broker may sell
RING_DAYS = 28  #: days over which contacts are counted exactly
RECENT = 16  #: last contacts kept with their category
UNKNOWN = 255  #: a demographic code that she did not tell
INFERENCES = 2  #: what ``infer`` estimates: kids at home, 55 or older
KEPT = 0.96  #: what is left of a purchase in ``Record.kept`` a visit later
KEPT_ONE = 2048  #: one purchase in the fixed point of ``Record.kept``
LATELY_HALF_LIFE_DAYS = 10
LATELY_ONE = 4096  #: one purchase today in the fixed point of ``Record.lately``
SMALL_KEPT = 0.9  #: what is left of a basket in ``Record.small`` a visit later
SMALL_ONE = 4096
PACE_HALF_LIFE_DAYS = 28
PACE_ONE = 1024  #: one visit today in the fixed point of ``Record.pace``
WEEK_AND_QUARTER = (7, 84)  #: half-lives in days of the rows of ``Totals.faded``
TOTALS_ONE = 1 << 20  #: one in the fixed point of ``Totals.single`` and ``Totals.faded``


class Record(NamedTuple):
    """Columns of N customers and C categories. Days are int16, ``NEVER`` when it never happened.

    At 300 categories a customer takes less than 4 KB.
    """

    customer: U32  #: (N,) the name under which her luck is drawn; not a datum about her
    # Scope.CONTACT
    optin: U8  #: (N,) bits of Channel on which she may be reached
    ring: U8  #: (N, 28) contacts on each of the last 28 days, at ``day % 28``
    ring_day: I16  #: (N,) the day up to which ``ring`` is written
    channel_day: I16  #: (N, 5) last contact on each channel
    channel_count: U8  #: (N, 5) contacts on that day
    recent_category: I16  #: (N, 16) categories of the last contacts, in a ring
    recent_day: I16  #: (N, 16)
    recent_next: U8  #: (N,) where the next one goes
    last_contact: I16  #: (N,)
    last_ask: I16  #: (N,) when she was last asked to share something
    sent: U16  #: (N,)
    opened: U16  #: (N,)
    clicked: U16  #: (N,)
    unliked: U16  #: (N,)
    # Orders of hers, obeyed whatever the consent: they only ever take away
    unlike_category: I16  #: (N, 16)
    unlike_until: I16  #: (N, 16) last day on which the unlike holds
    # Scope.PURCHASES
    bought: U16  #: (N, C) days on which she bought from the category
    kept: U16  #: (N, C) the same, fading by 4% a visit, in 1/2048, as of visit ``last_nth``
    lately: U16  #: (N, C) days bought with a half-life of 10 days, in 1/4096, as of ``last_day``
    last_nth: U16  #: (N, C) the number of the visit on which she last bought from it
    first_day: I16  #: (N, C)
    last_day: I16  #: (N, C)
    visits: U16  #: (N,)
    last_visit: I16  #: (N,)
    pace: U16  #: (N,) visits with a half-life of 28 days, in 1/1024, as of ``last_visit``
    small: U16  #: (N,) 1 / categories in each basket, fading by 10% a visit, in 1/4096, as of the last
    spend_cents: I64  #: (N,)
    # Scope.STATED
    wish_category: I16  #: (N, 4)
    wish_until: I16  #: (N, 4) last day on which she wants it
    # Scope.BROWSING
    elsewhere_category: I16  #: (N, 4) bought elsewhere, from a broker
    elsewhere_day: I16  #: (N, 4)
    # Scope.DEMOGRAPHICS, codes; 255 unknown
    age: U8  #: (N,) classes from youngest to oldest
    income: U8  #: (N,)
    kids: U8  #: (N,) 0 none
    household_size: U8  #: (N,)
    # Scope.INFERRED
    inferred: F32  #: (N, 2) estimated probability of kids at home, of 55 or older; -1 not estimated


class Totals(NamedTuple):
    """What a retailer knows of its customers together: sums of whole numbers, so order never matters.

    From ``interval_days`` on they are of customers who allow their purchases to be measured.
    """

    lines: I64  #: (C,) lines sold, anonymous ones too
    cents: I64  #: (C,) paid for them
    visits: I64  #: (1,) baskets
    interval_days: I64  #: (C,) sum of days between two purchases of one customer
    intervals: I64  #: (C,) how many of them
    cells: I64  #: (CELLS, C) lines by demographic cell
    bought: I64  #: (C,) days on which a customer bought from it
    single: I64  #: (C,) sum of 1 / categories in those baskets, in 1/2**20
    buyers: I64  #: (C,) customers who bought from it
    again: I64  #: (C,) customers who did so twice or more
    today: I64  #: (C + 1,) ``bought`` on day ``day``, and at the end all visits
    faded: I64  #: (2, C + 1) the same of the days before, with half-lives of 7 and 84 days, in 1/2**20
    day: I64  #: (1,)


AGES = 8
KIDS = 4
CELLS = AGES * KIDS


def new(customers: U32 | int, categories: int) -> Record:
    """A record of which nothing is known yet.

    Parameters
    ----------
    customers : (N,) uint32 names under which luck is drawn, or how many: then 0, 1, 2 ...
    categories : C
    """
    named = np.arange(customers) if isinstance(customers, int) else customers
    names = np.array(named, np.uint32)
    if names.ndim != 1:
        raise ShapeError(f"customers has {names.ndim} dimensions. Give one column of names")
    n = len(names)

    def days(*shape: int) -> I16:
        return np.full(shape, NEVER, np.int16)

    def none(*shape: int) -> I16:
        return np.full(shape, NONE, np.int16)

    def tally(*shape: int) -> U16:
        return np.zeros(shape, np.uint16)

    def code() -> U8:
        return np.full(n, UNKNOWN, np.uint8)

    return Record(
        customer=names,
        optin=np.zeros(n, np.uint8),
        ring=np.zeros((n, RING_DAYS), np.uint8),
        ring_day=days(n),
        channel_day=days(n, 5),
        channel_count=np.zeros((n, 5), np.uint8),
        recent_category=none(n, RECENT),
        recent_day=days(n, RECENT),
        recent_next=np.zeros(n, np.uint8),
        last_contact=days(n),
        last_ask=days(n),
        sent=tally(n),
        opened=tally(n),
        clicked=tally(n),
        unliked=tally(n),
        unlike_category=none(n, UNLIKES),
        unlike_until=days(n, UNLIKES),
        bought=tally(n, categories),
        kept=tally(n, categories),
        lately=tally(n, categories),
        last_nth=tally(n, categories),
        first_day=days(n, categories),
        last_day=days(n, categories),
        visits=tally(n),
        last_visit=days(n),
        pace=tally(n),
        small=tally(n),
        spend_cents=np.zeros(n, np.int64),
        wish_category=none(n, WISHES),
        wish_until=days(n, WISHES),
        elsewhere_category=none(n, ELSEWHERE),
        elsewhere_day=days(n, ELSEWHERE),
        age=code(),
        income=code(),
        kids=code(),
        household_size=code(),
        inferred=np.full((n, INFERENCES), -1, np.float32),
    )


def new_totals(categories: int) -> Totals:
    """Sums of nothing yet."""

    def sums(*shape: int) -> I64:
        return np.zeros(shape, np.int64)

    return Totals(
        lines=sums(categories),
        cents=sums(categories),
        visits=sums(1),
        interval_days=sums(categories),
        intervals=sums(categories),
        cells=sums(CELLS, categories),
        bought=sums(categories),
        single=sums(categories),
        buyers=sums(categories),
        again=sums(categories),
        today=sums(categories + 1),
        faded=sums(2, categories + 1),
        day=np.full(1, NEVER, np.int64),
    )


def turn(totals: Totals, day: int) -> None:
    """It has become ``day``: what was counted before joins the faded counts, which fade by a day each."""
    days = day - int(totals.day[0])
    if days <= 0:
        return
    for faded, half_life in zip(totals.faded, WEEK_AND_QUARTER, strict=True):
        faded += totals.today * TOTALS_ONE
        # One rounding of a whole number to another, the same on every machine.
        faded[:] = np.rint(faded * 0.5 ** (min(days, 10_000) / half_life))
    totals.today[:] = 0
    totals.day[0] = day


def subset(record: Record, rows: I64) -> Record:
    """The record of these customers only, in this order; their luck keeps its names."""
    return Record._make(np.ascontiguousarray(column[rows]) for column in record)


def copy(record: Record) -> Record:
    """The same again, sharing nothing."""
    return Record._make(column.copy() for column in record)


def wished(record: Record, rows: I64, categories: I32, until_days: I32) -> None:
    """She says what she wants, and until when; with four wishes standing the one that ends first makes room."""
    _check_columns(record, rows, categories, until_days)
    _put_each(record.wish_category, record.wish_until, rows, categories, until_days)


def unliked(record: Record, rows: I64, categories: I32, until_days: I32) -> None:
    """She does not want to hear of these categories until these days; the very next decision obeys."""
    _check_columns(record, rows, categories, until_days)
    _put_each(record.unlike_category, record.unlike_until, rows, categories, until_days)


def opted(record: Record, rows: I64, channel: Channel, granted: bool) -> None:
    """She may be reached on a channel, or no more; the very next decision obeys."""
    bit, before = np.uint8(1 << channel), record.optin[rows]
    record.optin[rows] = before | bit if granted else before & ~bit


def _check_columns(record: Record, rows: I64, categories: I32, until_days: I32) -> None:
    if not len(rows) == len(categories) == len(until_days):
        lengths = f"{len(rows)} rows, {len(categories)} categories and {len(until_days)} days"
        raise ShapeError(f"{lengths}. Give one each")
    width = record.bought.shape[1]
    if len(categories) and not (0 <= int(np.min(categories)) and int(np.max(categories)) < width):
        raise ShapeError(f"a category is outside 0 to {width - 1}")
    if len(rows) and not (0 <= int(np.min(rows)) and int(np.max(rows)) < len(record.customer)):
        raise ShapeError(f"a row is outside 0 to {len(record.customer) - 1}")


# ---- kernels --------------------------------------------------------------------------------------

_PURCHASES = int(Scope.PURCHASES)
_DEMOGRAPHICS = int(Scope.DEMOGRAPHICS)
_MEASURE = 1 << Purpose.MEASURE
_SUBSTITUTED = int(Fate.SUBSTITUTED)
_LONGEST = 600
_FULL = 65535
_LATELY = 0.5 ** (np.arange(_LONGEST) / LATELY_HALF_LIFE_DAYS)
_PACE = 0.5 ** (np.arange(_LONGEST) / PACE_HALF_LIFE_DAYS)
_BY_VISIT = KEPT ** np.arange(_LONGEST)
_UNSUBSCRIBE = 1 << Reaction.UNSUBSCRIBE
_BLOCK = 1 << Reaction.BLOCK
_COMPLAIN = 1 << Reaction.COMPLAIN
_OPEN = 1 << Reaction.OPEN
_CLICKS = (1 << Reaction.CLICK) | (1 << Reaction.REDEEM) | (1 << Reaction.BUY)
_UNLIKE = 1 << Reaction.UNLIKE
#: Reactions by which she leaves a channel, or all of them.
LEAVING = 1 << Reaction.UNSUBSCRIBE | 1 << Reaction.COMPLAIN | 1 << Reaction.BLOCK


@njit(cache=True, nogil=True, error_model="numpy")
def purchased(record, totals, bits, day, lines, n, retailer, honours, broker, returned, studied):
    """Write the first ``n`` lines of a day into the record and the totals.

    ``bits`` is (N, 9) consent; a customer who grants nothing on purchases stays anonymous: her line counts
    in the totals only. Lines of another retailer than number ``retailer`` (-1: all are ours) reach the record
    only through a ``broker``. Lines of one basket stand together. ``returned`` is (N,) and gains the cents
    that coupons gave back; ``studied`` is (N,) uint8 and gets bit 0 where her purchases entered what all tell
    together, bit 1 where who she is did. The totals' day must have been turned to ``day``.
    """
    categories = record.bought.shape[1]
    met = np.zeros(categories, np.int64)  # the basket, counted from 1, in which a category was last met
    basket, end, size, i = 0, 0, 0, -1
    for k in range(n):
        if k == end:
            basket, size, i = basket + 1, 0, lines.consumer[k]
            while end < n and lines.consumer[end] == i:
                ours = retailer < 0 or lines.retailer[end] == retailer
                if ours and lines.fate[end] <= _SUBSTITUTED and lines.units[end] > 0:
                    c = lines.category[end]
                    size += met[c] != basket
                    met[c] = basket
                end += 1
            if size > 0:
                totals.visits[0] += 1
        if lines.fate[k] > _SUBSTITUTED or lines.units[k] <= 0:
            continue
        c = lines.category[k]
        if retailer >= 0 and lines.retailer[k] != retailer:
            if broker:
                put(record.elsewhere_category, record.elsewhere_day, i, c, day)
            continue
        totals.lines[c] += 1
        totals.cents[c] += lines.paid_cents[k]
        allowed = bits[i, _PURCHASES]
        if honours and allowed == 0:
            continue
        study = not honours or (allowed & _MEASURE) != 0
        if study:
            studied[i] |= 1
            cell = cell_of(record.age[i], record.kids[i])
            if cell >= 0 and (not honours or (bits[i, _DEMOGRAPHICS] & _MEASURE) != 0):
                studied[i] |= 2
                totals.cells[cell, c] += 1
        if record.last_visit[i] != day:
            kept = record.pace[i] * pace_after(day - record.last_visit[i])
            record.pace[i] = min(np.int64(kept + 0.5) + PACE_ONE, _FULL)
            record.small[i] = np.int64(record.small[i] * SMALL_KEPT + SMALL_ONE / size + 0.5)
            record.last_visit[i] = day
            record.visits[i] += 1
            if study:
                totals.today[categories] += 1
        record.spend_cents[i] += lines.paid_cents[k] - lines.coupon_cents[k]
        returned[i] += lines.coupon_cents[k]
        if record.last_day[i, c] == day:
            continue
        bought, gap = record.bought[i, c], day - record.last_day[i, c]
        if study:
            totals.bought[c] += 1
            totals.today[c] += 1
            totals.single[c] += TOTALS_ONE // size
            if bought == 0:
                totals.buyers[c] += 1
            else:
                totals.again[c] += bought == 1
                totals.interval_days[c] += gap
                totals.intervals[c] += 1
        if bought == 0:
            record.first_day[i, c] = day
        visits = np.int64(record.visits[i])
        fade = kept_after(visits - np.int64(record.last_nth[i, c]))
        record.kept[i, c] = np.int64(record.kept[i, c] * fade + 0.5) + KEPT_ONE
        # Days told out of order do not fade, so these two could run over; the others fade with each visit.
        lately = np.int64(record.lately[i, c] * lately_after(gap) + 0.5)
        record.lately[i, c] = min(lately + LATELY_ONE, _FULL)
        record.last_nth[i, c] = visits
        record.last_day[i, c] = day
        if bought < _FULL:
            record.bought[i, c] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def kept_after(visits):
    """What is left of a purchase in ``Record.kept`` so many visits later."""
    return _BY_VISIT[visits if visits < _LONGEST else _LONGEST - 1]


@njit(cache=True, nogil=True, error_model="numpy")
def lately_after(days):
    """What is left of a purchase in ``Record.lately`` so many days later."""
    return _LATELY[0 if days < 0 else (days if days < _LONGEST else _LONGEST - 1)]


@njit(cache=True, nogil=True, error_model="numpy")
def pace_after(days):
    """What is left of a visit in ``Record.pace`` so many days later."""
    return _PACE[0 if days < 0 else (days if days < _LONGEST else _LONGEST - 1)]


@njit(cache=True, nogil=True, error_model="numpy")
def reacted(record, rows, channels, categories, before, now, told, until):
    """Write what customers did about contacts.

    ``before`` are the bits known already, ``now`` all bits, so that a reaction told twice counts once, and ``told``
    those that are told now. An unlike holds until day ``until``; leaving a channel is obeyed at once, whenever it is
    told: she may have come back to it meanwhile. Returns the bits of the channels that each of them closed.
    """
    closed = np.zeros(len(rows), np.uint8)
    for k in range(len(rows)):
        i = rows[k]
        fresh, open_before = now[k] & ~before[k], record.optin[i]
        if fresh & _OPEN:
            record.opened[i] += 1
        if (now[k] & _CLICKS) and not (before[k] & _CLICKS):
            record.clicked[i] += 1
        if fresh & _UNLIKE:
            record.unliked[i] += 1
            if categories[k] >= 0:
                put(record.unlike_category, record.unlike_until, i, categories[k], until)
        if told[k] & _BLOCK:
            record.optin[i] = 0
        if told[k] & (_UNSUBSCRIBE | _COMPLAIN):
            record.optin[i] &= np.uint8(255 ^ (1 << channels[k]))
        closed[k] = open_before & ~record.optin[i]
    return closed


@njit(cache=True, nogil=True, error_model="numpy")
def put(categories, days, i, category, day):
    """Put a category with its day into row ``i`` of a small table; the earliest makes room."""
    place = 0
    for k in range(categories.shape[1]):
        if categories[i, k] == category:
            days[i, k] = max(day, days[i, k])
            return
        if days[i, k] < days[i, place]:
            place = k
    categories[i, place] = category
    days[i, place] = day


@njit(cache=True, nogil=True, error_model="numpy")
def holds(categories, days, i, category, day):
    """Whether row ``i`` of a small table has the category with a day not before ``day``."""
    for k in range(categories.shape[1]):
        if categories[i, k] == category and days[i, k] >= day:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def cell_of(age, kids):
    """Demographic cell: age class x kids; -1 when either is unknown."""
    if age == UNKNOWN or kids == UNKNOWN:
        return -1
    return min(age, AGES - 1) * KIDS + min(kids, KIDS - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _put_each(categories, days, rows, category, until):
    for k in range(len(rows)):
        put(categories, days, rows[k], category[k], until[k])
