from __future__ import annotations

import numpy as np

from regulars.ledger import Counts
from regulars.retail import consent as consents
from regulars.retail import infer
from regulars.retail import record as records
from regulars.terms import Purpose, Scope


def town(n=600, categories=30):
    """People with kids buy category 0 and 1 more; half of them told."""
    rng = np.random.default_rng(0)
    made = records.new(n, categories)
    kids = rng.random(n) < 0.4
    chance = np.full((n, categories), 0.4)
    chance[kids, :2] = 0.8
    chance[~kids, :2] = 0.2
    made.bought[:] = rng.random((n, categories)) < chance
    made.visits[:] = 5
    told = rng.random(n) < 0.5
    made.kids[told] = kids[told]
    made.age[told] = rng.integers(0, 6, told.sum())
    return made, kids, told


def test_it_guesses_better_than_chance_about_those_who_did_not_tell():
    made, kids, told = town()
    bits = np.full((600, 9), consents.USUAL, np.uint8)
    guesses = infer.new(30)
    infer.train(made, bits, True, guesses, Counts(600), 0)
    infer.apply(made, bits, True, guesses, Counts(600), 0)
    guess = made.inferred[~told, 0]
    assert guess[kids[~told]].mean() > guess[~kids[~told]].mean() + 0.15
    assert (infer.tilts(guesses)[0, :2] > 0.5).all()


def test_what_she_does_not_share_is_not_inferred():
    made, _, _ = town()
    bits = np.full((600, 9), consents.USUAL, np.uint8)
    bits[:200, Scope.INFERRED] = 0
    bits[200:400, Scope.PURCHASES] = 0
    guesses = infer.new(30)
    infer.train(made, bits, True, guesses, Counts(600), 0)
    infer.apply(made, bits, True, guesses, Counts(600), 0)
    assert (made.inferred[:400] == -1).all() and (made.inferred[400:] >= 0).all()


def test_who_withholds_who_she_is_teaches_nothing():
    made, _, _ = town()
    bits = np.full((600, 9), consents.USUAL, np.uint8)
    bits[::2, Scope.DEMOGRAPHICS] = 0
    one, other = infer.new(30), infer.new(30)
    infer.train(made, bits, True, one, Counts(600), 0)
    made.kids[::2] = 3
    made.age[::2] = 0
    infer.train(made, bits, True, other, Counts(600), 0)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_whose_purchases_were_studied_and_of_whom_something_was_guessed_is_in_the_ledger():
    made, _, _ = town()
    told = made.kids != records.UNKNOWN
    bits = np.full((600, 9), consents.USUAL, np.uint8)
    bits[:200, Scope.INFERRED] = 0
    ledger, guesses = Counts(600), infer.new(30)
    infer.train(made, bits, True, guesses, ledger, 0)
    infer.apply(made, bits, True, guesses, ledger, 1)
    studied = ledger.uses[Purpose.MEASURE]
    assert np.array_equal(studied[:, Scope.DEMOGRAPHICS] == 1, told)
    assert np.array_equal(studied[:, Scope.PURCHASES] == 1, told)
    assert np.array_equal(ledger.uses[Purpose.PERSONALIZE, :, Scope.INFERRED] > 0, made.inferred[:, 0] >= 0)
    assert not ledger.covert.any()


def test_who_allows_only_to_be_written_to_is_not_studied():
    made, _, _ = town()
    bits = np.full((600, 9), consents.USUAL, np.uint8)
    bits[::2, Scope.PURCHASES] = 1 << Purpose.PERSONALIZE
    ledger, guesses = Counts(600), infer.new(30)
    infer.train(made, bits, True, guesses, ledger, 0)
    assert not ledger.uses[Purpose.MEASURE, ::2].any() and ledger.uses[Purpose.MEASURE, 1::2].any()
    assert guesses.people.sum(1).max() <= 300


def test_a_guess_that_she_did_not_allow_is_noted_as_covert():
    made, _, _ = town()
    bits = np.full((600, 9), consents.USUAL, np.uint8)
    bits[:200, Scope.INFERRED] = 0
    ledger, guesses = Counts(600), infer.new(30)
    infer.train(made, bits, False, guesses, ledger, 0)
    infer.apply(made, bits, False, guesses, ledger, 1)
    assert (ledger.covert[:200, Scope.INFERRED] == 1).all()
    assert not ledger.covert[200:].any()
