"""How each household's rate of shopping drifts from week to week, and how many days it will shop next.

In week t household i shops on a Binomial(7, 1 - exp(-r / 7)) number of days, with log r = usual_i + away_it. What is
usual for it never changes; how far away from it it is follows an AR(1) with stationary deviation ``spread`` and
``persistence`` from one week to the next. The spread of the usual rates over households is whatever fits best
(empirical Bayes, by EM on a grid), so the posterior of a household is exact on the grid: no simulation.
Figures are in ``docs/next-need.md``.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from numba import njit

from regulars.errors import ShapeError
from regulars.terms import F64, I64

DAYS = 7
USUAL = np.linspace(np.log(0.02), np.log(8.0), 22)  #: log shopping days a week
AWAY = np.linspace(-2.5, 2.5, 11)  #: in standard deviations
ROUNDS = 6
#: Persistence and spread that are tried; the likeliest is kept.
GRID = ((0.9, 0.5), (0.95, 0.5), (0.95, 0.8), (0.97, 0.7), (0.97, 1.0), (0.98, 0.8), (0.98, 1.2), (0.99, 1.0))


class Drift(NamedTuple):
    """Where N households stand after the last week, on a grid of M usual rates and D distances from them."""

    persistence: float  #: of the distance from the usual log rate, from week to week
    spread: float  #: its stationary standard deviation
    posterior: F64  #: (N, M, D)
    days: F64  #: (M, D) shopping days a week at each point
    moves: F64  #: (D, D) chances from one distance to another in a week
    log_likelihood: float  #: mean over households


class Forecast(NamedTuple):
    """Shopping days of N households in the weeks to come."""

    mean: F64  #: (N,)
    variance: F64  #: (N,)
    median: F64  #: (N,) of the negative binomial with this mean and variance


def fit_drift(days: I64, grid: tuple[tuple[float, float], ...] = GRID) -> Drift:
    """The likeliest drift of these households, and where each of them stands.

    Parameters
    ----------
    days : (N, weeks) shopping days in each week, 0 to 7
    grid : persistence and spread to try
    """
    if days.ndim != 2 or days.min(initial=0) < 0 or days.max(initial=0) > DAYS:
        raise ShapeError(
            f"days is {days.shape} from {days.min()} to {days.max()}. Give (N, weeks) of 0 to {DAYS}"
        )
    return max((_fit_one(days, *point) for point in grid), key=lambda drift: drift.log_likelihood)


def foretell(drift: Drift, weeks: int) -> Forecast:
    """Shopping days in the next ``weeks`` weeks."""
    mean, square = np.zeros_like(drift.days), np.zeros_like(drift.days)
    # Backwards: what the rest of the weeks brings from each point, and its square.
    for _ in range(weeks):
        later, later_square = mean @ drift.moves.T, square @ drift.moves.T
        square = drift.days**2 + 2 * drift.days * later + later_square
        mean = drift.days + later
    expected = np.einsum("nmd,md->n", drift.posterior, mean @ drift.moves.T)
    squared = np.einsum("nmd,md->n", drift.posterior, square @ drift.moves.T)
    # A week's days vary a little less than Poisson counts would, for there are only seven.
    variance = np.maximum(squared - expected**2, 0) + 0.75 * expected
    variance = np.maximum(variance, 1.001 * expected)
    median = np.empty(len(expected))
    _medians(expected, variance, median)
    return Forecast(expected, variance, median)


def _fit_one(days: I64, persistence: float, spread: float) -> Drift:
    rate = np.exp(USUAL[:, None] + spread * AWAY[None, :])
    chance = 1 - np.exp(-rate / DAYS)
    count = np.arange(DAYS + 1)[:, None, None]
    ways = np.array([comb(DAYS, k) for k in range(DAYS + 1)])[:, None, None]
    likelihood = ways * chance**count * (1 - chance) ** (DAYS - count)
    moves = np.exp(-0.5 * (AWAY[None, :] - persistence * AWAY[:, None]) ** 2 / (1 - persistence**2))
    moves /= moves.sum(1, keepdims=True)
    start = np.exp(-0.5 * AWAY**2)
    start /= start.sum()
    usual = np.full(len(USUAL), 1 / len(USUAL))
    posterior, fitted = np.empty((len(days), *rate.shape)), np.empty(len(days))
    for _ in range(ROUNDS):
        _filter(days, likelihood, moves, usual[:, None] * start[None, :], posterior, fitted)
        usual = posterior.sum(2).mean(0) + 1e-6
        usual /= usual.sum()
    return Drift(persistence, spread, posterior, DAYS * chance, moves, float(fitted.mean()))


@njit(cache=True, nogil=True)
def _filter(days, likelihood, moves, prior, posterior, fitted):
    many, away = prior.shape
    ahead = np.empty((many, away))
    for i in range(len(days)):
        here = posterior[i]
        here[:] = prior
        fitted[i] = 0.0
        for t in range(days.shape[1]):
            if t > 0:
                ahead[:] = 0.0
                for m in range(many):
                    for d in range(away):
                        if here[m, d] > 1e-12:
                            for e in range(away):
                                ahead[m, e] += here[m, d] * moves[d, e]
                here[:] = ahead
            here *= likelihood[days[i, t]]
            total = here.sum()
            here /= total
            fitted[i] += np.log(total)


@njit(cache=True, nogil=True)
def _medians(mean, variance, median):
    for i in range(len(mean)):
        chance = mean[i] / variance[i]
        size = mean[i] * chance / (1 - chance)
        mass = np.exp(size * np.log(chance))
        below, k = mass, 0
        while below < 0.5 and k < 10_000:
            mass *= (size + k) / (k + 1) * (1 - chance)
            k += 1
            below += mass
        median[i] = k
