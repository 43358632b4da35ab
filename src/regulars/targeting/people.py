"""Who the customers say they are: demographics as codes, and the traits that a retailer might want to guess."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from regulars.errors import BadInput, ShapeError, UnknownColumn
from regulars.sources.delimited import read_raw
from regulars.sources.panel import DEMOGRAPHICS, Panel
from regulars.terms import F32, I64

#: A trait is studied when so many people have it and as many do not.
FEWEST = 40
#: Traits of The Complete Journey that have been studied before, as (name, column, pattern of its values).
_KNOWN = (
    ("age 55 or older", "age", r"55-64|65\+"),
    ("four or more in the household", "household_size", r"4|5\+"),
    ("income 75K or more", "income", r"75-99K|1\d\d-.*|200-249K|250K\+"),
    ("kids at home", "kids_count", r"[123]\+?"),
    ("lives alone", "household_size", r"1"),
)


@dataclass(frozen=True)
class People:
    """M customers who told something about themselves.

    Attributes
    ----------
    household : (M,) index into ``Panel.households``, rising
    names : of the K columns
    codes : (M, K) float32, each column's values as 0, 1, 2 ... in their order; nan where not told
    traits : by name, (M,) float32: 1 has it, 0 has it not, nan not told
    """

    household: I64
    names: tuple[str, ...]
    codes: F32
    traits: Mapping[str, F32]


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
    return _people(known, told)


def _people(known: pl.DataFrame, told: list[str]) -> People:
    codes = np.full((known.height, len(told)), np.nan, np.float32)
    for k, name in enumerate(told):
        values = sorted(known[name].drop_nulls().unique().to_list(), key=_order)
        place = {value: float(j) for j, value in enumerate(values)}
        codes[:, k] = [place.get(value, np.nan) for value in known[name].to_list()]
    household = known["household"].to_numpy().astype(np.int64)
    return People(household, tuple(told), codes, _traits(known, told))


def _traits(known: pl.DataFrame, told: list[str]) -> dict[str, F32]:
    found = {}
    for name, column, pattern in _KNOWN:
        if column in told:
            found[name] = _flags(known[column], [v for v in known[column].unique() if _is(v, pattern)])
    if not any(_enough(flags) for flags in found.values()):
        # Data of the user's own: each value of each column against the others.
        for column in told:
            for value in sorted(known[column].drop_nulls().unique().to_list(), key=_order):
                found[f"{column} {value}"] = _flags(known[column], [value])
    return {name: flags for name, flags in found.items() if _enough(flags)}


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
    number = re.search(r"\d+(\.\d+)?", text)
    if not number:
        return (-1.0, text)
    return (float(number.group()) - (0.5 if text.lower().startswith(("under", "<", "below")) else 0.0), text)


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
