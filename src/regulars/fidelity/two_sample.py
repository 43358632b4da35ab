"""Can anybody tell simulated households from real ones? A classifier tries, and peers are put to the same test."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.fidelity.features import FEATURES, features
from regulars.fidelity.lived import Year
from regulars.prediction import auc, boosted
from regulars.shelf import Shelf
from regulars.terms import F64

FOLDS = 5
SEEDS = (1, 2, 3)


def separability(
    first: F64, second: F64, groups: tuple[NDArray[Any], NDArray[Any]], seed: int
) -> tuple[float, F64]:
    """AUC, over folds, of telling rows of ``first`` from rows of ``second``, and what each column is worth.

    A household and its simulated self are in the same fold (``groups`` says who is who), so that nobody is
    recognised instead of told apart. A column is worth the AUC that is lost when it is shuffled.
    """
    x = np.concatenate([first, second])
    label = np.repeat([False, True], [len(first), len(second)])
    who = np.concatenate(groups)
    everybody = np.unique(who)
    luck = np.random.default_rng(seed)
    of = (luck.permutation(len(everybody)) % FOLDS)[np.searchsorted(everybody, who)]
    score = np.zeros(len(label))
    shuffled = np.zeros((x.shape[1], len(label)))
    for k in range(FOLDS):
        asked = x[of == k]
        versions = [asked]
        for column in range(x.shape[1]):
            other = asked.copy()
            other[:, column] = luck.permutation(other[:, column])
            versions.append(other)
        told = boosted(x[of != k], label[of != k], np.concatenate(versions), seed)
        told = told.reshape(len(versions), len(asked))
        score[of == k], shuffled[:, of == k] = told[0], told[1:]
    whole = auc(label, score)
    return whole, np.array([whole - auc(label, row) for row in shuffled])


def tell_apart(
    truth: Year, years: Sequence[Year], shelf: Shelf, first_dow: int, peers: bool = True
) -> dict[str, Any]:
    """AUC of telling simulated households from real ones, beside a floor and two peers.

    Parameters
    ----------
    truth : real
    years : simulated, a world for each of SEEDS, taken in turn
    shelf, first_dow : as for :func:`features`
    peers : whether peers are tested too

    Returns
    -------
    dict
        ``auc`` mean over three seeds and ``auc_by_seed``; ``floor``: one real half against the other;
        ``copula``: a Gaussian copula of the same features; ``bootstrap``: each household's own baskets, drawn
        again on its own days; ``features``: those that give the simulation away, with the AUC that is lost
        without them
    """
    real = features(truth, shelf, first_dow)
    names = np.arange(len(real))
    there = np.isfinite(real[:, 0])
    lived = [features(year, shelf, first_dow) for year in years]

    def against(other: F64, seed: int) -> tuple[float, F64]:
        have = np.isfinite(other[:, 0])
        return separability(real[there], other[have], (names[there], names[have]), seed)

    found = [against(lived[k % len(lived)], seed) for k, seed in enumerate(SEEDS)]
    told: dict[str, Any] = {
        "auc": _rounded([score for score, _ in found]),
        "auc_by_seed": [round(score, 4) for score, _ in found],
        "households": int(there.sum()),
        "features_used": len(FEATURES),
        "target": 0.80,
    }
    worth = np.mean([lost for _, lost in found], axis=0)
    order = np.argsort(-worth, kind="stable")
    labels = list(FEATURES)
    told["features"] = [
        {
            "feature": labels[j],
            "meaning": FEATURES[labels[j]],
            "worth": round(float(worth[j]), 4),
            "real": _median(real[:, j]),
            "simulated": _median(np.concatenate([x[:, j] for x in lived])),
        }
        for j in order
    ]
    told["inside"] = told["auc"] <= told["target"]
    if peers:
        floor, copulas, boots = [], [], []
        for seed in SEEDS:
            half = np.random.default_rng(seed).permutation(names[there])
            a, b = half[: len(half) // 2], half[len(half) // 2 :]
            floor.append(separability(real[a], real[b], (a, b), seed)[0])
            copulas.append(against(copula(real, seed), seed)[0])
            boots.append(against(features(bootstrap(truth, seed), shelf, first_dow), seed)[0])
        told |= {"floor": _rounded(floor), "copula": _rounded(copulas), "bootstrap": _rounded(boots)}
    return told


def copula(real: F64, seed: int) -> F64:
    """As many made-up rows with the same margins and rank correlations (a Gaussian copula)."""
    from scipy.special import ndtr, ndtri
    from scipy.stats import rankdata

    known = real[np.isfinite(real[:, 0])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that nobody has
        filled = np.where(np.isfinite(known), known, np.nan_to_num(np.nanmedian(known, axis=0)))
    normal = ndtri((np.apply_along_axis(rankdata, 0, filled) - 0.5) / len(filled))
    moving = normal.std(0) > 0  # what is the same for all goes with nothing
    together = np.eye(filled.shape[1])
    together[np.ix_(moving, moving)] = np.corrcoef(normal[:, moving], rowvar=False)
    drawn = np.random.default_rng(seed).multivariate_normal(
        np.zeros(filled.shape[1]), together, len(filled), check_valid="ignore"
    )
    level = ndtr(drawn)
    made = np.full_like(real, np.nan)
    rows = np.flatnonzero(np.isfinite(real[:, 0]))
    ordered = np.sort(filled, axis=0)
    for j in range(filled.shape[1]):
        # An own value, not one between two: some features are counts.
        made[rows, j] = ordered[np.minimum((level[:, j] * len(filled)).astype(int), len(filled) - 1), j]
    return made


def bootstrap(truth: Year, seed: int) -> Year:
    """Each household shops on its own real days and carries home a basket of its own, drawn anew."""
    trips = (
        truth.lines.select("household", "day", "week").unique(["household", "day"]).sort("household", "day")
    )
    size = trips.group_by("household", maintain_order=True).len()["len"].to_numpy().astype(np.int64)
    first = np.repeat(np.concatenate([[0], np.cumsum(size)[:-1]]), size)
    drawn = first + (np.random.default_rng(seed).random(trips.height) * np.repeat(size, size)).astype(
        np.int64
    )
    source = trips["day"].to_numpy()[drawn]
    moved = trips.with_columns(source=pl.Series(source, dtype=pl.Int32))
    lines = moved.rename({"day": "new_day", "week": "new_week"}).join(
        truth.lines, left_on=["household", "source"], right_on=["household", "day"]
    )
    lines = lines.with_columns(day=pl.col("new_day"), week=pl.col("new_week")).select(truth.lines.columns)
    return replace(truth, lines=lines.sort("household", "day"))


def _median(column: F64) -> float | None:
    known = column[np.isfinite(column)]
    return round(float(np.median(known)), 4) if len(known) else None


def _rounded(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)
