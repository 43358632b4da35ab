"""What a retailer's own purchase record says about a customer on the morning of a day: nothing of it is later."""

from __future__ import annotations

import numpy as np
import polars as pl

from regulars.sources.panel import Panel
from regulars.terms import F32, I64

#: Days that a count looks back; the last is everything.
WINDOWS = (28, 91, 10**6)

#: Columns of :func:`general`.
GENERAL = (
    *(f"{what} in {days} days" for days in (28, 91) for what in ("trips", "spend", "lines", "saved", "coupons")),
    *(f"{what} so far" for what in ("trips", "spend", "lines", "saved", "coupons")),
    "days since last trip",
    "spend a trip",
    "share saved",
    "share of own brands",
    "categories",
    "stores",
)  # fmt: skip


def by_day(panel: Panel) -> pl.DataFrame:
    """One row for each household and shopping day: what it spent, saved and took."""
    brand = panel.products.select("product", "brand_private", "category")
    return (
        panel.lines.join(brand, on="product")
        .group_by("household", "day")
        .agg(
            spend=pl.col("net_cents").sum() / 100,
            saved=pl.col("retail_disc_cents").sum() / 100,
            coupons=(pl.col("coupon_disc_cents") > 0).sum(),
            lines=pl.len(),
            private=pl.col("brand_private").fill_null(False).sum(),
        )
        .sort("household", "day")
    )


def general(panel: Panel, days: pl.DataFrame, household: I64, morning: int) -> F32:
    """(n, len(GENERAL)) float32 about these households, from purchases before day ``morning``.

    Parameters
    ----------
    days : from :func:`by_day`
    household : (n,) rising
    """
    before = days.filter(pl.col("day") < morning)
    sums = []
    for window in WINDOWS:
        sums.append(
            before.filter(pl.col("day") >= morning - window)
            .group_by("household")
            .agg(
                pl.len().alias("trips"),
                pl.col("spend", "lines", "saved", "coupons", "private").sum(),
                pl.col("day").max().alias("last"),
            )
        )
    lines = panel.lines.filter(pl.col("day") < morning)
    wide = (
        lines.join(panel.products.select("product", "category"), on="product")
        .group_by("household")
        .agg(pl.col("category").n_unique().alias("categories"), pl.col("store").n_unique().alias("stores"))
    )
    who = pl.DataFrame({"household": household.astype(np.uint32)})
    out = []
    for part in sums:
        joined = who.join(part, on="household", how="left", maintain_order="left")
        out += [
            joined[name].fill_null(0).to_numpy() for name in ("trips", "spend", "lines", "saved", "coupons")
        ]
    ever = who.join(sums[-1], on="household", how="left", maintain_order="left")
    far = who.join(wide, on="household", how="left", maintain_order="left")
    trips, spend, saved = (ever[name].fill_null(0).to_numpy() for name in ("trips", "spend", "saved"))
    out += [
        (morning - ever["last"]).to_numpy().astype(float),
        spend / np.maximum(trips, 1),
        saved / np.maximum(spend + saved, 1),
        ever["private"].fill_null(0).to_numpy() / np.maximum(ever["lines"].fill_null(0).to_numpy(), 1),
        far["categories"].fill_null(0).to_numpy(),
        far["stores"].fill_null(0).to_numpy(),
    ]
    return np.column_stack(out).astype(np.float32)
