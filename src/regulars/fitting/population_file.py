"""A fitted population in one Parquet file: a row for each consumer, shared tables and story as metadata."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.consumers.population import Demand, Habits, Population
from regulars.errors import BadInput, RegularsError, ShapeError

#: Raised whenever the columns of Habits or Demand change.
FORMAT = 3
_KEY = "regulars.population"
_MEND = "Give a file that `regulars fit` wrote, or fit it anew"

_PER_CONSUMER: dict[str, tuple[Any, int]] = {
    "consumer": (np.uint32, 1),
    "trip_rate": (np.float32, 1),
    "trip_dow": (np.float32, 2),
    "trip_class": (np.uint8, 1),
    "gap_power": (np.float32, 1),
    "drift_sigma": (np.float32, 1),
    "size_cdf": (np.float32, 2),
    "size_dow": (np.float32, 2),
    "need_age": (np.float32, 2),
    "deal": (np.float32, 1),
    "private": (np.float32, 1),
    "tier": (np.float32, 1),
    "store": (np.uint16, 2),
    "store_cdf": (np.float32, 2),
    "store_stay": (np.float32, 1),
    "novelty": (np.float32, 1),
    "coupon": (np.float32, 1),
    "age": (np.uint8, 1),
    "income": (np.uint8, 1),
    "kids": (np.uint8, 1),
    "household_size": (np.uint8, 1),
}
_PER_ROW = {
    "row_category": np.uint16, "row_rate": np.float32, "row_interval": np.float32, "row_explore": np.float32,
    "row_units": np.float32, "row_lines": np.float32,
}  # fmt: skip
_PER_PRODUCT = {"product": np.int32, "loyalty": np.float32}
_ROW_PRODUCTS = "row_products"
_ID = "household_id"


def save(population: Population, path: str | os.PathLike[str]) -> None:
    """Write a population to one file, whole or not at all.

    Rows of consumers become list columns; ``Demand`` and ``about`` go into the metadata, with a checksum of
    it all.
    """
    frame = _frame(population)
    demand = {name: _packed(table) for name, table in population.demand._asdict().items()}
    story = {
        "format": FORMAT,
        "saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "about": population.about,
        "demand": demand,
        "checksum": _checksum(population.habits, population.demand),
    }
    target = Path(path)
    # Under a passing name first, so that a run stopped halfway leaves no torn file behind.
    handle, passing = tempfile.mkstemp(suffix=".parquet", dir=target.parent)
    os.close(handle)
    try:
        frame.write_parquet(passing, compression="zstd", metadata={_KEY: json.dumps(story)})
        os.replace(passing, target)
    except BaseException:
        Path(passing).unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Population:
    """Read a population that :func:`save` wrote.

    Raises
    ------
    BadInput
        when the file is not there, is no such file, is of another format or is damaged.
    """
    story = _story(path)
    try:
        frame = pl.read_parquet(Path(path))
        habits = _habits(frame)
        demand = Demand(**{name: _unpacked(story["demand"][name]) for name in Demand._fields})
    except (pl.exceptions.PolarsError, OSError, KeyError, ValueError, TypeError) as error:
        raise BadInput(path, None, None, f"a damaged population ({_first_line(error)})", _MEND) from error
    if _checksum(habits, demand) != story.get("checksum"):
        raise BadInput(path, None, None, "a population whose checksum does not agree", _MEND)
    return Population(habits, demand, frame[_ID].to_numpy(), story["about"])


def _story(path: str | os.PathLike[str]) -> dict[str, Any]:
    if not Path(path).is_file():
        raise BadInput(path, None, None, "a file that is not there", _MEND)
    try:
        text = pl.read_parquet_metadata(Path(path)).get(_KEY)
        story = json.loads(text) if text else None
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise BadInput(
            path, None, None, f"a file that is no Parquet file ({_first_line(error)})", _MEND
        ) from error
    if not isinstance(story, dict) or "format" not in story:
        raise BadInput(path, None, None, "a Parquet file that holds no population", _MEND)
    if story["format"] != FORMAT:
        raise BadInput(
            path,
            None,
            "format",
            story["format"],
            f"This version reads format {FORMAT}. Fit the population anew",
        )
    return story


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _frame(population: Population) -> pl.DataFrame:
    habits = population.habits
    columns: dict[str, pl.Series] = {_ID: pl.Series(population.household_id.tolist())}
    for name, (_, dimensions) in _PER_CONSUMER.items():
        column = getattr(habits, name)
        width = column.shape[1] if dimensions == 2 else 0
        columns[name] = pl.Series(
            column, dtype=pl.Array(_polars(column), width) if width else _polars(column)
        )
    rows = np.diff(habits.row_ptr)
    for name in _PER_ROW:
        columns[name] = _lists(getattr(habits, name), rows)
    columns[_ROW_PRODUCTS] = _lists(np.diff(habits.product_ptr).astype(np.int32), rows)
    cells = np.diff(habits.product_ptr[habits.row_ptr])
    for name in _PER_PRODUCT:
        columns[name] = _lists(getattr(habits, name), cells)
    return pl.DataFrame(columns)


def _polars(column: NDArray[Any]) -> Any:
    return pl.Series(column[:0].reshape(-1)).dtype


def _lists(values: NDArray[Any], lengths: NDArray[np.int64]) -> pl.Series:
    """One list for each consumer out of values one after the other."""
    owner = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    grouped = (
        pl.DataFrame({"owner": owner, "value": values})
        .group_by("owner", maintain_order=True)
        .agg(pl.col("value"))
    )
    every = pl.DataFrame({"owner": np.arange(len(lengths), dtype=np.int64)}).join(
        grouped, on="owner", how="left", maintain_order="left"
    )
    return every.select(pl.col("value").fill_null(pl.lit([], dtype=grouped["value"].dtype)))["value"]


def _habits(frame: pl.DataFrame) -> Habits:
    columns: dict[str, NDArray[Any]] = {}
    for name, (dtype, dimensions) in _PER_CONSUMER.items():
        column = frame[name].to_numpy()
        if column.ndim != dimensions:
            raise ShapeError(f"{name} has {column.ndim} dimensions")
        columns[name] = np.array(column, dtype, order="C")
    rows = frame["row_category"].list.len().to_numpy()
    columns["row_ptr"] = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    for name, dtype in (_PER_ROW | {_ROW_PRODUCTS: np.int32} | _PER_PRODUCT).items():
        values = frame[name].filter(frame[name].list.len() > 0).explode().to_numpy()
        columns[name] = np.array(values, dtype, order="C")
    columns["product_ptr"] = np.concatenate([[0], np.cumsum(columns.pop(_ROW_PRODUCTS))]).astype(np.int64)
    return Habits(**columns)


def _packed(table: NDArray[Any]) -> dict[str, Any]:
    return {
        "dtype": table.dtype.str,
        "shape": list(table.shape),
        "data": base64.b64encode(np.ascontiguousarray(table).tobytes()).decode("ascii"),
    }


def _unpacked(packed: dict[str, Any]) -> NDArray[Any]:
    table = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["dtype"]))
    return table.reshape(packed["shape"]).copy()


def _checksum(habits: Habits, demand: Demand) -> str:
    sha = hashlib.sha256()
    for part in (habits, demand):
        for name, column in part._asdict().items():
            sha.update(f"{name} {column.dtype.str} {column.shape}".encode())
            sha.update(np.ascontiguousarray(column).tobytes())
    return sha.hexdigest()


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a population file tells about itself, without reading the consumers."""
    story = _story(path)
    if not isinstance(story.get("about"), dict):
        raise RegularsError(f"{path} does not say where it comes from. {_MEND}")
    return {"format": story["format"], "saved": story["saved"], **story["about"]}
