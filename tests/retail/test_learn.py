from __future__ import annotations

import numpy as np
import pytest

from regulars.draws import stream
from regulars.retail.learn import Bandit, Pending, rewards
from regulars.retail.predicted_verdict import (
    FEATURES,
    PRIOR,
    Feature,
    PredictedVerdict,
    label,
    measured,
    worth,
)
from regulars.terms import Reaction, Verdict


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
    assert (worth(fair.astype(np.float32)) > 0).tolist() == [True, False, False, False]


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
    pending.remember(1, decided)
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


def test_no_outcome_is_used_twice(shop, run):
    """Every purchase is credited to at most one contact, and every contact is settled once."""
    made = shop("purchases", per_week=14, repeat_days=0, warm=60)
    settled, credited = [], []
    taken = made.policy.learn
    made.policy.learn = lambda outcomes: (settled.append(outcomes), taken(outcomes))[1]
    decided = run(made, 0, 30)
    for outcomes in settled:
        credited.append(int(outcomes.bought.sum()))
    sent = sum(len(d.number) for d in decided[:23])
    assert sum(len(outcomes.reward) for outcomes in settled) == sent
    days = np.maximum(made.record.bought, 0)
    assert 0 < sum(credited) <= int(days.sum())


@pytest.mark.parametrize(
    ("bought_on", "credited"), [(1, [1, 0]), (2, [0, 1]), (3, [0, 1]), (9, [0, 1]), (10, [0, 0])]
)
def test_one_purchase_after_two_contacts_is_credited_once(shop, bought_on, credited):
    made = shop("blast", warm=0)
    first = made.decide(1)
    second = made.decide(2)
    who, category = int(first.customer[0]), int(first.category[0])
    second = second._replace(category=np.full_like(second.category, category))
    made.record.recent_category[:, 1] = category
    made.pending.blocks[1].category[:] = category
    outcomes = []
    made.policy.learn = outcomes.append
    for day in range(1, 12):
        if day == bought_on:
            made.record.last_day[who, category] = day
        made.learn(day)
    assert [int(o.bought.sum()) for o in outcomes] == credited


def test_what_she_withholds_from_measuring_is_not_measured(shop, run):
    made = shop("purchases")
    made.consent.bits[:, 1] &= 0b0110  # serve and measure taken back; personalize stays
    outcomes = []
    made.policy.learn = outcomes.append
    run(made, 0, 12)
    assert outcomes and not any(o.bought.any() for o in outcomes)


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
