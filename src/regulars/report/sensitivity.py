"""Which priors move the ranking: over many worlds, the default policy's lead against what was drawn in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regulars.report.estimates import Interval, Lived, Player, Run, interval
from regulars.report.sweeps import REFERENCE
from regulars.terms import F64

#: With fewer worlds nothing can be told apart from chance.
FEWEST_WORLDS = 12
#: What nothing published identifies; shown whatever they move.
UNIDENTIFIED = ("creep_pull", "detection", "disclosure_salience")
#: Priors shown beside these.
SHOWN = 9
_SHUFFLES = 400


@dataclass(frozen=True)
class Mover:
    """One prior and the reference's lead over its best rival.

    Attributes
    ----------
    prior : its name
    correlation : Spearman's, between what was drawn and the lead
    low, high : the lead in the third of the worlds that drew least, and in the third that drew most
    leads_low, leads_high : share of these worlds in which the reference leads
    stands_out : whether the correlation is beyond what the strongest of so many priors reaches by chance
    """

    prior: str
    correlation: float
    low: Interval
    high: Interval
    leads_low: float
    leads_high: float
    stands_out: bool


@dataclass(frozen=True)
class Sensitivity:
    """All priors, the strongest first.

    Attributes
    ----------
    reference : the policy whose lead is looked at; rival : the best of the others, by mean
    metric : by what it leads
    worlds : how many; leads : share of them in which the reference is ahead of every other policy
    lead : over the best other policy of each world; relative : the same as a share of the reference's figure
    chance : the correlation that the strongest of so many priors exceeds in one of twenty runs by chance alone
    movers : every prior that was drawn
    """

    reference: str
    rival: str
    metric: str
    worlds: int
    leads: float
    lead: Interval
    relative: float
    chance: float
    movers: tuple[Mover, ...]

    def shown(self) -> tuple[Mover, ...]:
        """The strongest, and those that nothing identifies."""
        first = self.movers[:SHOWN]
        return first + tuple(m for m in self.movers[SHOWN:] if m.prior in UNIDENTIFIED)


def sensitivity(run: Run, metric: str = "profit") -> Sensitivity | None:
    """Rank the priors by how they go with the lead; None without draws, rivals or enough worlds."""
    drawn = _drawn(run.about.get("drawn") or {})
    lived = Lived(run)
    reference = next((p for p in lived.by(metric) if p.policy == REFERENCE), None) or next(
        iter(lived.by(metric)), None
    )
    if reference is None or not drawn:
        return None
    rivals = [player for player in lived.by(metric) if player != reference]
    if not rivals:
        return None
    worlds, lead = _lead(lived, reference, rivals, metric)
    if len(worlds) < FEWEST_WORLDS:
        return None
    columns = {name: values[worlds] for name, values in drawn.items() if np.ptp(values[worlds]) > 0}
    chance = _chance(columns, lead)
    movers = [_mover(name, column, lead, chance) for name, column in columns.items()]
    movers.sort(key=lambda mover: -abs(mover.correlation))
    return Sensitivity(
        reference.policy, rivals[0].policy, metric, len(worlds), float((lead > 0).mean()), interval(lead),
        float(lead.mean() / abs(lived.mean(reference, metric))), chance, tuple(movers),
    )  # fmt: skip


def _drawn(told: Mapping[str, list[float]]) -> dict[str, F64]:
    return {str(name): np.array(values, np.float64) for name, values in told.items()}


def _lead(lived: Lived, reference: Player, rivals: list[Player], metric: str) -> tuple[list[int], F64]:
    own = lived.of(reference, metric)
    others = [lived.of(rival, metric) for rival in rivals]
    worlds = sorted(set(own).intersection(*others))
    return worlds, np.array([own[w] - max(other[w] for other in others) for w in worlds])


def _mover(name: str, column: F64, lead: F64, chance: float) -> Mover:
    order = np.argsort(column, kind="stable")
    third = max(2, len(lead) // 3)
    low, high = lead[order[:third]], lead[order[-third:]]
    correlation = _correlations(column[None], lead[None])[0, 0]
    return Mover(
        name, float(correlation), interval(low), interval(high), float((low > 0).mean()),
        float((high > 0).mean()), bool(abs(correlation) > chance),
    )  # fmt: skip


def _chance(columns: Mapping[str, F64], lead: F64) -> float:
    """The 95% point of the largest absolute correlation when the leads are dealt out anew."""
    rng = np.random.default_rng(0)
    dealt = np.stack([rng.permutation(lead) for _ in range(_SHUFFLES)])
    largest = np.abs(_correlations(np.stack(list(columns.values())), dealt)).max(axis=0)
    return float(np.quantile(largest, 0.95))


def _correlations(columns: F64, leads: F64) -> F64:
    """(a, n) and (b, n) to their (a, b) rank correlations."""

    def ranked(rows: F64) -> F64:
        ranks = np.argsort(np.argsort(rows, axis=1, kind="stable"), axis=1, kind="stable").astype(float)
        ranks -= ranks.mean(axis=1, keepdims=True)
        return np.asarray(ranks / np.linalg.norm(ranks, axis=1, keepdims=True))

    return np.asarray(ranked(columns) @ ranked(leads).T)
