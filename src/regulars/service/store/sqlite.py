"""The store in one SQLite file: write-ahead log, every commit on disk, deleted bytes overwritten."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from regulars.errors import RegularsError, SettingError
from regulars.service.store.sql import Store, StoreFailed, Transaction

_AMONG = "IN (SELECT value FROM json_each(?))"
_WORDS = {"blob": "BLOB", "big": "INTEGER", "serial": "INTEGER PRIMARY KEY AUTOINCREMENT"}


class SqliteTransaction(Transaction):
    """A transaction that holds the one writer's place."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._at = connection

    def ask(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See :class:`Transaction`."""
        return self._at.execute(text.replace("{among}", _AMONG), _listed(values)).fetchall()

    def tell(self, text: str, values: Sequence[Any] = ()) -> int:
        """See :class:`Transaction`."""
        return self._at.execute(text.replace("{among}", _AMONG), _listed(values)).rowcount

    def tell_each(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """See :class:`Transaction`."""
        self._at.executemany(text, rows)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """See :class:`Transaction`."""
        marks = ", ".join("?" * len(columns))
        self._at.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608

    def add_new(
        self, table: str, columns: Sequence[str], key: str, rows: Sequence[Sequence[Any]]
    ) -> set[Any]:
        """See :class:`Transaction`."""
        new: set[Any] = set()
        marks, place = ", ".join("?" * len(columns)), list(columns).index(key)
        text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
        for row in rows:
            if self._at.execute(text, row).rowcount > 0:
                new.add(row[place])
        return new

    def alone(self) -> None:
        """See :class:`Transaction`; it is alone already."""


def _listed(values: Sequence[Any]) -> list[Any]:
    return [json.dumps(value) if isinstance(value, list) else value for value in values]


class SqliteStore(Store):
    """One file; one writer at a time, in this process and among processes."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self._at = sqlite3.connect(
                self.path, timeout=30.0, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            for pragma in (
                "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY",
                "foreign_keys = ON", "cache_size = -65536", "wal_autocheckpoint = 4000",
            ):  # fmt: skip
                self._at.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise SettingError(
                f"{path} cannot be opened as a store: {error}. Give a file in a folder that you may write to"
            ) from error
        try:
            self.migrate(_WORDS)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """See :class:`Store`."""
        with self._lock:
            try:
                self._at.execute("BEGIN IMMEDIATE")
                try:
                    yield SqliteTransaction(self._at)
                except BaseException:
                    self._at.execute("ROLLBACK")
                    raise
                self._at.execute("COMMIT")
            except sqlite3.Error as error:
                if self._at.in_transaction:
                    self._at.execute("ROLLBACK")
                raise StoreFailed(f"the store {self.path} failed: {error}. Nothing was written") from error

    def tidy(self) -> None:
        """Empty the write-ahead log into the file, where deleted bytes are overwritten."""
        with self._lock:
            busy = self._at.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy and busy[0]:
            raise RegularsError(
                f"somebody is reading {self.path}, so its log cannot be emptied yet. Try again in a moment"
            )

    def close(self) -> None:
        """See :class:`Store`."""
        self._at.close()
