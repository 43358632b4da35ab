"""Rows 16 to 20: what the mechanisms do together, measured in the simulator and fitted to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.consumers import memory, needs, priors, verdict
from regulars.consumers.hand import empty_hands
from regulars.consumers.population import rows_of
from regulars.draws import stream
from regulars.market import day, outcome, town
from regulars.market.arms import Arm, Task
from regulars.market.town import Town
from regulars.settings import Scenario, SweepSettings
from regulars.terms import Basis, Channel, Messages, Reaction, Responses

#: Mails a week: of row 16; at which complaints of the engaged are counted; between which the best is sought.
USUAL = 2.0
ENGAGED = (1.0, 5.0, 10.0)
FREQUENCIES = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0)
#: What the engaged are sent: mail about what they buy, which they read.
ENGAGING = "purchases"
#: Either side of the best frequency at which profit must have fallen (Zhang, Kumar and Cosguner, 2017).
SIDES = (0.57, 1.43)
HALF_A_YEAR = 182
#: Days of luck on which the one message of rows 19 and 20 is judged.
REPEATS = 6

_OPEN, _CLICK = 1 << int(Reaction.OPEN), 1 << int(Reaction.CLICK)


def mechanisms(scenario: Scenario, place: Town, world: int, consumers: int = 0) -> dict[str, float]:
    """Figures of rows 16 to 20 in one world.

    Parameters
    ----------
    scenario : one retailer; ablations and pinned priors count
    place : the town
    consumers : how many of them live rows 16 and 18, 0 for all
    """
    alone = replace(scenario, sweep=SweepSettings())
    few = town.sample(place, consumers, scenario.seed)
    return {
        **leaving(alone, few, world),
        **complaints(alone, place, world),
        **frequency(alone, few, world),
        **laboratory(alone, place, world),
    }


def _totals(
    scenario: Scenario, place: Town, warm: day.Warm, world: int, per_week: float, policy: str = "blast"
) -> dict[str, float]:
    """Totals of a policy at a frequency, or of silence."""
    arm = (
        Arm(policy, (policy,), ({"per_week": per_week},)) if per_week else Arm("silence", ("silence",), ({},))
    )
    task = Task(arm, world)
    lived = day.live(scenario, place, task, warm)
    totals = outcome.collect(scenario, place, [(task, lived)], place.about(scenario)).totals
    return dict(zip(totals["metric"], totals["value"], strict=True))


def leaving(scenario: Scenario, place: Town, world: int) -> dict[str, float]:
    """Row 16: unsubscribes and complaints a mail, at two a week over the whole run."""
    totals = _totals(scenario, place, day.warm_up(scenario, place, world), world, USUAL)
    sent = max(totals["contacts"], 1.0)
    return {"unsubscribe": totals["unsubscribes"] / sent, "complaint": totals["complaints"] / sent}


def complaints(scenario: Scenario, place: Town, world: int) -> dict[str, float]:
    """Row 17: slope of complaints a mail from 5 to 10 mails a week over that from 1 to 5, engaged accounts.

    Engaged is the quarter with most attention to spare; there are four of each under names of their own, for
    complaints are rare.
    """
    half = scenario.changed(days=min(scenario.days, HALF_A_YEAR))
    habits = rows_of(place.habits, np.tile(np.arange(len(place.habits.consumer)), 4))
    habits = habits._replace(consumer=np.arange(len(habits.consumer), dtype=np.uint32))
    large = replace(place, habits=habits, household_id=np.tile(place.household_id, 4))
    key = stream(half.seed, world)
    drawn = priors.draw_world(key, dict(half.priors), frozenset(half.ablate))
    traits = priors.draw_traits(key, habits.consumer, 1, drawn)
    spare = traits.budget / traits.elsewhere
    engaged = town.only(large, np.flatnonzero(spare > np.quantile(spare, 0.75)))
    warm = day.warm_up(half, engaged, world)
    rate = []
    for per_week in ENGAGED:
        totals = _totals(half, engaged, warm, world, per_week, ENGAGING)
        rate.append(totals["complaints"] / max(totals["contacts"], 1.0))
    return {"convexity": convexity(rate)}


def convexity(rate: Sequence[float]) -> float:
    """Late slope over early slope of complaints a mail at the three frequencies of ``ENGAGED``.

    NaN where complaints fall at first, or never change: a ratio to such a slope says nothing. Infinite where they are
    level at first and rise then.
    """
    early = (rate[1] - rate[0]) / (ENGAGED[1] - ENGAGED[0])
    late = (rate[2] - rate[1]) / (ENGAGED[2] - ENGAGED[1])
    if early > 0:
        return late / early
    return float("inf") if early == 0 and late > 0 else float("nan")


def frequency(scenario: Scenario, place: Town, world: int) -> dict[str, float]:
    """Row 18: the frequency of a blast with the best profit, remaining base included, and what its sides lose.

    Profit above silence; the loss is the smaller of the two, a share of it. At the edge of what is tried
    there is no optimum inside and the loss is 0.
    """
    warm = day.warm_up(scenario, place, world)

    def gain(per_week: float) -> float:
        totals = _totals(scenario, place, warm, world, per_week)
        return totals["profit"] + totals["base_value"]

    silence = gain(0.0)
    gains = {per_week: gain(per_week) - silence for per_week in FREQUENCIES}
    best = max(gains, key=lambda per_week: gains[per_week])
    if best in (FREQUENCIES[0], FREQUENCIES[-1]) or gains[best] <= 0:
        return {"best_frequency": best, "least_loss": 0.0}
    losses = [1.0 - (gain(best * side) - silence) / gains[best] for side in SIDES]
    return {"best_frequency": best, "least_loss": min(losses)}


def laboratory(scenario: Scenario, place: Town, world: int) -> dict[str, float]:
    """Rows 19 and 20: clicks on one message that everybody opens, about what each needs most.

    Control (Tucker, 2014): facts from elsewhere, shown or used for targeting only. Flows (Kim, Barasz and John,
    2019): the same message with and without saying where the fact came from.
    """

    def clicks(basis: Basis, **how: float) -> float:
        return _clicks(scenario, place, world, basis, how)

    here, inferred = {"revealed": 0.3}, {"revealed": 0.3}
    return {
        "control_personalized": clicks(Basis.BOUGHT_ELSEWHERE, revealed=1.0, control=1.0)
        / clicks(Basis.BOUGHT_ELSEWHERE, revealed=1.0),
        "control_targeted": clicks(Basis.BOUGHT_ELSEWHERE, control=1.0) / clicks(Basis.BOUGHT_ELSEWHERE),
        "acceptable_flow": clicks(Basis.BOUGHT_HERE, justification=1.0, **here)
        / clicks(Basis.BOUGHT_HERE, **here)
        - 1.0,
        "inferred_flow": clicks(Basis.INFERRED, justification=1.0, **inferred)
        / clicks(Basis.INFERRED, **inferred)
        - 1.0,
    }


def _clicks(scenario: Scenario, place: Town, world: int, basis: Basis, how: Mapping[str, float]) -> float:
    key = stream(scenario.seed, world)
    pinned = {**scenario.priors, "open_base": 50.0}
    drawn = priors.draw_world(key, pinned, frozenset(scenario.ablate))
    habits = place.habits
    n = len(habits.consumer)
    traits = priors.draw_traits(key, habits.consumer, 1, drawn)
    clicked = opened = 0
    for today in range(REPEATS):
        clock = needs.start(habits, place.demand, key, 0)
        category = _most_needed(habits, clock, drawn, today)
        messages = _letters(n, category, basis, how)
        responses = Responses(np.zeros(n, np.uint8), np.zeros(n, np.uint16), np.full(n, 255, np.uint8))
        verdict.judge(
            key, today, drawn, traits, memory.start(n, 1), empty_hands(n, 1), habits, clock, messages, 0, n,
            responses, np.zeros(n, np.float32),
        )  # fmt: skip
        seen = responses.reactions & _OPEN != 0
        opened += int(seen.sum())
        clicked += int((responses.reactions[seen] & _CLICK != 0).sum())
    return clicked / max(opened, 1)


def _most_needed(habits: Any, clock: Any, world: Any, today: int) -> NDArray[np.int32]:
    """(N,) category that fits best what each needs today."""
    need = np.minimum((today - clock.last_bought) / habits.row_interval, 1.0) ** 2
    fit = need * world.affinity_days / (world.affinity_days + habits.row_interval)
    owner = np.repeat(np.arange(len(habits.consumer)), np.diff(habits.row_ptr))
    order = np.lexsort((-fit, owner))
    have = np.flatnonzero(np.diff(habits.row_ptr))
    category = np.zeros(len(habits.consumer), np.int32)
    category[have] = habits.row_category[order[habits.row_ptr[have]]]
    return category


def _letters(n: int, category: NDArray[np.int32], basis: Basis, how: Mapping[str, float]) -> Messages:
    def column(name: str, usual: float = 0.0) -> NDArray[np.float32]:
        return np.full(n, how.get(name, usual), np.float32)

    return Messages(
        np.arange(n, dtype=np.int32), np.full(n, int(Channel.EMAIL), np.uint8), np.full(n, -1, np.int32),
        category, column("saving", 0.2), np.full(n, 30, np.int32), np.full(n, int(basis), np.uint8),
        column("revealed"), column("justification"), column("obtrusiveness"), column("control"),
        np.full(n, 255, np.uint8), column("exchange"),
    )  # fmt: skip
