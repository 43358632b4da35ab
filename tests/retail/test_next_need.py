"""Claims about the next basket, on a slice of real purchases."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from regulars.errors import ShapeError
from regulars.retail import next_need
from regulars.retail.next_need import Groups, NeedWeights, Purchases
from regulars.sources import complete_journey

DAY = 250
WEIGHTS = NeedWeights(
    own=0.3, shared=0.4, single=0.6, again=0.9, trend=0.5, due=1.5, due_square=-0.7, group=0.1
)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Household, day, type and category of the purchases of 80 households."""
    panel = complete_journey.load()
    lines = panel.lines.filter(pl.col("household") < 80)
    table = lines.join(panel.products.select("product", "type", "category"), on="product")
    return (
        table.select("household", "day", "type", "category")
        .unique(["household", "day", "type"])
        .filter(pl.col("day").max().over("household") >= DAY)
        .with_columns(pl.col("household").rank("dense") - 1)
        .sort("household", "day", "type")
    )


def _history(rows: pl.DataFrame) -> Purchases:
    return next_need.purchases(rows["household"], rows["day"], rows["day"], rows["type"])


def _groups(rows: pl.DataFrame) -> Groups:
    group = np.zeros(int(rows["type"].max()) + 1, np.int64)  # type: ignore[arg-type]
    group[rows["type"].to_numpy()] = rows["category"].to_numpy()
    return Groups(group, np.zeros(len(group), np.int64))


def _shuffled(rows: pl.DataFrame, from_day: int) -> pl.DataFrame:
    """The same up to the day; from then on everybody's types are dealt anew."""
    rng = np.random.default_rng(5)
    types = rows["type"].to_numpy().copy()
    late = rows["day"].to_numpy() >= from_day
    types[late] = rng.permutation(types[late])
    dealt = rows.with_columns(pl.Series("type", types)).unique(["household", "day", "type"])
    return dealt.sort("household", "day", "type")


@pytest.mark.parametrize("day_known", [True, False])
def test_shuffling_the_future_changes_no_prediction(rows, day_known):
    groups = _groups(rows)
    real, dealt = _history(rows), _history(_shuffled(rows, DAY))
    assert not np.array_equal(real.item, dealt.item)
    # The first basket of each household from that day on: all before it is the past.
    baskets = [
        history.customer_ptr[:-1]
        + np.array(
            [
                np.searchsorted(history.day[a:b], DAY)
                for a, b in zip(history.customer_ptr[:-1], history.customer_ptr[1:], strict=True)
            ]
        )
        for history in (real, dealt)
    ]
    found = [
        next_need.cases(history, groups, which[which > history.customer_ptr[:-1]], day_known=day_known)
        for history, which in zip((real, dealt), baskets, strict=True)
    ]
    if day_known:
        # On a known day the first of them see nothing that was dealt; later ones see others' dealt days.
        same = real.day[found[0].basket] == DAY
        assert same.any()
        end = found[0].ptr[np.flatnonzero(same)[-1] + 1]
    else:
        end = found[0].ptr[-1]
    assert np.array_equal(found[0].item[:end], found[1].item[:end])
    assert np.array_equal(found[0].features[:end], found[1].features[:end])
    assert not np.array_equal(found[0].bought, found[1].bought)


def test_what_is_served_is_what_was_measured(rows):
    history, groups = _history(rows), _groups(rows)
    last = history.customer_ptr[1:] - 1
    found = next_need.cases(history, groups, last, day_known=True)
    scores = found.features.astype(float) @ WEIGHTS.column()
    for t in range(0, len(found.basket), 9):
        customer = int(np.searchsorted(history.customer_ptr, found.basket[t], side="right") - 1)
        day = int(history.day[found.basket[t]])
        past = rows.filter(pl.col("day") < day)
        keep = past["household"].rank("dense") - 1
        served = _history(past.with_columns(household=keep))
        names = past["household"].unique().sort().to_list()
        known = next_need.items_until(served, len(groups.group), day)
        who = np.array([names.index(customer)])
        need = next_need.next_needs(served, groups, known, who, day, WEIGHTS)
        best = np.sort(scores[found.ptr[t] : found.ptr[t + 1]])[::-1][:10]
        np.testing.assert_allclose(need.score[0, : len(best)], best, rtol=1e-5, atol=1e-5)


def test_alone_equals_in_company(rows):
    history, groups = _history(rows), _groups(rows)
    known = next_need.items_until(history, len(groups.group), 365)
    everybody = np.arange(len(history.customer_ptr) - 1)
    together = next_need.next_needs(history, groups, known, everybody, None, WEIGHTS)
    for k in everybody[::7]:
        alone = next_need.next_needs(history, groups, known, np.array([k]), None, WEIGHTS)
        for one, all_of_them in zip(alone, together, strict=True):
            assert np.array_equal(one[0], all_of_them[k])


def test_the_fit_beats_counting_on_baskets_it_has_not_seen(rows):
    history, groups = _history(rows), _groups(rows)
    sizes = np.diff(history.basket_ptr)
    end = history.customer_ptr[1:]
    long = np.diff(history.customer_ptr) > 14
    earlier = np.concatenate([end[long] - k for k in range(2, 12)])
    train = next_need.cases(history, groups, earlier, day_known=True)
    test = next_need.cases(history, groups, end[long] - 1, day_known=True)
    weights = next_need.fit(train, sizes[train.basket].astype(float), penalty=20.0)

    def recall(scores: np.ndarray) -> float:
        found = [
            test.bought[a:b][np.argsort(-scores[a:b])[:10]].sum()
            for a, b in zip(test.ptr, test.ptr[1:], strict=False)
        ]
        return float(np.mean(np.array(found) / sizes[test.basket]))

    counted = NeedWeights(shared=1.0)
    assert recall(test.features @ weights.column()) > recall(test.features @ counted.column())
    assert weights.due > 0


def test_the_interval_is_shrunk_to_what_is_usual():
    history = next_need.purchases([0, 0, 0], [0, 1, 2], [0, 10, 20], [0, 0, 0])
    groups = Groups(np.zeros(1, np.int64), np.zeros(1, np.int64))
    known = next_need.items_until(history, 1, 21)
    need = next_need.next_needs(history, groups, known, np.array([0]), 26, WEIGHTS)
    # Usual: (20 + 2 x 40) / (2 + 2) = 25 days; hers: (20 + 2 x 25) / (2 + 2).
    assert need.interval[0, 0] == pytest.approx(17.5)
    assert need.elapsed[0, 0] == 6
    assert list(need.item[0, :2]) == [0, -1]


def test_rows_out_of_order_and_first_baskets_are_refused():
    with pytest.raises(ShapeError, match="Sort"):
        next_need.purchases([0, 0], [0, 1], [5, 3], [1, 1])
    history = next_need.purchases([0, 0], [0, 1], [3, 5], [0, 0])
    with pytest.raises(ShapeError, match="first basket"):
        next_need.cases(
            history, Groups(np.zeros(1, np.int64), np.zeros(1, np.int64)), np.array([0]), day_known=True
        )
