"""Three questions to the data: who redeems, who buys next, and what baskets give away about people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.errors import MissingExtra
from regulars.prediction import boosted, log_odds, logistic, ridge
from regulars.sources.panel import Panel
from regulars.targeting import history
from regulars.targeting.people import People, rows_of
from regulars.targeting.scores import Estimate, across_folds, compare
from regulars.terms import F32, F64, I64, U8

#: Categories whose next purchase is predicted: the most bought.
CATEGORIES = 40
HORIZON = 28
FOLDS = 10

WHO = "who they are"
WHAT = "what they buy"
BOTH = "both"
TYPE, CATEGORY = "type of campaign", "the category"


@dataclass(frozen=True)
class Task:
    """One question answered.

    Attributes
    ----------
    question : in plain words
    given : what every score knows beside
    pair : of what two are ranked
    train, test : which rows were learned from and which scored, in plain words
    rows, base : how many rows were scored, and the share of them that did it
    scores : AUC by what was known
    differences : of pairs of them, by name
    """

    question: str
    given: str
    pair: str
    train: str
    test: str
    rows: int
    base: float
    scores: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]


@dataclass(frozen=True)
class Inference:
    """How well baskets give a trait away: AUC over ten folds, of those who told."""

    trait: str
    people: int
    share: float
    score: Estimate
    tells: tuple[str, ...]  #: the categories that raise the guess most


def redemption(panel: Panel, people: People, seed: int) -> Task | None:
    """Who redeems a coupon of a campaign that was sent to her; learned on early campaigns, scored on late ones.

    None when the panel has no campaigns, or too few redemptions on either side.
    """
    if not panel.campaigns.height or not len(people.household):
        return None
    asked = panel.campaigns.filter(pl.col("first_day").is_between(28, panel.days - 1)).sort("first_day")
    types = sorted(panel.campaigns["type"].unique().to_list())
    split = int(panel.days * 7 / 12)
    days = history.by_day(panel)
    parts: list[tuple[I64, F32, U8, NDArray[np.bool_]]] = []
    for campaign in asked.iter_rows(named=True):
        sent = panel.contacts.filter(pl.col("campaign") == campaign["campaign"])["household"].to_numpy()
        learned = campaign["first_day"] < split
        # What was redeemed after the split is not known of a campaign that is learned from.
        until = split if learned else panel.days
        used = panel.redemptions.filter(
            (pl.col("campaign") == campaign["campaign"]) & (pl.col("day") < until)
        )["household"].to_numpy()
        who = np.unique(sent.astype(np.int64))
        sort = np.full(len(who), types.index(campaign["type"]), np.float32)
        before = history.general(panel, days, who, campaign["first_day"])
        x = np.column_stack([sort, before, _about_campaign(panel, campaign, who)])
        parts.append((who, x, np.isin(who, used).astype(np.uint8), np.full(len(who), learned)))
    if not parts:
        return None
    who, x, did, early = (np.concatenate([part[k] for part in parts]) for k in range(4))
    # What she buys is known of everybody, so it is learned from everybody; all are scored on those who told.
    told = np.isin(who, people.household)
    codes = np.full((len(who), len(people.names)), np.nan, np.float32)
    codes[told] = people.codes[rows_of(people, who[told])]
    sets = {
        TYPE: (x[:, :1], early),
        WHO: (np.column_stack([x[:, :1], codes]), early & told),
        WHAT: (x, early),
        BOTH: (np.column_stack([x, codes]), early),
    }
    date = f"{split / panel.days * 12:.0f} of 12 months"
    return _judge(
        "Who redeems a coupon of a campaign that was sent to her?", TYPE, "two customers",
        (f"campaigns of the first {date}", "the later ones"),
        sets, did, who, ~early & told, seed,
    )  # fmt: skip


def _about_campaign(panel: Panel, campaign: Mapping[str, Any], who: I64) -> F32:
    """What she did before with the campaign's products, and with earlier campaigns: (n, 14) float32."""
    morning = campaign["first_day"]
    coupons = panel.coupons.filter(pl.col("campaign") == campaign["campaign"])["coupon"]
    covered = panel.coupon_products.filter(pl.col("coupon").is_in(coupons.implode()))
    products = covered["product"].unique()
    before = panel.lines.filter(pl.col("day") < morning)
    touched = (
        before.filter(pl.col("product").is_in(products.implode()))
        .group_by("household")
        .agg(
            pl.len().alias("lines"),
            pl.col("product").n_unique().alias("products"),
            (pl.col("day") >= morning - 91).sum().alias("recent"),
        )
    )
    all_lines = before.group_by("household").agg(pl.len().alias("all"))
    earlier = panel.campaigns.filter(pl.col("first_day") < morning)["campaign"]
    got = (
        panel.contacts.filter(pl.col("campaign").is_in(earlier.implode()))
        .group_by("household")
        .agg(got=pl.len())
    )
    alike = panel.campaigns.filter(pl.col("type") == campaign["type"])["campaign"]
    used = (
        panel.redemptions.filter(pl.col("day") < morning)
        .group_by("household")
        .agg(
            used=pl.len(),
            in_campaigns=pl.col("campaign").n_unique(),
            alike=pl.col("campaign").is_in(alike.implode()).sum(),
            since_used=morning - pl.col("day").max(),
        )
    )
    bought = before.group_by("household", "product").agg(pl.len().alias("times"))
    good_for = (
        bought.join(covered, on="product")
        .group_by("household")
        .agg(coupons=pl.col("coupon").n_unique(), again=(pl.col("times") > 1).sum())
    )
    clipped = before.filter(pl.col("coupon_disc_cents") > 0)
    clipped = clipped.group_by("household").agg(since_coupon=morning - pl.col("day").max())
    rows = pl.DataFrame({"household": who.astype(np.uint32)})
    for part in (touched, all_lines, got, used, good_for, clipped):
        rows = rows.join(part, on="household", how="left", maintain_order="left")
    counts = ("lines", "products", "recent", "got", "used", "in_campaigns", "alike", "coupons", "again")
    rows = rows.with_columns(pl.col(*counts).fill_null(0), share=pl.col("lines") / pl.col("all").clip(1))
    known = rows.select(*counts, "share", "since_used", "since_coupon").to_numpy()
    size = np.tile([len(coupons), len(products)], (len(who), 1))
    return np.column_stack([known, size]).astype(np.float32)


def next_purchase(panel: Panel, people: People, seed: int) -> Task | None:
    """Who buys from a category within four weeks, over the most bought categories; None when the panel is short."""
    last = panel.days - HORIZON
    mornings = [last - HORIZON * k for k in range(5)]
    if mornings[-1] < 2 * HORIZON or not len(people.household):
        return None
    lines = panel.lines.join(panel.products.select("product", "category"), on="product")
    seen = lines.filter(pl.col("day") < mornings[-1])
    top = seen["category"].value_counts(sort=True, name="n").sort("n", "category", descending=[True, False])
    chosen = top["category"][:CATEGORIES].to_numpy()
    days = history.by_day(panel)
    pairs = (
        lines.filter(pl.col("category").is_in(chosen.tolist()))
        .select("household", "category", "day")
        .unique()
        .sort("household", "category", "day")
    )
    parts = []
    for morning in mornings:
        parts.append((*_category_rows(panel, people, pairs, days, chosen, morning), morning <= mornings[2]))
    who, category, x, did = (np.concatenate([part[k] for part in parts]) for k in range(4))
    early = np.concatenate([np.full(len(part[0]), part[4]) for part in parts])
    who_told = people.codes[rows_of(people, who)]
    sets = {
        CATEGORY: (category, early),
        WHO: (np.column_stack([category, who_told]), early),
        WHAT: (np.column_stack([category, x]), early),
        BOTH: (np.column_stack([category, who_told, x]), early),
    }
    return _judge(
        f"Who buys from a category in the next {HORIZON} days?", CATEGORY, "two pairs of customer and category",
        ("three earlier periods", "the last two periods"), sets, did, who, ~early, seed, categorical=True,
    )  # fmt: skip


def _category_rows(
    panel: Panel, people: People, pairs: pl.DataFrame, days: pl.DataFrame, chosen: I64, morning: int
) -> tuple[I64, F32, F32, U8]:
    """Each customer times each category on one morning: whose, which, what is known, whether she bought next."""
    grid = pl.DataFrame({"household": people.household.astype(np.uint32)}).join(
        pl.DataFrame({"category": chosen.astype(np.uint16), "place": np.arange(len(chosen))}), how="cross"
    )
    key = ["household", "category"]
    before = (
        pairs.filter(pl.col("day") < morning)
        .group_by(key)
        .agg(
            pl.len().alias("ever"),
            (pl.col("day") >= morning - 91).sum().alias("recent"),
            (pl.col("day") >= morning - 28).sum().alias("latest"),
            pl.col("day").min().alias("first"),
            pl.col("day").max().alias("last"),
        )
    )
    after = pairs.filter(pl.col("day").is_between(morning, morning + HORIZON - 1)).select(key).unique()
    rows = grid.join(before, on=key, how="left", maintain_order="left").join(
        after.with_columns(did=pl.lit(1, pl.UInt8)), on=key, how="left", maintain_order="left"
    )
    interval = (pl.col("last") - pl.col("first")) / (pl.col("ever") - 1).clip(1)
    x = rows.select(
        pl.col("ever", "recent", "latest").fill_null(0),
        elapsed=morning - pl.col("last"),
        interval=interval,
        due=(morning - pl.col("last")) / interval.clip(1),
    ).to_numpy()
    her = history.general(panel, days, people.household, morning)
    place = np.repeat(np.arange(len(people.household)), len(chosen))
    return (
        rows["household"].to_numpy().astype(np.int64),
        rows["place"].to_numpy().astype(np.float32)[:, None],
        np.column_stack([x, her[place]]).astype(np.float32),
        rows["did"].fill_null(0).to_numpy().astype(np.uint8),
    )


def _judge(
    question: str,
    given: str,
    pair: str,
    words: tuple[str, str],
    sets: Mapping[str, tuple[F32, NDArray[np.bool_]]],
    did: U8,
    who: I64,
    late: NDArray[np.bool_],
    seed: int,
    categorical: bool = False,
) -> Task | None:
    """Learn each set on its own rows and score all on the late ones; None with too few on either side."""
    if any(
        min(did[rows].sum(), (1 - did[rows]).sum()) < 20 for rows in (late, *(r for _, r in sets.values()))
    ):
        return None
    scores = {
        name: log_odds(_trees(x[rows], did[rows], x[late], seed, categorical))
        + ridge(x[rows], did[rows], x[late])
        for name, (x, rows) in sets.items()
    }
    differences = {
        "purchases over demographics": (WHAT, WHO),
        "demographics on top of purchases": (BOTH, WHAT),
    }
    found, gaps = compare(did[late], scores, who[late], seed, differences)
    return Task(question, given, pair, *words, int(late.sum()), float(did[late].mean()), found, gaps)


def _trees(x: F32, did: U8, ask: F32, seed: int, categorical: bool) -> F64:
    """Mean chance of a few gradient-boosted models, each with its own choice of columns.

    Small trees: chosen on campaigns of the first five months, scored on the next two, which are no test rows.
    """
    runs = 5 if len(x) < 20_000 else 1
    chances = [
        boosted(
            x, did, ask, seed + k, learning_rate=0.05, max_iter=120, max_leaf_nodes=6, min_samples_leaf=40,
            l2_regularization=5.0, max_features=0.5, categorical_features=[0] if categorical else None,
        ) for k in range(runs)
    ]  # fmt: skip
    mean: F64 = np.mean(chances, axis=0)
    return mean


def inferences(panel: Panel, people: People, seed: int, tell: Callable[[str], None]) -> tuple[Inference, ...]:
    """What a year of baskets gives away: each trait of those who told it, guessed without their own answer.

    A ridge-penalised logistic regression on log counts by category, ten folds, so that nobody's own answer is in the
    model that guesses about her.
    """
    if not people.traits:
        return ()
    x, names = _baskets(panel, people)
    folds = _sklearn("model_selection").StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found = []
    for trait, flags in people.traits.items():
        tell(f"Guessing {trait}")
        told = np.flatnonzero(~np.isnan(flags))
        did = flags[told].astype(np.uint8)
        score = np.zeros(len(told))
        weights = np.zeros(x.shape[1])
        for train, test in folds.split(told, did):
            score[test], slopes = logistic(x[told[train]], did[train], x[told[test]], 0.002)
            weights += slopes / FOLDS
        estimate, _ = compare(did, {trait: score}, told, seed, {})
        most = list(dict.fromkeys(names[j] for j in np.argsort(-weights, kind="stable")[:9]))[:3]
        found.append(
            Inference(trait, len(told), float(did.mean()), across_folds(estimate[trait], FOLDS), tuple(most))
        )
    return tuple(sorted(found, key=lambda each: -each.score.mean))


def _baskets(panel: Panel, people: People) -> tuple[F64, list[str]]:
    """(M, F) what each customer bought: log lines and share of lines by category, trips, spend, own brands."""
    lines = panel.lines.join(panel.products.select("product", "category"), on="product")
    counts = np.zeros((panel.households.height, panel.categories.height))
    np.add.at(counts, (lines["household"].to_numpy(), lines["category"].to_numpy()), 1.0)
    counts = counts[people.household]
    counts = counts[:, (kept := np.flatnonzero((counts > 0).sum(0) >= 20))]
    her = history.general(panel, history.by_day(panel), people.household, panel.days)
    names = panel.categories["name"].to_list()
    share = np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1))
    x = np.column_stack([np.log1p(counts), share, np.log1p(np.nan_to_num(her))])
    return x, [*(names[c] for c in kept), *(names[c] for c in kept), *history.GENERAL]


def _sklearn(part: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"sklearn.{part}")
    except ImportError as error:
        raise MissingExtra("fidelity", "Comparing what predicts customers") from error
