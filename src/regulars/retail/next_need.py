"""What a customer will put in her next basket: one log-linear score for each item, from what she bought before.

An item is a product, a type or a category: the same kernel serves all three. It asks which items the next basket
holds; that of :mod:`regulars.retail.relevance`, by which policies choose, asks whether she buys from a category within
a week, and shares the definitions of the features that both have. Each score is a weighted sum of twelve
features of her own past and of what everybody's purchases say of the item, so that each part of it can be told:
"about every nine days, and it has been ten".

Source: counts that weigh a purchase by the inverse size of its basket follow the recall measured for one basket;
repeat rates and gaps by item follow Bhagat, Muralidharan, Lobzhanidze and Vishwanath, "Buy It Again" (KDD 2018);
the protocols are in ``benchmarks/next_basket.py`` and the figures in ``docs/next-need.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from regulars.draws import exp, log
from regulars.errors import ShapeError
from regulars.retail.record import KEPT, LATELY_HALF_LIFE_DAYS, SMALL_KEPT, WEEK_AND_QUARTER
from regulars.retail.relevance import (
    AGAIN_PRIOR,
    FIT_CENTRE,
    LATELY_LEAST,
    LEAST_SHARE,
    SHARED_TIMES,
    SINGLE_PRIOR,
)
from regulars.terms import F32, F64, I32, I64

OWN = 150  #: how many of her own items are scored, those she bought most
POPULAR = 45  #: how many of everybody's are scored beside them


@dataclass(frozen=True)
class NeedWeights:
    """Weights of the twelve features; logarithms are natural.

    Counts of her own fade by 4% a basket (``kept``) or with a half-life in days. "By size" weighs each purchase by
    1 / items in its basket.

    Attributes
    ----------
    own : per log of kept purchases by size, plus .1
    shared : per log of kept purchases plus ten times the item's share of all baskets
    single : per log of the item's mean of 1 / items in the basket: what is often bought alone
    again : per log of the share of its buyers who bought it twice, over her own purchases of it
    trend : per log ratio of its share of baskets last week (half-life 7 days) to the quarter's (84 days)
    recent : per log of purchases with a half-life of 10 days, plus .02
    quarter : per log of purchases with a half-life of 90 days, plus .05
    due : per min(1, days since / own interval)
    due_square : per the square of it
    group : per log of kept purchases by size of its group (the type of a product), plus .1
    wider : the same of the wider group (the category of a product)
    single_fit : per ``single`` times log of her own mean of 1 / items, plus 1.3
    """

    own: float = 0.0
    shared: float = 1.0
    single: float = 0.0
    again: float = 0.0
    trend: float = 0.0
    recent: float = 0.0
    quarter: float = 0.0
    due: float = 0.0
    due_square: float = 0.0
    group: float = 0.0
    wider: float = 0.0
    single_fit: float = 0.0

    def column(self) -> F64:
        """(12,) float64 for kernels."""
        return np.array([getattr(self, weight.name) for weight in fields(self)], np.float64)


FEATURES = tuple(weight.name for weight in fields(NeedWeights))

#: Fitted to The Complete Journey, household-days without fuel, by ``benchmarks/next_basket.py``.
PRODUCT = NeedWeights(0.225, 0.299, 0.531, 0.827, 0.508, 0.297, 0.106, 1.820, -1.024, 0.145, 0.145, 0.138)
TYPE = NeedWeights(0.371, 0.348, 0.611, 0.986, 0.744, 0.242, -0.025, 1.551, -0.761, 0.153, 0.041, 0.216)


class Purchases(NamedTuple):
    """What N customers bought, each customer's baskets in order of time: B baskets, L items in them."""

    customer_ptr: I64  #: (N + 1,) where each customer's baskets begin
    day: I64  #: (B,)
    basket_ptr: I64  #: (B + 1,) where each basket's items begin
    item: I64  #: (L,) different within a basket
    since: I64  #: (L,) days since she bought it last, -1 the first time
    nth: I64  #: (L,) how often she had bought it before


class Groups(NamedTuple):
    """To which group and wider group each of I items belongs."""

    group: I64  #: (I,)
    wider: I64  #: (I,)


class Items(NamedTuple):
    """What everybody's purchases say of each of I items, up to a day."""

    bought: F64  #: (I,) baskets
    single: F64  #: (I,) sum of 1 / items in those baskets
    buyers: F64  #: (I,) customers
    again: F64  #: (I,) customers who bought it twice or more
    gap_days: F64  #: (I,) sum of days between two purchases of one customer
    gaps: F64  #: (I,) how many of them
    faded: F64  #: (2, I) baskets with a half-life of 7 and of 84 days
    baskets: F64  #: (2,) all baskets with these half-lives


class Cases(NamedTuple):
    """M baskets to foretell, the items that were scored for each, and what was in them."""

    basket: I64  #: (M,)
    ptr: I64  #: (M + 1,) where each basket's rows begin
    item: I32  #: (R,)
    features: F32  #: (R, 12)
    bought: F32  #: (R,) 1 when the item was in the basket


class Needs(NamedTuple):
    """The likeliest items of n customers, best first; -1 where there are fewer than asked."""

    item: I32  #: (n, top)
    score: F32  #: (n, top)
    interval: F32  #: (n, top) days between her purchases of it, shrunk to what is usual
    elapsed: F32  #: (n, top) days since her last one; -1 never bought


def purchases(customer: ArrayLike, basket: ArrayLike, day: ArrayLike, item: ArrayLike) -> Purchases:
    """Purchases from one row for each item of each basket.

    Parameters
    ----------
    customer, basket, day, item : (L,) sorted by customer, then by time; rows of a basket stand together.
        Customers are 0 .. N - 1 without holes

    Raises
    ------
    ShapeError
        when lengths differ, or days of one customer are out of order.
    """
    who, which, when, what = (np.asarray(column, np.int64) for column in (customer, basket, day, item))
    if not len(who) == len(which) == len(when) == len(what):
        raise ShapeError(f"{len(who)} customers, {len(which)} baskets, {len(when)} days, {len(what)} items")
    same = who[1:] == who[:-1]
    if (who[1:] < who[:-1]).any() or (when[1:] < when[:-1])[same].any():
        raise ShapeError("rows are out of order. Sort by customer, then by time")
    first = np.r_[True, ~same | (which[1:] != which[:-1])][: len(who)]
    start = np.flatnonzero(first)
    n = int(who[-1]) + 1 if len(who) else 0
    customer_ptr = np.searchsorted(who[start], np.arange(n + 1))
    since, nth = np.full(len(who), -1), np.zeros(len(who), np.int64)
    basket_ptr = np.r_[start, len(who)]
    room = int(what.max(initial=-1)) + 1
    _look_back(
        customer_ptr, when[start], basket_ptr, what, np.full(room, -1), np.zeros(room, np.int64), since, nth
    )
    return Purchases(customer_ptr, when[start], basket_ptr, what, since, nth)


def new_items(items: int) -> Items:
    """Nothing bought yet."""
    bought, single, buyers, again, gap_days, gaps = np.zeros((6, items))
    return Items(bought, single, buyers, again, gap_days, gaps, np.zeros((2, items)), np.zeros(2))


def cases(history: Purchases, groups: Groups, baskets: I64, *, day_known: bool) -> Cases:
    """The features of what each basket could hold, from what was bought before it, in one walk through time.

    Parameters
    ----------
    baskets : (M,) of ``history``, none of them a customer's first
    day_known : whether the day of the basket is known. If not, the next basket is expected after her usual gap,
        and everybody's purchases count up to the day of her basket before

    Returns
    -------
    Cases
        in order of time. A row sees her baskets before this one, and everybody's on days before.
    """
    asof = history.day[baskets] if day_known else history.day[baskets - 1]
    order = np.argsort(asof, kind="stable")
    baskets, asof = baskets[order], asof[order]
    by_day = np.argsort(history.day, kind="stable")
    customer = np.repeat(np.arange(len(history.customer_ptr) - 1), np.diff(history.customer_ptr))
    if len(baskets) and (history.customer_ptr[customer[baskets]] == baskets).any():
        raise ShapeError("a customer's first basket has nothing before it. Leave it out")
    rows = len(baskets) * (OWN + POPULAR)
    found = Cases(
        baskets,
        np.zeros(len(baskets) + 1, np.int64),
        np.empty(rows, np.int32),
        np.empty((rows, len(FEATURES)), np.float32),
        np.zeros(rows, np.float32),
    )
    desk = _desk(groups)
    n = _walk(
        history, groups, new_items(len(groups.group)), asof, customer[baskets], by_day, day_known, desk, found
    )
    return found._replace(item=found.item[:n], features=found.features[:n], bought=found.bought[:n])


def items_until(history: Purchases, count: int, day: int) -> Items:
    """What everybody's purchases before ``day`` say of ``count`` items."""
    known = new_items(count)
    by_day = np.argsort(history.day, kind="stable")
    _learn_days(history, by_day, known, day)
    return known


def next_needs(
    history: Purchases,
    groups: Groups,
    known: Items,
    customers: I64,
    day: int | None,
    weights: NeedWeights,
    top: int = 10,
) -> Needs:
    """The items that each customer will likeliest put in her next basket.

    Parameters
    ----------
    history : everything bought so far
    known : of the items, see ``items_until``
    customers : (n,) rows of ``history``; each has bought at least once
    day : of the next basket; None when it is not known
    """
    shape = (len(customers), top)
    out = Needs(
        np.full(shape, -1, np.int32),
        np.full(shape, -np.inf, np.float32),
        np.zeros(shape, np.float32),
        np.full(shape, -1, np.float32),
    )
    when = -1 if day is None else day
    _foretell(history, groups, known, customers, when, weights.column(), _desk(groups), out)
    return out


def fit(found: Cases, sizes: F64, penalty: float = 1.0) -> NeedWeights:
    """Weights under which what was bought is likeliest, each basket counting once.

    A conditional logit: in each basket the chances of the scored items sum to one, and each item bought has weight
    1 / items in the basket. By Newton's method.

    Parameters
    ----------
    sizes : (M,) items in each basket, found among the scored ones or not
    penalty : half the squared weights, each in standard deviations of its feature, are charged this much
    """
    scale = found.features.std(0).astype(np.float64) + 1e-9
    spread = (found.features / scale).astype(np.float32)
    width = len(FEATURES)
    weights, ridge = np.zeros(width), penalty * np.eye(width)
    gradient, hessian = np.zeros(width), np.zeros((width, width))

    def at(w: F64) -> float:
        gradient[:] = 0
        hessian[:] = 0
        value = _likelihood(spread, found.bought, found.ptr, sizes, w, gradient, hessian)
        return float(value) - 0.5 * penalty * float(w @ w)

    value = at(weights)
    for _ in range(30):
        step = np.linalg.solve(hessian + ridge, gradient - penalty * weights)
        size = 1.0
        while (better := at(weights + size * step)) < value and size > 1e-4:
            size /= 2
        weights = weights + size * step
        gained, value = better - value, better
        if gained < 1e-6 * abs(value):
            break
    return NeedWeights(*(float(w) for w in weights / scale))


# ---- kernels --------------------------------------------------------------------------------------

_BASKETS = 4096
_BY_BASKET = KEPT ** np.arange(_BASKETS)
_BY_BASKET_QUICK = SMALL_KEPT ** np.arange(_BASKETS)
_DAYS = 2048
_HALF_10 = 0.5 ** (np.arange(_DAYS) / LATELY_HALF_LIFE_DAYS)
_HALF_90 = 0.5 ** (np.arange(_DAYS) / 90)
_FADE = 0.5 ** (1 / np.array(WEEK_AND_QUARTER, np.float64))
# A usual gap of 40 days, and a trip gap of 7, each worth two gaps of hers.
_USUAL_GAP, _USUAL_TRIP, _SHRINK = 40.0, 7.0, 2.0
# Columns of what is counted of her own items: kept, kept by size, half-lives 10 and 90, purchases, first, last.
_KEPT_N, _SIZED, _TEN, _NINETY, _COUNT, _FIRST, _LAST = range(7)
_COLUMNS = 7


class _Desk(NamedTuple):
    """Where one customer's items are counted; -1 in the places when nobody is."""

    place: I64  #: (I,)
    own: I64  #: (I,) item at each place
    counts: F64  #: (I, 7)
    group: F64  #: (groups,) kept purchases by size
    group_basket: I64  #: (groups,) last basket counted
    wider: F64
    wider_basket: I64
    rows: I64  #: (OWN + POPULAR,) items to score
    features: F64  #: (OWN + POPULAR, 12)


def _desk(groups: Groups) -> _Desk:
    n = len(groups.group)
    many, more = int(groups.group.max(initial=0)) + 1, int(groups.wider.max(initial=0)) + 1
    return _Desk(
        np.full(n, -1),
        np.zeros(n, np.int64),
        np.zeros((n, _COLUMNS)),
        np.zeros(many),
        np.full(many, -1),
        np.zeros(more),
        np.full(more, -1),
        np.zeros(OWN + POPULAR, np.int64),
        np.zeros((OWN + POPULAR, len(FEATURES))),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _look_back(customer_ptr, day, basket_ptr, item, last, count, since, nth):
    for i in range(len(customer_ptr) - 1):
        first, end = customer_ptr[i], customer_ptr[i + 1]
        for b in range(first, end):
            for k in range(basket_ptr[b], basket_ptr[b + 1]):
                c = item[k]
                if last[c] >= 0:
                    since[k] = day[b] - last[c]
                nth[k] = count[c]
                last[c] = day[b]
                count[c] += 1
        for k in range(basket_ptr[first], basket_ptr[end]):
            last[item[k]] = -1
            count[item[k]] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def learn_basket(history, known, b):
    """What one basket tells of its items."""
    first, end = history.basket_ptr[b], history.basket_ptr[b + 1]
    known.baskets[:] += 1.0
    for k in range(first, end):
        c = history.item[k]
        known.bought[c] += 1.0
        known.single[c] += 1.0 / (end - first)
        known.faded[0, c] += 1.0
        known.faded[1, c] += 1.0
        if history.nth[k] == 0:
            known.buyers[c] += 1.0
        elif history.nth[k] == 1:
            known.again[c] += 1.0
        if history.since[k] >= 0:
            known.gap_days[c] += history.since[k]
            known.gaps[c] += 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def end_day(known):
    """A day fades."""
    for h in range(2):
        known.baskets[h] *= _FADE[h]
        for c in range(known.faded.shape[1]):
            known.faded[h, c] *= _FADE[h]


@njit(cache=True, nogil=True, error_model="numpy")
def _learn_days(history, by_day, known, day):
    if len(by_day) == 0:
        return
    today = history.day[by_day[0]]
    for b in by_day:
        if history.day[b] >= day:
            break
        while today < history.day[b]:
            end_day(known)
            today += 1
        learn_basket(history, known, b)
    while today < day:
        end_day(known)
        today += 1


@njit(cache=True, nogil=True, error_model="numpy")
def expected_day(history, first, end):
    """The day of her next basket, after her usual gap."""
    last = history.day[end - 1]
    gap = (last - history.day[first] + _SHRINK * _USUAL_TRIP) / (end - first - 1 + _SHRINK)
    return last + np.int64(gap + 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _interval(known, counts, c):
    """Days between her purchases of an item, shrunk to what is usual for it."""
    usual = (known.gap_days[c] + _SHRINK * _USUAL_GAP) / (known.gaps[c] + _SHRINK)
    span = counts[_LAST] - counts[_FIRST]
    return (span + _SHRINK * usual) / (counts[_COUNT] - 1.0 + _SHRINK)


@njit(cache=True, nogil=True, error_model="numpy")
def _describe(history, groups, known, first, end, now, popular, desk):
    """Count baskets ``first`` to ``end - 1`` on the desk and fill the features of the items to score.

    Returns how many; the counts stay on the desk until ``_clear``.
    """
    m = 0
    weight, inverse = 0.0, 0.0
    for b in range(first, end):
        back = min(end - 1 - b, _BASKETS - 1)
        age = min(max(now - history.day[b], 0), _DAYS - 1)
        size = history.basket_ptr[b + 1] - history.basket_ptr[b]
        kept = _BY_BASKET[back]
        weight += _BY_BASKET_QUICK[back]
        inverse += _BY_BASKET_QUICK[back] / size
        for k in range(history.basket_ptr[b], history.basket_ptr[b + 1]):
            c = history.item[k]
            p = desk.place[c]
            if p < 0:
                p = m
                m += 1
                desk.place[c] = p
                desk.own[p] = c
                desk.counts[p, :] = 0.0
                desk.counts[p, _FIRST] = history.day[b]
            counts = desk.counts[p]
            counts[_KEPT_N] += kept
            counts[_SIZED] += kept / size
            counts[_TEN] += _HALF_10[age]
            counts[_NINETY] += _HALF_90[age]
            counts[_COUNT] += 1.0
            counts[_LAST] = history.day[b]
            g, w = groups.group[c], groups.wider[c]
            if desk.group_basket[g] != b:
                desk.group_basket[g] = b
                desk.group[g] += kept / size
            if desk.wider_basket[w] != b:
                desk.wider_basket[w] = b
                desk.wider[w] += kept / size
    n = _rows(m, popular, desk)
    hers = log(inverse / weight) + FIT_CENTRE
    for r in range(n):
        c = desk.rows[r]
        p = desk.place[c]
        f = desk.features[r]
        week = known.faded[0, c] / (known.baskets[0] + 1.0)
        quarter = known.faded[1, c] / (known.baskets[1] + 1.0)
        single = log((known.single[c] + SINGLE_PRIOR[0]) / (known.bought[c] + SINGLE_PRIOR[1]))
        f[:] = 0.0
        kept, sized, ten, ninety = 0.0, 0.0, 0.0, 0.0
        if p >= 0:
            counts = desk.counts[p]
            kept, sized, ten, ninety = counts[_KEPT_N], counts[_SIZED], counts[_TEN], counts[_NINETY]
            again = (known.again[c] + AGAIN_PRIOR[0]) / (known.buyers[c] + AGAIN_PRIOR[1])
            f[3] = log(again) / counts[_COUNT]
            f[7] = min(1.0, (now - counts[_LAST]) / (_interval(known, counts, c) + 1.0))
            f[8] = f[7] * f[7]
        f[0] = log(sized + 0.1)
        f[1] = log(kept + SHARED_TIMES * quarter + LEAST_SHARE)
        f[2] = single
        f[4] = log(week + LEAST_SHARE) - log(quarter + LEAST_SHARE)
        f[5] = log(ten + LATELY_LEAST)
        f[6] = log(ninety + 0.05)
        f[9] = log(desk.group[groups.group[c]] + 0.1)
        f[10] = log(desk.wider[groups.wider[c]] + 0.1)
        f[11] = single * hers
    return n, m


@njit(cache=True, nogil=True, error_model="numpy")
def _rows(m, popular, desk):
    """Which items to score: her own, at most ``OWN``, then the popular ones she never bought."""
    n = min(m, OWN)
    if m <= OWN:
        for p in range(m):
            desk.rows[p] = desk.own[p]
    else:
        most = np.empty(m)
        for p in range(m):
            most[p] = -(desk.counts[p, _KEPT_N] + 2.0 * desk.counts[p, _SIZED])
        order = np.argsort(most)
        for r in range(n):
            desk.rows[r] = desk.own[order[r]]
    for c in popular:
        if desk.place[c] < 0:
            desk.rows[n] = c
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _popular(known):
    """The items most bought of late."""
    fewest = -known.faded[1]
    if len(fewest) <= POPULAR:
        return np.arange(len(fewest))
    return np.argpartition(fewest, POPULAR - 1)[:POPULAR]


@njit(cache=True, nogil=True, error_model="numpy")
def _clear(groups, m, desk):
    for p in range(m):
        c = desk.own[p]
        desk.place[c] = -1
        for values, seen, g in (
            (desk.group, desk.group_basket, groups.group[c]),
            (desk.wider, desk.wider_basket, groups.wider[c]),
        ):
            values[g] = 0.0
            seen[g] = -1


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(history, groups, known, asof, customer, by_day, day_known, desk, found):
    """Fill the cases in order of ``asof``, learning each day's baskets after it. Returns the rows filled."""
    n, learnt = 0, 0
    if len(by_day) == 0:
        return 0
    today = history.day[by_day[0]]
    popular = np.zeros(0, np.int64)
    for t in range(len(asof)):
        if t == 0 or asof[t] != asof[t - 1]:
            while today < asof[t]:
                while learnt < len(by_day) and history.day[by_day[learnt]] == today:
                    learn_basket(history, known, by_day[learnt])
                    learnt += 1
                end_day(known)
                today += 1
            popular = _popular(known)
        b = found.basket[t]
        first = history.customer_ptr[customer[t]]
        now = history.day[b] if day_known else expected_day(history, first, b)
        rows, m = _describe(history, groups, known, first, b, now, popular, desk)
        for r in range(rows):
            found.item[n + r] = desk.rows[r]
            for f in range(desk.features.shape[1]):
                found.features[n + r, f] = desk.features[r, f]
            for k in range(history.basket_ptr[b], history.basket_ptr[b + 1]):
                if history.item[k] == desk.rows[r]:
                    found.bought[n + r] = 1.0
        _clear(groups, m, desk)
        n += rows
        found.ptr[t + 1] = n
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _foretell(history, groups, known, customers, day, weights, desk, out):
    popular = _popular(known)
    top = out.item.shape[1]
    score = np.empty(OWN + POPULAR)
    for k in range(len(customers)):
        first, end = history.customer_ptr[customers[k]], history.customer_ptr[customers[k] + 1]
        now = day if day >= 0 else expected_day(history, first, end)
        n, m = _describe(history, groups, known, first, end, now, popular, desk)
        for r in range(n):
            score[r] = -np.dot(desk.features[r], weights)
        order = np.argsort(score[:n])
        for r in range(min(top, n)):
            c = desk.rows[order[r]]
            p = desk.place[c]
            out.item[k, r] = c
            out.score[k, r] = -score[order[r]]
            if p >= 0:
                out.interval[k, r] = _interval(known, desk.counts[p], c)
                out.elapsed[k, r] = now - desk.counts[p, _LAST]
        _clear(groups, m, desk)


@njit(cache=True, nogil=True, error_model="numpy")
def _likelihood(features, bought, ptr, sizes, w, gradient, hessian):
    """Log-likelihood of the conditional logit; adds to its gradient and to its negative second derivative."""
    value, width = 0.0, len(w)
    mean = np.zeros(width)
    for t in range(len(ptr) - 1):
        first, end = ptr[t], ptr[t + 1]
        hits = bought[first:end].sum()
        if hits == 0.0:
            continue
        share = hits / sizes[t]
        score = np.zeros(end - first)
        for r in range(first, end):
            for c in range(width):
                score[r - first] += w[c] * features[r, c]
        highest = score.max()
        total = 0.0
        for r in range(end - first):
            total += exp(score[r] - highest)
        mean[:] = 0.0
        for r in range(first, end):
            chance = exp(score[r - first] - highest) / total
            if bought[r] > 0.0:
                value += (score[r - first] - highest - log(total)) / sizes[t]
            away = bought[r] / sizes[t] - share * chance
            for c in range(width):
                x = features[r, c]
                gradient[c] += away * x
                mean[c] += chance * x
                for d in range(c + 1):
                    hessian[c, d] += share * chance * x * features[r, d]
        for c in range(width):
            for d in range(c + 1):
                hessian[c, d] -= share * mean[c] * mean[d]
    for c in range(width):
        for d in range(c):
            hessian[d, c] = hessian[c, d]
    return value
