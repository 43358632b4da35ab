"""How well the score by which policies choose tells what a customer buys within a week, and the fit of its weights.

    python benchmarks/relevance.py

The Complete Journey is replayed day by day through ``Retailer.purchased`` and ``Retailer.learn``, as a live shop would
see it. On the Mondays of weeks 10 to 39 each household and category is a case: will she buy from it within seven days?
Weights are fitted by logistic regression on one half of the households and scored on the other, and on the other half
in weeks 40 to 51; the score is what ``relevances`` answers with the fitted weights, from the view alone.

Beside it: the twelve features with prior weights that went before, and counts that fade by 4% a visit (with a logistic
of one feature fitted on the same cases). Recall at 10 is the share of the categories bought within the week that are
among the ten best, over households that bought any. Intervals are 95%, from a bootstrap over households. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from next_basket import interval
from peers import prior_weights

from regulars.ledger import Counts
from regulars.retail import catalog, policies
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.retail.consent import View, open_view
from regulars.retail.relevance import (
    FEATURES,
    LEAST_SHARE,
    SHARED_TIMES,
    RelevanceWeights,
    features,
    relevances,
)
from regulars.retail.retailer import Retailer
from regulars.sources import complete_journey
from regulars.sources.panel import Panel
from regulars.terms import Lines, Purpose, Scope, empty_lines

FIRST_WEEK, PARTED, LAST_WEEK = 10, 40, 51  # weeks of the year from 1; from 40 on they are never fitted
TOP = 10
THINNED = 8  # of the categories that she never bought one in so many is fitted on, and weighs as much
COUNT_LEAST = 0.1


class Monday(NamedTuple):
    """What a retailer knows on a Monday morning, and what is bought in the seven days from it."""

    week: int
    shop: Retailer
    view: View
    recent: np.ndarray  # (N, C) with a half-life of 30 days, for the model that went before
    bought: np.ndarray  # (N, C) whether she buys from it within the week


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def replay(days: list[Lines], n: int, names: tuple[str, ...], need: RelevanceWeights) -> Iterator[Monday]:
    """The Mondays of a year, everything before each told to the retailer as it happened."""
    offered = catalog.from_offers(catalog.no_offers(), names, np.ones(len(names), np.float32))
    consent = consents.new(n)
    consent.bits[:] = consents.USUAL
    record = records.new(n, len(names))
    shop = Retailer(policies.make("considerate"), offered, record, consent, need=need)
    recent = np.zeros((n, len(names)))
    rows, scopes = np.arange(n, dtype=np.int32), (Scope.CONTACT, Scope.PURCHASES)
    for day, lines in enumerate(days):
        week = day // 7 + 1
        if day % 7 == 1 and FIRST_WEEK <= week <= LAST_WEEK:
            view = open_view(record, consent, rows, scopes, Purpose.PERSONALIZE, Counts(n), day, "benchmark")
            bought = np.zeros(recent.shape, np.bool_)
            for ahead in days[day : day + 7]:
                bought[ahead.consumer, ahead.category] = True
            yield Monday(week, shop, view, recent, bought)
        shop.purchased(day, lines)
        shop.learn(day)
        recent[lines.consumer, lines.category] += 1  # once, however many lines
        recent *= 0.5 ** (1 / prior_weights.HALF_LIFE_DAYS)


def days_of(panel: Panel) -> tuple[list[Lines], int, tuple[str, ...]]:
    """Each day's lines, a household's together."""
    category = panel.products["category"].to_numpy()
    table = panel.lines.sort("day", "household", "second", maintain_order=True)
    out = []
    for day in range(panel.days):
        today = table.filter(pl.col("day") == day)
        lines = empty_lines(today.height)
        lines.consumer[:] = today["household"].to_numpy()
        lines.product[:] = today["product"].to_numpy()
        lines.category[:] = category[lines.product]
        lines.units[:] = 1
        out.append(lines)
    return out, panel.households.height, tuple(panel.categories["name"].to_list())


# ---- fitting --------------------------------------------------------------------------------------


def logistic(x: np.ndarray, bought: np.ndarray, weight: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Weights under which what was bought is likeliest; by Newton's method, a chunk of rows at a time."""
    scale = np.maximum(np.abs(x).max(0), 1e-9).astype(np.float64)
    w = np.zeros(x.shape[1])
    for _ in range(30):
        gradient, hessian = -penalty * w, penalty * np.eye(len(w))
        for start in range(0, len(x), 1 << 18):
            some = slice(start, start + (1 << 18))
            xs = x[some] / scale
            p = 1 / (1 + np.exp(-np.clip(xs @ w, -30, 30)))
            gradient += xs.T @ (weight[some] * (bought[some] - p * np.ones(len(p))))
            hessian += (xs * (weight[some] * p * (1 - p))[:, None]).T @ xs
        step = np.linalg.solve(hessian, gradient)
        w += step
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(w / scale)


def fit(mondays: Iterator[Monday], mine: np.ndarray, seed: int) -> tuple[RelevanceWeights, np.ndarray]:
    """The weights, and the two of a logistic of the faded count, from the households ``mine``."""
    rng = np.random.default_rng(seed)
    x, bought, weight, counts, strangers = [], [], [], [], []
    for monday in mondays:
        if monday.week >= PARTED:
            break
        today = monday.shop.today(monday.view.day)
        known = mine & (monday.view.visits > 0)
        ever = monday.view.bought[known] > 0
        keep = ever | (rng.random(ever.shape) < 1 / THINNED)
        x.append(features(monday.view, today)[known][keep])
        bought.append(monday.bought[known][keep])
        weight.append(np.where(ever, 1.0, THINNED)[keep])
        counts.append(faded(monday)[known][keep])
        likely = np.log(SHARED_TIMES * today.crowd[:, 0] + LEAST_SHARE)
        strangers.append(np.column_stack([likely, monday.bought[mine].sum(0)]))
    x, bought, weight = np.concatenate(x), np.concatenate(bought), np.concatenate(weight)
    say(f"{len(x):,} cases to fit on, {bought.sum():,} of them bought")
    w = logistic(x, bought, weight)
    one = np.log(np.concatenate(counts) + COUNT_LEAST)
    count = logistic(np.column_stack([np.ones(len(one)), one]), bought, weight)
    likely, times = np.concatenate(strangers).T
    columns = np.column_stack([np.ones(len(likely)), likely])
    rows = np.r_[columns, columns]
    labels = np.r_[np.ones(len(times)), np.zeros(len(times))]
    stranger = logistic(rows, labels, np.r_[times, mine.sum() - times])
    named = dict(zip(FEATURES, w.tolist(), strict=True))
    named |= {"stranger": float(stranger[0]), "stranger_shared": float(stranger[1])}
    return RelevanceWeights(**{name: round(value, 3) for name, value in named.items()}), count


def faded(monday: Monday) -> np.ndarray:
    """(N, C) purchases that fade by 4% a visit."""
    view = monday.view
    back = view.visits[:, None].astype(np.int64) - view.last_nth
    return np.asarray(view.kept / records.KEPT_ONE * records.KEPT**back)


# ---- what is measured -----------------------------------------------------------------------------


def auc(scores: np.ndarray, bought: np.ndarray) -> float:
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    size = np.diff(np.r_[first, len(ordered)])
    middle = np.repeat(first + (size + 1) / 2, size)
    yes = bought[order]
    n = int(yes.sum())
    return float((middle[yes].sum() - n * (n + 1) / 2) / (n * (len(yes) - n)))


def recall(scores: np.ndarray, bought: np.ndarray) -> np.ndarray:
    """(N,) of each household's categories of the week the share among its ten best; nan where it bought none."""
    best = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
    hits = np.take_along_axis(bought, best, 1).sum(1)
    return np.asarray(hits / np.where(bought.any(1), bought.sum(1), np.nan))


def measured(found: dict[str, list[np.ndarray]], labels: list[np.ndarray], seed: int) -> dict[str, object]:
    bought = np.concatenate(labels).ravel()
    out: dict[str, object] = {"cases": len(bought), "bought": round(float(bought.mean()), 5)}
    recalls = {}
    for name, weeks in found.items():
        odds = np.concatenate(weeks).ravel().astype(np.float64)
        loss = np.logaddexp(0, odds) - bought * odds
        each = np.array([recall(s, b) for s, b in zip(weeks, labels, strict=True)])
        recalls[name] = np.nanmean(each[:, ~np.isnan(each).all(0)], axis=0)
        out[name] = {
            "auc": round(auc(odds, bought), 4),
            "log_loss": round(float(loss.mean()), 5),
            "recall_at_10": round(float(recalls[name].mean()), 4),
        }
        if name != "decayed":
            tenth = np.array_split(np.argsort(odds, kind="stable"), 10)
            p = 1 / (1 + np.exp(-odds))
            out[name]["calibration"] = [  # type: ignore[index]
                [round(float(p[rows].mean()), 5), round(float(bought[rows].mean()), 5)] for rows in tenth
            ]
    for name in ("before", "decayed"):
        out[f"recall_gain_on_{name}"] = interval(recalls["regulars"] - recalls[name], seed)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of the halves, the thinning and the intervals")
    options = parser.parse_args()
    days, n, names = days_of(complete_journey.load())
    mine = np.random.default_rng(options.seed).permutation(n) < n // 2
    began = time.perf_counter()
    need, count = fit(replay(days, n, names, RelevanceWeights()), mine, options.seed)
    say(f"fitted in {time.perf_counter() - began:.0f} s: {need}")
    said: dict[str, object] = {"weights": {name: getattr(need, name) for name in vars(need)}}
    parts = {"weeks_10_39": range(FIRST_WEEK, PARTED), "weeks_40_51": range(PARTED, LAST_WEEK + 1)}
    kept: dict[str, tuple[dict[str, list[np.ndarray]], list[np.ndarray]]] = {
        part: ({"before": [], "decayed": [], "regulars": []}, []) for part in parts
    }
    for monday in replay(days, n, names, need):
        found, labels = kept["weeks_10_39" if monday.week < PARTED else "weeks_40_51"]
        today, others = monday.shop.today(monday.view.day), ~mine
        chance = relevances(monday.view, today).relevance[others].astype(np.float64)
        found["regulars"].append(np.log(chance / (1 - chance)))
        found["before"].append(
            prior_weights.odds(monday.shop.record, today, monday.recent)[others].astype(np.float64)
        )
        found["decayed"].append(count[0] + count[1] * np.log(faded(monday)[others] + COUNT_LEAST))
        labels.append(monday.bought[others])
    for part, (found, labels) in kept.items():
        result = measured(found, labels, options.seed)
        said[part] = result
        print(
            f"\n{part}: {result['cases']:,} cases of {(~mine).sum()} other households, {result['bought']:.4f} bought"
        )
        print(f"{'':12}{'AUC':>8}{'log-loss':>10}{'R@10':>8}")
        for name in found:
            one = result[name]
            print(f"{name:12}{one['auc']:8.4f}{one['log_loss']:10.5f}{one['recall_at_10']:8.4f}")
        print("R@10 gained on what went before, 95%:", result["recall_gain_on_before"])
        print("R@10 gained on decayed frequency, 95%:", result["recall_gain_on_decayed"])
        for name in ("before", "regulars"):
            pairs = "  ".join(f"{p:.4f}:{b:.4f}" for p, b in result[name]["calibration"])
            print(f"{name}, foretold:bought by tenth  {pairs}")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
