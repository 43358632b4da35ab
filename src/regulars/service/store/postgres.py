"""The store on PostgreSQL through psycopg: many workers, rows locked in the order of their numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from regulars.errors import MissingExtra, SettingError
from regulars.service.store.schema import OF_CUSTOMER
from regulars.service.store.sql import StatementFailed, Store, StoreFailed, Transaction

try:
    import psycopg
    import psycopg_pool
    from psycopg.errors import DeadlockDetected, SerializationFailure
except ImportError as error:
    raise MissingExtra("postgres", "A store on PostgreSQL") from error

_WORDS = {"blob": "BYTEA", "big": "BIGINT", "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}
#: The number of the lock under which tables are changed.
_MIGRATING = 0x5245_4755_4C41_5253
#: Connections kept open.
POOL = 4
#: How long it is tried to open the first of them.
OPENING_S = 10.0


def _asked(text: str) -> str:
    return text.replace("?", "%s").replace("{among}", "= ANY(%s)")


class PostgresTransaction(Transaction):
    """A transaction on one connection of the pool."""

    FOR_CHANGE = " FOR UPDATE"
    FOR_READ = " FOR SHARE"

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._at = connection

    def ask(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See :class:`Transaction`."""
        return self._at.execute(_asked(text), values).fetchall()

    def tell(self, text: str, values: Sequence[Any] = ()) -> int:
        """See :class:`Transaction`."""
        return self._at.execute(_asked(text), values).rowcount

    def tell_each(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """See :class:`Transaction`."""
        if rows:
            self._at.cursor().executemany(_asked(text), rows)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """See :class:`Transaction`."""
        if len(rows) < 8:
            marks = ", ".join("?" * len(columns))
            self.tell_each(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608
            return
        with self._at.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def add_new(
        self, table: str, columns: Sequence[str], key: str, rows: Sequence[Sequence[Any]]
    ) -> set[Any]:
        """See :class:`Transaction`."""
        if not rows:
            return set()
        # In the order of the key, so that two who add the same rows wait for each other and do not deadlock.
        place = list(columns).index(key)
        ordered = sorted(rows, key=lambda row: row[place])
        types = [_array_of(ordered[0][k]) for k in range(len(columns))]
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        found = self._at.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) "  # noqa: S608
            f"ON CONFLICT DO NOTHING RETURNING {key}",
            [[row[k] for row in ordered] for k in range(len(columns))],
        )
        return {row[0] for row in found}

    def alone(self) -> None:
        """See :class:`Transaction`."""
        self._at.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))


@contextmanager
def _once_told(pool: str) -> Iterator[None]:
    """A pool logs each attempt in vain; what it comes to is told once, at the end. Other pools are heard."""
    log = logging.getLogger("psycopg.pool")

    def others(record: logging.LogRecord) -> bool:
        return not isinstance(record.args, tuple) or pool not in record.args

    log.addFilter(others)
    try:
        yield
    finally:
        log.removeFilter(others)


def _why_not(url: str) -> str:
    """What the server, or whoever is there instead, says to somebody who knocks."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error as error:
        return f": {' '.join(str(error).split())[:300].rstrip(' .?')}"
    return ""


def _array_of(value: Any) -> str:
    return {int: "bigint", str: "text", bytes: "bytea"}[type(value)]


class PostgresStore(Store):
    """A database on a server."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            # Which part is wrong is not told: it may be the password.
            raise SettingError(
                "the URL of the PostgreSQL store cannot be read. Write postgresql://user@host/database"
            ) from error
        self._pool: psycopg_pool.ConnectionPool[Any] = psycopg_pool.ConnectionPool(
            url, min_size=1, max_size=POOL, open=False, timeout=30.0, kwargs={"prepare_threshold": 2}
        )
        try:
            with _once_told(self._pool.name):
                self._pool.open(wait=False)
                try:
                    self._pool.wait(timeout=OPENING_S)
                except psycopg_pool.PoolTimeout:
                    self._pool.close()
                    raise
        except psycopg_pool.PoolTimeout as error:
            raise SettingError(
                f"the PostgreSQL server of the store cannot be reached{_why_not(url)}. "
                "Check the URL and whether it runs"
            ) from error
        try:
            self.migrate(_WORDS)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """See :class:`Store`."""
        try:
            with self._pool.connection() as connection:
                yield PostgresTransaction(connection)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            raise StatementFailed(f"the store failed: {error}. Nothing was written") from error
        except psycopg.Error as error:
            failed = StoreFailed(f"the store failed: {error}")
            failed.in_turn = isinstance(error, (DeadlockDetected, SerializationFailure))
            raise failed from error

    def tidy(self) -> bool:
        """Wipe dead rows; see :class:`Store`."""
        try:
            with self._pool.connection() as connection:
                connection.autocommit = True
                try:
                    connection.execute(f"VACUUM {', '.join((*OF_CUSTOMER, 'inbox'))}")
                finally:
                    connection.autocommit = False
        except psycopg.Error as error:
            raise StoreFailed(f"dead rows of the store cannot be wiped: {error}") from error
        return True

    def close(self) -> None:
        """See :class:`Store`."""
        self._pool.close()
