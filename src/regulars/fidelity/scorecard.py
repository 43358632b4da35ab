"""The twenty rows: what is known of consumers, from where, what was measured, and whether it lies inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

JOURNEY = "The Complete Journey 2017 (84.51)"
FITTED, CHECKED, MECHANISM = "fitted", "checked", "mechanism"

#: Why a row cannot be measured, by what the source lacks.
LACKS = {
    "year": "needs purchases of half a year or more",
    "brands": "needs the manufacturer of each product",
    "placement": "needs displays and mailers by store and week",
    "prices": "needs products with prices that move",
    "campaigns": "needs campaigns: who was sent which coupons, and which were used",
    "people": "needs age and children of at least a hundred households",
    "complaints": "needs complaints that rise from one mail a week to five",
    "rhythm": "needs households with ten purchases of a category",
}


@dataclass(frozen=True)
class Part:
    """One measure of a row.

    Attributes
    ----------
    key : name of the figure
    fact : what it is
    low, high : target
    near : the target on other data: the source's own figure plus or minus this; 0 where the target is not of
        a data set
    follows : the target is that even on the default source
    lacks : what a source lacks that cannot tell it
    """

    key: str
    fact: str
    low: float
    high: float
    near: float = 0.0
    follows: bool = False
    lacks: str = "year"


@dataclass(frozen=True)
class Row:
    """One row of the scorecard: it is inside when each of its parts is."""

    row: int
    role: str
    source: str
    parts: tuple[Part, ...]


ROWS = (
    Row(1, FITTED, JOURNEY, (
        Part("days_per_week", "shopping days per household and week, median", 0.65, 0.82, 0.085),
        Part("zero_weeks", "household-weeks without a trip", 0.42, 0.52, 0.05),
    )),
    Row(2, FITTED, JOURNEY, (
        Part("top_share", "share of spend of the top fifth", 0.50, 0.59, 0.045),
        Part("kept_share", "share of second-half shopping days of the first half's top fifth", 0, 0, 0.03, True),
    )),
    Row(3, CHECKED, JOURNEY, (Part("categories_80", "categories for 80% of spend, median", 32, 40, 4),)),
    Row(4, FITTED, JOURNEY, (
        Part("product_repeats", "second-half products seen in the first, median", 0.15, 0.23, 0.04),
        Part("category_repeats", "second-half categories seen in the first, median", 0.57, 0.68, 0.055),
    )),
    Row(5, FITTED, JOURNEY, (
        Part("cv", "variation of days between purchases of a category, median", 0.75, 0.87, 0.06, False, "rhythm"),
        Part("cv_detergent", "the same, laundry detergents", 0.55, 0.70, 0.075, False, "rhythm"),
        Part("cv_candy", "the same, candy", 0.88, 1.0, 0.06, False, "rhythm"),
    )),
    Row(6, CHECKED, "Ehrenberg 1959; " + JOURNEY, (
        Part("nbd_error", "points by which the NBD misses penetrations", 0.0, 2.0),
    )),
    Row(7, CHECKED, "Ehrenberg, Goodhardt and Barwise 1990; " + JOURNEY, (
        Part("double_jeopardy", "double jeopardy, correlation", 0.75, 1.0, 0.0, False, "brands"),
        Part("duplication", "duplication of purchase, correlation", 0.85, 1.0, 0.0, False, "brands"),
    )),
    Row(8, FITTED, JOURNEY, (Part("first_store", "share of spend in the first store, median", 0.75, 0.85, 0.05),)),
    Row(9, FITTED, "Bijmolt, van Heerde and Pieters 2005", (
        Part("elasticity", "price elasticity", -2.9, -1.2, 0.0, False, "prices"),
    )),
    Row(10, FITTED, JOURNEY, (
        Part("display", "sales on display, no discount, over usual", 1.1, 1.5, 0.0, False, "placement"),
        Part("mailer", "sales in the mailer, no discount, over usual", 0.9, 1.15, 0.0, False, "placement"),
        Part("both_deep", "sales in both, discount over 20%, over usual", 2.2, 3.3, 0.0, False, "placement"),
    )),
    Row(11, FITTED, JOURNEY, (
        Part("redeemed_tailored", "households that redeem per contact, tailored campaign",
             0.13, 0.20, 0.035, False, "campaigns"),
        Part("redeemed_generic", "the same, generic campaign", 0.04, 0.08, 0.02, False, "campaigns"),
    )),
    Row(12, FITTED, JOURNEY, (
        Part("top_redeemers", "share of redemptions of the top tenth", 0.65, 0.85, 0.10, False, "campaigns"),
    )),
    Row(13, FITTED, JOURNEY + "; Venkatesan and Farris 2012", (
        Part("exposure_lift", "lift of the campaign's products among those who redeem nothing",
             0.04, 0.26, 0.0, False, "campaigns"),
    )),
    Row(14, CHECKED, JOURNEY, (
        Part("history_gain", "AUC of redemption, purchases less demographics", 0.07, 0.14, 0.0, False, "campaigns"),
        Part("demographics_gain", "AUC that demographics add to purchases", -1.0, 0.005, 0.0, False, "campaigns"),
    )),
    Row(15, CHECKED, JOURNEY, (
        Part("infer_age", "AUC of telling age 55 or older from baskets", 0.80, 0.90, 0.05, False, "people"),
        Part("infer_kids", "AUC of telling children", 0.62, 0.72, 0.05, False, "people"),
    )),
    Row(16, MECHANISM, "GDMA 2024; Gmail sender guidelines 2024", (
        Part("unsubscribe", "unsubscribes per mail, two a week", 0.0008, 0.003),
        Part("complaint", "complaints per mail", 0.0, 0.003),
    )),
    Row(17, MECHANISM, "Return Path 2015", (
        Part("convexity", "complaints per mail among engaged accounts, late slope over early", 1.3, math.inf,
             0.0, False, "complaints"),
    )),
    Row(18, MECHANISM, "Zhang, Kumar and Cosguner 2017", (
        Part("least_loss", "profit lost at 57% and 143% of the best frequency, the smaller", 0.05, 1e9),
    )),
    Row(19, MECHANISM, "Tucker 2014", (
        Part("control_personalized", "clicks with control over without, personalized", 1.3, 2.5),
        Part("control_targeted", "the same, targeted only", 0.9, 1.1),
    )),
    Row(20, MECHANISM, "Kim, Barasz and John 2019", (
        Part("acceptable_flow", "change of clicks when an acceptable flow is disclosed", 0.0, 0.25),
        Part("inferred_flow", "the same, an inferred flow", -1.0, 0.0),
    )),
)  # fmt: skip


def score(
    real: Mapping[str, float],
    worlds: Sequence[Mapping[str, float]],
    held: Mapping[str, tuple[float, float]],
    default_source: bool,
) -> list[dict[str, Any]]:
    """The rows as plain values, ready for JSON.

    Parameters
    ----------
    real : the source's own figures
    worlds : simulated figures, one mapping a world; a world may lack some
    held : figure to (real, simulated) in weeks that the fit has not seen
    default_source : False for data of the user's own, whose targets are its own figures
    """
    return [_row(row, real, worlds, held, default_source) for row in ROWS]


def _row(
    row: Row,
    real: Mapping[str, float],
    worlds: Sequence[Mapping[str, float]],
    held: Mapping[str, tuple[float, float]],
    default_source: bool,
) -> dict[str, Any]:
    parts = [_part(part, row.role, real, worlds, held, default_source) for part in row.parts]
    first = parts[0]
    verdicts = [part["inside"] for part in parts]
    known = [verdict for verdict in verdicts if verdict is not None]
    seen = [part["held_out"]["inside"] for part in parts if part["held_out"]]
    return {
        "row": row.row,
        "fact": "; ".join(part["fact"] for part in parts),
        "target": first["target"],
        "measured": first["measured"],
        "low": first["low"],
        "high": first["high"],
        "inside": all(known) if known else None,
        "role": row.role,
        "source": row.source,
        "real": first["real"],
        "held_out": all(seen) if seen else None,
        "why_not": None if known else first["why_not"],
        "parts": parts,
    }


def _part(
    part: Part,
    role: str,
    real: Mapping[str, float],
    worlds: Sequence[Mapping[str, float]],
    held: Mapping[str, tuple[float, float]],
    default_source: bool,
) -> dict[str, Any]:
    own = float(real.get(part.key, float("nan")))
    found = np.array([world[part.key] for world in worlds if part.key in world], np.float64)
    tried = len(found)
    found = found[~np.isnan(found)]
    low, high = target(part, own, default_source)
    measurable = len(found) > 0 and math.isfinite(low)
    if role != MECHANISM and not default_source and not math.isfinite(own):
        measurable = False
    told: dict[str, Any] = {
        "key": part.key,
        "fact": part.fact,
        "target": [_plain(low), _plain(high)],
        "real": _plain(own),
        "measured": None, "low": None, "high": None, "inside": None, "held_out": None,
        "worlds_inside": None,
        "why_not": None if measurable else LACKS[part.lacks],
    }  # fmt: skip
    if measurable:
        middle = float(np.median(found))
        inside = (found >= low) & (found <= high)
        told |= {
            "measured": _plain(middle),
            "low": _plain(float(found.min())),
            "high": _plain(float(found.max())),
            "worlds_inside": [int(inside.sum()), tried],
            # What nobody can measure in purchases counts when it holds in at least half of the worlds; where it cannot
            # be told it does not hold. A bound that is None here is infinite.
            "inside": bool(inside.sum() >= tried / 2) if role == MECHANISM else bool(low <= middle <= high),
        }
    truth, simulated = held.get(part.key, (math.nan, math.nan))
    if measurable and math.isfinite(truth) and math.isfinite(simulated):
        # The weeks held out are their own target: displays, say, do less in some seasons.
        around = part.near or (part.high - part.low) / 2
        bounds = (truth - around, truth + around)
        told["held_out"] = {
            "real": _plain(truth),
            "measured": _plain(simulated),
            "target": [_plain(bounds[0]), _plain(bounds[1])],
            "inside": bool(bounds[0] <= simulated <= bounds[1]),
        }
    return told


def target(part: Part, own: float, default_source: bool) -> tuple[float, float]:
    """The target of a part: as published for the default source, else as far from the source's own figure."""
    if part.follows or (part.near and not default_source):
        return own - part.near, own + part.near
    return part.low, part.high


def _plain(value: float) -> float | None:
    """A number for JSON; None for what is not finite."""
    return round(value, 6) if math.isfinite(value) else None
