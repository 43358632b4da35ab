"""Who may do what: a key for each source and each member of staff, one retailer and one role a key, deny by default."""

from __future__ import annotations

import enum
import hashlib
import secrets
import time
from typing import NamedTuple

from regulars.service.store import Store, Transaction

#: How long a key counts as it was read.
FRESH_S = 10.0


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


class Keys:
    """The keys of a store; one that is new or revoked is known to be so within ``FRESH_S`` seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Principal] = {}
        self._read_at = 0.0
        self._read()

    def _read(self) -> None:
        with self._store.transaction() as work:
            self._known = {d: Principal(r, Role(role), source) for d, r, role, source in work.keys()}
        self._read_at = time.monotonic()

    def who(self, key: str) -> Principal | None:
        """Who has this key; None when nobody has."""
        if not key.startswith("rg_") or len(key) > 200:
            return None
        if time.monotonic() - self._read_at > FRESH_S:
            self._read()
        return self._known.get(digest(key))
