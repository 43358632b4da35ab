from __future__ import annotations

import numpy as np
import pytest

from regulars.errors import RegularsError, ShapeError
from regulars.ledger import Entries, Kind, verify
from regulars.retail import consent as consents
from regulars.retail.contact_rules import ContactRules
from regulars.retail.retailer import Retailer
from regulars.terms import Purpose, Scope, Verdict


def digest(made):
    return {name: column.tobytes() for name, column in made.arrays().items()}


@pytest.mark.parametrize("name", ["considerate", "harvest", "demographics"])
def test_one_customers_year_is_replayed_alone(shop, run, basket, name):
    """With a snapshot a day, one customer alone lives exactly what she lived in the crowd: her diary."""
    crowd = shop(name)
    rows = [3, 40]
    alone = [crowd.subset([row]) for row in rows]
    for day in range(40):
        snapshot = crowd.snapshot()
        (together,) = run(crowd, day, day + 1)
        for row, one in zip(rows, alone, strict=True):
            one.restore(snapshot)
            decided = one.decide(day)
            mine = together.customer == row
            assert np.array_equal(decided.number, together.number[mine])
            assert np.array_equal(decided.offer, together.offer[mine])
            assert np.array_equal(decided.features, together.features[mine])
            u = ((decided.number * 2654435761 + 1) % 1000003) / 1000003
            reactions = np.zeros(len(u), np.uint16)
            reactions[u < 0.3] |= 1
            reactions[u < 0.1] |= 2
            reactions[u > 0.97] |= 1 << 4
            one.react(day, decided, reactions, np.where(u > 0.97, 2, 255).astype(np.uint8))
            lines, n = basket(day)
            keep = np.flatnonzero(lines.consumer[:n] == row)
            hers = type(lines)(*(column[keep] for column in lines))
            hers.consumer[:] = 0
            one.purchased(day, hers)
            one.learn(day)
    for row, one in zip(rows, alone, strict=True):
        for mine, hers in zip(crowd.record, one.record, strict=True):
            assert np.array_equal(mine[row], hers[0])


def test_a_copy_lives_the_same_and_shares_nothing(shop, run):
    made = shop("considerate")
    run(made, 0, 12)
    other = made.copy()
    before = digest(other)
    assert before == digest(made)
    run(made, 12, 22)
    assert digest(other) == before
    run(other, 12, 22)
    assert digest(other) == digest(made)


def test_a_diary_ledger_is_told_the_same_as_the_counts_of_a_run(shop, run):
    made, told = shop("considerate"), shop("considerate", ledger=Entries(120))
    run(made, 0, 15)
    run(told, 0, 15)
    counts = made.ledger.arrays()
    for row in (0, 7, 119):
        entries = told.ledger.of[row]
        assert verify(entries) is None
        assert counts["contacts"][row] == sum(entry.kind == Kind.CONTACTED for entry in entries)
        uses = sum(
            "PURCHASES" in e.scopes and "PERSONALIZE" in e.purposes for e in entries if e.kind == Kind.USED
        )
        assert counts["uses"][Purpose.PERSONALIZE, row, Scope.PURCHASES] == uses


def test_a_withdrawal_holds_from_the_next_decision_on(shop, run):
    made = shop("purchases")
    run(made, 0, 5)
    made.consented(np.arange(120), Scope.PURCHASES, consents.USUAL, False, 5)
    decided = made.decide(5)
    assert len(decided.number) and not decided.scopes.any()
    made.consented(np.arange(120), Scope.CONTACT, consents.USUAL, False, 6)
    assert len(made.decide(6).number) == 0


def test_of_contradicting_changes_the_stricter_wins(shop):
    made = shop("considerate")
    made.consented([4, 4], Scope.STATED, 1 << Purpose.PERSONALIZE, [False, True], 3)
    assert not consents.allows(made.consent, 4, Scope.STATED, Purpose.PERSONALIZE)
    assert made.ledger.arrays()["changes"][4] == 2


def test_wishes_are_kept_only_where_they_were_told_to_this_retailer(shop):
    made = shop("considerate", warm=0)
    made.consent.bits[1, Scope.STATED] = 0
    made.wished([1, 2], [7, 7], 50, 0)
    assert 7 not in made.record.wish_category[1] and 7 in made.record.wish_category[2]


def test_a_days_budget_holds_and_her_day_is_replayed_with_its_cutoff(shop, run):
    made = shop("blast", rules=ContactRules(budget_per_day=20))
    run(made, 0, 5)
    alone = {row: made.subset([row]) for row in range(0, 120, 5)}
    decided = made.decide(5)
    assert len(decided.number) == 20 and made.ruled_out[6] == 100
    for row, one in alone.items():
        assert len(one.decide(5, cutoff=made.cutoff).number) == (row in decided.customer)


def test_looking_without_sending_leaves_everything_but_the_ledger(shop):
    made = shop("considerate")
    before = digest(made)
    assert len(made.decide(0, send=False).number)
    after = digest(made)
    assert {name for name in before if before[name] != after[name]} == {"ledger.uses"}


def test_messages_carry_no_reason_and_no_score(shop):
    made = shop("considerate")
    decided = made.decide(0)
    sent = made.messages(decided)
    assert len(sent.consumer) == len(decided.number)
    assert not {"reason", "score", "predicted", "features", "scopes"} & set(sent._fields)


def test_a_retailer_never_sees_a_verdict_but_learns_from_reactions(shop, run):
    made = shop("considerate")
    before = made.verdict.weights.copy()
    run(made, 0, 12)
    assert not np.array_equal(before, made.verdict.weights)
    assert made.policy.bandit.moment.any()


def test_creepy_unlikes_teach_it_to_expect_creepiness(shop):
    made = shop("purchases", per_week=7)
    predicted = []
    for day in range(30):
        decided = made.decide(day)
        predicted.append(decided.predicted[:, Verdict.CREEPY].mean())
        m = len(decided.number)
        creepy = np.arange(m) % 4 == 0
        reactions = np.where(creepy, 1 << 4, 0).astype(np.uint16)
        made.react(day, decided, reactions, np.where(creepy, Verdict.CREEPY, 255).astype(np.uint8))
        made.learn(day)
    assert predicted[-1] > 10 * predicted[0]


def test_parts_that_do_not_fit_are_refused(shop, offered):
    made = shop("blast")
    with pytest.raises(ShapeError, match="consent of 119"):
        Retailer(made.policy, offered, made.record, consents.new(119))
    with pytest.raises(RegularsError, match="broker"):
        Retailer(made.policy, offered, made.record, made.consent, broker=True)
    with pytest.raises(ShapeError, match="1 reasons"):
        made.react(0, made.decide(1), np.zeros(1, np.uint16), np.zeros(1, np.uint8))


def test_whose_purchases_are_counted_with_those_of_others_is_in_the_ledger(shop, basket):
    made = shop("silence", everything=False, warm=0)
    bought, n = basket(3)
    made.purchased(3, bought, n)
    came = np.zeros(len(made), bool)
    came[bought.consumer[:n]] = True
    study = (1 << Purpose.PERSONALIZE) | (1 << Purpose.MEASURE)
    allowed = made.consent.bits[:, Scope.PURCHASES] & study != 0
    told = (made.record.age != 255) & (made.consent.bits[:, Scope.DEMOGRAPHICS] & study != 0)
    uses = made.ledger.arrays()["uses"][Purpose.MEASURE]
    assert np.array_equal(uses[:, Scope.PURCHASES] == 1, came & allowed)
    assert np.array_equal(uses[:, Scope.DEMOGRAPHICS] == 1, came & allowed & told)
    assert 0 < (came & allowed & told).sum() < (came & allowed).sum() < came.sum()
