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


@pytest.mark.parametrize("mean", [0.5, 0.7, 0.995])
def test_an_interval_across_folds_is_wider_about_the_score_and_within_reason(mean):
    once = scores.Estimate(mean, mean - 0.004, mean + 0.004)
    across = scores.across_folds(once, 10)
    assert across.mean == mean
    assert 0 < across.low < once.low < mean < once.high < across.high < 1
    if mean == 0.5:
        assert across.high - across.low == pytest.approx(0.008 * (1 + 10 / 9) ** 0.5, rel=1e-3)


@pytest.mark.slow
def test_noise_misses_a_coin_about_as_often_as_an_interval_may(panel, people):
    rng = np.random.default_rng(9)
    noise = {
        f"noise {k}": (rng.random(len(people.household)) < rng.uniform(0.1, 0.5)).astype(np.float32)
        for k in range(40)
    }
    found = tasks.inferences(panel, replace(people, traits=noise), 1, lambda _: None)
    assert sum(not each.score.low < 0.5 < each.score.high for each in found) <= 5


def test_what_is_known_of_a_category_is_not_later_than_its_morning(panel, people):
    """Neither the features nor the order of rows see what came later; only the answer does."""
    morning, chosen = 250, np.arange(30)
    few = targeting.People(people.household[:200], people.names, people.codes[:200], {}, {})

    def rows(known):
        lines = known.lines.join(known.products.select("product", "category"), on="product")
        pairs = lines.select("household", "category", "day").unique().sort("household", "category", "day")
        return tasks._category_rows(known, few, pairs, history.by_day(known), chosen, morning)

    who, category, x, did = rows(panel)
    then_who, then_category, then_x, then_did = rows(without(panel, morning))
    assert np.array_equal(who, then_who) and np.array_equal(category, then_category)
    assert np.array_equal(x, then_x, equal_nan=True)
    assert did.sum() > 500 and not then_did.any()


def test_campaigns_that_are_learned_from_know_nothing_of_redemptions_after_the_split(
    panel, people, monkeypatch
):
    seen = []
    monkeypatch.setattr(tasks, "_judge", lambda *given, **_: seen.append(given))
    split = int(panel.days * 7 / 12)
    tasks.redemption(panel, people, 1)
    tasks.redemption(without(panel, split), people, 1)
    (*_, sets, did, _, late, _), (*_, then, _, _, _) = seen
    early = sets[tasks.WHAT][1]
    assert early.sum() > 500 and not (early & late).any()
    assert np.array_equal(did[early], then[early]) and did[early].any()
    assert did[~early].any() and not then[~early].any()


@pytest.mark.slow
def test_next_purchases_are_told_by_purchases_and_hardly_by_who_they_are(panel, people):
    told = tasks.next_purchase(panel, people, 1)
    gap, extra = told.differences.values()
    assert 0.80 < told.scores[tasks.WHAT].mean < 0.85 and 0.12 < gap.low < gap.high < 0.19
    assert abs(extra.mean) < 0.005 and told.rows == 2 * 40 * len(people.household)
    assert "two pairs of customer and category" in page.says(told)


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


def told_by(panel, tmp_path, count=400, **columns):
    """People who told so: each column a function of how many came before."""
    ids = panel.households["household_id"][:count].to_list()
    header = ",".join(["card", *columns])
    rows = [",".join([str(who), *(str(of(k)) for of in columns.values())]) for k, who in enumerate(ids)]
    return own_people(tmp_path, "\n".join([header, *rows]) + "\n")


def test_a_table_of_people_is_joined_by_the_customers_name(panel, tmp_path):
    ids = panel.households["household_id"][:200].to_list()
    rows = "\n".join(f"{who},{'yes' if k % 3 else 'no'}" for k, who in enumerate(ids))
    people = targeting.from_file(own_people(tmp_path, f"customer,pet\n{rows}\n"), panel, "customer")
    assert people.household.tolist() == list(range(200))
    assert set(people.traits) == set(people.names) == {"pet: no"}
    assert people.traits["pet: no"][:4].tolist() == [1, 0, 0, 1]


def test_every_column_is_studied_or_named_with_why(panel, tmp_path):
    ages, towns = ("18-34", "35-54", "55-64", "65-74", "75+"), ("Here", "There", "Elsewhere")
    path = told_by(
        panel, tmp_path,
        age=lambda k: ages[k % 5], income=lambda k: f'"1,{k:03}"', balance=lambda k: k * 7 % 400 - 300,
        town=lambda k: towns[k % 3],
        city=lambda k: towns[k % 3].upper(), household=lambda k: k % 2, land=lambda k: "DE", fax=lambda k: "",
        nickname=lambda k: f"{chr(97 + k // 26)}{chr(97 + k % 26)}", note=lambda k: f"likes {k} & more",
        born=lambda k: f"{k % 12 + 1:02}/{k % 28 + 1:02}/1970", joined=lambda k: f"20{k % 20:02}-01-02",
    )  # fmt: skip
    people = targeting.from_file(path, panel)
    assert set(people.traits) == {
        *(f"age: {band}" for band in ages), "income above 1,199", "balance above -101", "household: 1",
        "joined above 2009-01-02", *(f"town: {town}" for town in towns),
    }  # fmt: skip
    assert people.household.tolist() == list(range(400))
    few = "no value is told by at least 40 who have it and 40 who have not"
    assert people.not_studied == {
        "it tells the same people apart as a column before it": ("city",),
        "all who told say 'DE'": ("land",),
        "nobody told": ("fax",),
        few: ("nickname", "note"),
        "its dates are not written as YYYY-MM-DD": ("born",),
    }
    assert people.codes[:, people.names.index("income")].tolist() == list(range(400))
    assert people.codes[:, people.names.index("balance")].tolist() == [k * 7 % 400 for k in range(400)]
    assert people.codes[:, people.names.index("town: Here")].sum() == 134
    assert people.codes[:5, people.names.index("age")].tolist() == [0, 1, 2, 3, 4]


def test_a_cell_without_an_answer_is_not_told(panel, tmp_path):
    """Empty, a word for it, or no number among numbers; never a value of its own, and never a no."""
    path = told_by(
        panel, tmp_path,
        pet=lambda k: ("yes", "no", "", "unknown")[k % 4], age=lambda k: ("", "?")[k % 2] if k % 10 == 0 else 18 + k % 60,
    )  # fmt: skip
    people = targeting.from_file(path, panel)
    assert set(people.traits) == {"pet: yes", "age above 46"}
    assert np.isnan(people.traits["pet: yes"]).sum() == 180 and (people.traits["pet: yes"] == 0).sum() == 100
    assert np.isnan(people.traits["age above 46"]).sum() == 20
    assert len(people.household) == 400 - 20 and people.left_out == {"telling nothing": 20}


def test_numbers_of_a_parquet_are_numbers(panel, tmp_path):
    ids = panel.households["household_id"][:400]
    age = [None if k % 4 == 0 else float("nan") if k % 4 == 1 else float(k) for k in range(400)]
    path = tmp_path / "people.parquet"
    pl.DataFrame({"card": ids, "age": age, "score": [1e-7 * k for k in range(400)]}).write_parquet(path)
    people = targeting.from_file(path, panel)
    assert people.codes[:, people.names.index("score")].tolist() == list(range(400))
    assert np.isnan(people.codes[:, people.names.index("age")]).sum() == 200
    assert len(people.traits) == 2 and people.not_studied == {}


def test_what_is_left_out_of_a_table_of_people_is_told(panel, tmp_path, monkeypatch):
    path = told_by(
        panel,
        tmp_path,
        100,
        pet=lambda k: ("yes", "no")[k % 2],
        town=lambda k: "Z\u00fcrich" if k % 4 else "Bern",
    )
    text = path.read_text() + "stranger,yes,Bern\n,no,Bern\n" + "torn\n"
    path.write_bytes(text.encode("latin-1"))
    people = targeting.from_file(path, panel)
    assert people.rows == 103
    assert people.left_out == {
        "in no purchase": 1, "without a customer": 1, "bad encoding": 75, "wrong number of fields": 1,
    }  # fmt: skip
    people = targeting.from_file(path, panel, encoding="latin-1")
    assert "bad encoding" not in people.left_out and len(people.household) == 100
    for name in ("redemption", "next_purchase"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "inferences", lambda *_: (guessed(0.7, 0.6),))
    told = targeting.study(panel, people)
    assert (
        "3 of the 103 rows of people are left out (1 in no purchase, 1 without a customer and 1 wrong"
        in told.warnings[0]
    )
    assert told.missing[-1].startswith("inference of town: no value is told by at least 40")


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
    with pytest.raises(ShapeError, match="10 of the customers told who they are"):
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
    assert (
        "give away \N{LEFT DOUBLE QUOTATION MARK}age 55\N{RIGHT DOUBLE QUOTATION MARK} best"
        in page.lede(both)[0]
    )
    text = page.render(told)
    assert (
        "Traits are guessed by a ridge" in text
        and "trees and of a ridge" not in text
        and text.count('class="scroll fit"') == 1
        and "34% of 801" in text
    )


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
