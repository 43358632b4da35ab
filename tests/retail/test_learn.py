from __future__ import annotations

import numpy as np
import pytest

from regulars.draws import stream
from regulars.retail.decision import take
from regulars.retail.learn import Bandit, Pending, rewards
from regulars.retail.predicted_verdict import (
    FEATURES,
    PRIOR,
    Feature,
    PredictedVerdict,
    label,
    measured,
)
from regulars.terms import Purpose, Reaction, Scope, Verdict, empty_lines


def features(n, seed=0):
    x = np.random.default_rng(seed).random((n, FEATURES)).astype(np.float32)
    x[:, Feature.BIAS] = 1
    return x


def truth(x, seed=1):
    """Verdicts from other weights than the prior."""
    weights = PRIOR.copy()
    weights[Verdict.COMPELLING, Feature.SAVING] += 3
    weights[Verdict.ANNOYING, Feature.BIAS] += 1.5
    odds = np.exp(x @ weights.T)
    chances = np.concatenate([odds, np.ones((len(x), 1))], 1) / (1 + odds.sum(1, keepdims=True))
    u = np.random.default_rng(seed).random(len(x))
    return (u[:, None] > chances.cumsum(1)).sum(1).clip(0, 3).astype(np.uint8), chances


def test_predictions_become_calibrated():
    model = PredictedVerdict()
    test = features(20000, 9)
    _, chances = truth(test)
    before = np.abs(model.predict(test) - chances).mean()
    for day in range(60):
        x = features(300, 100 + day)
        verdicts, _ = truth(x, 500 + day)
        model.learn(x, verdicts)
        model.step()
    predicted = model.predict(test)
    assert np.abs(predicted - chances).mean() < 0.35 * before
    for verdict in (Verdict.COMPELLING, Verdict.ANNOYING):
        top = predicted[:, verdict] > np.quantile(predicted[:, verdict], 0.9)
        assert predicted[top, verdict].mean() == pytest.approx(chances[top, verdict].mean(), rel=0.15)


def test_the_order_of_events_changes_nothing():
    x, order = features(500), np.random.default_rng(3).permutation(500)
    verdicts, _ = truth(x)
    one, other = PredictedVerdict(), PredictedVerdict()
    one.learn(x, verdicts)
    for part in np.array_split(order, 7):
        other.learn(x[part], verdicts[part])
    one.step()
    other.step()
    assert np.array_equal(one.weights, other.weights)
    a, b = Bandit(), Bandit()
    reward = np.linspace(-1, 1, 500).astype(np.float32)
    a.learn(x, reward)
    b.learn(x[order], reward[order])
    assert np.array_equal(a.draw(stream(1), 5), b.draw(stream(1), 5))


def test_what_is_dear_is_not_compelling():
    fair = np.array(
        [[0.2, 0.001, 0.005, 0.794], [0.2, 0.02, 0.005, 0.775], [0.02, 0, 0.02, 0.96], [0.005, 0, 0, 0.995]]
    )
    labels = label(fair.astype(np.float32)).tolist()
    assert labels == [Verdict.COMPELLING, Verdict.CREEPY, Verdict.ANNOYING, Verdict.IGNORED]


@pytest.mark.parametrize(
    ("reactions", "reason", "verdict"),
    [
        ((), 255, Verdict.IGNORED),
        ((Reaction.OPEN,), 255, Verdict.IGNORED),
        ((Reaction.OPEN, Reaction.CLICK), 255, Verdict.COMPELLING),
        ((Reaction.REDEEM,), 255, Verdict.COMPELLING),
        ((Reaction.UNLIKE,), Verdict.ANNOYING, Verdict.ANNOYING),
        ((Reaction.UNLIKE,), Verdict.CREEPY, Verdict.CREEPY),
        ((Reaction.UNSUBSCRIBE,), 255, Verdict.ANNOYING),
        ((Reaction.COMPLAIN,), 255, Verdict.ANNOYING),
        ((Reaction.WITHDRAW,), 255, Verdict.CREEPY),
    ],
)
def test_a_verdict_is_measured_by_what_she_did(reactions, reason, verdict):
    bits = np.array([sum(1 << reaction for reaction in reactions)], np.uint16)
    assert measured(bits, np.array([reason], np.uint8)).tolist() == [verdict]


def test_thompson_draws_settle_on_what_pays():
    bandit = Bandit()
    rng = np.random.default_rng(4)
    x = features(8000)
    reward = (0.8 * x[:, Feature.SAVING] - 0.5 * x[:, Feature.DUE] + rng.normal(0, 0.2, 8000)).astype(
        np.float32
    )
    wide = np.array([bandit.draw(stream(1), day) for day in range(30)]).std(0)
    bandit.learn(x, reward)
    draws = np.array([bandit.draw(stream(1), day) for day in range(100, 130)])
    assert draws.mean(0)[Feature.SAVING] == pytest.approx(0.8, abs=0.05)
    assert draws.mean(0)[Feature.DUE] == pytest.approx(-0.5, abs=0.05)
    assert (draws.std(0) < wide).all()


def test_the_draw_equals_the_posterior_in_closed_form():
    bandit = Bandit(noise=0.0)
    x, reward = features(300), np.linspace(-1, 1, 300).astype(np.float32)
    bandit.learn(x, reward)
    wide = x.astype(float)
    precision = wide.T @ wide + bandit.strength * np.eye(FEATURES)
    mean = bandit.mean + np.linalg.solve(precision, wide.T @ (reward - wide @ bandit.mean))
    assert np.allclose(bandit.draw(stream(1), 0), mean, atol=1e-5)


def test_a_contact_is_handed_out_once(shop, run):
    made = shop("blast")
    decided = made.decide(1)
    pending = Pending()
    pending.remember(1, decided, np.ones(len(decided.number), np.uint16))
    assert pending.due(7) == []
    assert sum(len(block.number) for block in pending.due(8)) == len(decided.number)
    assert pending.due(8) == []


def test_a_reaction_to_a_settled_contact_only_orders(shop):
    made = shop("blast")
    decided = made.decide(1)
    m = len(decided.number)
    none = np.full(m, 255, np.uint8)
    for day in range(1, 10):
        made.learn(day)
    twin = made.copy()
    twin.learn(10)
    before = twin.snapshot()
    made.react(10, decided, np.full(m, 0b101111, np.uint16), none)
    made.learn(10)
    assert not made.record.opened.any() and not made.record.clicked.any()
    assert not (made.record.optin[decided.customer] & 1).any()
    assert all(np.array_equal(value, made.snapshot()[name]) for name, value in before.items())


def test_no_outcome_is_used_twice(shop, run, basket):
    """Every contact is settled once, and every purchase credited to the last contact of the week before it."""
    made = shop("purchases", per_week=14, repeat_days=0, warm=60)
    settled = []
    taken = made.policy.learn
    made.policy.learn = lambda outcomes: (settled.append(outcomes), taken(outcomes))[1]
    decided = run(made, 0, 30)
    credited = set()
    for day in range(30):
        lines, n = basket(day)
        for cell in set(zip(lines.consumer[:n].tolist(), lines.category[:n].tolist(), strict=True)):
            about = [
                int(number)
                for d in decided[max(0, day - 6) : day + 1]
                for number, *told in zip(
                    d.number.tolist(), d.customer.tolist(), d.category.tolist(), strict=True
                )
                if tuple(told) == cell
            ]
            credited |= {max(about)} if about else set()
    assert [outcomes.bought.tolist() for outcomes in settled] == [
        [int(number) in credited for number in d.number] for d in decided[:23] if len(d.number)
    ]
    assert len(credited) > 100


@pytest.mark.parametrize(
    ("bought_on", "credited"),
    [
        ([1], [1, 0]),
        ([2], [0, 1]),
        ([3], [0, 1]),
        ([8], [0, 1]),
        ([9], [0, 0]),
        ([1, 3], [1, 1]),
        ([3, 5], [0, 1]),
    ],
)
def test_one_purchase_after_two_contacts_is_credited_once(shop, bought_on, credited):
    made = shop("blast", warm=0)
    first = made.decide(1)
    second = made.decide(2)
    who, category = int(first.customer[0]), int(first.category[0])
    assert len(second.number)
    made.pending.blocks[1].category[:] = category
    outcomes = []
    made.policy.learn = outcomes.append
    for day in range(1, 12):
        if day in bought_on:
            bought = empty_lines(1)
            bought.consumer[0], bought.category[0], bought.units[0] = who, category, 1
            made.purchased(day, bought)
        made.learn(day)
    assert [int(o.bought.sum()) for o in outcomes] == credited


def test_a_purchase_after_the_same_contact_said_twice_in_a_day_is_credited_to_the_second(shop):
    made = shop("blast", warm=0, per_week=14)
    first, second = made.decide(1, [5]), made.decide(1, [7])
    for block in made.pending.blocks:
        block.row[:], block.category[:] = 5, 3
    bought = empty_lines(1)
    bought.consumer[0], bought.category[0], bought.units[0] = 5, 3, 1
    made.purchased(1, bought)
    assert [block.bought.tolist() for block in made.pending.blocks] == [[0, 0], [0, 1]]
    assert len(first.number) == len(second.number) == 2


def test_what_she_withholds_from_measuring_is_not_measured(shop, run):
    """A policy that saw no purchases learns whether she clicked, but not whether she bought."""
    made = shop("blast")
    made.consent.bits[:, 1] &= 0b0110  # serve and measure taken back; personalize stays
    before = made.ledger.uses[Purpose.MEASURE].copy()
    outcomes = []
    made.policy.learn = outcomes.append
    run(made, 0, 12)
    assert outcomes and not any(o.bought.any() for o in outcomes)
    assert any((o.verdict == Verdict.COMPELLING).any() for o in outcomes)
    assert np.array_equal(made.ledger.uses[Purpose.MEASURE], before)


@pytest.mark.parametrize("when", ["before", "while it waits"])
def test_nothing_is_learned_from_purchases_that_may_not_be_measured(shop, run, when):
    """What a policy ranked by is data of hers too: without MEASURE no outcome, no feature, no ledger entry."""
    made = shop("considerate")
    outcomes = []
    made.policy.learn = outcomes.append
    out = np.arange(0, 120, 2)
    if when == "before":
        made.consented(out, Scope.PURCHASES, 1 << Purpose.MEASURE, False, 0)
    decided = run(made, 0, 5)
    if when != "before":
        made.consented(out, Scope.PURCHASES, 1 << Purpose.MEASURE, False, 5)
    before = made.ledger.uses[Purpose.MEASURE].copy()
    for day in range(5, 13):
        made.learn(day)
    read = made.ledger.uses[Purpose.MEASURE] - before
    told = np.concatenate([d.customer for d in decided])
    assert (told % 2 == 0).any()
    assert sum(len(o.reward) for o in outcomes) == (told % 2 == 1).sum() > 0
    assert not read[out].any()
    assert np.array_equal(read[:, Scope.PURCHASES], np.bincount(told[told % 2 == 1], minlength=120))
    assert np.array_equal(read[:, Scope.STATED], read[:, Scope.PURCHASES])


def test_a_reaction_told_twice_in_one_call_loses_nothing_and_counts_once(shop):
    made = shop("blast")
    decided = made.decide(1)
    twice = take(decided, [0, 0, 1])
    bits = np.array([1 << Reaction.OPEN, 1 << Reaction.OPEN | 1 << Reaction.CLICK, 1], np.uint16)
    made.react(1, twice, bits, np.full(3, 255, np.uint8))
    assert made.pending.blocks[0].reactions[:2].tolist() == [0b11, 0b01]
    assert made.record.opened[decided.customer[:2]].tolist() == [1, 1]
    assert made.record.clicked[decided.customer[:2]].tolist() == [1, 0]


def test_two_batches_of_one_day_are_both_in_the_state(shop):
    made = shop("blast")
    for rows in ([1], [2]):
        made.decide(1, rows)
    before = made.arrays()
    changed = made.copy()
    changed.pending.blocks[0].reactions[:] = 1
    after = changed.arrays()
    assert sum(name.endswith(".number") for name in before) == 2
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {
        "pending.0.reactions"
    }


def test_a_lost_permission_is_the_worst_reward(shop):
    made = shop("blast")
    made.decide(1)
    block = made.pending.blocks[0]
    block.reactions[:4] = [
        1 << Reaction.CLICK,
        1 << Reaction.UNLIKE,
        (1 << Reaction.CLICK) | (1 << Reaction.BLOCK),
        0,
    ]
    bought = np.zeros(len(block.row), np.uint8)
    bought[3] = 1
    assert rewards(block, bought)[:5].tolist() == pytest.approx([1, -0.5, -1, 0.2, 0])
