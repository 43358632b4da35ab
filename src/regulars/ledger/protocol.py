"""What every ledger can be told; the consent gate and the retailer make the same calls to each of them."""

from __future__ import annotations

import enum
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from regulars.terms import I32, I64, U8, Purpose


class Kind(enum.IntEnum):
    """What an entry tells."""

    USED = 0  #: scopes were opened for a purpose
    CONTACTED = 1  #: a message left
    RETURNED = 2  #: she got something back
    GRANTED = 3  #: she allowed a use
    WITHDRAWN = 4  #: she took it back
    EXPLAINED = 5  #: she or somebody for her asked why


class Ledger(Protocol):
    """An append-only account by customer row."""

    def used(self, day: int, rows: I32, present: U8, covert: U8, purpose: Purpose, context: str) -> None:
        """Scopes were opened.

        Parameters
        ----------
        rows : (n,) customers
        present : (n, 9) 1 for each scope opened
        covert : (n, 9) 1 for each scope opened although she did not allow it
        purpose : for which; the contact scope is always opened for ``Purpose.CONTACT``
        context : what the view was opened for, such as the policy and its version
        """

    def explained(self, day: int, rows: I32, present: U8, covert: U8, context: str) -> None:
        """Somebody asked why; ``present`` are the scopes opened to tell, as for the decision itself."""

    def contacted(self, day: int, rows: I32, channel: U8, offer: I32, category: I32, reason: U8) -> None:
        """Messages left; all columns have one length."""

    def returned(self, day: int, rows: I32, cents: I64) -> None:
        """Value came back to her, in cents."""

    def changed(
        self, day: int, rows: I32, scope: U8, purposes: U8, granted: NDArray[np.bool_], context: str = ""
    ) -> None:
        """She changed her consent; ``purposes`` are bits of Purpose, ``context`` the channel when it is but one."""

    def subset(self, rows: I64) -> Self:
        """The account of these customers only."""

    def copy(self) -> Self:
        """The same again, sharing nothing."""

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The state as arrays, for hashing."""
