"""Live the fitted year, compare with the real one, correct what the estimators could not see, and again.

An estimator that reads hazards off purchases is biased by what it cannot separate: own means that come from
the same data, drift that looks like a gap hazard, two picks that fall on one product. So each is run on the
real and on the simulated purchases alike, and the parameter moves by the ratio of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars import draws
from regulars.consumers.choice import LEAST, Aisle, aisle_of
from regulars.consumers.population import (
    AGE_EDGES,
    BASKET_SIZES,
    CYCLE_EDGES,
    GAP_EDGES,
    LARGE,
    Demand,
    Habits,
    Population,
)
from regulars.fitting.categories import SIZE_EDGES, SIZE_GROUP, flat_pace, rows_of_history, tabulate
from regulars.fitting.fidelity import figures
from regulars.fitting.history import History, history_of, week_of_day
from regulars.fitting.promotion import fit_tilts
from regulars.fitting.rehearsal import live
from regulars.fitting.trips import RATE_CLASSES, drift_strength, walk
from regulars.shelf import Shelf
from regulars.terms import F32, F64

#: Seed of the worlds in which calibration lives; each round has its own.
SEED = 20170101
WARM_UP = 35
#: Weight, in trips or purchases, of leaving a parameter as it is.
CAUTION = 60.0
#: The same in products of one household.
ROAM_CAUTION = 20.0
#: The same in categories of one household.
BREADTH_CAUTION = 5.0
#: The same in categories of all baskets of one household.
FILL_CAUTION = 20.0
#: The same in categories bought by one household.
LINES_CAUTION = 60.0
#: The same in baskets of one weekday of one household.
DOW_CAUTION = 10.0
#: The same in purchases of a category in baskets of about one size.
MIX_CAUTION = 5.0
#: Baskets of more categories count as of this many.
MOST_SEEN = 150
#: Part of what is missing of a household's tilts that is added at once, and the most they may be.
TILT_STEP = 0.5
#: Tilt added per log of price that baskets of one size are too cheap.
TIER_STEP = 2.0
MOST_DEAL = 4.0
MOST_TILT = 5.0
#: Part of a correction that is made at once.
STEP = 0.8


def calibrate(
    population: Population,
    shelf: Shelf,
    lines: pl.DataFrame,
    history: History,
    *,
    rounds: int,
    say: Callable[[str, float], None],
) -> Population:
    """The population with its hazards and scales corrected in so many rounds; 0 only notes the figures."""
    aisle = aisle_of(shelf, population.demand)
    target = _Seen(lines, history, population, aisle, figures(lines, history.households, history.days))
    about = population.about | {
        "real": target.figures,
        "checked": list(target.figures),
        "calibrate_rounds": rounds,
    }
    population = replace(population, about=about)
    for turn in range(rounds):
        say(f"calibration {turn + 1} of {rounds}", 0.3 + 0.7 * turn / rounds)
        key = draws.stream(SEED, turn)
        lived = live(population, shelf, key, warm_up=WARM_UP, aisle=aisle)
        if lived.height == 0:
            break
        again = history_of(lived, history.households, history.days, history.first_dow, history.is_open)
        seen = _Seen(lived, again, population, aisle, figures(lived, history.households, history.days))
        population = _correct(population, target, seen, _meant(lived, again))
    say("done", 1.0)
    return population


class _Seen:
    """What one and the same set of estimators reads off real or simulated purchases."""

    def __init__(
        self,
        lines: pl.DataFrame,
        history: History,
        population: Population,
        aisle: Aisle,
        noted: dict[str, float],
    ) -> None:
        habits, demand = population.habits, population.demand
        categories = len(demand.entry)
        self.figures = noted
        trips = np.diff(history.trip_ptr).astype(np.float64)
        self.class_trips = np.bincount(habits.trip_class, trips, RATE_CLASSES).astype(np.float64)
        self.category_bought = np.bincount(history.bought_category, minlength=categories).astype(np.float64)
        self.sizes = np.bincount(np.minimum(history.trip_size, MOST_SEEN), minlength=MOST_SEEN + 1).astype(
            np.float64
        )
        household = np.repeat(history.trip_household, history.trip_size)
        self.lines = np.bincount(household, history.bought_lines - 1.0, history.households)
        self.bought = np.bincount(household, minlength=history.households).astype(np.float64)
        self.drift = drift_strength(history, habits.trip_class, demand.week_trips.astype(np.float64))
        self.by_size = _by_size(history, categories)
        self.more = _more(history)
        rank = _ranks(history)
        self.cycle = _cycle(history, rank, rank >= 1.0 - LARGE, LARGE)
        self.after_gap = _cycle(history, rank, np.ones(len(rank), np.bool_), 1.0)
        self.weekday = _by_weekday(history, rank)
        self.relative = _relative(lines, aisle)
        self.tilts = fit_tilts(lines, aisle.shelf, aisle.explore, history.households)
        self.products = np.bincount(
            lines.select("household", "product").unique()["household"].to_numpy(),
            minlength=history.households,
        ).astype(np.float64)
        self.categories = np.diff(rows_of_history(history, categories).ptr).astype(np.float64)
        self.gap = _gaps(history, habits, demand)
        self.age, self.pace = _ages(history, categories, demand)


def _by_size(history: History, categories: int) -> F64:
    """(groups, C) purchases by how many categories the basket had."""
    group = np.repeat(np.searchsorted(SIZE_EDGES, history.trip_size), history.trip_size)
    cell = group * categories + history.bought_category
    groups = len(SIZE_EDGES) + 1
    return np.bincount(cell, minlength=groups * categories).reshape(groups, categories).astype(np.float64)


def _more(history: History) -> F64:
    """(groups, 3) categories, lines and units bought by how many categories the basket had."""
    group = np.repeat(np.searchsorted(SIZE_EDGES, history.trip_size), history.trip_size)
    parts = (np.ones(len(group)), history.bought_lines, history.bought_units)
    return np.stack([np.bincount(group, part, len(SIZE_EDGES) + 1) for part in parts], 1).astype(np.float64)


def _relative(lines: pl.DataFrame, aisle: Aisle) -> F64:
    """(groups,) mean log price of a line against its category by how many categories the basket had."""
    size = lines.select(pl.col("category").n_unique().over("household", "day")).to_series().to_numpy()
    relative = aisle.explore.relative[lines["product"].to_numpy()].astype(np.float64)
    group = np.searchsorted(SIZE_EDGES, size)
    groups = len(SIZE_EDGES) + 1
    overall = relative.mean() if len(relative) else 0.0
    total = np.bincount(group, relative, groups) + CAUTION * overall
    return np.asarray(total / (np.bincount(group, minlength=groups) + CAUTION))


def _ranks(history: History) -> F64:
    """(T,) share of the household's baskets that are smaller, those as large as it counted half."""
    size, owner = history.trip_size.astype(np.int64), history.trip_household
    order = np.lexsort((size, owner))
    cell = owner[order] * (int(size.max(initial=0)) + 1) + size[order]
    first = np.searchsorted(cell, cell, side="left")
    last = np.searchsorted(cell, cell, side="right")
    trips = np.diff(history.trip_ptr)
    rank = np.empty(len(size))
    rank[order] = ((first + last) / 2 - history.trip_ptr[owner[order]]) / trips[owner[order]]
    return rank


def _cycle(history: History, rank: F64, among: NDArray[np.bool_], share: float) -> F64:
    """(11,) mean rank by days since the last basket ``among``, a ``share`` of all, in own mean intervals."""
    trips = np.diff(history.trip_ptr).astype(np.float64)
    at = np.where(among, np.arange(len(rank)), -1)
    last = np.maximum.accumulate(np.concatenate([[-1], at]))[:-1]
    known = last >= history.trip_ptr[history.trip_household]
    since = history.trip_day - history.trip_day[np.maximum(last, 0)]
    rate = share * trips / max(float(history.is_open.sum()), 1.0)
    cell = np.searchsorted(CYCLE_EDGES, (since * rate[history.trip_household])[known])
    count = np.bincount(cell, minlength=len(CYCLE_EDGES) + 1)
    return np.asarray((np.bincount(cell, rank[known], len(count)) + 0.5 * CAUTION) / (count + CAUTION))


def _by_weekday(history: History, rank: F64) -> F64:
    """(N, 7) mean rank of the baskets of each weekday, shrunk to the middle."""
    cell = history.trip_household * 7 + (history.trip_day + history.first_dow) % 7
    count = np.bincount(cell, minlength=history.households * 7).reshape(-1, 7)
    total = np.bincount(cell, rank, history.households * 7).reshape(-1, 7)
    return np.asarray((total + 0.5 * DOW_CAUTION) / (count + DOW_CAUTION))


def _logit(share: F64) -> F64:
    return np.asarray(np.log(share / (1.0 - share)))


def _gaps(history: History, habits: Habits, demand: Demand) -> tuple[F64, F64]:
    """Trips found and expected by class and gap bin, if the gap did not matter."""
    trips = np.diff(history.trip_ptr).astype(np.float64)
    naive = -np.log1p(-np.minimum((trips + 0.5) / (history.is_open.sum() + 1.0), 0.99))
    flat = np.ones((RATE_CLASSES, len(GAP_EDGES) + 1))
    result = walk(
        history, naive, habits.trip_dow.astype(np.float64), demand.week_trips.astype(np.float64),
        habits.trip_class, flat, np.zeros(history.households),
    )  # fmt: skip
    return result.found, result.expected


def _ages(history: History, categories: int, demand: Demand) -> tuple[tuple[F64, F64], tuple[F64, F64]]:
    """Purchases found and expected by category and age bin, and by pace and age bin, if the age did not matter."""
    rows = rows_of_history(history, categories)
    size = history.trip_size.astype(np.float64)
    every = np.add.reduceat(np.append(size, 0.0), history.trip_ptr[:-1]) * (np.diff(history.trip_ptr) > 0)
    rate = rows.times / np.repeat(np.maximum(every, 1.0), np.diff(rows.ptr))
    weeks = int(week_of_day(history.days, history.first_dow)[-1]) + 1
    ages, paces, *_ = tabulate(
        history, rows, size, np.zeros(len(size), np.int64), np.ones((weeks, categories)),
        rate, history.days / rows.times, demand.week_category.astype(np.float64),
        np.ones((categories, len(AGE_EDGES) + 1)), flat_pace(), np.ones((1, categories)), np.zeros(history.households),
    )  # fmt: skip
    return ages, paces


class _Meant(NamedTuple):
    """What simulated baskets were meant to be, beside what came out."""

    sizes: F64  #: (22, MOST_SEEN + 1) shopping days by intended size and number of categories that came out
    fill: F64  #: (N,) categories intended over those that came out


def _meant(lived: pl.DataFrame, history: History) -> _Meant:
    household = history.trip_household
    trips = lived.group_by("household", "day").agg(pl.col("meant").first()).sort("household", "day")
    intended = trips["meant"].to_numpy()
    found, wanted = (
        np.bincount(household, size.astype(np.float64), history.households)
        for size in (history.trip_size, BASKET_SIZES[intended])
    )
    fill = (wanted + FILL_CAUTION) / (found + FILL_CAUTION)
    cell = intended * (MOST_SEEN + 1) + np.minimum(history.trip_size, MOST_SEEN)
    counts = np.bincount(cell, minlength=len(BASKET_SIZES) * (MOST_SEEN + 1)).astype(np.float64)
    return _Meant(counts.reshape(len(BASKET_SIZES), MOST_SEEN + 1), fill)


def _size_ratio(lived: F64) -> F64:
    """(22,) intended over realised mean number of categories."""
    realised = lived @ np.arange(MOST_SEEN + 1)
    ratio = (lived.sum(1) * BASKET_SIZES + CAUTION) / (realised + CAUTION)
    # The smallest baskets are what nobody leaves without.
    ratio[BASKET_SIZES <= LEAST] = 1.0
    return np.asarray(ratio)


def _size_shift(lived: F64, real: F64) -> F64:
    """(22,) how much oftener each size should be intended, for baskets to come out as in the panel.

    One step of Richardson and Lucy's deconvolution (Astronomical Journal 79, 1974).
    """
    wanted = _ratio(real, lived.sum(0) * (real.sum() / max(lived.sum(), 1.0)))
    return np.asarray((lived @ wanted + CAUTION) / (lived.sum(1) + CAUTION))


def _correct(population: Population, target: _Seen, seen: _Seen, meant: _Meant) -> Population:
    habits, demand = population.habits, population.demand
    trips = _ratio(target.class_trips, seen.class_trips)
    gap = _ratio(target.gap[0], target.gap[1]) / _ratio(seen.gap[0], seen.gap[1])
    gap_weight = seen.gap[1] / np.maximum(seen.gap[1].sum(1, keepdims=True), 1e-9)
    gap /= np.maximum((gap * gap_weight).sum(1, keepdims=True), 1e-9)
    age = _lean(target.age) / _lean(seen.age)
    pace = _lean(target.pace, together=False) / _lean(seen.pace, together=False)
    # What all paces have in common is moved by the categories.
    shared = (np.log(pace) * seen.pace[1]).sum(0) / np.maximum(seen.pace[1].sum(0), 1e-9)
    pace /= np.exp(shared)
    bought = _ratio(target.category_bought, seen.category_bought)
    bought /= (target.category_bought.sum() + CAUTION) / (seen.category_bought.sum() + CAUTION)
    repeats = (
        (target.figures["product_repeats"] or 0.0) + 0.02,
        (seen.figures["product_repeats"] or 0.0) + 0.02,
    )
    roam = float(np.clip((repeats[1] / repeats[0]) ** 2, 0.5, 2.0)) if np.isfinite(repeats).all() else 1.0
    drift = (
        np.clip((np.maximum(target.drift, 0.0) + 0.02) / (np.maximum(seen.drift, 0.0) + 0.02), 0.5, 2.0)
        ** 0.5
    )
    more_lines = _beyond(target.more[:, 1], target.more[:, 0]) / _beyond(seen.more[:, 1], seen.more[:, 0])
    more_units = _beyond(target.more[:, 2], target.more[:, 1]) / _beyond(seen.more[:, 2], seen.more[:, 1])
    deal, private, tier = (
        _tilted(column, real, lived)
        for column, real, lived in zip(
            (habits.deal, habits.private, habits.tier), target.tilts, seen.tilts, strict=True
        )
    )
    trips_of = np.diff(habits.row_ptr)
    lines = 1 + (habits.row_lines - 1) * np.repeat(_own_lines(target, seen), trips_of)
    habits = habits._replace(
        trip_rate=_moved(habits.trip_rate, trips[habits.trip_class]),
        drift_sigma=np.clip(_moved(habits.drift_sigma, drift[habits.trip_class]), 0.02, 2.0),
        row_rate=_moved(habits.row_rate, bought[habits.row_category] * np.repeat(meant.fill, trips_of)),
        row_explore=_moved(
            habits.row_explore, roam * _own_roam(target, seen)[np.repeat(np.arange(len(trips_of)), trips_of)]
        ),
        row_lines=lines.astype(np.float32),
        deal=np.clip(deal, 0.0, MOST_DEAL),
        private=np.clip(private, -MOST_TILT, MOST_TILT),
        tier=np.clip(tier, -MOST_TILT, MOST_TILT),
        novelty=_moved(habits.novelty, _own_breadth(target, seen)),
        size_dow=np.clip(
            habits.size_dow + TILT_STEP * (_logit(target.weekday) - _logit(seen.weekday)), -2.0, 2.0
        ).astype(np.float32),
        size_cdf=_shifted(habits.size_cdf, _size_shift(meant.sizes, target.sizes)),
    )
    mix = (target.by_size + MIX_CAUTION) / (seen.by_size + MIX_CAUTION)
    mix /= (target.by_size.sum(1, keepdims=True) + CAUTION) / (seen.by_size.sum(1, keepdims=True) + CAUTION)
    # What a category sells in all is moved by its rates.
    mix /= bought
    demand = demand._replace(
        size_factor=np.clip(_moved(demand.size_factor, mix[SIZE_GROUP]), 0.02, 50.0),
        gap_hazard=np.clip(_moved(demand.gap_hazard, gap), 0.02, 20.0),
        age_hazard=np.clip(_moved(demand.age_hazard, age), 0.02, 20.0),
        pace_hazard=np.clip(_moved(demand.pace_hazard, pace), 0.1, 10.0),
        size_cycle=_shifted_odds(demand.size_cycle, target.cycle, seen.cycle),
        size_gap=_shifted_odds(demand.size_gap, target.after_gap, seen.after_gap),
        size_tier=np.clip(
            demand.size_tier + TIER_STEP * (target.relative - seen.relative)[SIZE_GROUP], -2.0, 2.0
        ).astype(np.float32),
        size_lines=_moved(
            demand.size_lines,
            more_lines[SIZE_GROUP] / (more_lines @ seen.more[:, 0] * 1.0 / seen.more[:, 0].sum()),
        ),
        size_units=_moved(demand.size_units, more_units[SIZE_GROUP]),
        size_scale=_moved(demand.size_scale, _size_ratio(meant.sizes)),
    )
    return replace(population, habits=habits, demand=demand)


def _own_lines(target: _Seen, seen: _Seen) -> F64:
    """(N,) how many more lines beyond the first each household should buy of a category."""
    usual = target.lines.sum() / max(target.bought.sum(), 1.0)
    real, lived = (
        (each.lines + LINES_CAUTION * usual) / (each.bought + LINES_CAUTION) for each in (target, seen)
    )
    return np.asarray(np.clip(real / np.maximum(lived, 1e-9), 0.5, 2.0) ** STEP)


def _beyond(found: F64, once: F64) -> F64:
    """What was bought beyond once, as a share."""
    return np.asarray((np.maximum(found - once, 0.0) + CAUTION) / (once + CAUTION))


def _own_breadth(target: _Seen, seen: _Seen) -> F64:
    """(N,) how much oftener each household should enter a new category, by its number of categories."""
    ratio = (target.categories + BREADTH_CAUTION) / (seen.categories + BREADTH_CAUTION)
    return np.asarray(np.clip(ratio, 0.6, 1.6) ** 3)


def _own_roam(target: _Seen, seen: _Seen) -> F64:
    """(N,) how much more of what it does not know each household should try, by its number of products."""
    ratio = (target.products + ROAM_CAUTION) / (seen.products + ROAM_CAUTION)
    ratio /= (target.products.sum() + ROAM_CAUTION) / (seen.products.sum() + ROAM_CAUTION)
    return np.asarray(np.clip(ratio, 0.6, 1.6) ** 1.5)


def _moved(column: F32, ratio: F64) -> F32:
    return np.asarray(column * np.clip(ratio, 0.3, 3.0) ** STEP, np.float32)


def _tilted(column: F32, real: F64, lived: F64) -> F32:
    return np.asarray(column + TILT_STEP * (real - lived), np.float32)


def _shifted_odds(column: F32, real: F64, lived: F64) -> F32:
    return np.clip(column + STEP * (_logit(real) - _logit(lived)), -2.0, 2.0).astype(np.float32)


def _shifted(size_cdf: F32, shift: F64) -> F32:
    """Cumulative shares after each share was multiplied by its shift."""
    share = np.diff(size_cdf.astype(np.float64), axis=1, prepend=0.0) * shift**STEP
    cdf = np.cumsum(share, 1) / share.sum(1, keepdims=True)
    cdf[:, -1] = 1.0
    return np.asarray(cdf, np.float32)


def _ratio(found: NDArray[Any], expected: NDArray[Any]) -> F64:
    return np.asarray((found + CAUTION) / (expected + CAUTION))


def _lean(table: tuple[F64, F64], *, together: bool = True) -> F64:
    """Found over expected by category (or pace) and age bin, each row leaning on all ``together``."""
    found, expected = table
    usual = (found.sum(0) + CAUTION) / (expected.sum(0) + CAUTION) if together else np.ones(found.shape[1])
    ratio = (found + CAUTION * usual) / (expected + CAUTION)
    weight = expected.sum(0) / max(expected.sum(), 1e-9)
    return np.asarray(ratio / np.maximum((ratio * weight).sum(1, keepdims=True), 1e-9))
