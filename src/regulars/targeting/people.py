"""Who the customers say they are: demographics as codes, and the traits that a retailer might want to guess."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from regulars.errors import BadInput, ShapeError, UnknownColumn
from regulars.sources.delimited import read_raw
from regulars.sources.panel import DEMOGRAPHICS, Panel
from regulars.sources.values import amounts, names
from regulars.terms import F32, F64, I64

#: A trait is studied when so many people have it and as many do not.
FEWEST = 40
#: Of a column with more values than this, a number is split at its median and a name keeps the most told ones.
MOST_VALUES = 12
#: Bands, such as "25-34", are not more than this.
MOST_BANDS = 50
#: Of a column of numbers so many cells may be none; they count as not told.
SLIPS = 0.05
#: Traits of The Complete Journey that have been studied before, as (name, column, pattern of its values).
_KNOWN = (
    ("age 55 or older", "age", r"55-64|65\+"),
    ("four or more in the household", "household_size", r"4|5\+"),
    ("income 75K or more", "income", r"75-99K|1\d\d-.*|200-249K|250K\+"),
    ("kids at home", "kids_count", r"[123]\+?"),
    ("lives alone", "household_size", r"1"),
)
#: Words of who does not tell.
_NOT_TOLD = ("-", "--", "?", "na", "unknown", "not told", "missing", "prefer not to say")
#: What bands of one scale may differ by: numbers, signs and words of limits.
_LIMITS = re.compile(r"under|below|less than|over|above|more than|or (more|older|less)|[\d.,\s<>=+$€£-]")
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?|\d+(\.\d+)?")
_ISO_DATE, _OTHER_DATE = r"^\d{4}-\d{2}-\d{2}$", r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}$"


@dataclass(frozen=True)
class People:
    """M customers who told something about themselves.

    Attributes
    ----------
    household : (M,) index into ``Panel.households``, rising
    names : of the K columns of ``codes``: a column that was told, or one with one of its values
    codes : (M, K) float32, numbers, dates and bands as 0, 1, 2 ... in their order, every other value as a column
        of 0 and 1; nan where not told
    traits : by name, (M,) float32: 1 has it, 0 has it not, nan not told
    not_studied : columns that give no trait, by why
    rows : how many rows the table has; 0 when there was none
    left_out : how many of them are not used, by why
    """

    household: I64
    names: tuple[str, ...]
    codes: F32
    traits: Mapping[str, F32]
    not_studied: Mapping[str, tuple[str, ...]]
    rows: int = 0
    left_out: Mapping[str, int] | None = None


@dataclass(frozen=True)
class _Column:
    """What M people told in one column.

    Attributes
    ----------
    told : (M,) text, null where nothing was told
    order : (M,) numbers by which what was told is ordered, nan where not told; None for names
    why_not : why it gives no trait; empty when it may
    """

    name: str
    told: pl.Series
    order: F64 | None
    why_not: str = ""


def of_panel(panel: Panel) -> People:
    """What the panel itself knows; nobody when it knows nothing."""
    columns = [
        panel.households[name]
        for name in DEMOGRAPHICS
        if panel.households[name].null_count() < panel.households.height
    ]
    household = panel.households["household"].to_numpy().astype(np.int64)
    return _people(household, columns, panel.source, None, _KNOWN)


def from_file(
    path: str | os.PathLike[str],
    panel: Panel,
    card: str = "card",
    encoding: str | None = None,
    decimal: str | None = None,
) -> People:
    """What a CSV or Parquet file tells: a column ``card`` (or one named so) and any others, one row a customer.

    Parameters
    ----------
    encoding, decimal : of a text file, as of purchases

    Raises
    ------
    UnknownColumn
        when there is no such column.
    BadInput
        when a customer has two rows, nobody of the file ever bought, or a column mixes decimal signs.
    """
    raw = read_raw(path, encoding)
    told = [name for name in raw.cells.columns if name != card]
    if card not in raw.cells.columns:
        raise UnknownColumn(
            card, raw.file, raw.cells.columns, "Name the column of the customer with --person"
        )
    if not told:
        raise BadInput(
            raw.file, None, card, "the only column", "There is nothing else; add a column such as age"
        )
    rows = pl.DataFrame({"card": names(raw.cells[card]), "line": raw.line}).with_row_index("at")
    nameless = rows["card"].null_count()
    rows = rows.drop_nulls("card")
    twice = rows.filter(pl.col("card").is_duplicated()).sort("line")
    if twice.height:
        raise BadInput(raw.file, twice["line"][1], card, twice["card"][1], "Give each customer one row")
    ids = panel.households.select("household", card=pl.col("household_id").cast(pl.String))
    known = ids.join(rows, on="card").sort("household")
    if not known.height:
        first = rows["card"][0] if rows.height else ""
        mend = f"None of the {raw.rows} is in the purchases. Use the same names there and here, such as {ids['card'][0]}"
        raise BadInput(raw.file, None, card, first, mend)
    left_out = Counter({"in no purchase": rows.height - known.height, "without a customer": nameless})
    left_out.update(raw.torn["kind"].to_list())
    household = known["household"].to_numpy().astype(np.int64)
    columns = [raw.cells[name].gather(known["at"]) for name in told]
    found = _people(household, columns, raw.file, decimal, ())
    left_out["telling nothing"] = known.height - len(found.household)
    return People(
        found.household, found.names, found.codes, found.traits, found.not_studied, raw.rows,
        {why: count for why, count in left_out.items() if count},
    )  # fmt: skip


def _people(
    household: I64, cells: Sequence[pl.Series], file: str, decimal: str | None,
    studied: Sequence[tuple[str, str, str]],
) -> People:  # fmt: skip
    columns = [_read(column, file, decimal) for column in cells]
    if not columns:
        return People(household[:0], (), np.zeros((0, 0), np.float32), {}, {})
    anything = np.column_stack([column.told.is_not_null().to_numpy() for column in columns]).any(axis=1)
    coded: dict[str, F32] = {}
    traits: dict[str, F32] = {}
    not_studied: dict[str, list[str]] = {}
    for column in columns:
        coded |= _coded(column)
        why_not, found = column.why_not, {} if column.why_not else _traits(column, studied)
        for trait, flags in found.items():
            same = [other for other, had in traits.items() if np.array_equal(flags, had, equal_nan=True)]
            if not same:
                traits[trait] = flags
        if not found and not why_not:
            why_not = f"no value is told by at least {FEWEST} who have it and {FEWEST} who have not"
        elif found and not found.keys() & traits.keys():
            why_not = "it tells the same people apart as a column before it"
        if why_not:
            not_studied.setdefault(why_not, []).append(column.name)
    codes = np.column_stack(list(coded.values())) if coded else np.zeros((len(household), 0), np.float32)
    return People(
        household[anything], tuple(coded), codes[anything], {name: flags[anything] for name, flags in traits.items()},
        {why: tuple(which) for why, which in not_studied.items()},
    )  # fmt: skip


def _read(cells: pl.Series, file: str, decimal: str | None) -> _Column:
    """A column as it was meant: numbers, dates, bands or names."""
    told = names(cells)
    told = told.set(told.str.to_lowercase().is_in(_NOT_TOLD).fill_null(False), None)
    values = told.drop_nulls().unique().sort()
    if len(values) < 2:
        why = f"all who told say {values[0]!r}" if len(values) else "nobody told"
        return _Column(cells.name, told, None, why)
    if cells.dtype.is_temporal():
        return _Column(cells.name, told, _numbers(cells.to_physical().cast(pl.Float64)))
    if cells.dtype.is_numeric():
        return _Column(cells.name, told, _numbers(cells.cast(pl.Float64)))
    if bool(values.str.contains(_ISO_DATE).all()):
        days = told.str.to_date(strict=False).to_physical().cast(pl.Float64)
        return _Column(cells.name, told, _numbers(days))
    if bool(values.str.contains(_OTHER_DATE).all()):
        return _Column(cells.name, told, None, "its dates are not written as YYYY-MM-DD")
    numbers, _ = amounts(told, file, cells.name, decimal)
    if told.len() - numbers.null_count() >= (1 - SLIPS) * (told.len() - told.null_count()):
        return _Column(cells.name, told.set(numbers.is_null(), None), _numbers(numbers))
    texts = values.to_list()
    if len(texts) <= MOST_BANDS and _bands(texts):
        place = {value: float(j) for j, value in enumerate(sorted(texts, key=_order))}
        return _Column(cells.name, told, np.array([place.get(v, np.nan) for v in told.to_list()]))
    return _Column(cells.name, told, None)


def _numbers(column: pl.Series) -> F64:
    found = column.fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _coded(column: _Column) -> dict[str, F32]:
    if column.order is None:
        return {f"{column.name}: {value}": _flags(column.told, [value]) for value in _telling(column.told)}
    known = ~np.isnan(column.order)
    codes = np.full(len(known), np.nan, np.float32)
    codes[known] = np.unique(column.order[known], return_inverse=True)[1]
    return {column.name: codes}


def _traits(column: _Column, studied: Sequence[tuple[str, str, str]]) -> dict[str, F32]:
    """What might be guessed of one column: what was studied before, above its median, or each value."""
    title = column.name.replace("_", " ")
    values = column.told.drop_nulls().unique().sort().to_list()
    before = {
        name: _flags(column.told, [v for v in values if re.fullmatch(pattern, v)])
        for name, where, pattern in studied
        if where == column.name
    }
    if before:
        found = before
    elif column.order is not None and len(values) > MOST_VALUES:
        known = ~np.isnan(column.order)
        middle = np.sort(column.order[known])[(known.sum() - 1) // 2]
        label = column.told[int(np.flatnonzero(column.order == middle)[0])]
        above = np.where(known, column.order > middle, np.nan).astype(np.float32)
        found = {f"{title} above {label}": above}
    else:
        found = {f"{title}: {value}": _flags(column.told, [value]) for value in _telling(column.told)}
    return {name: flags for name, flags in found.items() if _enough(flags)}


def _telling(told: pl.Series) -> list[str]:
    """The values that say something of their own: the most told ones, and the rarer of two."""
    often = told.drop_nulls().value_counts(name="times").sort("times", told.name, descending=[True, False])
    most: list[str] = often[told.name].to_list()
    return most[1:] if len(most) == 2 else sorted(most[:MOST_VALUES])


def _bands(values: list[str]) -> bool:
    """Whether values differ by their numbers alone, such as "Under 15K", "15-24K" and "250K+"."""
    units = {_LIMITS.sub("", value.lower()) for value in values}
    return len(units) == 1 and len(units.pop()) <= 5 and all(_NUMBER.search(value) for value in values)


def _order(band: str) -> tuple[float, str]:
    """Bands by their first number, "Under 15K" before "15-24K"."""
    number = _NUMBER.search(band)
    first = float(number.group().replace(",", "")) if number else -1.0
    return (first - (0.5 if band.lower().startswith(("under", "<", "below", "less")) else 0.0), band)


def _flags(told: pl.Series, values: list[str]) -> F32:
    yes = told.is_in(values, nulls_equal=False)
    return yes.cast(pl.Float32).fill_null(float("nan")).to_numpy().astype(np.float32)


def _enough(flags: F32) -> bool:
    return bool((flags == 1).sum() >= FEWEST and (flags == 0).sum() >= FEWEST)


def rows_of(people: People, household: I64) -> I64:
    """(n,) rows of these households.

    Raises
    ------
    ShapeError
        when one of them told nothing.
    """
    place = np.searchsorted(people.household, household)
    if len(place) and (place.max() >= len(people.household) or (people.household[place] != household).any()):
        raise ShapeError("a household that told nothing has no demographics")
    return np.asarray(place, np.int64)
