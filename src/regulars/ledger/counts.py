"""The ledger of a run: how often each scope of each customer was used for what, and what she got back."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.terms import I32, I64, U8, Purpose, Scope

_CONTACT = int(Scope.CONTACT)


class Counts:
    """Counts for N customers.

    Attributes
    ----------
    uses : (5, N, 9) uint32, by Purpose, customer and Scope
    covert : (N, 9) uint32, of these the ones that she had not allowed
    explanations : (N,) uint32, how often somebody asked why
    contacts : (N,) uint32
    value_cents : (N,) int64, given back to her
    changes : (N,) uint32, of her consent
    """

    def __init__(self, customers: int) -> None:
        self.uses = np.zeros((len(Purpose), customers, len(Scope)), np.uint32)
        self.covert = np.zeros((customers, len(Scope)), np.uint32)
        self.explanations = np.zeros(customers, np.uint32)
        self.contacts = np.zeros(customers, np.uint32)
        self.value_cents = np.zeros(customers, np.int64)
        self.changes = np.zeros(customers, np.uint32)

    def used(self, day: int, rows: I32, present: U8, covert: U8, purpose: Purpose, context: str) -> None:
        """Count each opened scope; see :class:`regulars.ledger.Ledger`."""
        _used(self.uses, self.covert, rows, present, covert, int(purpose))

    def explained(self, day: int, rows: I32, present: U8, covert: U8, context: str) -> None:
        """Count the question, and the uses of the look behind the answer."""
        _used(self.uses, self.covert, rows, present, covert, int(Purpose.PERSONALIZE))
        _count(self.explanations, rows)

    def contacted(self, day: int, rows: I32, channel: U8, offer: I32, category: I32, reason: U8) -> None:
        """Count the messages."""
        _count(self.contacts, rows)

    def returned(self, day: int, rows: I32, cents: I64) -> None:
        """Add up the cents."""
        np.add.at(self.value_cents, rows, cents)

    def changed(
        self, day: int, rows: I32, scope: U8, purposes: U8, granted: NDArray[np.bool_], context: str = ""
    ) -> None:
        """Count the changes."""
        _count(self.changes, rows)

    def subset(self, rows: I64) -> Self:
        """The counts of these customers only."""
        other = type(self)(0)
        other.uses = np.ascontiguousarray(self.uses[:, rows])
        for name in ("covert", "explanations", "contacts", "value_cents", "changes"):
            setattr(other, name, getattr(self, name)[rows].copy())
        return other

    def copy(self) -> Self:
        """The same again, sharing nothing."""
        return self.subset(np.arange(len(self.contacts)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The counts by name."""
        return {
            "uses": self.uses,
            "covert": self.covert,
            "explanations": self.explanations,
            "contacts": self.contacts,
            "value_cents": self.value_cents,
            "changes": self.changes,
        }


@njit(cache=True, nogil=True, error_model="numpy")
def _used(
    uses: NDArray[np.uint32], covert: NDArray[np.uint32], rows: I32, present: U8, hidden: U8, purpose: int
) -> None:
    for k in range(len(rows)):
        for scope in range(present.shape[1]):
            if present[k, scope]:
                uses[Purpose.CONTACT if scope == _CONTACT else purpose, rows[k], scope] += 1
                covert[rows[k], scope] += hidden[k, scope]


@njit(cache=True, nogil=True, error_model="numpy")
def _count(counts: NDArray[np.uint32], rows: I32) -> None:
    for k in range(len(rows)):
        counts[rows[k]] += 1
