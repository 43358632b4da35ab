"""Claims about the JSON object of a run."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.report import summary
from regulars.report.estimates import DERIVED


def _leaves(value):
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


@pytest.mark.parametrize("kind", ["run", "market"])
def test_the_summary_is_plain_json_without_nan(kind, request):
    found = summary(request.getfixturevalue(kind))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {type(leaf) for leaf in _leaves(found)} <= {str, int, float, bool, type(None)}


def test_the_summary_counts_who_left_whom_for_whom_and_why(market, run):
    moves = summary(market)["moves"]
    assert sum(move["count"] for move in moves) == market.moves.height > 0
    first = moves[0]
    same = market.moves.filter(lost_by=first["from"], won_by=first["to"], reason=first["reason"])
    assert first["count"] == same.height == max(move["count"] for move in moves)
    assert summary(run)["moves"] == []


def test_the_summary_of_figures_that_are_not_finite_is_plain_json_too(totals):
    found = summary(totals({"a": {"profit": [math.nan, 1.0], "trust": [math.nan, math.nan]}}))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_summary_holds_every_metric_of_every_arm(run):
    found = summary(run)
    metrics = [*run.totals["metric"].unique(), *DERIVED]
    assert next(arm["policy"] for arm in found["arms"]) == "harvest"
    for arm in found["arms"]:
        for metric in metrics:
            assert arm[metric]["low"] <= arm[metric]["mean"] <= arm[metric]["high"]
        assert sum(arm["verdicts"].values()) == 1.0
        assert arm["lift"]["worlds"] == 6
    assert found["seed"] == 1
    assert len(found["pairs"]) == 2 * 7 * 6 // 2
    assert {curve["policy"] for curve in found["frequency"]["curves"]} == {"blast", "considerate"}
    assert all(curve["interior"] for curve in found["frequency"]["curves"] if curve["metric"] == "profit")
    assert {row["prior"] for row in found["priors"]} == {"creep_pull", "covert_notice", "disclosure_salience"}


def test_with_one_world_there_is_no_low_nor_high(totals):
    found = summary(totals({"silence": {"profit": [5.0]}, "blast": {"profit": [7.0]}}))
    (first, _) = found["arms"]
    assert first["profit"] == {"mean": 7.0, "low": None, "high": None}
    assert (first["lift"]["mean"], first["lift"]["low"], first["lift"]["high"]) == (2.0, None, None)
    assert found["pairs"][0]["low"] is None


def test_figures_have_six_digits_or_cents(totals):
    found = summary(
        totals({"a": {"profit": [1234567.891, 1234567.891], "trust": [0.123456789, 0.123456789]}})
    )
    assert found["arms"][0]["profit"]["mean"] == 1234567.89
    assert found["arms"][0]["trust"]["mean"] == 0.123457


@given(st.lists(st.integers(0, 10**6), min_size=4, max_size=4).filter(sum))
def test_verdict_shares_are_short_and_still_make_one(totals, counts):
    names = ("compelling", "creepy", "annoying", "ignored")
    arm = {name: [n] for name, n in zip(names, counts, strict=True)}
    (found,) = summary(totals({"a": {"profit": [1.0], "contacts": [sum(counts)]} | arm}))["arms"]
    shares = found["verdicts"]
    assert sum(shares.values()) == 1.0
    for name, n in zip(names, counts, strict=True):
        assert shares[name] == pytest.approx(n / sum(counts), abs=4e-6)
    assert all(len(str(shares[name])) <= 8 for name in names[:3] if shares[name] >= 1e-4)


def test_a_verdict_share_is_written_as_a_person_would(totals):
    arm = {"profit": [1], "contacts": [100], "compelling": [24], "ignored": [76]}
    (found,) = summary(totals({"a": arm}))["arms"]
    assert found["verdicts"] == {"compelling": 0.24, "creepy": 0.0, "annoying": 0.0, "ignored": 0.76}
