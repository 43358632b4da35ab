"""Published effects arise in most worlds, and die when the mechanism that is said to carry them is taken out.

None of them is written into the model. The worlds come from the priors, so nothing here validates the model;
it shows what the mechanisms do together. Effects are measured as shares, ratios and
differences of 20,000 opened messages per cell, and over two years of weekly shopping trips.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from regulars.consumers import memory
from regulars.consumers.priors import Traits, World, draw_traits, draw_world
from regulars.draws import stream
from regulars.terms import NONE, Basis, Channel, Reaction, Verdict

from .hamlet import CATEGORIES, FOREIGN, ROWS, made_habits, mail, scene

WORLDS = 20
N = 20_000
CROWD = made_habits(N)
FIRST = CROWD.row_category[::ROWS].astype(int)
HERE, ELSEWHERE, CONTEXT = int(Basis.BOUGHT_HERE), int(Basis.BOUGHT_ELSEWHERE), int(Basis.CONTEXT)
TOLD, INFERRED = int(Basis.TOLD), int(Basis.INFERRED)
OPEN, CLICK = 1 << int(Reaction.OPEN), 1 << int(Reaction.CLICK)
UNSUBSCRIBE, COMPLAIN = 1 << int(Reaction.UNSUBSCRIBE), 1 << int(Reaction.COMPLAIN)


def drawn(number: int, *ablate: str, **overrides: float) -> World:
    return draw_world(stream(1, number), overrides, frozenset(ablate))


# ---- one message in the laboratory -------------------------------------------------------------------------


def shown(
    world: World, number: int, traits: Traits, *, category=FIRST, due=1.0, trust=0.5, **columns
) -> tuple[float, float]:
    """Click rate and creepy share among those who opened one first message."""
    s = scene(world, CROWD, key=stream(1, number), due=due, trust=trust, traits=traits)
    responses, _ = s.judge(0, mail(np.arange(N), category=category, **columns))
    opened = responses.reactions & OPEN != 0
    clicks = (responses.reactions[opened] & CLICK != 0).mean()
    return float(clicks), float((responses.verdict[opened] == Verdict.CREEPY).mean())


@cache
def laboratory(number: int, *ablate: str) -> dict[str, float]:
    """Every one-message effect in one world, opened by all so that each cell is large."""
    world = drawn(number, *ablate, open_base=50.0)
    traits = draw_traits(stream(1, number), CROWD.consumer, 1, world)

    def clicks(**how):
        return shown(world, number, traits, **how)[0]

    def creepy(**how):
        return shown(world, number, traits, **how)[1]

    plain = clicks(due=0.85)
    covert = clicks(basis=ELSEWHERE, revealed=1.0)
    generic = clicks(category=NONE)
    seen, unseen = {"basis": CONTEXT, "revealed": 0.5}, {"due": 0.5}
    loud = {"obtrusiveness": 1.0}
    return {
        # Tucker (2014): facts from elsewhere, shown or used for targeting only; full control over none.
        "control, personalized": clicks(basis=ELSEWHERE, revealed=1.0, control=1.0) / covert,
        "control, targeted only": clicks(basis=ELSEWHERE, control=1.0) / clicks(basis=ELSEWHERE),
        # Kim, Barasz and John (2019): the same message with and without saying where the fact came from.
        "acceptable flow disclosed": clicks(basis=HERE, revealed=0.3, justification=1.0)
        / clicks(basis=HERE, revealed=0.3)
        - 1,
        "inferred flow disclosed": clicks(basis=INFERRED, revealed=0.3, justification=1.0)
        / clicks(basis=INFERRED, revealed=0.3)
        - 1,
        # Aguirre et al. (2015): a closer fit from covert collection, from what she told, a trust cue.
        "covert over plain": covert / plain,
        "overt over plain": clicks(basis=TOLD, revealed=1.0) / plain,
        "trust cue over covert": clicks(basis=ELSEWHERE, revealed=1.0, trust=0.9, justification=1.0) / covert,
        # van Doorn and Hoekstra (2013): creepy share with a saving, and with a fit, less the share without.
        "creepy with a saving": creepy(basis=CONTEXT, revealed=1.0, saving=0.5)
        - creepy(basis=CONTEXT, revealed=1.0, saving=0.0),
        "creepy with a fit": creepy(basis=CONTEXT, revealed=1.0)
        - creepy(basis=CONTEXT, revealed=1.0, due=0.3),
        # Goldfarb and Tucker (2011): matched and obtrusive, beyond the sum of either.
        "matched and obtrusive": clicks(**seen, **loud)
        - clicks(**seen)
        - clicks(**unseen, **loud)
        + clicks(**unseen),
        # Lambrecht and Tucker (2013): the product she looked at elsewhere over a generic one, early and late.
        "dynamic over generic, early": clicks(basis=ELSEWHERE, revealed=1.0, due=0.2) / generic,
        "dynamic over generic, late": covert / generic,
    }


def effect(name: str, *ablate: str, worlds: int = WORLDS) -> np.ndarray:
    return np.array([laboratory(number, *ablate)[name] for number in range(worlds)])


def test_control_raises_clicks_on_personalized_messages_and_not_on_targeted_ones():
    personalized, targeted = effect("control, personalized"), effect("control, targeted only")
    assert (personalized > 1.1).all()
    assert ((personalized >= 1.3) & (personalized <= 2.5)).mean() >= 0.5
    assert ((targeted >= 0.9) & (targeted <= 1.1)).mean() >= 0.5
    assert (targeted < personalized).all()


def test_saying_why_helps_an_expected_flow_and_hurts_an_inferred_one():
    acceptable, inferred = effect("acceptable flow disclosed"), effect("inferred flow disclosed")
    assert ((acceptable > 0.0) & (acceptable <= 0.25)).mean() >= 0.5
    assert (inferred < 0.0).mean() >= 0.75
    assert (acceptable > inferred).all()


def test_covert_collection_loses_the_gain_of_a_closer_fit_and_overt_collection_keeps_it():
    assert (effect("covert over plain") < 1.0).mean() >= 0.5
    assert (effect("overt over plain") > 1.0).mean() >= 0.9
    assert (effect("trust cue over covert") > 1.0).mean() >= 0.9


def test_a_saving_does_not_buy_off_creep_but_fit_partly_does():
    assert (np.abs(effect("creepy with a saving")) < 1e-9).all()
    assert (effect("creepy with a fit") < -0.02).mean() >= 0.9


def test_matching_and_obtrusiveness_do_not_go_together():
    assert (effect("matched and obtrusive") < 0.0).mean() >= 0.9


def test_the_very_product_underperforms_until_she_knows_what_she_wants():
    early, late = effect("dynamic over generic, early"), effect("dynamic over generic, late")
    assert (early < 1.0).mean() >= 0.5
    assert (late > 1.0).mean() >= 0.9


FEW = 6


def test_without_control_relief_control_changes_nothing():
    assert np.allclose(effect("control, personalized", "control", worlds=FEW), 1.0)


def test_without_expectations_overt_is_no_better_than_covert_and_inferred_no_worse_than_bought_here():
    overt, covert = (effect(f"{kind} over plain", "expectation", worlds=FEW) for kind in ("overt", "covert"))
    assert np.allclose(overt, covert)
    a, b = (
        effect(f"{kind} flow disclosed", "expectation", worlds=FEW) for kind in ("acceptable", "inferred")
    )
    assert np.allclose(a, b)


def test_without_justification_disclosing_is_idle():
    assert np.allclose(effect("acceptable flow disclosed", "justification", worlds=FEW), 0.0)


def test_without_its_offset_fit_does_not_help_against_creep():
    assert np.allclose(effect("creepy with a fit", "fit_offsets_creep", worlds=FEW), 0.0)


def test_without_creep_control_disclosure_and_covert_collection_cost_nothing():
    assert np.allclose(effect("control, personalized", "creep", worlds=FEW), 1.0)
    assert (effect("inferred flow disclosed", "creep", worlds=FEW) > 0.0).all()
    assert (effect("covert over plain", "creep", worlds=FEW) > 1.0).all()
    assert (np.abs(effect("matched and obtrusive", "creep", worlds=FEW)) < 0.03).all()


def test_with_savings_in_the_creep_test_a_discount_would_buy_creep_off():
    assert (effect("creepy with a saving", "saving_in_creep", worlds=FEW) < -0.05).all()


def test_without_trust_a_trust_cue_is_no_help():
    assert np.allclose(effect("trust cue over covert", "trust", worlds=FEW), 1.0, atol=0.05)


# ---- campaigns ---------------------------------------------------------------------------------------------

BURST = 5_000


def campaign(number: int, days: list[int], read: list[int], *ablate: str, **columns) -> np.ndarray:
    """Mean pull of the store on the days read, after messages that do not fit were read on the given days."""
    s = scene(drawn(number, *ablate, open_base=50.0), made_habits(BURST), key=stream(1, number))
    pull, means = np.zeros((BURST, 1), np.float32), []
    for day in range(max(read) + 1):
        if day in days:
            s.judge(day, mail(np.arange(BURST), category=FOREIGN, saving=0.0, **columns))
            s.mind.unsubscribed[:] = s.mind.blocked[:] = 0
        if day in read:
            memory.pulls(s.world, s.mind, pull)
            means.append(float(pull.mean()))
        memory.fade(s.world, s.mind)
    return np.array(means)


def repetition(number: int, *ablate: str) -> np.ndarray:
    """Pull of daily over every other day, two weeks: at once, 28 and 56 days on (Kronrod and Huber, 2018)."""
    read = [13, 41, 69]
    daily = campaign(number, list(range(14)), read, *ablate, obtrusiveness=1.0)
    return daily - campaign(number, list(range(0, 14, 2)), read, *ablate, obtrusiveness=1.0)


def spacing(number: int, *ablate: str) -> float:
    """Pull after ten weekly exposures over that after ten daily ones (Schmidt and Eisend, 2015)."""
    weekly = campaign(number, list(range(6, 70, 7)), [70], *ablate)
    return float((weekly - campaign(number, list(range(60, 70)), [70], *ablate))[0])


def test_repetition_hurts_at_once_and_helps_weeks_later():
    differences = np.array([repetition(number) for number in range(WORLDS)])
    assert (differences[:, 0] < 0.0).mean() >= 0.5
    assert (differences[:, 2] > differences[:, 0]).mean() >= 0.9
    assert ((differences[:, 0] < 0.0) & (differences[:, 2] > 0.0)).mean() >= 0.5


def test_spaced_exposures_beat_massed_ones():
    assert (np.array([spacing(number) for number in range(WORLDS)]) > 0.0).mean() >= 0.75


def test_without_irritation_repetition_never_hurts_and_spacing_does_not_help():
    assert all(repetition(number, "irritation")[0] > 0.0 for number in range(FEW))
    assert all(spacing(number, "irritation") < 0.0 for number in range(FEW))


def test_without_brand_memory_nothing_returns():
    assert all(repetition(number, "brand_memory")[2] <= 0.01 for number in range(FEW))


# ---- years of mail -----------------------------------------------------------------------------------------

PANEL, WEEKS = 2_000, 104
FREQUENCIES = (1.0, 2.0, 3.0, 4.0, 7.0)
FREQUENCY_WORLDS = 8


@cache
def luck(days: int, n: int) -> dict[str, np.ndarray]:
    """The same luck for every frequency and world: when mail comes, about what, and what she shops."""
    source = np.random.default_rng(5)
    return {
        "send": source.random((2, days, n), dtype=np.float32),
        "own": source.random((2, days, n), dtype=np.float32) < 0.5,
        "row": source.integers(0, ROWS, (2, days, n), dtype=np.int8),
        "foreign": source.integers(0, CATEGORIES, (2, days, n), dtype=np.int8),
        "go": source.random((days // 7, n), dtype=np.float32),
        "buy": source.random((days // 7, n, ROWS), dtype=np.float32),
        "habit": source.normal(0.0, 1.0, n),
    }


def lived(world: World, key, habits, per_week: float, weeks: int) -> dict[str, float]:
    """Weeks of mail from one shop, half of it about something she buys, and one shopping trip a week.

    Beyond seven a week the rest comes through the app. She goes to this shop or to another by habit and by
    memory alone: there is no coupon, so that what mail brings is memory of the brand.
    """
    n, days = len(habits.consumer), weeks * 7
    chance, s = luck(days, n), scene(world, habits, key=key)
    own = habits.row_category.reshape(n, ROWS).astype(np.int32)
    weekly = 1.0 - np.exp(-7.0 / habits.row_interval.reshape(n, ROWS))
    last_bought = s.needs.last_bought.reshape(n, ROWS)
    trip_day = np.arange(n) % 7
    pull = np.zeros((n, 1), np.float32)
    sent = unsubscribed = complaints = visits = 0
    for day in range(days):
        for channel in (int(Channel.EMAIL), int(Channel.APP)):
            due = chance["send"][channel, day] < per_week / 7 - channel
            who = np.flatnonzero(
                due & (s.mind.blocked[:, 0] == 0) & (s.mind.unsubscribed[:, 0] >> channel & 1 == 0)
            )
            if not len(who):
                continue
            about = own[who, chance["row"][channel, day, who]]
            category = np.where(chance["own"][channel, day, who], about, chance["foreign"][channel, day, who])
            responses, _ = s.judge(day, mail(who, category=category, channel=channel))
            sent += len(who)
            unsubscribed += int((responses.reactions & UNSUBSCRIBE != 0).sum())
            complaints += int((responses.reactions & COMPLAIN != 0).sum())
        memory.pulls(world, s.mind, pull)
        out = np.flatnonzero(trip_day == day % 7)
        week = day // 7
        to_this = 1.0 / (1.0 + np.exp(-(chance["habit"][out] + pull[out, 0])))
        visits += int((chance["go"][week, out] < to_this).sum())
        last_bought[out] = np.where(chance["buy"][week, out] < weekly[out], day, last_bought[out])
        memory.fade(world, s.mind)
    return {
        "visits": visits / n,
        "unsubscribe": unsubscribed / max(sent, 1),
        "complain": complaints / max(sent, 1),
    }


@cache
def year(number: int, per_week: float, *ablate: str, weeks: int = WEEKS) -> dict[str, float]:
    return lived(drawn(number, *ablate), stream(1, number), made_habits(PANEL), per_week, weeks)


@cache
def gains(number: int, *ablate: str) -> dict[float, float]:
    """Visits per consumer in two years that mail at each frequency brings, over silence."""
    silence = year(number, 0.0, *ablate)["visits"]
    return {f: year(number, f, *ablate)["visits"] - silence for f in FREQUENCIES}


def best(number: int, *ablate: str) -> float:
    of = gains(number, *ablate)
    return max(of, key=lambda f: of[f])


@cache
def engaged_complaints(number: int, per_week: float) -> float:
    """Complaints per mail in half a year among the quarter of accounts with most attention to spare."""
    world, key = drawn(number), stream(1, number)
    traits = draw_traits(key, CROWD.consumer, 1, world)
    spare = traits.budget / traits.elsewhere
    few = np.flatnonzero(spare > np.quantile(spare, 0.75))
    rows = (few[:, None] * ROWS + np.arange(ROWS)).ravel()
    habits = made_habits(len(few))._replace(
        consumer=CROWD.consumer[few],
        row_category=CROWD.row_category[rows],
        row_interval=CROWD.row_interval[rows],
    )
    return lived(world, key, habits, per_week, 26)["complain"]


@pytest.mark.slow
def test_few_unsubscribe_and_fewer_complain():
    two_a_week = [year(number, 2.0, weeks=52) for number in range(FREQUENCY_WORLDS)]
    unsubscribe = np.array([of["unsubscribe"] for of in two_a_week])
    complain = np.array([of["complain"] for of in two_a_week])
    assert ((unsubscribe >= 0.0008) & (unsubscribe <= 0.003)).mean() >= 0.5
    assert (complain < 0.003).mean() >= 0.9


@pytest.mark.slow
def test_complaints_of_the_engaged_rise_ever_faster_with_frequency():
    rates = np.array(
        [[engaged_complaints(number, f) for f in (1.0, 5.0, 10.0)] for number in range(FREQUENCY_WORLDS)]
    )
    early, late = (rates[:, 1] - rates[:, 0]) / 4, (rates[:, 2] - rates[:, 1]) / 5
    assert (late > 1.3 * early).mean() >= 0.5


@pytest.mark.slow
def test_there_is_a_best_frequency_and_both_sides_of_it_lose():
    inside, losses = [], []
    for number in range(FREQUENCY_WORLDS):
        of, f = gains(number), best(number)
        inside.append(FREQUENCIES[0] < f < FREQUENCIES[-1])
        silence = year(number, 0.0)["visits"]
        losses.append([1 - (year(number, f * side)["visits"] - silence) / of[f] for side in (0.57, 1.43)])
    assert np.mean(inside) >= 0.9
    assert (np.array(losses) > 0.05).all(axis=1).mean() >= 0.5


@pytest.mark.slow
def test_without_irritation_too_few_unsubscribe():
    rates = [year(number, 2.0, "irritation", weeks=52)["unsubscribe"] for number in range(FEW)]
    assert np.median(rates) < 0.0008


@pytest.mark.slow
def test_without_ignoring_far_too_many_unsubscribe():
    rates = [year(number, 2.0, "ignored", weeks=52)["unsubscribe"] for number in range(FEW)]
    assert min(rates) > 0.01 and np.median(rates) > 0.02


@pytest.mark.slow
def test_without_brand_memory_exposure_brings_little_and_without_trust_too_it_only_hurts():
    for number in range(3):
        of = {f: year(number, f, "brand_memory")["visits"] - year(number, 0.0)["visits"] for f in FREQUENCIES}
        assert max(of.values()) < 0.5 * max(gains(number).values())
        f = best(number)
        assert year(number, f, "brand_memory", "trust")["visits"] < year(number, 0.0)["visits"]
