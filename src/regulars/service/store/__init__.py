"""Where the live engine keeps everything: SQLite in one file, or PostgreSQL, by URL; the same calls on both.

A :class:`Store` hands out transactions. What a transaction wrote is durable when its block is left, or gone.
"""

from __future__ import annotations

from regulars.errors import SettingError
from regulars.service.store.sql import Store, Transaction
from regulars.service.store.sqlite import SqliteStore

__all__ = ["Store", "Transaction", "open_store", "shown"]


def open_store(url: str) -> Store:
    """The store behind a URL, with its tables brought up to date.

    Parameters
    ----------
    url : ``sqlite:///path/to/file.db`` or ``postgresql://user@host/database``

    Raises
    ------
    SettingError
        when the URL names neither, or the database cannot be opened.
    """
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from regulars.service.store.postgres import PostgresStore

        return PostgresStore(url)
    raise SettingError(
        f"{shown(url)!r} names no store. Write sqlite:///path/to/file.db or postgresql://user@host/database"
    )


def shown(url: str) -> str:
    """A URL as it may be printed: of a server without what may hold a password.

    Examples
    --------
    >>> shown("postgresql://ann:se@cret@db.example/shop?sslmode=require")
    'postgresql://.../shop'
    >>> shown("sqlite:///runs/store.db")
    'sqlite:///runs/store.db'
    """
    scheme, there, rest = url.partition("://")
    if not there or scheme == "sqlite":
        return url
    return f"{scheme}://.../{rest.partition('?')[0].rpartition('/')[2].rpartition('@')[2]}"
