"""A fitted population lives like the panel, holds no nonsense, and fits plain panels too."""

from __future__ import annotations

import numpy as np
import pytest

from regulars import draws, fitting
from regulars.consumers.population import BASKET_SIZES, Demand, Habits, Population, rows_of
from regulars.errors import SettingError, ShapeError
from regulars.fitting.fidelity import figures, quick_check
from regulars.fitting.rehearsal import live
from regulars.sources.panel import shelf_from

from .panels import made_panel, of_households


def holds_together(population: Population) -> None:
    habits, demand = population.habits, population.demand
    for part in (habits, demand):
        for name, column in part._asdict().items():
            assert column.dtype.kind != "f" or np.isfinite(column).all(), name
    assert (habits.trip_rate > 0).all()
    assert (np.diff(habits.size_cdf) >= 0).all() and (habits.size_cdf[:, -1] == 1).all()
    assert (np.diff(habits.store_cdf) >= -1e-6).all() and (habits.store_cdf[:, -1] == 1).all()
    assert habits.row_ptr[-1] == len(habits.row_category) == len(habits.row_rate)
    assert habits.product_ptr[-1] == len(habits.product) == len(habits.loyalty)
    assert (np.diff(habits.product_ptr) > 0).all()
    for name in ("row_rate", "row_interval", "row_explore", "loyalty"):
        assert (getattr(habits, name) > 0).all(), name
    assert (habits.row_lines >= 1).all() and (habits.row_units >= 1 - 1e-6).all()
    assert ((habits.coupon >= 0) & (habits.coupon <= 1)).all()
    assert demand.entry[-1] == 1 and demand.size_scale.shape == BASKET_SIZES.shape
    for i in range(len(population)):
        own = habits.row_category[habits.row_ptr[i] : habits.row_ptr[i + 1]]
        assert (np.diff(own.astype(int)) > 0).all()


def test_every_column_is_finite_and_in_range(village):
    holds_together(village)


def test_every_column_says_where_it_comes_from(village):
    said = [name for origin in ("fitted", "calibrated", "given", "told") for name in village.about[origin]]
    known = {*Habits._fields, *Demand._fields} - {"consumer", "row_ptr", "product_ptr"}
    assert sorted(said) == sorted(known)


def test_the_village_lives_like_its_panel(village, shelf):
    check = quick_check(village, shelf, draws.stream(3))
    real, lived = check["real"], check["simulated"]
    for name, tolerance in {
        "trips_per_day": 0.06, "spend": 0.08, "lines": 0.08, "basket_categories_mean": 0.06,
        "units_per_line": 0.03,
        "zero_weeks": 0.08, "category_repeats": 0.08, "categories_median": 0.08, "first_store": 0.08,
    }.items():  # fmt: skip
        assert lived[name] == pytest.approx(real[name], rel=tolerance), name
    assert abs(lived["product_repeats"] - real["product_repeats"]) < 0.03
    assert abs(lived["top_share"] - real["top_share"]) < 0.04


def test_a_household_lives_the_same_alone_and_in_any_number_of_threads(village, shelf):
    key = draws.stream(5)
    together = live(village, shelf, key, warm_up=14, threads=1)
    assert together.equals(live(village, shelf, key, warm_up=14, threads=2))
    for i in (0, 50, 199):
        habits = rows_of(village.habits, np.array([i]))
        alone = Population(habits, village.demand, village.household_id[[i]], village.about)
        mine = together.filter(together["household"] == i).drop("household")
        assert mine.height > 0
        assert live(alone, shelf, key, warm_up=14).drop("household").equals(mine)


def test_the_fit_is_the_same_every_time(village_panel, shelf, village):
    again = fitting.fit(village_panel, shelf, calibrate_rounds=3)
    for one, two in zip((*village.habits, *village.demand), (*again.habits, *again.demand), strict=True):
        assert (one == two).all()


def test_progress_only_rises(village_panel, shelf):
    heard: list[float] = []
    fitting.fit(village_panel, shelf, calibrate_rounds=1, progress=lambda text, done: heard.append(done))
    assert heard == sorted(heard) and heard[-1] == 1.0


def test_two_weeks_of_few_households_can_be_fitted(panel, shelf):
    few = of_households(panel, 12, days=14)
    population = fitting.fit(few, shelf, calibrate_rounds=2)
    holds_together(population)
    assert population.about["days"] == 14
    assert quick_check(population, shelf, draws.stream(1))["simulated"]["trips_per_day"] > 0


@pytest.mark.parametrize("days", [14, 800])
def test_a_plain_panel_of_two_can_be_fitted(days):
    luck = np.random.default_rng(days)
    often = luck.random(days) < 0.3
    often[5] = True
    trips = [(0, day, [0, 1]) for day in range(0, days, 5)]
    trips += [(1, int(day), [int(day) % 3]) for day in np.flatnonzero(often)]
    panel = made_panel(days, trips, households=3, products=3)
    population = fitting.fit(panel, shelf_from(panel), calibrate_rounds=2)
    holds_together(population)
    check = quick_check(population, shelf_from(panel), draws.stream(2))
    if days > 100:
        assert check["simulated"]["trips_per_day"] == pytest.approx(check["real"]["trips_per_day"], rel=0.2)


def test_a_panel_without_purchases_is_refused(panel, shelf):
    with pytest.raises(ShapeError, match="needs purchases of at least 2 households"):
        fitting.fit(of_households(panel, 1), shelf)


def test_the_shelf_of_another_panel_is_refused(village_panel):
    other = made_panel(14, [(0, 1, [0]), (1, 2, [1])], households=2, products=2)
    with pytest.raises(ShapeError, match="Give the shelf of the same panel"):
        fitting.fit(village_panel, shelf_from(other))


def test_negative_rounds_are_refused(village_panel, shelf):
    with pytest.raises(SettingError, match="calibrate_rounds is -1"):
        fitting.fit(village_panel, shelf, calibrate_rounds=-1)


@pytest.mark.slow
def test_the_whole_panel_is_lived_within_three_percent(panel, shelf):
    population = fitting.fit(panel, shelf)
    check = quick_check(population, shelf, draws.stream(9))
    real, lived = check["real"], check["simulated"]
    for name in ("trips_per_day", "spend", "lines", "units_per_line", "cents_per_unit"):
        assert lived[name] == pytest.approx(real[name], rel=0.03), name
    assert 0.65 <= lived["days_per_week_median"] <= 0.82 and 0.42 <= lived["zero_weeks"] <= 0.52
    assert 0.50 <= lived["top_share"] <= 0.59 and abs(lived["kept_share"] - real["kept_share"]) < 0.03
    assert 32 <= lived["categories_80"] <= 40
    assert 0.15 <= lived["product_repeats"] <= 0.23 and 0.57 <= lived["category_repeats"] <= 0.68
    assert 0.75 <= lived["first_store"] <= 0.85


def test_figures_of_the_panel_are_those_of_its_lines(village, village_lines):
    assert village.about["real"] == figures(village_lines, len(village), 365)


def test_what_the_columns_cannot_tell_is_not_called_fitted():
    panel = made_panel(60, [(who, day, [0]) for who in range(6) for day in range(who, 60, 5)], 6, 1)
    about = fitting.fit(panel, shelf_from(panel), calibrate_rounds=0).about
    known = {*about["fitted"], *about["calibrated"]}
    assert {"deal", "private", "tier", "store", "coupon", "product", "row_category"} <= set(about["untold"])
    assert not known & set(about["untold"])
    assert {"trip_rate", "trip_dow"} <= known


def test_the_default_panel_tells_everything(village):
    assert village.about["untold"] == []


def test_weeks_that_were_not_seen_are_usual_weeks(village_panel, shelf):
    early = of_households(village_panel, 60, 140)
    population, _ = fitting.assemble(early, shelf, lambda text, done: None)
    assert (population.demand.week_trips[21:] == 1).all() and (
        population.demand.week_category[21:] == 1
    ).all()
