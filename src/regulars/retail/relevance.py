"""What she may need next, from her own rhythm: one score for each category, and the words behind it.

The own interval of a category is shrunk to what is usual: ``(last - first + 2 m) / (purchases - 1 + 2)`` days
with m the category's mean interval. The score is log-linear in a dozen features, so that each part of it can
be told.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numba import njit

from regulars.draws import log, sigmoid
from regulars.retail.catalog import Today
from regulars.retail.consent import View
from regulars.retail.record import holds
from regulars.terms import F32, F64


@dataclass(frozen=True)
class RelevanceWeights:
    """Weights of the log-odds that she buys from the category within a week. Priors until fitted.

    Attributes
    ----------
    bias : of a category she never bought and nobody else does either
    bought : per log(1 + days on which she bought it)
    recent : per log(1 + the same with a half-life of 30 days)
    share : per purchase of it a visit
    need : per min(1, elapsed / interval) ** 2: it builds up between purchases
    late : per log(elapsed / interval) beyond 1: she may have stopped
    fresh : when she bought it today or yesterday
    often : per log(30 / interval)
    popular : per log of the lines a basket that everybody buys, plus 5
    wish : she said so
    elsewhere : she buys it elsewhere
    tilt : per log ratio of people like her
    """

    bias: float = -4.6
    bought: float = 0.25
    recent: float = 0.9
    share: float = 0.9
    need: float = 0.9
    late: float = -0.9
    fresh: float = -0.6
    often: float = 0.45
    popular: float = 0.35
    wish: float = 4.5
    elsewhere: float = 2.0
    tilt: float = 0.8

    def column(self) -> F64:
        """(12,) float64 for kernels."""
        return np.array([getattr(self, weight.name) for weight in fields(self)], np.float64)


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


# ---- kernels --------------------------------------------------------------------------------------

ELSEWHERE_DAYS = 60  # what she bought elsewhere counts for so long
_NEVER_BOUGHT = -1.0
_SHRINK = 2.0
_LOG1P = np.log1p(np.arange(512))
_LOG1P_EIGHTHS = np.log1p(np.arange(2048) / 8)
_LONGEST = 600
_LOG_ROOM = 4 * 1024
_LOG_QUARTERS = np.log(np.maximum(np.arange(_LOG_ROOM), 1) / 4)
_LOG_30 = float(np.log(30))
_DECAY = 0.5 ** (np.arange(_LONGEST) / 30)


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
def base(w, popular):
    """The part of the log-odds that is the same for everybody."""
    return w[0] + w[8] * (log(popular + 1e-4) + 5.0)


@njit(cache=True, nogil=True, error_model="numpy")
def own(w, bought, recent, visits, interval, elapsed):
    """What her purchases of a category add to the log-odds."""
    ratio = elapsed / interval
    score = liking(w, bought, recent, visits, np.int64(elapsed))
    score += w[4] * min(1.0, ratio * ratio)
    # Logarithms from a table of quarters of a day: this is the innermost loop of a run.
    log_interval = _LOG_QUARTERS[min(int(4.0 * interval), _LOG_ROOM - 1)]
    if ratio > 1.0:
        score += w[5] * (_LOG_QUARTERS[min(int(4.0 * elapsed), _LOG_ROOM - 1)] - log_interval)
    if elapsed <= 1.0:
        score += w[6]
    return score + w[7] * (_LOG_30 - log_interval)


@njit(cache=True, nogil=True, error_model="numpy")
def liking(w, bought, recent, visits, elapsed):
    """The part of ``own`` that does not ask when."""
    score = w[1] * _LOG1P[min(bought, 511)]
    kept = recent * _DECAY[min(max(elapsed, 0), _LONGEST - 1)]
    score += w[2] * _LOG1P_EIGHTHS[min(int(kept / 32), 2047)]
    return score + w[3] * min(1.0, bought / max(visits, 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(view, today, out):
    w = today.need
    for k in range(len(view.row)):
        for c in range(len(today.offer)):
            score = base(w, today.popular[c])
            interval, elapsed, due = np.float64(today.interval[c]), _NEVER_BOUGHT, 0.0
            if len(view.visits) and view.bought[k, c] > 0:
                interval, elapsed = rhythm(
                    view.bought[k, c], view.first_day[k, c], view.last_day[k, c], view.day, interval
                )
                due = due_of(interval, elapsed)
                score += own(w, view.bought[k, c], view.recent[k, c], view.visits[k], interval, elapsed)
            if len(view.wish_until) and holds(view.wish_category, view.wish_until, k, c, view.day):
                score += w[9]
            if len(view.elsewhere_day) and holds(
                view.elsewhere_category, view.elsewhere_day, k, c, view.day - ELSEWHERE_DAYS
            ):
                score += w[10]
            out.relevance[k, c] = sigmoid(score)
            out.interval[k, c] = interval
            out.elapsed[k, c] = elapsed
            out.due[k, c] = due
