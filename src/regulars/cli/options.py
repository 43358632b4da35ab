"""What commands have in common: options that several take, and checks of what they are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from regulars.errors import SettingError

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns", help="Which column of the file is which: date=Day, card=Kunde, net=Amount, sku=..."
    ),
]
Products = Annotated[
    Path | None, typer.Option("--products", help="A table of your products: sku, category, brand ...")
]
DateFormat = Annotated[
    str | None, typer.Option("--date-format", help="How dates are written: DD/MM/YYYY, MM/DD/YYYY ...")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Of your file, such as latin-1; default UTF-8 or UTF-16.")
]
Currency = Annotated[
    str | None, typer.Option("--currency", help="Of your amounts, such as EUR; default USD.")
]
Decimal = Annotated[
    str | None,
    typer.Option("--decimal", help="The sign before the decimals of your amounts, a comma or a point."),
]


@contextmanager
def stopping(said: str) -> Iterator[None]:
    """Say this after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise typer.Abort(said) from stop


def check_page(out: Path, *read: str | Path | None) -> None:
    """Refuse to write a page over what it is made from."""
    _check_folder(out)
    if out.exists() and any(source and Path(source).exists() and out.samefile(source) for source in read):
        raise SettingError(f"--out {out} is the file that is read; it would be lost. Name another")


def _check_folder(out: Path) -> None:
    """Refuse a file in a folder that is not there; runs/ is made."""
    if out.parent == Path("runs"):
        folder_at(out.parent)
    if out.is_dir():
        raise SettingError(f"--out {out} is a folder. Name a file in it")
    if not out.parent.is_dir():
        raise SettingError(f"--out {out}: there is no folder {out.parent}. Make it, or name another file")


def folder_at(path: Path) -> Path:
    """A folder, made when it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot make the folder {path}: {error.strerror}. Name another with --out"
        ) from error
    return path


def pairs(texts: list[str] | None, option: str, example: str = "date=Day") -> dict[str, str]:
    """``["a=b,c=d"]`` to a dict; a text may hold several pairs with commas between them."""
    pairs: dict[str, str] = {}
    for text in texts or []:
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals or not name.strip() or not value.strip():
                raise SettingError(f"{option} {part!r} is not of the form name=value, such as {example}")
            pairs[name.strip()] = value.strip()
    return pairs


def counted(count: int, one: str, many: str) -> str:
    """A count with its word."""
    return f"{count:,} {one if count == 1 else many}"
