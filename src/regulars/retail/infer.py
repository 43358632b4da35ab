"""The retailer's own guesses about who she is, from what she buys: kids at home, 55 or older.

Naive Bayes on the categories bought, learned from customers who told their demographics and allow the use. A
guess is made only about those who allow it: what she does not share is not inferred. Only a retailer that
honours no consent, in a simulation, guesses about everybody.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from regulars.draws import log, sigmoid
from regulars.ledger import Ledger
from regulars.retail.consent import note_use
from regulars.retail.record import INFERENCES, UNKNOWN, Record
from regulars.terms import F32, I64, U8, Purpose, Scope

EVERY_DAYS = 28
OLD_CODE = 4  # the first class of age from 55 on, of 19-24, 25-34, 35-44, 45-54, 55-64, 65+


class Guesses(NamedTuple):
    """How many customers with (1) and without (0) each trait bought from each category."""

    people: I64  #: (2, 2) by trait and value
    buyers: I64  #: (2, 2, C)


def new(categories: int) -> Guesses:
    """Nothing known yet."""
    return Guesses(np.zeros((INFERENCES, 2), np.int64), np.zeros((INFERENCES, 2, categories), np.int64))


def train(
    record: Record, bits: U8, honours_consent: bool, guesses: Guesses, ledger: Ledger, day: int
) -> None:
    """Count anew, over the customers who told who they are and allow this to be measured."""
    guesses.people[:] = 0
    guesses.buyers[:] = 0
    read = np.zeros(len(record.customer), np.uint8)
    _train(record, bits, honours_consent, guesses, read)
    _note(ledger, day, bits, read, Scope.DEMOGRAPHICS, Purpose.MEASURE)


def apply(
    record: Record, bits: U8, honours_consent: bool, guesses: Guesses, ledger: Ledger, day: int
) -> None:
    """Write the guesses into the record, -1 for everybody who does not allow one."""
    read = np.zeros(len(record.customer), np.uint8)
    _apply(record, bits, honours_consent, guesses, read)
    _note(ledger, day, bits, read, Scope.INFERRED, Purpose.PERSONALIZE)


def _note(ledger: Ledger, day: int, bits: U8, read: U8, scope: Scope, purpose: Purpose) -> None:
    rows = np.flatnonzero(read).astype(np.int32)
    present = np.zeros((len(rows), len(Scope)), np.uint8)
    present[:, [Scope.PURCHASES, scope]] = 1
    note_use(ledger, day, bits, rows, present, purpose, "guesses about who she is")


def tilts(guesses: Guesses) -> F32:
    """(2, C) float32: log ratio of the chance to buy from a category with the trait to that without."""
    out = np.zeros((INFERENCES, guesses.buyers.shape[2]), np.float32)
    _tilts(guesses, out)
    return out


# ---- kernels --------------------------------------------------------------------------------------

_PERSONALIZE = 1 << Purpose.PERSONALIZE
_MEASURE = 1 << Purpose.MEASURE
_PURCHASES = int(Scope.PURCHASES)
_DEMOGRAPHICS = int(Scope.DEMOGRAPHICS)
_INFERRED = int(Scope.INFERRED)
_FEWEST = 10  # with fewer people on either side a trait is not guessed
_TEMPER = 0.25  # categories are not independent: assumed, so that the odds are not absurd


@njit(cache=True, nogil=True, error_model="numpy")
def _trait(record, i, trait):
    """1, 0 or -1 for unknown."""
    code = record.kids[i] if trait == 0 else record.age[i]
    if code == UNKNOWN:
        return -1
    return 1 if code >= (1 if trait == 0 else OLD_CODE) else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _train(record, bits, honours, guesses, read):
    for i in range(len(record.customer)):
        studied = bits[i, _PURCHASES] & bits[i, _DEMOGRAPHICS] & _MEASURE != 0
        if (honours and not studied) or record.visits[i] == 0:
            continue
        for trait in range(INFERENCES):
            value = _trait(record, i, trait)
            if value < 0:
                continue
            read[i] = 1
            guesses.people[trait, value] += 1
            for c in range(record.bought.shape[1]):
                guesses.buyers[trait, value, c] += record.bought[i, c] > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _chance(guesses, trait, value, c):
    return (guesses.buyers[trait, value, c] + 1.0) / (guesses.people[trait, value] + 2.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _tilts(guesses, out):
    for trait in range(INFERENCES):
        if min(guesses.people[trait, 0], guesses.people[trait, 1]) < _FEWEST:
            continue
        for c in range(out.shape[1]):
            out[trait, c] = log(_chance(guesses, trait, 1, c) / _chance(guesses, trait, 0, c))


@njit(cache=True, nogil=True, error_model="numpy")
def _apply(record, bits, honours, guesses, read):
    categories = record.bought.shape[1]
    yes = np.empty(categories)
    no = np.empty(categories)
    for trait in range(INFERENCES):
        known = min(guesses.people[trait, 0], guesses.people[trait, 1]) >= _FEWEST
        prior = 0.0
        if known:
            prior = log(guesses.people[trait, 1] / guesses.people[trait, 0])
            for c in range(categories):
                p, q = _chance(guesses, trait, 1, c), _chance(guesses, trait, 0, c)
                yes[c] = log(p / q)
                no[c] = log((1.0 - p) / (1.0 - q))
        for i in range(len(record.customer)):
            allowed = bits[i, _PURCHASES] & bits[i, _INFERRED] & _PERSONALIZE != 0
            if not known or (honours and not allowed) or record.visits[i] == 0:
                record.inferred[i, trait] = -1.0
                continue
            read[i] = 1
            score = 0.0
            for c in range(categories):
                score += yes[c] if record.bought[i, c] > 0 else no[c]
            record.inferred[i, trait] = sigmoid(prior + _TEMPER * score)
