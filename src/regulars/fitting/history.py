"""Purchases as the estimators read them: shopping days, what was bought on each, in plain arrays.

Real purchases and simulated ones take the same form, so that every estimator can be run on both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.terms import I32, I64

#: Columns that a table of lines must have here.
LINE_COLUMNS = ("household", "day", "store", "product", "category", "units", "cents")


class History(NamedTuple):
    """T shopping days of N households and B categories bought on them, over ``days`` days."""

    households: int
    days: int
    first_dow: int  #: day of the week of day 0, Monday 0
    trip_ptr: I64  #: (N + 1,) where the shopping days of a household begin, by day
    trip_day: I32  #: (T,)
    trip_store: I32  #: (T,) the store with most of the day's spend
    trip_cents: I64  #: (T,)
    bought_ptr: I64  #: (T + 1,) where the categories of a shopping day begin, by category
    bought_category: I32  #: (B,)
    bought_lines: I32  #: (B,) different products
    bought_units: I64  #: (B,)
    is_open: NDArray[np.bool_]  #: (days,) False on days when nobody could shop

    @property
    def trip_household(self) -> I64:
        """(T,) household of each shopping day."""
        return np.repeat(np.arange(self.households), np.diff(self.trip_ptr))

    @property
    def trip_size(self) -> I64:
        """(T,) number of categories bought."""
        return np.diff(self.bought_ptr)

    @property
    def bought_household(self) -> I64:
        """(B,) household of each category bought."""
        return np.repeat(self.trip_household, self.trip_size)


def history_of(
    lines: pl.DataFrame, households: int, days: int, first_dow: int, is_open: NDArray[np.bool_] | None = None
) -> History:
    """Shopping days out of purchase lines; several baskets of a household on one day are one shopping day.

    Parameters
    ----------
    lines : columns LINE_COLUMNS, in any order of rows, with 0 <= household < households and 0 <= day < days
    households, days : how many there are
    first_dow : day of the week of day 0, Monday 0
    is_open : (days,) when known; else days without any sale, in a panel that has some every day, count as closed
    """
    bought = (
        lines.group_by("household", "day", "category")
        .agg(lines=pl.col("product").n_unique(), units=pl.col("units").sum())
        .sort("household", "day", "category")
    )
    stores = (
        lines.group_by("household", "day", "store")
        .agg(pl.col("cents").sum())
        .sort(["household", "day", "cents", "store"], descending=[False, False, True, False])
        .group_by("household", "day", maintain_order=True)
        .agg(pl.col("store").first(), pl.col("cents").sum())
    )
    household = stores["household"].to_numpy().astype(np.int64)
    sizes = bought.group_by("household", "day", maintain_order=True).len()["len"].to_numpy()
    day = stores["day"].to_numpy().astype(np.int32)
    per_day = np.bincount(day, minlength=days)
    # A closed day is one without a sale where chance would not leave any empty.
    open_days = per_day > 0 if per_day.mean() >= 20 else np.ones(days, bool)
    return History(
        households=households,
        days=days,
        first_dow=first_dow,
        trip_ptr=_pointers(np.bincount(household, minlength=households)),
        trip_day=day,
        trip_store=stores["store"].to_numpy().astype(np.int32),
        trip_cents=stores["cents"].to_numpy().astype(np.int64),
        bought_ptr=_pointers(sizes),
        bought_category=bought["category"].to_numpy().astype(np.int32),
        bought_lines=bought["lines"].to_numpy().astype(np.int32),
        bought_units=bought["units"].to_numpy().astype(np.int64),
        is_open=open_days if is_open is None else is_open,
    )


def week_of_day(days: int, first_dow: int) -> I64:
    """(days,) week of each day, breaking on Mondays."""
    return (np.arange(days, dtype=np.int64) + first_dow) // 7


def _pointers(counts: NDArray[np.integer]) -> I64:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
