"""Claims about means, intervals, differences and shares, against closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.errors import ShapeError
from regulars.report.estimates import (
    Lived,
    difference,
    exact_shares,
    interval,
    label,
    pairs,
    t95,
    verdict_shares,
)

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


def _players(lived):
    return {player.arm: player for player in lived.players}


@pytest.mark.parametrize("freedom", [1, 2, 5, 29, 30, 31, 40, 60, 120, 1000])
def test_the_quantile_is_student_s(freedom):
    stats = pytest.importorskip("scipy.stats")
    assert t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=2e-4)


def test_an_interval_in_closed_form():
    # Mean 3, deviation sqrt(2.5), five values: 3 +- 2.7764 * sqrt(2.5 / 5).
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.mean, found.worlds) == (3.0, 5)
    assert found.high - 3.0 == pytest.approx(2.7764 * math.sqrt(0.5))
    assert 3.0 - found.low == pytest.approx(found.high - 3.0)


def test_one_world_has_an_interval_without_width_and_is_never_sure():
    assert interval([7.0]).low == interval([7.0]).high == 7.0
    gap = difference({0: 9.0}, {0: 1.0})
    assert gap.holds == 1
    assert not gap.sure


def test_no_world_has_no_mean():
    with pytest.raises(ShapeError, match="0 values"):
        interval([])


@given(st.lists(FINITE, min_size=2, max_size=40), FINITE)
def test_an_interval_moves_with_its_values(values, shift):
    here, there = interval(values), interval([value + shift for value in values])
    assert here.low <= here.mean <= here.high
    assert there.mean == pytest.approx(here.mean + shift, abs=1e-3)
    assert there.high - there.low == pytest.approx(here.high - here.low, abs=1e-3, rel=1e-3)


def test_a_difference_is_taken_world_by_world():
    # The worlds differ far more than the arms do; the pairs all differ by 1.
    gap = difference({0: 101.0, 1: 1001.0, 2: 11.0}, {0: 100.0, 1: 1000.0, 2: 10.0})
    assert (gap.interval.low, gap.interval.mean, gap.interval.high) == (1.0, 1.0, 1.0)
    assert gap.holds == 3
    assert gap.sure
    assert gap.share == pytest.approx(1 / 370)


def test_a_difference_uses_only_worlds_that_both_lived():
    gap = difference({0: 5.0, 2: 50.0}, {0: 3.0, 1: 0.0})
    assert (gap.interval.mean, gap.interval.worlds) == (2.0, 1)
    assert difference({0: 1.0}, {1: 1.0}) is None


def test_a_tie_holds_in_no_world():
    assert difference({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}).holds == 0


def test_a_share_of_a_loss_keeps_the_sign_of_the_difference():
    assert difference({0: -1.0}, {0: -2.0}).share == pytest.approx(0.5)
    assert difference({0: 1.0}, {0: 0.0}).share is None


def test_lift_is_over_silence_in_the_same_world(totals):
    lived = Lived(totals({"silence": {"profit": [100, 200]}, "blast": {"profit": [110, 190]}}))
    lift = lived.lift(_players(lived)["blast"])
    assert (lift.interval.mean, lift.holds) == (0.0, 1)


def test_without_silence_there_is_no_lift(totals):
    lived = Lived(totals({"blast": {"profit": [110, 190]}}))
    assert lived.lift(lived.players[0]) is None


def test_players_stand_in_the_order_of_mean_profit(totals):
    lived = Lived(totals({"a": {"profit": [1, 9]}, "b": {"profit": [4, 7]}, "c": {"profit": [0, 1]}}))
    assert [player.arm for player in lived.players] == ["b", "a", "c"]
    counts, worlds = lived.leads("profit")
    assert ({player.arm: n for player, n in counts.items()}, worlds) == ({"b": 1, "a": 1, "c": 0}, 2)


def test_derived_figures_in_closed_form(totals):
    arm = {"profit": [10], "base_value": [5], "contacts": [400], "consumers": [20], "reachable": [15]}
    lived = Lived(totals({"a": arm | {"shut_out": [4]}}, days=70))
    (player,) = lived.players
    assert lived.mean(player, "profit_and_base") == 15.0
    assert lived.mean(player, "contacts_per_week") == 2.0
    assert lived.mean(player, "reachable_share") == 0.75
    assert lived.mean(player, "shut_out_share") == 0.2


def test_contacts_and_shares_are_of_those_within_reach_on_day_0_where_the_run_tells_them(totals):
    arm = {"profit": [10], "contacts": [400], "consumers": [40], "reachable_start": [20], "reachable": [15]}
    lived = Lived(totals({"a": arm | {"shut_out": [5]}}, days=70))
    (player,) = lived.players
    assert lived.mean(player, "contacts_per_week") == 2.0
    assert lived.mean(player, "reachable_share") == 0.75
    assert lived.mean(player, "shut_out_share") == 0.25


def test_no_interval_leaves_what_a_figure_can_be(totals):
    arm = {"profit": [1, -1], "consumers": [10, 10], "reachable": [9, 4], "unsubscribes": [0, 8]}
    lived = Lived(totals({"a": arm}))
    (player,) = lived.players
    share, count = (lived.estimate(player, metric) for metric in ("reachable_share", "unsubscribes"))
    assert (share.low, share.high) == (0.0, 1.0)
    assert count.low == 0.0 and count.high > 8
    assert lived.estimate(player, "profit").low < -1


def test_a_figure_that_is_not_finite_is_left_out_and_named(totals):
    lived = Lived(totals({"a": {"profit": [1.0, math.nan]}, "b": {"profit": [2.0, math.inf]}}))
    assert [(player.arm, metric, world) for player, metric, world in lived.gaps] == [
        ("a", "profit", 1),
        ("b", "profit", 1),
    ]
    assert lived.mean(_players(lived)["a"], "profit") == 1.0


def test_of_every_two_arms_the_one_ahead_comes_first(totals):
    run = totals({"a": {"profit": [1, 2]}, "b": {"profit": [3, 4]}, "c": {"profit": [2, 3.5]}})
    found = [
        (pair.first.arm, pair.second.arm, pair.difference.holds) for pair in pairs(Lived(run), ["profit"])
    ]
    assert sorted(found) == [("b", "a", 2), ("b", "c", 2), ("c", "a", 2)]


def test_retailers_that_compete_are_compared_and_named_by_retailer_and_policy(market):
    lived = Lived(market)
    assert {label(player, lived.players) for player in lived.players} == {
        "north (considerate)",
        "south (blast)",
        "west (harvest)",
    }
    assert len(pairs(lived, ["profit"])) == 3


@given(
    st.lists(
        st.tuples(*[st.integers(0, 10**7)] * 4, st.integers(0, 10**6)),
        min_size=1,
        max_size=6,
    )
)
def test_verdict_shares_sum_to_one_exactly_in_any_order(make_totals, worlds):
    counts = {
        verdict: [w[i] for w in worlds]
        for i, verdict in enumerate(("compelling", "creepy", "annoying", "ignored"))
    }
    # Some contacts were never noticed and have no verdict.
    contacts = [sum(w) for w in worlds]
    lived = Lived(make_totals({"a": {"profit": [0.0] * len(worlds), "contacts": contacts} | counts}))
    shares = list(verdict_shares(lived, lived.players[0]).values())
    assert sum(shares) == sum(reversed(shares)) == sum(sorted(shares)) == math.fsum(shares) == 1.0
    assert min(shares) >= 0.0


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda s: sum(s) <= 1))
def test_exact_shares_stay_where_they_were(shares):
    found = exact_shares(shares)
    assert sum(found.values()) == 1.0
    for share, kept in zip(shares, found.values(), strict=False):
        assert kept == pytest.approx(share, abs=1e-11)


def test_an_arm_without_contacts_has_all_of_nothing_ignored(totals):
    run = totals({"silence": {"profit": [1], "contacts": [0], "compelling": [0], "ignored": [0]}})
    lived = Lived(run)
    assert verdict_shares(lived, lived.players[0]) == {
        "compelling": 0.0,
        "creepy": 0.0,
        "annoying": 0.0,
        "ignored": 1.0,
    }


def test_a_contact_without_a_verdict_counts_as_ignored(totals):
    lived = Lived(totals({"a": {"profit": [1], "contacts": [100], "compelling": [25], "ignored": [50]}}))
    shares = verdict_shares(lived, lived.players[0])
    assert shares["compelling"] == pytest.approx(0.25)
    assert shares["ignored"] == pytest.approx(0.75)


@pytest.fixture(scope="module")
def make_totals(totals):
    return totals
