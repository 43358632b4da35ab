"""Claims about what a run leaves behind."""

import json

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from regulars.errors import BadInput, RegularsError, UnknownColumn
from regulars.report import Results

ABOUT = {"scenario": "stand", "seed": 1, "days": 7, "consumers": 2, "worlds": 1}


def _totals(**changes):
    row = {"world": 0, "arm": "blast", "retailer": "chain", "policy": "blast", "group": "arms", "setting": ""}
    row |= {"level": None, "metric": "profit", "value": 1.0}
    return pl.DataFrame([row | changes])


@pytest.mark.parametrize("kind", ["run", "market"])
def test_a_saved_run_comes_back_as_it_was(kind, request, tmp_path):
    run = request.getfixturevalue(kind)
    again = Results.load(run.save(tmp_path / "run"))
    for table in ("totals", "weekly", "consumers", "moves"):
        assert_frame_equal(getattr(run, table), getattr(again, table))
    assert list(run.diaries) == list(again.diaries)
    for arm, diary in run.diaries.items():
        assert_frame_equal(diary, again.diaries[arm])
    assert run.about == again.about


def test_a_run_saved_over_another_leaves_nothing_of_it(run, market, tmp_path):
    run.save(tmp_path)
    market.save(tmp_path)
    assert Results.load(tmp_path).about == market.about
    assert not Results.load(tmp_path).diaries


def test_a_folder_that_is_no_run_is_named_with_the_mend(tmp_path):
    with pytest.raises(RegularsError, match=r"has no about\.json.*regulars simulate"):
        Results.load(tmp_path)
    with pytest.raises(RegularsError, match="nowhere is not a folder"):
        Results.load(tmp_path / "nowhere")


def test_a_run_whose_saving_was_cut_short_is_not_read(run, tmp_path):
    run.save(tmp_path)
    (tmp_path / "weekly.parquet").unlink()
    with pytest.raises(RegularsError, match=r"weekly\.parquet is missing"):
        Results.load(tmp_path)


@pytest.mark.parametrize("name", ["totals.parquet", "about.json"])
def test_a_damaged_file_is_named(run, tmp_path, name):
    run.save(tmp_path)
    (tmp_path / name).write_text("{nonsense")
    with pytest.raises(RegularsError, match=f"{name} is damaged"):
        Results.load(tmp_path)


def test_a_missing_column_is_named():
    with pytest.raises(UnknownColumn, match="'metric' is not in the table totals"):
        Results(_totals().drop("metric"), about=ABOUT)


def test_a_column_of_another_type_is_named():
    with pytest.raises(BadInput, match="totals, value"):
        Results(_totals(value="a lot"), about=ABOUT)


def test_an_unknown_group_is_refused():
    with pytest.raises(BadInput, match="'sweep' cannot be used"):
        Results(_totals(group="sweep"), about=ABOUT)


def test_a_figure_that_stands_twice_is_refused():
    with pytest.raises(BadInput, match="twice"):
        Results(pl.concat([_totals(), _totals(value=2.0)]), about=ABOUT)


def test_facts_that_every_run_must_state_are_asked_for():
    with pytest.raises(RegularsError, match="about lacks days, worlds"):
        Results(_totals(), about={"scenario": "stand", "seed": 1, "consumers": 2})


def test_facts_become_plain_json(tmp_path):
    about = ABOUT | {"wall_s": np.float64(2.5), "threads": np.int64(4), "ns_per_consumer_day": float("nan")}
    run = Results(_totals(), about=about | {"assumed": [("a", "b", "c", 0.1, 0.2)]})
    assert run.about["ns_per_consumer_day"] is None
    assert run.about["assumed"] == [["a", "b", "c", 0.1, 0.2]]
    assert json.loads((run.save(tmp_path) / "about.json").read_text())["threads"] == 4


def test_a_fact_that_json_cannot_hold_is_named():
    with pytest.raises(RegularsError, match=r"about\.versions\.numpy holds a object"):
        Results(_totals(), about=ABOUT | {"versions": {"numpy": object()}})


def test_a_notebook_shows_the_ranking(run):
    html = run._repr_html_()
    assert html.index(">harvest<") < html.index(">purchases<") < html.index(">silence<")
    assert "http" not in html


def test_a_run_is_shown_in_a_line(run):
    assert repr(run) == "<Results scenario='journey-2017' seed=1 days=365 consumers=300 worlds=6 arms=41>"
