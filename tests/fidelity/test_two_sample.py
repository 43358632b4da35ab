"""The test tells apart what differs, and nothing else."""

import numpy as np
import polars as pl
import pytest

from regulars.fidelity.features import FEATURES, features
from regulars.fidelity.lived import Year
from regulars.fidelity.two_sample import bootstrap, copula, separability
from regulars.prediction import auc

NAMES = np.arange(400)


def sample(shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1.0, (400, 3))


def test_auc_is_the_chance_that_a_positive_scores_above_a_negative():
    score, label = np.array([0.2, 0.7, 0.7, 0.1]), np.array([False, True, False, True])
    pairs = [(s > t) + 0.5 * (s == t) for s in score[label] for t in score[~label]]
    assert auc(label, score) == pytest.approx(np.mean(pairs))


def test_alike_samples_are_not_told_apart_and_shifted_ones_are_by_what_is_shifted():
    alike, _ = separability(sample(), sample(seed=1), (NAMES, NAMES), 1)
    moved = sample(seed=1)
    moved[:, 2] += 3.0
    apart, worth = separability(sample(), moved, (NAMES, NAMES), 1)
    assert abs(alike - 0.5) < 0.07
    assert apart > 0.95 and worth.argmax() == 2


def test_a_copy_of_a_household_is_no_help_in_telling_it_apart():
    x = sample()
    assert separability(x, x.copy(), (NAMES, NAMES), 1)[0] < 0.55


def test_the_copula_keeps_margins_and_rank_correlations():
    x = sample()
    x[:, 1] = np.exp(x[:, 0]) + 0.01 * x[:, 1]
    made = copula(x, 3)
    assert np.isin(made, x).all()
    assert np.corrcoef(made[:, 0], np.log(made[:, 1]))[0, 1] > 0.8


@pytest.fixture
def year():
    luck = np.random.default_rng(2)
    n = 600
    day = luck.integers(0, 90, n)
    lines = pl.DataFrame(
        {
            "household": luck.integers(0, 20, n), "day": day, "week": (day + 6) // 7, "store": day * 0,
            "product": luck.integers(0, 500, n), "category": day * 0, "units": day * 0 + 1,
            "cents": luck.integers(50, 900, n),
        }
    ).with_columns(pl.all().cast(pl.Int32), coupon=pl.lit(False))  # fmt: skip
    empty = pl.DataFrame(schema={"household": pl.Int32, "campaign": pl.Int32, "day": pl.Int32})
    return Year(lines, empty, 20, 90)


def test_the_bootstrap_keeps_every_shopping_day(year):
    again = bootstrap(year, 1)
    days = ["household", "day"]
    assert again.lines.select(days).unique().sort(days).equals(year.lines.select(days).unique().sort(days))
    assert not again.lines["product"].equals(year.lines["product"])


def test_features_are_as_many_as_are_named_and_do_not_depend_on_the_order_of_lines(year, source):
    shelf = source[1]
    first = features(year, shelf, 6)
    mixed = Year(year.lines.sample(fraction=1.0, shuffle=True, seed=1), year.redemptions, 20, 90)
    assert first.shape == (20, len(FEATURES)) and 30 <= len(FEATURES) <= 45
    assert np.allclose(first, features(mixed, shelf, 6), equal_nan=True)
