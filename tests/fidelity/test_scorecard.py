"""A row is inside when each of its measures is; what cannot be measured says why."""

import json
import math
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from regulars.fidelity.demand import prices
from regulars.fidelity.mechanisms import convexity
from regulars.fidelity.scorecard import ROWS, score
from regulars.report.fidelity import measure, spread

PERFECT = {
    part.key: (part.low + min(part.high, part.low + 2)) / 2
    for row in ROWS
    for part in row.parts
    if not part.follows
}
PERFECT["kept_share"] = 0.44


def rows(real=None, worlds=None, held=None, default_source=True):
    found = score(real or PERFECT, worlds if worlds is not None else [PERFECT], held or {}, default_source)
    return {row["row"]: row for row in found}


def test_there_are_twenty_rows_and_a_perfect_simulation_is_inside_each():
    found = rows()
    assert list(found) == list(range(1, 21))
    assert all(row["inside"] for row in found.values())
    json.dumps(list(found.values()), allow_nan=False)


def test_a_row_is_outside_as_soon_as_one_of_its_measures_is():
    found = rows(worlds=[PERFECT | {"zero_weeks": 0.9}])
    assert found[1]["inside"] is False
    assert [part["inside"] for part in found[1]["parts"]] == [True, False]


def test_a_mechanism_counts_when_it_holds_in_half_of_the_worlds():
    bad = PERFECT | {"convexity": 0.5}
    assert rows(worlds=[PERFECT, bad])[17]["inside"] is True
    assert rows(worlds=[PERFECT, bad, bad])[17]["inside"] is False


def test_the_interval_is_over_worlds():
    found = rows(
        worlds=[PERFECT | {"top_share": 0.5}, PERFECT | {"top_share": 0.56}, PERFECT | {"top_share": 0.54}]
    )
    assert (found[2]["low"], found[2]["measured"], found[2]["high"]) == (0.5, 0.54, 0.56)


def test_data_of_ones_own_are_their_own_target():
    own = PERFECT | {"categories_80": 8.0}
    assert rows(own, [own], default_source=False)[3]["inside"] is True
    assert rows(own, [PERFECT], default_source=False)[3]["inside"] is False
    assert rows(own, [own])[3]["inside"] is False


def test_what_cannot_be_measured_is_neither_inside_nor_outside_and_says_why():
    nothing = PERFECT | {"redeemed_tailored": math.nan, "redeemed_generic": math.nan}
    row = rows(nothing, [nothing], default_source=False)[11]
    assert row["inside"] is None and row["measured"] is None
    assert "campaigns" in row["why_not"]


def test_rows_scored_on_held_out_weeks_say_so():
    row = rows(held={"zero_weeks": (0.5, 0.52)})[1]
    assert row["held_out"] is True
    assert row["parts"][1]["held_out"]["real"] == 0.5
    assert rows(held={"zero_weeks": (0.5, 0.6)})[1]["held_out"] is False


def test_prices_that_never_move_tell_no_elasticity_and_warn_of_nothing(recwarn):
    weeks, lines = 12, 5
    table = pl.DataFrame({"week": [w for w in range(weeks) for _ in range(lines)], "product": 0, "units": 1})
    price = np.full((weeks, 1), 2.0, np.float32)
    shelf = SimpleNamespace(price=price, depth=np.zeros_like(price))
    assert math.isnan(prices(table, shelf)["elasticity"])
    shelf.price = price * (1 + np.arange(weeks, dtype=np.float32)[:, None] % 2)
    assert math.isfinite(prices(table, shelf)["elasticity"])
    assert not recwarn.list


def test_held_out_weeks_that_cannot_tell_are_neither_inside_nor_outside():
    assert rows(held={"elasticity": (math.nan, math.nan)})[9]["held_out"] is None


def test_complaints_that_fall_at_first_have_no_convexity():
    assert convexity([0.001, 0.002, 0.005]) == pytest.approx(2.4)
    assert convexity([0.001, 0.001, 0.005]) == math.inf
    for fall in ([0.002, 0.001, 0.005], [0.002, 0.001, 0.0005], [0.0, 0.0, 0.0], [0.002, 0.002, 0.001]):
        assert math.isnan(convexity(fall))
    nothing = PERFECT | {"convexity": math.nan}
    row = rows(worlds=[nothing, nothing])[17]
    assert row["inside"] is None and "complaints that rise" in row["why_not"]
    assert rows(worlds=[PERFECT, nothing, nothing])[17]["inside"] is False


def test_an_infinite_bound_is_printed_as_one():
    part = rows(worlds=[PERFECT, PERFECT | {"convexity": math.inf}])[17]["parts"][0]
    assert part["inside"] is True and json.dumps(part, allow_nan=False)
    assert (spread(part), measure(part)) == ("2.30 to \N{INFINITY}", "\N{INFINITY}")
    unmeasured = rows(worlds=[PERFECT | {"convexity": math.nan}])[17]["parts"][0]
    assert (spread(unmeasured), measure(unmeasured)) == ("", "\N{EN DASH}")


@pytest.mark.parametrize("row", [16, 17, 18, 19, 20])
def test_what_rests_on_priors_is_never_called_fitted(row):
    assert rows()[row]["role"] == "mechanism"
