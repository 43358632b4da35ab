"""What is held out is not known: nothing of the future reaches the fit."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from regulars import fitting
from regulars.errors import SettingError
from regulars.fidelity.holdout import cut, span_of
from regulars.fitting.forecast import carried_on, clocks


@pytest.mark.parametrize("text", ["40", "52-40", "4-8", "40-99", "a-b"])
def test_a_span_that_is_none_is_told(text):
    with pytest.raises(SettingError, match="holdout"):
        span_of(text, 365)


def few(panel):
    own = {
        name: getattr(panel, name).filter(pl.col("household") < 80)
        for name in ("households", "lines", "contacts", "redemptions")
    }
    return replace(panel, **own)


def test_shuffling_the_future_changes_no_fit(source):
    panel, shelf = few(source[0]), source[1]
    late = pl.col("day") >= 273
    future = panel.lines.filter(late)
    mixed = future.with_columns(pl.col("product", "units", "net_cents").shuffle(seed=1))
    other = replace(
        panel, lines=pl.concat([panel.lines.filter(~late), mixed]).sort("household", "day", "basket")
    )
    first, again = (
        fitting.assemble(*cut(of, shelf, 273), lambda text, done: None)[0] for of in (panel, other)
    )
    for part in ("habits", "demand"):
        for a, b in zip(getattr(first, part), getattr(again, part), strict=True):
            assert np.array_equal(a, b)


def test_the_forecast_goes_on_from_where_each_household_stands(source):
    early, goods = cut(few(source[0]), source[1], 273)
    population, _ = fitting.assemble(early, goods, lambda text, done: None)
    ahead = carried_on(population, early)
    recent = early.lines.filter(pl.col("day") >= 273 - 42).select("household", "day").unique()
    lately = np.bincount(recent["household"].to_numpy(), minlength=80) / 42
    before = early.lines.select("household", "day").unique()
    usually = np.bincount(before["household"].to_numpy(), minlength=80) / 273
    moved = ahead.habits.trip_rate / population.habits.trip_rate
    risen = lately > 1.3 * usually
    assert (moved[risen] > 1.0).all() and (moved[lately < 0.7 * usually] < 1.0).mean() > 0.8
    needs = clocks(population, early, np.array([1, 2], np.uint32))
    last = early.lines.filter(pl.col("household") == 3)["day"].max()
    assert needs.last_trip[3] == last
