"""What each household needs: rates of its categories, season, hazards by age and size, and novelty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from regulars import draws
from regulars.consumers.choice import AGE_BIN, AGE_STEPS, LOG_AGE, pace_of
from regulars.consumers.population import AGE_EDGES, BASKET_SIZES, PACE_EDGES
from regulars.fitting.history import History, week_of_day
from regulars.fitting.regularity import drawn_level
from regulars.terms import F64, I32, I64

SEASON_WEIGHT = 60.0
AGE_WEIGHT = 60.0
SIZE_WEIGHT = 20.0
BREADTH_WEIGHT = 3.0
#: Part of the posterior scatter that rates are drawn with. All of it would hide what baskets tell of a household's age.
DRAWN = 0.6
RATE_SEED = 20170103
_RATE = int(draws.Purpose.RATE)
#: Variance of the number of purchases of a year over its mean: needs come more regularly than at random, so that a
#: count tells more than that of a Poisson process would.
REGULAR = 0.6
ROUNDS = 4
#: Powers among which each household's regularity is found.
OF_NEEDS = 1
NEED_POWERS = np.array([-0.4, -0.25, -0.1, 0.0, 0.1, 0.25, 0.4, 0.6, 0.9])
#: Basket sizes are read in these groups, so that a rare category has numbers in each.
SIZE_EDGES = np.array([1, 2, 4, 7, 12, 20, 33, 55])
SIZE_GROUP = np.searchsorted(SIZE_EDGES, BASKET_SIZES)


class Rows(NamedTuple):
    """The repertoire: which household ever bought which category, K rows by household, then category."""

    ptr: I64  #: (N + 1,)
    category: I32  #: (K,)
    bought: I64  #: (B,) row of each category bought
    times: F64  #: (K,) shopping days on which it was bought


class CategoryHabits(NamedTuple):
    """What K rows and C categories tell."""

    rate: F64  #: (K,)
    interval: F64  #: (K,) days
    power: F64  #: (N,) regularity
    season: F64  #: (weeks, C)
    age_hazard: F64  #: (C, 13)
    pace_hazard: F64  #: (5, 13)
    size_factor: F64  #: (22, C)
    novelty: F64  #: (N,)
    entry: F64  #: (C,) probabilities of the category entered


def rows_of_history(history: History, categories: int) -> Rows:
    """Every household's categories."""
    cell = history.bought_household * categories + history.bought_category
    unique, bought, count = np.unique(cell, return_inverse=True, return_counts=True)
    ptr = np.searchsorted(unique, np.arange(history.households + 1) * categories).astype(np.int64)
    return Rows(
        ptr, (unique % categories).astype(np.int32), bought.astype(np.int64), count.astype(np.float64)
    )


def fit_categories(
    history: History, rows: Rows, intended: I64, promoted: F64, start: CategoryHabits | None = None
) -> CategoryHabits:
    """Empirical Bayes: gamma rates per household and category, and the tables that all share.

    Parameters
    ----------
    history, rows : purchases of N households in C categories
    intended : (T,) index of BASKET_SIZES of each shopping day
    promoted : (weeks, C) what the week's prices and placement do to each category, mean about 1
    start : tables to begin with; flat ones unless given
    """
    weeks, categories = promoted.shape
    # What comes out on average, not the hazard that brings it out: a basket is never empty.
    scale = BASKET_SIZES.astype(np.float64)[intended]
    every = np.add.reduceat(np.append(scale, 0.0), history.trip_ptr[:-1]) * (np.diff(history.trip_ptr) > 0)
    prior = _Prior(history, rows, categories, every)
    interval = history.days / np.maximum(prior.mean_count(rows.times), 0.3)
    rate = prior.rate(rows.times, np.repeat(every, np.diff(rows.ptr)))
    if start is None:
        season = np.ones((weeks, categories))
        age_hazard = np.ones((categories, len(AGE_EDGES) + 1))
        pace_hazard = flat_pace()
        size_factor = np.ones((len(BASKET_SIZES), categories))
    else:
        season, age_hazard, pace_hazard, size_factor = (
            start.season.copy(),
            start.age_hazard.copy(),
            start.pace_hazard.copy(),
            start.size_factor.copy(),
        )
    power = np.zeros(history.households)
    for turn in range(ROUNDS):
        fit = np.zeros((history.households, len(NEED_POWERS)))
        ages, paces, exposure, week_table, size_table = tabulate(
            history, rows, scale, intended, promoted, rate, interval, season, age_hazard, pace_hazard, size_factor,
            power,
            fit if turn > 0 else None,
        )  # fmt: skip
        if 0 < turn < ROUNDS - 1:
            power = drawn_level(fit, NEED_POWERS, OF_NEEDS)
            power -= power.mean()  # what all have in common is in the tables
        rate = prior.rate(rows.times, exposure)
        season *= (week_table[0] + SEASON_WEIGHT) / (week_table[1] + SEASON_WEIGHT)
        season /= np.maximum(_weighted(season, week_table[1]), 1e-9)
        season[week_table[1].sum(1) == 0] = 1.0
        age_hazard = shrunken(age_hazard, *ages)
        # What all paces have in common is in the table of ages.
        shared = (paces[0].sum(0) + 1.0) / (paces[1].sum(0) + 1.0)
        pace_hazard = shrunken(pace_hazard, paces[0], paces[1] * shared, together=False)
        size_factor *= _by_group(size_table[0], size_table[1])
    novelty, entry = prior.novelty(rows, every)
    drawn = prior.drawn(rows.times, exposure)
    interval, rate = interval * rate / drawn, drawn
    return CategoryHabits(rate, interval, power, season, age_hazard, pace_hazard, size_factor, novelty, entry)


def flat_pace() -> F64:
    """(5, 13) hazards by own mean interval and age that say nothing."""
    return np.ones((len(PACE_EDGES) + 1, len(AGE_EDGES) + 1))


def shrunken(table: F64, found: F64, expected: F64, *, together: bool = True) -> F64:
    """A (C, bins) table of hazards moved towards found / expected, each row leaning on all ``together``."""
    usual = (found.sum(0) + 1.0) / (expected.sum(0) + 1.0) if together else np.ones(found.shape[1])
    moved = table * (found + AGE_WEIGHT * usual) / (expected + AGE_WEIGHT)
    mean = (moved * (expected + 1e-9)).sum(1) / ((expected + 1e-9).sum(1))
    return np.asarray(np.clip(moved / mean[:, None], 0.02, 20.0))


def _weighted(season: F64, expected: F64) -> F64:
    return np.asarray((season * (expected + 1e-9)).sum(0) / (expected + 1e-9).sum(0))


def _by_group(found: F64, expected: F64) -> F64:
    ratio = np.ones_like(found)
    for group in range(SIZE_GROUP.max() + 1):
        inside = np.equal(SIZE_GROUP, group)
        if inside.any():
            ratio[inside] = (found[inside].sum(0) + SIZE_WEIGHT) / (expected[inside].sum(0) + SIZE_WEIGHT)
    return ratio


class _Prior:
    """Gamma prior of the rate of a category, times the breadth of the household."""

    def __init__(self, history: History, rows: Rows, categories: int, every: F64) -> None:
        per_category = np.bincount(rows.category, rows.times, categories)
        buyers = np.bincount(rows.category, minlength=categories)
        mean = np.maximum(per_category, 0.3) / max(every.sum(), 1e-9)
        self.shape = _shapes(mean, np.minimum(buyers, history.households * 0.995), every)
        self.per = self.shape / mean
        have = np.diff(rows.ptr)
        self.breadth = _breadth(have, self.shape, self.per, every)
        self._household = np.repeat(np.arange(history.households), have)
        self._rows, self._every = rows, every

    def rate(self, count: F64, exposure: F64) -> F64:
        """(K,) posterior mean."""
        c = self._rows.category
        prior = self.shape[c] * self.breadth[self._household]
        return np.asarray((REGULAR * prior + count) / (REGULAR * self.per[c] + exposure))

    def drawn(self, count: F64, exposure: F64) -> F64:
        """(K,) between the posterior mean and a draw: with means alone, nobody would buy a thing but once."""
        c = self._rows.category
        prior = self.shape[c] * self.breadth[self._household]
        mean = REGULAR * prior + count
        luck = np.empty(len(mean))
        _gammas(draws.stream(RATE_SEED), self._household.astype(np.uint32), c, mean, luck)
        return np.asarray((mean + DRAWN * (luck - mean)) / (REGULAR * self.per[c] + exposure))

    def mean_count(self, count: F64) -> F64:
        """(K,) purchases that the posterior expects in such a span."""
        every = self._every[self._household]
        return np.asarray(self.rate(count, every) * every)

    def novelty(self, rows: Rows, every: F64) -> tuple[F64, F64]:
        """Rate of categories that a household never bought, and which these are over all households."""
        table = self.shape[None, :] * self.breadth[:, None] / (self.per[None, :] + every[:, None])
        table[self._household, rows.category] = 0.0
        total = table.sum(0) + 1e-9
        return table.sum(1), total / total.sum()


def _breadth(have: I64, shape: F64, per: F64, every: F64) -> F64:
    """(N,) factor on the shapes with which a household buys as many categories as it did, by bisection.

    Its number counts for as much as BREADTH_WEIGHT categories against the usual one.
    """
    silent = shape[None, :] * np.log1p(every[:, None] / per[None, :])
    usual = (1.0 - np.exp(-silent)).sum(1)
    wanted = usual * (have + BREADTH_WEIGHT) / (usual + BREADTH_WEIGHT)
    low, high = np.full(len(have), np.log(0.05)), np.full(len(have), np.log(8.0))
    for _ in range(16):
        middle = (low + high) / 2
        found = (1.0 - np.exp(-silent * np.exp(middle)[:, None])).sum(1)
        high, low = np.where(found > wanted, middle, high), np.where(found > wanted, low, middle)
    return np.asarray(np.exp((low + high) / 2))


def _shapes(mean: F64, buyers: F64, every: F64) -> F64:
    """(C,) gamma shapes with which as many households buy nothing as did, by bisection on the log."""
    low, high = np.full(len(mean), np.log(0.01)), np.full(len(mean), np.log(20.0))
    for _ in range(18):
        middle = (low + high) / 2
        shape = np.exp(middle)
        silent = np.exp(-shape[None, :] * np.log1p(every[:, None] * mean[None, :] / shape[None, :])).sum(0)
        # A larger shape spreads the purchases over more buyers.
        too_many = len(every) - silent > buyers
        high, low = np.where(too_many, middle, high), np.where(too_many, low, middle)
    return np.asarray(np.exp((low + high) / 2))


def tabulate(
    history: History, rows: Rows, scale: F64, intended: I64, promoted: F64,
    rate: F64, interval: F64, season: F64, age_hazard: F64, pace_hazard: F64, size_factor: F64,
    power: F64, fit: F64 | None = None,
) -> tuple[tuple[F64, F64], tuple[F64, F64], F64, tuple[F64, F64], tuple[F64, F64]]:  # fmt: skip
    """Purchases found and expected by age, by pace and age, by week and by size; and the exposure of each row.

    Ages count from the first purchase of a row; before it the hazard by age is 1 and the age tables are left
    alone.
    """
    ages = (np.zeros_like(age_hazard), np.zeros_like(age_hazard))
    paces = (np.zeros_like(pace_hazard), np.zeros_like(pace_hazard))
    exposure = np.zeros(len(rows.category))
    week_table = (np.zeros_like(season), np.zeros_like(season))
    size_table = (np.zeros_like(size_factor), np.zeros_like(size_factor))
    week_of = week_of_day(history.days, history.first_dow)
    _tabulate(
        history.trip_ptr, history.trip_day, history.bought_ptr, rows.ptr, rows.category, rows.bought,
        week_of, scale, intended, promoted, rate, interval, season, age_hazard, pace_hazard, size_factor,
        *ages, *paces, exposure, week_table[0], week_table[1], size_table[0], size_table[1],
        power, NEED_POWERS, np.zeros((0, 0)) if fit is None else fit,
        np.empty(int(np.diff(rows.ptr).max(initial=0)), np.int64),
    )  # fmt: skip
    return ages, paces, exposure, week_table, size_table


@njit(cache=True, nogil=True)
def _gammas(key, household, category, shape, out):
    for k in range(len(out)):
        out[k] = draws.gamma_draw(key, _RATE, household[k], 0, category[k], shape[k])


@njit(cache=True, nogil=True)
def _tabulate(
    trip_ptr, trip_day, bought_ptr, row_ptr, row_category, bought_row,
    week_of, scale, intended, promoted, rate, interval, season, age_hazard, pace_hazard, size_factor,
    found, expected, pace_found, pace_expected, exposure, week_found, week_expected, size_found, size_expected,
    power, powers, fit, last,
):  # fmt: skip
    factor = np.empty((len(powers), len(LOG_AGE)))
    for k in range(len(powers)):
        for b in range(len(LOG_AGE)):
            factor[k, b] = np.exp(powers[k] * LOG_AGE[b])
    for i in range(len(trip_ptr) - 1):
        begin = row_ptr[i]
        pace = 0
        for k in range(row_ptr[i + 1] - begin):
            last[k] = -1
        for trip in range(trip_ptr[i], trip_ptr[i + 1]):
            day = trip_day[trip]
            week = week_of[day]
            size = intended[trip]
            next_bought = bought_ptr[trip]
            stop = bought_ptr[trip + 1]
            for k in range(row_ptr[i + 1] - begin):
                row = begin + k
                c = row_category[row]
                other = scale[trip] * season[week, c] * size_factor[size, c] * promoted[week, c]
                known = last[k] >= 0
                if known:
                    step = (day - last[k]) / interval[row] * AGE_STEPS
                    b = AGE_BIN[int(min(step, len(AGE_BIN) - 1.0))]
                    pace = pace_of(interval[row])
                    other *= age_hazard[c, b] * pace_hazard[pace, b]
                    if len(fit):
                        came = next_bought < stop and bought_row[next_bought] == row
                        for j in range(len(powers)):
                            at = other * rate[row] * factor[j, b]
                            fit[i, j] += np.log(1.0 - np.exp(-at) + 1e-12) if came else -at
                    other *= np.exp(power[i] * LOG_AGE[b])
                hazard = other * rate[row]
                # Saturation: a probability counts for less than its hazard.
                p = hazard if hazard < 1e-3 else 1.0 - np.exp(-hazard)
                exposure[row] += p / rate[row]
                week_expected[week, c] += p
                size_expected[size, c] += p
                buys = next_bought < stop and bought_row[next_bought] == row
                if known:
                    expected[c, b] += p
                    pace_expected[pace, b] += p
                if buys:
                    week_found[week, c] += 1.0
                    size_found[size, c] += 1.0
                    if known:
                        found[c, b] += 1.0
                        pace_found[pace, b] += 1.0
                    last[k] = day
                    next_bought += 1
