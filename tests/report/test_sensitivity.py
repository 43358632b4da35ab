"""Claims about which priors a lead hangs on, against worlds where that is known."""

import numpy as np
import pytest

from regulars.report import charts, findings, page
from regulars.report.sensitivity import FEWEST_WORLDS, sensitivity

WORLDS = 60


@pytest.fixture
def drawn(totals):
    """A run in which considerate leads blast by 10 less 20 times creep_pull, with noise of other draws."""

    def make(worlds=WORLDS, slope=20.0):
        rng = np.random.default_rng(5)
        priors = {f"prior_{k}": rng.random(worlds) for k in range(30)} | {"creep_pull": rng.random(worlds)}
        lead = 10 - slope * priors["creep_pull"] + rng.normal(0, 1, worlds)
        level = 100 + rng.normal(0, 20, worlds)
        run = totals(
            {
                "considerate": {"profit": (level + lead).tolist()},
                "blast": {"profit": level.tolist()},
                "harvest": {"profit": (level - 50).tolist()},
            }
        )
        run.about["drawn"] = {name: values.tolist() for name, values in priors.items()}
        return run

    return make


def test_the_prior_that_moves_the_lead_comes_first_and_stands_out(drawn):
    found = sensitivity(drawn())
    first = found.movers[0]
    assert first.prior == "creep_pull" and first.stands_out and first.correlation < -0.9
    assert first.leads_low == 1.0 and first.leads_high == 0.0
    assert first.low.mean > 0 > first.high.mean
    assert (found.reference, found.rival, found.worlds) == ("considerate", "blast", WORLDS)


def test_priors_that_move_nothing_do_not_stand_out(drawn):
    found = sensitivity(drawn(slope=0.0))
    assert sum(mover.stands_out for mover in found.movers) <= 1
    assert 0.2 < found.chance < 0.6
    assert "creep_pull" in [mover.prior for mover in found.shown()]


def test_the_lead_is_over_the_best_other_policy_of_each_world(drawn):
    run = drawn()
    found = sensitivity(run)
    profit = {
        arm: run.totals.filter(arm=arm)["value"].to_numpy() for arm in ("considerate", "blast", "harvest")
    }
    lead = profit["considerate"] - np.maximum(profit["blast"], profit["harvest"])
    assert found.lead.mean == pytest.approx(lead.mean())
    assert found.leads == (lead > 0).mean()


def test_too_few_worlds_say_nothing(drawn):
    assert sensitivity(drawn(FEWEST_WORLDS - 1)) is None
    assert sensitivity(drawn(FEWEST_WORLDS)) is not None


def test_a_conclusion_that_hangs_on_a_prior_is_a_warning(drawn):
    (told,) = (w for w in findings._drawn_warnings(drawn()) if "creep_pull" in w)
    assert "hangs on creep_pull" in told and "100% of the worlds where that is low" in told
    assert not findings._drawn_warnings(drawn(slope=0.0))


def test_it_is_drawn_for_a_desk_and_for_a_phone(drawn):
    found = sensitivity(drawn())
    for width in (charts.HALF, charts.NARROW):
        assert "creep_pull" in charts.svg(charts.sensitivity(found, width, "USD"), "s")


def test_the_page_has_a_section_only_with_draws(run):
    assert "What the ranking hangs on" not in page.render(run)
