"""What the page draws: a few distributions, real against simulated, as plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from regulars.fidelity.lived import Year
from regulars.terms import F64

LONGEST_GAP, LARGEST_BASKET = 28, 30


def pictures(truth: Year, years: Sequence[Year], replay: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each picture: name, title, x, y (what the axes are), labels, real and simulated (mean over worlds)."""
    drawn: list[tuple[str, str, str, str, list[str], Callable[[Year], F64]]] = [
        ("trips", "Shopping days", "a week", "households",
         _and_more([f"{k / 4:g}" for k in range(17)]), _trips),
        ("gaps", "Gaps between trips", "days", "gaps",
         _and_more([str(k + 1) for k in range(LONGEST_GAP)]), _gaps),
        ("baskets", "Baskets", "categories in one", "baskets",
         _and_more([str(k + 1) for k in range(LARGEST_BASKET)]), _baskets),
        ("repertoire", "Repertoire", "different categories in all", "households",
         _and_more([str(10 * k) for k in range(21)]), _repertoire),
        ("spend", "Spend", "tenth of households, largest first", "spend",
         [str(k + 1) for k in range(10)], _spend),
        ("stores", "First store", "its share of trips, %", "households",
         [str(10 * k) for k in range(11)], _stores),
    ]  # fmt: skip
    found = [
        {
            "name": name, "title": title, "x": x, "y": f"share of {y}", "labels": labels, "percent": True,
            "real": _plain(of(truth)), "simulated": _plain(np.mean([of(year) for year in years], axis=0)),
        }
        for name, title, x, y, labels, of in drawn
    ]  # fmt: skip
    if replay:
        told = sorted(replay["campaigns"], key=lambda c: (c["first_day"], c["campaign"]))
        tables = [
            ("redemptions", "Redemptions", "campaign, in order of its start",
             [c["campaign"] for c in told], told),
            ("redemption_days", "Redemptions over a campaign", "tenth of its days",
             [str(t["tenth"]) for t in replay["by_time"]], replay["by_time"]),
            ("redeemers", "Who redeems", "tenth of households written to, most first",
             [str(t["decile"]) for t in replay["by_decile"]], replay["by_decile"]),
        ]  # fmt: skip
        for name, title, x, labels, rows in tables:
            found.append(
                {
                    "name": name, "title": title, "x": x, "y": "redemptions", "labels": labels, "percent": False,
                    "real": [float(row["real"]) for row in rows],
                    "simulated": [float(row["simulated"]) for row in rows],
                }
            )  # fmt: skip
    return found


def _and_more(labels: list[str]) -> list[str]:
    """The last of them holds what is more, too."""
    return [*labels[:-1], f"{labels[-1]}+"]


def _plain(shares: F64) -> list[float]:
    return [round(float(share), 5) for share in shares]


def _share(values: pl.Series, bins: int) -> F64:
    """Share of each whole number from 0 on; what is more is in the last."""
    at = np.clip(values.to_numpy().astype(np.int64), 0, bins - 1)
    count = np.bincount(at, minlength=bins).astype(np.float64)
    return np.asarray(count / max(count.sum(), 1.0))


def _days(year: Year) -> pl.DataFrame:
    return year.lines.select("household", "day").unique().sort("household", "day")


def _trips(year: Year) -> F64:
    count = np.bincount(_days(year)["household"].to_numpy(), minlength=year.households)
    return _share(pl.Series(np.floor(4 * count / (year.days / 7))), 17)


def _gaps(year: Year) -> F64:
    gaps = _days(year).select(gap=pl.col("day").diff().over("household"))["gap"].drop_nulls()
    return _share(gaps - 1, LONGEST_GAP)


def _baskets(year: Year) -> F64:
    sizes = year.lines.group_by("household", "day").agg(size=pl.col("category").n_unique())["size"]
    return _share(sizes.cast(pl.Int64) - 1, LARGEST_BASKET)


def _repertoire(year: Year) -> F64:
    own = year.lines.group_by("household").agg(n=pl.col("category").n_unique())["n"]
    return _share(own.cast(pl.Int64) // 10, 21)


def _spend(year: Year) -> F64:
    spend = np.bincount(year.lines["household"].to_numpy(), year.lines["cents"].to_numpy(), year.households)
    tenths = [part.sum() for part in np.array_split(np.sort(spend)[::-1], 10)]
    return np.asarray(np.array(tenths) / max(spend.sum(), 1.0))


def _stores(year: Year) -> F64:
    trips = year.lines.select("household", "day", "store").unique(
        ["household", "day"], keep="first", maintain_order=True
    )
    each = trips.group_by("household", "store").len("n")
    first = each.group_by("household").agg(share=pl.col("n").max() / pl.col("n").sum())["share"]
    return _share(first * 10, 11)
