"""Which arms a scenario runs: one per policy, and those that sweep contact frequency and unidentified priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.consumers import priors
from regulars.settings import Scenario

#: Quantiles of a prior at which the sweep pins it.
SWEEP_LEVELS = (0.05, 0.95)
#: What a report calls the harvest that hides its use of data.
QUIET_HARVEST = "quiet harvest"


@dataclass(frozen=True)
class Arm:
    """One way to run the market: a policy for each retailer, with its settings, under given priors."""

    name: str
    policies: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    group: str = "arms"  #: "arms", "frequency" or "prior"
    setting: str = ""
    level: float | None = None
    priors: Mapping[str, float] = field(default_factory=dict)

    called: str = ""  #: what a report calls the policy of the only retailer; empty for its own name


@dataclass(frozen=True)
class Task:
    """One arm in one world: what one worker lives through at a time."""

    arm: Arm
    world: int


def tasks(scenario: Scenario) -> list[Task]:
    """Every arm of a scenario in every world it is run in, the plain arms first."""
    if scenario.mode == "market":
        market = Arm(
            "market",
            tuple(retailer.policy for retailer in scenario.retailers),
            tuple(dict(retailer.policy_settings) for retailer in scenario.retailers),
        )
        return [Task(market, world) for world in range(scenario.worlds)]
    plain = [Arm(label(policy), (policy,), ({},)) for policy in scenario.policies]
    swept = [*_frequency(scenario), *_prior(scenario)]
    worlds = min(scenario.sweep.worlds, scenario.worlds)
    return [Task(arm, world) for world in range(scenario.worlds) for arm in plain] + [
        Task(arm, world) for world in range(worlds) for arm in swept
    ]


def label(policy: str) -> str:
    """Short name of a policy: its own, or the class name of ``path.py:Name``."""
    return policy.rsplit(":", 1)[-1]


def _frequency(scenario: Scenario) -> list[Arm]:
    """Policies at each contact frequency, and silence to hold them against."""
    swept = [
        Arm(f"{policy}@{per_week:g}", (policy,), ({"per_week": per_week},), "frequency", "per_week", per_week)
        for policy in scenario.sweep.frequency_policies
        if policy in scenario.policies
        for per_week in scenario.sweep.frequency
    ]
    return [Arm("silence@0", ("silence",), ({},), "frequency", "per_week"), *swept] if swept else []


def _prior(scenario: Scenario) -> list[Arm]:
    """Each unidentified prior as drawn, and pinned low and high.

    A harvest that hides its use of data runs too: it hangs on them most.
    """
    followed: list[tuple[str, str, dict[str, Any]]] = [
        (label(policy), policy, {}) for policy in scenario.sweep.prior_policies if policy in scenario.policies
    ]
    if "harvest" in scenario.sweep.prior_policies and "harvest" in scenario.policies:
        followed.append((QUIET_HARVEST, "harvest", {"quiet": True}))
    drawn = [
        Arm(f"{called}|as drawn", (policy,), (settings,), "prior", called=called)
        for called, policy, settings in followed
    ]
    levels = [
        (name, priors.quantile(name, level)) for name in scenario.sweep.priors for level in SWEEP_LEVELS
    ]
    pinned = [
        Arm(
            f"{called}|{name}={value:.3g}",
            (policy,),
            (settings,),
            "prior",
            name,
            value,
            {name: value},
            called,
        )
        for name, value in levels
        for called, policy, settings in followed
    ]
    return [*drawn, *pinned] if pinned else []
