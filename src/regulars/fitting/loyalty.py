"""Which products and stores each household returns to, in how many lines and units, and how far it roams."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.consumers.choice import FRESH_DEAL, KNOWN_DEAL, Explore
from regulars.consumers.population import STORES
from regulars.fitting.categories import Rows
from regulars.fitting.history import History
from regulars.terms import F64, I64

#: What one purchase of a product loses to the products never bought: favourites and one-offs coexist
#: (Pitman-Yor).
DISCOUNT = 0.7
#: Weight of exploration in a row that has only begun.
EXPLORE = 1.0
ROAMING_WEIGHT = 20.0
UNITS_WEIGHT = 4.5
LINES_WEIGHT = 2.5
#: Weight, in units beyond the first, of a household buying as many of a thing as others do.
BULK_WEIGHT = 1.0
#: Weight, in units beyond the first, of a product being like its category.
MORE_WEIGHT = 1.0
STORE_WEIGHT = 0.8
#: What one store of a household's loses to stores that it was not seen in: those come and go.
STORE_DISCOUNT = 0.15
#: Weight of everybody's changes of store in a household's own, and the most that anybody stays.
STAY_WEIGHT = 3.0
MOST_STAY = 0.95
#: Products kept in a row; what she bought of others is as if she had explored.
MOST_KNOWN = 12


class ProductHabits(NamedTuple):
    """What the lines of K rows tell."""

    ptr: I64  #: (K + 1,)
    product: NDArray[np.int32]  #: (M,) of a row, the most loved first
    loyalty: F64  #: (M,)
    explore: F64  #: (K,)
    units: F64  #: (K,) mean units a line
    lines: F64  #: (K,) mean lines when bought
    category_lines: F64  #: (C,)
    category_units: F64  #: (C,)
    more_units: F64  #: (P,) units beyond the first against those usual in its rows


def fit_products(lines: pl.DataFrame, history: History, rows: Rows, explore: Explore) -> ProductHabits:
    """Loyalty by days on which each product was bought, less a discount; units and lines by category.

    Loyalty is what it would be without promotions: purchases over the mean factor that promotion put on the
    product.
    """
    categories = len(explore.usual)
    cells = (
        lines.group_by("household", "category", "product")
        .agg(times=pl.col("day").n_unique())
        .sort(["household", "category", "times", "product"], descending=[False, False, True, False])
    )
    row = _row_index(rows, cells["household"].to_numpy(), cells["category"].to_numpy(), categories)
    times = cells["times"].to_numpy().astype(np.float64)
    product = cells["product"].to_numpy().astype(np.int32)
    ptr = _pointers(row, len(rows.category))
    different = np.diff(ptr).astype(np.float64)
    household = np.repeat(np.arange(history.households), np.diff(rows.ptr))
    picks = np.bincount(row, times, len(rows.category)).astype(np.float64)
    roaming = _roaming(different, picks, rows, household, categories, history.households)
    unknown = EXPLORE * roaming[household] + DISCOUNT * different
    kept = np.arange(len(row)) - ptr[row] < MOST_KNOWN
    unknown += np.bincount(row[~kept], times[~kept] - DISCOUNT, len(unknown))
    row, times, product = row[kept], times[kept], product[kept]
    plain = (explore.usual[rows.category[row]] / np.maximum(explore.promoted[product], 1e-3)) ** (
        KNOWN_DEAL / FRESH_DEAL
    )
    in_lines = np.bincount(rows.bought, history.bought_lines, len(rows.category)).astype(np.float64)
    in_units = np.bincount(rows.bought, history.bought_units.astype(np.float64), len(rows.category)).astype(
        np.float64
    )
    category_lines = _mean_by(rows.category, in_lines, rows.times, categories)
    category_units = _mean_by(rows.category, in_units, in_lines, categories)
    many = category_lines[rows.category] - 1.0
    usual_lines = 1.0 + many * _bulk(in_lines - rows.times, rows.times * many, household, history.households)
    usual = 1.0 + (category_units[rows.category] - 1.0) * _bulk(
        in_units - in_lines, in_lines * (category_units[rows.category] - 1.0), household, history.households
    )
    units = (in_units + UNITS_WEIGHT * usual) / (in_lines + UNITS_WEIGHT)
    return ProductHabits(
        ptr=_pointers(row, len(rows.category)),
        product=product,
        loyalty=(times - DISCOUNT) * plain,
        explore=unknown,
        units=units,
        lines=(in_lines + LINES_WEIGHT * usual_lines) / (rows.times + LINES_WEIGHT),
        category_lines=category_lines,
        category_units=category_units,
        more_units=_more_units(lines, rows, units, explore),
    )


def _bulk(found: F64, expected: F64, household: I64, households: int) -> F64:
    """(K,) units (or lines) beyond the first of a household against those usual in what it buys."""
    own = np.bincount(household, np.maximum(found, 0.0), households)
    usual = np.bincount(household, np.maximum(expected, 0.0), households)
    return np.asarray(((own + BULK_WEIGHT) / (usual + BULK_WEIGHT))[household])


def _more_units(lines: pl.DataFrame, rows: Rows, units: F64, explore: Explore) -> F64:
    household, category = (lines[name].to_numpy().astype(np.int64) for name in ("household", "category"))
    usual = units[_row_index(rows, household, category, len(explore.usual))] - 1.0
    product, products = lines["product"].to_numpy(), len(explore.base)
    found = np.bincount(product, lines["units"].to_numpy().astype(np.float64) - 1.0, products)
    expected = np.bincount(product, np.maximum(usual, 0.0), products)
    return np.asarray((np.maximum(found, 0.0) + MORE_WEIGHT) / (expected + MORE_WEIGHT))


def _pointers(row: I64, rows: int) -> I64:
    return np.searchsorted(row, np.arange(rows + 1)).astype(np.int64)


def fit_stores(history: History) -> tuple[NDArray[np.uint16], F64]:
    """(N, STORES) stores of each household, the usual one first, and their cumulative shares.

    Shares are Dirichlet posterior means; the prior's weight goes where everybody shops. A household with
    fewer stores has its last one repeated with no share.
    """
    stores = int(history.trip_store.max(initial=0)) + 1
    trips = (
        pl.DataFrame({"household": history.trip_household, "store": history.trip_store.astype(np.int64)})
        .group_by("household", "store")
        .len("trips")
        .sort(["household", "trips", "store"], descending=[False, True, False])
        .with_columns(rank=pl.int_range(pl.len()).over("household"))
        .filter(pl.col("rank") < STORES)
    )
    everybody = (np.bincount(history.trip_store, minlength=stores) + 1e-3) / (
        len(history.trip_store) + stores * 1e-3
    )
    usual = np.argsort(-everybody, kind="stable")[:STORES]
    store = np.full((history.households, STORES), -1, np.int64)
    share = np.zeros((history.households, STORES))
    household, rank = trips["household"].to_numpy(), trips["rank"].to_numpy()
    store[household, rank] = trips["store"].to_numpy()
    share[household, rank] = trips["trips"].to_numpy()
    for i in np.flatnonzero(store[:, 0] < 0):
        store[i, : len(usual)] = usual
    known = np.where(store >= 0, everybody[np.maximum(store, 0)], 0.0)
    different = (share > 0).sum(1)
    share = np.maximum(share - STORE_DISCOUNT * (share > 0), 0.0) + STORE_WEIGHT * known
    _further(store, share, STORE_DISCOUNT * different, together(trips, stores))
    for slot in range(1, STORES):
        store[:, slot] = np.where(store[:, slot] < 0, store[:, slot - 1], store[:, slot])
    cumulative = np.cumsum(share / share.sum(1, keepdims=True), 1)
    cumulative[:, -1] = 1.0
    return store.astype(np.uint16), cumulative


def fit_stay(history: History, store: NDArray[np.uint16], store_cdf: F64) -> F64:
    """(N,) chance that a trip goes to the store of the last one, whatever the shares.

    Changes of store against those that draws by the shares would bring, shrunk to everybody's.
    """
    share = np.diff(store_cdf, axis=1, prepend=0.0)
    changing = np.maximum(1.0 - (share**2).sum(1), 1e-6)
    household, visited = history.trip_household, history.trip_store.astype(np.int64)
    follows = household[1:] == household[:-1]
    moved = np.bincount(household[1:], follows & (visited[1:] != visited[:-1]), history.households)
    expected = np.bincount(household[1:], follows, history.households) * changing
    usual = (moved.sum() + STAY_WEIGHT) / (expected.sum() + STAY_WEIGHT)
    ratio = (moved + STAY_WEIGHT * usual) / (expected + STAY_WEIGHT)
    return np.asarray(np.clip(1.0 - ratio, 0.0, MOST_STAY))


def together(trips: pl.DataFrame, stores: int) -> F64:
    """(S, S) how many households that shop in one store also shop in another."""
    households = int(trips["household"].to_numpy().max(initial=-1)) + 1
    seen = np.zeros((households, stores), np.float32)
    seen[trips["household"].to_numpy(), trips["store"].to_numpy()] = 1.0
    both = (seen.T @ seen).astype(np.float64)
    np.fill_diagonal(both, 0.0)
    return both


def _further(store: I64, share: F64, mass: F64, both: F64) -> None:
    """Fill free slots with the stores that others visit beside hers, and share ``mass`` among them."""
    for i in range(len(store)):
        own = store[i][store[i] >= 0]
        free = STORES - len(own)
        if not free or not len(own):
            continue
        near = both[own].sum(0) + 1e-9
        near[own] = 0.0
        chosen = np.argsort(-near, kind="stable")[:free]
        chosen = chosen[near[chosen] > 1e-8]
        if len(chosen):
            at = slice(len(own), len(own) + len(chosen))
            store[i, at] = chosen
            share[i, at] = mass[i] * near[chosen] / near[chosen].sum()
        else:
            share[i, : len(own)] += mass[i] / len(own)


def _row_index(rows: Rows, household: I64, category: I64, categories: int) -> I64:
    owner = np.repeat(np.arange(len(rows.ptr) - 1), np.diff(rows.ptr))
    cell = household.astype(np.int64) * categories + category
    return np.searchsorted(owner * categories + rows.category, cell).astype(np.int64)


def _mean_by(group: NDArray[np.int32], total: F64, count: F64, groups: int) -> F64:
    overall = max(total.sum() / max(count.sum(), 1.0), 1.0)
    return np.asarray(
        (np.bincount(group, total, groups) + 20 * overall) / (np.bincount(group, count, groups) + 20)
    )


def _roaming(different: F64, picks: F64, rows: Rows, household: I64, categories: int, households: int) -> F64:
    """(N,) different products of a household against others with as many purchases of the same categories."""
    fresh = np.maximum(different - 1.0, 0.0)
    chances = np.maximum(picks - 1.0, 0.0)
    usual = (np.bincount(rows.category, fresh, categories) + 1.0) / (
        np.bincount(rows.category, chances, categories) + 2.0
    )
    found = np.bincount(household, fresh, households)
    expected = np.bincount(household, chances * usual[rows.category], households)
    return np.asarray((found + ROAMING_WEIGHT) / (expected + ROAMING_WEIGHT)) ** 2
