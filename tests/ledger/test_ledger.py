from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from regulars.ledger import Counts, Entries, Kind, verify
from regulars.terms import Purpose, Scope

ROWS = np.array([1, 0], np.int32)


def tell(ledger):
    """The same story to any ledger."""
    present = np.zeros((2, 9), np.uint8)
    present[0, [Scope.CONTACT, Scope.PURCHASES]] = 1
    present[1, Scope.CONTACT] = 1
    covert = np.zeros((2, 9), np.uint8)
    covert[0, Scope.PURCHASES] = 1
    for day in (3, 4):
        ledger.used(day, ROWS, present, covert, Purpose.PERSONALIZE, "considerate 1")
    column = np.array([0, 1], np.uint8)
    numbers = np.array([5, 6], np.int32)
    ledger.contacted(4, ROWS, column, numbers, numbers, column)
    ledger.returned(5, ROWS, np.array([75, 0], np.int64))
    bits = np.array([6, 6], np.uint8)
    scope = np.array([Scope.STATED] * 2, np.uint8)
    ledger.changed(6, ROWS, scope, bits, np.array([True, False]))
    return ledger


def test_both_ledgers_tell_the_same():
    counts, entries = tell(Counts(2)), tell(Entries(2))
    for row in (0, 1):
        of = entries.of[row]
        for scope in Scope:
            for purpose in Purpose:
                told = sum(
                    entry.kind == Kind.USED
                    and scope.name in entry.scopes
                    and (purpose == Purpose.CONTACT) == (scope == Scope.CONTACT)
                    and purpose.name in entry.purposes
                    for entry in of
                )
                assert counts.uses[purpose, row, scope] == told
            assert counts.covert[row, scope] == sum(scope.name in entry.covert for entry in of)
        assert counts.contacts[row] == sum(entry.kind == Kind.CONTACTED for entry in of)
        assert counts.value_cents[row] == sum(entry.cents for entry in of)


def test_a_link_is_the_digest_of_the_entry_and_the_link_before_as_json():
    entries, before = tell(Entries(2)), ""
    entries._append(1, 7, Kind.USED, ("STATED",), (), (), 'what "she" said: é\n', 0)
    for entry in entries.of[1]:
        told = {name: value for name, value in vars(entry).items() if name != "chain"}
        text = json.dumps([before, told], sort_keys=True, separators=(",", ":"))
        assert entry.chain == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        before = entry.chain


def test_a_chain_verifies():
    entries = tell(Entries(2))
    assert [verify(of) for of in entries.of] == [None, None]
    assert [entry.number for entry in entries.of[1]] == list(range(len(entries.of[1])))


@pytest.mark.parametrize(
    "change", [{"day": 9}, {"context": "nobody"}, {"scopes": ()}, {"covert": ()}, {"cents": 1}]
)
def test_a_changed_entry_breaks_the_chain(change):
    of = tell(Entries(2)).of[1]
    forged = [*of[:1], dataclasses.replace(of[1], **change), *of[2:]]
    assert verify(forged) == 1


def test_a_missing_entry_breaks_the_chain():
    of = tell(Entries(2)).of[1]
    assert verify([of[0], *of[2:]]) == 1
    renumbered = [dataclasses.replace(entry, number=k) for k, entry in enumerate([of[0], *of[2:]])]
    assert verify(renumbered) == 1


def test_a_copy_goes_on_alone():
    entries = tell(Entries(2))
    other = entries.copy()
    tell(other)
    assert len(other.of[0]) == 2 * len(entries.of[0])
    assert verify(other.of[0]) is None
    assert not np.array_equal(entries.arrays()["chain"], other.arrays()["chain"])


def test_a_subset_keeps_its_account():
    for ledger in (tell(Counts(2)), tell(Entries(2))):
        one = ledger.subset(np.array([1]))
        for name, column in one.arrays().items():
            whole = ledger.arrays()[name]
            axis = 1 if name == "uses" else 0
            assert np.array_equal(column, np.take(whole, [1], axis))
