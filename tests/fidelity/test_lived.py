"""The year is lived again under what was really sent, and its figures are read as those of the real one."""

import numpy as np
import polars as pl
import pytest

from regulars.fidelity import demand, lived, mechanisms
from regulars.fidelity.campaigns import rank_correlation, top_share


def test_the_same_seed_gives_the_same_lines_and_another_world_does_not(scenario, hamlet):
    first, again = (lived.year(scenario, hamlet, 0) for _ in range(2))
    assert first.lines.equals(again.lines) and first.redemptions.equals(again.redemptions)
    assert not first.lines.equals(lived.year(scenario, hamlet, 1).lines)


def test_coupons_are_used_only_where_they_were_sent(scenario, hamlet):
    sent, silent = (lived.year(scenario, hamlet, 0, policy) for policy in ("history", "silence"))
    assert sent.redemptions.height == sent.lines["coupon"].sum()
    assert silent.redemptions.height == 0 and not silent.lines["coupon"].any()


def test_the_top_tenth_and_the_rank_correlation_in_closed_form():
    assert top_share(np.array([9.0] + [1.0] * 9)) == pytest.approx(0.5)
    assert rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([2.0, 3.0, 4.0])) == pytest.approx(1.0)


def test_purchases_drawn_from_an_nbd_are_predicted_by_one():
    luck = np.random.default_rng(4)
    rate = luck.gamma(0.5, 4.0, 3000)
    count = luck.poisson(rate)
    who = np.repeat(np.arange(3000), count)
    lines = pl.DataFrame({"household": who, "category": who * 0, "day": luck.integers(0, 364, len(who))})
    assert demand.nbd_error(lines, 3000, 364) < 1.0


def test_elasticity_is_found_on_lines_that_follow_one(source):
    shelf = source[1]
    chosen = np.argsort(-shelf.popularity)[:60]
    price = shelf.price[:, chosen] * (1 - shelf.depth[:, chosen])
    lines = np.random.default_rng(1).poisson(40 * (price / price.mean(0)) ** -2.0)
    week, at = np.nonzero(lines)
    repeat = lines[week, at]
    frame = pl.DataFrame(
        {"week": np.repeat(week, repeat), "product": np.repeat(chosen[at], repeat)}
    ).with_columns(units=pl.lit(1))
    assert demand.prices(frame, shelf)["elasticity"] == pytest.approx(-2.0, abs=0.15)


@pytest.mark.parametrize(
    ("ablated", "figure", "dead"),
    [
        ("control", "control_personalized", lambda x: abs(x - 1) < 1e-9),
        ("justification", "acceptable_flow", lambda x: abs(x) < 1e-9),
        ("creep", "control_personalized", lambda x: abs(x - 1) < 1e-9),
        ("creep", "inferred_flow", lambda x: x > 0),
    ],
)
def test_an_ablation_kills_the_row_that_its_mechanism_carries(scenario, hamlet, ablated, figure, dead):
    whole = mechanisms.laboratory(scenario, hamlet, 0)[figure]
    without = mechanisms.laboratory(scenario.changed(ablate=(ablated,)), hamlet, 0)[figure]
    assert not dead(whole) and dead(without)


def test_without_ignoring_far_too_many_unsubscribe(scenario, hamlet):
    usual = mechanisms.leaving(scenario, hamlet, 0)["unsubscribe"]
    without = mechanisms.leaving(scenario.changed(ablate=("ignored",)), hamlet, 0)["unsubscribe"]
    assert usual < 0.006 and without > 2 * max(usual, 0.004)
