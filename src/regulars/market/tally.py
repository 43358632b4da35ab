"""What a run counts: events by week and retailer, and one row per consumer and retailer; integers, so sums are exact."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.settings import RetailerSettings
from regulars.terms import ELECTRONIC, F32, U8, Fate, Reaction

#: Four-week periods in which trips per retailer are kept, to see who moved where.
PERIOD_DAYS = 28


class Count(enum.IntEnum):
    """Columns of the weekly counts."""

    REVENUE_CENTS = 0
    MARGIN_CENTS = 1
    COUPON_CENTS = 2
    CONTACTS = 3
    MAILED = 4
    OPENS = 5
    CLICKS = 6
    REDEMPTIONS = 7
    UNLIKES = 8
    COMPLAINTS = 9
    UNSUBSCRIBES = 10
    BLOCKS = 11
    COMPELLING = 12
    CREEPY = 13
    ANNOYING = 14
    IGNORED = 15
    TRIPS = 16
    LINES = 17
    DISCLOSURES = 18
    WITHDRAWALS = 19
    OUT_OF_STOCK = 20


class Tally(NamedTuple):
    """Counts of one arm in one world; W report weeks, R retailers, N consumers."""

    weekly: NDArray[np.int64]  #: (W, R, len(Count))
    margin_cents: NDArray[np.int64]  #: (N, R) after coupons, before the cost of contacts
    revenue_cents: NDArray[np.int64]  #: (N, R)
    verdicts: NDArray[np.int32]  #: (N, R, 4)
    mailed: NDArray[np.int32]  #: (N, R) contacts by post
    redemptions: NDArray[np.int32]  #: (N, R)
    trips: NDArray[np.int32]  #: (N, R)
    period_trips: NDArray[np.uint8]  #: (N, R, periods)
    shut_day: NDArray[np.int32]  #: (N, R) day she shut the retailer out, -1 never
    shut_reason: NDArray[np.uint8]  #: (N, R) Verdict of the message that did it, 255 none
    levels: NDArray[np.float64]  #: (W, R, 3) at week's end: reachable, shut out, trust summed


#: Columns of ``Tally.levels``.
REACHABLE, SHUT_OUT, TRUST = 0, 1, 2


class Terms(NamedTuple):
    """Assumed costs per retailer, (R,) float64."""

    margin: NDArray[np.float64]
    margin_private: NDArray[np.float64]
    discount_funded: NDArray[np.float64]
    coupon_funded: NDArray[np.float64]


def start(consumers: int, retailers: int, days: int) -> Tally:
    """Nothing counted yet."""
    weeks = max((days + 6) // 7, 1)
    periods = max((days + PERIOD_DAYS - 1) // PERIOD_DAYS, 1)
    shape = (consumers, retailers)
    return Tally(
        np.zeros((weeks, retailers, len(Count)), np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        np.zeros((*shape, 4), np.int32),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.int32),
        np.zeros((*shape, periods), np.uint8),
        np.full(shape, -1, np.int32),
        np.full(shape, 255, np.uint8),
        np.zeros((weeks, retailers, 3)),
    )


def costs(retailers: Sequence[RetailerSettings]) -> Terms:
    """The assumed costs of these retailers as columns."""
    return Terms(*(np.array([getattr(retailer, name) for retailer in retailers]) for name in Terms._fields))


def levels(tally: Tally, week: int, retailer: int, optin: U8, blocked: U8, trust: F32) -> None:
    """Note who is reachable, who has shut the retailer out, and trust, at a week's end."""
    reachable = (optin & ELECTRONIC != 0) & (blocked == 0)
    tally.levels[week, retailer] = (
        reachable.sum(),
        (tally.shut_day[:, retailer] >= 0).sum(),
        float(trust.sum()),
    )


@njit(cache=True, nogil=True)
def shop(tally, week, day, private, terms, shopper, retailer_of, trips, lines, n):
    """Count the trips and the served lines of one day."""
    for k in range(trips):
        i, r = shopper[k], retailer_of[k]
        tally.weekly[week, r, Count.TRIPS] += 1
        tally.trips[i, r] += 1
        tally.period_trips[i, r, day // PERIOD_DAYS] += 1
    for k in range(n):
        i, r = lines.consumer[k], lines.retailer[k]
        if lines.fate[k] != Fate.SERVED and lines.fate[k] != Fate.SUBSTITUTED:
            tally.weekly[week, r, Count.OUT_OF_STOCK] += 1
            continue
        if lines.fate[k] == Fate.SUBSTITUTED:
            tally.weekly[week, r, Count.OUT_OF_STOCK] += 1
        revenue = np.int64(lines.paid_cents[k])
        margin = line_margin(terms, private, lines, k)
        coupon = np.int64(np.rint(lines.coupon_cents[k] * (1.0 - terms.coupon_funded[r])))
        tally.weekly[week, r, Count.LINES] += 1
        tally.weekly[week, r, Count.REVENUE_CENTS] += revenue
        tally.weekly[week, r, Count.MARGIN_CENTS] += margin
        tally.weekly[week, r, Count.COUPON_CENTS] += coupon
        tally.revenue_cents[i, r] += revenue
        tally.margin_cents[i, r] += margin - coupon
        if lines.offer[k] >= 0:
            tally.weekly[week, r, Count.REDEMPTIONS] += 1
            tally.redemptions[i, r] += 1


@njit(cache=True, nogil=True)
def line_margin(terms, private, lines, k):
    """Cents that a line earns before coupons: what is paid, less cost of goods, plus the funded part of discounts."""
    r = lines.retailer[k]
    gross = lines.units[k] * lines.shelf_cents[k]
    rate = terms.margin_private[r] if private[lines.product[k]] else terms.margin[r]
    funded = (gross - lines.paid_cents[k]) * terms.discount_funded[r]
    return np.int64(lines.paid_cents[k]) - np.int64(np.rint(gross * (1.0 - rate) - funded))


@njit(cache=True, nogil=True)
def margins(margin_cents, private, terms, lines, n):
    """Add what the lines of a day earn to (N, R) ``margin_cents``."""
    for k in range(n):
        if lines.fate[k] == Fate.SERVED or lines.fate[k] == Fate.SUBSTITUTED:
            margin_cents[lines.consumer[k], lines.retailer[k]] += line_margin(terms, private, lines, k)


@njit(cache=True, nogil=True)
def contact(tally, week, retailer, mail, messages, responses):
    """Count the contacts of one retailer on one day, and what came back."""
    count = tally.weekly[week, retailer]
    for k in range(len(messages.consumer)):
        i = messages.consumer[k]
        count[Count.CONTACTS] += 1
        if messages.channel[k] == mail:
            count[Count.MAILED] += 1
            tally.mailed[i, retailer] += 1
        verdict = responses.verdict[k]
        count[Count.COMPELLING + verdict] += 1
        tally.verdicts[i, retailer, verdict] += 1
        bits = responses.reactions[k]
        count[Count.OPENS] += (bits >> Reaction.OPEN) & 1
        count[Count.CLICKS] += (bits >> Reaction.CLICK) & 1
        count[Count.UNLIKES] += (bits >> Reaction.UNLIKE) & 1
        count[Count.COMPLAINTS] += (bits >> Reaction.COMPLAIN) & 1
        count[Count.UNSUBSCRIBES] += (bits >> Reaction.UNSUBSCRIBE) & 1
        count[Count.BLOCKS] += (bits >> Reaction.BLOCK) & 1
        count[Count.DISCLOSURES] += (bits >> Reaction.DISCLOSE) & 1
        count[Count.WITHDRAWALS] += (bits >> Reaction.WITHDRAW) & 1


@njit(cache=True, nogil=True)
def shut_outs(tally, day, retailer, opt_in, blocked, messages, responses):
    """Note who shut the retailer out today, and after which verdict.

    Shut out means blocked, or no electronic channel left on which she may be contacted, after having had one.
    """
    for k in range(len(messages.consumer)):
        i = messages.consumer[k]
        bits = responses.reactions[k]
        left = (bits >> Reaction.UNSUBSCRIBE | bits >> Reaction.BLOCK | bits >> Reaction.COMPLAIN) & 1
        if left and tally.shut_day[i, retailer] < 0 and (blocked[i] or opt_in[i] & ELECTRONIC == 0):
            tally.shut_day[i, retailer] = day
            tally.shut_reason[i, retailer] = responses.verdict[k]
