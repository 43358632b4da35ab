"""What is held out is not known: nothing of the future reaches the fit."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from regulars import fitting
from regulars.consumers.choice import explore_tables
from regulars.errors import SettingError
from regulars.fidelity.holdout import cut, forecast, onward, span_of
from regulars.fitting.forecast import carried_on, clocks
from regulars.fitting.promotion import RESPONSE
from regulars.market import town
from regulars.sources import complete_journey


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


def mixed_up(panel):
    """The same panel up to day 273, and what was bought from there on shuffled."""
    late = pl.col("day") >= 273
    what = ("product", "units", "net_cents", "retail_disc_cents")
    mixed = panel.lines.filter(late).with_columns(pl.col(*what).shuffle(seed=1))
    lines = pl.concat([panel.lines.filter(~late), mixed])
    return replace(panel, lines=lines.sort("household", "day", "basket", "product"))


@pytest.fixture(scope="module")
def known(source):
    """Few households, each future with the shelf that it reveals, as the command reads it."""
    panel = few(source[0])
    return [cut(of, complete_journey.load_shelf(of), 273) for of in (panel, mixed_up(panel))]


def quiet(text, done):
    return None


def test_shuffling_the_future_changes_no_fit(known):
    first, again = (fitting.assemble(of.panel, of.seen, quiet)[0] for of in known)
    for part in ("habits", "demand"):
        for name, a, b in zip(
            getattr(first, part)._fields, getattr(first, part), getattr(again, part), strict=True
        ):
            assert np.array_equal(a, b), name


def test_shuffling_the_future_changes_no_shelf_but_that_which_is_lived_on(known):
    first, again = known
    for name, a, b in zip(first.seen._fields, first.seen, again.seen, strict=True):
        assert np.array_equal(a, b), name
    assert not np.array_equal(first.ahead.price[40:], again.ahead.price[40:])
    assert np.array_equal(first.ahead.popularity, again.ahead.popularity)


def test_what_was_not_sold_yet_is_neutral_on_the_shelf_of_a_fit(known):
    seen = known[0].seen
    assert seen.price.shape == (40, known[0].panel.products.height)
    new = seen.popularity == 0
    assert new.any() and not seen.depth[:, new].any()
    sold_in = np.bincount(seen.category[~new], minlength=len(seen.category_ptr) - 1) > 0
    relative = explore_tables(seen, RESPONSE).relative
    assert np.abs(relative[new & sold_in[seen.category]]).max() < 1e-5


def test_what_is_usual_ahead_is_what_was_usual_in_the_fit(known):
    of = known[0]
    then, ahead = explore_tables(of.seen, RESPONSE), explore_tables(of.ahead, RESPONSE, of.seen)
    for name in ("usual", "base", "promoted"):
        assert np.array_equal(getattr(then, name), getattr(ahead, name)), name
    assert ahead.value.shape[0] == 53


def test_a_fit_is_kept_under_a_name_of_its_shelf_too(source, monkeypatch, tmp_path):
    monkeypatch.setenv("REGULARS_CACHE", str(tmp_path))
    panel, shelf = few(source[0]), source[1]
    monkeypatch.setattr(town.fitting, "fit", lambda panel, goods: fitting.assemble(panel, goods, quiet)[0])
    monkeypatch.setattr(town.fidelity, "quick_check", lambda *_: {"simulated": {}})
    dearer = shelf._replace(price=shelf.price * np.float32(1.5))
    names = [town.fitted(panel, goods)[1] for goods in (shelf, dearer, shelf)]
    assert names[0] == names[2] != names[1]


def test_the_forecast_lives_the_later_weeks_with_seasons_of_their_own(known):
    of = known[0]
    population, _ = fitting.assemble(of.panel, of.seen, quiet)
    further = onward(population, 53)
    assert len(population.demand.week_trips) == 40
    assert (further.demand.week_trips[40:] == 1).all() and (further.demand.week_category[40:] == 1).all()
    assert np.array_equal(further.demand.week_category[:40], population.demand.week_category)
    lived = forecast(population, of, span_of("40-52", 365), 0, 1).lines
    assert lived["day"].min() >= 273 and lived["day"].max() > 350 and lived["week"].max() == 52


def test_the_forecast_goes_on_from_where_each_household_stands(source):
    known = cut(few(source[0]), source[1], 273)
    early = known.panel
    population, _ = fitting.assemble(early, known.seen, quiet)
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
