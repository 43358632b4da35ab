"""A boosted reranker for the next basket: some sixty features of one customer and item, trees by LightGBM.

It sees what the log-linear model sees, before the basket, and more of it: decays at six speeds, gaps, a renewal
hazard, two parent groups, the household's trips, the item's popularity at three speeds.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from regulars.retail.next_need import (
    FEATURES,
    Cases,
    Groups,
    Purchases,
    end_day,
    expected_day,
    learn_basket,
    new_items,
)

SETTINGS = {
    "objective": "cross_entropy",
    "learning_rate": 0.07,
    "num_leaves": 47,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
}


def fit(features: np.ndarray, found: Cases, sizes: np.ndarray, seed: int, rounds: int):
    """Two sets of trees: one for bought / items in the basket, which is what recall counts, one for bought."""
    import lightgbm

    soft = found.bought / np.repeat(sizes, np.diff(found.ptr))
    # One thread: trees that are grown by several differ in their last bits, and wait for each other.
    settings = {**SETTINGS, "seed": seed, "num_threads": 1}
    return [
        lightgbm.train(settings, lightgbm.Dataset(features, label), rounds) for label in (soft, found.bought)
    ]


def score(trees: list, features: np.ndarray) -> np.ndarray:
    """Sum of their log-odds."""
    return np.sum([each.predict(features, raw_score=True, num_threads=1) for each in trees], axis=0)


def thinned(found: Cases, share: float, seed: int) -> Cases:
    """All rows that were bought and a share of the others."""
    keep = (found.bought > 0) | (np.random.default_rng(seed).random(len(found.item)) < share)
    ptr = np.r_[0, np.cumsum(keep)][found.ptr]
    return Cases(found.basket, ptr, found.item[keep], found.features[keep], found.bought[keep])


def wide(history: Purchases, groups: Groups, found: Cases, day_known: bool, first_weekday: int) -> np.ndarray:
    """(R, 58) features of the rows of ``found``, from what was bought before each basket; the twelve are first."""
    n = len(groups.group)
    asof = history.day[found.basket] if day_known else history.day[found.basket - 1]
    customer = np.repeat(np.arange(len(history.customer_ptr) - 1), np.diff(history.customer_ptr))
    out = np.empty((len(found.item), len(FEATURES) + _EXTRA), np.float32)
    out[:, : len(FEATURES)] = found.features
    by_day = np.argsort(history.day, kind="stable")
    many, more = int(groups.group.max()) + 1, int(groups.wider.max()) + 1
    desk = (
        np.zeros((n, _OWN)),
        np.zeros((many, _GROUP)),
        np.zeros((more, _GROUP)),
        np.zeros((3, n)),
        np.zeros(3),
    )
    _fill(
        history, groups, found, asof, customer[found.basket], by_day, day_known, first_weekday, new_items(n),
        desk, out,
    )  # fmt: skip
    return out


_OWN, _GROUP, _EXTRA = 17, 8, 46
_HALF = 0.5 ** (1 / np.array([7.0, 28.0, 84.0]))
_FAR = 400.0


@njit(cache=True)
def _survival(ratio):
    """Of a gamma with shape 1.5 and mean 1."""
    x = 1.5 * ratio
    root = math.sqrt(x)
    return math.erfc(root) + 1.1283791670955126 * root * math.exp(-x)


@njit(cache=True)
def _fill(
    history, groups, found, asof, customer, by_day, day_known, first_weekday, known, desk, out
):  # fmt: skip
    own, group, wider, faded, baskets = desk
    learnt, today = 0, history.day[by_day[0]]
    base = out.shape[1] - _EXTRA
    for t in range(len(asof)):
        while today < asof[t]:
            while learnt < len(by_day) and history.day[by_day[learnt]] == today:
                b = by_day[learnt]
                learn_basket(history, known, b)
                baskets += 1.0
                for k in range(history.basket_ptr[b], history.basket_ptr[b + 1]):
                    faded[:, history.item[k]] += 1.0
                learnt += 1
            end_day(known)
            for h in range(3):
                baskets[h] *= _HALF[h]
                faded[h] *= _HALF[h]
            today += 1
        end = found.basket[t]
        first = history.customer_ptr[customer[t]]
        now = history.day[end] if day_known else expected_day(history, first, end)
        weekday = (now + first_weekday) % 7
        weight, sizes, inverses, gaps, gap_weight = 0.0, 0.0, 0.0, 0.0, 0.0
        repeats, lines, total, kept_all = 0.0, 0.0, 0.0, 0.0
        for b in range(first, end):
            back, age = end - 1 - b, now - history.day[b]
            size = history.basket_ptr[b + 1] - history.basket_ptr[b]
            k96, k90, k80 = 0.96**back, 0.9**back, 0.8**back
            d30 = 0.5 ** (age / 30)
            kept_all += k96
            weight += k90
            sizes += k90 * size
            inverses += k90 / size
            total += 1.0 / size
            if b > first:
                gaps += k90 * (history.day[b] - history.day[b - 1])
                gap_weight += k90
            same = 1.0 if day_known and (history.day[b] + first_weekday) % 7 == weekday else 0.0
            for k in range(history.basket_ptr[b], history.basket_ptr[b + 1]):
                c = history.item[k]
                lines += 1.0
                a = own[c]
                if a[0] == 0.0:
                    a[8], a[12] = history.day[b], _FAR
                    a[13] = -1.0
                else:
                    repeats += 1.0
                    gap = history.day[b] - a[9]
                    a[11] += gap * gap
                    a[12] = min(a[12], gap)
                    a[13] = gap
                a[0] += 1.0
                a[1] += k80
                a[2] += k90
                a[3] += k96
                a[4] += 0.5 ** (age / 10)
                a[5] += d30
                a[6] += 0.5 ** (age / 90)
                a[7] += k96 / size
                a[9] = history.day[b]
                a[10] = back
                a[14] += k96 * same
                a[15] += k96 if size <= 3 else 0.0
                a[16] += k80 / size
                for q in range(2):
                    g = group[groups.group[c]] if q == 0 else wider[groups.wider[c]]
                    if g[0] == 0.0:
                        g[4] = history.day[b]
                    if g[0] == 0.0 or g[6] != back:
                        g[0] += 1.0
                        g[1] += k96
                        g[2] += d30
                        g[3] += k96 / size
                    g[5] = history.day[b]
                    g[6] = back
                    g[7] = c
        n = end - first
        trip_gap = (history.day[end - 1] - history.day[first] + 20.0) / (n + 1.0)
        for r in range(found.ptr[t], found.ptr[t + 1]):
            c = found.item[r]
            f = out[r, base:]
            f[:] = 0.0
            usual = (known.gap_days[c] + 80.0) / (known.gaps[c] + 2.0)
            a = own[c]
            if a[0] > 0.0:
                f[0:8] = a[0:8]
                f[8] = a[16]
                f[9] = a[3] / kept_all
                f[10] = a[7] / kept_all
                f[11] = a[0] / n
                f[12] = a[14]
                f[13] = a[15]
                since, span = now - a[9], a[9] - a[8]
                f[14], f[15] = since, a[10]
                mean = span / (a[0] - 1.0) if a[0] > 1.0 else -1.0
                f[16], f[17], f[18] = mean, a[13], a[12]
                gap = (span + 2.0 * usual) / (a[0] + 1.0)
                f[19] = gap
                f[20] = math.sqrt(max(a[11] / (a[0] - 1) - mean * mean, 0.0)) / mean if mean > 0 else -1.0
                f[21] = since / (gap + 1.0)
                alive = max(_survival(max(since - trip_gap, 0.0) / (gap + 0.5)), 1e-9)
                f[22] = 1.0 - _survival(since / (gap + 0.5)) / alive
            else:
                f[14], f[15], f[18], f[19] = _FAR, _FAR, _FAR, usual
                f[16], f[17], f[20], f[21], f[22] = -1.0, -1.0, -1.0, -1.0, -1.0
            for q in range(2):
                g = group[groups.group[c]] if q == 0 else wider[groups.wider[c]]
                at = 23 + 6 * q
                if g[0] > 0.0:
                    f[at] = g[1]
                    f[at + 1] = g[2]
                    f[at + 2] = g[3]
                    f[at + 3] = (now - g[5]) / ((g[5] - g[4] + 60.0) / (g[0] + 1.0) + 1.0)
                    f[at + 4] = a[3] / g[1]
                    f[at + 5] = 1.0 if g[7] == c else 0.0
                else:
                    f[at + 3] = -1.0
            f[35], f[36] = sizes / weight, inverses / weight
            f[37], f[38] = n, trip_gap
            f[39] = repeats / lines
            f[40] = gaps / gap_weight if gap_weight > 0 else -1.0
            f[41] = now - history.day[end - 1]
            f[42] = faded[1, c] / (baskets[1] + 1.0)
            f[43] = faded[2, c] / (baskets[2] + 1.0)
            f[44] = (known.again[c] + 1.0) / (known.buyers[c] + 5.0)
            f[45] = faded[0, c] / (baskets[0] + 1.0)
        for b in range(first, end):
            for k in range(history.basket_ptr[b], history.basket_ptr[b + 1]):
                c = history.item[k]
                own[c, :] = 0.0
                group[groups.group[c], :] = 0.0
                wider[groups.wider[c], :] = 0.0
