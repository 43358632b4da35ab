"""Claims about what a run says: the headline and the warnings."""

import json

import pytest

from regulars.report import Results, headline, summary, warnings


def _arms(**profits):
    return {
        policy: {"profit": values, "base_value": [0.0] * len(values)} for policy, values in profits.items()
    }


def test_it_is_said_when_considerate_does_not_lead(totals):
    run = totals(_arms(considerate=[100, 100, 100, 100], harvest=[103, 103.5, 102.5, 103]))
    assert warnings(run)[0] == (
        "Considerate does not lead by first-year profit: harvest earns 3.0% more, ahead in all 4 worlds."
    )


def test_it_is_said_when_considerate_leads_but_not_surely(totals):
    run = totals(_arms(considerate=[100, 100, 100, 110], harvest=[101, 101, 101, 90]))
    assert "leads by first-year profit, but not surely" in warnings(run)[0]
    assert "in 1 of 4 worlds" in warnings(run)[0]


def test_nothing_is_said_of_the_ranking_when_considerate_surely_leads(totals):
    run = totals(_arms(considerate=[100, 101, 102, 103], harvest=[90, 91, 92, 94]))
    assert not any("Considerate" in warning for warning in warnings(run))


def test_it_is_said_which_prior_turns_the_ranking(run):
    said = [warning for warning in warnings(run) if "turns with" in warning]
    assert any("creep_pull" in warning and "considerate leads at 0.6" in warning for warning in said)


def test_it_is_said_when_no_prior_was_swept(totals):
    assert any("not swept" in warning for warning in warnings(totals(_arms(a=[1, 2, 3, 4]))))


def test_it_is_said_when_the_best_frequency_lies_at_an_end(totals):
    arms = totals(_arms(silence=[0, 0]))
    sweep = {f"blast@{n}": {"profit": [n, n]} for n in (1, 2, 3)}
    run = totals(sweep, "frequency", {f"blast@{n}": ("per_week", float(n)) for n in (1, 2, 3)}, more=arms)
    assert any("where the most contacts tried are allowed, 3 a week" in warning for warning in warnings(run))


@pytest.mark.parametrize(("worlds", "said"), [(1, "only one world"), (2, "only 2 worlds")])
def test_few_worlds_are_named(make, worlds, said):
    assert any(said in warning.lower() for warning in warnings(make(worlds=worlds, consumers=40)))


def test_an_arm_that_was_stopped_early_is_named(totals):
    run = totals({"a": {"profit": [1, 2, 3, 4]}, "b": {"profit": [1, 2]}})
    assert any("B was lived in 2 of 4 worlds only" in warning for warning in warnings(run))


def test_the_headline_names_who_earns_most_and_who_is_worth_most(run):
    title = headline(run).title
    assert title.startswith("Harvest is ahead in the first year, but not surely;")
    assert title.endswith("considerate leads once the customers who remain are counted")


def test_the_headline_is_plain_when_one_policy_leads_in_all(make):
    assert headline(make(worlds=4, leader="considerate")).title.startswith(
        "Considerate earns most in the first year"
    )


def test_the_lede_says_how_sure_and_who_burns_permission(run):
    first, *_, last = headline(run).lede
    assert "of 6 worlds" in first
    assert "95% interval" in first
    assert "blast burns the most permission" in last


def test_a_run_without_arms_says_so(totals):
    run = totals({"blast@2": {"profit": [1.0]}}, "frequency", {"blast@2": ("per_week", 2.0)})
    assert headline(run).title == "Nothing was lived"
    assert json.dumps(summary(run), allow_nan=False)


def test_what_the_run_says_of_itself_is_warned_of(run):
    about = dict(run.about) | {
        "finished": 3,
        "planned": 9,
        "ablate": ["irritation"],
        "pinned": {"theta": 0.5},
    }
    said = " ".join(warnings(Results(run.totals, about=about)))
    assert "The run was stopped: 3 of 9 arms were finished." in said
    assert "Taken out of the consumers in this run: irritation." in said
    assert "Pinned, the same in every world: theta at 0.5." in said


def test_a_run_of_ninety_days_does_not_speak_of_a_year(totals):
    run = totals(_arms(considerate=[1, 1], harvest=[2, 2]), days=90)
    words = " ".join([headline(run).title, *headline(run).lede, *warnings(run)])
    assert "90 days" in words
    assert "year" not in words


def test_it_is_said_when_another_policy_surely_keeps_more_within_reach(totals):
    base = {"profit": [5, 5, 5], "contacts": [9, 9, 9], "consumers": [100, 100, 100]}
    run = totals(
        {"considerate": base | {"reachable": [80, 81, 82]}, "history": base | {"reachable": [90, 92, 94]}}
    )
    assert any("history keeps 92%, considerate 81%" in warning for warning in warnings(run))
    close = totals(
        {"considerate": base | {"reachable": [80, 81, 82]}, "history": base | {"reachable": [81, 80, 83]}}
    )
    assert not any("within reach" in warning for warning in warnings(close))


def test_a_tie_of_all_is_said_and_names_no_leader(totals):
    still = {"profit": [5, 7], "base_value": [1, 2], "contacts": [0, 0], "consumers": [9, 9]}
    run = totals({name: still for name in ("silence", "blast", "considerate")})
    answer = headline(run)
    assert answer.title == "All policies lived the same: nothing was sent"
    assert "Every policy earned" in answer.lede[0] and "more" not in " ".join(answer.lede)
    assert any("cannot tell them apart" in warning for warning in warnings(run))
    assert not any("leads" in warning or "does not lead" in warning for warning in warnings(run))
    assert json.dumps(summary(run), allow_nan=False)


def test_leaders_that_tie_are_named_together(totals):
    run = totals(_arms(silence=[1, 2], blast=[4, 5], considerate=[4, 5]))
    assert headline(run).title == "Blast and considerate earn the same in the first year, ahead of the others"
    assert "blast and considerate earn the same" in " ".join(warnings(run)).lower()
    assert "more than silence" in headline(run).lede[0]


def test_the_second_place_may_be_shared(totals):
    run = totals(_arms(considerate=[4, 5, 9], silence=[4, 4, 4], blast=[4, 4, 4]))
    assert "ahead of blast and silence" in warnings(run)[0]


def test_it_is_said_when_there_was_nothing_to_offer(run):
    about = dict(run.about) | {"no_offers": "The data have no discount"}
    assert warnings(Results(run.totals, about=about))[0] == "The data have no discount."


@pytest.mark.parametrize(("sent", "warned"), [(200, False), (900, True)])
def test_a_policy_that_stops_before_its_cap_needs_no_best_frequency(totals, sent, warned):
    year = 365 / 7 * 100  # of 100 customers
    sweep = {
        f"blast@{n}": {"profit": [n, n], "contacts": [year * n * sent / 1000] * 2, "consumers": [100] * 2}
        for n in (1, 2, 9)
    }
    levels = {f"blast@{n}": ("per_week", float(n)) for n in (1, 2, 9)}
    run = totals(sweep, "frequency", levels, more=totals(_arms(silence=[1, 1])))
    assert any("No best frequency" in warning for warning in warnings(run)) == warned


def test_a_sweep_that_changes_nothing_has_no_best_frequency(totals):
    sweep = {f"blast@{n}": {"profit": [3, 4]} for n in (1, 2, 3)}
    levels = {f"blast@{n}": ("per_week", float(n)) for n in (1, 2, 3)}
    run = totals(sweep, "frequency", levels, more=totals(_arms(silence=[3, 4])))
    assert not any("frequency" in warning for warning in warnings(run))


def _kept(*reachable, contacts=9):
    n = len(reachable)
    return {
        "contacts": [contacts] * n,
        "consumers": [100] * n,
        "reachable": list(reachable),
        "shut_out": [100 - left for left in reachable],
    }


def test_who_hardly_writes_is_no_rival_in_keeping_customers(totals):
    earns = {"considerate": [9, 9.1, 9.2], "history": [5, 5, 5], "blast": [4, 4, 4]}
    kept = {"considerate": _kept(80, 81, 82), "blast": _kept(50, 51, 52)}
    kept["history"] = _kept(99, 100, 99, contacts=1)
    run = totals(
        {name: {"profit": values, "base_value": [0, 0, 0]} | kept[name] for name, values in earns.items()}
    )
    assert headline(run).title == "Considerate earns most in the first year and keeps the most customers"
    assert not any("within reach" in warning for warning in warnings(run))
    assert "considerate keeps 81% of those it could reach at first" in headline(run).lede[-1]


def test_nobody_keeps_the_most_where_all_keep_all(totals):
    earns = {"considerate": [9, 9.1, 9.2], "blast": [4, 4, 4]}
    run = totals(
        {
            name: {"profit": values, "base_value": [0, 0, 0]} | _kept(100, 100, 100)
            for name, values in earns.items()
        }
    )
    assert "keeps the most" not in headline(run).title


def test_it_is_said_when_leads_at_the_levels_of_a_prior_are_not_sure(totals):
    sweep = {
        f"{policy}|u0={level}": {"profit": values}
        for level in (1, 2)
        for policy, values in {"considerate": [5, 9], "harvest": [4, 1]}.items()
    }
    levels = {arm: ("u0", float(arm[-1])) for arm in sweep}
    run = totals(sweep, "prior", levels, more=totals(_arms(considerate=[5, 9], harvest=[4, 1])))
    said = [warning for warning in warnings(run) if "levels tried of the priors" in warning]
    assert said and "no lead is sure by first-year profit" in said[0] and "in 2 worlds" in said[0]
