"""What she may need next, from her own record: one score for each category, and the words behind it.

The score is the log-odds that she buys from the category within a week: a weighted sum of eleven features, so that
each part of it can be told. What does not depend on her is one table a day (:func:`table`); ``own`` adds hers. Weights
are fitted on real households by ``benchmarks/relevance.py``; those of wishes, of what is bought elsewhere and of
people like her are priors, because no such data exist.

The own interval of a category is shrunk to what is usual: ``(last - first + 2 m) / (purchases - 1 + 2)`` days with m
the category's mean interval.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numba import njit

from regulars.draws import log, log_column, sigmoid
from regulars.retail.catalog import Today
from regulars.retail.consent import View
from regulars.retail.record import (
    KEPT_ONE,
    LATELY_ONE,
    PACE_ONE,
    SMALL_KEPT,
    SMALL_ONE,
    TOTALS_ONE,
    Totals,
    holds,
    kept_after,
    lately_after,
    pace_after,
)
from regulars.terms import F32, F64


@dataclass(frozen=True)
class RelevanceWeights:
    """Weights of the log-odds that she buys from the category within a week; logarithms are natural.

    Fitted to The Complete Journey by ``python benchmarks/relevance.py``, but for the last three.

    Attributes
    ----------
    bias : of all
    shared : per log of her purchases of it, fading by 4% a visit, plus ten times its share of all baskets
    single : per log of the category's mean of 1 / categories in the basket: what is often bought alone
    again : per log of the share of its buyers who bought it twice, over her own purchases of it
    trend : per log ratio of its share of baskets last week (half-life 7 days) to the quarter's (84 days)
    lately : per log of her purchases with a half-life of 10 days, plus .02
    due : per min(1, days since / (own interval + 1))
    due_square : per the square of it
    single_fit : per ``single`` times log of her own mean of 1 / categories, plus 1.3
    pace : per log of her visits with a half-life of 28 days, plus .5
    visits : per log of all her visits, plus 1: what she has not bought in many she will not buy now
    stranger : of all, where nothing of her purchases is known
    stranger_shared : there, per log of ten times the category's share of all baskets
    wish : she said so
    elsewhere : she buys it elsewhere
    tilt : per log ratio of people like her
    """

    bias: float = -3.472
    shared: float = 0.805
    single: float = 0.051
    again: float = 0.809
    trend: float = 0.956
    lately: float = 0.148
    due: float = 0.941
    due_square: float = -0.329
    single_fit: float = 0.138
    pace: float = 0.982
    visits: float = -0.347
    stranger: float = -2.374
    stranger_shared: float = 1.017
    wish: float = 4.5
    elsewhere: float = 2.0
    tilt: float = 0.8

    def column(self) -> F64:
        """(16,) float64 for kernels."""
        return np.array([getattr(self, weight.name) for weight in fields(self)], np.float64)


#: The eleven features of a category for a customer, in the order of the first weights; the first is 1.
FEATURES = (
    "bias", "shared", "single", "again", "trend", "lately", "due", "due_square", "single_fit", "pace", "visits",
)  # fmt: skip


class Relevance(NamedTuple):
    """Scores of n customers and C categories."""

    relevance: F32  #: (n, C) chance that she buys from it within a week
    interval: F32  #: (n, C) days between her purchases, shrunk
    elapsed: F32  #: (n, C) days since the last one; -1 never bought
    due: F32  #: (n, C) min(1, elapsed / interval) ** 2, fading once she is far beyond


def relevances(view: View, today: Today) -> Relevance:
    """Relevance of every category to everybody in the view; for policies of your own and for explanations."""
    shape = (len(view.row), len(today.offer))
    out = Relevance(*(np.empty(shape, np.float32) for _ in range(4)))
    _fill(view, today, out)
    return out


def features(view: View, today: Today) -> F32:
    """(n, C, 11) what the score weighs, for fitting; without wishes, with the purchases opened."""
    out = np.empty((len(view.row), len(today.offer), len(FEATURES)), np.float32)
    _describe(view, today, out)
    return out


def crowd(totals: Totals) -> F64:
    """(C, 4) what everybody's purchases say of each category: share of baskets, ``trend``, ``single``, ``again``."""
    week, quarter = (totals.faded + totals.today * TOTALS_ONE) / TOTALS_ONE
    share = (quarter[:-1] + _USUAL_WEIGHT * USUAL_SHARE) / (quarter[-1] + _USUAL_WEIGHT)
    lately = (week[:-1] + _USUAL_WEIGHT * share) / (week[-1] + _USUAL_WEIGHT)
    trend = log_column(lately + LEAST_SHARE) - log_column(share + LEAST_SHARE)
    single = log_column((totals.single / TOTALS_ONE + SINGLE_PRIOR[0]) / (totals.bought + SINGLE_PRIOR[1]))
    again = log_column((totals.again + AGAIN_PRIOR[0]) / (totals.buyers + AGAIN_PRIOR[1]))
    return np.column_stack([share, trend, single, again])


def table(w: F64, known: F64) -> F64:
    """(C, 6) all of the score that does not depend on her; columns ``NEVER_BOUGHT`` to ``OF_STRANGER``.

    Parameters
    ----------
    w : from :meth:`RelevanceWeights.column`
    known : from :func:`crowd`
    """
    share, trend, single, again = known.T
    everybody = SHARED_TIMES * share + LEAST_SHARE
    likely = log_column(everybody)
    bought = w[BIAS] + w[SINGLE] * single + w[TREND] * trend
    never = bought + w[LATELY] * float(log(LATELY_LEAST)) + w[SHARED] * likely
    stranger = w[STRANGER] + w[STRANGER_SHARED] * likely
    columns = (never, bought, everybody, w[AGAIN] * again, w[SINGLE_FIT] * single, stranger)
    return np.ascontiguousarray(np.column_stack(columns))


# ---- kernels --------------------------------------------------------------------------------------

# What both this score and that of products and types (``next_need``) add to a count before its logarithm, and how
# they shrink what everybody's purchases say.
LATELY_LEAST, LEAST_SHARE, SHARED_TIMES = 0.02, 1e-4, 10.0
SINGLE_PRIOR, AGAIN_PRIOR, FIT_CENTRE = (0.3, 2.0), (1.0, 5.0), 1.3
PACE_LEAST = 0.5
USUAL_SHARE = 0.03  # of all baskets, of a category of which nothing is known; weighs 20 baskets
_USUAL_WEIGHT = 20.0

(BIAS, SHARED, SINGLE, AGAIN, TREND, LATELY, DUE, DUE_SQUARE, SINGLE_FIT, PACE, VISITS, STRANGER, STRANGER_SHARED,
 WISH, ELSEWHERE, TILT) = range(16)  # fmt: skip
#: Columns of ``Today.needs``: log-odds when she never bought it; the part of it that stays once she has; ten times
#: the share of baskets; ``again`` and ``single_fit`` weighed; log-odds for a stranger.
NEVER_BOUGHT, HAS_BOUGHT, EVERYBODY, REPEATED, FITTING, OF_STRANGER = range(6)

ELSEWHERE_DAYS = 60  # what she bought elsewhere counts for so long
_NEVER = -1.0
_SHRINK = 2.0
_LONGEST = 600
_STEADY_LATELY = 0.3  # of a category that she buys about every three weeks; assumed
_INVERSE = 1 / np.maximum(np.arange(512), 1)
# All of the weights that ``1 - SMALL_KEPT ** visits`` baskets have.
_SMALL_WEIGHT = np.maximum(1 - SMALL_KEPT ** np.arange(_LONGEST), 1e-9) / (1 - SMALL_KEPT)
# Logarithms by the leading bits of a float32, 128 an octave from 2 ** -14 to 2 ** 10: this is the innermost loop of a
# run, and .004 of a logarithm decides nothing.
_OCTAVE_BITS, _FIRST_OCTAVE, _OCTAVES = 7, -14, 24
_SHIFT = 23 - _OCTAVE_BITS
_FIRST_BITS = (127 + _FIRST_OCTAVE) << _OCTAVE_BITS
_PLACES = np.arange(_OCTAVES << _OCTAVE_BITS)
_MIDDLES = 2.0 ** (_FIRST_OCTAVE + (_PLACES >> _OCTAVE_BITS)) * (
    1 + ((_PLACES & ((1 << _OCTAVE_BITS) - 1)) + 0.5) / (1 << _OCTAVE_BITS)
)
_LOGS = np.log(_MIDDLES).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def quick_log(x):
    """Logarithm of x in [2 ** -14, 2 ** 10), to .004."""
    return np.float64(_LOGS[(np.float32(x).view(np.int32) >> _SHIFT) - _FIRST_BITS])


@njit(cache=True, nogil=True, error_model="numpy")
def rhythm(bought, first, last, day, usual):
    """Interval and elapsed days of a category bought at least once."""
    interval = (last - first + _SHRINK * usual) / (bought - 1.0 + _SHRINK)
    return max(interval, 1.0), np.float64(day - last)


@njit(cache=True, nogil=True, error_model="numpy")
def due_of(interval, elapsed):
    """How near her own time for it: builds up to 1 at the interval, fades from twice the interval on."""
    ratio = elapsed / interval
    if ratio <= 1.0:
        return ratio * ratio
    return 1.0 if ratio <= 2.0 else 2.0 / ratio


@njit(cache=True, nogil=True, error_model="numpy")
def person(w, visits, pace, small, last_visit, day):
    """What is hers whatever the category: log-odds to add, and how small her baskets are (``single_fit``)."""
    if visits == 0:
        return 0.0, 0.0
    faded = pace / PACE_ONE * pace_after(day - last_visit)
    smallness = small / SMALL_ONE / _SMALL_WEIGHT[min(visits, _LONGEST - 1)]
    start = w[PACE] * log(faded + PACE_LEAST) + w[VISITS] * log(visits + 1.0)
    return start, log(max(smallness, 1e-3)) + FIT_CENTRE


@njit(cache=True, nogil=True, error_model="numpy")
def base(needs, c, visits, fit):
    """Log-odds that somebody buys from a category within a week who never did, without her pace."""
    if visits == 0:
        return needs[c, OF_STRANGER]
    return needs[c, NEVER_BOUGHT] + fit * needs[c, FITTING]


@njit(cache=True, nogil=True, error_model="numpy")
def own(w, needs, c, purchases, k, visits, fit, interval, elapsed):
    """The same of a category that she bought before."""
    kept, lately, last_nth, bought = purchases
    score = liking(w, needs, c, kept[k, c], bought[k, c], visits - last_nth[k, c], fit)
    faded = lately[k, c] * (lately_after(np.int64(elapsed)) / LATELY_ONE)
    due = min(1.0, elapsed / (interval + 1.0))
    return score + w[LATELY] * quick_log(faded + LATELY_LEAST) + due * (w[DUE] + w[DUE_SQUARE] * due)


@njit(cache=True, nogil=True, error_model="numpy")
def liking(w, needs, c, kept, bought, back, fit):
    """The part of ``own`` that does not ask when; she bought it last ``back`` visits ago."""
    fade = kept_after(back) / KEPT_ONE
    score = needs[c, HAS_BOUGHT] + fit * needs[c, FITTING]
    score += w[SHARED] * quick_log(kept * fade + needs[c, EVERYBODY])
    return score + needs[c, REPEATED] * _INVERSE[min(bought, 511)]


@njit(cache=True, nogil=True, error_model="numpy")
def steady(w):
    """What ``own`` adds to ``liking`` half-way to her next purchase; for who does not ask when."""
    return w[LATELY] * log(_STEADY_LATELY + LATELY_LEAST) + 0.5 * w[DUE] + 0.25 * w[DUE_SQUARE]


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(view, today, out):
    w, needs = today.need, today.needs
    purchases = (view.kept, view.lately, view.last_nth, view.bought)
    for k in range(len(view.row)):
        visits, start, fit = np.int64(0), 0.0, 0.0
        if len(view.visits):
            visits = np.int64(view.visits[k])
            start, fit = person(w, visits, view.pace[k], view.small[k], view.last_visit[k], view.day)
        for c in range(len(today.offer)):
            interval, elapsed, due = np.float64(today.interval[c]), _NEVER, 0.0
            if visits > 0 and view.bought[k, c] > 0:
                interval, elapsed = rhythm(
                    view.bought[k, c], view.first_day[k, c], view.last_day[k, c], view.day, interval
                )
                due = due_of(interval, elapsed)
                score = start + own(w, needs, c, purchases, k, visits, fit, interval, elapsed)
            else:
                score = start + base(needs, c, visits, fit)
            if len(view.wish_until) and holds(view.wish_category, view.wish_until, k, c, view.day):
                score += w[WISH]
            if len(view.elsewhere_day) and holds(
                view.elsewhere_category, view.elsewhere_day, k, c, view.day - ELSEWHERE_DAYS
            ):
                score += w[ELSEWHERE]
            out.relevance[k, c] = sigmoid(score)
            out.interval[k, c] = interval
            out.elapsed[k, c] = elapsed
            out.due[k, c] = due


@njit(cache=True, nogil=True, error_model="numpy")
def _describe(view, today, out):
    only = np.zeros(16)
    only[PACE] = 1.0
    for k in range(len(view.row)):
        visits = np.int64(view.visits[k])
        pace, fit = person(only, visits, view.pace[k], view.small[k], view.last_visit[k], view.day)
        for c in range(len(today.offer)):
            share, trend, single, again = today.crowd[c]
            f = out[k, c]
            bought = view.bought[k, c]
            kept, lately = 0.0, 0.0
            f[AGAIN], f[DUE] = 0.0, 0.0
            if bought > 0:
                fade = kept_after(visits - view.last_nth[k, c]) / KEPT_ONE
                kept = view.kept[k, c] * fade
                interval, elapsed = rhythm(
                    bought, view.first_day[k, c], view.last_day[k, c], view.day, today.interval[c]
                )
                lately = view.lately[k, c] * (lately_after(np.int64(elapsed)) / LATELY_ONE)
                f[AGAIN] = again / bought
                f[DUE] = min(1.0, elapsed / (interval + 1.0))
            f[BIAS] = 1.0
            f[SHARED] = log(kept + SHARED_TIMES * share + LEAST_SHARE)
            f[SINGLE] = single
            f[TREND] = trend
            f[LATELY] = log(lately + LATELY_LEAST)
            f[DUE_SQUARE] = f[DUE] * f[DUE]
            f[SINGLE_FIT] = single * fit
            f[PACE] = pace
            f[VISITS] = log(visits + 1.0)
