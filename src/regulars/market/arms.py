"""Which arms a scenario runs: one per policy, and those that sweep contact frequency and unidentified priors."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from regulars.consumers import priors
from regulars.errors import SettingError
from regulars.retail import policies
from regulars.settings import Scenario

#: Quantiles of a prior at which the sweep pins it.
SWEEP_LEVELS = (0.05, 0.95)
#: What a report calls the harvest that hides its use of data.
QUIET_HARVEST = "quiet harvest"
#: And the considerate policy that sends the best it has as often as it may, to please or not.
BOLD = "bold considerate"


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
    """Every arm of a scenario in every world it is run in, the plain arms first.

    Raises
    ------
    SettingError
        when a policy of the user's own cannot be loaded, or two would have the same name.
    """
    _forget(scenario)
    if scenario.mode == "market":
        market = Arm(
            "market",
            tuple(retailer.policy for retailer in scenario.retailers),
            tuple(dict(retailer.policy_settings) for retailer in scenario.retailers),
        )
        return [Task(market, world) for world in range(scenario.worlds)]
    plain = [Arm(label(policy), (policy,), ({},)) for policy in scenario.policies]
    called = [arm.name for arm in plain]
    twice = sorted({name for name in called if called.count(name) > 1})
    if twice:
        raise SettingError(f"two policies would both be called {twice[0]}; give one of them another name")
    swept = [*_frequency(scenario), *_prior(scenario)]
    worlds = min(scenario.sweep.worlds, scenario.worlds)
    return [Task(arm, world) for world in range(scenario.worlds) for arm in plain] + [
        Task(arm, world) for world in range(worlds) for arm in swept
    ]


def label(policy: str) -> str:
    """Short name of a policy: its own; for ``path.py:Name`` that of the class, ``Name`` when it has none."""
    if ":" not in policy:
        return policy
    return _own_name(policy)


def own_files(policy: str) -> list[Path]:
    """The file of a policy of the user's own, and all of its folder that it imports; none for a shipped one."""
    path = Path(policy.rpartition(":")[0]).resolve()
    found: set[Path] = set()
    waiting = [path] if ":" in policy else []
    while waiting:
        file = waiting.pop()
        if file not in found and file.is_file():
            found.add(file)
            waiting += _imported(file, path.parent)
    return sorted(found)


def _imported(file: Path, folder: Path) -> Iterator[Path]:
    """Where the modules that a file imports would be in a folder."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # is told when the policy is loaded
    for node in ast.walk(tree):
        root, names = folder, []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            root = file.parents[node.level - 1] if node.level else folder
            names = [f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names]
        for name in names:
            parts = name.split(".")
            for k in range(1, len(parts) + 1 if parts[0] != "regulars" else 0):
                yield root.joinpath(*parts[:k]).with_suffix(".py")
                yield root.joinpath(*parts[:k], "__init__.py")


def _forget(scenario: Scenario) -> None:
    """Policies of the user's own are read anew: their files may have been edited since the last run."""
    _own_name.cache_clear()
    named = {*scenario.policies, *(retailer.policy for retailer in scenario.retailers)}
    own = {path for policy in named for path in own_files(policy)}
    for name, module in list(sys.modules.items()) if own else ():
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and Path(file).resolve() in own:
            parts = name.split(".")  # a package keeps what was imported from it
            for k in range(1, len(parts) + 1):
                sys.modules.pop(".".join(parts[:k]), None)


@cache
def _own_name(policy: str) -> str:
    own = policies.load(policy).name
    return policy.rsplit(":", 1)[-1] if own == policies.Policy.name else str(own)


#: A log-normal or normal parameter may be pinned so many times as far out as 95% of its prior go.
_FAR = 10.0
#: What is divided by: it cannot be 0.
_ABOVE_ZERO = (
    "_days",
    "_concentration",
    "noise",
    "theta",
    "budget",
    "_load",
    "brand_scale",
    "creep_steepness",
)


def check_pinned(pinned: Mapping[str, float]) -> None:
    """Refuse a pinned prior that means nothing: a negative size, a chance above 1, a value far outside its prior.

    Raises
    ------
    SettingError
        when a name is unknown, or a value is out of its range, which is named.
    """
    known = {prior.name: prior for prior in priors.PRIORS}
    for name, value in pinned.items():
        if name not in known:
            priors.quantile(name, 0.5)  # says which is the nearest
        if not isinstance(value, int | float):
            raise SettingError(f"the prior {name} is pinned to {value!r}; it must be a number")
        low, high = _range(known[name])
        if not low <= value <= high:
            raise SettingError(
                f"the prior {name} is pinned to {value:g}; it must be from {low:g} to {high:g}"
            )


def check_ablated(ablated: Iterable[str]) -> None:
    """Refuse to take out what is no mechanism.

    Raises
    ------
    SettingError
        when a name is unknown; those that there are, are listed.
    """
    for name in ablated:
        if name not in priors.ABLATIONS:
            raise SettingError(
                f"{name!r} is no mechanism that can be taken out. Choose from {', '.join(priors.ABLATIONS)}"
            )


def _range(prior: priors.Prior) -> tuple[float, float]:
    """What a parameter can be; 0 takes most of the mechanisms out."""
    low, high = (priors.quantile(prior.name, level) for level in (0.025, 0.975))
    if prior.kind == "N":
        middle, reach = prior.first, _FAR * (high - low) / 2
        if "share" in prior.meaning:
            return 0.01, 0.99
        return round(middle - reach, 3), round(middle + reach, 3)
    least = 0.01 if prior.name.endswith(_ABOVE_ZERO) else 0.0
    if prior.kind == "U":
        share = prior.first >= 0 and prior.second <= 1
        return (0.0, 1.0) if share else (min(prior.first, least), max(prior.second, least))
    return least, float(f"{_FAR * max(high, 1.0):.3g}")


def _frequency(scenario: Scenario) -> list[Arm]:
    """Policies at each contact frequency, and silence to hold them against.

    The considerate policy stops by itself long before its cap; what more would do, its bold self shows.
    """
    followed: list[tuple[str, str, dict[str, Any]]] = [
        (label(policy), policy, {})
        for policy in scenario.sweep.frequency_policies
        if policy in scenario.policies
    ]
    if any(policy == "considerate" for _, policy, _ in followed):
        followed.append((BOLD, "considerate", {"restraint": 0.0}))
    swept = [
        Arm(
            f"{called}@{per_week:g}",
            (policy,),
            ({"per_week": per_week, **settings},),
            "frequency",
            "per_week",
            per_week,
            called=called,
        )
        for called, policy, settings in followed
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
