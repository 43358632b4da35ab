"""Panels cut from a real one, and panels made up of a rule."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np
import polars as pl

from regulars.sources.panel import SCHEMAS, Panel, empty


def of_households(panel: Panel, count: int, days: int | None = None) -> Panel:
    """The first households of a panel, in its first days."""
    span = panel.days if days is None else days
    few = {
        name: getattr(panel, name).filter(pl.col("household") < count)
        for name in ("households", "lines", "contacts", "redemptions")
    }
    few["lines"] = few["lines"].filter(pl.col("day") < span)
    return replace(panel, days=span, **few)


def made_panel(days: int, trips: list[tuple[int, int, list[int]]], households: int, products: int) -> Panel:
    """A plain panel of one store and one category: trips are (household, day, products), all at 1.00."""
    start = datetime.date(2024, 1, 1)
    rows = [(who, day, product) for who, day, basket in trips for product in basket]
    who, day, product = (np.array(column) for column in zip(*rows, strict=True))
    lines = pl.DataFrame(
        {
            "household": who, "basket": who * 1000 + day, "day": day, "second": day * 0,
            "week": (day + start.weekday()) // 7, "store": day * 0, "product": product, "units": day * 0 + 1,
            "net_cents": day * 0 + 100, "retail_disc_cents": day * 0, "coupon_disc_cents": day * 0,
            "coupon_match_cents": day * 0,
        }
    ).cast(SCHEMAS["lines"])  # fmt: skip
    frames = {name: empty(name) for name in SCHEMAS if name != "lines"}
    people = pl.DataFrame(
        {"household": np.arange(households), "household_id": [f"h{i}" for i in range(households)]}
    )
    goods = pl.DataFrame({"product": np.arange(products), "product_id": [f"p{i}" for i in range(products)]})
    frames["households"] = _filled(people, frames["households"])
    frames["products"] = _filled(goods, frames["products"]).with_columns(
        category=pl.lit(0, pl.UInt16), type=pl.lit(0, pl.UInt16), brand_private=pl.lit(False),
        manufacturer=pl.lit(-1, pl.Int32),
    )  # fmt: skip
    frames["categories"] = _filled(
        pl.DataFrame({"category": [0], "name": ["everything"]}), frames["categories"]
    )
    frames["stores"] = _filled(pl.DataFrame({"store": [0], "store_id": ["s"]}), frames["stores"])
    return Panel(start=start, days=days, source="made up", currency="EUR", lines=lines, **frames)


def _filled(known: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """The known columns with all others of a frame, null."""
    return known.select(
        (pl.col(name) if name in known.columns else pl.lit(None).alias(name)).cast(dtype)
        for name, dtype in like.schema.items()
    )
