"""Claims about what a cell means."""

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.errors import BadInput, SettingError
from regulars.sources.values import amounts, dates, names


def read_dates(*cells, date_format=None):
    date, second, kind = dates(pl.Series(cells), "sales.csv", "date", date_format)
    return list(zip(date, second, kind, strict=True))


@pytest.mark.parametrize(
    ("cell", "second"),
    [
        ("2017-03-31", 0),
        ("2017-03-31T09:05:07Z", 9 * 3600 + 5 * 60 + 7),
        ("2017-03-31 09:05:07.250+02:00", 9 * 3600 + 5 * 60 + 7),
        ("2017/3/31", 0),
        ("31/3/2017", 0),
        ("3/31/2017 9:05 PM", 21 * 3600 + 5 * 60),
        ("3/31/2017 12:05 am", 5 * 60),
        ("31.03.2017", 0),
        ("20170331", 0),
        ("1490918400", 0),
        ("1490918400000", 0),
    ],
)
def test_one_day_however_it_is_written(cell, second):
    assert read_dates(cell) == [(datetime.date(2017, 3, 31), second, None)]


def test_what_is_no_date_is_said():
    kinds = [
        kind
        for _, _, kind in read_dates("2017-01-01", "2017-02-29", "soon", "", "1066-10-14", "2017-01-01T25:00")
    ]
    assert kinds == [None, "bad date", "bad date", "missing", "far date", "bad date"]


def test_one_day_over_twelve_tells_the_order_for_all():
    assert [date.month for date, _, _ in read_dates("01/02/2017", "25/02/2017")] == [2, 2]
    assert [date.month for date, _, _ in read_dates("01/02/2017", "02/25/2017")] == [1, 2]


def test_an_order_that_is_not_told_is_asked_for():
    for cells in (["01/02/2017"], ["25/02/2017", "02/25/2017"]):
        with pytest.raises(BadInput, match="--date-format"):
            read_dates(*cells)


def test_the_format_can_be_told_and_nonsense_is_refused():
    assert read_dates("02-01-17", date_format="%d-%m-%y")[0][0] == datetime.date(2017, 1, 2)
    assert read_dates("1490918400", date_format="epoch")[0][0] == datetime.date(2017, 3, 31)
    for nonsense in ("nonsense", "%Q", "DD", ""):
        with pytest.raises(SettingError, match="date format"):
            read_dates("02-01-17", date_format=nonsense)


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ns"), pl.Datetime("ms", "Europe/Paris")])
def test_dates_of_parquet_are_taken_as_the_clock_shows_them(dtype):
    column = pl.Series([datetime.datetime(2017, 1, 1, 12)]).cast(pl.Datetime("us"))
    column = (
        column.dt.replace_time_zone(dtype.time_zone).cast(dtype)
        if isinstance(dtype, pl.Datetime)
        else column.cast(dtype)
    )
    date, second, kind = dates(column, "f", "date")
    assert (date[0], second[0], kind[0]) == (
        datetime.date(2017, 1, 1),
        0 if dtype == pl.Date else 43200,
        None,
    )


def test_columns_of_another_kind_are_refused():
    with pytest.raises(BadInput, match="must hold dates"):
        dates(pl.Series([True]), "f", "date")
    with pytest.raises(BadInput, match="must hold numbers"):
        amounts(pl.Series([datetime.date(2017, 1, 1)]), "f", "net")


@given(st.lists(st.decimals(-99999, 99999, places=2), min_size=1))
def test_an_amount_comes_back_to_the_cent_with_point_or_comma(decimals):
    for written in ([str(d) for d in decimals], [str(d).replace(".", ",") for d in decimals]):
        value, kind = amounts(pl.Series(written), "f", "net")
        assert [round(v * 100) for v in value] == [int(d * 100) for d in decimals]
        assert kind.null_count() == len(decimals)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("$1,234.50", 1234.5),
        ("1.234,50 €", 1234.5),
        ("1,234", 1234),
        ("(3.50)", -3.5),
        (" 7 ", 7),
        ("-.5", -0.5),
        ("0,500", 0.5),
        ("1.234.567", 1234567),
    ],
)
def test_money_as_people_write_it(cell, value):
    assert amounts(pl.Series([cell]), "f", "net")[0].to_list() == [value]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("", "missing"),
        (None, "missing"),
        ("x", "not a number"),
        ("1 2 3x", "not a number"),
        ("-inf", "not finite"),
        ("1e999", "not finite"),
        ("NaN", "not finite"),
    ],
)
def test_what_is_no_amount_is_said(cell, kind):
    assert amounts(pl.Series([cell], dtype=pl.String), "f", "net")[1].to_list() == [kind]


def test_a_rare_slip_of_the_decimal_sign_costs_its_row_and_not_the_file():
    for usual, slip in (("2.50", "1,5"), ("2,50", "1.5")):
        value, kind = amounts(pl.Series([usual] * 200 + [slip]), "f", "net")
        assert value.to_list() == [2.5] * 200 + [None]
        assert kind[200] == "not a number"


def test_names_are_stripped_and_placeholders_are_no_names():
    assert names(pl.Series([" a ", "NaN", "null", "", None])).to_list() == ["a", None, None, None, None]
    assert names(pl.Series([7.0, None])).to_list() == ["7", None]
    assert names(pl.Series([7, 8])).to_list() == ["7", "8"]
