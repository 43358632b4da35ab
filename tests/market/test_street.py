"""Retailers that compete for the same people."""

import polars as pl
import pytest

from regulars.market import run


@pytest.fixture(scope="module")
def results(street, street_town):
    return run.simulate(street, place=street_town, threads=1)


def test_every_retailer_has_customers_of_its_own(results):
    trips = results.totals.filter(metric="trips").group_by("retailer").agg(pl.col("value").sum())
    assert trips.height == 4
    assert (trips["value"] > 0).all()


def test_some_shelves_are_empty_and_nobody_is_sold_what_is_not_there(results):
    out = results.totals.filter(metric="out_of_stock")["value"].sum()
    lines = results.totals.filter(metric="lines")["value"].sum()
    assert 0.005 < out / lines < 0.2


def test_who_shuts_one_out_is_told_with_day_and_reason(results, street):
    shut = results.totals.filter(metric="shut_out")["value"].sum()
    assert results.moves.height == shut > 0
    assert set(results.moves["reason"]) <= {"creepy", "annoying"}
    assert results.moves["day"].is_between(0, street.days - 1).all()


def test_the_same_street_twice_is_the_same(street, street_town, results):
    again = run.simulate(street, place=street_town, threads=2)
    assert again.about["state_hash"] == results.about["state_hash"]


def test_a_strong_pull_only_moves_trips_that_she_makes_anyway(results):
    trips = results.consumers.group_by("consumer").agg(pl.col("trips").sum())["trips"]
    assert trips.max() <= 90  # one a day at most, over ninety days
    assert trips.sum() > 0
