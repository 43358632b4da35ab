"""One consumer lived again alone is the consumer who lived among the others: for every policy."""

from dataclasses import replace

import numpy as np
import pytest

from regulars import settings
from regulars.errors import SettingError
from regulars.market import diary, run
from regulars.settings import POLICIES


@pytest.fixture(scope="module")
def folder(scenario, hamlet, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    run.simulate(scenario, place=hamlet, folder=path)
    return path


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("row", [1, 17, 149])
def test_alone_she_lives_the_year_she_lived_in_the_crowd(scenario, hamlet, folder, policy, row):
    told = diary.replay_one(scenario, hamlet, folder, row, policy, 0)
    assert told.counted == told.run_counted


def test_a_diary_tells_what_she_was_told_and_why(scenario, hamlet, folder):
    outcome_rows = [diary.replay_one(scenario, hamlet, folder, row, "considerate", 0) for row in range(8)]
    texts = [text for told in outcome_rows for text in told.entries.filter(kind="message")["text"]]
    assert texts
    assert any("about every" in text for text in texts)


def test_a_year_is_replayed_in_about_a_second(scenario, hamlet, folder):
    told = diary.replay_one(scenario, hamlet, folder, 3, "considerate", 0)
    days = scenario.days + scenario.warm_up
    assert (
        told.replay_s / days * 456 < 5
    )  # generous: machines that run tests are shared; benchmarks/ has the figure


def test_in_a_market_without_stock_she_lives_the_same_year_alone(street, street_town, tmp_path):
    with pytest.raises(SettingError, match="Without weeks_of_stock nothing runs out") as refused:
        diary.replay_one(street, street_town, tmp_path, 0, "market", 0)
    stocked = settings.parse(str(refused.value).split("\n\n")[1], "stocked.toml")
    assert stocked.name == "stocked" and stocked.mode == "market"
    open_shelves = street.changed(retailers=stocked.retailers, days=30)
    run.simulate(open_shelves, place=street_town, folder=tmp_path, threads=1)
    for row in (1, 80):
        told = diary.replay_one(open_shelves, street_town, tmp_path, row, "market", 0)
        assert told.counted == told.run_counted


def test_a_policy_with_a_budget_has_no_diary(scenario, hamlet, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from regulars.retail.contact_rules import ContactRules\n"
        "from regulars.retail.policies.blast import Blast\n"
        "class Scarce(Blast):\n    name = 'scarce'\n"
        "    def pace(self):\n        return ContactRules(budget_per_day=5)\n",
        "utf-8",
    )
    chosen = scenario.changed(policies=(f"{tmp_path}/mine.py:Scarce",), days=14)
    results = run.simulate(chosen, place=hamlet, folder=tmp_path, threads=1)
    with pytest.raises(SettingError, match="under scarce, which has a budget_per_day"):
        diary.replay_one(chosen, hamlet, tmp_path, 1, "scarce", 0)
    with pytest.warns(RuntimeWarning, match="no diary under scarce: .* budget_per_day"):
        assert not diary.with_diaries(chosen, hamlet, tmp_path, results).diaries


def test_a_diary_that_is_not_the_year_of_the_run_is_left_out_and_said(scenario, hamlet, folder, monkeypatch):
    results = run.simulate(scenario, place=hamlet, folder=folder)
    assert set(diary.with_diaries(scenario, hamlet, folder, results).diaries) == set(diary.SIDE_BY_SIDE)
    told = diary.replay_one

    def untrue(*given):
        found = told(*given)
        wrong = {**found.counted, "trips": found.counted["trips"] + 1}
        return replace(found, counted=wrong) if found.arm == "harvest" else found

    monkeypatch.setattr(diary, "replay_one", untrue)
    with pytest.warns(RuntimeWarning, match="no diary under harvest"):
        shown = diary.with_diaries(scenario, hamlet, folder, results).diaries
    assert set(shown) == {"blast", "considerate"}


def test_who_is_not_there_is_named(folder, scenario, hamlet):
    with pytest.raises(SettingError, match="no arm 'considerat'"):
        diary.replay_one(scenario, hamlet, folder, 0, "considerat", 0)


def test_the_same_people_with_the_same_luck_differ_only_by_what_they_heard(folder, scenario, hamlet):
    silent = diary.replay_one(scenario, hamlet, folder, 5, "silence", 0).entries
    considered = diary.replay_one(scenario, hamlet, folder, 5, "considerate", 0).entries
    first = considered.filter(kind="message")["day"].min()
    until = scenario.days if first is None else int(np.asarray(first))
    assert silent.filter(silent["day"] < until).equals(considered.filter(considered["day"] < until))
