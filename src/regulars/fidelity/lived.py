"""The year of the source, lived once more: what was really sent is sent again, and every line is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.market import arms, day
from regulars.market.shops import BY_POST
from regulars.market.town import Town
from regulars.settings import Scenario, SweepSettings
from regulars.sources.panel import Panel
from regulars.terms import I64, OfferKind, Purpose, Scope

#: Columns of the lines that are kept, and their types.
LINES: dict[str, pl.DataType] = {
    "household": pl.Int32(), "day": pl.Int32(), "week": pl.Int32(), "store": pl.Int32(), "product": pl.Int32(),
    "category": pl.Int32(), "units": pl.Int32(), "cents": pl.Int32(), "offer": pl.Int32(),
}  # fmt: skip
REDEMPTIONS: dict[str, pl.DataType] = {"household": pl.Int32(), "campaign": pl.Int32(), "day": pl.Int32()}


@dataclass(frozen=True)
class Year:
    """Purchases and redemptions of N households over some days, real or simulated.

    Attributes
    ----------
    lines : household (row), day, week, store, product, category, units, cents, coupon (whether one was used)
    redemptions : household, campaign, day: one row for each coupon used
    households, days : how many
    """

    lines: pl.DataFrame
    redemptions: pl.DataFrame
    households: int
    days: int


def real(panel: Panel) -> Year:
    """The year as the source tells it."""
    lines = panel.lines.join(panel.products.select("product", "category"), on="product").select(
        "household",
        "day",
        "week",
        "store",
        "product",
        "category",
        "units",
        cents="net_cents",
        coupon=pl.col("coupon_disc_cents") > 0,
    )
    used = panel.redemptions.select("household", "campaign", "day")
    kept = {name: dtype for name, dtype in LINES.items() if name != "offer"}
    return Year(
        lines.cast(pl.Schema(kept | {"coupon": pl.Boolean()})),
        used.cast(pl.Schema(REDEMPTIONS)),
        panel.households.height,
        panel.days,
    )


def year(scenario: Scenario, place: Town, world: int, policy: str = "history") -> Year:
    """One year of a world under a policy; everybody who was really written to can be reached by post.

    Parameters
    ----------
    scenario : one retailer; its days and warm-up are lived
    place : the town, in the order of the source's households
    world : which draw of what no data tells
    policy : ``history`` sends what was really sent, ``silence`` nothing
    """
    alone = replace(scenario, policies=(policy,), sweep=SweepSettings())
    task = next(task for task in arms.tasks(alone) if task.world == 0)
    life = day.Life(alone, place, world, task.arm, day.warm_up(alone, place, world))
    _reach_all(life)
    names = [name for name in LINES if name not in ("household", "day", "week", "cents")]
    kept: list[dict[str, NDArray[Any]]] = []
    for today in range(alone.days):
        lived = life.live(today)
        n = lived.line_count
        columns = {name: getattr(lived.lines, name)[:n].astype(np.int32) for name in names}
        week = place.calendar.week(today)
        kept.append(
            {
                "household": lived.lines.consumer[:n].copy(),
                "day": np.full(n, today, np.int32),
                "week": np.full(n, week, np.int32),
                "cents": lived.lines.paid_cents[:n].copy(),
                **columns,
            }
        )
    frame = pl.DataFrame(
        {name: np.concatenate([part[name] for part in kept]) for name in LINES}, schema=LINES
    )
    frame = frame.sort("household", "day", maintain_order=True)
    return Year(
        frame.with_columns(coupon=pl.col("offer") >= 0).drop("offer"),
        _used(frame, place),
        len(place.habits.consumer),
        alone.days,
    )


def _reach_all(life: day.Life) -> None:
    """Those who were written to in life had given an address; which of the others had, no data tells."""
    for shop in life.shops:
        shop.record.optin[:] |= BY_POST
        shop.consent.bits[:, Scope.CONTACT] |= (1 << Purpose.SERVE) | (1 << Purpose.CONTACT)


def _used(lines: pl.DataFrame, place: Town) -> pl.DataFrame:
    campaign_of: I64 = np.full(max(len(place.catalog.offers.kind), 1), -1, np.int64)
    for campaign, offer in enumerate(place.catalog.campaign_offer):
        if offer >= 0 and place.catalog.offers.kind[offer] == OfferKind.CAMPAIGN:
            campaign_of[offer] = campaign
    used = lines.filter(pl.col("offer") >= 0)
    campaign = campaign_of[used["offer"].to_numpy()]
    return (
        used.select("household", "day")
        .with_columns(campaign=pl.Series(campaign, dtype=pl.Int32))
        .filter(pl.col("campaign") >= 0)
        .select(*REDEMPTIONS)
    )
