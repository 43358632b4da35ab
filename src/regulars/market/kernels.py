"""Compiles the kernels of a run beforehand, in a process of its own, while the data is read and fitted.

numba compiles a kernel when it is first called and keeps the result on disk. On a new machine that takes about as long
as reading and fitting, and a second core is idle meanwhile; so a first run starts ``python -m regulars.market.kernels``,
which has a made-up hamlet of eight hear from every policy for some days.
"""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from regulars import settings
from regulars.consumers import memory, needs
from regulars.consumers.choice import aisle_of
from regulars.consumers.population import (
    AGE_EDGES,
    BASKET_SIZES,
    CYCLE_EDGES,
    GAP_EDGES,
    PACE_EDGES,
    STORES,
    Demand,
    Habits,
)
from regulars.market import day, shops, tally
from regulars.market.calendar import Calendar
from regulars.market.town import Names, Town
from regulars.retail import catalog
from regulars.retail.policies import history
from regulars.shelf import Shelf, by_category
from regulars.sources import panel
from regulars.terms import Fate

CONSUMERS, PRODUCTS, CATEGORIES, WEEKS = 8, 24, 6, 53
DAYS = 10


def compile_all() -> None:
    """Call every kernel that decides, judges, sells or learns, with columns of the types of a real run."""
    scenario = settings.Scenario(days=DAYS, warm_up=0, worlds=1, policies=settings.POLICIES)
    place = _hamlet()
    life = day.Life(scenario, place, 0)
    warm = life.shops[0]
    life.traits.budget[:] = 1000.0
    lines = life.lines
    lines.consumer[:CONSUMERS] = np.arange(CONSUMERS)
    lines.units[:CONSUMERS] = 1
    lines.shelf_cents[:CONSUMERS] = lines.paid_cents[:CONSUMERS] = 100
    lines.row[:CONSUMERS] = np.arange(CONSUMERS) * CATEGORIES
    lines.fate[:CONSUMERS] = Fate.SERVED
    for policy in scenario.policies:
        shop = shops.reopen(warm, place, policy, {})
        shop.record.optin[:] = 255
        life.shops = [shop]
        for today in range(DAYS):
            life.talk(shop, 0, today)
            memory.pulls(life.world, life.mind, life.pull)
            needs.settle(today, life.needs, lines, CONSUMERS)
            shop.purchased(today, lines, CONSUMERS)
            tally.shop(
                life.tally, 0, today, place.shelf.private, life.costs,
                life.shoppers.consumer, life.shoppers.retailer, 0, lines, CONSUMERS,
            )  # fmt: skip
            shop.learn(today)
            memory.fade(life.world, life.mind)
        day.closing(life, day.Warm(life.needs, [shop], np.zeros((CONSUMERS, 1), np.int64)))


def _hamlet() -> Town:
    rows = CONSUMERS * CATEGORIES
    shape = {"N": CONSUMERS, "K": rows, "M": rows}
    habits = Habits(
        consumer=np.arange(CONSUMERS, dtype=np.uint32),
        **{name: np.ones(shape[of], dtype) for name, (of, dtype) in _HABITS.items()},
        trip_dow=np.ones((CONSUMERS, 7), np.float32),
        size_cdf=np.ones((CONSUMERS, len(BASKET_SIZES)), np.float32),
        size_dow=np.zeros((CONSUMERS, 7), np.float32),
        need_age=np.ones((CONSUMERS, len(AGE_EDGES) + 1), np.float32),
        row_ptr=np.arange(0, rows + 1, CATEGORIES, dtype=np.int64),
        row_category=np.tile(np.arange(CATEGORIES, dtype=np.uint16), CONSUMERS),
        product_ptr=np.arange(rows + 1, dtype=np.int64),
        store=np.zeros((CONSUMERS, STORES), np.uint16),
        store_cdf=np.ones((CONSUMERS, STORES), np.float32),
    )
    demand = Demand(
        gap_hazard=np.ones((4, len(GAP_EDGES) + 1), np.float32),
        week_trips=np.ones(WEEKS, np.float32),
        week_category=np.ones((WEEKS, CATEGORIES), np.float32),
        age_hazard=np.ones((CATEGORIES, len(AGE_EDGES) + 1), np.float32),
        pace_hazard=np.ones((len(PACE_EDGES) + 1, len(AGE_EDGES) + 1), np.float32),
        size_factor=np.ones((len(BASKET_SIZES), CATEGORIES), np.float32),
        size_scale=np.ones(len(BASKET_SIZES), np.float32),
        size_cycle=np.zeros(len(CYCLE_EDGES) + 1, np.float32),
        size_gap=np.zeros(len(CYCLE_EDGES) + 1, np.float32),
        size_tier=np.zeros(len(BASKET_SIZES), np.float32),
        size_lines=np.ones(len(BASKET_SIZES), np.float32),
        size_units=np.ones(len(BASKET_SIZES), np.float32),
        entry=np.ones(CATEGORIES, np.float32),
        entry_lines=np.ones(CATEGORIES, np.float32),
        entry_units=np.ones(CATEGORIES, np.float32),
        more_units=np.ones(PRODUCTS, np.float32),
        response=np.zeros(8, np.float32),
    )
    category = (np.arange(PRODUCTS) % CATEGORIES).astype(np.uint16)
    popularity = np.ones(PRODUCTS, np.float32)
    goods = Shelf(
        np.ones((WEEKS, PRODUCTS), np.float32),
        np.full((WEEKS, PRODUCTS), 0.3, np.float32),
        np.full((WEEKS, PRODUCTS), -1, np.int32),
        np.zeros((0, 2), np.uint64),
        np.zeros((0, 2), np.uint64),
        np.full(1, -1, np.int16),
        np.zeros(0, np.uint16),
        category,
        np.zeros(PRODUCTS, np.uint8),
        popularity,
        *by_category(category, popularity, CATEGORIES),
    )
    campaigns = pl.DataFrame(
        {"campaign": [0], "type": ["A"], "first_day": [1], "last_day": [9], "campaign_id": [1]},
        schema_overrides=dict(panel.SCHEMAS["campaigns"]),
    )
    coupons = pl.DataFrame(
        {
            "coupon": [0], "coupon_upc": [1], "campaign": [0], "saving_cents": [30], "saving_observed": [True],
            "category": [0], "products_total": [1],
        },
        schema_overrides=dict(panel.SCHEMAS["coupons"]),
    )  # fmt: skip
    products = pl.DataFrame({"coupon": [0], "product": [0]}, schema=dict(panel.SCHEMAS["coupon_products"]))
    names = [f"category {c}" for c in range(CATEGORIES)]
    offered = catalog.build(coupons, products, campaigns, goods, names, days=DAYS)
    contacts = pl.DataFrame(
        {"campaign": [0] * CONSUMERS, "household": range(CONSUMERS)}, schema=dict(panel.SCHEMAS["contacts"])
    )
    return Town(
        habits=habits,
        demand=demand,
        household_id=np.arange(CONSUMERS),
        shelf=goods,
        aisle=aisle_of(goods, demand, offered.offers),
        calendar=Calendar(datetime.date(2017, 1, 1), WEEKS, 365),
        catalogs=(offered,),
        history=history.sent(contacts, campaigns, offered),
        weekly_units=popularity,
        names=Names(names, ["product"] * PRODUCTS, ["store"]),
        source="made up",
        currency="USD",
        rejects={},
        fit_about={},
        fingerprint="",
    )


#: Columns of Habits by their length (N consumers, K rows, M products) and dtype; the others are given by hand.
_HABITS = {
    **dict.fromkeys(("trip_rate", "gap_power", "drift_sigma", "deal", "private", "tier"), ("N", np.float32)),
    **dict.fromkeys(("novelty", "coupon", "store_stay"), ("N", np.float32)),
    **dict.fromkeys(("trip_class", "age", "income", "kids", "household_size"), ("N", np.uint8)),
    **dict.fromkeys(("row_rate", "row_interval", "row_explore", "row_units", "row_lines"), ("K", np.float32)),
    "product": ("M", np.int32),
    "loyalty": ("M", np.float32),
}

if __name__ == "__main__":
    compile_all()
