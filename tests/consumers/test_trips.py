"""Who shops when: the fitted rate at rest, monotone pulls, gaps, drift and closed shops."""

from __future__ import annotations

import numpy as np
import pytest

from regulars.consumers.population import GAP_EDGES, STORES, rows_of
from regulars.consumers.town import Today
from regulars.consumers.trips import DRIFT_RHO, Attraction, at_rest, empty_shoppers, who_shops

from .corner_shop import KEY, made_demand, made_habits, made_town, today

N, DAYS = 4000, 60


def trips(attraction, habits=None, demand=None, days=DAYS, first_day=0):
    """(days, N) retailer of each trip, -1 for none; and the trips elsewhere."""
    habits = made_habits(N) if habits is None else habits
    town = made_town(habits, demand, attraction.share.shape[1], first_day)
    n = len(habits.consumer)
    shoppers, went, elsewhere = empty_shoppers(n), np.full((days, n), -1), 0
    for step in range(days):
        count, outside = who_shops(today(first_day + step), town, attraction, shoppers)
        went[step, shoppers.consumer[:count]] = shoppers.retailer[:count]
        elsewhere += outside
    return went, elsewhere


def pulled(attraction: Attraction, retailer: int, by: float) -> Attraction:
    pull = attraction.pull.copy()
    pull[:, retailer] += by
    return attraction._replace(pull=pull)


@pytest.mark.parametrize(
    ("inside", "shares"), [(1.0, (1.0,)), (0.4, (1.0,)), (0.4, (0.7, 0.3)), (0.8, (0.2,) * 5)]
)
def test_at_rest_the_fitted_rate_comes_out(inside, shares):
    went, _ = trips(at_rest(N, inside, shares))
    expected = 1 - np.exp(-0.1)
    error = np.sqrt(expected * (1 - expected) / went.size)
    assert abs((went >= 0).mean() - expected) < 4 * error
    split = np.bincount(went[went >= 0], minlength=len(shares)) / (went >= 0).sum()
    assert np.abs(split - shares).max() < 0.02


def test_what_she_buys_elsewhere_makes_up_the_rest():
    _, elsewhere = trips(at_rest(N, 0.4))
    expected = 1 - np.exp(-0.1 * 0.6 / 0.4)
    assert elsewhere / (N * DAYS) == pytest.approx(expected, rel=0.02)


def test_a_tiny_pull_changes_nothing():
    for shares in ((1.0,), (0.5, 0.5)):
        rest, pulled_little = (trips(pulled(at_rest(N, 0.5, shares), 0, by))[0] for by in (0.0, 1e-7))
        assert (rest != pulled_little).mean() < 1e-5


def test_a_rising_pull_keeps_every_trip_to_that_retailer():
    # Without clocks, so that a trip gained does not move the next one.
    rest = at_rest(N, 0.5, (0.6, 0.4))
    before, _ = trips(rest)
    after, _ = trips(pulled(rest, 0, 0.7))
    assert (after[before == 0] == 0).all()
    assert (after == 0).sum() > 1.2 * (before == 0).sum()
    assert (after == 1).sum() < (before == 1).sum()


def test_the_response_to_a_pull_saturates_at_all_her_shopping():
    went, _ = trips(pulled(at_rest(N, 0.5), 0, 50.0))
    assert (went >= 0).mean() == pytest.approx(1 - np.exp(-0.2), rel=0.02)


def test_one_alone_shops_as_in_the_batch():
    habits = made_habits(N, drift_sigma=np.full(N, 0.6, np.float32))
    attraction = pulled(at_rest(N, 0.5, (0.6, 0.4)), 1, 0.3)
    batch, _ = trips(attraction, habits)
    for i in (0, 17, N - 1):
        own = Attraction(*(column[[i]] for column in attraction))
        alone, _ = trips(own, rows_of(habits, np.array([i])))
        assert (alone[:, 0] == batch[:, i]).all()


def test_the_gap_hazard_moves_trips_to_its_days():
    gap = np.full((4, len(GAP_EDGES) + 1), 0.01, np.float32)
    gap[:, 6] = 50.0
    went, _ = trips(at_rest(N), demand=made_demand(gap_hazard=gap))
    shopped = went.T >= 0
    gaps = np.concatenate([np.diff(np.flatnonzero(row)) for row in shopped])
    assert (gaps == 7).mean() > 0.9


def test_closed_shops_have_no_shoppers():
    town = made_town(made_habits(N))
    closed = Today(KEY, 5, 5, 0, 0.0)
    assert who_shops(closed, town, at_rest(N, 0.5), empty_shoppers(N)) == (0, 0)


def test_the_drift_averages_one_over_her_year_and_keeps_its_memory():
    n = 500
    town = made_town(made_habits(n, drift_sigma=np.full(n, 0.6, np.float32)), first_day=-35)
    shoppers = empty_shoppers(n)
    weeks = []
    for day in range(-35, 365):
        who_shops(today(day), town, at_rest(n), shoppers)
        if day >= 0 and day % 7 == 0:
            weeks.append(town.needs.drift.copy())
    path = np.array(weeks)
    assert np.exp(path).mean(0) == pytest.approx(np.ones(n), rel=1e-3)
    away = path - town.needs.drift_level
    lag = (away[1:] * away[:-1]).mean() / (away[:-1] ** 2).mean()
    assert lag == pytest.approx(DRIFT_RHO, abs=0.02)
    assert away.std() == pytest.approx(0.6, rel=0.1)


def test_her_store_is_drawn_from_her_habit():
    habits = made_habits(N)
    store = np.tile(np.arange(6, dtype=np.uint16), (N, 1))
    cdf = np.tile(np.array([0.7, 0.9, 1, 1, 1, 1], np.float32), (N, 1))
    town = made_town(habits._replace(store=store, store_cdf=cdf, trip_rate=np.full(N, 50.0, np.float32)))
    shoppers = empty_shoppers(N)
    count, _ = who_shops(today(0), town, at_rest(N), shoppers)
    assert count == N
    assert np.bincount(shoppers.store, minlength=3) / N == pytest.approx([0.7, 0.2, 0.1], abs=0.03)


def test_who_stays_goes_to_the_store_of_the_last_trip():
    store = np.tile(np.arange(STORES, dtype=np.uint16), (N, 1))
    cdf = np.tile(np.linspace(0, 1, STORES + 1, dtype=np.float32)[1:], (N, 1))
    changed = {}
    for stay in (0.0, 0.8):
        habits = made_habits(N, store=store, store_cdf=cdf, trip_rate=np.full(N, 50.0, np.float32))
        town = made_town(habits._replace(store_stay=np.full(N, stay, np.float32)))
        visited = []
        for day in range(2):
            shoppers = empty_shoppers(N)
            who_shops(Today(KEY, day, day, 0, 1.0), town, at_rest(N), shoppers)
            visited.append(shoppers.store.copy())
        changed[stay] = (visited[0] != visited[1]).mean()
    assert changed[0.8] / changed[0.0] == pytest.approx(0.2, abs=0.04)


def test_a_regular_shopper_comes_at_even_intervals():
    variation = []
    for power in (0.0, 1.5):
        town = made_town(made_habits(N, gap_power=np.full(N, power, np.float32)))
        last, gaps = np.full(N, -1), []
        for day in range(120):
            shoppers = empty_shoppers(N)
            n, _ = who_shops(Today(KEY, day, day % 7, 0, 1.0), town, at_rest(N), shoppers)
            who = shoppers.consumer[:n]
            gaps.append(day - last[who][last[who] >= 0])
            last[who] = day
        every = np.concatenate(gaps)
        variation.append(every.std() / every.mean())
    assert variation[1] < 0.75 * variation[0]
