"""Figures over worlds: a mean, how far off it may be, and in how many worlds a difference holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import polars as pl

from regulars.errors import ShapeError

MONEY = ("profit", "revenue", "margin", "coupon_cost", "contact_cost", "base_value")
VERDICTS = ("compelling", "creepy", "annoying", "ignored")
#: Metrics that are made here from those of the run.
DERIVED = ("profit_and_base", "contacts_per_week", "reachable_share", "shut_out_share")
#: Metrics that may be below zero; all others are counts, costs or shares.
_SIGNED = ("profit", "margin", "base_value", "profit_and_base")
#: Metrics between 0 and 1.
_SHARES = ("reachable_share", "shut_out_share", "trust", "regulars")

#: Two-sided 95% quantiles of Student's t for 1 to 30 degrees of freedom (any printed table).
_T95 = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
_Z95 = 1.959964

#: Verdict shares are whole multiples of this, so that they sum to 1 exactly, in any order.
_GRAIN = 2**40


class Run(Protocol):
    """What is measured: the totals of a run and the facts about it (``Results`` is one)."""

    @property
    def totals(self) -> pl.DataFrame:
        """One value per world, arm, retailer and metric."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Facts of the run."""


class Player(NamedTuple):
    """One policy of one retailer in one arm: a row of the ranking."""

    arm: str
    retailer: str
    policy: str
    setting: str = ""
    level: float | None = None


@dataclass(frozen=True)
class Interval:
    """A mean over worlds and the 95% interval around it; with one world the interval has no width."""

    mean: float
    low: float
    high: float
    worlds: int


@dataclass(frozen=True)
class Difference:
    """The first player minus the second, world by world, so that luck and priors cancel.

    ``holds`` counts the worlds in which the first is strictly ahead; ``share`` is the mean difference as a
    share of the second's mean, None when that is zero; ``gaps`` has the difference in each world.
    """

    interval: Interval
    holds: int
    share: float | None
    gaps: tuple[float, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether the 95% interval leaves out zero; one world is never sure."""
        return self.interval.worlds > 1 and (self.interval.low > 0 or self.interval.high < 0)

    @property
    def tied(self) -> bool:
        """Whether both are the same in every world."""
        return bool(self.gaps) and not any(self.gaps)


@dataclass(frozen=True)
class Pair:
    """How two players differ in one metric; ``first`` is the one that is ahead on average."""

    metric: str
    first: Player
    second: Player
    difference: Difference


def t95(freedom: int) -> float:
    """Two-sided 95% quantile of Student's t; above 30 degrees of freedom by Cornish and Fisher, to 0.0001.

    Examples
    --------
    >>> t95(1), t95(3), round(t95(60), 3)
    (12.7062, 3.1824, 2.0)
    """
    if freedom < 1:
        raise ShapeError(f"{freedom} degrees of freedom: an interval needs two worlds or more")
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    z = _Z95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def interval(values: Iterable[float]) -> Interval:
    """Mean and 95% interval (Student's t) of one value per world.

    Raises
    ------
    ShapeError
        when there is no value.

    Examples
    --------
    >>> interval([5.0])
    Interval(mean=5.0, low=5.0, high=5.0, worlds=1)
    """
    column = list(values)
    if not column:
        raise ShapeError("0 values: a mean needs at least one world")
    n = len(column)
    mean = math.fsum(column) / n
    if n == 1:
        return Interval(mean, mean, mean, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in column) / (n - 1))
    half = t95(n - 1) * deviation / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


class Lived:
    """What every player of one group reached in every world, by metric.

    Values that are missing or not finite are left out; ``gaps`` names them. The metrics in ``DERIVED`` are
    made from the run's own: ``profit_and_base`` is profit plus base_value; ``contacts_per_week`` and the shares of
    those within reach and of those who shut it out are of the customers within reach on day 0
    (``reachable_start``), of all consumers where the run does not tell these.

    Parameters
    ----------
    run : the run
    group : "arms", "frequency" or "prior"
    """

    def __init__(self, run: Run, group: str = "arms") -> None:
        self.weeks = max(float(run.about["days"]), 1.0) / 7
        self.gaps: list[tuple[Player, str, int]] = []
        self._values: dict[tuple[Player, str], dict[int, float]] = {}
        rows = run.totals.filter(pl.col("group") == group)
        named = rows.select("world", "arm", "retailer", "policy", "setting", "level", "metric", "value")
        for world, arm, retailer, policy, setting, level, metric, value in named.iter_rows():
            player = Player(arm, retailer, policy, setting, level)
            if value is None or not math.isfinite(value):
                self.gaps.append((player, metric, world))
            else:
                self._values.setdefault((player, metric), {})[world] = value
        self.players = self._ranked(dict.fromkeys(player for player, _ in self._values))

    @property
    def worlds(self) -> int:
        """In how many worlds the player with most of them was lived."""
        return max((len(self.of(player, "profit")) for player in self.players), default=0)

    def at_first(self, player: Player) -> dict[int, float]:
        """World to customers within reach on day 0; all consumers where the run does not tell these."""
        return self.of(player, "reachable_start") or self.of(player, "consumers")

    def of(self, player: Player, metric: str) -> dict[int, float]:
        """World to value; empty when the run does not give the metric."""
        if metric == "profit_and_base":
            return _joined(lambda a, b: a + b, self.of(player, "profit"), self.of(player, "base_value"))
        if metric == "contacts_per_week":
            each = _joined(_ratio, self.of(player, "contacts"), self.at_first(player))
            return {world: value / self.weeks for world, value in each.items()}
        if metric in DERIVED:
            return _joined(_ratio, self.of(player, metric.removesuffix("_share")), self.at_first(player))
        return self._values.get((player, metric), {})

    def metrics(self) -> list[str]:
        """Every metric that the run gives, in its order, and the derived ones."""
        return [*dict.fromkeys(metric for _, metric in self._values), *DERIVED]

    def estimate(self, player: Player, metric: str) -> Interval | None:
        """Mean and interval of one metric, cut at what it can be; None when the run does not give it."""
        values = self.of(player, metric)
        if not values:
            return None
        found = interval(values.values())
        least = -math.inf if metric in _SIGNED else min(0.0, found.mean)
        most = max(1.0, found.mean) if metric in _SHARES else math.inf
        return replace(found, low=max(found.low, least), high=min(found.high, most))

    def mean(self, player: Player, metric: str) -> float:
        """Mean of one metric over worlds, 0 when the run does not give it."""
        estimate = self.estimate(player, metric)
        return estimate.mean if estimate else 0.0

    def difference(self, first: Player, second: Player, metric: str) -> Difference | None:
        """The first minus the second in the worlds that both lived; None when there is none."""
        return difference(self.of(first, metric), self.of(second, metric))

    def lift(self, player: Player, metric: str = "profit") -> Difference | None:
        """The player minus the silence of the same retailer, paired by world; None without such an arm."""
        for other in self.players:
            if other.policy == "silence" and other.retailer == player.retailer:
                return self.difference(player, other, metric)
        return None

    def leads(self, metric: str) -> tuple[dict[Player, int], int]:
        """In how many worlds each player is strictly ahead of all others, and how many worlds all lived."""
        columns = {player: self.of(player, metric) for player in self.players}
        counts = dict.fromkeys(self.players, 0)
        worlds = _common(columns.values())
        for world in worlds:
            ordered = sorted(self.players, key=lambda player: -columns[player][world])
            if len(ordered) == 1 or columns[ordered[0]][world] > columns[ordered[1]][world]:
                counts[ordered[0]] += 1
        return counts, len(worlds)

    def by(self, metric: str, players: Sequence[Player] | None = None) -> list[Player]:
        """Players from the highest mean of one metric to the lowest; those without it are left out."""
        chosen = self.players if players is None else players
        return sorted((p for p in chosen if self.of(p, metric)), key=lambda p: -self.mean(p, metric))

    def tied(self, player: Player, metric: str) -> list[Player]:
        """The players whose figure is the same as this one's in every world, itself included, in order."""
        gaps = {other: self.difference(other, player, metric) for other in self.by(metric)}
        return [other for other, gap in gaps.items() if gap and gap.tied]

    def senders(self) -> list[Player]:
        """Players that made any contact, in the order of the ranking."""
        return [player for player in self.players if self.mean(player, "contacts") > 0]

    def _ranked(self, players: Iterable[Player]) -> list[Player]:
        return sorted(players, key=lambda player: (-self.mean(player, "profit"), player.arm, player.retailer))


def difference(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """World-by-world difference of two columns (world to value); None when they share no world."""
    worlds = _common([first, second])
    if not worlds:
        return None
    gaps = [first[world] - second[world] for world in worlds]
    level = math.fsum(second[world] for world in worlds) / len(worlds)
    spread = interval(gaps)
    share = spread.mean / abs(level) if level else None
    return Difference(spread, sum(gap > 0 for gap in gaps), share, tuple(gaps))


def pairs(lived: Lived, metrics: Sequence[str] = ("profit", "profit_and_base")) -> list[Pair]:
    """Every two players that can be compared, the one ahead first.

    Two arms are compared retailer by retailer; retailers that compete are compared within their arm.
    """
    found = []
    for metric, (a, b) in itertools.product(metrics, itertools.combinations(lived.players, 2)):
        if a.retailer != b.retailer and a.arm != b.arm:
            continue
        gap = lived.difference(a, b, metric)
        if gap and gap.interval.mean < 0:
            a, b, gap = b, a, lived.difference(b, a, metric)
        if gap:
            found.append(Pair(metric, a, b, gap))
    return found


def verdict_shares(lived: Lived, player: Player) -> dict[str, float]:
    """Share of each verdict among the player's contacts; the four sum to 1 exactly.

    The mean over worlds of each world's shares. A contact without a verdict (she never noticed it) counts as
    ignored, and so does, by definition, everything in an arm that contacts nobody: {0, 0, 0, 1}.
    """
    columns = {verdict: lived.of(player, verdict) for verdict in VERDICTS}
    contacts = lived.of(player, "contacts")
    sums = dict.fromkeys(VERDICTS[:3], 0.0)
    n = 0
    for world, sent in contacts.items():
        counts = {verdict: max(columns[verdict].get(world, 0.0), 0.0) for verdict in VERDICTS}
        whole = max(sent, math.fsum(counts.values()))
        if whole > 0:
            n += 1
            for verdict in sums:
                sums[verdict] += counts[verdict] / whole
    return exact_shares([sums[verdict] / n if n else 0.0 for verdict in VERDICTS[:3]])


def exact_shares(judged: Sequence[float]) -> dict[str, float]:
    """Shares of compelling, creepy and annoying, and the rest as ignored, on a grain that sums to 1 exactly.

    Examples
    --------
    >>> exact_shares([0.5, 0.25, 0.0])
    {'compelling': 0.5, 'creepy': 0.25, 'annoying': 0.0, 'ignored': 0.25}
    """
    grains = [min(max(int(share * _GRAIN), 0), _GRAIN) for share in judged]
    rest = _GRAIN - sum(grains)
    if rest < 0:
        raise ShapeError(f"verdict shares {list(judged)} sum to more than 1")
    return dict(zip(VERDICTS, [grain / _GRAIN for grain in (*grains, rest)], strict=True))


def label(player: Player, players: Iterable[Player]) -> str:
    """What a person calls the player: its arm, or, where retailers compete, the retailer and its policy."""
    others = list(players)
    if len({each.retailer for each in others}) <= 1:
        return player.arm
    name = f"{player.retailer} ({player.policy})"
    return name if len({each.arm for each in others}) <= 1 else f"{name}, {player.arm}"


def _common(columns: Iterable[Mapping[int, float]]) -> list[int]:
    sets = [set(column) for column in columns]
    return sorted(set.intersection(*sets)) if sets else []


def _joined(
    join: Callable[[float, float], float], first: Mapping[int, float], second: Mapping[int, float]
) -> dict[int, float]:
    return {world: join(first[world], second[world]) for world in _common([first, second])}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
