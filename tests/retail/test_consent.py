from __future__ import annotations

import numpy as np
import pytest

from regulars.errors import ConsentError
from regulars.ledger import Counts, Entries
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.terms import NEVER, Purpose, Scope

from .scopes import SCOPE_FIELDS

ROWS = np.array([0, 2], np.int32)
ALL = tuple(Scope)


def known():
    """A record in which every field of everybody says something."""
    made = records.new(3, 4)
    for name, column in made._asdict().items():
        if name != "customer":
            column[...] = 1
    return made


def opened(made, consent, scopes=ALL, ledger=None, **more):
    counts = Counts(3) if ledger is None else ledger
    return consents.open_view(made, consent, ROWS, scopes, Purpose.PERSONALIZE, counts, 5, "test 1", **more)


def test_anonymous_by_default_nothing_is_in_the_view():
    view = opened(known(), consents.new(3))
    assert not view.present.any()
    assert not view.bought.any() and (view.last_day == NEVER).all() and not view.visits.any()
    assert (view.wish_category == -1).all() and (view.elsewhere_category == -1).all()
    assert (view.age == 255).all() and (view.kids == 255).all() and (view.inferred == -1).all()
    assert not view.sent.any() and (view.last_contact == NEVER).all()


@pytest.mark.parametrize("scope", [s for s in Scope if SCOPE_FIELDS[s]])
def test_one_grant_opens_one_scope_for_one_customer(scope):
    made, consent = known(), consents.new(3)
    closed = opened(made, consent)
    purpose = Purpose.CONTACT if scope == Scope.CONTACT else Purpose.PERSONALIZE
    consents.grant(consent, np.array([2]), scope, 1 << purpose, 3)
    view = opened(made, consent)
    assert view.present.sum() == 1 and view.present[1, scope]
    changed = [
        name for name in view._fields[1:] if getattr(view, name).tobytes() != getattr(closed, name).tobytes()
    ]
    fields = set(SCOPE_FIELDS[scope]) | {"present", "week", "month"}
    assert changed and set(changed) <= fields
    for name in set(changed) - {"present"}:
        assert np.array_equal(getattr(view, name)[0], getattr(closed, name)[0]), "row 0 granted nothing"


def test_a_grant_for_another_purpose_opens_nothing():
    consent = consents.new(3)
    for scope in Scope:
        others = 31 & ~(1 << Purpose.PERSONALIZE) & ~(1 << Purpose.CONTACT)
        consents.grant(consent, np.arange(3), scope, others, 0)
    assert not opened(known(), consent).present.any()


def test_a_scope_that_was_not_asked_for_has_no_columns():
    consent = consents.new(3)
    consent.bits[:] = 31
    view = opened(known(), consent, scopes=(Scope.CONTACT,))
    assert len(view.bought) == len(view.age) == len(view.wish_until) == len(view.inferred) == 0
    with pytest.raises(IndexError):
        view.bought[0]


def test_a_view_shares_no_memory_with_the_record():
    made, consent = known(), consents.new(3)
    consent.bits[:] = 31
    view = opened(made, consent)
    for mine in view[1:]:
        for theirs in (*made, *consent, ROWS):
            assert not np.shares_memory(mine, theirs)
    for column in view[1:]:
        column[...] = 0
    assert (made.bought == 1).all() and ROWS.tolist() == [0, 2]


def test_a_view_is_not_opened_without_an_entry():
    class Full(Counts):
        def used(self, *_):
            raise OSError("disk full")

    consent = consents.new(3)
    consent.bits[:] = 31
    with pytest.raises(OSError, match="disk full"):
        opened(known(), consent, ledger=Full(3))


def test_the_entry_tells_what_was_opened_and_nothing_that_was_withheld():
    made, consent, ledger = known(), consents.new(3), Entries(3)
    consents.grant(consent, np.array([0]), Scope.PURCHASES, consents.USUAL, 0)
    opened(made, consent, ledger=ledger)
    assert [(e.scopes, e.purposes, e.context) for e in ledger.of[0]] == [
        (("PURCHASES",), ("PERSONALIZE",), "test 1")
    ]
    assert ledger.of[1] == ledger.of[2] == []


def test_without_honour_everything_opens_and_is_marked_covert():
    made, consent, ledger = known(), consents.new(3), Counts(3)
    consents.grant(consent, np.array([0]), Scope.PURCHASES, consents.USUAL, 0)
    view = opened(made, consent, ledger=ledger, honours_consent=False)
    assert view.present.all()
    assert ledger.covert[0, Scope.PURCHASES] == 0 and ledger.covert[2, Scope.PURCHASES] == 1
    assert ledger.covert[0, Scope.INFERRED] == 1 and not ledger.covert[1].any()


def test_withdrawing_takes_back_only_what_is_named():
    consent = consents.new(2)
    consents.grant(consent, np.array([1]), Scope.STATED, consents.USUAL, 4)
    consents.withdraw(consent, np.array([1]), Scope.STATED, 1 << Purpose.PERSONALIZE, 9)
    assert not consents.allows(consent, 1, Scope.STATED, Purpose.PERSONALIZE)
    assert consents.allows(consent, 1, Scope.STATED, Purpose.SERVE)
    assert consent.since[1, Scope.STATED] == 9 and consent.epoch.tolist() == [0, 2]


def test_sharing_is_never_part_of_the_usual():
    assert consents.USUAL & 1 << Purpose.SHARE == 0
    assert not consents.new(4).bits.any()


def test_what_she_was_never_asked_is_not_refused():
    consent = consents.new(2)
    consents.grant(consent, np.array([0]), Scope.STATED, 0b0110, 0)
    refused = consents.refused(consent, 0)
    assert refused[Scope.STATED] == 0b11111001
    assert not np.delete(refused, Scope.STATED).any() and not consents.refused(consent, 1).any()


def test_no_purpose_is_refused():
    with pytest.raises(ConsentError, match="names no purpose"):
        consents.grant(consents.new(1), np.array([0]), Scope.STATED, 0, 0)
