"""What the answer hangs on: how often a policy writes, and the priors that no data can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regulars.report.estimates import Difference, Interval, Lived, Player, Run, difference, interval
from regulars.report.wording import listed

#: With fewer worlds a 95% band is wider than anything it could tell; single worlds are shown instead.
WORLDS_OF_A_BAND = 4
#: The policy that the others are held against where it was run.
REFERENCE = "considerate"


@dataclass(frozen=True)
class Side:
    """Lost at the level tried beside the best one: ``share`` of the peak, ``of_gain`` of its gain over silence.

    ``sure`` says that the 95% interval of the loss, paired by world, leaves out zero.
    """

    level: float
    share: float | None
    of_gain: float | None
    sure: bool


@dataclass(frozen=True)
class Curve:
    """One policy's result against how often it may write.

    ``estimates`` are over silence, world by world, when ``over_silence``; else as they are. ``best`` is the
    level at which the mean curve peaks, ``best_by_world`` the same in each world; ``interior`` says that the
    mean curve peaks at neither end of the levels tried, ``interior_worlds`` in how many worlds that is so.
    ``levels`` are contacts allowed a week; ``sent`` are those made, per customer and week, at each level.
    ``lines`` are the curves of single worlds.
    """

    policy: str
    retailer: str
    setting: str
    metric: str
    levels: tuple[float, ...]
    sent: tuple[float, ...]
    estimates: tuple[Interval, ...]
    lines: tuple[tuple[float, ...], ...]
    over_silence: bool
    best: float
    best_by_world: dict[int, float]
    interior: bool
    interior_worlds: int
    below: Side | None
    above: Side | None

    @property
    def best_sent(self) -> float:
        """Contacts made per customer and week at the best level."""
        return self.sent[self.levels.index(self.best)]

    @property
    def sure(self) -> bool:
        """Whether the best level is surely better than those beside it."""
        return all(side.sure for side in (self.below, self.above) if side)

    @property
    def singly(self) -> bool:
        """Whether its worlds are too few for a band."""
        return 1 < len(self.lines) < WORLDS_OF_A_BAND

    @property
    def stops_itself(self) -> bool:
        """Whether it is best at the highest cap, and of what the last step allowed more it sends less than a quarter."""
        if self.best != self.levels[-1] or len(self.levels) < 2:
            return False
        more, allowed = self.sent[-1] - self.sent[-2], self.levels[-1] - self.levels[-2]
        return self.sent[-1] > 0 and more < 0.25 * allowed

    @property
    def flat(self) -> bool:
        """Whether it is the same at every level, as when nothing could be sent."""
        return len({(each.mean, each.low, each.high) for each in self.estimates}) == 1


@dataclass(frozen=True)
class Standing:
    """Who leads at one level of a prior that no data can tell; ``level`` None is the prior as drawn.

    ``against`` holds every other policy minus the reference, ``ahead`` the leader minus the next one; policies that are
    the same in every world lead together.
    """

    prior: str
    level: float | None
    name: str
    metric: str
    leader: str
    next: str
    ahead: Difference
    reference: str
    against: dict[str, Difference]


def frequency(run: Run, metrics: Sequence[str] = ("profit", "profit_and_base")) -> list[Curve]:
    """Curves of the sweep over how often a policy writes; empty when the run has none."""
    swept, arms = Lived(run, "frequency"), Lived(run, "arms")
    families: dict[tuple[str, str, str], list[Player]] = {}
    for player in swept.players:
        if player.level is not None:
            families.setdefault((player.policy, player.retailer, player.setting), []).append(player)
    curves = []
    for metric in metrics:
        for family in sorted(families):
            curve = _curve(swept, arms, families[family], metric)
            if curve:
                curves.append(curve)
    return curves


def _curve(swept: Lived, arms: Lived, family: list[Player], metric: str) -> Curve | None:
    players = sorted(family, key=lambda player: player.level or 0.0)
    lived = [swept.of(player, metric) for player in players]
    worlds = sorted(set.intersection(*map(set, lived)))
    if len(players) < 2 or not worlds:
        return None
    columns = [{world: column[world] for world in worlds} for column in lived]
    levels = tuple(player.level or 0.0 for player in players)
    means = [interval(column.values()).mean for column in columns]
    # A sweep lived by a sample brings its own silence.
    quiet = _silence(swept, players[0].retailer, metric) or _silence(arms, players[0].retailer, metric)
    over_silence = set(worlds) <= set(quiet)
    floor = interval(quiet[world] for world in worlds).mean if over_silence else None
    shift = quiet if over_silence else dict.fromkeys(worlds, 0.0)
    peak = _argmax(means)
    by_world = {world: levels[_argmax([column[world] for column in columns])] for world in worlds}
    below, above = (_side(levels, columns, peak, place, floor) for place in (peak - 1, peak + 1))
    return Curve(
        policy=players[0].policy,
        retailer=players[0].retailer,
        setting=players[0].setting,
        metric=metric,
        levels=levels,
        sent=tuple(swept.mean(player, "contacts_per_week") for player in players),
        estimates=tuple(interval(column[world] - shift[world] for world in worlds) for column in columns),
        lines=tuple(tuple(column[world] - shift[world] for column in columns) for world in worlds),
        over_silence=over_silence,
        best=levels[peak],
        best_by_world=by_world,
        interior=0 < peak < len(levels) - 1,
        interior_worlds=sum(levels[0] < best < levels[-1] for best in by_world.values()),
        below=below,
        above=above,
    )


def _side(
    levels: Sequence[float],
    columns: Sequence[Mapping[int, float]],
    peak: int,
    place: int,
    floor: float | None,
) -> Side | None:
    """Loss at one level tried beside the peak; None where none was tried."""
    gap = difference(columns[peak], columns[place]) if 0 <= place < len(levels) else None
    if gap is None:
        return None
    loss, top = gap.interval.mean, interval(columns[peak].values()).mean
    gain = top - floor if floor is not None else 0.0
    return Side(levels[place], loss / abs(top) if top else None, loss / gain if gain > 0 else None, gap.sure)


def _silence(arms: Lived, retailer: str, metric: str) -> Mapping[int, float]:
    for player in arms.players:
        if player.policy == "silence" and player.retailer == retailer:
            return arms.of(player, metric)
    return {}


def _argmax(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda i: values[i])


def priors(run: Run, metrics: Sequence[str] = ("profit", "profit_and_base")) -> list[Standing]:
    """Who leads at each level of each swept prior, and as drawn; empty when the run swept none.

    As drawn, the same policies and the same worlds are taken from the run's arms.
    """
    swept, arms = Lived(run, "prior"), Lived(run, "arms")
    levels: dict[tuple[str, str], dict[float, list[Player]]] = {}
    for player in swept.players:
        if player.level is not None:
            family = levels.setdefault((player.setting, player.retailer), {})
            family.setdefault(player.level, []).append(player)
    found = []
    for metric in metrics:
        for (prior, retailer), by_level in sorted(levels.items()):
            policies = {player.policy for players in by_level.values() for player in players}
            own = [p for p in swept.players if p.retailer == retailer and p.level is None]
            drawn = own or [p for p in arms.players if p.retailer == retailer and p.policy in policies]
            worlds = {w for players in by_level.values() for p in players for w in swept.of(p, metric)}
            rows: list[tuple[float | None, str, dict[str, dict[int, float]]]] = [
                (None, "as drawn", _columns(swept if own else arms, drawn, metric, worlds))
            ]
            for level, players in sorted(by_level.items()):
                rows.append((level, _level_name(players[0], level), _columns(swept, players, metric, worlds)))
            for each, name, columns in rows:
                standing = _standing(prior, each, name, metric, columns)
                if standing:
                    found.append(standing)
    return found


def turns(standings: Sequence[Standing]) -> dict[str, list[Standing]]:
    """The priors with which the leader changes, with their rows; of one metric."""
    families: dict[str, list[Standing]] = {}
    for standing in standings:
        families.setdefault(standing.prior, []).append(standing)
    return {prior: rows for prior, rows in families.items() if len({row.leader for row in rows}) > 1}


def _columns(
    lived: Lived, players: Sequence[Player], metric: str, worlds: set[int]
) -> dict[str, dict[int, float]]:
    columns = {p.policy: {w: v for w, v in lived.of(p, metric).items() if w in worlds} for p in players}
    return {policy: column for policy, column in columns.items() if column}


def _level_name(player: Player, level: float) -> str:
    """What the arm calls its level, as ``low`` in ``harvest|creep_pull=low``; else the value in short."""
    _, equals, name = player.arm.rpartition("=")
    return name if equals and not is_number(name) else f"{level:.3g}"


def is_number(name: str) -> bool:
    """Whether a level has no name but its value."""
    try:
        float(name)
    except ValueError:
        return False
    return True


def _standing(
    prior: str, level: float | None, name: str, metric: str, columns: Mapping[str, Mapping[int, float]]
) -> Standing | None:
    if len(columns) < 2:
        return None
    ordered = sorted(columns, key=lambda policy: -interval(columns[policy].values()).mean)
    ahead = difference(columns[ordered[0]], columns[ordered[1]])
    reference = REFERENCE if REFERENCE in columns else min(columns)
    against = {p: difference(columns[p], columns[reference]) for p in sorted(columns) if p != reference}
    if ahead is None or None in against.values():
        return None
    held = {policy: gap for policy, gap in against.items() if gap is not None}
    leaders = sorted(policy for policy in ordered if columns[policy] == columns[ordered[0]])
    return Standing(prior, level, name, metric, listed(leaders), ordered[1], ahead, reference, held)
