"""What Regulars says when it cannot go on: what was wrong, with the value, and the mend."""

from collections.abc import Iterable
from os import PathLike


class RegularsError(Exception):
    """Anything Regulars refuses to do; catch this one to catch them all.

    The text is a whole sentence for the person at the keyboard: what was wrong, with the value, and the mend.
    """


class ShapeError(RegularsError, ValueError):
    """Arrays whose shapes, lengths or dtypes do not fit together."""


class SettingError(RegularsError, ValueError):
    """A setting, in a file, on the command line or in a call, that cannot be used."""


class ConsentError(RegularsError):
    """A change of consent that names no customer, no scope or no purpose."""


class UnknownColumn(RegularsError, LookupError):
    """A table lacks a column that was asked for.

    Parameters
    ----------
    column : the name that is missing
    file : the table's file or name
    columns : the names that are there
    mend : what to do about it, a sentence; may be empty

    Examples
    --------
    >>> print(UnknownColumn("amount", "sales.csv", ["date", "net"], "Map it with --columns amount=net"))
    'amount' is not in sales.csv; it has date, net. Map it with --columns amount=net
    """

    def __init__(
        self, column: str, file: str | PathLike[str], columns: Iterable[str], mend: str = ""
    ) -> None:
        self.column = column
        self.file = str(file)
        self.columns = tuple(columns)
        self.mend = mend
        super().__init__(column, file, self.columns, mend)

    def __str__(self) -> str:
        has = ", ".join(self.columns) or "no columns"
        return f"{self.column!r} is not in {self.file}; it has {has}. {self.mend}".rstrip()


class BadInput(RegularsError, ValueError):
    """A value in somebody's data that cannot be used.

    Parameters
    ----------
    file : where it was read
    line : which line of a text file, whose header is line 1, or which row of Parquet, as in the list of rejects;
        None when the whole file is meant
    field : which column or field; None when the whole line is meant
    value : what stood there; without line and field, in words what the file is
    mend : what would be right, a sentence

    Examples
    --------
    >>> print(BadInput("sales.csv", 7, "date", "31.2.2017", "Write dates as YYYY-MM-DD"))
    sales.csv, line 7, date: '31.2.2017' cannot be used. Write dates as YYYY-MM-DD
    >>> print(BadInput("sales.csv", None, None, "an empty file", "Export it anew"))
    sales.csv: an empty file. Export it anew
    """

    def __init__(
        self, file: str | PathLike[str], line: int | None, field: str | None, value: object, mend: str
    ) -> None:
        self.file = str(file)
        self.line = line
        self.field = field
        self.value = value
        self.mend = mend
        super().__init__(file, line, field, value, mend)

    def __str__(self) -> str:
        if self.line is None and self.field is None and isinstance(self.value, str):
            return f"{self.file}: {self.value}. {self.mend}"
        line = None if self.line is None else f"line {self.line}"
        place = ", ".join(part for part in (self.file, line, self.field) if part is not None)
        return f"{place}: {self.value!r} cannot be used. {self.mend}"


class MissingExtra(RegularsError, ImportError):
    """A feature whose optional packages are not installed.

    Parameters
    ----------
    extra : the extra that brings them, as in ``pip install 'regulars[journey]'``
    needed_for : what could not be done, as the subject of a sentence

    Examples
    --------
    >>> print(MissingExtra("ray", "Running on several machines"))
    Running on several machines needs the extra 'ray'. Install it with: pip install 'regulars[ray]'
    """

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        self.needed_for = needed_for
        # Positional, so that the error survives pickling between worker processes.
        super().__init__(extra, needed_for)

    def __str__(self) -> str:
        return (
            f"{self.needed_for} needs the extra {self.extra!r}. "
            f"Install it with: pip install 'regulars[{self.extra}]'"
        )
