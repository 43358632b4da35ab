"""Claims about numbers in words."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import regulars.report.charts
import regulars.report.estimates
import regulars.report.wording
from regulars.report.wording import Money, money, percent, rounded


@pytest.mark.parametrize(
    "module", [regulars.report.wording, regulars.report.estimates, regulars.report.charts]
)
def test_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_loss_has_a_true_minus_and_nothing_has_no_sign():
    assert money(-7.5, "CHF") == "\N{MINUS SIGN}7.50 CHF"
    assert money(-0.0001, "EUR", signed=True) == "€0.00"


@given(st.floats(-1e9, 1e9, allow_nan=False))
def test_no_amount_is_written_as_minus_nothing(amount):
    said = Money.fitting("USD", [amount]).say(amount, signed=True)
    assert said[0] in "$+\N{MINUS SIGN}"
    if not any(digit in said for digit in "123456789"):
        assert said[0] == "$"


@given(st.floats(0, 1))
def test_a_share_is_never_called_nothing_nor_all_unless_it_is(share):
    assert (rounded(share) == "0%") == (share == 0)
    assert (rounded(share) == "100%") == (share == 1)
    assert percent(share).endswith("%")
