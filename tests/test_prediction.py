"""Small models of who did, and how well their scores tell apart."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from regulars import prediction


def test_auc_is_that_of_the_textbook_with_ties_and_weights():
    rng = np.random.default_rng(1)
    did = (rng.random(500) < 0.3).astype(np.uint8)
    score = np.round(rng.normal(size=500) + did, 1)
    weight = rng.integers(0, 4, 500).astype(float)
    assert prediction.auc(did, score) == pytest.approx(roc_auc_score(did, score))
    assert prediction.auc(did, score, weight) == pytest.approx(
        roc_auc_score(did, score, sample_weight=weight)
    )
    assert np.isnan(prediction.auc(np.ones(3, np.uint8), score[:3]))


def people(seed, n=4_000):
    """A kind, a count that matters by its logarithm, a column that is often unknown; whether she did."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n).astype(float)
    count = rng.geometric(0.05, n).astype(float)
    hidden = np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n))
    odds = np.array([0.0, 2.0, -2.0])[kind.astype(int)] + np.log1p(count) - 3.5
    did = rng.random(n) < 1 / (1 + np.exp(-odds))
    return np.column_stack([kind, count, hidden]), did, odds


def test_the_ridge_finds_kinds_and_counts_and_bears_what_is_not_known():
    x, did, _ = people(1)
    asked, _, odds = people(2)
    found = prediction.ridge(x, did, asked)
    assert np.isfinite(found).all()
    assert np.corrcoef(found, odds)[0, 1] > 0.95
    assert np.corrcoef(prediction.ridge(x[:, :1], did, asked[:, :1]), odds)[0, 1] < 0.9  # the count is missed


def test_log_odds_undo_the_logistic():
    odds = np.linspace(-4, 4, 9)
    assert prediction.log_odds(1 / (1 + np.exp(-odds))) == pytest.approx(odds)
