"""What predicts customers, and what baskets give away."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from regulars import targeting
from regulars.errors import BadInput, ShapeError, UnknownColumn
from regulars.sources import complete_journey
from regulars.targeting import history, page, scores, table, tasks


@pytest.fixture(scope="module")
def panel():
    return complete_journey.load()


@pytest.fixture(scope="module")
def people(panel):
    return targeting.of_panel(panel)


def without(panel, days):
    """The panel as it was known on the morning of a day."""
    few = {name: getattr(panel, name).filter(pl.col("day") < days) for name in ("lines", "redemptions")}
    return replace(panel, **few)


def test_an_interval_covers_customers_not_rows():
    rng = np.random.default_rng(2)
    score = rng.normal(size=200)
    did = (rng.random(200) < 1 / (1 + np.exp(-score))).astype(np.uint8)
    once, _ = scores.compare(did, {"s": score}, np.arange(200), 1, {})
    ten_each = [np.repeat(column, 10) for column in (did, score, np.arange(200))]
    tenfold, _ = scores.compare(ten_each[0], {"s": ten_each[1]}, ten_each[2], 1, {})
    assert tenfold["s"].high - tenfold["s"].low == pytest.approx(once["s"].high - once["s"].low, rel=0.3)


def test_nothing_of_the_record_is_later_than_its_morning(panel, people):
    morning = 150
    whole = history.general(panel, history.by_day(panel), people.household, morning)
    then = without(panel, morning)
    known = history.general(then, history.by_day(then), people.household, morning)
    assert np.array_equal(whole, known, equal_nan=True)
    campaign = panel.campaigns.filter(pl.col("first_day") > 100).row(0, named=True)
    then = without(panel, campaign["first_day"])
    assert np.array_equal(
        tasks._about_campaign(panel, campaign, people.household),
        tasks._about_campaign(then, campaign, people.household),
        equal_nan=True,
    )


def test_codes_follow_the_order_of_the_values(panel, people):
    column = people.names.index("income")
    told = panel.households[people.household]["income"].to_list()
    code = dict(zip(told, people.codes[:, column], strict=True))
    assert code["Under 15K"] < code["15-24K"] < code["75-99K"] < code["100-124K"] < code["250K+"]
    assert people.traits["age 55 or older"].sum() == sum(
        age in ("55-64", "65+") for age in panel.households[people.household]["age"]
    )


def test_baskets_give_age_away_and_noise_gives_nothing(panel, people):
    rng = np.random.default_rng(3)
    noise = (rng.random(len(people.household)) < 0.3).astype(np.float32)
    asked = replace(people, traits={"age": people.traits["age 55 or older"], "noise": noise})
    found = {each.trait: each.score for each in tasks.inferences(panel, asked, 1, lambda _: None)}
    assert 0.78 < found["age"].mean < 0.92
    assert found["noise"].low < 0.5 < found["noise"].high


def test_an_interval_across_folds_is_wider_and_still_about_the_score():
    rng = np.random.default_rng(4)
    score, did = rng.normal(size=300), (rng.random(300) < 0.4).astype(np.uint8)
    asked = (did, {"s": score}, np.arange(300), 1, {})
    once, across = (scores.compare(*asked, wider)[0]["s"] for wider in (1.0, scores.across_folds(10)))
    assert once.mean == across.mean
    assert (across.high - across.low) / (once.high - once.low) == pytest.approx((1 + 10 / 9) ** 0.5)


@pytest.mark.slow
def test_noise_misses_a_coin_about_as_often_as_an_interval_may(panel, people):
    rng = np.random.default_rng(9)
    noise = {
        f"noise {k}": (rng.random(len(people.household)) < rng.uniform(0.1, 0.5)).astype(np.float32)
        for k in range(40)
    }
    found = tasks.inferences(panel, replace(people, traits=noise), 1, lambda _: None)
    assert sum(not each.score.low < 0.5 < each.score.high for each in found) <= 5


@pytest.mark.slow
def test_purchases_beat_demographics_and_the_same_seed_says_the_same(panel, people):
    told = tasks.redemption(panel, people, 1)
    assert told == tasks.redemption(panel, people, 1)
    gap, extra = told.differences.values()
    assert 0.05 < gap.mean < 0.15
    assert gap.low > 0
    assert extra.mean < 0.01
    assert told.rows > 2000


def own_people(tmp_path, text):
    path = tmp_path / "people.csv"
    path.write_text(text)
    return path


def test_a_table_of_people_is_joined_by_the_customers_name(panel, tmp_path):
    ids = panel.households["household_id"][:200].to_list()
    rows = "\n".join(f"{who},{'yes' if k % 3 else 'no'}" for k, who in enumerate(ids))
    people = targeting.from_file(own_people(tmp_path, f"customer,pet\n{rows}\n"), panel, "customer")
    assert people.household.tolist() == list(range(200))
    assert set(people.traits) == set(people.names) == {"pet: no"}
    assert people.traits["pet: no"][:4].tolist() == [1, 0, 0, 1]


def test_every_column_is_studied_or_named(panel, tmp_path, monkeypatch):
    """Beside a column that was studied before, in numbers, in names, and one that tells nobody from another."""
    ids = panel.households["household_id"][:400].to_list()
    ages, towns = ("25-34", "55-64", "65+"), ("Here", "There", "Elsewhere")
    rows = [
        f'{who},{ages[k % 3]},"1,{k:03}",{towns[k % 3]},{chr(97 + k // 26)}{chr(97 + k % 26)}'
        for k, who in enumerate(ids)
    ]
    text = "card,age,income,town,nickname\n" + "\n".join([*rows, "stranger,65+,1,Here,zz"]) + "\n"
    people = targeting.from_file(own_people(tmp_path, text), panel)
    assert set(people.traits) == {
        "age 55 or older", "income above 1,199", "town: Elsewhere", "town: Here", "town: There",
    }  # fmt: skip
    assert people.traits["income above 1,199"].sum() == 200
    assert people.not_studied == ("nickname",)
    assert (people.rows, people.nobody) == (401, 1)
    for name in ("redemption", "next_purchase"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "inferences", lambda *_: (guessed(0.7, 0.6),))
    told = targeting.study(panel, people)
    assert "1 of the 401 people you gave are in no purchase" in told.warnings[0]
    assert told.missing[-1].startswith("inference of nickname: no trait is told by at least 40")
    income = people.codes[:, people.names.index("income")]
    assert income.tolist() == list(range(400))
    assert people.codes[:, people.names.index("town: Here")].sum() == 134


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (
            "id,age\n1,30\n",
            UnknownColumn,
            r"^'card' is not in \S*people\.csv; it has id, age\. Name the column of the customer with --person$",
        ),
        ("card,age\n1,30\n1,31\n", BadInput, "line 3, card: '1' cannot be used. Give each customer one row"),
        ("card,age\nnobody,30\n", BadInput, "in the purchases"),
        ("card\n1\n", BadInput, "add a column"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(panel, tmp_path, text, error, words):
    with pytest.raises(error, match=words):
        targeting.from_file(own_people(tmp_path, text), panel)


def test_too_few_people_are_refused(panel, people):
    few = replace(people, household=people.household[:10], codes=people.codes[:10], traits={})
    with pytest.raises(ShapeError, match="10 customers told who they are"):
        targeting.study(panel, few)


def test_the_page_says_what_cannot_be_told(people):
    told = targeting.Targeting("own", 900, 801, 1, None, None, (), ("redemption: no campaigns",))
    text = page.render(told)
    assert "What these data cannot tell" in text and "redemption: no campaigns" in text
    assert "<script" not in text and "http://" not in text and "https://" not in text


def guessed(mean, low, trait="kids 0"):
    score = scores.Estimate(mean, low, mean + (mean - low))
    return tasks.Inference(trait, 801, 0.34, score, ("baby food", "diapers", "candy"))


def test_a_guess_no_better_than_a_coin_is_not_said_to_give_anything_away():
    told = targeting.Targeting("own", 900, 801, 1, None, None, (guessed(0.52, 0.47),), ())
    assert page.lede(told) == [
        "No trait that people told can be told from their baskets surely better than by a coin."
    ]
    both = replace(told, inferences=(guessed(0.56, 0.47), guessed(0.55, 0.51, "age 55")))
    assert "give away age 55 best" in page.lede(both)[0]
    text = page.render(told)
    assert "trees and of a ridge" in text and text.count('class="scroll fit"') == 1 and "34% of 801" in text


def test_purchases_without_categories_are_no_reassurance(panel, people, monkeypatch, capsys):
    for name in ("redemption", "next_purchase", "inferences"):
        monkeypatch.setattr(tasks, name, lambda *_, name=name: () if name == "inferences" else None)
    assert targeting.study(panel, people).warnings == ()
    told = targeting.study(replace(panel, categories=panel.categories[:1]), people)
    told = replace(told, inferences=(guessed(0.52, 0.47),))
    table.show(told)
    printed = " ".join(capsys.readouterr().out.split())
    for text in (printed, page.render(told)):
        assert "your purchases name no categories: give --products" in text
    assert "no reassurance" in page.lede(told)[0]
