"""A stretch of life without a single message: what a fitted population buys when nobody writes to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.consumers.choice import Aisle, aisle_of, fill_baskets, filled, line_room
from regulars.consumers.needs import settle
from regulars.consumers.population import Needs, Population, rows_of
from regulars.consumers.town import Today, town_of
from regulars.consumers.trips import at_rest, empty_shoppers, who_shops
from regulars.errors import ShapeError
from regulars.shelf import Shelf
from regulars.terms import empty_lines

WARM_UP = 91


def live(
    population: Population,
    shelf: Shelf,
    key: NDArray[np.uint32],
    *,
    warm_up: int = WARM_UP,
    aisle: Aisle | None = None,
    threads: int | None = None,
) -> pl.DataFrame:
    """The purchase lines of the days that the population was fitted on, lived again.

    Parameters
    ----------
    population : with ``days``, ``first_dow`` and ``closed_days`` in its ``about``
    shelf : of the panel it was fitted on
    key : (2,) uint32 from ``draws.stream``
    warm_up : days lived before day 0; they borrow the last days of the same span
    aisle : of the shelf, when it is at hand already
    threads : how many; the result does not depend on it

    Returns
    -------
    polars.DataFrame
        household (row of the population), day, week, store, product, category, units, cents, meant (index of
        BASKET_SIZES that the basket was meant to have); sorted by household and day
    """
    if len(shelf.category_ptr) - 1 != len(population.demand.entry):
        raise ShapeError(
            f"the shelf has {len(shelf.category_ptr) - 1} categories but the population was fitted on "
            f"{len(population.demand.entry)}. Give the shelf of the same panel"
        )
    aisle = aisle or aisle_of(shelf, population.demand)
    days = int(population.about["days"])
    return _shared(
        population, aisle, threads, lambda part: _live(population, aisle, part, key, -warm_up, days, None)
    )


def live_from(
    population: Population,
    shelf: Shelf,
    key: NDArray[np.uint32],
    needs: Needs,
    first: int,
    end: int,
    *,
    aisle: Aisle | None = None,
    threads: int | None = None,
) -> pl.DataFrame:
    """Purchase lines of the days from ``first`` to before ``end``, from known needs on the evening before.

    Parameters as for :func:`live`; ``needs`` are of all consumers and stay as they are.
    """
    aisle = aisle or aisle_of(shelf, population.demand)
    return _shared(
        population, aisle, threads, lambda part: _live(population, aisle, part, key, first, end, needs)
    )


def _shared(
    population: Population,
    aisle: Aisle,
    threads: int | None,
    lived_by: Callable[[NDArray[np.int64]], pl.DataFrame],
) -> pl.DataFrame:
    workers = min(threads or os.cpu_count() or 1, max(1, len(population) // 50))
    parts = np.array_split(np.arange(len(population)), workers)
    if workers == 1:
        lived = lived_by(parts[0])
    else:
        with ThreadPoolExecutor(workers) as pool:
            lived = pl.concat(pool.map(lived_by, parts))
    return lived.sort("household", "day", maintain_order=True)


def _live(
    population: Population,
    aisle: Aisle,
    part: NDArray[np.int64],
    key: NDArray[np.uint32],
    first: int,
    end: int,
    needs: Needs | None,
) -> pl.DataFrame:
    """Days before 0 are lived and not told; they borrow the last days of the same span."""
    about = population.about
    days, first_dow = int(about["days"]), int(about["first_dow"])
    closed = set(about["closed_days"])
    own = Population(
        rows_of(population.habits, part), population.demand, population.household_id[part], about
    )
    town = town_of(own, key, first)
    if needs is not None:
        rows = slice(population.habits.row_ptr[part[0]], population.habits.row_ptr[part[-1] + 1])
        town = town._replace(needs=_of(needs, part, rows))
    attraction, shoppers = at_rest(len(part)), empty_shoppers(len(part))
    lines = empty_lines(line_room(len(part)))
    kept: list[tuple[NDArray[np.int32], ...]] = []
    weeks = aisle.shelf.price.shape[0]
    for day in range(first, end):
        within = day % days if day < 0 else day
        week = min((within + first_dow) // 7, weeks - 1)
        today = Today(key, day, (first_dow + day) % 7, week, 0.0 if within in closed else 1.0)
        n, _ = who_shops(today, town, attraction, shoppers)
        m = filled(fill_baskets(today, town, aisle, shoppers, n, lines))
        settle(day, town.needs, lines, m)
        if day >= 0 and m:
            kept.append(
                (
                    lines.consumer[:m] + part[0].astype(np.int32),
                    np.full(m, day, np.int32),
                    np.full(m, week, np.int32),
                    lines.store[:m].astype(np.int32),
                    lines.product[:m].copy(),
                    lines.category[:m].copy(),
                    lines.units[:m].copy(),
                    lines.paid_cents[:m].copy(),
                    town.needs.meant[lines.consumer[:m]].astype(np.int32),
                )
            )
    names = ("household", "day", "week", "store", "product", "category", "units", "cents", "meant")
    empty = np.zeros(0, np.int32)
    columns = zip(*kept, strict=True) if kept else ([empty] for _ in names)
    return pl.DataFrame(
        {name: np.concatenate(list(column)) for name, column in zip(names, columns, strict=True)}
    )


def _of(needs: Needs, part: NDArray[np.int64], rows: slice) -> Needs:
    return Needs(
        needs.last_trip[part].copy(),
        needs.gap[part].copy(),
        needs.drift[part].copy(),
        needs.drift_level[part].copy(),
        needs.last_large[part].copy(),
        needs.meant[part].copy(),
        needs.last_store[part].copy(),
        needs.last_bought[rows].copy(),
        needs.last_product[rows].copy(),
    )
