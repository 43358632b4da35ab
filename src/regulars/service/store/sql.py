"""What can be asked of the store and written to it, in the words that SQLite and PostgreSQL share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import msgspec

from regulars.errors import RegularsError
from regulars.service.store.schema import MIGRATIONS, OF_CUSTOMER, OF_RETAILER

#: How long a claimed Idempotency-Key is kept for whoever claimed it and has not answered.
LEASE_MS = 60_000


class StoreFailed(RegularsError):
    """The database did not do what it was told, such as for want of room.

    Attributes
    ----------
    in_turn : two waited for each other and this one gave way: nothing was written, and the same again may do
    """

    in_turn = False


class StatementFailed(StoreFailed):
    """The database is well; it is what it was told that cannot be."""


class NoRetailer(RegularsError):
    """There is no retailer of that number."""


class TenantRow(NamedTuple):
    """One retailer in the store."""

    retailer: int
    name: str
    settings: dict[str, Any]
    secret: bytes  #: under which identifiers are digested
    closed_day: int  #: the last day whose outcomes were learned
    common: int  #: version of what was learned from everybody
    stock: int  #: version of stock on hand
    customers: int  #: how many numbers were given out
    shelf: int  #: version of what the retailer told of its shelf; 0 as it was set up


class CustomerRow(NamedTuple):
    """One customer, sealed."""

    customer: int
    into: int  #: the customer that this one was merged into, -1
    consent: bytes
    contact: bytes
    known: bytes
    profile: bytes
    entries: int
    chain: str
    version: int  #: goes up whenever ``known`` changes
    kept: int  #: the last version on which a decision rests; a copy of it is kept when it changes
    key: bytes


class DecisionRow(NamedTuple):
    """One decision, sealed."""

    id: str
    customer: int
    day: int
    waits: int  #: 1 while its outcome is not settled
    body: bytes


class Transaction(ABC):
    """All or nothing. Rows that are read to be changed are locked until the end, in the order of their numbers."""

    # ---- what a database does in its own words --------------------------------------------------------

    @abstractmethod
    def ask(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query; ``?`` stands for a value, ``{among}`` after a column for one of a list."""

    @abstractmethod
    def tell(self, text: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it touched."""

    @abstractmethod
    def tell_each(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row."""

    @abstractmethod
    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows, the fastest way."""

    @abstractmethod
    def add_new(
        self, table: str, columns: Sequence[str], key: str, rows: Sequence[Sequence[Any]]
    ) -> set[Any]:
        """Add the rows whose primary key is new; returns their values of the column ``key``."""

    @abstractmethod
    def alone(self) -> None:
        """Nobody else changes the tables themselves until the end of the transaction."""

    #: What follows a SELECT whose rows will be changed, and one whose rows must only not change.
    FOR_CHANGE = ""
    FOR_READ = ""

    # ---- retailers and keys -----------------------------------------------------------------------------

    def tenant(self, retailer: int, *, change: bool = False) -> TenantRow:
        """A retailer; with ``change`` nobody else works for it until the end of the transaction."""
        found = self.ask(
            "SELECT retailer, name, settings, secret, closed_day, common, stock, customers, shelf "
            "FROM tenant WHERE retailer = ?" + (self.FOR_CHANGE if change else self.FOR_READ),
            (retailer,),
        )
        if not found:
            raise NoRetailer(
                f"there is no retailer {retailer} in the store. Set it up with `regulars import`"
            )
        row = found[0]
        return TenantRow(row[0], row[1], msgspec.json.decode(row[2]), bytes(row[3]), *row[4:])

    def tenants(self) -> list[tuple[int, str]]:
        """Numbers and names of all retailers."""
        return [(row[0], row[1]) for row in self.ask("SELECT retailer, name FROM tenant ORDER BY retailer")]

    def unready(self) -> dict[str, int]:
        """Numbers by name of the retailers whose filling was begun and not finished."""
        found = self.ask("SELECT name, retailer, settings FROM tenant ORDER BY retailer")
        return {name: number for name, number, told in found if not json.loads(told).get("ready", True)}

    def make_ready(self, retailer: int) -> None:
        """A retailer's filling is finished."""
        settings = self.tenant(retailer, change=True).settings
        self.change_tenant(retailer, settings=json.dumps(settings | {"ready": True}))

    def remove_tenant(self, retailer: int) -> None:
        """Take a retailer out of every table."""
        for table in OF_RETAILER:
            self.tell(f"DELETE FROM {table} WHERE retailer = ?", (retailer,))  # noqa: S608

    def add_tenant(
        self, name: str, settings: dict[str, Any], catalog: bytes, secret: bytes, closed: int
    ) -> int:
        """A new retailer; returns its number."""
        taken = self.ask("SELECT COALESCE(MAX(retailer), -1) FROM tenant")[0][0]
        self.tell(
            "INSERT INTO tenant (retailer, name, settings, catalog, secret, closed_day, common, stock, customers) "
            "VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)",
            (taken + 1, name, json.dumps(settings), catalog, secret, closed),
        )
        return int(taken) + 1

    def catalog(self, retailer: int) -> bytes:
        """The catalog as the retailer was set up."""
        return bytes(self.ask("SELECT catalog FROM tenant WHERE retailer = ?", (retailer,))[0][0])

    def change_tenant(self, retailer: int, **columns: Any) -> None:
        """Set columns of a retailer."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.tell(f"UPDATE tenant SET {names} WHERE retailer = ?", (*columns.values(), retailer))  # noqa: S608

    def spent(self, retailer: int, day: int) -> int:
        """Messages of a day's budget that were sent."""
        found = self.ask("SELECT messages FROM spent WHERE retailer = ? AND day = ?", (retailer, day))
        return int(found[0][0]) if found else 0

    def spend(self, retailer: int, day: int, messages: int) -> None:
        """Write down how many of a day's budget were sent by now."""
        self.tell(
            "INSERT INTO spent (retailer, day, messages) VALUES (?, ?, ?) "
            "ON CONFLICT (retailer, day) DO UPDATE SET messages = excluded.messages",
            (retailer, day, messages),
        )

    def add_key(self, digest: str, retailer: int, role: str, source: str) -> None:
        """A key that opens the door in a role."""
        self.tell("INSERT INTO api_key VALUES (?, ?, ?, ?)", (digest, retailer, role, source))

    def keys(self) -> list[tuple[str, int, str, str]]:
        """Digest, retailer, role and source of every key."""
        return [
            (row[0], row[1], row[2], row[3])
            for row in self.ask("SELECT digest, retailer, role, source FROM api_key")
        ]

    def remove_key(self, digest: str) -> None:
        """Withdraw a key: it opens nothing any more."""
        self.tell("DELETE FROM api_key WHERE digest = ?", (digest,))

    # ---- customers --------------------------------------------------------------------------------------

    def customers(
        self, retailer: int, numbers: Sequence[int], *, change: bool = True
    ) -> dict[int, CustomerRow]:
        """Customers by number; those who were erased are not there."""
        if not numbers:
            return {}
        found = self.ask(
            "SELECT c.customer, c.into_customer, c.consent, c.contact, c.known, c.profile, c.entries, c.chain, "  # noqa: S608
            "c.version, c.kept, "
            # Not a join: as long as PostgreSQL has not counted the rows, it would read every key for it.
            "(SELECT k.key FROM person_key k WHERE k.retailer = c.retailer AND k.customer = c.customer) "
            "FROM customer c WHERE c.retailer = ? AND c.customer {among} ORDER BY c.customer"
            + (self.FOR_CHANGE if change else ""),
            (retailer, sorted(set(numbers))),
        )
        return {
            row[0]: CustomerRow(
                row[0],
                row[1],
                bytes(row[2]),
                bytes(row[3]),
                bytes(row[4]),
                bytes(row[5]),
                row[6],
                row[7],
                row[8],
                row[9],
                bytes(row[10]),
            )
            for row in found
            if row[10] is not None
        }

    def everybody(self, retailer: int, *, merged: bool = False) -> list[int]:
        """Numbers of all customers; those who were merged into another only with ``merged``."""
        into = 2**62 if merged else 0
        found = self.ask(
            "SELECT customer FROM customer WHERE retailer = ? AND into_customer < ? ORDER BY customer",
            (retailer, into),
        )
        return [row[0] for row in found]

    def add_customers(self, retailer: int, rows: Sequence[CustomerRow]) -> None:
        """New customers, with their keys."""
        self.append(
            "person_key", ("retailer", "customer", "key"), [(retailer, r.customer, r.key) for r in rows]
        )
        self.append(
            "customer",
            (
                "retailer",
                "customer",
                "into_customer",
                "consent",
                "contact",
                "known",
                "profile",
                "entries",
                "chain",
                "version",
                "kept",
            ),
            [(retailer, *row[:10]) for row in rows],
        )

    def change_customers(self, retailer: int, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write columns of customers; each row is their values and the customer's number."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.tell_each(
            f"UPDATE customer SET {names} WHERE customer = ? AND retailer = {int(retailer)}",  # noqa: S608
            rows,
        )

    def keep_known(self, retailer: int, rows: Sequence[tuple[int, int, bytes]]) -> None:
        """Copies of what was known of customers until it changed, as (customer, version, sealed); one is enough."""
        # Older versions copied when somebody decided.
        columns = ("retailer", "customer", "version", "body")
        self.add_new("known_then", columns, "customer", [(retailer, *row) for row in rows])

    def known_then(self, retailer: int, customer: int, version: int) -> bytes | None:
        """What was known of a customer in a version before the present one."""
        found = self.ask(
            "SELECT body FROM known_then WHERE retailer = ? AND customer = ? AND version = ?",
            (retailer, customer, version),
        )
        return bytes(found[0][0]) if found else None

    def aliases(self, retailer: int, digests: Sequence[str]) -> dict[str, int]:
        """Customers by digest of an identifier."""
        if not digests:
            return {}
        return dict(
            self.ask(
                "SELECT digest, customer FROM alias WHERE retailer = ? AND digest {among}",
                (retailer, list(digests)),
            )
        )

    def known_by(self, retailer: int, digests: Sequence[str]) -> dict[str, int]:
        """Customers by digest of an identifier; of one who was merged, whoever she was merged into."""
        if not digests:
            return {}
        found = self.ask(
            "SELECT digest, customer, (SELECT c.into_customer FROM customer c WHERE c.retailer = alias.retailer "
            "AND c.customer = alias.customer) FROM alias WHERE retailer = ? AND digest {among}",
            (retailer, list(digests)),
        )
        return {digest: customer if into is None or into < 0 else into for digest, customer, into in found}

    def digests_of(self, retailer: int, customers: Sequence[int]) -> set[str]:
        """Digests of the identifiers under which these customers are known."""
        found = self.ask(
            "SELECT digest FROM alias WHERE retailer = ? AND customer {among}", (retailer, list(customers))
        )
        return {row[0] for row in found}

    def add_aliases(self, retailer: int, rows: Sequence[tuple[str, int, str]]) -> set[str]:
        """Identifiers as (digest, customer, kind); those that are taken stay as they are. Returns the new ones."""
        return self.add_new(
            "alias", ("retailer", "digest", "customer", "kind"), "digest", [(retailer, *row) for row in rows]
        )

    def merged_into(self, retailer: int, customers: Sequence[int]) -> dict[int, int]:
        """Of these customers those who were merged, and into whom."""
        if not customers:
            return {}
        return dict(
            self.ask(
                "SELECT customer, into_customer FROM customer "
                "WHERE retailer = ? AND customer {among} AND into_customer >= 0",
                (retailer, list(customers)),
            )
        )

    def merged_from(self, retailer: int, customer: int) -> list[int]:
        """Who was merged into this customer."""
        return [
            row[0]
            for row in self.ask(
                "SELECT customer FROM customer WHERE retailer = ? AND into_customer = ? ORDER BY customer",
                (retailer, customer),
            )
        ]

    def add_merge(self, retailer: int, customer: int, into: int, at_ms: int, before: bytes) -> None:
        """Note a merge, with how the other stood before."""
        self.append(
            "merge", ("retailer", "customer", "into_customer", "at_ms", "undone", "before"),
            [(retailer, customer, into, at_ms, 0, before)],
        )  # fmt: skip

    def last_merge(self, retailer: int, customer: int) -> tuple[int, int, bytes] | None:
        """(into, at_ms, before) of the last merge that was not undone."""
        found = self.ask(
            "SELECT into_customer, at_ms, before FROM merge WHERE retailer = ? AND customer = ? AND undone = 0 "
            "ORDER BY at_ms DESC LIMIT 1",
            (retailer, customer),
        )
        return (found[0][0], found[0][1], bytes(found[0][2])) if found else None

    def undo_merge(self, retailer: int, customer: int, at_ms: int) -> None:
        """Note that it was undone."""
        self.tell(
            "UPDATE merge SET undone = 1 WHERE retailer = ? AND customer = ? AND at_ms = ?",
            (retailer, customer, at_ms),
        )

    def parted(self, retailer: int, customer: int) -> set[int]:
        """From whom this customer was taken apart."""
        found = self.ask(
            "SELECT into_customer FROM merge WHERE retailer = ? AND customer = ? AND undone = 1",
            (retailer, customer),
        )
        return {row[0] for row in found}

    def owned(self, retailer: int, customers: Sequence[int], kinds: Sequence[str]) -> set[int]:
        """Of these customers those who are known under an identifier of one of these kinds."""
        if not customers:
            return set()
        return {
            row[0]
            for row in self.ask(
                "SELECT DISTINCT customer FROM alias WHERE retailer = ? AND customer {among} AND kind {among}",
                (retailer, list(customers), list(kinds)),
            )
        }

    # ---- events -----------------------------------------------------------------------------------------

    def put_in(self, rows: Sequence[tuple[int, str, int, int, bytes]]) -> None:
        """Received, not yet applied: (retailer, source, received_ms, wait, body)."""
        self.append("inbox", ("retailer", "source", "received_ms", "wait", "body"), rows)

    def take_out(self, retailer: int, most: int) -> list[tuple[int, str, int, bytes]]:
        """What was received and not yet applied, oldest first: (seq, source, received_ms, body)."""
        return [
            (row[0], row[1], row[2], bytes(row[3]))
            for row in self.ask(
                "SELECT seq, source, received_ms, body FROM inbox WHERE retailer = ? AND wait = 1 ORDER BY seq LIMIT ?",
                (retailer, most),
            )
        ]

    def awaited(self) -> list[tuple[int, int, int]]:
        """Retailers for whom something waits to be applied: (retailer, received_ms of the oldest, seq of the newest)."""
        found = self.ask(
            "SELECT retailer, MIN(received_ms), MAX(seq) FROM inbox WHERE wait = 1 GROUP BY retailer"
        )
        return [(row[0], row[1], row[2]) for row in found]

    def set_aside(self, seq: int) -> None:
        """A delivery that cannot be applied is kept, and stops nobody."""
        self.tell("UPDATE inbox SET wait = 2 WHERE seq = ?", (seq,))

    def aside(self, retailer: int) -> list[tuple[int, bytes]]:
        """Deliveries that were set aside, as (seq, body)."""
        found = self.ask(
            f"SELECT seq, body FROM inbox WHERE retailer = ? AND wait = 2 ORDER BY seq{self.FOR_CHANGE}",  # noqa: S608
            (retailer,),
        )
        return [(row[0], bytes(row[1])) for row in found]

    def change_aside(self, seq: int, body: bytes) -> None:
        """Write another body of a delivery that was set aside."""
        self.tell("UPDATE inbox SET body = ? WHERE seq = ?", (body, seq))

    def applied(self, seqs: Sequence[int]) -> None:
        """These are in the records now."""
        self.tell("DELETE FROM inbox WHERE seq {among}", (list(seqs),))

    def first_seen(self, retailer: int, digests: Sequence[str], day: int) -> set[str]:
        """Which of these messages were never seen within the window; from now on they were."""
        unique = list(dict.fromkeys(digests))
        return self.add_new(
            "seen", ("retailer", "digest", "day"), "digest", [(retailer, each, day) for each in unique]
        )

    def seen_again(self, retailer: int, digests: Sequence[str], day: int) -> None:
        """The window of these begins anew."""
        if digests:
            self.tell(
                "UPDATE seen SET day = ? WHERE retailer = ? AND day < ? AND digest {among}",
                (day, retailer, day, list(digests)),
            )

    def seen(self, retailer: int, digests: Sequence[str]) -> set[str]:
        """Which of these messages were seen within the window."""
        found = self.ask(
            "SELECT digest FROM seen WHERE retailer = ? AND digest {among}", (retailer, list(digests))
        )
        return {row[0] for row in found}

    def forget_seen(self, retailer: int, before: int) -> None:
        """Messages and Idempotency-Keys of days before this one may come again."""
        self.tell("DELETE FROM seen WHERE retailer = ? AND day < ?", (retailer, before))
        self.tell("DELETE FROM claim WHERE retailer = ? AND day < ?", (retailer, before))

    def add_events(self, rows: Sequence[tuple[int, int, int, bytes]]) -> None:
        """(retailer, customer, at_ms, body)."""
        self.append("event", ("retailer", "customer", "at_ms", "body"), rows)

    def events(self, retailer: int, customer: int) -> Iterator[tuple[int, bytes]]:
        """Her events as (at_ms, body), as they came."""
        for row in self.ask(
            "SELECT at_ms, body FROM event WHERE retailer = ? AND customer = ? ORDER BY seq",
            (retailer, customer),
        ):
            yield row[0], bytes(row[1])

    # ---- decisions and ledger -----------------------------------------------------------------------------

    def add_decisions(self, retailer: int, rows: Sequence[DecisionRow]) -> None:
        """New decisions."""
        self.append(
            "decision",
            ("retailer", "id", "customer", "day", "waits", "body"),
            [(retailer, *row) for row in rows],
        )

    def decisions(self, retailer: int, ids: Sequence[str], *, change: bool = False) -> dict[str, DecisionRow]:
        """Decisions by id."""
        if not ids:
            return {}
        return {row.id: row for row in self._decisions("id {among}", (retailer, sorted(set(ids))), change)}

    def waiting(self, retailer: int, customers: Sequence[int], since: int) -> list[DecisionRow]:
        """Contacts of these customers whose outcome is open, of days from ``since`` on."""
        if not customers:
            return []
        return self._decisions(
            "customer {among} AND +waits = 1 AND day >= ?", (retailer, sorted(set(customers)), since), True
        )

    def ripe(self, retailer: int, until: int, most: int) -> list[DecisionRow]:
        """Open contacts of days up to ``until``, by day."""
        return self._decisions("waits = 1 AND day <= ?", (retailer, until), True, f" LIMIT {int(most)}")

    def of_customer(self, retailer: int, customer: int) -> list[DecisionRow]:
        """All decisions about one customer."""
        return self._decisions("customer = ?", (retailer, customer), False)

    def decided_for(self, retailer: int, customers: Sequence[int], day: int) -> list[DecisionRow]:
        """All decisions about these customers and a day."""
        if not customers:
            return []
        return self._decisions("customer {among} AND day = ?", (retailer, sorted(set(customers)), day), False)

    def _decisions(
        self, where: str, values: Sequence[Any], change: bool, limit: str = ""
    ) -> list[DecisionRow]:
        # SQLite would rather walk all that wait, or all ids in order, than what is about a few customers; so neither the
        # order nor, above, what waits is told in words for which it has an index.
        found = self.ask(
            f"SELECT id, customer, day, waits, body FROM decision WHERE retailer = ? AND {where} "  # noqa: S608
            f"ORDER BY day, id || ''{limit}" + (self.FOR_CHANGE if change else ""),
            values,
        )
        return [DecisionRow(row[0], row[1], row[2], row[3], bytes(row[4])) for row in found]

    def change_decisions(self, retailer: int, rows: Iterable[tuple[int, bytes, str]]) -> None:
        """Write (waits, body, id)."""
        self.tell_each(
            f"UPDATE decision SET waits = ?, body = ? WHERE id = ? AND retailer = {int(retailer)}",  # noqa: S608
            list(rows),
        )

    def add_entries(self, retailer: int, rows: Sequence[tuple[int, int, bytes]]) -> None:
        """Ledger entries as (customer, number, body)."""
        self.append("entry", ("retailer", "customer", "number", "body"), [(retailer, *row) for row in rows])

    def entries(self, retailer: int, customer: int) -> list[bytes]:
        """Her ledger, oldest first."""
        return [
            bytes(row[0])
            for row in self.ask(
                "SELECT body FROM entry WHERE retailer = ? AND customer = ? ORDER BY number",
                (retailer, customer),
            )
        ]

    # ---- what all have in common --------------------------------------------------------------------------

    def common(self, retailer: int, version: int) -> bytes | None:
        """What was learned from everybody, by version."""
        found = self.ask("SELECT body FROM common WHERE retailer = ? AND version = ?", (retailer, version))
        return bytes(found[0][0]) if found else None

    def add_common(self, retailer: int, version: int, day: int, body: bytes) -> None:
        """A new version, learned up to the end of ``day``."""
        self.tell("INSERT INTO common VALUES (?, ?, ?, ?)", (retailer, version, day, body))

    def drop_common(self, retailer: int, version: int) -> None:
        """A version that no decision rests on."""
        self.tell("DELETE FROM common WHERE retailer = ? AND version = ?", (retailer, version))

    def decided_on(self, retailer: int, day: int) -> bool:
        """Whether anything was decided on a day, or for a later one already."""
        return bool(
            self.ask(
                "SELECT 1 FROM decision WHERE retailer = ? AND waits IN (0, 1) AND day >= ? LIMIT 1",
                (retailer, day),
            )
        )

    def shelf(self, retailer: int, version: int) -> bytes | None:
        """What a retailer told of its shelf, by version."""
        found = self.ask("SELECT body FROM shelf WHERE retailer = ? AND version = ?", (retailer, version))
        return bytes(found[0][0]) if found else None

    def add_shelf(self, retailer: int, version: int, day: int, body: bytes) -> None:
        """A new version, told on ``day``; the one before goes unless a decision may rest on it, also one about yesterday."""
        self.tell(
            "DELETE FROM shelf WHERE retailer = ? AND version = ? AND NOT EXISTS "
            "(SELECT 1 FROM decision d WHERE d.retailer = shelf.retailer AND d.waits IN (0, 1) AND d.day >= shelf.day - 1)",
            (retailer, version - 1),
        )
        self.tell("INSERT INTO shelf VALUES (?, ?, ?, ?)", (retailer, version, day, body))
        self.change_tenant(retailer, shelf=version)

    def add_delta(self, retailer: int, day: int, body: bytes) -> None:
        """What a day's purchases add to the sums of everybody."""
        self.append("delta", ("retailer", "day", "body"), [(retailer, day, body)])

    def take_deltas(self, retailer: int, until: int) -> list[tuple[int, bytes]]:
        """Take out (day, body) of days up to ``until``, by day."""
        found = self.ask(
            "SELECT seq, day, body FROM delta WHERE retailer = ? AND day <= ? ORDER BY day, seq",
            (retailer, until),
        )
        if found:
            self.tell("DELETE FROM delta WHERE seq {among}", ([row[0] for row in found],))
        return [(row[1], bytes(row[2])) for row in found]

    def on_hand(self, retailer: int) -> list[tuple[int, int, int]]:
        """(product, units, hidden) of the products whose stock is told."""
        return [
            (row[0], row[1], row[2])
            for row in self.ask(
                "SELECT product, units, hidden FROM on_hand WHERE retailer = ? ORDER BY product", (retailer,)
            )
        ]

    def set_on_hand(self, retailer: int, rows: Sequence[tuple[int, int, int]]) -> None:
        """Write (product, units, hidden)."""
        self.tell_each(
            "INSERT INTO on_hand (retailer, product, units, hidden) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (retailer, product) DO UPDATE SET units = excluded.units, hidden = excluded.hidden",
            [(retailer, *row) for row in rows],
        )

    # ---- idempotency ----------------------------------------------------------------------------------------

    def claim(
        self, retailer: int, digest: str, request: str, day: int, now_ms: int
    ) -> tuple[str, int, bytes, int] | None:
        """Claim a key before the work: None when it is ours now, else (request, status, body, customer) of who has it.

        It is ours for ``LEASE_MS``; whoever has not answered by then was stopped in the midst of it, and the same request
        may claim it anew.
        """
        until = now_ms + LEASE_MS
        new = self.add_new(
            "claim", ("retailer", "digest", "request", "day", "status", "body", "until_ms"), "digest",
            [(retailer, digest, request, day, 0, b"", until)],
        )  # fmt: skip
        # Of several who come for it the first changes what the others look for.
        if new or self.tell(
            "UPDATE claim SET day = ?, until_ms = ? "
            "WHERE retailer = ? AND digest = ? AND request = ? AND status = 0 AND until_ms <= ?",
            (day, until, retailer, digest, request, now_ms),
        ):
            return None
        rows = self.ask(
            "SELECT request, status, body, customer FROM claim WHERE retailer = ? AND digest = ?",
            (retailer, digest),
        )
        if not rows:  # whoever held it gave it back meanwhile
            return self.claim(retailer, digest, request, day, now_ms)
        row = rows[0]
        return row[0], row[1], bytes(row[2]), row[3]

    def answer(
        self, retailer: int, digest: str, claimed_ms: int, status: int, body: bytes, customer: int
    ) -> None:
        """Keep what was answered under a key that was claimed then, and whom it tells of, -1 nobody.

        Nothing is kept when another claimed it since.
        """
        self.tell(
            "UPDATE claim SET status = ?, body = ?, customer = ? WHERE retailer = ? AND digest = ? AND until_ms = ?",
            (status, body, customer, retailer, digest, claimed_ms + LEASE_MS),
        )

    def release(self, retailer: int, digest: str, claimed_ms: int) -> None:
        """Give a key back that was claimed then: the work failed and may be tried again, but for what was decided."""
        ours = (retailer, digest, claimed_ms + LEASE_MS)
        held = "retailer = ? AND digest = ? AND until_ms = ?"
        self.tell(f"DELETE FROM claim WHERE {held} AND decision = ''", ours)  # noqa: S608
        self.tell(f"UPDATE claim SET until_ms = 0 WHERE {held}", ours)  # noqa: S608

    def drop_claim(self, retailer: int, digest: str) -> None:
        """A key may come again, whatever was answered under it."""
        self.tell("DELETE FROM claim WHERE retailer = ? AND digest = ?", (retailer, digest))

    def decided_under(self, retailer: int, digests: Sequence[str]) -> dict[str, str]:
        """Ids of the decisions that were made under these keys; nobody makes another until the end."""
        if not digests:
            return {}
        found = self.ask(
            f"SELECT digest, decision FROM claim WHERE retailer = ? AND digest {{among}} ORDER BY digest{self.FOR_CHANGE}",  # noqa: S608
            (retailer, sorted(set(digests))),
        )
        return {digest: decision for digest, decision in found if decision}

    def decide_under(self, retailer: int, rows: Sequence[tuple[str, int, str]]) -> None:
        """Note decisions under the keys under which they were asked for, as (id, customer, digest)."""
        self.tell_each(
            f"UPDATE claim SET decision = ?, customer = ? WHERE digest = ? AND retailer = {int(retailer)}",  # noqa: S608
            rows,
        )

    # ---- erasing -----------------------------------------------------------------------------------------------

    def erase(self, retailer: int, customers: Sequence[int], day: int) -> None:
        """Take every row of these customers out, and note that they were erased."""
        for table in OF_CUSTOMER:
            delete = f"DELETE FROM {table} WHERE retailer = ? AND customer {{among}}"  # noqa: S608
            self.tell(delete, (retailer, list(customers)))
        self.add_new(
            "erased",
            ("retailer", "customer", "day"),
            "customer",
            [(retailer, each, day) for each in customers],
        )


class Store(ABC):
    """A database with the tables of the live engine."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]:
        """All that is written in the block is durable when it is left, and gone when it is left by an error."""

    #: Whether the log is a file of ours, which :meth:`tidy` empties and a process that was killed leaves behind; a server
    #: recycles its own in its own time.
    OWN_LOG = False

    @abstractmethod
    def tidy(self) -> bool:
        """Wipe what deleted rows left behind in files and logs; False while somebody who reads keeps it from that.

        Raises
        ------
        StoreFailed
            when the database cannot do it.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""

    def migrate(self, words: dict[str, str]) -> None:
        """Run the steps that this store has not had yet; who opens it at the same time waits."""
        with self.transaction() as work:
            work.alone()
            work.tell("CREATE TABLE IF NOT EXISTS step (number INTEGER PRIMARY KEY)")
            done = {row[0] for row in work.ask("SELECT number FROM step")}
            if done and max(done) >= len(MIGRATIONS):
                raise RegularsError(
                    f"the store is of a newer version: it has step {max(done)}, this one knows {len(MIGRATIONS) - 1}. "
                    "Install the newer version"
                )
            for number, statements in enumerate(MIGRATIONS):
                if number in done:
                    continue
                work.tell("INSERT INTO step VALUES (?)", (number,))
                for statement in statements:
                    work.tell(statement.format(**words))
