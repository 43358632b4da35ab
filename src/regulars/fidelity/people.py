"""You are what you buy, not who you are: rows 14 and 15, on real and simulated purchases alike."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.fidelity.lived import Year
from regulars.fitting.people import fit_private_life
from regulars.prediction import auc, boosted, log_odds, logistic, ridge
from regulars.sources.panel import Panel
from regulars.terms import F64

#: Campaigns that began before this day are learned from, later ones predicted (1 August of a common year).
SPLIT_DAY = 212
#: Days of purchases that describe a household before a campaign.
RECENT_DAYS = 91
FOLDS = 10
#: Inverse of the penalty of a logistic regression on hundreds of columns of some hundred households.
PENALTY = 0.003
SEED = 1
#: Households with known demographics that must buy a category for it to say anything.
LEAST_BUYERS = 20


def redemption_auc(panel: Panel, year: Year) -> dict[str, float]:
    """AUC of predicting who redeems: purchases less demographics, and what demographics add to purchases.

    Learned on the campaigns up to July, scored on the later ones, households with known demographics only.
    """
    nothing = {"history_gain": float("nan"), "demographics_gain": float("nan")}
    told = fit_private_life(panel.households)[0]
    known = np.flatnonzero(told["age"] != 255)
    contacts = (
        panel.contacts.join(panel.campaigns.select("campaign", "type", "first_day"), on="campaign")
        .filter(pl.col("household").is_in(known.astype(np.uint32)), pl.col("first_day") >= 0)
        .sort("first_day", "campaign", "household")
    )
    used = (
        year.redemptions.select("household", "campaign")
        .unique()
        .cast({"campaign": pl.UInt8, "household": pl.UInt32})
    )
    used = used.with_columns(used=pl.lit(True))
    rows = contacts.join(used, on=["household", "campaign"], how="left", maintain_order="left")
    label = rows["used"].fill_null(False).to_numpy()
    early = (rows["first_day"] < SPLIT_DAY).to_numpy()
    if label[early].sum() < 20 or label[~early].sum() < 20:
        return nothing
    kind = rows["type"].rank("dense").to_numpy().astype(np.float64)[:, None]
    who = rows["household"].to_numpy()
    demographics = np.column_stack([kind, *(told[name][who] for name in told)]).astype(np.float64)
    demographics[demographics == 255] = np.nan
    history = np.column_stack([kind, _history(panel, year, rows)])
    score = {}
    for name, x in {
        "demographics": demographics,
        "history": history,
        "both": np.column_stack([history, demographics[:, 1:]]),
    }.items():
        rounds = [
            boosted(
                x[early], label[early], x[~early], seed, max_iter=120, learning_rate=0.04, max_leaf_nodes=8
            )
            for seed in range(3)
        ]
        trees = log_odds(np.mean(rounds, axis=0))
        score[name] = auc(label[~early], trees + ridge(x[early], label[early], x[~early]))
    return {
        "history_gain": score["history"] - score["demographics"],
        "demographics_gain": score["both"] - score["history"],
    }


def _history(panel: Panel, year: Year, rows: pl.DataFrame) -> F64:
    """What purchases and earlier campaigns tell of each contact, up to the day before its campaign.

    Rates a week and shares, not counts: a household that is looked at later has bought more.
    """
    covered = panel.coupon_products.join(panel.coupons.select("coupon", "campaign"), on="coupon")
    covered = covered.select("campaign", "product").unique().cast(pl.Int32)
    household = rows["household"].to_numpy()
    table = np.zeros((rows.height, 14))
    for (campaign, first), part in rows.with_row_index("at").group_by(
        ["campaign", "first_day"], maintain_order=True
    ):
        start = int(str(first))
        before = year.lines.filter(pl.col("day") < start)
        recent = before.filter(pl.col("day") >= start - RECENT_DAYS)
        about = before.join(covered.filter(pl.col("campaign") == campaign), on="product", how="semi")
        past = year.redemptions.filter(pl.col("day") < start)
        sent = panel.contacts.join(panel.campaigns, on="campaign").filter(pl.col("first_day") < start)
        weeks = max(start, 7) / 7
        lately = min(start, RECENT_DAYS) / 7
        n = year.households
        trips, late_trips = _count(before, n, "day") / weeks, _count(recent, n, "day") / max(lately, 1)
        lines, late_lines = _rows(before, n), _rows(recent, n)
        spend = np.bincount(recent["household"].to_numpy(), recent["cents"].to_numpy(), n)
        letters, used = _rows(sent, n), _count(past, n, "campaign")
        columns = [
            trips, late_trips, spend / max(lately, 1), spend / np.maximum(late_lines, 1),
            lines / np.maximum(trips * weeks, 1), _rows(about, n) / weeks, _rows(about, n) / np.maximum(lines, 1),
            _count(about, n, "category") / np.sqrt(weeks), _count(before, n, "category") / np.sqrt(weeks),
            _rows(before.filter("coupon"), n) / np.maximum(lines, 1), _rows(before.filter("coupon"), n) / weeks,
            used / np.maximum(letters, 1), (used > 0).astype(float), np.log1p(_rows(past, n) / weeks),
        ]  # fmt: skip
        at = part["at"].to_numpy()
        table[at] = np.column_stack(columns)[household[at]]
    return table


def _rows(lines: pl.DataFrame, households: int) -> NDArray[np.int64]:
    return np.bincount(lines["household"].to_numpy(), minlength=households)


def _count(lines: pl.DataFrame, households: int, column: str) -> NDArray[np.int64]:
    return np.bincount(
        lines.select("household", column).unique()["household"].to_numpy(), minlength=households
    )


def inference_auc(panel: Panel, year: Year) -> dict[str, float]:
    """AUC of telling age 55 or older, and children, from a year of baskets (ten folds)."""
    told, words = fit_private_life(panel.households)
    known = np.flatnonzero(told["age"] != 255)
    found = {"infer_age": float("nan"), "infer_kids": float("nan")}
    if len(known) < 100:
        return found
    bought = np.zeros((year.households, panel.categories.height), np.float64)
    np.add.at(
        bought,
        (year.lines["household"].to_numpy(), year.lines["category"].to_numpy()),
        1.0,
    )
    share = np.log1p(1000 * bought / np.maximum(bought.sum(1, keepdims=True), 1.0))
    x = share[known][:, (bought[known] > 0).sum(0) >= LEAST_BUYERS]
    older = [k for k, word in enumerate(words["age"]) if _first_number(word) >= 55]
    some = [k for k, word in enumerate(words["kids"]) if _first_number(word) >= 1]
    labels = {
        "infer_age": np.isin(told["age"][known], older),
        "infer_kids": np.isin(told["kids"][known], some),
    }
    for name, label in labels.items():
        if min(label.sum(), (~label).sum()) < 20:
            continue
        fold = np.random.default_rng(SEED).permutation(len(label)) % FOLDS
        score = np.zeros(len(label))
        for k in range(FOLDS):
            score[fold == k] = logistic(x[fold != k], label[fold != k], x[fold == k], PENALTY)[0]
        found[name] = auc(label, score)
    return found


def _first_number(word: str) -> int:
    found = re.search(r"\d+", word)
    return int(found.group()) if found else 0
