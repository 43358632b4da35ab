from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.errors import SettingError, ShapeError
from regulars.retail import catalog as catalogs
from regulars.retail.catalog import CatalogSettings
from regulars.shelf import Shelf, by_category
from regulars.terms import NEVER, NONE, OfferKind

WEEKS, PRODUCTS = 6, 9
CATEGORY = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2], np.uint16)


def shelf():
    popularity = np.ones(PRODUCTS, np.float32)
    pointers = by_category(CATEGORY, popularity, 3)
    depth = np.zeros((WEEKS, PRODUCTS), np.float32)
    depth[2, 0:3] = [0.1, 0.2, 0.3]
    depth[2, 3:5] = 0.5
    return Shelf(
        np.full((WEEKS, PRODUCTS), 2.0, np.float32),
        depth,
        np.full((WEEKS, PRODUCTS), -1, np.int32),
        np.zeros((0, 2), np.uint64),
        np.zeros((0, 2), np.uint64),
        np.zeros(1, np.int16),
        np.zeros(1, np.uint16),
        CATEGORY,
        np.array([0] * 6 + [1] * 3, np.uint8),
        popularity,
        *pointers,
    )


def made(**more):
    campaigns = pl.DataFrame({"campaign": [0, 1], "first_day": [3, 20], "last_day": [12, 30]})
    coupons = pl.DataFrame(
        {
            "coupon": [0, 1, 2, 3],
            "campaign": [0, 0, 1, 1],
            "saving_cents": [50, 100, 20, 40],
            "category": [0, 2, 0, None],
        }
    )
    products = pl.DataFrame({"coupon": [0, 0, 1, 2, 3], "product": [0, 1, 6, 2, 8]})
    return catalogs.build(coupons, products, campaigns, shelf(), ("A", "B", "C"), days=35, **more)


def test_a_coupon_stands_on_its_days_and_no_other():
    of = made()
    for day in range(-3, 40):
        standing = catalogs.standing_on(of, day)
        assert (standing.offer[2] == 1) == (3 <= day <= 12)
        assert standing.last_day[2] == (12 if 3 <= day <= 12 else NEVER)
    assert catalogs.standing_on(of, 5).saving[2] == pytest.approx(0.5)


def test_a_deal_stands_for_its_week_at_its_mean_depth():
    of = made(settings=CatalogSettings(deal_products=3))
    for day in range(0, 35):
        deal = catalogs.standing_on(of, day).kind[0] == OfferKind.DEAL
        assert deal == ((day + 6) // 7 == 2 and not 3 <= day <= 12) or day in range(8, 13)
    kinds = of.offers.kind == OfferKind.DEAL
    assert of.offers.category[kinds].tolist() == [0]
    assert of.offers.saving[kinds][0] == pytest.approx(0.2)
    assert (of.offers.first_day[kinds][0], of.offers.last_day[kinds][0]) == (8, 14)
    assert of.offers.bits_row[kinds][0] == NONE


def test_of_several_the_one_that_saves_most_stands():
    of = made(settings=CatalogSettings(deal_products=2))
    on = catalogs.standing_on(of, 10)
    assert on.offer[0] == 0 and on.saving[0] == pytest.approx(0.25)  # the coupon, against a deal of 0.2
    assert on.kind[1] == OfferKind.DEAL and on.saving[1] == pytest.approx(0.5)


def test_margin_is_what_a_purchase_leaves_after_the_saving():
    on = catalogs.standing_on(made(), 5)
    assert on.margin[0] == pytest.approx(200 * (0.25 - 0.3 * 0.25))
    assert on.margin[2] == pytest.approx(200 * (0.35 - 0.3 * 0.5))


def test_what_is_sold_out_does_not_stand_and_the_next_best_does():
    of = made(settings=CatalogSettings(deal_products=2))
    stock = np.ones(PRODUCTS, bool)
    stock[[0, 1, 6]] = False
    on = catalogs.standing_on(of, 10, stock)
    assert on.offer[2] == NONE
    assert on.kind[0] == OfferKind.DEAL  # product 2 is left of the deal, none of the coupon's
    stock[:] = False
    assert (catalogs.standing_on(of, 10, stock).offer == NONE).all()


def test_a_campaign_is_the_union_of_its_coupons():
    of = made()
    first, second = of.campaign_offer
    assert of.offers.kind[[first, second]].tolist() == [OfferKind.CAMPAIGN] * 2
    bits = of.offers.product_bits[of.offers.bits_row[first]]
    assert bits[0] == 0b1000011
    assert of.offers.saving_cents[first] == 75 and of.offers.last_day[second] == 30
    assert not np.isin(of.campaign_offer, of.standing.offer).any()


def test_names_must_fit():
    with pytest.raises(ShapeError, match="2 names"):
        catalogs.build(*(pl.DataFrame(),) * 3, shelf(), ("A", "B"))
    with pytest.raises(SettingError, match="deal_products is 0"):
        made(settings=CatalogSettings(deal_products=0))


def test_outside_its_days_nothing_stands(offered):
    assert (catalogs.standing_on(offered, -1).offer == NONE).all()
    assert (catalogs.standing_on(offered, 200).offer == NONE).all()


# ---- what the retailer tells -----------------------------------------------------------------------------------------

_SPAN = st.integers(0, 12).flatmap(lambda first: st.tuples(st.just(first), st.integers(first, 13)))
_ROW = st.tuples(
    st.integers(0, 5), _SPAN, st.sampled_from([200, 300, 500]), st.sampled_from([-2, -1, 100, 150, 250])
)


@given(st.lists(_ROW, max_size=8), st.lists(st.booleans(), min_size=6, max_size=6))
def test_what_is_told_stands_as_it_is_worked_out_day_by_day(rows, on_hand):
    category_of = np.array([0, 0, 0, 1, 1, 2], np.uint16)
    popularity = np.array([5, 1, 0, 2, 2, 1], np.float32)
    base = catalogs.from_offers(catalogs.no_offers(), ("a", "b", "c"), np.full(3, 400, np.float32), days=10)
    wide = catalogs.widened(base, (), category_of)
    columns = [(p, first, last, price, offer) for p, (first, last), price, offer in rows]
    prices = catalogs.Prices(*(np.array([row[k] for row in columns], np.int32) for k in range(5)))
    usual = np.full(6, 400, np.float32)
    found = catalogs.told(
        wide, prices, category_of, popularity, usual, np.full(3, catalogs.FAR, np.int32), 14
    )
    assert found.days == 14
    for day in range(14):
        price, offer = dict.fromkeys(range(6), 400.0), {}
        for p, first, last, cents, reduced in columns:
            if first <= day <= last:
                price[p] = cents
                offer[p] = offer.get(p, -1) if reduced == catalogs.UNTOLD else reduced
        standing = catalogs.standing_on(found, day)
        left = catalogs.standing_on(found, day, np.array(on_hand))
        for c in range(3):
            members = np.flatnonzero(category_of == c).tolist()
            good = [p for p in members if 0 <= offer.get(p, -1) < price[p]]
            weight = {p: float(popularity[p]) + 1e-3 for p in members}
            depth = {p: 1 - offer[p] / price[p] for p in good}
            assert (standing.offer[c] >= 0) == bool(good)
            assert (left.offer[c] >= 0) == any(on_hand[p] for p in good)
            if left.offer[c] >= 0:
                assert left.saving[c] == pytest.approx(max(depth[p] for p in good if on_hand[p]), rel=1e-5)
            if not good:
                continue
            deepest = max(depth.values())
            good = [p for p in good if depth[p] > deepest - 0.005]
            cents = sum(weight[p] * price[p] for p in members) / sum(weight.values())
            assert standing.saving[c] == pytest.approx(deepest, rel=1e-5)
            assert standing.margin[c] == pytest.approx(cents * (0.25 - deepest), rel=1e-4, abs=1e-3)
            assert day <= standing.last_day[c] <= max(last for p, _, last, _, _ in columns if p in good)
            offers, k = found.offers, standing.offer[c]
            bits = int(offers.product_bits[offers.bits_row[k]][0])
            assert [p for p in range(6) if bits >> p & 1] == good
            assert offers.first_day[k] <= day <= offers.last_day[k]


def test_more_products_and_categories_stand_behind_those_that_are_there():
    base = catalogs.from_offers(catalogs.no_offers(), ("a",), np.full(1, 400, np.float32), days=3)
    wide = catalogs.widened(base, ("b", "c"), np.array([0, 2, 1], np.uint16), 250.0)
    assert wide.names == ("a", "b", "c") and wide.price_cents.tolist() == [400, 250, 250]
    assert wide.standing.offer.shape == (3, 3) and (wide.standing.offer == -1).all()
    assert catalogs.standing_on(wide, 1).offer.tolist() == [-1, -1, -1]
