"""The store in one SQLite file: write-ahead log, every commit on disk, deleted bytes overwritten."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from regulars.errors import SettingError
from regulars.service.store.sql import StatementFailed, Store, StoreFailed, Transaction

try:
    import fcntl
except ImportError:  # on Windows SQLite's own waiting has to do
    fcntl = None  # type: ignore[assignment]

#: The log is copied into the file when about so many pages are in it, or its file grew by as much, which is looked at
#: every so many transactions. More at a time makes whoever commits meanwhile wait longer for the disk.
LOG_PAGES, PAGE, LOOK = 1024, 4096, 16

_AMONG = "IN (SELECT value FROM json_each(?))"
#: How long a writer waits for another process.
WAIT_MS = 30_000
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
    return [msgspec.json.encode(value).decode() if isinstance(value, list) else value for value in values]


def _unopened(path: str, error: Exception) -> SettingError:
    return SettingError(
        f"{path} cannot be opened as a store: {error}. Give a file in a folder that you may write to"
    )


class SqliteStore(Store):
    """One file; one writer at a time, in this process and among processes."""

    OWN_LOG = True

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._since, self._every = 0, LOOK  # transactions since the log was copied, and until it is
        self._grown = 0  # how large its file was then
        turn = Path(f"{path}-turn")
        new = not turn.exists()
        try:
            self._door = turn.open("wb")
        except OSError as error:
            raise _unopened(path, error) from error
        try:
            self._open()
        except BaseException:
            self._door.close()
            if new:
                turn.unlink(missing_ok=True)
            raise

    def _open(self) -> None:
        try:
            self._at = sqlite3.connect(
                self.path, timeout=WAIT_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
            )  # fmt: skip
            with self._turn():  # SQLite does not wait for others who set up the log of an empty file
                for pragma in (
                    "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY",
                    "foreign_keys = ON", "cache_size = -65536", "wal_autocheckpoint = 0",
                ):  # fmt: skip
                    self._at.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise _unopened(str(self.path), error) from error
        self._full = threading.Event()
        self._closed = False
        self._copier = threading.Thread(target=self._copy, name="regulars-checkpoint", daemon=True)
        self._copier.start()
        try:
            self.migrate(_WORDS)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer at a time. SQLite lets others try again later; here who waits is woken."""
        with self._lock:
            if fcntl is not None:
                fcntl.flock(self._door, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if fcntl is not None:
                    fcntl.flock(self._door, fcntl.LOCK_UN)

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """See :class:`Store`."""
        with self._turn():
            try:
                self._at.execute("BEGIN IMMEDIATE")
                try:
                    yield SqliteTransaction(self._at)
                except BaseException:
                    self._at.execute("ROLLBACK")
                    raise
                self._at.execute("COMMIT")
                self._since += 1
                if self._since >= self._every or (
                    self._since % LOOK == 0 and self._log_bytes() > self._grown + LOG_PAGES * PAGE
                ):
                    self._full.set()
            except sqlite3.Error as error:
                if self._at.in_transaction:
                    self._at.execute("ROLLBACK")
                told = isinstance(
                    error, sqlite3.IntegrityError | sqlite3.DataError | sqlite3.ProgrammingError
                )
                kind = StatementFailed if told else StoreFailed
                raise kind(f"the store {self.path} failed: {error}. Nothing was written") from error

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0

    def _copy(self) -> None:
        """Copy the log into the file beside those who write, so that none of them waits for it."""
        at = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            while self._full.wait() and not self._closed:
                with suppress(sqlite3.Error):  # it is tried again when more was written
                    at.execute("PRAGMA synchronous = FULL")
                    _, most, _ = at.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    # The little that was written meanwhile; then the log starts anew, in the same file.
                    with self._turn():
                        _, pages, _ = at.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    filled = max(most, pages, 1)
                    self._every = min(max(self._since * LOG_PAGES // filled, LOOK), 8 * self._every)
                    self._since, self._grown = 0, self._log_bytes()
                self._full.clear()
                if self._closed:  # which was said before it was cleared
                    return
        finally:
            at.close()

    def tidy(self) -> bool:
        """Empty the write-ahead log into the file, where deleted bytes are overwritten; see :class:`Store`."""
        with self._turn():
            try:
                # Whoever asks meanwhile does not wait for somebody who reads.
                self._at.execute("PRAGMA busy_timeout = 0")
                try:
                    busy = self._at.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                finally:
                    self._at.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
            except sqlite3.Error as error:
                raise StoreFailed(f"the log of the store {self.path} cannot be emptied: {error}") from error
        return not busy

    def close(self) -> None:
        """See :class:`Store`."""
        self._closed = True
        self._full.set()
        self._copier.join()
        if self._door.closed:  # it was closed before
            return
        with self._turn():  # the last one to go takes the log away
            self._at.close()
        self._door.close()
