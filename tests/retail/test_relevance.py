from __future__ import annotations

import numpy as np
import pytest

from regulars.ledger import Counts
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.retail.consent import open_view
from regulars.retail.relevance import due_of, relevances, rhythm
from regulars.terms import Purpose, Scope


def look(shop, change, day=10):
    """Relevance of everything to customer 0 after ``change(record)``."""
    made = shop("considerate", warm=0)
    records.unwished(made.record, np.array([0]), np.array([0]))
    change(made.record)
    rows = np.zeros(1, np.int32)
    scopes = (Scope.CONTACT, Scope.PURCHASES, Scope.STATED)
    view = open_view(made.record, made.consent, rows, scopes, Purpose.PERSONALIZE, Counts(120), day, "test")
    return relevances(view, made.today(day))


def bought(record, category, days):
    record.visits[0] = max(record.visits[0], len(days))
    record.bought[0, category] = len(days)
    record.recent[0, category] = 256 * len(days)
    record.first_day[0, category], record.last_day[0, category] = days[0], days[-1]


def test_the_interval_is_her_own_shrunk_to_the_usual():
    interval, elapsed = rhythm(5, 0, 36, 46, 30.0)
    assert interval == pytest.approx((36 + 60) / (4 + 2)) and elapsed == 10


def test_need_builds_up_to_her_interval_and_fades_when_she_is_gone():
    assert due_of(10.0, 5.0) == pytest.approx(0.25)
    assert due_of(10.0, 10.0) == due_of(10.0, 20.0) == 1
    assert due_of(10.0, 40.0) == pytest.approx(0.5)


def test_what_is_due_beats_what_was_just_bought(shop):
    def change(record):
        bought(record, 1, [-30, -20, -10, 0])
        bought(record, 2, [-20, -10, 0, 10])

    seen = look(shop, change)
    assert seen.relevance[0, 1] > seen.relevance[0, 2] > seen.relevance[0, 3]


def test_a_wish_beats_all(shop):
    def change(record):
        bought(record, 1, [-30, -20, -10, 0])
        records.wished(record, np.array([0]), np.array([5]), np.array([30]), 0)

    assert look(shop, change).relevance[0].argmax() == 5


def test_a_wish_that_has_passed_is_over(shop):
    def change(record):
        records.wished(record, np.array([0]), np.array([5]), np.array([9]), 0)

    seen = look(shop, change)
    assert seen.relevance[0, 5] == seen.relevance[0, 6]


def test_a_withheld_record_leaves_what_everybody_likes(shop):
    def change(record):
        bought(record, 1, [-30, -20, -10, 0])

    made = shop("considerate", warm=0)
    change(made.record)
    consents.withdraw(made.consent, np.array([0]), Scope.PURCHASES, consents.USUAL, 0)
    rows = np.zeros(1, np.int32)
    view = open_view(
        made.record,
        made.consent,
        rows,
        (Scope.CONTACT, Scope.PURCHASES),
        Purpose.PERSONALIZE,
        Counts(120),
        10,
        "test",
    )
    seen = relevances(view, made.today(10))
    assert len(np.unique(seen.relevance)) == 1 and (seen.elapsed == -1).all()
