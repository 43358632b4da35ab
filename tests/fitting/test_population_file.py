"""A population comes back from its file as it was, and a bad file says what is wrong."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from regulars.errors import BadInput
from regulars.fitting import population_file


@pytest.fixture
def saved(village, tmp_path):
    path = tmp_path / "village.parquet"
    population_file.save(village, path)
    return path


def test_a_population_comes_back_bit_for_bit(village, saved):
    back = population_file.load(saved)
    for one, two in zip((*village.habits, *village.demand), (*back.habits, *back.demand), strict=True):
        assert one.dtype == two.dtype and one.shape == two.shape and (one == two).all()
    assert (back.household_id == village.household_id).all()
    assert back.about == json.loads(json.dumps(village.about))


def test_a_consumer_without_rows_comes_back(village, tmp_path):
    from regulars.consumers.population import Population, rows_of

    two = rows_of(village.habits, np.array([0, 1]))
    rows, cells = two.row_ptr[1], two.product_ptr[two.row_ptr[1]]
    bare = {
        name: column[:rows]
        for name, column in two._asdict().items()
        if name.startswith("row_") and name != "row_ptr"
    }
    bare |= {"row_ptr": np.array([0, rows, rows]), "product_ptr": two.product_ptr[: rows + 1]}
    bare |= {"product": two.product[:cells], "loyalty": two.loyalty[:cells]}
    habits = two._replace(**bare)
    path = tmp_path / "bare.parquet"
    population_file.save(Population(habits, village.demand, np.array(["a", "b"]), {}), path)
    back = population_file.load(path)
    assert back.habits.row_ptr.tolist() == [0, rows, rows]
    assert (back.habits.loyalty == habits.loyalty).all()
    assert back.household_id.tolist() == ["a", "b"]


def test_a_file_tells_its_story(saved):
    story = population_file.describe(saved)
    assert story["households"] == 200 and story["days"] == 365 and story["format"] == population_file.FORMAT
    assert {"source", "regulars", "fitted", "calibrated", "given", "told", "fitted_on"} <= story.keys()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.parquet: a file that is not there"):
        population_file.load(tmp_path / "nowhere.parquet")


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "notes.parquet"
    path.write_text("no parquet")
    with pytest.raises(BadInput, match="no Parquet file"):
        population_file.load(path)


def test_a_foreign_parquet_file_is_refused(tmp_path):
    path = tmp_path / "sales.parquet"
    pl.DataFrame({"card": [1]}).write_parquet(path)
    with pytest.raises(BadInput, match="holds no population"):
        population_file.load(path)


def test_another_format_is_refused(saved):
    frame = pl.read_parquet(saved)
    frame.write_parquet(saved, metadata={"regulars.population": json.dumps({"format": 0})})
    with pytest.raises(BadInput, match=r"format: 0 cannot be used\. This version reads format 3"):
        population_file.load(saved)


def test_a_changed_value_is_noticed(saved):
    story = pl.read_parquet_metadata(saved)["regulars.population"]
    frame = pl.read_parquet(saved).with_columns(pl.col("trip_rate") * 2)
    frame.write_parquet(saved, metadata={"regulars.population": story})
    with pytest.raises(BadInput, match="checksum does not agree"):
        population_file.load(saved)


def test_a_missing_column_is_noticed(saved):
    story = pl.read_parquet_metadata(saved)["regulars.population"]
    pl.read_parquet(saved).drop("deal").write_parquet(saved, metadata={"regulars.population": story})
    with pytest.raises(BadInput, match="damaged population"):
        population_file.load(saved)


@pytest.mark.parametrize("at", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_torn_or_flipped_file_is_refused(saved, at):
    content = bytearray(saved.read_bytes())
    place = int(len(content) * at)
    saved.write_bytes(content[:place])
    with pytest.raises(BadInput):
        population_file.load(saved)
    content[place] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(BadInput):
        population_file.load(saved)
