"""Claims about the best frequency and the priors that no data can tell, against closed forms."""

import pytest

from regulars.report import captions, charts
from regulars.report.sweeps import frequency, priors, turns

LEVELS = (0.0, 2.0, 4.0, 6.0, 8.0)


def _swept(totals, profits, silence=(0.0, 0.0)):
    """A run with a frequency sweep of blast: a list of profits over LEVELS for each world."""
    arms = totals({"silence": {"profit": list(silence)}})
    sweep = {
        f"blast@{level:g}": {"profit": [world[i] for world in profits]} for i, level in enumerate(LEVELS)
    }
    settings = {f"blast@{level:g}": ("per_week", level) for level in LEVELS}
    return totals(sweep, "frequency", settings, more=arms)


def _hill(best):
    return [100.0 - (level - best) ** 2 for level in LEVELS]


def test_the_best_frequency_is_the_peak_of_the_mean_curve_and_of_each_world(totals):
    (curve,) = frequency(_swept(totals, [_hill(4.0), _hill(6.0)]), ["profit"])
    # Means: 90, ..., the worlds peak at 4 and 6; both mean levels tie but 4 comes first.
    assert curve.best in (4.0, 6.0)
    assert curve.best_by_world == {0: 4.0, 1: 6.0}
    assert (curve.interior, curve.interior_worlds) == (True, 2)


def test_both_sides_of_the_peak_are_judged_at_the_levels_tried_beside_it(totals):
    (curve,) = frequency(_swept(totals, [_hill(4.0)] * 2), ["profit"])
    assert (curve.below.level, curve.above.level) == (2.0, 6.0)
    # 100 at 4, 96 at 2 and at 6.
    assert curve.below.share == curve.above.share == pytest.approx(0.04)
    assert curve.below.sure and curve.above.sure and curve.sure


def test_a_loss_beside_the_peak_is_sure_only_where_its_interval_leaves_out_zero(totals):
    (curve,) = frequency(_swept(totals, [_hill(4.0), _hill(5.5)]), ["profit"])
    assert curve.best == 4.0
    # At 6 the worlds lose 4 and gain 2; at 2 they lose 4 and 10, which two worlds do not make sure.
    assert not curve.above.sure and not curve.below.sure and not curve.sure
    said = captions.frequency([curve])
    assert "2 allowed loses" in said and "6 allowed loses" in said and "neither surely" in said


def test_a_sweep_says_by_whom_and_in_how_many_worlds_it_was_lived():
    about = {"consumers": 2469, "sweep_consumers": 500}
    said = captions.sample(about, 2, 4)
    assert "in 2 of 4 worlds, by 500 of the 2,469 consumers" in said
    assert "fewer people and worlds than in the table" in said and "not with that table" in said
    assert captions.sample({"consumers": 9}, 4, 4) == " Lived in all 4 worlds."


def test_a_loss_is_also_a_share_of_the_gain_over_silence(totals):
    (curve,) = frequency(_swept(totals, [_hill(4.0)] * 2, silence=(90.0, 90.0)), ["profit"])
    assert curve.over_silence
    assert curve.estimates[2].mean == pytest.approx(10.0)
    assert curve.below.of_gain == pytest.approx(0.4)


@pytest.mark.parametrize(("best", "end"), [(-3.0, 0.0), (20.0, 8.0)])
def test_a_peak_at_the_end_is_not_interior(totals, best, end):
    (curve,) = frequency(_swept(totals, [_hill(best)] * 2), ["profit"])
    assert (curve.best, curve.interior, curve.interior_worlds) == (end, False, 0)


def test_a_side_outside_of_the_levels_tried_is_not_judged(totals):
    (curve,) = frequency(_swept(totals, [_hill(20.0)] * 2), ["profit"])
    assert curve.above is None


def test_a_run_without_sweeps_has_neither_curves_nor_standings(totals):
    run = totals({"blast": {"profit": [1.0]}})
    assert frequency(run) == []
    assert priors(run) == []


def _with_priors(totals, drawn, swept):
    arms = totals({policy: {"profit": values} for policy, values in drawn.items()})
    names = {"low": 0.1, "high": 0.9}
    sweep = {f"{policy}|creep_pull={name}": {"profit": values} for (policy, name), values in swept.items()}
    settings = {f"{policy}|creep_pull={name}": ("creep_pull", names[name]) for policy, name in swept}
    return totals(sweep, "prior", settings, more=arms)


def test_a_prior_that_changes_the_leader_turns_the_ranking(totals):
    run = _with_priors(
        totals,
        {"considerate": [10, 20], "harvest": [11, 22], "blast": [99, 99]},
        {
            ("considerate", "low"): [10, 20],
            ("harvest", "low"): [13, 23],
            ("considerate", "high"): [10, 20],
            ("harvest", "high"): [8, 19],
        },
    )
    rows = priors(run, ["profit"])
    # Blast was not swept, so it is not in the comparison as drawn either.
    assert [(row.name, row.leader) for row in rows] == [
        ("as drawn", "harvest"),
        ("low", "harvest"),
        ("high", "considerate"),
    ]
    assert [row.against["harvest"].interval.mean for row in rows] == [1.5, 3.0, -1.5]
    assert [row.ahead.holds for row in rows] == [2, 2, 2]
    assert list(turns(rows)) == ["creep_pull"]
    assert "(1 of 3 leads is sure)" in captions.priors(rows)


def test_a_prior_that_leaves_the_leader_does_not_turn_the_ranking(totals):
    same = {
        (policy, level): [v, v]
        for policy, v in (("considerate", 2), ("harvest", 1))
        for level in ("low", "high")
    }
    run = _with_priors(totals, {"considerate": [2, 2], "harvest": [1, 1]}, same)
    assert turns(priors(run, ["profit"])) == {}


def test_as_drawn_is_taken_from_the_worlds_that_were_swept(totals):
    run = _with_priors(
        totals,
        {"considerate": [1, 100], "harvest": [2, 0]},
        {("considerate", "low"): [1], ("harvest", "low"): [2]},
    )
    drawn = priors(run, ["profit"])[0]
    assert (drawn.leader, drawn.ahead.interval.worlds) == ("harvest", 1)


@pytest.mark.parametrize(("written", "said"), [("low", "low"), ("0.123", "0.123"), ("-1.2", "-1.2")])
def test_a_level_is_called_by_its_name_or_by_its_value_in_short(totals, written, said):
    level = 0.12345678 if written == "low" else float(written)
    swept = {f"{policy}|u0={written}": {"profit": [1.0]} for policy in ("considerate", "harvest")}
    run = totals(swept, "prior", dict.fromkeys(swept, ("u0", level)))
    assert [row.name for row in priors(run, ["profit"])] == [said]


def test_what_was_sent_stands_beside_what_was_allowed(totals):
    sweep = {f"blast@{n}": {"profit": [n, n], "contacts": [520, 730], "consumers": [10, 10]} for n in (1, 9)}
    run = totals(sweep, "frequency", {f"blast@{n}": ("per_week", float(n)) for n in (1, 9)})
    (curve,) = frequency(run, ["profit"])
    assert curve.levels == (1.0, 9.0)
    assert curve.sent == pytest.approx((1.2, 1.2), rel=0.01)


def test_a_flat_curve_has_no_best_level_to_mark(totals):
    (curve,) = frequency(_swept(totals, [[5.0] * len(LEVELS)] * 2), ["profit"])
    assert curve.flat
    chart = charts.frequency([curve], charts.HALF, "USD")
    assert charts.svg(chart, "flat").startswith("<svg")
