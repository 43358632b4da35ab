"""What one household looks like from outside, in some forty numbers: the same ones for real and simulated."""

from __future__ import annotations

import numpy as np
import polars as pl

from regulars.fidelity.lived import Year
from regulars.fitting.promotion import DEAL_DEPTH
from regulars.shelf import Shelf
from regulars.terms import F64

#: Name of each feature and what it is, in the order of the columns.
FEATURES = {
    "spend": "log of spend",
    "trips": "shopping days",
    "zero_weeks": "share of weeks without a trip",
    "late_trips": "share of trips in the second half",
    "weekly_fano": "variance over mean of trips a week",
    "month_fano": "variance over mean of trips in four weeks",
    "gap_mean": "mean days between trips",
    "gap_cv": "variation of days between trips",
    "gap_longest": "longest gap between trips",
    "gap_next_day": "share of gaps of one day",
    "weekend": "share of trips on Saturday and Sunday",
    "weekday_most": "share of trips on the commonest weekday",
    "size_mean": "mean log categories in a basket",
    "size_sd": "s.d. of log categories in a basket",
    "size_one": "share of baskets of one category",
    "size_most": "log categories in the largest basket",
    "value_mean": "mean log value of a basket",
    "value_sd": "s.d. of log value of a basket",
    "lines_per_category": "lines for each category bought",
    "categories": "log of different categories",
    "categories_once": "share of categories bought once",
    "categories_80": "categories for 80% of spend",
    "categories_kept": "share of second-half categories seen in the first",
    "category_top": "share of lines in the commonest category",
    "category_entropy": "entropy of lines over categories",
    "category_cv": "median variation of days between purchases of a category",
    "products": "log of different products",
    "products_once": "share of products bought once",
    "products_kept": "share of second-half products seen in the first",
    "product_top": "share of lines of the commonest product",
    "units": "log of units a line",
    "units_many": "share of lines with several units",
    "units_sd": "s.d. of log units a line",
    "price": "mean log price of a unit against its category",
    "price_sd": "s.d. of log price of a unit",
    "private": "share of spend on the retailer's own brands",
    "deal": "share of lines of products on a deal that week",
    "depth": "mean depth of discount of the products bought",
    "stores": "different stores",
    "store_first": "share of trips to the first store",
    "store_changes": "share of trips to another store than the last",
    "redemptions": "coupons of campaigns used",
    "campaigns": "campaigns of which some coupon was used",
}

#: Digits of a feature that count.
DECIMALS = 6


def features(year: Year, shelf: Shelf, first_dow: int) -> F64:
    """(N, 43) one row a household, in the order of FEATURES; NaN where she has too little to tell.

    Parameters
    ----------
    year : purchases of N households
    shelf : on which they were made
    first_dow : weekday of day 0, Monday 0
    """
    lines = year.lines.with_columns(
        depth=pl.Series(shelf.depth[year.lines["week"].to_numpy(), year.lines["product"].to_numpy()]).cast(
            pl.Float64
        ),
        private=pl.Series(shelf.private[year.lines["product"].to_numpy()].astype(np.float64)),
        relative=_relative(year.lines, shelf),
    )
    parts = [
        _trips(lines, year, first_dow),
        _baskets(lines),
        _categories(lines, year.days // 2),
        _products(lines, year.days // 2),
        _units(lines),
        year.redemptions.group_by("household").agg(
            redemptions=pl.len(), campaigns=pl.col("campaign").n_unique()
        ),
    ]
    table = pl.DataFrame({"household": np.arange(year.households, dtype=np.int32)})
    for part in parts:
        table = table.join(part, on="household", how="left")
    table = table.with_columns(pl.col("redemptions", "campaigns").fill_null(0)).sort("household")
    found = table.select(pl.col(name).cast(pl.Float64) for name in FEATURES).to_numpy()
    # Sums over groups are added up in any order; what hangs on the last digits must not tell households apart.
    return np.asarray(np.round(found, DECIMALS), np.float64)


def _relative(lines: pl.DataFrame, shelf: Shelf) -> pl.Series:
    """Log price of a unit at the shelf against the median product of its category."""
    price = np.log(shelf.price.astype(np.float64)).mean(0)
    usual = np.zeros(len(shelf.category_ptr) - 1)
    for c in range(len(usual)):
        own = shelf.category_product[shelf.category_ptr[c] : shelf.category_ptr[c + 1]]
        usual[c] = np.median(price[own]) if len(own) else 0.0
    product = lines["product"].to_numpy()
    return pl.Series(price[product] - usual[shelf.category[product]])


def _trips(lines: pl.DataFrame, year: Year, first_dow: int) -> pl.DataFrame:
    days = (
        lines.group_by("household", "day", "store")
        .agg(pl.col("cents").sum())
        .sort(["household", "day", "cents", "store"], descending=[False, False, True, False])
        .group_by("household", "day", maintain_order=True)
        .agg(pl.col("store").first(), pl.col("cents").sum())
        .with_columns(
            gap=pl.col("day").diff().over("household"),
            moved=(pl.col("store") != pl.col("store").shift()).over("household"),
            dow=(pl.col("day") + first_dow) % 7,
        )
    )
    gap = pl.col("gap")
    whole = days.group_by("household").agg(
        spend=(pl.col("cents").sum() / 100 + 1).log(),
        trips=pl.len(),
        late_trips=(pl.col("day") >= year.days // 2).mean(),
        gap_mean=gap.mean(),
        gap_cv=gap.std() / gap.mean(),
        gap_longest=gap.max(),
        gap_next_day=(gap == 1).mean(),
        weekend=(pl.col("dow") >= 5).mean(),
        stores=pl.col("store").n_unique(),
        store_changes=pl.col("moved").mean(),
    )
    for name, column in (("weekday_most", "dow"), ("store_first", "store")):
        most = (
            days.group_by("household", column)
            .len("n")
            .group_by("household")
            .agg((pl.col("n").max() / pl.col("n").sum()).alias(name))
        )
        whole = whole.join(most, on="household")
    for name, span in (("weekly_fano", 7), ("month_fano", 28)):
        periods = max(year.days // span, 1)
        counts = np.zeros((year.households, periods))
        at = days["day"].to_numpy() // span
        inside = at < periods
        np.add.at(counts, (days["household"].to_numpy()[inside], at[inside]), 1.0)
        mean = counts.mean(1)
        fano = np.divide(counts.var(1), mean, out=np.full(len(mean), np.nan), where=mean > 0)
        more: dict[str, object] = {"household": np.arange(year.households, dtype=np.int32), name: fano}
        if span == 7:
            more["zero_weeks"] = (counts == 0).mean(1)
        whole = whole.join(pl.DataFrame(more), on="household")
    return whole


def _baskets(lines: pl.DataFrame) -> pl.DataFrame:
    baskets = lines.group_by("household", "day").agg(
        size=pl.col("category").n_unique().cast(pl.Float64), cents=pl.col("cents").sum(), lines=pl.len()
    )
    size, value = pl.col("size").log(), (pl.col("cents").clip(1) / 100).log()
    return baskets.group_by("household").agg(
        size_mean=size.mean(),
        size_sd=size.std(),
        size_one=(pl.col("size") == 1).mean(),
        size_most=size.max(),
        value_mean=value.mean(),
        value_sd=value.std(),
        lines_per_category=pl.col("lines").sum() / pl.col("size").sum(),
    )


def _kept(lines: pl.DataFrame, column: str, half: int) -> pl.DataFrame:
    pairs = lines.group_by("household", column).agg(
        early=(pl.col("day") < half).any(), late=(pl.col("day") >= half).any()
    )
    return (
        pairs.filter(pl.col("late"))
        .group_by("household")
        .agg(pl.col("early").mean().alias("categories_kept" if column == "category" else "products_kept"))
    )


def _categories(lines: pl.DataFrame, half: int) -> pl.DataFrame:
    owned = lines.group_by("household", "category").agg(
        days=pl.col("day").n_unique(), lines=pl.len(), cents=pl.col("cents").sum()
    )
    share = pl.col("lines") / pl.col("lines").sum()
    whole = owned.group_by("household").agg(
        categories=pl.len().cast(pl.Float64).log(),
        categories_once=(pl.col("days") == 1).mean(),
        category_top=share.max(),
        category_entropy=-(share * share.log()).sum(),
    )
    most = (
        owned.sort(["household", "cents"], descending=[False, True])
        .with_columns(before=(pl.col("cents").cum_sum() - pl.col("cents")).over("household"))
        .with_columns(total=pl.col("cents").sum().over("household"))
        .filter(pl.col("before") < 0.8 * pl.col("total"))
        .group_by("household")
        .agg(categories_80=pl.len())
    )
    rhythm = variation(lines, 5).group_by("household").agg(category_cv=pl.col("cv").median())
    whole = whole.join(most, on="household", how="left")
    return whole.join(_kept(lines, "category", half), on="household", how="left").join(
        rhythm, on="household", how="left"
    )


def variation(lines: pl.DataFrame, intervals: int) -> pl.DataFrame:
    """Household, category and cv: variation of days between purchases, where there are so many or more."""
    return (
        lines.select("household", "category", "day")
        .unique()
        .sort("household", "category", "day")
        .with_columns(gap=pl.col("day").diff().over("household", "category"))
        .filter(pl.col("gap").is_not_null())
        .group_by("household", "category")
        .agg(cv=pl.col("gap").std() / pl.col("gap").mean(), n=pl.len())
        .filter(pl.col("n") >= intervals)
    )


def _products(lines: pl.DataFrame, half: int) -> pl.DataFrame:
    owned = lines.group_by("household", "product").agg(days=pl.col("day").n_unique(), lines=pl.len())
    whole = owned.group_by("household").agg(
        products=pl.len().cast(pl.Float64).log(),
        products_once=(pl.col("days") == 1).mean(),
        product_top=pl.col("lines").max() / pl.col("lines").sum(),
    )
    return whole.join(_kept(lines, "product", half), on="household", how="left")


def _units(lines: pl.DataFrame) -> pl.DataFrame:
    # Some goods are counted by weight or volume: beyond a few dozen, more units say nothing.
    units = pl.col("units").clip(1, 24).cast(pl.Float64)
    return lines.group_by("household").agg(
        units=units.mean().log(),
        units_many=(units > 1).mean(),
        units_sd=units.log().std(),
        price=pl.col("relative").mean(),
        price_sd=pl.col("relative").std(),
        private=(pl.col("cents") * pl.col("private")).sum() / pl.col("cents").sum().clip(1),
        deal=(pl.col("depth") >= DEAL_DEPTH).mean(),
        depth=pl.col("depth").mean(),
    )
