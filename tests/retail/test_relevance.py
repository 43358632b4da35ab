from __future__ import annotations

import numpy as np
import pytest

from regulars.ledger import Counts
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.retail.consent import open_view
from regulars.retail.relevance import (
    FEATURES,
    RelevanceWeights,
    due_of,
    features,
    quick_log,
    relevances,
    rhythm,
)
from regulars.terms import NEVER, Purpose, Scope


def look(shop, change, day=10):
    """Relevance of everything to customer 0 after ``change(record)``."""
    made = shop("considerate", warm=0)
    made.record.wish_until[0] = NEVER
    change(made.record)
    rows = np.zeros(1, np.int32)
    scopes = (Scope.CONTACT, Scope.PURCHASES, Scope.STATED)
    view = open_view(made.record, made.consent, rows, scopes, Purpose.PERSONALIZE, Counts(120), day, "test")
    return relevances(view, made.today(day))


def bought(record, category, days):
    record.visits[0] = max(record.visits[0], len(days))
    record.bought[0, category] = len(days)
    record.kept[0, category] = min(2048 * len(days), 65535)
    record.lately[0, category] = 4096
    record.last_nth[0, category] = record.visits[0]
    record.pace[0], record.small[0], record.last_visit[0] = 4096, 4096, max(days[-1], record.last_visit[0])
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
        records.wished(record, np.array([0]), np.array([5]), np.array([30]))

    assert look(shop, change).relevance[0].argmax() == 5


def test_a_wish_that_has_passed_is_over(shop):
    def change(record):
        records.wished(record, np.array([0]), np.array([5]), np.array([9]))

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


def opened(made, day):
    scopes = (Scope.CONTACT, Scope.PURCHASES)
    rows = np.arange(len(made), dtype=np.int32)
    return open_view(made.record, made.consent, rows, scopes, Purpose.PERSONALIZE, Counts(120), day, "test")


def test_what_is_served_is_what_was_fitted(shop, run):
    made = shop("silence", warm=60)
    run(made, 0, 30)
    view, today = opened(made, 30), made.today(30)
    weights = RelevanceWeights().column()[: len(FEATURES)]
    odds = features(view, today).astype(float) @ weights
    served = relevances(view, today).relevance.astype(float)
    np.testing.assert_allclose(np.log(served / (1 - served)), odds, atol=0.01)


def test_the_quick_logarithm_is_near_enough_over_all_it_is_asked():
    for x in np.geomspace(1.01e-4, 60, 5000):
        assert quick_log(x) == pytest.approx(np.log(x), abs=0.004)


def test_the_same_weights_are_in_the_same_places():
    from regulars.retail import relevance

    column = RelevanceWeights(**{name: float(k) for k, name in enumerate(vars(RelevanceWeights()))}).column()
    for name in vars(RelevanceWeights()):
        assert column[getattr(relevance, name.upper())] == list(vars(RelevanceWeights())).index(name)
    assert FEATURES == tuple(vars(RelevanceWeights()))[: len(FEATURES)]


def test_who_comes_often_is_likelier_to_buy_within_the_week(shop):
    def seen_at(pace):
        def change(record):
            bought(record, 1, [-30, -20, -10, 0])
            record.pace[0] = pace

        return look(shop, change).relevance[0, 1]

    assert seen_at(8192) > seen_at(1024)


def test_a_category_that_all_buy_of_late_is_likelier_for_a_stranger(shop, run):
    made = shop("silence", warm=60)
    everybody = np.arange(len(made))
    consents.withdraw(made.consent, everybody, Scope.PURCHASES, 1 << Purpose.PERSONALIZE, 0)
    seen = relevances(opened(made, 0), made.today(0)).relevance[0]
    share = made.totals.bought / made.totals.bought.sum()
    assert seen[share.argmax()] > seen[share.argmin()]
