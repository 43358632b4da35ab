"""Held out in time: a population fitted on the first weeks lives the next ones, and is compared with what came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from regulars import draws
from regulars.consumers.choice import aisle_of
from regulars.consumers.population import Population
from regulars.errors import SettingError
from regulars.fidelity.demand import first_store, placement, prices
from regulars.fidelity.lived import LINES, REDEMPTIONS, Year, real
from regulars.fitting.fidelity import figures
from regulars.fitting.forecast import carried_on, clocks
from regulars.fitting.rehearsal import live_from
from regulars.shelf import Shelf
from regulars.sources.panel import Panel, shelf_until


@dataclass(frozen=True)
class Span:
    """Weeks of the source that the fit does not see, both counted from 1 and included; day ``first`` to ``end``."""

    weeks: tuple[int, int]
    first: int
    end: int


def span_of(text: str, days: int) -> Span:
    """``40-52`` as days.

    Examples
    --------
    >>> span_of("40-52", 365)
    Span(weeks=(40, 52), first=273, end=364)

    Raises
    ------
    SettingError
        when it is no span of weeks, or leaves fewer than eight weeks to fit on.
    """
    first, dash, last = text.partition("-")
    if not dash or not first.strip().isdecimal() or not last.strip().isdecimal():
        raise SettingError(f"--holdout {text!r} is no span of weeks. Write it as 40-52")
    a, b = int(first), int(last)
    whole = days // 7
    if not 9 <= a <= b <= whole:
        raise SettingError(
            f"--holdout {text}: take weeks from 9 to {whole}, the first before the last; the fit needs eight weeks "
            "before them"
        )
    return Span((a, b), (a - 1) * 7, b * 7)


@dataclass(frozen=True)
class Cut:
    """What was known after some days, and what is public of the days after them.

    Attributes
    ----------
    panel : purchases, contacts and redemptions of the days before, all things numbered as ever
    seen : the shelf that these purchases reveal, of the weeks they touch; a fit gets this one
    ahead : the shelf of all weeks, to live on: prices and placement of the later weeks, popularity of before
    """

    panel: Panel
    seen: Shelf
    ahead: Shelf


def cut(panel: Panel, shelf: Shelf, days: int) -> Cut:
    """Panel and shelf as they were known after so many days."""
    lines = panel.lines.filter(pl.col("day") < days)
    known = panel.campaigns.filter(pl.col("first_day") < days)["campaign"].implode()
    early = replace(
        panel,
        days=days,
        lines=lines,
        contacts=panel.contacts.filter(pl.col("campaign").is_in(known)),
        redemptions=panel.redemptions.filter(pl.col("day") < days, pl.col("campaign").is_in(known)),
    )
    seen = shelf_until(early, shelf)
    ahead = shelf._replace(
        popularity=seen.popularity, category_ptr=seen.category_ptr, category_product=seen.category_product
    )
    return Cut(early, seen, ahead)


def onward(population: Population, weeks: int) -> Population:
    """The population with seasons for so many weeks: 1 in those that the fit has not seen."""
    demand = population.demand
    more = max(weeks - len(demand.week_trips), 0)
    return replace(
        population,
        demand=demand._replace(
            week_trips=np.pad(demand.week_trips, (0, more), constant_values=1),
            week_category=np.pad(demand.week_category, ((0, more), (0, 0)), constant_values=1),
        ),
    )


def forecast(population: Population, known: Cut, span: Span, world: int, seed: int) -> Year:
    """The held-out weeks, lived from where each household really stood when the fit ended."""
    key = draws.stream(seed, world)
    here = onward(population, len(known.ahead.price))
    lines = live_from(
        carried_on(here, known.panel),
        known.ahead,
        key,
        clocks(here, known.panel, key),
        span.first,
        span.end,
        aisle=aisle_of(known.ahead, here.demand, seen=known.seen),
    )
    lines = lines.with_columns(coupon=pl.lit(False))
    return Year(lines, pl.DataFrame(schema=REDEMPTIONS), len(here), span.end)


def compare(panel: Panel, shelf: Shelf, span: Span, years: list[Year]) -> dict[str, Any]:
    """Totals and rows of the held-out weeks, real and simulated.

    Returns
    -------
    dict
        ``trips`` and ``spend`` with real, simulated, low, high and ratio; ``rows``: figure to (real, simulated)
    """
    whole = real(panel).lines
    early = whole.filter(pl.col("day") < span.first).select(list(whole.columns))
    late = whole.filter(pl.col("day").is_between(span.first, span.end - 1))
    households = panel.households.height
    truth, lived = _totals(late), [_totals(year.lines) for year in years]
    told: dict[str, Any] = {"weeks": list(span.weeks), "fitted_on_days": span.first}
    for name in ("trips", "spend"):
        found = np.array([of[name] for of in lived])
        told[name] = {
            "real": truth[name],
            "simulated": round(float(found.mean()), 2),
            "low": round(float(found.min()), 2),
            "high": round(float(found.max()), 2),
            "ratio": round(float(found.mean()) / max(truth[name], 1e-9), 4),
        }
    keep = [name for name in LINES if name in late.columns]
    rows = [
        _rows(early.select(keep), lines.select(keep).cast(early.select(keep).schema), shelf, span, households)
        for lines in (late, *(y.lines for y in years))
    ]
    told["rows"] = {
        name: (rows[0][name], float(np.median([row[name] for row in rows[1:]]))) for name in rows[0]
    }
    return told


def _totals(lines: pl.DataFrame) -> dict[str, float]:
    return {
        "trips": float(lines.select("household", "day").unique().height),
        "spend": float(lines["cents"].sum()) / 100,
    }


def _rows(
    early: pl.DataFrame, late: pl.DataFrame, shelf: Shelf, span: Span, households: int
) -> dict[str, float]:
    own = figures(late.with_columns(day=pl.col("day") - span.first), households, span.end - span.first)
    joined = figures(pl.concat([early, late]), households, span.end, half=span.first)
    return {
        "days_per_week": own["days_per_week_median"],
        "zero_weeks": own["zero_weeks"],
        "top_share": own["top_share"],
        "kept_share": joined["kept_share"],
        "product_repeats": joined["product_repeats"],
        "category_repeats": joined["category_repeats"],
        "first_store": first_store(late),
        **{k: v for k, v in prices(late, shelf).items() if k == "elasticity"},
        **placement(late, shelf),
    }
