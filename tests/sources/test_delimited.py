"""Claims about a table as it lies in its file."""

import datetime

import polars as pl
import pytest

from regulars.errors import BadInput
from regulars.sources import delimited


def put(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_lines_count_from_the_header_and_rows_add_up(tmp_path):
    raw = delimited.read_raw(put(tmp_path, 'a,b\n1,2\n\n3\n"x,y",4\n5,"6\n7,8'))
    assert raw.cells.rows() == [("1", "2"), ("x,y", "4"), ("7", "8")]
    assert raw.line.to_list() == [2, 5, 7]
    assert raw.torn.select("line", "kind").rows() == [
        (3, "blank row"),
        (4, "wrong number of fields"),
        (6, "unclosed quote"),
    ]
    assert raw.rows == 6


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_understood(tmp_path, newline):
    assert delimited.read_raw(put(tmp_path, newline.join(["a,b", "1,2", ""]))).cells.rows() == [("1", "2")]


def test_a_column_may_be_named_line(tmp_path):
    assert delimited.read_raw(put(tmp_path, "line,cells,kind\n1,2,3\n")).cells.columns == [
        "line",
        "cells",
        "kind",
    ]


def test_a_single_column_is_a_table(tmp_path):
    assert delimited.read_raw(put(tmp_path, "sku\n1\n2\n")).cells.rows() == [("1",), ("2",)]


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "LARGEST_BYTES", 3)
    with pytest.raises(BadInput, match="save the table as Parquet"):
        delimited.read_raw(put(tmp_path, "a,b\n1,2\n"))


def test_parquet_without_rows_is_refused(tmp_path):
    pl.DataFrame({"a": []}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(BadInput, match="no rows"):
        delimited.read_raw(tmp_path / "t.parquet")


def test_columns_of_parquet_that_no_line_could_have_are_left_aside(tmp_path):
    pl.DataFrame({"a": [1], "b": [[1, 2]], "c": [b"x"], "d": [datetime.timedelta(1)]}).write_parquet(
        tmp_path / "t.parquet"
    )
    assert delimited.read_raw(tmp_path / "t.parquet").cells.columns == ["a"]
