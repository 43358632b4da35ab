"""The full ledger of a few customers: one entry each use, chained so that none can be changed unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from regulars.ledger.protocol import Kind
from regulars.terms import I32, I64, U8, Channel, Purpose, Scope

DIGEST_BYTES = 16
_CHANNELS = tuple(channel.name for channel in Channel)


@dataclass(frozen=True)
class Entry:
    """One line of her account.

    Attributes
    ----------
    number : 0, 1, 2 ... of this customer
    day : when
    kind : what it tells
    scopes : what was opened, granted or withdrawn
    purposes : for what
    covert : the opened scopes that she had not allowed
    context : the policy and version, the words of a contact, or the channel of a change
    cents : value returned
    chain : hex blake2b of this entry and the one before it
    """

    number: int
    day: int
    kind: Kind
    scopes: tuple[str, ...]
    purposes: tuple[str, ...]
    covert: tuple[str, ...]
    context: str
    cents: int
    chain: str


def verify(entries: Sequence[Entry]) -> int | None:
    """Number of the first entry that does not fit the chain; None when all do.

    A chain that was cut at its end still verifies: compare the last ``chain`` with the one she keeps.
    """
    before = ""
    for number, entry in enumerate(entries):
        if entry.number != number or entry.chain != _chain(entry, before):
            return number
        before = entry.chain
    return None


class Entries:
    """Entries for ``customers`` rows: for a diary, or where a handful of people live.

    Parameters
    ----------
    customers : how many
    heads : of each, how many entries stand elsewhere already and the last ``chain``; new entries go on from there

    Attributes
    ----------
    of : the new entries of each row
    """

    def __init__(self, customers: int, heads: Sequence[tuple[int, str]] | None = None) -> None:
        self.heads: list[tuple[int, str]] = [(0, "")] * customers if heads is None else list(heads)
        self.of: list[list[Entry]] = [[] for _ in range(customers)]

    def head(self, row: int) -> tuple[int, str]:
        """How many entries a row has in all, and its last ``chain``."""
        entries = self.of[row]
        return (entries[-1].number + 1, entries[-1].chain) if entries else self.heads[row]

    def used(self, day: int, rows: I32, present: U8, covert: U8, purpose: Purpose, context: str) -> None:
        """One entry for each customer whose scopes were opened; see :class:`regulars.ledger.Ledger`."""
        for row, opened, hidden in zip(rows.tolist(), _scopes(present), _scopes(covert), strict=True):
            if opened:
                self._looked(row, day, Kind.USED, opened, hidden, purpose, context)

    def explained(self, day: int, rows: I32, present: U8, covert: U8, context: str) -> None:
        """One entry each question, with what was opened to answer it."""
        for row, opened, hidden in zip(rows.tolist(), _scopes(present), _scopes(covert), strict=True):
            self._looked(row, day, Kind.EXPLAINED, opened, hidden, Purpose.PERSONALIZE, context)

    def contacted(self, day: int, rows: I32, channel: U8, offer: I32, category: I32, reason: U8) -> None:
        """One entry each message."""
        columns = (rows.tolist(), channel.tolist(), offer.tolist(), category.tolist(), reason.tolist())
        for row, via, what, about, why in zip(*columns, strict=True):
            words = f"channel={_CHANNELS[via]} offer={what} category={about} reason={why}"
            self._append(row, day, Kind.CONTACTED, (Scope.CONTACT.name,), (Purpose.CONTACT.name,), (), words)

    def returned(self, day: int, rows: I32, cents: I64) -> None:
        """One entry each return that is not nil."""
        for row, value in zip(rows.tolist(), cents.tolist(), strict=True):
            if value:
                self._append(row, day, Kind.RETURNED, (), (), (), "", value)

    def changed(
        self, day: int, rows: I32, scope: U8, purposes: U8, granted: NDArray[np.bool_], context: str = ""
    ) -> None:
        """One entry each change, opt-ins too."""
        columns = (rows.tolist(), scope.tolist(), purposes.tolist(), granted.tolist())
        for row, which, bits, yes in zip(*columns, strict=True):
            names = tuple(purpose.name for purpose in Purpose if bits >> purpose & 1)
            kind = Kind.GRANTED if yes else Kind.WITHDRAWN
            self._append(row, day, kind, (Scope(which).name,), names, (), context)

    def subset(self, rows: I64) -> Self:
        """The entries of these customers only."""
        other = type(self)(0)
        other.heads = [self.heads[row] for row in rows.tolist()]
        other.of = [list(self.of[row]) for row in rows.tolist()]
        return other

    def copy(self) -> Self:
        """The same again; entries are frozen and may be shared."""
        return self.subset(np.arange(len(self.of)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The last link of each chain: equal links mean equal accounts."""
        links = [self.head(row)[1] for row in range(len(self.of))]
        return {
            "chain": np.array([list(bytes.fromhex(link.zfill(2 * DIGEST_BYTES))) for link in links], np.uint8)
        }

    def note(self, row: int, entry: Entry) -> None:
        """Add an entry that was made elsewhere to this row; its number and chain become this account's."""
        number, before = self.head(row)
        bare = replace(entry, number=number, chain="")
        self.of[row].append(replace(bare, chain=_chain(bare, before)))

    def _looked(
        self,
        row: int,
        day: int,
        kind: Kind,
        opened: tuple[str, ...],
        hidden: tuple[str, ...],
        purpose: Purpose,
        context: str,
    ) -> None:
        self._append(row, day, kind, opened, _purposes(opened, purpose), hidden, context)

    def _append(
        self,
        row: int,
        day: int,
        kind: Kind,
        scopes: tuple[str, ...],
        purposes: tuple[str, ...],
        covert: tuple[str, ...],
        context: str,
        cents: int = 0,
    ) -> None:
        number, before = self.head(row)
        entry = Entry(number, int(day), kind, scopes, purposes, covert, context, cents, "")
        object.__setattr__(entry, "chain", _chain(entry, before))  # frozen from here on
        self.of[row].append(entry)


def _chain(entry: Entry, before: str) -> str:
    # The JSON of [before, the entry without its chain], keys in order, without blanks; written out, for it is many.
    told = (
        f'["{before}",{{"cents":{entry.cents:d},"context":{encode_basestring_ascii(entry.context)},"covert":'
        f'{_json(entry.covert)},"day":{entry.day:d},"kind":{entry.kind:d},"number":{entry.number:d},"purposes":'
        f'{_json(entry.purposes)},"scopes":{_json(entry.scopes)}}}]'
    )
    return hashlib.blake2b(told.encode(), digest_size=DIGEST_BYTES).hexdigest()


@cache
def _json(names: tuple[str, ...]) -> str:
    return json.dumps(names, separators=(",", ":"))


def _scopes(marked: U8) -> list[tuple[str, ...]]:
    """Names of the scopes that are marked in each row."""
    plain, width = marked.tobytes(), len(Scope)
    return [_named(plain[at : at + width]) for at in range(0, len(plain), width)]


@cache
def _named(row: bytes) -> tuple[str, ...]:
    return tuple(scope.name for scope in Scope if row[scope])


@cache
def _purposes(scopes: tuple[str, ...], purpose: Purpose) -> tuple[str, ...]:
    """For what these scopes are opened: the contact scope is ever for CONTACT."""
    opened = {Purpose.CONTACT if scope == Scope.CONTACT.name else Purpose(purpose) for scope in scopes}
    return tuple(which.name for which in sorted(opened))
