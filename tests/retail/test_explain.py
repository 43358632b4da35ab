from __future__ import annotations

import numpy as np
import pytest

from regulars.ledger import Counts, Entries, Kind, verify
from regulars.retail import consent as consents
from regulars.retail import policies
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import Reason
from regulars.retail.explain import _RULED_OUT, _SAID, _SILENT, why
from regulars.terms import Scope


@pytest.mark.parametrize("name", policies.names())
def test_every_decision_explains_itself_as_it_was_made(shop, run, name):
    made = shop(name, everything=False)
    run(made, 0, 10)
    before = made.copy()
    decided = made.decide(10)
    for row in range(0, 120, 9):
        told = why(before, row, 10)
        mine = np.flatnonzero(decided.customer == row)
        if not len(mine):
            assert len(told) == 1 and told[0].reason >= Reason.NOT_REACHABLE and told[0].to_her
            continue
        assert [e.reason for e in told] == [Reason(int(r)) for r in decided.reason[mine]]
        for explanation, k in zip(told, mine, strict=True):
            assert explanation.propensity == decided.propensity[k]
            assert explanation.to_her and explanation.to_manager
            assert set(explanation.used) <= set(explanation.opened)
            said = [c.category for c in explanation.candidates if c.said]
            assert said == sorted(c for c in decided.category[mine].tolist() if c >= 0)
            assert len(explanation.candidates) == 24


def test_explaining_changes_nothing_but_the_ledger(shop):
    made = shop("considerate")
    uses = made.ledger.uses.copy()
    before = {name: column.tobytes() for name, column in made.arrays().items()}
    for row in range(10):
        why(made, row, 0)
    after = {name: column.tobytes() for name, column in made.arrays().items()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"ledger.explanations", "ledger.uses"}
    assert made.ledger.explanations.tolist() == [1] * 10 + [0] * 110
    assert np.array_equal(made.ledger.uses[:, 10:], uses[:, 10:])


def test_her_ledger_tells_of_each_look_behind_an_explanation(shop):
    made = shop("considerate", ledger=Entries(120))
    made.consented([3], Scope.STATED, consents.USUAL, False, 0)
    for row in (3, 4):
        why(made, row, 0)
    why(made, 4, 0, 23)
    opened = [
        (e.scopes, e.purposes) for row in (3, 4) for e in made.ledger.of[row] if e.kind == Kind.EXPLAINED
    ]
    purposes = ("PERSONALIZE", "CONTACT")
    assert opened == [
        (("CONTACT", "PURCHASES"), purposes),
        (("CONTACT", "PURCHASES", "STATED"), purposes),
        ((), ()),
    ]
    assert not [e for e in made.ledger.of[4] if e.kind == Kind.CONTACTED]
    assert verify(made.ledger.of[4]) is None


def test_an_explanation_is_not_given_without_an_entry(shop):
    class Full(Counts):
        def explained(self, *_):
            raise OSError("disk full")

    made = shop("considerate", ledger=Full(120))
    with pytest.raises(OSError, match="disk full"):
        why(made, 0, 0)


def test_an_explanation_of_a_covert_use_is_covert(shop):
    made = shop("harvest", everything=False)
    withheld = np.flatnonzero(made.consent.bits[:, Scope.PURCHASES] == 0)
    reached = withheld[made.record.optin[withheld] > 0][:3]
    before = made.ledger.covert[:, Scope.PURCHASES].copy()
    for row in reached:
        why(made, int(row), 1)
    added = made.ledger.covert[:, Scope.PURCHASES] - before
    assert (added[reached] == 1).all() and added.sum() == len(reached) == 3


def test_it_says_how_often_and_how_long(shop):
    made = shop("considerate")
    words = [e.to_her for row in range(120) for e in why(made, row, 0) if e.reason == Reason.DUE]
    assert words and all("about every" in w and "and it has been" in w for w in words)


def test_an_explanation_shows_nothing_that_she_withheld(shop):
    made = shop("considerate")
    made.consent.bits[:, Scope.PURCHASES] = 0
    made.consent.bits[:, Scope.STATED] = 0
    for row in range(0, 120, 10):
        for explanation in why(made, row, 0):
            assert explanation.opened == ("CONTACT",) and explanation.used == ()
            assert Reason.NOT_BOUGHT not in {c.reason for c in explanation.candidates}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: made.consent.bits.fill(0), Reason.NO_PERMISSION),
        (lambda made: made.record.optin.fill(4), Reason.NOT_REACHABLE),
        (lambda made: made.decide(2), Reason.GAP),
    ],
)
def test_silence_names_its_rule(shop, change, reason):
    made = shop("considerate")
    change(made)
    contacted = np.flatnonzero(made.record.sent) if made.record.sent.any() else [0]
    assert why(made, int(contacted[0]), 2)[0].reason == reason


def test_night_and_caps_and_lots_are_named(shop):
    assert why(shop("considerate"), 0, 0, 23)[0].reason == Reason.QUIET
    assert why(shop("blast"), 0, 0)[0].reason == Reason.NOT_TODAY
    assert why(shop("silence"), 0, 0)[0].reason == Reason.NOT_TODAY
    assert why(shop("blast", rules=ContactRules(per_week=0)), 0, 1)[0].reason == Reason.CAP_WEEK
    rationed = why(shop("blast", rules=ContactRules(budget_per_day=0)), 0, 1)[0]
    assert rationed.reason == Reason.RATIONED


def test_what_is_unliked_says_so(shop):
    made = shop("purchases")
    decided = made.decide(1)
    m = len(decided.number)
    made.react(1, decided, np.full(m, 16, np.uint16), np.full(m, 2, np.uint8))
    row, category = int(decided.customer[0]), int(decided.category[0])
    told = why(made, row, 4)[0]
    reasons = {c.category: c.reason for c in told.candidates}
    assert reasons[category] in (Reason.UNLIKED, Reason.NO_OFFER)


def test_every_reason_has_words():
    assert {*_SAID, *_RULED_OUT, *_SILENT} == set(Reason)
