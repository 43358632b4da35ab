"""A fitted population as it stands on the day after the last one seen: trip rates filtered, clocks as they are."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.consumers.needs import start
from regulars.consumers.population import Needs, Population
from regulars.sources.panel import Panel
from regulars.terms import F64

#: Weekly forgetting of the filter of a trip rate, and weight of its long-run mean in weeks: taken from an earlier study
#: of the same panel, not fitted.
FORGET = 0.85
LONG_RUN_WEEKS = 4.0


def carried_on(population: Population, panel: Panel) -> Population:
    """The population with each trip rate moved to where it stands at the end of the panel.

    An exponentially forgetting mean of weekly trips, leaning on the fitted one (a discounted gamma-Poisson
    filter; Harvey and Fernandes, 1989): rates drift, and the year's mean lags behind.
    """
    weeks, households = panel.days // 7, len(population)
    days = panel.lines.select("household", "day").unique()
    at = weeks - 1 - (panel.days - 1 - days["day"].to_numpy()) // 7
    counts: F64 = np.zeros((households, weeks))
    inside = at >= 0
    np.add.at(counts, (days["household"].to_numpy()[inside], at[inside]), 1.0)
    season = _weekly_season(population, panel, weeks)
    weight = FORGET ** np.arange(weeks)[::-1]
    long_run = counts.sum(1) / season.sum()
    recent = (LONG_RUN_WEEKS * long_run + counts @ weight) / (LONG_RUN_WEEKS + (season * weight).sum())
    ratio = np.divide(recent, long_run, out=np.ones(households), where=long_run > 0)
    rate = population.habits.trip_rate * np.clip(ratio, 0.02, 8.0)
    return Population(
        population.habits._replace(trip_rate=rate.astype(np.float32)),
        population.demand,
        population.household_id,
        population.about,
    )


def _weekly_season(population: Population, panel: Panel, weeks: int) -> F64:
    """(weeks,) mean season of each of the last whole sevens of days."""
    day = np.arange(panel.days)
    season = population.demand.week_trips[(day + panel.start.weekday()) // 7].astype(np.float64)
    season[list(population.about["closed_days"])] = 0.0
    return np.asarray(season[panel.days - 7 * weeks :].reshape(weeks, 7).mean(1))


def clocks(population: Population, panel: Panel, key: NDArray[np.uint32]) -> Needs:
    """Days of the last trip and last purchases as they really were; drift drawn, averaging 1 from here on."""
    needs = start(population.habits, population.demand, key, panel.days)
    habits, categories = population.habits, len(population.demand.entry)
    last = panel.lines.group_by("household").agg(pl.col("day").max())
    needs.last_trip[last["household"].to_numpy()] = last["day"].to_numpy()
    bought = (
        panel.lines.join(panel.products.select("product", "category"), on="product")
        .group_by("household", "category")
        .agg(pl.col("day").max())
    )
    owner = np.repeat(np.arange(len(population), dtype=np.int64), np.diff(habits.row_ptr))
    cells = owner * categories + habits.row_category
    wanted = bought["household"].to_numpy().astype(np.int64) * categories + bought["category"].to_numpy()
    row = np.minimum(np.searchsorted(cells, wanted), max(len(cells) - 1, 0))
    found = cells[row] == wanted
    needs.last_bought[row[found]] = bought["day"].to_numpy()[found]
    return needs
