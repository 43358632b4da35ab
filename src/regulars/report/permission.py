"""How the base of reachable customers went over the run: who stayed, who was lost, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from regulars.report.estimates import Interval, Lived, Player, interval
from regulars.report.results import Results

#: Said of a shut-out that names no reason.
UNSAID = "unsaid"
#: When half of the lost were gone is not worth saying of fewer than these, all worlds together.
FEW_LOST = 10


@dataclass(frozen=True)
class Loss:
    """Share of the customers within reach on day 0 who shut a player out, the mean over worlds.

    ``by_reason`` is over the run; ``by_block`` has ``(block, reason) -> share`` for blocks of a given length;
    ``half`` is the week by which half of the lost were lost, None when nobody was; ``count`` is how many were
    lost in all worlds together.
    """

    share: float
    by_reason: Mapping[str, float]
    by_block: Mapping[tuple[int, str], float]
    half: int | None
    count: int = 0

    @property
    def half_said(self) -> int | None:
        """``half``, where enough were lost to speak of it."""
        return self.half if self.count >= FEW_LOST else None


def reachable_weeks(results: Results, lived: Lived) -> dict[Player, list[Interval]]:
    """Share of those within reach on day 0 that each player can still reach, week by week, over worlds."""
    found = {}
    levels = results.weekly.filter((pl.col("metric") == "reachable") & pl.col("value").is_finite()).sort(
        "week"
    )
    columns: dict[tuple[str, str], dict[int, list[float]]] = {}
    whole = {(p.arm, p.retailer, w): n for p in lived.players for w, n in lived.at_first(p).items()}
    for world, arm, retailer, week, value in levels.select(
        "world", "arm", "retailer", "week", "value"
    ).iter_rows():
        of = whole.get((arm, retailer, world), 0.0)
        if of:
            columns.setdefault((arm, retailer), {}).setdefault(week, []).append(value / of)
    for player in lived.players:
        weeks = columns.get((player.arm, player.retailer))
        if weeks:
            found[player] = [interval(weeks[week]) for week in sorted(weeks)]
    return found


def losses(results: Results, lived: Lived, block_days: int = 28) -> dict[Player, Loss]:
    """Who was lost, when and why, for every player with consumers in the run."""
    keys = ["arm", "retailer"]
    there = set(results.consumers.select(keys).unique().iter_rows())
    lost = results.consumers.filter(pl.col("shut_out_day") >= 0).with_columns(
        block=pl.col("shut_out_day") // block_days, reason=pl.col("shut_out_reason").fill_null(UNSAID)
    )
    counts: dict[tuple[str, str], dict[tuple[int, str], dict[int, int]]] = {}
    for arm, retailer, block, reason, world, n in (
        lost.group_by(*keys, "block", "reason", "world").len().sort(pl.all()).iter_rows()
    ):
        counts.setdefault((arm, retailer), {}).setdefault((block, reason), {})[world] = n
    halves = {
        (arm, retailer): int(day // 7) + 1
        for arm, retailer, day in lost.group_by(keys).agg(pl.col("shut_out_day").median()).iter_rows()
    }
    found = {}
    for player in lived.players:
        key = (player.arm, player.retailer)
        whole = {world: n for world, n in lived.at_first(player).items() if n}
        if key not in there or not whole:
            continue
        mine = counts.get(key, {})
        blocks = {
            at: sum(n / whole[world] for world, n in each.items() if world in whole) / len(whole)
            for at, each in mine.items()
        }
        by_reason: dict[str, float] = {}
        for (_, reason), share in blocks.items():
            by_reason[reason] = by_reason.get(reason, 0.0) + share
        count = sum(sum(each.values()) for each in mine.values())
        found[player] = Loss(sum(blocks.values()), by_reason, blocks, halves.get(key), count)
    return found


def reasons(found: Mapping[Player, Loss]) -> list[str]:
    """All reasons, from the one that lost most to the one that lost least."""
    sums: dict[str, float] = {}
    for loss in found.values():
        for reason, share in loss.by_reason.items():
            sums[reason] = sums.get(reason, 0.0) + share
    return sorted(sums, key=lambda reason: (-sums[reason], reason))
