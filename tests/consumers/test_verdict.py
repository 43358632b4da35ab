import math

import numpy as np
import pytest

from regulars.consumers import verdict
from regulars.consumers.population import rows_of
from regulars.consumers.priors import draw_world, medians
from regulars.draws import stream
from regulars.terms import BASIS_SCOPE, NONE, Basis, Channel, Reaction, Scope, Verdict

from .hamlet import FOREIGN, ROWS, made_habits, made_needs, mail, scene

WORLD = medians()
ALWAYS = {"open_base": 50.0}
N = 4000
EVERYBODY = np.arange(N)
HABITS = made_habits(N)
FIRST_ROW = HABITS.row_category[::ROWS].astype(int)


def did(responses, reaction):
    return responses.reactions & (1 << int(reaction)) != 0


# ---- what a message is worth -------------------------------------------------------------------------------


def test_a_need_rebuilds_with_the_square_of_time_and_no_further():
    fits = [verdict.need_fit(WORLD, elapsed, 20.0) for elapsed in (10.0, 20.0, 80.0)]
    assert fits[0] == pytest.approx(0.25 * fits[1]) and fits[1] == fits[2]


def test_a_category_bought_often_fits_better_and_one_just_bought_as_little_as_a_foreign_one():
    assert verdict.need_fit(WORLD, 90, 10.0) > verdict.need_fit(WORLD, 90, 80.0)
    assert verdict.need_fit(WORLD, 0, 10.0) == WORLD.exploration_floor


def test_a_category_is_found_among_her_own_rows_only():
    ptr, category = np.array([0, 3, 5]), np.array([2, 7, 9, 2, 8], np.uint16)
    found = [[verdict.row_of(ptr, category, i, c) for c in (2, 7, 8, 9, 1, 99)] for i in (0, 1)]
    assert found == [[0, 1, -1, 2, -1, -1], [3, -1, 4, -1, -1, -1]]


def test_fit_comes_from_her_true_needs():
    s = scene(WORLD, HABITS, due=1.0)
    categories = np.where(EVERYBODY % 3 == 0, FIRST_ROW, np.where(EVERYBODY % 3 == 1, FOREIGN, NONE))
    _, fit = s.judge(0, mail(EVERYBODY, category=categories))
    assert np.allclose(fit[1::3], WORLD.exploration_floor) and np.allclose(fit[2::3], WORLD.generic_fit)
    interval = HABITS.row_interval[::ROWS][::3]
    elapsed = np.floor(interval)
    expected = (elapsed / interval) ** 2 * WORLD.affinity_days / (WORLD.affinity_days + interval)
    assert np.allclose(fit[::3], expected, rtol=1e-5)


def test_worth_and_pressure_are_the_written_sums():
    w = WORLD
    assert verdict.worth(w, 0.5, 0.2, 0.3, 0.4, 0.6) == pytest.approx(
        0.5 * (w.fit_value + w.saving_value * 0.2)
        + w.surprise_value * 0.3
        + w.justification_value * 0.4 * 0.6
    )
    assert verdict.pressure(w, 0.5, 0.7, 2.0, 6, 3, 0.4) == pytest.approx(
        w.load_weight * 0.7 * 0.5
        + w.irritation_weight * 2.0
        + w.obtrusive_weight * 0.4
        - w.spacing_relief * math.log(7.0)
        + w.repetition_weight * math.exp(-3 / w.repetition_days)
    )
    assert verdict.pressure(w, 0.5, -2.0, 0.0, 10**6, -1, 0.0) == pytest.approx(
        -w.spacing_relief * math.log(1 + verdict.SPACING_DAYS)
    )


# ---- creep -------------------------------------------------------------------------------------------------


def test_what_she_told_is_never_creepy_and_what_was_inferred_most():
    creep = [verdict.intrusion(WORLD, 1.8, 1.0, int(basis), 0.0, 0.5, 0.0, 0.0) for basis in list(Basis)[1:]]
    assert creep[0] == 0.0 and creep == sorted(creep) and creep[-1] > 1.0


def test_half_are_creeped_out_where_creep_equals_what_she_bears():
    creep = WORLD.theta + WORLD.fit_offsets_creep * 0.5
    assert verdict.creepy_probability(WORLD, creep, WORLD.theta, 0.5, 0.3) == pytest.approx(0.5)
    assert verdict.creepy_probability(WORLD, 0.0, WORLD.theta, 0.5, 0.3) == 0.0


@pytest.mark.parametrize(
    "kinder", [{"control": 1.0}, {"trust": 0.9}, {"justification": 1.0}, {"obtrusiveness": 0.0}]
)
def test_control_trust_a_reason_and_restraint_each_lower_creep(kinder):
    def creep(obtrusiveness=0.5, trust=0.3, justification=0.0, control=0.0):
        basis = int(Basis.BOUGHT_ELSEWHERE)
        return verdict.intrusion(WORLD, 1.8, 1.0, basis, obtrusiveness, trust, justification, control)

    assert creep(**kinder) < creep()


def test_a_message_that_uses_no_fact_is_never_creepy():
    s = scene(medians(ALWAYS | {"detection": 1.0, "theta": 0.01}), HABITS)
    responses, _ = s.judge(0, mail(EVERYBODY, revealed=1.0, justification=1.0, obtrusiveness=1.0))
    assert not (responses.verdict == Verdict.CREEPY).any()


@pytest.mark.parametrize(("detection", "low", "high"), [(0.0, 0.0, 0.0), (0.3, 0.1, 0.3), (1.0, 0.4, 1.0)])
def test_a_hidden_use_is_judged_only_when_she_detects_it(detection, low, high):
    s = scene(medians(ALWAYS | {"detection": detection}), HABITS)
    responses, _ = s.judge(0, mail(EVERYBODY, category=FIRST_ROW, basis=int(Basis.INFERRED)))
    assert low <= (responses.verdict == Verdict.CREEPY).mean() <= high


def test_a_creepy_message_may_cost_the_very_scope_that_it_used():
    for basis in list(Basis)[2:]:
        s = scene(medians(ALWAYS | {"theta": 1e-3, "fit_offsets_creep": 0.0, "sigma_scale": 9.0}), HABITS)
        responses, _ = s.judge(0, mail(EVERYBODY, basis=int(basis), revealed=1.0))
        creepy = responses.verdict == Verdict.CREEPY
        withdrawn = did(responses, Reaction.WITHDRAW)
        assert creepy.mean() > 0.9 and not withdrawn[~creepy].any()
        assert withdrawn[creepy].mean() == pytest.approx(WORLD.revoke_chance, abs=0.03)
        assert (s.mind.revoked[:, 0] == np.where(withdrawn, 1 << int(BASIS_SCOPE[basis]), 0)).all()


# ---- what reaches her and what she does --------------------------------------------------------------------


def test_a_message_that_does_not_reach_her_changes_nothing():
    s = scene(medians(ALWAYS), HABITS)
    s.mind.blocked[::2] = 1
    s.mind.unsubscribed[1::2] = 1 << int(Channel.EMAIL)
    before = [column.copy() for column in s.mind]
    hand = [column.copy() for column in s.hand]
    responses, _ = s.judge(0, mail(EVERYBODY))
    assert (responses.verdict == Verdict.IGNORED).all() and not responses.reactions.any()
    assert (responses.reason == 255).all()
    assert all(np.array_equal(a, b) for a, b in zip(before, s.mind, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(hand, s.hand, strict=True))
    other, _ = s.judge(0, mail(EVERYBODY, channel=int(Channel.APP)))
    assert did(other, Reaction.OPEN)[1::2].all() and not did(other, Reaction.OPEN)[::2].any()


def test_an_unopened_message_is_ignored_irritates_a_little_and_adds_to_the_load():
    s = scene(medians({"open_base": -50.0}), HABITS)
    responses, _ = s.judge(0, mail(EVERYBODY))
    assert (responses.verdict == Verdict.IGNORED).all() and not responses.reactions.any()
    assert np.allclose(s.mind.irritation, WORLD.irritation_unopened) and (s.mind.load == 1.0).all()
    assert not s.mind.brand.any()


def test_what_is_opened_is_in_hand():
    s = scene(WORLD, HABITS)
    responses, _ = s.judge(5, mail(EVERYBODY, category=FIRST_ROW, offer=EVERYBODY, last_day=40_000))
    opened = did(responses, Reaction.OPEN)
    assert 0.2 < opened.mean() < 0.8
    held = (s.hand.offer[:, 0] == EVERYBODY[:, None]) & (s.hand.category[:, 0] == FIRST_ROW[:, None])
    assert np.array_equal(held.any(axis=1), opened)
    assert (s.hand.opened[:, 0][held] == 1).all() and (s.hand.day[:, 0][held] == 5).all()
    assert (s.hand.last_day[:, 0][held] == 32767).all()


def test_only_after_annoying_or_creepy_does_anybody_leave_and_only_compelling_is_clicked_much():
    s = scene(medians(ALWAYS), HABITS)
    s.mind.irritation[:] = 2.0
    column = {"basis": int(Basis.BOUGHT_ELSEWHERE), "revealed": 0.6}
    responses, _ = s.judge(0, mail(EVERYBODY, category=np.where(EVERYBODY % 2, FIRST_ROW, FOREIGN), **column))
    verdicts = responses.verdict
    assert set(verdicts.tolist()) == {0, 1, 2, 3}
    bad = (verdicts == Verdict.ANNOYING) | (verdicts == Verdict.CREEPY)
    left = [Reaction.UNLIKE, Reaction.UNSUBSCRIBE, Reaction.BLOCK, Reaction.COMPLAIN]
    for reaction in left:
        assert did(responses, reaction)[bad].any() and not did(responses, reaction)[~bad].any()
    rates = [did(responses, reaction)[bad].mean() for reaction in left]
    assert rates[0] > rates[1] > rates[2]
    unlike = did(responses, Reaction.UNLIKE)
    assert np.array_equal(responses.reason, np.where(unlike, verdicts, 255))
    assert np.array_equal(s.mind.unsubscribed[:, 0] != 0, did(responses, Reaction.UNSUBSCRIBE))
    assert np.array_equal(s.mind.blocked[:, 0] != 0, did(responses, Reaction.BLOCK))
    click = did(responses, Reaction.CLICK)
    assert not click[bad].any() and click[verdicts == Verdict.COMPELLING].mean() > 0.2
    assert click[verdicts == Verdict.IGNORED].mean() < 0.05


def test_irritation_and_low_expectations_make_her_leave():
    calm, hurt, bored = (
        verdict.urge_to_leave(WORLD, *state) for state in ((0.0, 0.0, 0.3), (3.0, 1.0, 0.3), (0.0, 0.0, -0.5))
    )
    assert hurt > calm and bored > calm


# ---- luck --------------------------------------------------------------------------------------------------


def lived(habits, days=12, retailers=2):
    """Some days of mail from two retailers to everybody in these habits."""
    world = draw_world(stream(4))
    s = scene(world, habits, key=stream(4), due=0.7, retailers=retailers)
    who = np.arange(len(habits.consumer))
    seen = []
    for day in range(days):
        for r in range(retailers):
            row = (habits.consumer.astype(int) + day) % ROWS
            messages = mail(
                who,
                category=habits.row_category[who * ROWS + row],
                channel=(habits.consumer + day) % 5,
                basis=(habits.consumer + day) % 6,
                revealed=0.7,
                obtrusiveness=0.3,
            )
            responses, fit = s.judge(day, messages, r)
            seen.append(np.stack([responses.verdict, responses.reactions, responses.reason, fit]))
    return s, np.stack(seen)


def test_one_alone_equals_her_row_in_the_crowd_bit_for_bit():
    habits = made_habits(300)
    crowd, seen = lived(habits)
    some = np.array([3, 77, 78, 290])
    few, seen_few = lived(rows_of_rows(habits, some))
    assert np.array_equal(seen[:, :, some], seen_few)
    for column, part in zip((*crowd.mind, *crowd.hand), (*few.mind, *few.hand), strict=True):
        assert np.array_equal(column[some], part)
    assert len(np.unique(seen[:, 0])) == 4


def rows_of_rows(habits, some):
    """rows_of for habits whose unused columns were left bare."""
    n = len(habits.consumer)
    full = {
        name: column if len(column) != 1 else np.zeros(n * ROWS if name.startswith("row_") else n, np.float32)
        for name, column in habits._asdict().items()
    }
    full["loyalty"] = np.zeros(0, np.float32)
    return rows_of(habits._replace(**full), some)


def test_the_order_of_messages_to_different_people_does_not_matter():
    forward, backward = scene(WORLD, HABITS), scene(WORLD, HABITS)
    a, _ = forward.judge(0, mail(EVERYBODY, category=FIRST_ROW))
    b, _ = backward.judge(0, mail(EVERYBODY[::-1], category=FIRST_ROW[::-1]))
    assert np.array_equal(a.reactions, b.reactions[::-1])
    assert all(np.array_equal(x, y) for x, y in zip(forward.mind, backward.mind, strict=True))


def test_another_channel_or_retailer_is_other_luck():
    opens = []
    for channel, retailer in ((Channel.EMAIL, 0), (Channel.EMAIL, 1), (Channel.APP, 0)):
        s = scene(medians({"open_app": 0.0}), HABITS, retailers=2)
        opens.append(did(s.judge(0, mail(EVERYBODY, channel=int(channel)), retailer)[0], Reaction.OPEN))
    assert all((opens[0] != other).mean() > 0.3 for other in opens[1:])


def test_two_messages_of_one_day_on_one_channel_have_luck_of_their_own():
    s = scene(medians({"open_app": 0.0}), HABITS)
    both = np.repeat(EVERYBODY, 2)
    opened = did(s.judge(0, mail(both, channel=int(Channel.EMAIL)))[0], Reaction.OPEN)
    alone = scene(medians({"open_app": 0.0}), HABITS)
    first = did(alone.judge(0, mail(EVERYBODY, channel=int(Channel.EMAIL)))[0], Reaction.OPEN)
    assert np.array_equal(opened[::2], first)
    assert (opened[::2] != opened[1::2]).mean() > 0.3


def test_judging_reads_needs_and_leaves_them_alone():
    s = scene(WORLD, HABITS)
    before = s.needs.last_bought.copy()
    s.judge(0, mail(EVERYBODY, category=FIRST_ROW))
    assert np.array_equal(s.needs.last_bought, before)
    later = s._replace(needs=made_needs(np.full_like(before, 10**6)))
    _, fit = later.judge(0, mail(EVERYBODY, category=FIRST_ROW))
    assert np.allclose(fit, WORLD.exploration_floor)


def test_scopes_fit_in_the_bits_that_she_revokes():
    assert len(Scope) <= 16 and len(BASIS_SCOPE) == len(Basis) and len(Channel) <= 8
