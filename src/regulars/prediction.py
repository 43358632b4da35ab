"""Small models of who did, for tables of some thousand customers, and how well their scores tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.errors import MissingExtra
from regulars.terms import F64

#: Inverse of the penalty of :func:`ridge`, chosen on campaigns of the first seven months of The Complete Journey.
RIDGE = 0.01


def auc(did: NDArray[Any], score: F64, weight: F64 | None = None) -> float:
    """Area under the ROC curve: the chance that one who did has a higher score than one who did not.

    Parameters
    ----------
    did : (n,) 0 or 1
    score : (n,)
    weight : (n,) how often each row counts; once when left out

    Ties count half. nan when all did or none did.

    Examples
    --------
    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.9]))
    0.875
    """
    order = np.argsort(score, kind="stable")
    w = np.ones(len(did)) if weight is None else weight[order]
    yes, no = w * did[order], w * (1 - did[order].astype(np.int8))
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    yes, no = np.add.reduceat(yes, starts), np.add.reduceat(no, starts)
    if not yes.sum() or not no.sum():
        return float("nan")
    below = np.cumsum(no) - no
    return float((yes * (below + 0.5 * no)).sum() / (yes.sum() * no.sum()))


def boosted(x: NDArray[Any], did: NDArray[Any], ask: NDArray[Any], seed: int, **settings: Any) -> F64:
    """Chances of the rows ``ask`` by gradient-boosted trees learned on ``x`` and ``did``.

    Raises
    ------
    MissingExtra
        when scikit-learn is not installed.
    """
    with _learning() as sklearn:
        chosen: dict[str, Any] = {
            "max_iter": 200, "learning_rate": 0.06, "max_leaf_nodes": 15, "min_samples_leaf": 20,
            "l2_regularization": 1.0, "early_stopping": False, "random_state": seed,
        }  # fmt: skip
        model = sklearn.ensemble.HistGradientBoostingClassifier(**(chosen | settings))
        return np.asarray(model.fit(x, did).predict_proba(ask)[:, 1], np.float64)


def logistic(x: F64, did: NDArray[Any], ask: F64, penalty: float) -> tuple[F64, F64]:
    """Log-odds of the rows ``ask`` by a ridge logistic regression on standardised columns, and its weights.

    Parameters
    ----------
    penalty : its inverse, the smaller the stronger
    """
    mean, spread = x.mean(0), x.std(0) + 1e-6
    with _learning() as sklearn:
        model = sklearn.linear_model.LogisticRegression(C=penalty, max_iter=2000)
        model.fit((x - mean) / spread, did)
        score = model.decision_function((ask - mean) / spread)
    return np.asarray(score, np.float64), np.asarray(model.coef_[0], np.float64)


def ridge(x: NDArray[Any], did: NDArray[Any], ask: NDArray[Any]) -> F64:
    """Log-odds by :func:`logistic` on logs; the first column is a kind, and what is not known stands as -1."""
    kinds = np.unique(x[:, 0])

    def columns(table: NDArray[Any]) -> F64:
        known = np.nan_to_num(table[:, 1:].astype(np.float64), nan=-1.0)
        return np.column_stack([table[:, :1] == kinds, np.sign(known) * np.log1p(np.abs(known))])

    return logistic(columns(x), did, columns(ask), RIDGE)[0]


def log_odds(chance: F64) -> F64:
    """Of chances strictly between 0 and 1."""
    odds: F64 = np.log(chance) - np.log1p(-chance)
    return odds


@contextmanager
def _learning() -> Iterator[Any]:
    """scikit-learn, asked for only when it is needed, on one thread: small fits lose more than they gain by more."""
    try:
        import sklearn.ensemble
        import sklearn.linear_model
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtra("fidelity", "Comparing what predicts customers") from error
    with threadpool_limits(1):
        yield sklearn
