"""Claims about errors: they say what was wrong, with the value, and the mend, also from a worker."""

import doctest
import pickle

import pytest

from regulars import errors
from regulars.errors import BadInput, MissingExtra, RegularsError, SettingError, UnknownColumn

ONE_OF_EACH = [
    UnknownColumn("amount", "sales.csv", ["date", "net"], "Map it with --columns amount=net"),
    BadInput("sales.csv", 7, "date", "31.2.2017", "Write dates as YYYY-MM-DD"),
    BadInput("sales.csv", None, None, b"\x00", "Save it as UTF-8"),
    MissingExtra("journey", "Reading The Complete Journey"),
    SettingError("days is 0; it must be from 1 to 3650"),
]


def test_the_examples_are_true():
    result = doctest.testmod(errors)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
def test_an_error_says_the_same_after_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
def test_one_except_catches_them_all(error):
    with pytest.raises(RegularsError):
        raise error


def test_a_whole_file_needs_no_row():
    assert str(ONE_OF_EACH[2]) == r"sales.csv: b'\x00' cannot be used. Save it as UTF-8"


def test_a_table_without_columns_says_so():
    assert str(UnknownColumn("sku", "empty.csv", [])) == "'sku' is not in empty.csv; it has no columns."
