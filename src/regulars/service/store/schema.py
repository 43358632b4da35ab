"""The tables of the store and how an older store becomes a newer one.

Everything that tells of a person is sealed with her own key (:mod:`regulars.service.seal`); what stands open are
numbers, days and digests under a secret of the store.
"""

from __future__ import annotations

#: Each step is run once. Never change one that was released: add the next.
#: {blob}, {serial} and {big} are the words of the database.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE tenant (
            retailer {big} PRIMARY KEY, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL, catalog {blob} NOT NULL,
            secret {blob} NOT NULL, closed_day {big} NOT NULL, common {big} NOT NULL, stock {big} NOT NULL,
            customers {big} NOT NULL)""",
        """CREATE TABLE spent (
            retailer {big} NOT NULL, day {big} NOT NULL, messages {big} NOT NULL, PRIMARY KEY (retailer, day))""",
        """CREATE TABLE api_key (
            digest TEXT PRIMARY KEY, retailer {big} NOT NULL, role TEXT NOT NULL, source TEXT NOT NULL)""",
        """CREATE TABLE customer (
            retailer {big} NOT NULL, customer {big} NOT NULL, into_customer {big} NOT NULL, consent {blob} NOT NULL,
            contact {blob} NOT NULL, known {blob} NOT NULL, profile {blob} NOT NULL,
            entries {big} NOT NULL, chain TEXT NOT NULL, version {big} NOT NULL, kept {big} NOT NULL,
            PRIMARY KEY (retailer, customer))""",
        """CREATE TABLE known_then (
            retailer {big} NOT NULL, customer {big} NOT NULL, version {big} NOT NULL, body {blob} NOT NULL,
            PRIMARY KEY (retailer, customer, version))""",
        """CREATE TABLE person_key (
            retailer {big} NOT NULL, customer {big} NOT NULL, key {blob} NOT NULL, PRIMARY KEY (retailer, customer))""",
        """CREATE TABLE alias (
            retailer {big} NOT NULL, digest TEXT NOT NULL, customer {big} NOT NULL, kind TEXT NOT NULL,
            PRIMARY KEY (retailer, digest))""",
        "CREATE INDEX alias_customer ON alias (retailer, customer)",
        """CREATE TABLE seen (
            retailer {big} NOT NULL, digest TEXT NOT NULL, day {big} NOT NULL, PRIMARY KEY (retailer, digest))""",
        "CREATE INDEX seen_day ON seen (retailer, day)",
        """CREATE TABLE inbox (
            seq {serial}, retailer {big} NOT NULL, source TEXT NOT NULL, received_ms {big} NOT NULL,
            wait {big} NOT NULL, body {blob} NOT NULL)""",
        """CREATE TABLE event (
            seq {serial}, retailer {big} NOT NULL, customer {big} NOT NULL, at_ms {big} NOT NULL, body {blob} NOT NULL)""",
        "CREATE INDEX event_customer ON event (retailer, customer, seq)",
        """CREATE TABLE decision (
            retailer {big} NOT NULL, id TEXT NOT NULL, customer {big} NOT NULL, day {big} NOT NULL,
            waits {big} NOT NULL, body {blob} NOT NULL, PRIMARY KEY (retailer, id))""",
        "CREATE INDEX decision_waits ON decision (retailer, waits, day)",
        "CREATE INDEX decision_day ON decision (retailer, day)",
        "CREATE INDEX decision_customer ON decision (retailer, customer)",
        """CREATE TABLE entry (
            retailer {big} NOT NULL, customer {big} NOT NULL, number {big} NOT NULL, body {blob} NOT NULL,
            PRIMARY KEY (retailer, customer, number))""",
        """CREATE TABLE common (
            retailer {big} NOT NULL, version {big} NOT NULL, day {big} NOT NULL, body {blob} NOT NULL,
            PRIMARY KEY (retailer, version))""",
        """CREATE TABLE delta (
            seq {serial}, retailer {big} NOT NULL, day {big} NOT NULL, body {blob} NOT NULL)""",
        """CREATE TABLE on_hand (
            retailer {big} NOT NULL, product {big} NOT NULL, units {big} NOT NULL, hidden {big} NOT NULL,
            PRIMARY KEY (retailer, product))""",
        """CREATE TABLE claim (
            retailer {big} NOT NULL, digest TEXT NOT NULL, request TEXT NOT NULL, day {big} NOT NULL,
            status {big} NOT NULL, body {blob} NOT NULL, PRIMARY KEY (retailer, digest))""",
        """CREATE TABLE household (
            retailer {big} NOT NULL, household TEXT NOT NULL, customer {big} NOT NULL,
            PRIMARY KEY (retailer, household, customer))""",
        """CREATE TABLE merge (
            retailer {big} NOT NULL, customer {big} NOT NULL, into_customer {big} NOT NULL, at_ms {big} NOT NULL,
            undone {big} NOT NULL, before {blob} NOT NULL, PRIMARY KEY (retailer, customer, at_ms))""",
        """CREATE TABLE erased (
            retailer {big} NOT NULL, customer {big} NOT NULL, day {big} NOT NULL, PRIMARY KEY (retailer, customer))""",
    ),
    (
        # Of the answers that were kept until now nobody knows whom they tell of.
        "DELETE FROM claim WHERE status <> 0",
        "ALTER TABLE claim ADD COLUMN customer {big} NOT NULL DEFAULT -1",
        "CREATE INDEX claim_customer ON claim (retailer, customer)",
    ),
    (
        "ALTER TABLE tenant ADD COLUMN shelf {big} NOT NULL DEFAULT 0",
        """CREATE TABLE shelf (
            retailer {big} NOT NULL, version {big} NOT NULL, day {big} NOT NULL, body {blob} NOT NULL,
            PRIMARY KEY (retailer, version))""",
    ),
    (
        # Of what was begun before nobody knows whether somebody is at it still.
        "ALTER TABLE claim ADD COLUMN until_ms {big} NOT NULL DEFAULT 0",
        "ALTER TABLE claim ADD COLUMN decision TEXT NOT NULL DEFAULT ''",
    ),
    (
        # PostgreSQL takes an index that begins with the retailer for names too, as long as it knows nothing of the rows.
        "DROP INDEX alias_customer",
        "CREATE INDEX alias_customer ON alias (customer, retailer)",
    ),
    (
        # Every day is found by whether its contacts wait.
        "DROP INDEX decision_day",
    ),
)

#: Tables with a column ``customer`` from which an erased customer disappears, in this order: an answer is kept with its
#: decision locked, so that it is not kept behind an erasure's back.
OF_CUSTOMER = (
    "customer",
    "known_then",
    "person_key",
    "alias",
    "event",
    "decision",
    "entry",
    "household",
    "merge",
    "claim",
)

#: Every table with a column ``retailer``, from which a retailer disappears.
OF_RETAILER = (
    "tenant",
    "spent",
    "api_key",
    "seen",
    "inbox",
    "common",
    "delta",
    "on_hand",
    "shelf",
    "erased",
    *OF_CUSTOMER,
)
