"""Which store and which of its retailers a command means."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from regulars.errors import SettingError

#: Characters of a retailer's name.
LONGEST_NAME = 100
OWN_STORE, DEMO_STORE = "sqlite:///runs/store.db", "sqlite:///runs/demo.db"
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="sqlite:///path/to/file.db or postgresql://user@host/database; else runs/store.db, where import puts it, "
        "or the demo's runs/demo.db when that is all there is.",
    ),
]
Retailer = Annotated[
    str | None, typer.Option("--retailer", help="Which retailer of the store; default the only one.")
]


@contextmanager
def one_retailer(given: str | None, retailer: str | None) -> Iterator[Any]:
    """A store, and number and name of one of its retailers."""
    check_name(retailer)
    store = store_url(given)
    with serving_extra():
        from regulars.service.store import open_store, shown
    file = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not file.is_file():
        raise SettingError(
            f"there is no store {file}. `regulars serve --demo` or `regulars import` makes one"
        )
    opened = open_store(store)
    try:
        with opened.transaction() as work:
            unready = work.unready()
            named = {name: number for number, name in work.tenants() if name not in unready}
        if retailer and retailer not in named:
            raise SettingError(f"the store has no retailer {retailer!r}; it has {', '.join(named) or 'none'}")
        if not named:
            raise SettingError(f"the store {shown(store)} has no retailer yet. `regulars import` sets one up")
        if not retailer and len(named) != 1:
            raise SettingError(
                f"the store has {len(named)} retailers; name one with --retailer: {', '.join(named)}"
            )
        name = retailer or next(iter(named))
        yield opened, named[name], name
    finally:
        opened.close()


@contextmanager
def live_engine(given: str | None, retailer: str | None) -> Iterator[Any]:
    """The engine of a store and one of its retailers."""
    with one_retailer(given, retailer) as (store, number, _):
        from regulars.service.engine import Engine

        engine = Engine(store)
        try:
            yield engine, engine.shops[number]
        finally:
            engine.close()


def check_name(retailer: str | None) -> None:
    """Refuse a name that is none, or that nobody could read or write again."""
    if retailer is not None and not retailer.strip():
        raise SettingError(f"--retailer {retailer!r} names nobody. Give the name of a retailer")
    if retailer is not None and not (retailer.isprintable() and len(retailer) <= LONGEST_NAME):
        raise SettingError(
            f"--retailer {retailer[:LONGEST_NAME]!r} is no name. Give at most {LONGEST_NAME} characters in one line"
        )


def store_url(given: str | None) -> str:
    """The store that is meant; which one is told when nobody named it."""
    if given is not None:
        return given
    there = [url for url in (OWN_STORE, DEMO_STORE) if Path(url.removeprefix("sqlite:///")).exists()]
    found = there[0] if there else OWN_STORE
    print(f"Store: {found}", file=sys.stderr)
    return found


@contextmanager
def serving_extra() -> Iterator[None]:
    """Say which extra is missing when what is imported within is not there."""
    from regulars.errors import MissingExtra

    try:
        yield
    except MissingExtra:
        raise
    except ImportError as error:
        raise MissingExtra("serve", "The live engine") from error
