"""How well a score tells apart those who did from those who did not, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regulars.prediction import auc
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
    wider: float = 1.0,
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """AUC of each score and of pairs of them, with intervals over customers, the same resamples for all.

    Parameters
    ----------
    did : (n,) 0 or 1
    scores : (n,) each, by name
    customer : (n,) whose row it is: a customer's rows are drawn together
    differences : (minuend, subtrahend) by name
    wider : how many times the resampled deviations count, for scores that hang together, see :func:`across_folds`

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
        {name: _estimate(point[name], column[name], wider) for name in scores},
        {name: _estimate(point[a] - point[b], gaps[name], wider) for name, (a, b) in differences.items()},
    )


def across_folds(folds: int) -> float:
    """How much wider the interval of a cross-validated score is than that of a fixed one.

    The models of the folds share most of their people, so what one of them took for a pattern by chance, all took.
    The correction of Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003):
    variance times 1 + n x tested / learned, which is 1 + n / (n - 1) for n folds.
    """
    return float(np.sqrt(1 + folds / (folds - 1)))


def _estimate(mean: float, drawn: F64, wider: float) -> Estimate:
    low, high = mean + (np.nanquantile(drawn, [0.025, 0.975]) - mean) * wider
    return Estimate(mean, float(low), float(high))
