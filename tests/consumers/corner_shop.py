"""A corner shop with four categories of five products, and customers alike who live by round numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.consumers.choice import Aisle, aisle_of, fill_baskets, line_room
from regulars.consumers.hand import empty_hands
from regulars.consumers.needs import settle, start
from regulars.consumers.population import (
    AGE_EDGES,
    BASKET_SIZES,
    CYCLE_EDGES,
    GAP_EDGES,
    PACE_EDGES,
    STORES,
    UNKNOWN,
    Demand,
    Habits,
)
from regulars.consumers.town import Persuasion, Today, Town
from regulars.consumers.trips import Attraction, at_rest, empty_shoppers, who_shops
from regulars.draws import stream
from regulars.shelf import Shelf, by_category
from regulars.terms import Lines, Offers, empty_lines

CATEGORIES, EACH, WEEKS = 4, 5, 3
PRODUCTS = CATEGORIES * EACH
#: Her rows; the last category is new to everybody.
ROWS = 3
KEY = stream(11)
SIZE = 0
#: What the hazards of that size are multiplied by.
SCALE = 5.0
PERSUASION = Persuasion(0.5, 10.0, 3.0)


def made_habits(n: int, **changes: Any) -> Habits:
    """n customers who come every tenth day, buy three categories and know two products of each."""
    f32 = np.float32
    rows, cells = n * ROWS, n * ROWS * 2
    category = np.tile(np.arange(ROWS), n)
    cdf = np.zeros((n, len(BASKET_SIZES)), f32)
    cdf[:, SIZE:] = 1.0
    columns: dict[str, Any] = {
        "consumer": np.arange(n, dtype=np.uint32),
        "trip_rate": np.full(n, 0.1, f32),
        "trip_dow": np.ones((n, 7), f32),
        "trip_class": np.zeros(n, np.uint8),
        "gap_power": np.zeros(n, f32),
        "drift_sigma": np.zeros(n, f32),
        "size_cdf": cdf,
        "size_dow": np.zeros((n, 7), f32),
        "need_age": np.ones((n, len(AGE_EDGES) + 1), f32),
        "row_ptr": np.arange(n + 1, dtype=np.int64) * ROWS,
        "row_category": category.astype(np.uint16),
        "row_rate": np.full(rows, 0.02, f32),
        "row_interval": np.full(rows, 30.0, f32),
        "row_explore": np.full(rows, 1.0, f32),
        "row_units": np.full(rows, 1.5, f32),
        "row_lines": np.full(rows, 1.2, f32),
        "product_ptr": np.arange(rows + 1, dtype=np.int64) * 2,
        "product": (np.repeat(category * EACH, 2) + np.tile([0, 1], rows)).astype(np.int32),
        "loyalty": np.tile(np.array([2.0, 1.0], f32), rows),
        "deal": np.ones(n, f32),
        "private": np.zeros(n, f32),
        "tier": np.zeros(n, f32),
        "store": np.zeros((n, STORES), np.uint16),
        "store_cdf": np.ones((n, STORES), f32),
        "store_stay": np.zeros(n, f32),
        "novelty": np.full(n, 0.002, f32),
        "coupon": np.full(n, 0.5, f32),
        **{name: np.full(n, UNKNOWN, np.uint8) for name in ("age", "income", "kids", "household_size")},
    }
    assert cells == len(columns["product"])
    return Habits(**(columns | changes))


def made_demand(**changes: Any) -> Demand:
    """Flat tables; promotion works as on the real panel."""
    f32 = np.float32
    columns: dict[str, Any] = {
        "gap_hazard": np.ones((4, len(GAP_EDGES) + 1), f32),
        "week_trips": np.ones(WEEKS, f32),
        "week_category": np.ones((WEEKS, CATEGORIES), f32),
        "age_hazard": np.ones((CATEGORIES, len(AGE_EDGES) + 1), f32),
        "pace_hazard": np.ones((len(PACE_EDGES) + 1, len(AGE_EDGES) + 1), f32),
        "size_factor": np.ones((len(BASKET_SIZES), CATEGORIES), f32),
        "size_scale": np.full(len(BASKET_SIZES), SCALE, f32),
        "size_cycle": np.zeros(len(CYCLE_EDGES) + 1, f32),
        "size_gap": np.zeros(len(CYCLE_EDGES) + 1, f32),
        "size_tier": np.zeros(len(BASKET_SIZES), f32),
        "size_lines": np.ones(len(BASKET_SIZES), f32),
        "size_units": np.ones(len(BASKET_SIZES), f32),
        "entry": np.cumsum(np.full(CATEGORIES, 1 / CATEGORIES)).astype(f32),
        "entry_lines": np.full(CATEGORIES, 1.2, f32),
        "entry_units": np.full(CATEGORIES, 1.2, f32),
        "more_units": np.ones(PRODUCTS, f32),
        "response": np.array([2.05, 0.35, 0.74, 0.35, 0.25, 0.04, -0.6, 0.5], f32),
    }
    return Demand(**(columns | changes))


def made_shelf(depth: dict[int, float] | None = None) -> Shelf:
    """Everything costs 2.00 all weeks, but for ``depth`` by product; one store without placement."""
    category = np.repeat(np.arange(CATEGORIES), EACH).astype(np.uint16)
    popularity = np.tile(np.arange(EACH, 0, -1), CATEGORIES).astype(np.float32)
    ptr, order = by_category(category, popularity, CATEGORIES)
    off = np.zeros((WEEKS, PRODUCTS), np.float32)
    for product, share in (depth or {}).items():
        off[:, product] = share
    return Shelf(
        price=np.full((WEEKS, PRODUCTS), 2.0, np.float32),
        depth=off,
        placement_row=np.full((WEEKS, PRODUCTS), -1, np.int32),
        display=np.zeros((0, 2), np.uint64),
        mailer=np.zeros((0, 2), np.uint64),
        store_bit=np.full(1, -1, np.int16),
        placement_store=np.zeros(0, np.uint16),
        category=category,
        private=np.zeros(PRODUCTS, np.uint8),
        popularity=popularity,
        category_ptr=ptr,
        category_product=order,
    )


def made_offers(products: list[int], kind: int = 0, cents: int = 50) -> Offers:
    """One coupon that is good on these products."""
    bits = np.zeros((1, 1), np.uint64)
    for product in products:
        bits[0, 0] |= np.uint64(1 << product)
    one = np.zeros(1, np.int32)
    return Offers(
        kind=np.array([kind], np.uint8),
        category=np.array([products[0] // EACH], np.int32),
        saving=np.array([0.25], np.float32),
        saving_cents=one + cents,
        first_day=one,
        last_day=one + 100,
        bits_row=one,
        product_bits=bits,
    )


def made_town(habits: Habits, demand: Demand | None = None, retailers: int = 1, first_day: int = 0) -> Town:
    """A town of these people, on the evening before ``first_day``."""
    tables = demand or made_demand()
    needs = start(habits, tables, KEY, first_day)
    return Town(habits, tables, needs, empty_hands(len(habits.consumer), retailers), PERSUASION)


def tell(
    town: Town, consumer: Any, category: int, day: int = 0, offer: int = -1, saving: float = 0.0
) -> None:
    """Put a message into the first slot of some hands."""
    town.hand.category[consumer, 0, 0] = category
    town.hand.day[consumer, 0, 0] = day
    town.hand.offer[consumer, 0, 0] = offer
    town.hand.saving[consumer, 0, 0] = saving
    town.hand.last_day[consumer, 0, 0] = 100


def made_aisle(demand: Demand | None = None, **parts: Any) -> Aisle:
    """The corner shop's aisle: ``depth``, ``offers`` and ``price_level`` as given."""
    shelf = made_shelf(parts.pop("depth", None))
    return aisle_of(shelf, demand or made_demand(), **parts)


def today(day: int) -> Today:
    return Today(KEY, day, day % 7, 0, 1.0)


def everybody_shops(town: Town, aisle: Aisle, day: int = 0) -> tuple[Lines, int]:
    """The baskets of one day on which everybody is in the shop."""
    n = len(town.habits.consumer)
    shoppers = empty_shoppers(n)
    shoppers.consumer[:] = np.arange(n)
    lines = empty_lines(line_room(n))
    return lines, fill_baskets(today(day), town, aisle, shoppers, n, lines)


def live(
    town: Town, aisle: Aisle, days: int, attraction: Attraction | None = None, first_day: int = 0
) -> dict[str, NDArray[Any]]:
    """Lines of so many days, as columns with the day and the consumer's name."""
    n = len(town.habits.consumer)
    shoppers, lines = empty_shoppers(n), empty_lines(line_room(n))
    drawn = attraction or at_rest(n)
    kept = []
    for day in range(first_day, first_day + days):
        count, _ = who_shops(today(day), town, drawn, shoppers)
        m = fill_baskets(today(day), town, aisle, shoppers, count, lines)
        settle(day, town.needs, lines, m)
        columns = {name: column[:m].copy() for name, column in lines._asdict().items()}
        columns["day"] = np.full(m, day)
        columns["name"] = town.habits.consumer[columns["consumer"]]
        kept.append(columns)
    return {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
