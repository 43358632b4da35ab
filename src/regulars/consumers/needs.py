"""What she runs out of: the clocks since her last trip and last purchases, at the start and after a shop.

::

    needs = start(habits, demand, key, first_day)
    settle(day, needs, lines, n)
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars import draws
from regulars.consumers.kernels import DOOR
from regulars.consumers.population import AGE_EDGES, LARGE, Demand, Habits, Needs
from regulars.consumers.trips import DRIFT_RHO
from regulars.errors import ShapeError
from regulars.terms import NONE, Fate

_START = int(draws.Purpose.START)
_DRIFT = int(draws.Purpose.DRIFT)
_DRIFT_NEW = float(np.sqrt(1.0 - DRIFT_RHO**2))
_SERVED = int(Fate.SERVED)
_SUBSTITUTED = int(Fate.SUBSTITUTED)
#: Oldest clock at the start, in days.
OLDEST = 3000
#: Days from day 0 over which the drift of a trip rate averages 1, as it did in the year she was fitted on.
DRIFT_YEAR = 365


def start(habits: Habits, demand: Demand, key: NDArray[np.uint32], first_day: int) -> Needs:
    """Needs of every consumer on the evening before ``first_day``, drawn from their long run.

    Parameters
    ----------
    habits, demand : of a population
    key : (2,) uint32 from ``draws.stream``
    first_day : first day that will be lived; negative when there is a warm-up

    Returns
    -------
    Needs
        clocks are ages of a renewal process; the drift is stationary, and its level such that the trip rate
        of days 0 to 364 averages the fitted one. Another first day gives another past.

    Raises
    ------
    ShapeError
        when the rows of ``habits`` do not fit its consumers.
    """
    consumers = len(habits.consumer)
    if len(habits.row_ptr) != consumers + 1 or habits.row_ptr[-1] != len(habits.row_category):
        raise ShapeError(f"{consumers} consumers but row_ptr has {len(habits.row_ptr)} entries")
    needs = Needs(
        np.empty(consumers, np.int32),
        np.ones(consumers, np.int32),
        np.empty(consumers, np.float32),
        np.empty(consumers, np.float32),
        np.empty(consumers, np.int32),
        np.zeros(consumers, np.uint8),
        np.full(consumers, NONE, np.int32),
        np.empty(len(habits.row_category), np.int32),
        np.full(len(habits.row_category), NONE, np.int32),
    )
    _start(habits, needs, _age_cdf(demand.age_hazard), key, first_day)
    return needs


def _age_cdf(age_hazard: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C, bins + 1) distribution of (age / own interval) at any moment, at the edges of the bins."""
    edges = np.concatenate([[0.0], AGE_EDGES, [2 * AGE_EDGES[-1]]]).astype(np.float64)
    width = np.diff(edges)
    hazard = np.maximum(age_hazard.astype(np.float64), 1e-3)
    lived = np.concatenate([np.zeros((len(hazard), 1)), np.cumsum(hazard * width, 1)], 1)
    survival = np.exp(-lived)
    mass = (survival[:, :-1] - survival[:, 1:]) / hazard  # integral of the survival over each bin
    return np.asarray(
        np.concatenate([np.zeros((len(hazard), 1)), np.cumsum(mass, 1)], 1) / mass.sum(1, keepdims=True)
    )


_EDGES = np.concatenate([[0.0], AGE_EDGES, [2 * AGE_EDGES[-1]]]).astype(np.float64)


@njit(**DOOR)
def _start(habits, needs, age_cdf, key, first_day):
    for i in range(len(habits.consumer)):
        name = habits.consumer[i]
        first, second, third, _ = draws.four(key, _START, name, 0, 0)
        gap = -draws.log(draws.open_unit(first)) / habits.trip_rate[i]
        needs.last_trip[i] = first_day - 1 - np.int64(min(gap, 365.0))
        gap = -draws.log(draws.open_unit(third)) / (habits.trip_rate[i] * LARGE)
        needs.last_large[i] = first_day - 1 - np.int64(min(gap, 365.0))
        sigma = np.float64(habits.drift_sigma[i])
        drift = sigma * draws.normal_quantile(draws.open_unit(second))
        needs.drift[i] = drift
        needs.drift_level[i] = 0.0
        if sigma > 0.0:
            total = 0.0
            path = drift
            for day in range(first_day, DRIFT_YEAR):
                if day % 7 == 0:
                    path = DRIFT_RHO * path + _DRIFT_NEW * sigma * draws.normal(key, _DRIFT, name, day, 0)
                if day >= 0:
                    total += draws.exp(path) if day % 7 == 0 or day == max(first_day, 0) else 0.0
            weeks = 0
            for day in range(max(first_day, 0), DRIFT_YEAR):
                weeks += 1 if day % 7 == 0 or day == max(first_day, 0) else 0
            if weeks > 0:
                level = -draws.log(total / weeks)
                needs.drift_level[i] = level
                needs.drift[i] = drift + level
        for row in range(habits.row_ptr[i], habits.row_ptr[i + 1]):
            category = habits.row_category[row]
            u = draws.uniform(key, _START, name, 0, 1 + np.int64(category))
            cdf = age_cdf[category]
            edge = 0
            while edge < len(cdf) - 2 and u >= cdf[edge + 1]:
                edge += 1
            part = (u - cdf[edge]) / max(cdf[edge + 1] - cdf[edge], 1e-12)
            age = (_EDGES[edge] + part * (_EDGES[edge + 1] - _EDGES[edge])) * habits.row_interval[row]
            needs.last_bought[row] = first_day - 1 - np.int64(min(age, OLDEST))


@njit(**DOOR)
def settle(day, needs, lines, n):
    """Reset the clock of each category that was brought home today, as asked for or as a substitute."""
    for k in range(n):
        fate = lines.fate[k]
        row = lines.row[k]
        if row != NONE and (fate == _SERVED or fate == _SUBSTITUTED):
            needs.last_bought[row] = day
            needs.last_product[row] = lines.product[k]
