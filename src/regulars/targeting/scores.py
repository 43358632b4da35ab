"""How well a score tells apart those who did from those who did not, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regulars.prediction import auc, log_odds
from regulars.terms import F64, I64, U8

RESAMPLES = 200


@dataclass(frozen=True)
class Estimate:
    """A figure and the 95% interval of a bootstrap over customers."""

    mean: float
    low: float
    high: float


def compare(
    did: U8,
    scores: Mapping[str, F64],
    customer: I64,
    seed: int,
    differences: Mapping[str, tuple[str, str]],
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """AUC of each score and of pairs of them, with intervals over customers, the same resamples for all.

    Parameters
    ----------
    did : (n,) 0 or 1
    scores : (n,) each, by name
    customer : (n,) whose row it is: a customer's rows are drawn together
    differences : (minuend, subtrahend) by name

    Returns
    -------
    estimates of each score, and of each difference
    """
    who, place = np.unique(customer, return_inverse=True)
    rng = np.random.default_rng(seed)
    point = {name: auc(did, score) for name, score in scores.items()}
    drawn: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(who), len(who)), minlength=len(who)).astype(float)[place]
        for name, score in scores.items():
            drawn[name].append(auc(did, score, times))
    column = {name: np.array(values) for name, values in drawn.items()}
    gaps = {name: column[a] - column[b] for name, (a, b) in differences.items()}
    return (
        {name: _estimate(point[name], column[name]) for name in scores},
        {name: _estimate(point[a] - point[b], gaps[name]) for name, (a, b) in differences.items()},
    )


def across_folds(score: Estimate, folds: int) -> Estimate:
    """The same AUC with the interval of one that was cross-validated, which is wider than that of a fixed score.

    The models of the folds share most of their people, so what one of them took for a pattern by chance, all took.
    The correction of Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003):
    variance times 1 + n x tested / learned, which is 1 + n / (n - 1) for n folds; in log-odds, so that no bound
    leaves 0 to 1.
    """
    wider = float(np.sqrt(1 + folds / (folds - 1)))
    mean, low, high = log_odds(np.clip([score.mean, score.low, score.high], 1e-6, 1 - 1e-6))
    bounds = 1 / (1 + np.exp(-(mean + (np.array([low, high]) - mean) * wider)))
    return Estimate(score.mean, float(bounds[0]), float(bounds[1]))


def _estimate(mean: float, drawn: F64) -> Estimate:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Estimate(mean, float(low), float(high))
