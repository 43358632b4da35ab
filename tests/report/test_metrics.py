"""Claims about the JSON object of a run."""

import json
import math

import pytest

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
