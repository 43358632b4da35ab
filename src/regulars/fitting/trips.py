"""How often each household shops: rates, weekdays, season, the hazard by days since the last trip, drift."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from regulars import draws
from regulars.consumers.population import GAP_EDGES
from regulars.consumers.trips import EARLIEST, GAP_BIN, LATEST
from regulars.fitting.history import History, week_of_day
from regulars.fitting.regularity import drawn_level
from regulars.terms import F64, I64, U8

#: Weight of the population's weekdays in a household's, in trips.
DOW_WEIGHT = 8.0
#: Weight of no effect in the season of a week and in a gap bin, in trips.
SEASON_WEIGHT = 20.0
GAP_WEIGHT = 20.0
#: Least and most regularity of a household against its class.
REGULARITY = (-0.6, 1.5)
GAP_POWERS = np.array([-0.15, 0.0, 0.15, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5])
OF_TRIPS = 0
RATE_CLASSES = 8
#: Strengths of drift among which each household's is drawn.
DRIFTS = np.array([0.05, 0.2, 0.35, 0.5, 0.7, 0.95, 1.25, 1.6])
DRIFT_SEED = 20170102
#: Where fewer than two periods are known.
UNKNOWN_DRIFT = 0.6
PERIOD_DAYS = 28
ROUNDS = 5
# Lags, in weeks, at which the drift is read: beyond what the gap hazard explains.
LAGS = range(2, 11)


class TripHabits(NamedTuple):
    """What the trips of N households tell."""

    rate: F64  #: (N,) hazard per day
    dow: F64  #: (N, 7) mean 1
    rate_class: U8  #: (N,)
    gap_power: F64  #: (N,)
    gap_hazard: F64  #: (8, 15)
    drift_sigma: F64  #: (N,) s.d. of the log of the drift
    week: F64  #: (53,) season
    prior_shape: float  #: of the gamma prior of the rate
    prior_days: float


def fit_trips(history: History, weeks: int) -> TripHabits:
    """Empirical Bayes: gamma rates, Dirichlet weekdays, a gap hazard for each class of rates.

    Parameters
    ----------
    history : of N households
    weeks : length of the table of seasons; weeks without an open day get 1
    """
    trips = np.diff(history.trip_ptr).astype(np.float64)
    dow_of_day = (np.arange(history.days) + history.first_dow) % 7
    week_of = week_of_day(history.days, history.first_dow)
    open_days = float(history.is_open.sum())
    dow = _weekdays(history, dow_of_day)
    shape, days = gamma_prior(trips, open_days)
    rate = (shape + trips) / (days + open_days)
    week = np.ones(weeks)
    length = np.bincount(week_of, minlength=weeks)[:weeks]
    shopped = np.bincount(week_of[history.trip_day], minlength=weeks)[:weeks]
    classes = _classes(rate)
    gap_hazard = np.ones((RATE_CLASSES, len(GAP_EDGES) + 1))
    power = np.zeros(history.households)
    for turn in range(ROUNDS):
        seen = walk(history, rate, dow, week, classes, gap_hazard, power)
        rate = (shape + trips) / (days + seen.exposure)
        week *= (shopped + SEASON_WEIGHT) / (seen.by_week + SEASON_WEIGHT)
        week /= np.average(week, weights=length)
        gap_hazard *= (seen.found + GAP_WEIGHT) / (seen.expected + GAP_WEIGHT)
        gap_hazard /= seen.mean_gap[:, None]
        if 0 < turn < ROUNDS - 1:
            power = drawn_level(seen.fit, GAP_POWERS, OF_TRIPS)
            # What a class has in common is in its table.
            power -= (np.bincount(classes, power) / np.maximum(np.bincount(classes), 1))[classes]
            power = np.clip(power, *REGULARITY)
        classes = _classes(rate)
    week[length == 0] = 1.0
    # Rates are trips a day: what a table has of them on average goes back to them.
    gap_hazard /= walk(history, rate, dow, week, classes, gap_hazard, power).mean_gap[:, None]
    for _ in range(3):
        seen = walk(history, rate, dow, week, classes, gap_hazard, power)
        rate = (shape + trips) / (days + seen.exposure)
    drift = _drifts(history, classes, week, power)
    return TripHabits(rate, dow, classes, power, gap_hazard, drift, week, shape, days)


def gamma_prior(counts: F64, exposure: float) -> tuple[float, float]:
    """Shape and exposure of the gamma prior that the counts of many households imply, by moments.

    Returns a prior worth one count when the counts vary no more than chance would have them.
    """
    mean = max(float(counts.mean()), 0.5)
    excess = float(counts.var()) - mean
    shape = min(max(mean * mean / excess, 0.2), 50.0) if excess > mean * mean / 50.0 else 50.0
    return shape, shape / mean * exposure


def drift_strength(history: History, rate_class: U8, week: F64) -> F64:
    """(8,) how far weekly trips two to ten weeks apart move together, by class of rates."""
    weeks = len(week)
    week_of = week_of_day(history.days, history.first_dow)
    index = history.trip_household * weeks + week_of[history.trip_day]
    counts = np.bincount(index, minlength=history.households * weeks).reshape(-1, weeks).astype(np.float64)
    length = np.bincount(week_of[history.is_open], minlength=weeks)[:weeks]
    whole = np.flatnonzero(length >= 5)
    usual = counts.sum(1, keepdims=True) / max(length.sum(), 1) * (week * length)[None, :]
    away = counts - usual
    result = np.zeros(RATE_CLASSES)
    for c in range(RATE_CLASSES):
        together, scale = 0.0, 0.0
        a, u = away[rate_class == c][:, whole], usual[rate_class == c][:, whole]
        for lag in LAGS:
            if lag < len(whole):
                together += float((a[:, lag:] * a[:, :-lag]).sum())
                scale += float((u[:, lag:] * u[:, :-lag]).sum())
        result[c] = together / scale if scale > 0 else 0.0
    return result


def _drifts(history: History, classes: U8, week: F64, power: F64) -> F64:
    """(N,) strength of each household's drift, drawn from what its four-week counts leave open.

    Dirichlet-multinomial likelihood of the counts on a grid of strengths, mixed by class of rates (EM). Drawn
    and not averaged: most households are steady, a few come and go, and a mean would make all of them alike.
    """
    periods = history.days // PERIOD_DAYS
    if periods < 2:
        return np.full(history.households, UNKNOWN_DRIFT)
    at = history.trip_day // PERIOD_DAYS
    counts = np.zeros((history.households, periods))
    inside = at < periods
    np.add.at(counts, (history.trip_household[inside], at[inside]), 1.0)
    # Regular trips scatter less than chance: their counts tell as much as more trips at random.
    counts = np.round(counts * (1.0 + np.clip(power, -0.3, 1.0))[:, None] ** 1.86)
    day = np.arange(periods * PERIOD_DAYS)
    season = week[week_of_day(history.days, history.first_dow)[day]] * history.is_open[day]
    share = season.reshape(periods, PERIOD_DAYS).sum(1)
    share = np.maximum(share / max(share.sum(), 1e-9), 1e-6)
    weight = periods / np.expm1(
        DRIFTS**2
    )  # of the Dirichlet: one over the variance of exp(drift), per period
    likelihood = np.empty((history.households, len(DRIFTS)))
    for k, total in enumerate(weight):
        terms = _rising_sum(counts, total * share)
        likelihood[:, k] = terms - _rising(counts.sum(1), total)
    chance = np.exp(likelihood - likelihood.max(1, keepdims=True))
    result = np.empty(history.households)
    names = np.arange(history.households, dtype=np.uint32)
    luck = draws.uniform_column(draws.stream(DRIFT_SEED), draws.Purpose.DRIFT, names, 0, 0)
    for c in range(RATE_CLASSES):
        own = np.flatnonzero(classes == c)
        mix = np.full(len(DRIFTS), 1.0 / len(DRIFTS))
        posterior = chance[own]
        for _ in range(30):
            posterior = chance[own] * mix
            posterior /= posterior.sum(1, keepdims=True)
            mix = (posterior.sum(0) + 1.0) / (len(own) + len(mix))
        drawn = (np.cumsum(posterior, 1) < luck[own, None]).sum(1)
        result[own] = DRIFTS[np.minimum(drawn, len(DRIFTS) - 1)]
    return result


def _rising_sum(counts: F64, weight: F64) -> F64:
    """(N,) sum over periods of log(gamma(weight + count) / gamma(weight))."""
    return np.asarray(sum(_rising(counts[:, p], weight[p]) for p in range(counts.shape[1])))


def _rising(count: F64, weight: float) -> F64:
    """log(gamma(weight + count) / gamma(weight)) of whole counts."""
    table = np.concatenate([[0.0], np.cumsum(np.log(weight + np.arange(int(count.max(initial=0)))))])
    return np.asarray(table[count.astype(np.int64)])


def _weekdays(history: History, dow_of_day: I64) -> F64:
    days_of = np.bincount(dow_of_day[history.is_open], minlength=7).astype(np.float64)
    per_day = np.where(days_of > 0, days_of.mean() / np.maximum(days_of, 1.0), 1.0)
    index = history.trip_household * 7 + dow_of_day[history.trip_day]
    counts = np.bincount(index, minlength=history.households * 7).reshape(-1, 7) * per_day
    everybody = (counts.sum(0) + 1.0) / (counts.sum() + 7.0)
    dow = (counts + DOW_WEIGHT * everybody) / (counts.sum(1, keepdims=True) + DOW_WEIGHT) * 7.0
    return np.asarray(dow)


def _classes(rate: F64) -> U8:
    edges = np.quantile(rate, np.arange(1, RATE_CLASSES) / RATE_CLASSES)
    return np.searchsorted(edges, rate, side="left").astype(np.uint8)


class Walk(NamedTuple):
    """What a set of trip habits expects of every day of a history, against what happened."""

    found: F64  #: (8, 15) trips by class and gap bin
    expected: F64  #: (8, 15)
    exposure: F64  #: (N,) days' worth of the household's rate
    fit: F64  #: (N, 9) log-likelihood of each of GAP_POWERS
    by_week: F64  #: (weeks,) trips expected
    mean_gap: F64  #: (8,) mean factor of the gap


def walk(history: History, rate: F64, dow: F64, week: F64, classes: U8, gap_hazard: F64, power: F64) -> Walk:
    """Every open day of every household once; the gap counts from the first trip."""
    bins = gap_hazard.shape[1]
    seen = Walk(
        np.zeros((RATE_CLASSES, bins)),
        np.zeros((RATE_CLASSES, bins)),
        np.zeros(history.households),
        np.zeros((history.households, len(GAP_POWERS))),
        np.zeros(len(week)),
        np.ones(RATE_CLASSES),
    )
    gap_sum, gap_days = np.zeros(RATE_CLASSES), np.zeros(RATE_CLASSES)
    dow_of_day = (np.arange(history.days) + history.first_dow) % 7
    _walk_days(
        history.trip_ptr, history.trip_day, history.is_open, rate, dow, week, classes, np.log(gap_hazard),
        power, dow_of_day, week_of_day(history.days, history.first_dow), GAP_POWERS,
        seen.found, seen.expected, seen.exposure, seen.fit, seen.by_week, gap_sum, gap_days,
    )  # fmt: skip
    np.divide(gap_sum, gap_days, out=seen.mean_gap, where=gap_days > 0)
    return seen


@njit(cache=True, nogil=True)
def _walk_days(
    trip_ptr, trip_day, is_open, rate, dow, week, classes, log_gap, power, dow_of_day, week_of, powers,
    found, expected, exposure, fit, by_week, gap_sum, gap_days,
):  # fmt: skip
    """Every day of every household once: what was expected of it, and whether she shopped."""
    for i in range(len(rate)):
        trip = trip_ptr[i]
        end = trip_ptr[i + 1]
        last = -1
        c = classes[i]
        for day in range(len(is_open)):
            shops = trip < end and trip_day[trip] == day
            if is_open[day]:
                base = rate[i] * dow[i, dow_of_day[day]] * week[week_of[day]]
                if last < 0:
                    p = 1.0 - np.exp(-base)
                    exposure[i] += p / rate[i]
                    by_week[week_of[day]] += p
                else:
                    b = GAP_BIN[min(day - last, len(GAP_BIN) - 1)]
                    late = np.log(min(max((day - last) * rate[i], EARLIEST), LATEST))
                    gap = np.exp(log_gap[c, b] + late * power[i])
                    p = 1.0 - np.exp(-base * gap)
                    exposure[i] += p / rate[i]
                    by_week[week_of[day]] += p
                    expected[c, b] += p
                    gap_sum[c] += gap
                    gap_days[c] += 1.0
                    if shops:
                        found[c, b] += 1.0
                    for k in range(len(powers)):
                        hazard = base * np.exp(log_gap[c, b] + late * powers[k])
                        fit[i, k] += np.log(1.0 - np.exp(-hazard) + 1e-12) if shops else -hazard
            if shops:
                last = day
                trip += 1
