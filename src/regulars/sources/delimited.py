"""A table as it lies in its file: cells as written, the line of each, and the rows too torn to read."""

import codecs
import csv
import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from regulars.errors import BadInput, RegularsError, SettingError

LARGEST_BYTES = 2 << 30
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")

TORN_SCHEMA = pl.Schema(
    {"line": pl.UInt32(), "kind": pl.String(), "field": pl.String(), "value": pl.String()}
)


@dataclass(frozen=True)
class RawTable:
    """What stands in a file, before anybody asked what it means.

    Attributes
    ----------
    file : its name, for messages
    cells : one column a column of the file; strings from text, the file's own types from Parquet
    line : (rows,) u32, where each row stands: the line of a text file, whose header is line 1, or the row of
        a Parquet file, counted from 1
    torn : line, kind, field, value of the rows that cannot be read at all
    delimiter : what separates the columns of a text file; empty for Parquet
    """

    file: str
    cells: pl.DataFrame
    line: pl.Series
    torn: pl.DataFrame
    delimiter: str

    @property
    def rows(self) -> int:
        """How many rows the file has below its header, torn ones included."""
        return self.cells.height + self.torn.height


def read_raw(path: str | os.PathLike[str], encoding: str | None = None) -> RawTable:
    """Read a CSV (comma, semicolon, tab or bar; UTF-8 or UTF-16) or Parquet file.

    A field in quotes may hold delimiters but not line breaks. ``encoding`` is that of another text file, such as
    "latin-1".

    Raises
    ------
    SettingError
        when there is no such encoding.
    BadInput
        when the file as a whole cannot be used: not there, a folder, empty, no text, no rows, a header that
        names a column twice, more than 2 GiB of text.
    """
    source = Path(path)
    if encoding is not None:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)
        except LookupError as error:
            raise SettingError(
                f"there is no encoding {encoding!r}. Name one such as latin-1 or cp1252"
            ) from error
    suffix = source.suffix.lower()
    if source.is_dir():
        raise BadInput(source, None, None, "a folder", "Name one CSV or Parquet file")
    if not source.exists():
        raise BadInput(source, None, None, "no such file", "Check the path")
    if suffix not in TEXT_SUFFIXES + PARQUET_SUFFIXES:
        known = ", ".join(TEXT_SUFFIXES + PARQUET_SUFFIXES)
        raise BadInput(
            source,
            None,
            None,
            f"a file ending in {suffix}" if suffix else "a file without an ending",
            f"Save the table as one of {known}",
        )
    if source.stat().st_size == 0:
        raise BadInput(source, None, None, "an empty file", "Export the table anew, with its header")
    return _read_parquet(source) if suffix in PARQUET_SUFFIXES else _read_text(source, encoding)


def _read_parquet(source: Path) -> RawTable:
    try:
        cells = pl.read_parquet(source)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(source, None, None, reason, "It is not Parquet, or torn. Export it anew") from error
    _check_header(source, cells.columns)
    if not cells.height:
        raise BadInput(source, None, None, "no rows", "Export the table anew, with its rows")
    # Lists, bytes and spans of time mean nothing that a purchase line has.
    alien = [
        name for name, dtype in cells.schema.items() if dtype.is_nested() or dtype in (pl.Binary, pl.Duration)
    ]
    cells = cells.drop(alien)
    line = pl.int_range(1, cells.height + 1, dtype=pl.UInt32, eager=True)
    blank = cells.select(pl.all_horizontal(pl.all().is_null())).to_series()
    torn = _torn(line.filter(blank), "blank row")
    return RawTable(source.name, cells.filter(~blank), line.filter(~blank), torn, "")


def _read_text(source: Path, encoding: str | None) -> RawTable:
    lines = pl.Series("text", [_text(source, encoding)]).str.split("\n").explode().str.strip_suffix("\r")
    if lines.len() and lines[-1] == "":
        lines = lines.head(lines.len() - 1)
    header_text = str(lines[0]) if lines.len() else ""
    if not header_text.strip():
        raise BadInput(source, None, None, "an empty first line", "Put the names of the columns on line 1")
    delimiter = _delimiter(source, header_text)
    header = [name.strip() for name in _fields(header_text, delimiter) or [header_text]]
    _check_header(source, header)
    lines = lines.slice(1)
    if not lines.len():
        raise BadInput(source, None, None, "a header and no rows", "Export the table anew, with its rows")
    frame = pl.DataFrame(
        {"line": pl.int_range(2, lines.len() + 2, dtype=pl.UInt32, eager=True), "text": lines}
    )
    blank = pl.col("text").str.strip_chars(f" \t\"'{delimiter}") == ""
    foreign = pl.col("text").str.contains("\ufffd", literal=True) | pl.col("text").str.contains(
        "\0", literal=True
    )
    frame = frame.with_columns(
        kind=pl.when(blank).then(pl.lit("blank row")).when(foreign).then(pl.lit("bad encoding")),
        quoted=pl.col("text").str.contains('"', literal=True),
    )
    whole = frame.filter(pl.col("kind").is_null())
    cells = pl.concat(
        [_split(whole.filter(~pl.col("quoted")), delimiter), _unquote(whole.filter("quoted"), delimiter)]
    ).sort("line")
    torn = pl.concat(
        [
            frame.filter(pl.col("kind").is_not_null()).select("line", "kind", "text"),
            cells.filter(pl.col("cells").is_null()).select(
                "line", kind=pl.lit("unclosed quote"), text="text"
            ),
            cells.filter(pl.col("cells").list.len() != len(header)).select(
                "line", kind=pl.lit("wrong number of fields"), text="text"
            ),
        ]
    ).sort("line")
    cells = cells.filter(pl.col("cells").list.len() == len(header))
    if not cells.height:
        _refuse_all_torn(source, header, torn, delimiter)
    named = cells.select(
        pl.col("cells").list.get(i).str.strip_chars().alias(name) for i, name in enumerate(header)
    )
    unread = _torn(torn["line"], torn["kind"], torn["text"])
    return RawTable(source.name, named, cells["line"], unread, delimiter)


def _text(source: Path, encoding: str | None) -> str:
    size = source.stat().st_size
    if size > LARGEST_BYTES:
        raise BadInput(source, None, None, f"{size} bytes", "Above 2 GiB, save the table as Parquet")
    try:
        data = source.read_bytes()
    except OSError as error:
        raise RegularsError(f"{source} cannot be read ({error.strerror}). Check its permissions") from error
    for magic, mend in {
        b"PAR1": "It is Parquet: name it .parquet",
        b"PK\x03\x04": "It is a workbook or an archive: save the sheet as CSV",
        b"\x1f\x8b": "It is compressed: unpack it first",
    }.items():
        if data.startswith(magic):
            raise BadInput(source, None, None, "not a CSV", mend)
    if encoding is not None:
        text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        if b"\0" in data[: 1 << 16]:
            raise BadInput(
                source, None, None, "not a CSV", "It holds bytes that are no text: save it as CSV in UTF-8"
            )
        text = data.decode("utf-8-sig", errors="replace")
    return text if "\n" in text else text.replace("\r", "\n")


def _delimiter(source: Path, header: str) -> str:
    bare = "".join(header.split('"')[::2])
    present = [delimiter for delimiter in DELIMITERS if delimiter in bare]
    if len(present) > 1:
        named = " and ".join(DELIMITERS[delimiter] for delimiter in present)
        raise BadInput(
            source, None, "the header", header[:80], f"It mixes {named}: separate all columns by one"
        )
    return present[0] if present else ","


def _check_header(source: Path, header: list[str]) -> None:
    if len(header) > 4096:
        raise BadInput(
            source, None, "the header", f"{len(header)} columns", "Keep the columns that are needed"
        )
    seen: set[str] = set()
    for position, name in enumerate(header, 1):
        if not name:
            raise BadInput(source, None, "the header", "", f"Name column {position}; its header is empty")
        if name.casefold() in seen:
            raise BadInput(source, None, "the header", name, "Two columns have this name: rename one")
        seen.add(name.casefold())


def _split(frame: pl.DataFrame, delimiter: str) -> pl.DataFrame:
    return frame.select("line", "text", cells=pl.col("text").str.split(delimiter))


def _unquote(frame: pl.DataFrame, delimiter: str) -> pl.DataFrame:
    rows = [_fields(text, delimiter) for text in frame["text"]]
    return frame.select("line", "text").with_columns(pl.Series("cells", rows, dtype=pl.List(pl.String)))


def _fields(text: str, delimiter: str) -> list[str] | None:
    if text.count('"') % 2:
        return None
    try:
        return next(csv.reader([text], delimiter=delimiter))
    except (csv.Error, StopIteration):
        return None


def _refuse_all_torn(source: Path, header: list[str], torn: pl.DataFrame, delimiter: str) -> None:
    line, kind, text = torn.row(0)
    other = [name for sign, name in DELIMITERS.items() if sign != delimiter and sign in text]
    mend = f"The header has {len(header)} fields; give every row as many"
    if kind == "wrong number of fields" and other and delimiter not in text:
        mend = f"The header is separated by {DELIMITERS[delimiter]}, this row by {other[0]}: use one"
    elif kind == "bad encoding":
        mend = "Save the file as UTF-8, or name its encoding with --encoding"
    raise BadInput(source, line, None, text[:80], f"No row can be read: {kind}. {mend}")


def _torn(line: pl.Series, kind: pl.Series | str, text: pl.Series | str = "") -> pl.DataFrame:
    return (
        pl.select(
            line=pl.lit(line), kind=pl.lit(kind), field=pl.lit(None), value=pl.lit(text).str.head(200)
        ).cast(TORN_SCHEMA)
        if line.len()
        else pl.DataFrame(schema=TORN_SCHEMA)
    )
