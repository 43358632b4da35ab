"""Claims about who was lost, when and why."""

import polars as pl
import pytest

from regulars.report import Results
from regulars.report.estimates import Lived
from regulars.report.permission import UNSAID, losses, reachable_weeks, reasons


def _lived_by(totals, days, whys):
    run = totals({"blast": {"profit": [1.0], "consumers": [len(days)]}})
    n = len(days)
    zeros = dict.fromkeys(
        ("profit_cents", "revenue_cents", "contacts", "compelling", "creepy", "annoying", "ignored"), [0] * n
    )
    who = {"world": [0] * n, "arm": ["blast"] * n, "retailer": ["chain"] * n, "consumer": list(range(n))}
    end = {"shut_out_day": days, "shut_out_reason": pl.Series(whys, dtype=pl.String)}
    people = {**who, "household_id": list(range(n)), **zeros, "redemptions": [0] * n, "trips": [0] * n, **end}
    weekly = {"world": [0, 0], "arm": ["blast"] * 2, "retailer": ["chain"] * 2, "week": [1, 0]}
    weekly |= {"metric": ["reachable"] * 2, "value": [n / 2, float(n)]}
    return Results(run.totals, pl.DataFrame(weekly), pl.DataFrame(people), about=run.about)


def test_losses_in_closed_form(totals):
    run = _lived_by(
        totals, [-1, 3, 27, 28, 100, -1, -1, -1], [None, "creepy", "annoying", "creepy", None] + [None] * 3
    )
    (loss,) = losses(run, Lived(run)).values()
    assert loss.share == 0.5
    assert loss.by_reason == {"creepy": 0.25, "annoying": 0.125, UNSAID: 0.125}
    assert loss.by_block == {
        (0, "creepy"): 0.125,
        (0, "annoying"): 0.125,
        (1, "creepy"): 0.125,
        (3, UNSAID): 0.125,
    }
    # The median day of 3, 27, 28 and 100 is 27.5, in the fourth week.
    assert loss.half == 4


def test_nobody_lost_is_nothing_lost(totals):
    run = _lived_by(totals, [-1, -1], [None, None])
    (loss,) = losses(run, Lived(run)).values()
    assert (loss.share, dict(loss.by_reason), loss.half) == (0.0, {}, None)


def test_reachable_is_a_share_of_all_in_the_order_of_weeks(totals):
    run = _lived_by(totals, [-1] * 4, [None] * 4)
    (weeks,) = reachable_weeks(run, Lived(run)).values()
    assert [week.mean for week in weeks] == [1.0, 0.5]


def test_the_losses_of_a_run_agree_with_its_totals(run):
    lived = Lived(run)
    for player, loss in losses(run, lived).items():
        assert loss.share == pytest.approx(lived.mean(player, "shut_out_share"))
        assert sum(loss.by_block.values()) == pytest.approx(sum(loss.by_reason.values()))
    assert reasons(losses(run, lived))[0] == "annoying"


def test_losses_are_of_those_within_reach_on_day_0(totals):
    run = _lived_by(totals, [-1, 3, 27, -1], [None, "creepy", "creepy", None])
    at_first = run.totals.filter(metric="consumers").with_columns(
        metric=pl.lit("reachable_start"), value=pl.lit(2.0)
    )
    run = Results(pl.concat([run.totals, at_first]), run.weekly, run.consumers, about=run.about)
    (loss,) = losses(run, Lived(run)).values()
    assert (loss.share, loss.count) == (1.0, 2)


@pytest.mark.parametrize(("lost", "said"), [(9, None), (10, 4)])
def test_when_half_were_gone_is_not_said_of_a_few(totals, lost, said):
    run = _lived_by(totals, [22] * lost, ["creepy"] * lost)
    (loss,) = losses(run, Lived(run)).values()
    assert (loss.half, loss.half_said) == (4, said)
