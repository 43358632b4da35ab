"""Retailers that compete for the same people."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from regulars.market import arms, day, run, town
from regulars.terms import NONE, Fate, OfferKind


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


def test_who_moved_is_named_by_her_household(results):
    homes = dict(results.consumers.select("consumer", "household_id").iter_rows())
    moved = results.moves.select("consumer", "household_id")
    assert all(homes[consumer] == household for consumer, household in moved.iter_rows())


def test_the_same_street_twice_is_the_same(street, street_town, results):
    again = run.simulate(street, place=street_town, threads=2)
    assert again.about["state_hash"] == results.about["state_hash"]


def test_no_retailer_makes_anybody_shop_twice_a_day(results, street):
    trips = results.consumers.group_by("consumer").agg(pl.col("trips").sum())["trips"]
    assert 0 < trips.max() <= street.days


def test_each_retailer_ranks_offers_by_its_own_prices_and_costs(street):
    first, *others = street.retailers
    dear, costly = replace(first, name="dear", price_level=1.5), replace(first, name="costly", margin=0.05)
    place = town.build(street.changed(retailers=(first, dear, costly, *others)))
    usual, dearer, thinner, *rest = place.catalogs
    assert all(catalog is usual for catalog in rest)  # same terms, one catalog
    assert np.allclose(dearer.price_cents, 1.5 * usual.price_cents)
    assert (thinner.price_cents == usual.price_cents).all()
    assert thinner.margin_share.mean() < usual.margin_share.mean()
    assert (
        thinner.standing.margin[usual.standing.offer >= 0] < usual.standing.margin[usual.standing.offer >= 0]
    ).all()
    assert len(dearer.offers.kind) == len(usual.offers.kind)  # the same offers by number
    opened = day.Life(street.changed(retailers=(first, dear, costly, *others)), place, 0).shops
    assert [shop.catalog for shop in opened] == list(place.catalogs)


def test_a_coupon_for_what_was_out_is_still_in_hand(street, street_town):
    eager = street_town.habits._replace(coupon=np.ones_like(street_town.habits.coupon))
    place = replace(street_town, habits=eager)
    life = day.Life(street, place, 0, arms.tasks(street)[0].arm, day.warm_up(street, place, 0))
    kept = 0
    for number in range(42):
        # Every shelf is empty, and nobody has been told.
        life.stock.order_up_to[:] = life.stock.on_hand[:] = life.stock.out[:] = 0
        lived = life.live(number)
        lines = lived.lines
        for k in np.flatnonzero(lines.offer[: lived.line_count] != NONE):
            assert lines.fate[k] > Fate.SUBSTITUTED
            assert lines.offer[k] in life.hand.offer[lines.consumer[k], lines.retailer[k]]
            kept += int(place.aisle.offers.kind[lines.offer[k]] == OfferKind.COUPON)
    assert kept
