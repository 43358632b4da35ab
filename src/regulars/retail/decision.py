"""What one retailer says to whom on one day, as columns: each with its grounds, its odds and its reasons.

Only customers who are told something have a row; everybody else meets silence.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from regulars.errors import RegularsError, ShapeError
from regulars.retail.catalog import Option, Today
from regulars.retail.consent import View
from regulars.retail.predicted_verdict import FEATURES, days_since_heard, fill_message, fill_person
from regulars.terms import (
    F32,
    F64,
    I32,
    I64,
    NONE,
    U8,
    Action,
    Basis,
    Channel,
    Messages,
    Scope,
)

NO_ASK = 255
NO_OPTION = 255


class Reason(enum.IntEnum):
    """Why something was said, why not, or why nothing at all; ``explain`` has the words."""

    # said
    WISHED = 0
    DUE = 1
    FAVOURITE = 2
    POPULAR = 3
    MARGIN = 4
    PEOPLE_LIKE_HER = 5
    ELSEWHERE = 6
    INFERRED = 7
    CAMPAIGN = 8
    OPTION = 9
    OWN = 10  #: a policy of the user's own
    # a candidate that was not said
    NO_OFFER = 20
    UNLIKED = 21
    NOT_BOUGHT = 22
    REPEATED = 23
    NOT_COMPELLING = 24
    OUTRANKED = 25
    NOT_SHORTLISTED = 26
    NOT_A_CANDIDATE = 27  #: whoever asked left no room for it
    # nobody was told anything
    NOT_REACHABLE = 40
    NO_PERMISSION = 41
    CAP_DAY = 42
    CAP_WEEK = 43
    CAP_MONTH = 44
    GAP = 45
    QUIET = 46
    NOT_TODAY = 47
    RATIONED = 48
    NOTHING_FITS = 49


class Copy(NamedTuple):
    """How a policy writes, each from 0 to 1."""

    revealed: float  #: how far the copy shows that a fact was used
    justification: float  #: how far it says why she gets it
    obtrusiveness: float
    control: float  #: how far she can see and steer what is used


class Draws(NamedTuple):
    """What names a policy's luck: with her ``customer`` name and a ``Purpose`` it gives the draw."""

    key: NDArray[np.uint32]  #: (2,) from ``regulars.draws.stream``
    day: int


class Decisions(NamedTuple):
    """m decisions of one day; those of one customer stand together, in the order of sending."""

    number: I64  #: (m,) unique: day, customer's name and place in her day
    customer: I32  #: (m,) customer row; in a policy the row of the view, until the retailer translates it
    channel: U8  #: Channel
    action: U8  #: Action
    offer: I32  #: offer id, NONE for an option
    option: U8  #: Option, 255 for an offer
    category: I32  #: NONE for a generic one
    saving: F32  #: share of the price
    last_day: I32  #: last day the terms hold
    basis: U8  #: Basis of the fact used
    reason: U8  #: Reason
    scopes: NDArray[np.uint16]  #: bits of Scope that the choice drew on
    propensity: F64  #: probability of this choice, given the weights of the day
    predicted: F32  #: (m, 4) predicted verdict by Verdict
    score: F32  #: what the policy ranked by
    relevance: F32  #: chance that she buys from the category within a week
    interval: F32  #: days between her purchases; -1 when not used
    elapsed: F32  #: days since her last purchase; -1 when not used
    revealed: F32
    justification: F32
    obtrusiveness: F32
    control: F32
    asks: U8  #: Scope that she is asked to share, 255 none
    exchange: F32  #: value promised in return, 0 to 1
    features: F32  #: (m, F) by ``predicted_verdict.Feature``, for learning


def blank(room: int) -> Decisions:
    """Decisions with space for ``room`` rows, to be filled by a kernel and cut with :func:`first`."""
    return Decisions(
        number=np.zeros(room, np.int64),
        customer=np.zeros(room, np.int32),
        channel=np.zeros(room, np.uint8),
        action=np.zeros(room, np.uint8),
        offer=np.zeros(room, np.int32),
        option=np.zeros(room, np.uint8),
        category=np.zeros(room, np.int32),
        saving=np.zeros(room, np.float32),
        last_day=np.zeros(room, np.int32),
        basis=np.zeros(room, np.uint8),
        reason=np.zeros(room, np.uint8),
        scopes=np.zeros(room, np.uint16),
        propensity=np.zeros(room, np.float64),
        predicted=np.zeros((room, 4), np.float32),
        score=np.zeros(room, np.float32),
        relevance=np.zeros(room, np.float32),
        interval=np.zeros(room, np.float32),
        elapsed=np.zeros(room, np.float32),
        revealed=np.zeros(room, np.float32),
        justification=np.zeros(room, np.float32),
        obtrusiveness=np.zeros(room, np.float32),
        control=np.zeros(room, np.float32),
        asks=np.zeros(room, np.uint8),
        exchange=np.zeros(room, np.float32),
        features=np.zeros((room, FEATURES), np.float32),
    )


def check(decisions: Decisions, policy: str, customers: int, categories: int, offers: int) -> None:
    """Refuse what the contact rules and the kernels could not take as it stands.

    Parameters
    ----------
    policy : its name, for the message
    customers, categories, offers : how many there are: rows of the view, and of the catalog

    Raises
    ------
    RegularsError
        naming the policy, the column and what it may hold.
    """
    m = np.size(decisions.customer)
    columns: dict[str, Any] = decisions._asdict()
    for name, usual in blank(0)._asdict().items():
        column = columns[name]
        shape = (m, *usual.shape[1:])
        if getattr(column, "dtype", None) != usual.dtype or column.shape != shape:
            given = f"{column.dtype} {column.shape}" if isinstance(column, np.ndarray) else repr(column)
            raise RegularsError(f"{policy} gave {name} as {given}; it must be {usual.dtype} {shape}")
    for name, least, most, besides in (
        ("customer", 0, customers - 1, 0),
        ("channel", 0, len(Channel) - 1, 0),
        ("action", Action.OFFER, Action.OPTION, Action.OFFER),
        ("offer", 0, offers - 1, NONE),
        ("option", 0, max(Option), NO_OPTION),
        ("category", 0, categories - 1, NONE),
        ("basis", 0, max(Basis), 0),
        ("scopes", 0, (1 << len(Scope)) - 1, 0),
        ("propensity", np.nextafter(0, 1), 1, 1),
        ("asks", 0, max(Scope), NO_ASK),
        *((name, 0, 1, 0) for name in ("revealed", "justification", "obtrusiveness", "control", "exchange")),
    ):
        column = columns[name]
        wrong = np.flatnonzero(~((column >= least) & (column <= most) | (column == besides)))
        if len(wrong):
            or_else = f" or {besides}" if not least <= besides <= most else ""
            raise RegularsError(
                f"{policy} gave {name} {column[wrong[0]]} in row {wrong[0]}; it must be {least} to {most}{or_else}"
            )
    if not np.isin(decisions.reason, list(Reason)).all():
        raise RegularsError(f"{policy} gave a reason that is no Reason")
    if ((decisions.action == Action.OPTION) & (decisions.offer >= 0)).any():
        raise RegularsError(f"{policy} gave an option with an offer; an option has none")
    for name in ("score", "relevance", "interval", "elapsed", "features"):
        if not np.isfinite(columns[name]).all():
            raise RegularsError(f"{policy} gave {name} that is no number in some row")


def silence() -> Decisions:
    """Nobody is told anything."""
    return blank(0)


def first(decisions: Decisions, m: int) -> Decisions:
    """The first ``m`` rows."""
    return Decisions._make(column[:m] for column in decisions)


def take(decisions: Decisions, rows: NDArray[Any]) -> Decisions:
    """Some rows: indices or a mask."""
    return Decisions._make(column[rows] for column in decisions)


def joined(parts: list[Decisions]) -> Decisions:
    """Several batches of one day as one."""
    if not parts:
        return silence()
    if len(parts) == 1:
        return parts[0]
    return Decisions._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def messages(decisions: Decisions) -> Messages:
    """All that crosses to the consumer; scores and reasons stay behind."""
    return Messages(
        consumer=decisions.customer,
        channel=decisions.channel,
        offer=decisions.offer,
        category=decisions.category,
        saving=decisions.saving,
        last_day=decisions.last_day,
        basis=decisions.basis,
        revealed=decisions.revealed,
        justification=decisions.justification,
        obtrusiveness=decisions.obtrusiveness,
        control=decisions.control,
        asks=decisions.asks,
        exchange=decisions.exchange,
    )


def propose(
    view: View,
    today: Today,
    who: ArrayLike,
    category: ArrayLike,
    *,
    score: ArrayLike = 0.0,
    relevance: ArrayLike = 0.1,
    basis: Basis = Basis.NOTHING,
    reason: Reason = Reason.OWN,
    scopes: tuple[Scope, ...] = (),
    propensity: ArrayLike = 1.0,
    copy: Copy | None = None,
) -> Decisions:
    """Offer each of these customers what stands in a category: the easy way for a policy of your own.

    Parameters
    ----------
    who : (m,) rows of the view, those of one customer together
    category : (m,) what to offer; where nothing stands, or she cannot be reached, the row is left out
    score, relevance, propensity : one or (m,)
    basis, reason, scopes, copy : the same for all

    Raises
    ------
    ShapeError
        when the lengths differ or a row or category does not exist.
    """
    rows = np.atleast_1d(np.asarray(who, np.int64))
    about = np.atleast_1d(np.asarray(category, np.int64))
    if rows.shape != about.shape or rows.ndim != 1:
        raise ShapeError(f"{rows.shape} customers but {about.shape} categories. Give one category each")
    if len(rows) and not (0 <= rows.min() and rows.max() < len(view.row)):
        raise ShapeError(f"who names row {rows.max()}, but the view has {len(view.row)} rows")
    if len(about) and not (0 <= about.min() and about.max() < len(today.offer)):
        raise ShapeError(f"category {about.max()} is not in the catalog; it has {len(today.offer)}")
    out = blank(len(rows))
    ranked, fits, chance = (
        np.broadcast_to(np.asarray(x, np.float64), rows.shape).copy() for x in (score, relevance, propensity)
    )
    bits = sum(1 << scope for scope in scopes)
    style = copy or Copy(0.2, 0.5, 0.2, 0.5)
    m = _propose(out, view, today, rows, about, ranked, fits, chance, int(basis), int(reason), bits, style)
    return first(out, m)


def slots_of(per_week: float, day: int) -> int:
    """How many messages a schedule of ``per_week`` has on this day: spread evenly, the same for everybody.

    Examples
    --------
    >>> [slots_of(5, day) for day in range(7)], [slots_of(14, day) for day in range(7)]
    ([0, 1, 1, 0, 1, 1, 1], [2, 2, 2, 2, 2, 2, 2])
    """
    return int(np.floor((day + 1) * per_week / 7) - np.floor(day * per_week / 7))


# ---- kernels --------------------------------------------------------------------------------------

_OFFER = int(Action.OFFER)
_OPTION = int(Action.OPTION)
_FOR_OPTION = int(Reason.OPTION)
_NO_BASIS = int(Basis.NOTHING)
_CHANNELS = len(Channel)


@njit(cache=True, nogil=True, error_model="numpy")
def lowest_channel(bits):
    """The first channel of these bits, -1 for none."""
    for channel in range(_CHANNELS):
        if bits >> channel & 1:
            return channel
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def put_offer(out, m, k, today, copy, channel, category, why):
    """Write row ``m``: the offer that stands in a category, to view row ``k``. Scores and odds follow.

    ``why`` is (basis, reason, scopes). Callers cast to int64: each other type, constants among them, would be
    compiled anew.
    """
    basis, reason, scopes = why
    out.customer[m] = k
    out.channel[m] = channel
    out.action[m] = _OFFER
    out.offer[m] = today.offer[category]
    out.option[m] = NO_OPTION
    out.category[m] = category
    out.saving[m] = today.saving[category]
    out.last_day[m] = today.last_day[category]
    out.basis[m] = basis
    out.reason[m] = reason
    out.scopes[m] = scopes
    out.propensity[m] = 1.0
    out.interval[m] = -1.0
    out.elapsed[m] = -1.0
    out.revealed[m] = copy.revealed
    out.justification[m] = copy.justification
    out.obtrusiveness[m] = copy.obtrusiveness
    out.control[m] = copy.control
    out.asks[m] = NO_ASK
    out.exchange[m] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def put_option(out, m, k, view, copy, channel, option):
    """Write row ``m``: an option, which needs no data and leaves none."""
    out.customer[m] = k
    out.channel[m] = channel
    out.action[m] = _OPTION
    out.offer[m] = NONE
    out.option[m] = option
    out.category[m] = NONE
    out.saving[m] = 0.0
    out.last_day[m] = view.day
    out.basis[m] = _NO_BASIS
    out.reason[m] = _FOR_OPTION
    out.scopes[m] = 0
    out.propensity[m] = 1.0
    out.interval[m] = -1.0
    out.elapsed[m] = -1.0
    out.revealed[m] = 0.0
    out.justification[m] = copy.justification
    out.obtrusiveness[m] = copy.obtrusiveness
    out.control[m] = copy.control
    out.asks[m] = NO_ASK
    out.exchange[m] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def put_grounds(out, m, k, view, copy, ahead, grounds):
    """Write what row ``m`` rests on, (relevance, due, wish, score) as float64, and its features.

    ``ahead`` messages go to her before it today.
    """
    relevance, due, wish, score = grounds
    out.relevance[m] = relevance
    out.score[m] = score
    x = out.features[m]
    gap = view.day - view.last_contact[k]
    fill_person(
        x,
        gap,
        view.week[k],
        view.month[k],
        view.sent[k],
        view.opened[k],
        view.clicked[k],
        view.unliked[k],
        ahead,
    )
    again = days_since_heard(view.recent_category, view.recent_day, k, out.category[m], view.day)
    fill_message(x, relevance, due, wish, out.saving[m], out.basis[m], again, copy)


@njit(cache=True, nogil=True, error_model="numpy")
def number_of(day, customer, place):
    """The unique number of a decision."""
    return (np.int64(day) + 32768) << 40 | np.int64(customer) << 8 | place


@njit(cache=True, nogil=True, error_model="numpy")
def _propose(out, view, today, who, category, score, relevance, propensity, basis, reason, scopes, copy):
    m, previous, ahead, channels = 0, -1, 0, 0
    for j in range(len(who)):
        k, c = who[j], category[j]
        if k != previous:
            previous, ahead, channels = k, 0, view.channels[k]
        channel = lowest_channel(channels)
        if today.offer[c] < 0 or channel < 0 or ahead >= view.room[k]:
            continue
        why = (np.int64(basis), np.int64(reason), np.int64(scopes))
        put_offer(out, m, k, today, copy, np.int64(channel), np.int64(c), why)
        out.propensity[m] = propensity[j]
        grounds = (np.float64(relevance[j]), np.float64(0.0), np.float64(0.0), np.float64(score[j]))
        put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
        channels &= 255 ^ (1 << channel)
        ahead += 1
        m += 1
    return m
