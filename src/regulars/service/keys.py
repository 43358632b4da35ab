"""Who may do what: a key for each source and each member of staff, one retailer and one role a key, deny by default."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from regulars.errors import RegularsError, SettingError
from regulars.service.store import Store, Transaction

#: How long a key counts as it was read.
FRESH_S = 1.0
#: How long it takes at least until they are read again, whatever unknown keys are sent.
AGAIN_S = 1.0
#: How long requests wait for a reading before they are served by what was read before.
PATIENCE_S = 0.2
#: What was read longer ago than this lets nobody in while the store lets wait: a key may have been revoked since.
LONGEST_S = 10.0
#: Characters of a key's name.
LONGEST_NAME = 64
NAMES = f"Give 1 to {LONGEST_NAME} characters that can be read, without blanks around them, and not 'import'"
#: The source of imported baskets, which is no key's.
IMPORT = "import"
#: Digits of a digest by which people name a key.
SHORT = 12


class Role(enum.StrEnum):
    """What a key is for."""

    WRITE = "write"  #: a source of events: an app, a web shop, a till
    SERVE = "serve"  #: what speaks to customers: asks for decisions, tells reactions and consent
    STAFF = "staff"  #: a person who explains, replays, looks up, sets stock
    ADMIN = "admin"  #: all of it, and erasing


#: What each role may do besides what is its own.
INCLUDES: dict[Role, frozenset[Role]] = {
    Role.WRITE: frozenset({Role.WRITE}),
    Role.SERVE: frozenset({Role.SERVE}),
    Role.STAFF: frozenset({Role.STAFF}),
    Role.ADMIN: frozenset(Role),
}


class Principal(NamedTuple):
    """Who asks."""

    retailer: int
    role: Role
    source: str

    def may(self, role: Role) -> bool:
        """Whether this key opens what is for that role."""
        return role in INCLUDES[self.role]


def new(work: Transaction, retailer: int, role: Role, source: str) -> str:
    """A new key; only its digest is kept, so write it down."""
    key = f"rg_{role.value}_{secrets.token_urlsafe(24)}"
    work.add_key(digest(key), retailer, role.value, source)
    return key


def digest(key: str) -> str:
    """A key as it stands in the store. Keys are random and long, so one round is enough."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def short(key: str) -> str:
    """The id of a key."""
    return digest(key)[:SHORT]


def may_be_called(name: str) -> bool:
    """Whether a key may have this name; an import counts its baskets under one of its own."""
    return 1 <= len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip() and name != IMPORT


class Known(NamedTuple):
    """A key as people may see it."""

    id: str  #: the first digits of its digest
    role: str
    name: str  #: the source under which message ids count once


def of_retailer(work: Transaction, retailer: int) -> list[Known]:
    """The keys of a retailer, by role and name; what they are themselves nobody knows any more."""
    order = [role.value for role in Role]
    found = [Known(d[:SHORT], role, source) for d, r, role, source in work.keys() if r == retailer]
    return sorted(found, key=lambda known: (order.index(known.role), known.name, known.id))


def revoke(work: Transaction, retailer: int, named: str) -> Known:
    """Withdraw a key of a retailer.

    Parameters
    ----------
    named : its id, or the key itself

    Raises
    ------
    SettingError
        when it names no key, or several.
    """
    word = named.strip()
    mark = digest(word) if word.startswith("rg_") else word.lower()
    found = [
        (d, Known(d[:SHORT], role, source))
        for d, r, role, source in work.keys()
        if r == retailer and len(mark) >= SHORT and d.startswith(mark)
    ]
    if len(found) != 1:
        # Not the word itself: it may be a key.
        what = "several keys" if found else "no key of this retailer"
        raise SettingError(f"--revoke names {what}. Give an id that `regulars keys` lists, {SHORT} digits")
    ((whole, known),) = found
    work.remove_key(whole)
    return known


class Keys:
    """The keys of a store; one that is new or revoked is known to be so within ``FRESH_S`` seconds.

    They are read in a thread, and those that were read before are served while the store lets wait, up to ``LONGEST_S``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Principal] = {}
        self._began = 0.0  # the last reading
        self._read_at = 0.0  # what is known
        self._reader = ThreadPoolExecutor(1, "regulars-keys")
        self._reading: Future[RegularsError | None] = Future()
        self._reading.set_result(None)
        self._read()

    def _read(self) -> None:
        began = time.monotonic()
        with self._store.transaction() as work:
            self._known = {d: Principal(r, Role(role), source) for d, r, role, source in work.keys()}
        self._read_at = began

    def _tried(self) -> RegularsError | None:
        try:
            self._read()
        except RegularsError as error:
            return error
        return None

    async def _anew(self, patience_s: float | None) -> RegularsError | None:
        """Read anew, or wait for whoever is at it, at most so many seconds from its beginning; what went wrong."""
        if self._reading.done() and time.monotonic() - self._began > AGAIN_S:
            self._began = time.monotonic()
            self._reading = self._reader.submit(self._tried)
        reading = self._reading
        left = None if patience_s is None else self._began + patience_s - time.monotonic()
        if not reading.done() and (left is None or left > 0):
            await asyncio.wait([asyncio.wrap_future(reading)], timeout=left)
        return reading.result() if reading.done() else None

    async def who(self, key: str) -> Principal | None:
        """Who has this key; None when nobody has."""
        if not key.startswith("rg_") or len(key) > 200:
            return None
        mark = digest(key)
        if mark not in self._known:
            # Perhaps it is new; without the store nobody can say.
            error = await self._anew(None)
            if mark not in self._known and error is not None:
                raise error
        elif time.monotonic() - self._read_at > FRESH_S:
            await self._anew(PATIENCE_S)
            if time.monotonic() - self._read_at > LONGEST_S:
                await self._anew(None)
        return self._known.get(mark)
