"""Who the customers say they are: demographics as codes, and the traits that a retailer might want to guess."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from regulars.errors import BadInput, ShapeError, UnknownColumn
from regulars.sources.delimited import read_raw
from regulars.sources.panel import DEMOGRAPHICS, Panel
from regulars.terms import F32, I64

#: A trait is studied when so many people have it and as many do not.
FEWEST = 40
#: Of a column with more values than this, a number is split at its median and a name keeps the most told ones.
MOST_VALUES = 12
#: Traits of The Complete Journey that have been studied before, as (name, column, pattern of its values).
_KNOWN = (
    ("age 55 or older", "age", r"55-64|65\+"),
    ("four or more in the household", "household_size", r"4|5\+"),
    ("income 75K or more", "income", r"75-99K|1\d\d-.*|200-249K|250K\+"),
    ("kids at home", "kids_count", r"[123]\+?"),
    ("lives alone", "household_size", r"1"),
)
#: What values of one scale may differ by: numbers, signs and words of limits.
_NUMBERS = re.compile(r"under|below|less than|over|above|more than|or (more|older|less)|[\d.,\s<>=+$€£-]")


@dataclass(frozen=True)
class People:
    """M customers who told something about themselves.

    Attributes
    ----------
    household : (M,) index into ``Panel.households``, rising
    names : of the K columns of ``codes``: a column that was told, or one with one of its values
    codes : (M, K) float32, values that differ by their numbers alone as 0, 1, 2 ... in their order, every other value
        as a column of 0 and 1; nan where not told
    traits : by name, (M,) float32: 1 has it, 0 has it not, nan not told
    not_studied : columns of which no trait has people enough on both sides
    rows, nobody : how many rows told, and how many of them are of nobody who bought
    """

    household: I64
    names: tuple[str, ...]
    codes: F32
    traits: Mapping[str, F32]
    not_studied: tuple[str, ...] = ()
    rows: int = 0
    nobody: int = 0


def of_panel(panel: Panel) -> People:
    """What the panel itself knows; nobody when it knows nothing."""
    told = [name for name in DEMOGRAPHICS if panel.households[name].null_count() < panel.households.height]
    known = panel.households.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in told or ["age"]))
    return _people(known, told)


def from_file(path: str | os.PathLike[str], panel: Panel, card: str = "card") -> People:
    """What a CSV or Parquet file tells: a column ``card`` (or one named so) and any others, one row a customer.

    Raises
    ------
    UnknownColumn
        when there is no such column.
    BadInput
        when a customer has two rows, or nobody of the file ever bought.
    """
    raw = read_raw(path)
    if card not in raw.cells.columns:
        raise UnknownColumn(
            card, raw.file, raw.cells.columns, "Name the column of the customer with --person"
        )
    rows = raw.cells.with_columns(pl.col(card).cast(pl.String).alias("_card"), raw.line.alias("_line"))
    twice = rows.filter(pl.col("_card").is_duplicated()).sort("_line")
    if twice.height:
        raise BadInput(raw.file, twice["_line"][1], card, twice["_card"][1], "Give each customer one row")
    ids = panel.households.select("household", pl.col("household_id").cast(pl.String).alias("_card"))
    known = ids.join(rows, on="_card").sort("household")
    if not known.height:
        mend = f"None of the {rows.height} is in the purchases. Use the same names there and here, such as {ids['_card'][0]}"
        raise BadInput(raw.file, None, card, rows["_card"][0], mend)
    told = [name for name in raw.cells.columns if name != card]
    if not told:
        raise BadInput(
            raw.file, None, card, "the only column", "There is nothing else; add a column such as age"
        )
    return replace(_people(known, told), rows=rows.height, nobody=rows.height - known.height)


def _people(known: pl.DataFrame, told: list[str]) -> People:
    coded: dict[str, F32] = {}
    traits: dict[str, F32] = {}
    not_studied = []
    for name in told:
        values = sorted(known[name].drop_nulls().unique().to_list(), key=_order)
        if _one_scale(values):
            place = {value: float(j) for j, value in enumerate(values)}
            coded[name] = np.array([place.get(v, np.nan) for v in known[name].to_list()], np.float32)
        else:
            coded |= {
                f"{name}: {value}": _flags(known[name], [value]) for value in _telling(known[name], values)
            }
        found = {trait: flags for trait, flags in _traits(known[name], values).items() if _enough(flags)}
        for trait, flags in found.items():
            if not any(np.array_equal(flags, other, equal_nan=True) for other in traits.values()):
                traits[trait] = flags
        if not found:
            not_studied.append(name)
    codes = np.column_stack(list(coded.values())) if coded else np.zeros((known.height, 0), np.float32)
    household = known["household"].to_numpy().astype(np.int64)
    return People(household, tuple(coded), codes, traits, tuple(not_studied))


def _traits(column: pl.Series, values: list[object]) -> dict[str, F32]:
    """What might be guessed of one column: what was studied before, above its median, or each value."""
    known = {
        name: _flags(column, [v for v in values if _is(v, pattern)])
        for name, where, pattern in _KNOWN
        if where == column.name
    }
    if any(_enough(flags) for flags in known.values()):
        return known
    title = column.name.replace("_", " ")
    if len(values) > MOST_VALUES and _one_scale(values):
        place = {value: j for j, value in enumerate(values)}
        middle = values[int(np.median([place[v] for v in column.drop_nulls().to_list()]))]
        above = values[place[middle] + 1 :]
        return {f"{title} above {middle}": _flags(column, above)}
    return {f"{title}: {value}": _flags(column, [value]) for value in _telling(column, values)}


def _telling(column: pl.Series, values: list[object]) -> list[object]:
    """The values that say something of their own: the most told ones, and the rarer of two."""
    often = {value: int((column == value).sum()) for value in values}
    most = sorted(values, key=lambda value: -often[value])[:MOST_VALUES]
    return most[1:] if len(values) == 2 else [value for value in values if value in most]


def _one_scale(values: list[object]) -> bool:
    """Whether values differ by their numbers alone, such as "Under 15K", "15-24K" and "250K+"."""
    words = {_NUMBERS.sub("", str(value).lower()) for value in values}
    return len(words) == 1 and all(re.search(r"\d", str(value)) for value in values)


def _is(value: object, pattern: str) -> bool:
    return value is not None and re.fullmatch(pattern, str(value)) is not None


def _flags(column: pl.Series, values: list[object]) -> F32:
    yes = column.is_in(values, nulls_equal=False)
    return yes.cast(pl.Float32).fill_null(float("nan")).to_numpy().astype(np.float32)


def _enough(flags: F32) -> bool:
    return bool((flags == 1).sum() >= FEWEST and (flags == 0).sum() >= FEWEST)


def _order(value: object) -> tuple[float, str]:
    """Values with a number in them by the first of these, "Under 15K" before "15-24K"."""
    text = str(value)
    number = re.search(r"\d{1,3}(,\d{3})+(\.\d+)?|\d+(\.\d+)?", text)
    if not number:
        return (-1.0, text)
    first = float(number.group().replace(",", ""))
    return (first - (0.5 if text.lower().startswith(("under", "<", "below")) else 0.0), text)


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
