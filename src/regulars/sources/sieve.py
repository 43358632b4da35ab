"""Rows that can be used and rows that cannot: which column is which, what is wrong first with a row, and the list of it."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.errors import SettingError, UnknownColumn
from regulars.sources.delimited import RawTable
from regulars.sources.values import amounts

#: Refuses to choose among several headers of one column: the file, those headers, and every header by its plain form.
Doubt = Callable[[str, list[str], Mapping[str, str]], None]


class Sieve:
    """What is wrong first with each row; a row with which nothing is wrong is kept."""

    def __init__(self, raw: RawTable, header: Mapping[str, str]) -> None:
        self._raw = raw
        self._header = header
        self._problems: list[tuple[str, str | None, str]] = []
        self._problem: NDArray[np.int16] = np.full(raw.cells.height, -1, np.int16)

    @property
    def good(self) -> pl.Series:
        """(rows,) bool, where nothing is wrong."""
        return pl.Series(self._problem < 0)

    def add(self, wrong: pl.Series, kind: str, target: str | None, mend: str) -> None:
        """Rows that are wrong so, unless something else was wrong with them before."""
        hit = wrong.fill_null(False).to_numpy() & (self._problem < 0)
        self._problem[hit] = len(self._problems)
        self._problems.append((kind, target, mend))

    def add_repeats(self) -> None:
        """Rows that are equal to an earlier one in every column."""
        good = self._problem < 0
        kept = self._raw.cells.filter(pl.Series(good))
        repeated = np.zeros(len(good), bool)
        repeated[good] = ~kept.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
        mend = "Drop the repeat, or number the rows in a column if both are real"
        self.add(pl.Series(repeated), "duplicate line", None, mend)

    def rejected(self) -> pl.DataFrame:
        """What is wrong, a row each: file, line, kind, field, value, mend."""
        raw, frames = self._raw, [explain_torn(self._raw)]
        for number, (kind, target, mend) in enumerate(self._problems):
            hit = pl.Series(self._problem == number)
            if not hit.any():
                continue
            field = None if target is None else self._header.get(target, target)
            value = pl.lit("")
            if field is not None and field in raw.cells.columns:
                value = pl.lit(raw.cells[field].filter(hit)).cast(pl.String)
            frames.append(rejects_of(raw.file, raw.line.filter(hit), kind, field, value, mend))
        return pl.concat(frames).sort("line")


REJECTS = pl.Schema(
    {
        "file": pl.String(),
        "line": pl.UInt32(),
        "kind": pl.String(),
        "field": pl.String(),
        "value": pl.String(),
        "mend": pl.String(),
    }
)
_TORN_MENDS = {
    "blank row": "Drop the row",
    "bad encoding": "Save the file as UTF-8, or name its encoding with --encoding",
    "unclosed quote": "Close the quote; a field cannot hold a line break",
    "wrong number of fields": "Give the row as many fields as the header has",
}


def rejects_of(
    file: str, line: pl.Series, kind: str, field: str | None, value: pl.Expr, mend: str
) -> pl.DataFrame:
    """Rows of the list of what was left out, all for one reason."""
    return line.to_frame("line").select(
        pl.lit(file).alias("file"),
        pl.col("line").cast(pl.UInt32),
        pl.lit(kind).alias("kind"),
        pl.lit(field, dtype=pl.String).alias("field"),
        value.fill_null("").str.head(200).alias("value"),
        pl.lit(mend).alias("mend"),
    )


def explain_torn(raw: RawTable) -> pl.DataFrame:
    """The rows that could not be read at all."""
    return raw.torn.select(
        pl.lit(raw.file).alias("file"),
        "line",
        "kind",
        "field",
        "value",
        pl.col("kind").replace_strict(_TORN_MENDS, return_dtype=pl.String).alias("mend"),
    ).cast(REJECTS)


def mapped(
    raw: RawTable,
    columns: Mapping[str, str],
    known: Mapping[str, tuple[str, ...]],
    needed: tuple[str, ...],
    *,
    prefix: str = "",
    doubt: Mapping[str, Doubt] | None = None,
) -> dict[str, str]:
    """What we call each column to what the file calls it.

    Parameters
    ----------
    columns : what the user maps
    known : the headers that say what they mean
    needed : without these there is nothing to read
    prefix : before the name of a column on the command line, where several files are read
    doubt : for some columns, who refuses to choose among several headers: file, headers, all headers plainly
    """
    file_columns = {name.casefold(): name for name in raw.cells.columns}
    header: dict[str, str] = {}
    for target, column in columns.items():
        if target not in known:
            hint = (
                f"Did you mean {prefix}{column}={target}?"
                if column in known
                else f"Choose among {', '.join(known)}"
            )
            raise SettingError(
                f"--columns {prefix}{target}={column}: {target!r} is nothing that we ask for. {hint}"
            )
        if column.casefold() not in file_columns:
            mend = f"Name one of them in --columns {prefix}{target}=COLUMN"
            raise UnknownColumn(column, raw.file, raw.cells.columns, mend)
        found = file_columns[column.casefold()]
        twice = [other for other, taken in header.items() if taken == found]
        if twice:
            raise SettingError(
                f"--columns gives {found!r} to both {twice[0]} and {target}. Give it to one of them"
            )
        header[target] = found
    plain = {plainly(name): name for name in reversed(raw.cells.columns)}
    for target, words in known.items():
        free = [plain[word] for word in words if word in plain and plain[word] not in header.values()]
        if target not in header and free:
            if doubt and target in doubt:
                doubt[target](raw.file, free, plain)
            header[target] = free[0]
    for target in needed:
        if target not in header:
            raise UnknownColumn(target, raw.file, raw.cells.columns, mend_of(target, raw, header, prefix))
    return header


def told_columns(file: str, header: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """Which column is taken for what, and which were guessed, as a sentence."""
    told = [
        f"{target}={column}" + ("" if target in columns or plainly(column) == target else " (guessed)")
        for target, column in header.items()
    ]
    return f"Columns of {file}: {', '.join(told)}"


def plainly(name: str) -> str:
    """A header in small letters and digits, with _ between its words."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")


def mend_of(target: str, raw: RawTable, header: Mapping[str, str], prefix: str = "") -> str:
    """How to say which column is meant."""
    free = [name for name in raw.cells.columns if name not in header.values()]
    return f"Map it with --columns {prefix}{target}={free[0] if len(free) == 1 else 'COLUMN'}"


def amount_of(
    raw: RawTable,
    header: Mapping[str, str],
    sieve: Sieve,
    target: str,
    needed: bool,
    decimal: str | None,
) -> pl.Series:
    """A column of amounts, null where there is none; what is wrong goes to the sieve."""
    if target not in header:
        return pl.Series(target, [None], dtype=pl.Float64).new_from_index(0, raw.cells.height)
    column = header[target]
    value, kind = amounts(raw.cells[column], raw.file, column, decimal, doubtful=raw.delimiter == ";")
    if needed:
        sieve.add(kind == "missing", f"missing {target}", target, "Fill it in")
    sieve.add(kind == "not a number", "not a number", target, "Write a number such as 3.99")
    sieve.add(kind == "not finite", "not finite", target, "Write a number such as 3.99")
    return value
