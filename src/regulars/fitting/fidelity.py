"""How like the real panel a fitted population lives: a few figures, real against simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.consumers.population import Population
from regulars.fitting.rehearsal import WARM_UP, live
from regulars.shelf import Shelf


def quick_check(
    population: Population, shelf: Shelf, key: NDArray[np.uint32], *, warm_up: int = WARM_UP
) -> dict[str, dict[str, float]]:
    """What :func:`figures` says: ``real`` as noted when fitting, ``simulated`` in one world."""
    lines = live(population, shelf, key, warm_up=warm_up)
    return {
        "real": dict(population.about["real"]),
        "simulated": figures(lines, len(population), int(population.about["days"])),
    }


def figures(lines: pl.DataFrame, households: int, days: int, half: int | None = None) -> dict[str, float]:
    """What can be said of purchase lines in a few numbers.

    Parameters
    ----------
    lines : household, day, week, store, product, category, units, cents
    households, days : how many there were, with or without purchases
    half : first day of the second half; the middle unless given

    Returns
    -------
    dict
        trips are shopping days; spend is in currency units; ``top_share`` is the share of spend of the fifth
        of households that spends most; ``kept_share`` the share of second-half trips of those with most trips
        in the first half; repeats are the median household's share of second-half products (categories) seen
        in the first.
    """
    day = lines.group_by("household", "day").agg(
        pl.col("cents").sum(),
        categories=pl.col("category").n_unique(),
        lines=pl.len(),
        store=pl.col("store").first(),
    )
    trips = _per(day["household"], np.ones(day.height), households)
    spend = _per(day["household"], day["cents"].to_numpy() / 100, households)
    weeks = max(days / 7, 1e-9)
    weekly = np.zeros((households, int(np.ceil(days / 7))))
    np.add.at(weekly, (day["household"].to_numpy(), day["day"].to_numpy() // 7), 1.0)
    half = days // 2 if half is None else half
    early = _per(day["household"], (day["day"] < half).to_numpy().astype(float), households)
    top = max(1, households // 5)
    heavy = np.argsort(-early, kind="stable")[:top]
    late = trips - early
    counted: dict[str, Any] = {
        "trips_per_day": trips.sum() / days,
        "spend": spend.sum(),
        "lines": lines.height,
        "units_per_line": lines["units"].mean(),
        "cents_per_unit": int(lines["cents"].sum()) / max(int(lines["units"].sum()), 1),
        "days_per_week_median": np.median(trips) / weeks,
        "zero_weeks": (weekly == 0).mean(),
        "top_share": np.sort(spend)[::-1][:top].sum() / max(spend.sum(), 1e-9),
        "early_share": early[heavy].sum() / max(early.sum(), 1.0),
        "kept_share": late[heavy].sum() / max(late.sum(), 1.0),
        "categories_80": _categories_80(lines),
        "product_repeats": _repeats(lines, "product", half),
        "category_repeats": _repeats(lines, "category", half),
        "products_median": _different(lines, "product"),
        "categories_median": _different(lines, "category"),
        "first_store": _first_store(day),
        "basket_categories_median": day["categories"].median(),
        "basket_categories_mean": day["categories"].mean(),
        "basket_lines_median": day["lines"].median(),
        "basket_single": (day["categories"] == 1).mean(),
        "basket_log_sd": float(np.log(day["categories"].to_numpy()).std()) if day.height else None,
        "basket_value_median": float(np.median(day["cents"].to_numpy())) / 100 if day.height else None,
    }
    return {
        name: round(float(value), 5) if value is not None else float("nan") for name, value in counted.items()
    }


def _per(household: pl.Series, weight: NDArray[np.float64], households: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(household.to_numpy(), weight, households), np.float64)


def _categories_80(lines: pl.DataFrame) -> Any:
    return (
        lines.group_by("household", "category")
        .agg(pl.col("cents").sum())
        .sort(["household", "cents"], descending=[False, True])
        .with_columns(before=(pl.col("cents").cum_sum() - pl.col("cents")).over("household"))
        .with_columns(total=pl.col("cents").sum().over("household"))
        .filter(pl.col("before") < 0.8 * pl.col("total"))
        .group_by("household")
        .len()["len"]
        .median()
    )


def _repeats(lines: pl.DataFrame, column: str, half: int) -> Any:
    seen = (
        lines.filter(pl.col("day") < half).select("household", column).unique().with_columns(seen=pl.lit(1))
    )
    late = lines.filter(pl.col("day") >= half).select("household", column).unique()
    joined = late.join(seen, on=["household", column], how="left")
    return joined.group_by("household").agg(pl.col("seen").is_not_null().mean())["seen"].median()


def _different(lines: pl.DataFrame, column: str) -> Any:
    return lines.group_by("household").agg(pl.col(column).n_unique())[column].median()


def _first_store(day: pl.DataFrame) -> Any:
    trips = day.group_by("household", "store").len("trips")
    return trips.group_by("household").agg(pl.col("trips").max() / pl.col("trips").sum())["trips"].median()
