"""What goes into a basket: needs, prices, messages in hand, coupons, substitutes."""

from __future__ import annotations

import numpy as np
import pytest

from regulars.consumers.choice import (
    STOCK_UP,
    USUAL_DEPTH,
    eligible_share,
    explore_tables,
    fill_baskets,
    substitute,
)
from regulars.consumers.population import AGE_EDGES, BASKET_SIZES, CYCLE_EDGES, rows_of
from regulars.consumers.trips import empty_shoppers
from regulars.terms import NONE, OfferKind, empty_lines

from .corner_shop import (
    CATEGORIES,
    EACH,
    PRODUCTS,
    ROWS,
    SCALE,
    everybody_shops,
    live,
    made_aisle,
    made_demand,
    made_habits,
    made_offers,
    made_shelf,
    made_town,
    tell,
    today,
)

N = 6000


def bought(lines, n, name="category"):
    return np.bincount(getattr(lines, name)[:n], minlength=PRODUCTS)


def everything(lines, n, keep):
    """The lines of some consumers, as comparable rows."""
    rows = keep[lines.consumer[:n]]
    return [tuple(column[:n][rows].tolist()) for column in lines]


def test_a_category_is_bought_with_the_chance_its_need_says():
    habits = made_habits(N, row_lines=np.ones(N * ROWS, np.float32), novelty=np.zeros(N, np.float32))
    lines, n = everybody_shops(made_town(habits), made_aisle())
    hazard = 0.02 * SCALE
    chance = 1 - np.exp(-hazard)
    # A basket in which nothing fires gets one category, each of the three alike.
    expected = chance + np.exp(-3 * hazard) / 3
    assert bought(lines, n)[:ROWS] / N == pytest.approx(np.full(ROWS, expected), rel=0.05)
    assert bought(lines, n)[ROWS] == 0


def test_no_basket_is_empty():
    lines, n = everybody_shops(made_town(made_habits(N)), made_aisle())
    assert len(np.unique(lines.consumer[:n])) == N
    assert (np.diff(lines.consumer[:n]) >= 0).all()


def test_a_basket_alone_equals_the_one_in_the_batch():
    habits = made_habits(300, drift_sigma=np.full(300, 0.5, np.float32))
    aisle = made_aisle(depth={0: 0.3, 6: 0.2}, offers=made_offers([1, 6]))
    town = made_town(habits)
    tell(town, np.arange(0, 300, 2), 1, offer=0, saving=0.25)
    batch = live(town, aisle, 80)
    for i in (0, 7, 298):
        own = made_town(rows_of(habits, np.array([i])))
        if i % 2 == 0:
            tell(own, 0, 1, offer=0, saving=0.25)
        alone = live(own, aisle, 80)
        mine = batch["name"] == i
        assert mine.sum() > 0
        for name in ("day", "product", "units", "paid_cents", "offer", "coupon_cents", "store"):
            assert (alone[name] == batch[name][mine]).all()


def test_rows_are_lived_in_any_order():
    habits = made_habits(200)
    there = live(made_town(habits), made_aisle(), 30)
    back = live(made_town(rows_of(habits, np.arange(199, -1, -1))), made_aisle(), 30)
    one, two = (
        np.lexsort((life["product"], life["category"], life["day"], life["name"])) for life in (there, back)
    )
    for name in ("name", "day", "product", "units"):
        assert (there[name][one] == back[name][two]).all()


def test_a_need_just_met_is_low_and_an_old_one_high():
    regular = np.full((CATEGORIES, len(AGE_EDGES) + 1), 0.1, np.float32)
    regular[:, AGE_EDGES.searchsorted(1.0) :] = 3.0
    demand = made_demand(age_hazard=regular)
    shares = []
    for age in (2, 40):
        town = made_town(made_habits(N), demand)
        town.needs.last_bought[:] = -1
        town.needs.last_bought[::ROWS] = -age
        lines, n = everybody_shops(town, made_aisle(demand))
        shares.append(bought(lines, n)[0] / N)
    assert shares[1] > 2 * shares[0]


def test_a_message_in_hand_raises_its_category_and_nothing_of_anybody_else():
    aisle = made_aisle()
    quiet, told = made_town(made_habits(N)), made_town(made_habits(N))
    some = np.arange(N) % 3 == 0
    tell(told, some, 1)
    before, n = everybody_shops(quiet, aisle)
    after, m = everybody_shops(told, aisle)
    assert everything(before, n, ~some) == everything(after, m, ~some)
    counts = [bought_by(lines, k, some, 1) for lines, k in ((before, n), (after, m))]
    assert counts[1] > 1.15 * counts[0]


def bought_by(lines, n, who, category):
    return int((who[lines.consumer[:n]] & (lines.category[:n] == category)).sum())


def test_a_message_takes_no_purchase_of_its_category_away():
    aisle = made_aisle()
    habits = made_habits(N, row_rate=np.full(N * ROWS, 0.2, np.float32))
    quiet, told = made_town(habits), made_town(habits)
    tell(told, slice(None), 1)
    before, n = everybody_shops(quiet, aisle)
    after, m = everybody_shops(told, aisle)
    had = set(before.consumer[:n][before.category[:n] == 1].tolist())
    has = set(after.consumer[:m][after.category[:m] == 1].tolist())
    lost = had - has
    # Only baskets in which nothing had fired may lose it, to a category that now did.
    assert len(has) > len(had) and len(lost) < 0.01 * len(had)


def test_a_message_fades():
    aisle = made_aisle()
    counts = []
    for day in (0, -20, -200):
        town = made_town(made_habits(N))
        tell(town, slice(None), 1, day=day)
        counts.append(bought(*everybody_shops(town, aisle))[1])
    assert counts[0] > counts[1] > counts[2]
    plain, n = everybody_shops(made_town(made_habits(N)), aisle)
    assert counts[2] == bought(plain, n)[1]


def test_a_message_about_a_new_category_brings_some_into_it():
    aisle = made_aisle()
    # So much to buy that hardly a basket stays empty and takes one category at random.
    habits = made_habits(N, row_rate=np.full(N * ROWS, 0.5, np.float32), novelty=np.full(N, 0.05, np.float32))
    quiet, told = made_town(habits), made_town(habits)
    tell(told, slice(None), ROWS)
    before, after = (bought(*everybody_shops(town, aisle))[ROWS] for town in (quiet, told))
    assert after > 1.2 * before > 0
    lines, n = everybody_shops(told, aisle)
    assert (lines.row[:n][lines.category[:n] == ROWS] == NONE).all()


def test_an_expired_message_and_no_message_are_one_life():
    aisle = made_aisle(offers=made_offers([0, 1]))
    quiet, told = made_town(made_habits(N)), made_town(made_habits(N))
    tell(told, slice(None), NONE, offer=0, saving=0.25)
    told.hand.last_day[:] = -1
    before, n = everybody_shops(quiet, aisle)
    after, m = everybody_shops(told, aisle)
    everyone = np.ones(N, bool)
    assert everything(before, n, everyone) == everything(after, m, everyone)


def test_a_deeper_discount_raises_choice_and_incidence():
    shares, incidence = [], []
    for depth in (0.0, 0.2, 0.4):
        lines, n = everybody_shops(made_town(made_habits(N)), made_aisle(depth={1: depth}))
        in_category = lines.category[:n] == 0
        shares.append((lines.product[:n][in_category] == 1).mean())
        incidence.append(len(np.unique(lines.consumer[:n][in_category])))
    assert shares[0] < shares[1] < shares[2]
    # The shelf is always like this, so what is usual moves along with it.
    assert incidence[2] >= incidence[0] * 0.95


def test_a_household_that_ignores_deals_chooses_as_if_there_were_none():
    rows = N * ROWS
    habits = made_habits(
        N,
        deal=np.zeros(N, np.float32),
        row_explore=np.full(rows, 1e-6, np.float32),
        row_lines=np.ones(rows, np.float32),
    )
    plain, n = everybody_shops(made_town(habits), made_aisle())
    cut, m = everybody_shops(made_town(habits), made_aisle(depth={1: 0.4}))
    share, share_cut = (
        (x.product[:k] == 1).sum() / (x.category[:k] == 0).sum() for x, k in ((plain, n), (cut, m))
    )
    assert share_cut == pytest.approx(share, abs=0.02)
    assert share == pytest.approx(1 / 3, abs=0.03)


def test_prices_are_whole_cents_with_discount_and_level():
    aisle = made_aisle(depth={0: 0.25}, price_level=np.array([1.1], np.float32))
    lines, n = everybody_shops(made_town(made_habits(N)), aisle)
    unit = np.where(lines.product[:n] == 0, 165, 220)
    assert (lines.shelf_cents[:n] == 220).all()
    assert (lines.paid_cents[:n] == unit * lines.units[:n]).all()


def test_units_have_their_mean():
    lines, n = everybody_shops(made_town(made_habits(20_000)), made_aisle())
    hers = lines.row[:n] != NONE
    # Without a discount she takes fewer of what she may take several of.
    assert lines.units[:n][hers].mean() == pytest.approx(1 + 0.5 * (1 - STOCK_UP * USUAL_DEPTH), rel=0.02)
    assert lines.units[:n].min() == 1


def test_a_dearer_shop_sells_fewer_categories():
    sold = [
        everybody_shops(
            made_town(made_habits(N, row_rate=np.full(N * ROWS, 0.2, np.float32))),
            made_aisle(price_level=np.array([level], np.float32)),
        )[1]
        for level in (0.9, 1.0, 1.2)
    ]
    assert sold[0] > sold[1] > sold[2]


def test_a_coupon_raises_its_product_and_is_redeemed_once():
    aisle = made_aisle(offers=made_offers([1]))
    habits = made_habits(N, coupon=np.ones(N, np.float32))
    quiet, holding = made_town(habits), made_town(habits)
    tell(holding, slice(None), NONE, offer=0, saving=0.25)
    before, n = everybody_shops(quiet, aisle)
    after, m = everybody_shops(holding, aisle)
    assert bought(after, m, "product")[1] > 1.2 * bought(before, n, "product")[1]
    used = after.offer[:m] == 0
    assert (after.product[:m][used] == 1).all() and used.sum() == bought(after, m, "product")[1]
    assert (after.coupon_cents[:m][used] == np.minimum(50, after.paid_cents[:m][used])).all()
    assert (before.offer[:n] == NONE).all()
    users = after.consumer[:m][used]
    assert (holding.hand.offer[users, 0, 0] == NONE).all()
    again, k = everybody_shops(holding, aisle, day=1)
    assert not np.isin(again.consumer[:k][again.offer[:k] == 0], users).any()


def booklets(day, **parts):
    """Of the lines of each consumer on a day, with a booklet from day 0 in hand: redeemed or not, and the town."""
    aisle = made_aisle(offers=made_offers([0, 1], kind=OfferKind.CAMPAIGN), **parts)
    town = made_town(made_habits(N, coupon=np.ones(N, np.float32)))
    tell(town, slice(None), NONE, offer=0, saving=0.25)
    lines, n = everybody_shops(town, aisle, day=day)
    good = np.isin(lines.product[:n], [0, 1])
    return lines.offer[:n][good] == 0, lines.consumer[:n][good], town


def test_a_booklet_of_coupons_stays_in_hand():
    used, _, town = booklets(10)
    assert used.sum() > 0
    assert (town.hand.offer[:, 0, 0] == 0).all()


def test_a_booklet_is_got_round_to_and_then_forgotten():
    at_once, soon, late = (booklets(day)[0].mean() for day in (0, 10, 90))
    assert at_once == 0 and 0 < late < soon / 3


def test_a_booklet_that_holds_part_of_the_coupons_is_used_for_part_of_the_lines():
    whole = booklets(10)[0].mean()
    part = booklets(10, reach=np.array([0.25], np.float32))[0].mean()
    assert 0 < part < 0.5 * whole


def test_who_never_thinks_of_coupons_redeems_none():
    aisle = made_aisle(offers=made_offers([0, 1]))
    town = made_town(made_habits(N, coupon=np.zeros(N, np.float32)))
    tell(town, slice(None), NONE, offer=0, saving=0.25)
    lines, n = everybody_shops(town, aisle)
    assert (lines.offer[:n] == NONE).all()


def test_a_substitute_is_of_the_category_and_on_hand():
    aisle = made_aisle()
    town = made_town(made_habits(N))
    lines, n = everybody_shops(town, aisle)
    out = np.zeros(PRODUCTS, np.uint8)
    out[[0, EACH, 2 * EACH, 2 * EACH + 1]] = 1
    taken = np.array([substitute(today(0), town, aisle, out, lines, k) for k in range(n)])
    assert (taken // EACH == lines.category[:n]).all()
    assert not out[taken].any()
    # With her favourite out, the other product she knows is what she takes most.
    first = lines.category[:n] == 0
    assert np.bincount(taken[first]).argmax() == 1


def test_without_anything_left_there_is_no_substitute():
    aisle = made_aisle()
    town = made_town(made_habits(5))
    lines, n = everybody_shops(town, aisle)
    out = np.ones(PRODUCTS, np.uint8)
    assert all(substitute(today(0), town, aisle, out, lines, k) == NONE for k in range(n))


def test_too_little_room_is_said_and_not_overrun():
    town = made_town(made_habits(50))
    shoppers = empty_shoppers(50)
    shoppers.consumer[:] = np.arange(50)
    assert fill_baskets(today(0), town, made_aisle(), shoppers, 50, empty_lines(100)) == -1


def test_the_tables_of_a_week_without_promotion_are_plain_popularity():
    shelf = made_shelf()
    explore = explore_tables(shelf, made_demand().response)
    assert explore.cumulative[0, :EACH] == pytest.approx(np.cumsum([5, 4, 3, 2, 1]))
    assert (explore.value == 1).all() and (explore.usual == 1).all()
    assert (explore.cut == 0).all() and (explore.relative == 0).all()


def test_a_coupon_covers_its_share_of_a_category():
    share = eligible_share(made_offers([0, 4, 5]), made_shelf())
    assert share[0] == pytest.approx([6 / 15, 5 / 15, 0, 0])


def test_a_basket_meant_to_be_of_several_categories_is(monkeypatch):
    for meant, least in ((0, 1), (1, 2), (2, 3), (6, 3)):
        cdf = np.zeros((200, len(BASKET_SIZES)), np.float32)
        cdf[:, meant:] = 1.0
        habits = made_habits(200, size_cdf=cdf)
        demand = made_demand(size_scale=np.full(len(BASKET_SIZES), 1e-6, np.float32))
        lines, n = everybody_shops(made_town(habits, demand), made_aisle(demand))
        categories = {
            (who, category) for who, category in zip(lines.consumer[:n], lines.category[:n], strict=True)
        }
        assert len(categories) == 200 * least


def _meant_after(days, **tables):
    cdf = np.linspace(0, 1, len(BASKET_SIZES) + 1, dtype=np.float32)[1:]
    habits = made_habits(N, size_cdf=np.tile(cdf, (N, 1)))
    demand = made_demand(**tables)
    town = made_town(habits, demand)
    town.needs.last_large[:] = -days
    town.needs.gap[:] = days
    everybody_shops(town, made_aisle(demand))
    return town.needs.meant.mean()


@pytest.mark.parametrize("table", ["size_cycle", "size_gap"])
def test_soon_after_a_large_basket_or_a_trip_she_means_a_smaller_one(table):
    shift = np.linspace(-1, 1, len(CYCLE_EDGES) + 1, dtype=np.float32)
    flat = _meant_after(1)
    assert _meant_after(1, **{table: shift}) < flat - 2 < _meant_after(60, **{table: shift}) - 4


def test_deep_discounts_are_stocked_up_on():
    plain, deep = (
        everybody_shops(made_town(made_habits(20_000)), made_aisle(depth=depth))
        for depth in (None, dict.fromkeys(range(PRODUCTS), 0.5))
    )
    more = [lines.units[:n].mean() - 1 for lines, n in (plain, deep)]
    assert more[1] / more[0] == pytest.approx(
        (1 + STOCK_UP * (0.5 - USUAL_DEPTH)) / (1 - STOCK_UP * USUAL_DEPTH), rel=0.06
    )
