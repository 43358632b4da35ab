"""What a run leaves behind: four tables, the diaries and the facts about it, in memory or in a folder."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulars.errors import BadInput, RegularsError, UnknownColumn

#: Columns and types of each table; None where the source decides (household ids: numbers here, words there).
SCHEMAS: dict[str, dict[str, Any]] = {
    "totals": {
        "world": pl.Int32,
        "arm": pl.String,
        "retailer": pl.String,
        "policy": pl.String,
        "group": pl.String,
        "setting": pl.String,
        "level": pl.Float64,
        "metric": pl.String,
        "value": pl.Float64,
    },
    "weekly": {
        "world": pl.Int32,
        "arm": pl.String,
        "retailer": pl.String,
        "week": pl.Int32,
        "metric": pl.String,
        "value": pl.Float64,
    },
    "consumers": {
        "world": pl.Int32,
        "arm": pl.String,
        "retailer": pl.String,
        "consumer": pl.UInt32,
        "household_id": None,
        "profit_cents": pl.Int64,
        "revenue_cents": pl.Int64,
        "contacts": pl.Int32,
        "compelling": pl.Int32,
        "creepy": pl.Int32,
        "annoying": pl.Int32,
        "ignored": pl.Int32,
        "redemptions": pl.Int32,
        "trips": pl.Int32,
        "shut_out_day": pl.Int32,
        "shut_out_reason": pl.String,
    },
    "moves": {
        "world": pl.Int32,
        "arm": pl.String,
        "consumer": pl.UInt32,
        "household_id": None,
        "day": pl.Int32,
        "lost_by": pl.String,
        "won_by": pl.String,
        "reason": pl.String,
    },
    "diaries": {
        "arm": pl.String,
        "day": pl.Int32,
        "date": pl.String,
        "kind": pl.String,
        "text": pl.String,
    },
}

GROUPS = ("arms", "frequency", "prior")

#: Facts that every run must state about itself.
STATED = ("scenario", "seed", "days", "consumers", "worlds")


def empty(table: str) -> pl.DataFrame:
    """A table of a run without rows, by its name in ``SCHEMAS``."""
    return pl.DataFrame(schema={name: dtype or pl.String for name, dtype in SCHEMAS[table].items()})


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """Everything that a report may read of a run.

    Tables are checked and brought to the types of ``SCHEMAS`` when the object is made; further columns stay.

    Parameters
    ----------
    totals : one value per world, arm, retailer and metric, over the whole run; money in currency units
    weekly : the same by week, for the group "arms"; flows per week, levels at the week's end
    consumers : one row per world, arm, retailer and consumer
    moves : who left one retailer for another; empty unless retailers compete
    diaries : arm to the diary of one consumer, in reading order (``day, date, kind, text``)
    about : facts of the run; ``scenario, seed, days, consumers, worlds`` must be there

    Raises
    ------
    UnknownColumn
        when a table lacks a column.
    BadInput
        when a column has another type, a group is unknown, or a value of ``totals`` stands there twice.
    RegularsError
        when ``about`` lacks a fact or holds what JSON cannot.
    """

    totals: pl.DataFrame
    weekly: pl.DataFrame = field(default_factory=lambda: empty("weekly"))
    consumers: pl.DataFrame = field(default_factory=lambda: empty("consumers"))
    moves: pl.DataFrame = field(default_factory=lambda: empty("moves"))
    diaries: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in ("totals", "weekly", "consumers", "moves"):
            object.__setattr__(self, table, _typed(getattr(self, table), table))
        diaries = {
            arm: _typed(diary.with_columns(arm=pl.lit(arm)), "diaries").drop("arm")
            for arm, diary in self.diaries.items()
        }
        object.__setattr__(self, "diaries", diaries)
        object.__setattr__(self, "about", _plain(dict(self.about), "about"))
        _check_totals(self.totals)
        missing = [name for name in STATED if name not in self.about]
        if missing:
            raise RegularsError(f"about lacks {', '.join(missing)}: every run must state {', '.join(STATED)}")

    def save(self, folder: str | Path) -> Path:
        """Write the run to ``folder``, which is made if need be; gives the folder back.

        ``about.json`` is written last: a folder without it is not a finished run.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "about.json").unlink(missing_ok=True)
        for table in ("totals", "weekly", "consumers", "moves"):
            getattr(self, table).write_parquet(folder / f"{table}.parquet")
        diaries = [diary.select(pl.lit(arm).alias("arm"), pl.all()) for arm, diary in self.diaries.items()]
        (pl.concat(diaries) if diaries else empty("diaries")).write_parquet(folder / "diaries.parquet")
        text = json.dumps(self.about, ensure_ascii=False, indent=2)
        (folder / "about.json").write_text(text + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Read the run that ``save`` wrote.

        Raises
        ------
        RegularsError
            when ``folder`` is not the folder of a finished run, or a file of it cannot be read.
        """
        folder = Path(folder)
        mend = "Give the folder of a finished run, as 'regulars simulate' names it at its end"
        if not folder.is_dir():
            raise RegularsError(f"{folder} is not a folder. {mend}")
        if not (folder / "about.json").is_file():
            raise RegularsError(f"{folder} is not a finished run: it has no about.json. {mend}")
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise RegularsError(f"{folder / 'about.json'} is damaged: {error}. Run it again") from error
        tables = {table: _read(folder, table) for table in SCHEMAS}
        diaries = {
            str(arm): diary.drop("arm")
            for (arm,), diary in tables.pop("diaries").partition_by("arm", as_dict=True).items()
        }
        return cls(**tables, diaries=diaries, about=about)

    def __repr__(self) -> str:
        facts = " ".join(f"{name}={self.about[name]!r}" for name in STATED)
        return f"<Results {facts} arms={self.totals['arm'].n_unique()}>"

    def _repr_html_(self) -> str:
        from regulars.report import table

        return table.html(self)


def _read(folder: Path, table: str) -> pl.DataFrame:
    path = folder / f"{table}.parquet"
    if not path.is_file():
        raise RegularsError(f"{folder} is not a whole run: {path.name} is missing. Run it again")
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RegularsError(f"{path} is damaged: {error}. Run it again") from error


def _typed(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """The table with its columns in order and in their types; further columns stay behind them.

    One without rows is the empty one, whatever its columns.
    """
    if not frame.height:
        return empty(table)
    schema = SCHEMAS[table]
    for column in schema:
        if column not in frame.columns:
            raise UnknownColumn(column, f"the table {table} of the run", frame.columns)
    columns = []
    for column, dtype in schema.items():
        try:
            columns.append(frame[column] if dtype is None else frame[column].cast(dtype))
        except pl.exceptions.PolarsError as error:
            raise BadInput(table, None, column, str(frame[column].dtype), f"It must be {dtype}") from error
    return pl.DataFrame(columns).hstack([frame[column] for column in frame.columns if column not in schema])


def _check_totals(totals: pl.DataFrame) -> None:
    for group in totals["group"].unique().to_list():
        if group not in GROUPS:
            raise BadInput("totals", None, "group", group, f"It must be one of {', '.join(GROUPS)}")
    keys = ["world", "arm", "retailer", "group", "setting", "level", "metric"]
    twice = totals.filter(pl.struct(keys).is_duplicated())
    if twice.height:
        value = {key: twice[key][0] for key in keys}
        raise BadInput("totals", None, None, value, "It stands there twice; a run has one value of each")


def _plain(value: Any, name: str) -> Any:
    """The value in what JSON knows; numbers that are not finite become None."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item(), name)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each, f"{name}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, name) for each in value]
    if isinstance(value, datetime.date | Path):
        return str(value)
    raise RegularsError(
        f"{name} holds a {type(value).__name__}; it may hold numbers, words, lists and tables of them"
    )
