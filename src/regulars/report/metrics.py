"""All figures of a run as one JSON object."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import polars as pl

from regulars.report.estimates import (
    Difference,
    Interval,
    Lived,
    Player,
    label,
    pairs,
    verdict_shares,
)
from regulars.report.findings import headline, warnings
from regulars.report.results import Results
from regulars.report.sweeps import Curve, Side, Standing, frequency, priors


def summary(run: Results) -> dict[str, Any]:
    """All figures of a run in plain JSON types, without NaN: what ``regulars simulate --json`` prints.

    ``{scenario, seed, days, consumers, worlds, state_hash, wall_s, ns_per_consumer_day, currency, arms,
    pairs, frequency, priors, moves, headline, warnings}``. Every estimate is ``{mean, low, high}``, every
    difference has ``share``, ``holds``, ``worlds`` and ``sure`` too; what cannot be given is null, so with one world
    low and high are. Figures have six digits or two decimals, whichever is finer.
    """
    lived = Lived(run)
    about = run.about
    stated = (
        "scenario",
        "seed",
        "days",
        "consumers",
        "worlds",
        "state_hash",
        "wall_s",
        "ns_per_consumer_day",
    )
    found = {
        **{name: about.get(name) for name in (*stated, "currency")},
        "arms": [_arm(lived, player) for player in lived.players],
        "pairs": [
            {
                "metric": pair.metric,
                "first": label(pair.first, lived.players),
                "second": label(pair.second, lived.players),
                **_difference(pair.difference),
            }
            for pair in pairs(lived)
        ],
        "frequency": {"curves": [_curve(curve) for curve in frequency(run)]},
        "priors": [_standing(standing) for standing in priors(run)],
        "moves": _moves(run.moves),
        "headline": headline(run).title,
        "warnings": warnings(run),
    }
    return {name: _short(value) for name, value in found.items()}


def _short(value: Any) -> Any:
    """The value with every float in six digits or two decimals, whichever is finer."""
    if isinstance(value, dict):
        return {name: each if name == "verdicts" else _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    if not isinstance(value, float) or not value:
        return value
    return round(value, max(2, 5 - math.floor(math.log10(abs(value)))))


def _verdicts(shares: dict[str, float]) -> dict[str, float]:
    """Shares of the four verdicts in six decimals; added up in their order they make 1 exactly."""
    *judged, ignored = shares
    millionths = {verdict: int(shares[verdict] * 1e6 + 1e-3) for verdict in judged}
    found = {verdict: n / 1e6 for verdict, n in millionths.items()}
    rest, exact = (1e6 - sum(millionths.values())) / 1e6, 1.0 - sum(found.values())
    return {**found, ignored: rest if sum(found.values()) + rest == 1.0 else exact}


def _moves(moves: pl.DataFrame) -> list[dict[str, Any]]:
    """How many consumers, over all worlds, shut out whom, where to and why; nothing unless retailers compete."""
    named = {"from": "lost_by", "to": "won_by", "reason": "reason"}
    counted = moves.group_by(list(named.values())).len("count")
    order = ["count", *named.values()]
    return (
        counted.sort(order, descending=[True, False, False, False]).select(**named, count="count").to_dicts()
    )


def _arm(lived: Lived, player: Player) -> dict[str, Any]:
    leads = {metric: lived.leads(metric) for metric in ("profit", "profit_and_base")}
    lift, worth = lived.lift(player), lived.lift(player, "profit_and_base")
    return {
        "policy": player.policy,
        "arm": player.arm,
        "retailer": player.retailer,
        "worlds": len(lived.of(player, "profit")),
        "verdicts": _verdicts(verdict_shares(lived, player)),
        **{metric: _interval(lived.estimate(player, metric)) for metric in lived.metrics()},
        "lift": _difference(lift) if lift else None,
        "lift_with_base": _difference(worth) if worth else None,
        "leads": {metric: {"holds": counts[player], "worlds": n} for metric, (counts, n) in leads.items()},
    }


def _interval(estimate: Interval | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    known = estimate.worlds > 1
    return {
        "mean": estimate.mean,
        "low": estimate.low if known else None,
        "high": estimate.high if known else None,
    }


def _difference(gap: Difference) -> dict[str, Any]:
    told = {"share": gap.share, "holds": gap.holds, "worlds": gap.interval.worlds, "sure": gap.sure}
    return {**(_interval(gap.interval) or {}), **told}


def _curve(curve: Curve) -> dict[str, Any]:
    best = list(curve.best_by_world.values())
    return {
        "policy": curve.policy,
        "retailer": curve.retailer,
        "setting": curve.setting,
        "metric": curve.metric,
        "over_silence": curve.over_silence,
        "levels": list(curve.levels),
        "sent": list(curve.sent),
        "estimates": [_interval(estimate) for estimate in curve.estimates],
        "best": curve.best,
        "best_low": min(best),
        "best_high": max(best),
        "interior": curve.interior,
        "interior_worlds": curve.interior_worlds,
        "worlds": len(best),
        "below": _side(curve.below),
        "above": _side(curve.above),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    return asdict(side) if side else None


def _standing(row: Standing) -> dict[str, Any]:
    return {
        "prior": row.prior,
        "level": row.level,
        "name": row.name,
        "metric": row.metric,
        "leader": row.leader,
        "next": row.next,
        **_difference(row.ahead),
        "reference": row.reference,
        "against": {policy: _difference(gap) for policy, gap in row.against.items()},
    }
