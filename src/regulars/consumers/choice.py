"""What she puts in her basket: how many categories, which of them, which products, how many units.

Kernels of this file and what they take::

    aisle = aisle_of(shelf, demand, offers, price_level)
    n_lines = fill_baskets(today, town, aisle, shoppers, n, lines)
    product = substitute(today, town, aisle, out, lines, k)

A basket has an intended size ``s``. Each category of her rows comes with the hazard

    s x theta x season x age hazard x own regularity x size factor x (inclusive value) ** power x (message in hand)

where the inclusive value says how good this week's prices and placement are among what she likes. A product
is drawn among those she knows, by loyalty, and all others, by popularity, each times what depth, display,
mailer and a coupon in hand make of it. A basket in which too little fired gets what is missing of the
one to LEAST categories that were meant, in proportion to the hazards.

Luck is named by category and line number, never by position, so nothing that happens to one category moves
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regulars import draws
from regulars.consumers.kernels import DOOR, INNER
from regulars.consumers.population import AGE_EDGES, CYCLE_EDGES, LARGE, PACE_EDGES, Demand
from regulars.errors import ShapeError
from regulars.shelf import Shelf
from regulars.terms import F32, NONE, Fate, OfferKind, Offers

_SIZE = int(draws.Purpose.SIZE)
_CATEGORY = int(draws.Purpose.CATEGORY)
_PRODUCT = int(draws.Purpose.PRODUCT)
_UNITS = int(draws.Purpose.UNITS)
_REDEEM = int(draws.Purpose.REDEEM)
_SUBSTITUTE = int(draws.Purpose.SUBSTITUTE)
#: Categories that a basket meant to have at least so many has: one that is meant to have one has an aim of its own.
LEAST = 3
# Occasions of REDEEM draws that say which categories a booklet has coupons for, and whether it is used.
_BOOKLET = 1 << 23
_DRAWER = 1 << 22
_DEAL = int(OfferKind.DEAL)
_COUPON = int(OfferKind.COUPON)
_SERVED = int(Fate.SERVED)

#: Room for one basket while it is filled, most lines of one category in it, most units of one line.
MOST_LINES = 320
MOST_OF_CATEGORY = 12
MOST_UNITS = 24
#: Units beyond the first of lines with several units (The Complete Journey of 2017: two are 73% of these), and
#: the most lines of which there are several.
SEVERAL_BASE, SEVERAL_MORE = 1.05, 0.6
MOST_SEVERAL = 0.95
#: How much units beyond the first grow with the depth of a discount above the usual one (read off the same lines).
STOCK_UP, USUAL_DEPTH = 0.9, 0.135
#: Most that prices, placement and messages may multiply the hazard of a category by.
MOST_LIFT = 2.0
MOST_LIFT_IN_HAND = 8.0
#: Deepest discount that choice looks at, as a share of the price.
DEEPEST = 0.9
# Occasions of CATEGORY draws beyond the blocks of four categories.
_ENTRY = 1 << 16
_FORCED = (1 << 16) + 64
_MOST_ENTRIES = 12

#: What she has in hand: nothing that moves her, a message that she remembers, a coupon that is good today.
NOTHING, A_MESSAGE, A_COUPON = 0, 1, 2

#: Weight of the product bought last against all others of the category together, at once, and days after
#: which half of that is left (state dependence; Dube, Hitsch and Rossi, 2010).
AGAIN, AGAIN_HALF_LIFE = 0.25, 45.0

#: Factor on the log-odds of the uniform of a basket's size, so that weekdays and cycles leave its spread as it was.
SIZE_LUCK = 0.94
#: Part of her response to promotions in what she knows, and in what is new to her: deals are for trying.
KNOWN_DEAL, FRESH_DEAL = 0.75, 1.3
#: How much less she tries a product for each unit of log price that it is away from what she took last.
NEAR = 0.7

#: Shoppers whose categories are chosen before their products are: few enough to stay in the cache in between.
CHUNK = 32

#: A booklet of coupons: days after which half of those who would use it no longer think of it; days after which all
#: but 1/e have got round to it; share of booklets read that are used at all. Set by hand on the redemptions of all
#: campaigns of The Complete Journey of 2017, over the days of a campaign and by household.
BOOKLET_HALF_LIFE = 30.0
BOOKLET_DELAY = 2.5
BOOKLET_USED = 0.75
#: Half-lives after which a message is forgotten.
FORGOTTEN = 8.0
_LN2 = 0.6931471805599453

#: Steps of age / own interval in which ``AGE_BIN`` is looked up.
AGE_STEPS = 20
AGE_BIN = np.searchsorted(
    AGE_EDGES, (np.arange(int(AGE_EDGES[-1] * AGE_STEPS) + 2) + 0.5) / AGE_STEPS
).astype(np.uint8)


#: Log of a typical age of each bin, for regularity.
LOG_AGE = np.log(
    np.concatenate([[0.07], (AGE_EDGES[:-1].astype(float) + AGE_EDGES[1:]) / 2, [AGE_EDGES[-1] * 1.2]])
)


class Explore(NamedTuple):
    """Popularity as this week's prices and placement bend it, for products that she does not know."""

    cumulative: F32  #: (W, P) in the order of ``shelf.category_product``, starting anew in each category
    value: F32  #: (W, C) mean factor of the week over the products of a category, by popularity
    usual: F32  #: (C,) mean of ``value`` over the weeks, or over those of the fit
    relative: F32  #: (P,) log of the usual price over the median of the category
    base: F32  #: (P,) popularity that a product would have without any promotion
    promoted: F32  #: (P,) mean factor of the weeks that promotion puts on a product
    cut: F32  #: (W, P) share of the price taken off
    least: (
        F32  #: (C,) below this the inclusive value never brings the need of a category; 0 when nobody knows
    )


class Visit(NamedTuple):
    """One shopper in one store."""

    consumer: Any  #: row of the consumer
    retailer: Any
    store: Any
    tier: Any  #: her log tilt per log of relative price in a basket of today's size
    held: Any  #: what she has in hand from this retailer: NOTHING, A_MESSAGE or A_COUPON


class Aisle(NamedTuple):
    """What the consumers of a run choose from."""

    shelf: Shelf
    explore: Explore
    offers: Offers
    eligible: F32  #: (rows, C) share of a category's popularity on which the coupon of a row is good
    price_level: F32  #: (R,) factor of each retailer on every shelf price
    reach: F32  #: (rows,) share of the coupons of a row that one booklet holds, 1 where it holds them all


def no_offers(products: int) -> Offers:
    """A catalog of offers with nothing in it."""
    return Offers(
        np.zeros(0, np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32),
        np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32),
        np.zeros((0, (products + 63) // 64), np.uint64),
    )  # fmt: skip


def aisle_of(
    shelf: Shelf,
    demand: Demand,
    offers: Offers | None = None,
    price_level: F32 | None = None,
    reach: F32 | None = None,
    seen: Shelf | None = None,
) -> Aisle:
    """An aisle with its tables; without offers, and of one retailer at the source's prices, unless told.

    ``seen`` is the shelf that the demand was fitted on, when it is another than ``shelf``.
    """
    catalog = no_offers(shelf.price.shape[1]) if offers is None else offers
    level = np.ones(1, np.float32) if price_level is None else price_level.astype(np.float32)
    whole = np.ones(len(catalog.product_bits), np.float32) if reach is None else reach.astype(np.float32)
    explore = explore_tables(shelf, demand.response, seen)
    return Aisle(shelf, explore, catalog, eligible_share(catalog, shelf), level, whole)


def line_room(shoppers: int) -> int:
    """Rows that ``Lines`` must have for the baskets of so many shoppers of one day."""
    return MOST_LINES // 2 * (MOST_OF_CATEGORY + 1) + 48 * shoppers


def filled(lines: int) -> int:
    """The number of lines that ``fill_baskets`` wrote.

    Raises
    ------
    ShapeError
        when they had too little room.
    """
    if lines < 0:
        raise ShapeError("the baskets of a day have more lines than there is room for; see line_room")
    return lines


def explore_tables(shelf: Shelf, response: Sequence[float] | F32, seen: Shelf | None = None) -> Explore:
    """Weights of products that a consumer does not know yet, week by week; once per run, 8 bytes x W x P.

    Parameters
    ----------
    shelf : W weeks, P products, C categories
    response : (8,) what depth, display and mailer do, ``Demand.response``
    seen : the shelf on which popularity was counted and demand was fitted, of the same products: what is usual is
        what was usual on it. None when it is ``shelf``
    """
    then = None if seen is None else explore_tables(seen, response)
    weeks, products = shelf.price.shape
    categories = len(shelf.category_ptr) - 1
    cumulative = np.empty((weeks, products), np.float32)
    cut = np.minimum(shelf.depth, np.float32(DEEPEST))
    value = np.ones((weeks, categories), np.float32)
    stores = max(len(shelf.placement_store), 1)
    display = np.bitwise_count(shelf.display).sum(1, dtype=np.float64) / stores
    mailer = np.bitwise_count(shelf.mailer).sum(1, dtype=np.float64) / stores
    both = np.bitwise_count(shelf.display & shelf.mailer).sum(1, dtype=np.float64) / stores
    order = shelf.category_product
    starts = shelf.category_ptr[:-1]
    stocked = np.diff(shelf.category_ptr) > 0
    b = [FRESH_DEAL * float(x) for x in response]
    b[7] = float(response[7])
    factor = np.empty((weeks, products), np.float32)
    for week in range(weeks):
        x = cut[week].astype(np.float64)
        factor[week] = np.exp(b[0] * x)
        placed = shelf.placement_row[week] >= 0
        row = shelf.placement_row[week][placed]
        xp = x[placed]
        d, m = np.exp(b[1] + b[3] * xp), np.exp(b[5] + b[2] * xp)
        dm = d * m * np.exp(b[4] + b[6] * xp)
        share = both[row]
        mixed = share * dm + (display[row] - share) * d + (mailer[row] - share) * m
        factor[week, placed] *= mixed + 1 - display[row] - mailer[row] + share
    # What was bought was bought with the promotions that there were: they must not count twice.
    if then is None:
        promoted = factor.mean(0, dtype=np.float64)
        base = np.maximum(shelf.popularity, np.float32(1e-3)) / promoted
    else:
        promoted, base = then.promoted.astype(np.float64), then.base.astype(np.float64)
    total = np.ones(categories)
    total[stocked] = np.add.reduceat(base[order], starts[stocked])
    for week in range(weeks):
        weight = (base * factor[week])[order]
        running = np.cumsum(weight)
        before = np.concatenate([[0.0], running])[starts]
        running -= np.repeat(before, np.diff(shelf.category_ptr))
        cumulative[week] = running
        value[week, stocked] = np.add.reduceat(weight, starts[stocked]) / total[stocked]
    price = np.log(shelf.price.astype(np.float64)).mean(0)
    relative = np.zeros(products, np.float32)
    for c in np.flatnonzero(stocked):
        members = order[shelf.category_ptr[c] : shelf.category_ptr[c + 1]]
        relative[members] = np.clip(price[members] - np.median(price[members]), -1.5, 1.5)
    usual = np.maximum(value.mean(0), np.float32(1e-6)).astype(np.float32) if then is None else then.usual
    f32 = np.float32
    least = _least(usual, b, float(cut.max(initial=0.0)))
    return Explore(cumulative, value, usual, relative, base.astype(f32), promoted.astype(f32), cut, least)


def _least(usual: F32, b: list[float], deepest: float) -> F32:
    """What the inclusive value brings when nothing is promoted; 0 unless every promotion helps a product."""
    levels = [
        (b[1] + b[3] * x, b[5] + b[2] * x, b[1] + b[5] + b[4] + (b[3] + b[2] + b[6]) * x)
        for x in (0.0, deepest)
    ]
    helps = b[0] >= 0 and b[7] >= 0 and min(min(level) for level in levels) >= 0
    # A hair below, for rounding.
    return (usual.astype(np.float64) ** -b[7] * 0.999 * helps).astype(np.float32)


def eligible_share(offers: Offers, shelf: Shelf) -> F32:
    """(rows, C) share of each category's popularity that each row of ``offers.product_bits`` covers."""
    categories = len(shelf.category_ptr) - 1
    products = len(shelf.category)
    share = np.zeros((len(offers.product_bits), categories), np.float32)
    popularity = np.maximum(shelf.popularity, np.float32(1e-3)).astype(np.float64)
    total = np.maximum(np.bincount(shelf.category, popularity, categories), 1e-9)
    for row, bits in enumerate(offers.product_bits):
        good = np.flatnonzero(np.unpackbits(bits.astype("<u8").view(np.uint8), bitorder="little")[:products])
        share[row] = np.bincount(shelf.category[good], popularity[good], categories) / total
    return share


# ---- kernels
# ``today`` is a Today, ``town`` a Town, ``aisle`` an Aisle and ``visit`` a Visit throughout.


@njit(**DOOR)
def fill_baskets(today, town, aisle, shoppers, n, lines):
    """Intended lines of the first ``n`` shoppers; returns how many, or -1 when ``lines`` has too little room.

    ``lines`` needs ``line_room(n)`` rows. A coupon that is redeemed is taken out of her hand.
    """
    m = np.int64(0)
    for first in range(0, n, CHUNK):
        picks = choose_categories(today, town, aisle, shoppers, first, min(first + CHUNK, n), lines, m)
        m = choose_products(today, town, aisle, picks, lines, m) if picks >= 0 else np.int64(-1)
        if m < 0:
            break
    return m


@njit(**INNER)
def choose_categories(today, town, aisle, shoppers, start, stop, lines, m):
    """What some shoppers go for, left at the far end of ``lines``, last first; returns how many, or -1."""
    row_ptr, row_category = town.habits.row_ptr, town.habits.row_category
    row_rate, row_interval = town.habits.row_rate, town.habits.row_interval
    novelty, names = town.habits.novelty, town.habits.consumer
    last_bought = town.needs.last_bought
    age_hazard, pace_hazard = town.demand.age_hazard, town.demand.pace_hazard
    size_scale = town.demand.size_scale
    season = town.demand.week_category[today.week]
    least = aisle.explore.least
    key, day = today.key, today.day
    top = len(lines.consumer) - 1
    picks = 0
    for k in range(start, stop):
        if top - picks - m < MOST_LINES:
            return -1
        i = np.int64(shoppers.consumer[k])
        retailer = np.int64(shoppers.retailer[k])
        held = in_hand(day, i, retailer, town, aisle)
        size = intended_size(today, town, i)
        tier = np.float64(town.demand.size_tier[size])
        visit = Visit(i, retailer, np.int64(shoppers.store[k]), tier, held)
        name = names[i]
        scale = np.float64(size_scale[size])
        size_factor = town.demand.size_factor[size]
        cheap = 1.0 if aisle.price_level[retailer] <= 1.0 else 0.0
        ageing = town.habits.need_age[i]
        first = picks
        maybe = picks
        end = picks + MOST_LINES // 2
        block = np.int64(-1)
        words = draws.four(key, _CATEGORY, name, day, 0)
        for row in range(row_ptr[i], row_ptr[i + 1]):
            category = np.int64(row_category[row])
            hazard = scale * need(
                day, last_bought[row], row_interval[row], row_rate[row],
                age_hazard[category], ageing, pace_hazard, size_factor[category], season[category],
            )  # fmt: skip
            if category >> 2 != block:
                block = category >> 2
                words = draws.four(key, _CATEGORY, name, day, block)
            word = words[category & 3]
            # A bound first: only one row in five needs its prices looked at; and those one after the other,
            # so that the processor fetches the next row's products while it works on this one's.
            u = draws.unit(word)
            looked_at = u < hazard * MOST_LIFT
            if held and not looked_at and u < hazard * MOST_LIFT_IN_HAND:
                looked_at = in_hand_for(today, i, retailer, category, town, aisle) != NOTHING
            if looked_at and maybe < end:
                lines.row[top - maybe] = row
                lines.units[top - maybe] = np.int32(word)
                lines.shelf_cents[top - maybe] = np.float32(hazard).view(np.int32)
                maybe += 1
        for at in range(top - first, top - maybe, -1):
            row = lines.row[at]
            category = np.int64(row_category[row])
            u = draws.unit(np.uint32(lines.units[at]))
            hazard = np.float64(np.int32(lines.shelf_cents[at]).view(np.float32))
            low = hazard * least[category] * cheap
            here = in_hand_for(today, i, retailer, category, town, aisle) if held else NOTHING
            seen = Visit(i, retailer, visit.store, visit.tier, here)
            if (u < low and u < 1.0 - draws.exp(-low)) or (
                u < 1.0 - draws.exp(-hazard * lift(today, town, aisle, seen, row, category))
            ):
                picks = _pick(visit, row, category, size, lines, top, picks)
        entering = scale * novelty[i]
        if held:
            picks = _enter_by_message(today, town, aisle, visit, size, entering, lines, top, picks, end)
        picks = _enter_new(today, town, visit, size, entering, lines, top, first, picks, end)
        while picks - first < min(size + 1, LEAST, len(town.demand.entry)):
            picks = _force_one(today, town, visit, size, lines, top, first, picks)
    return picks


@njit(**INNER)
def choose_products(today, town, aisle, picks, lines, m):
    """Lines of each pick that ``choose_categories`` left, from ``m`` on; returns where they end, or -1."""
    habits = town.habits
    top = len(lines.consumer) - 1
    for pick in range(picks):
        at = top - pick
        if m + MOST_OF_CATEGORY > top - picks:
            return -1
        i, retailer = np.int64(lines.consumer[at]), np.int64(lines.retailer[at])
        row, category = np.int64(lines.row[at]), np.int64(lines.category[at])
        held = in_hand_for(today, i, retailer, category, town, aisle)
        size = lines.units[at]
        tier = np.float64(town.demand.size_tier[size])
        visit = Visit(i, retailer, np.int64(lines.store[at]), tier, held)
        mean_lines = np.float64(town.demand.entry_lines[category])
        mean_units = np.float64(town.demand.entry_units[category])
        if row != NONE:
            mean_lines, mean_units = np.float64(habits.row_lines[row]), np.float64(habits.row_units[row])
        mean_lines = 1.0 + max(mean_lines - 1.0, 0.0) * town.demand.size_lines[size]
        more = 1.0 - 1.0 / mean_lines
        more_units = (mean_units - 1.0) * town.demand.size_units[size]
        first = m
        for ordinal in range(MOST_OF_CATEGORY):
            occasion = category * MOST_OF_CATEGORY + ordinal
            product = _choose(today, town, aisle, visit, row, category, occasion)
            u_units, u_more, _, _ = draws.four(today.key, _UNITS, habits.consumer[i], today.day, occasion)
            fresh = True
            for earlier in range(first, m):
                fresh = fresh and lines.product[earlier] != product
            if fresh:
                stock_up = 1.0 + STOCK_UP * (aisle.shelf.depth[today.week, product] - USUAL_DEPTH)
                extra = more_units * town.demand.more_units[product] * stock_up
                units = units_of(draws.unit(u_units), 1.0 + extra)
                write_line(today, aisle, visit, row, category, product, units, lines, m)
                if held == A_COUPON:
                    _redeem(today, town, aisle, visit, occasion, lines, m)
                m += 1
            if draws.unit(u_more) >= more:
                break
    return m


@njit(**INNER)
def _pick(visit, row, category, size, lines, top, picks):
    at = top - picks
    lines.consumer[at] = visit.consumer
    lines.retailer[at] = visit.retailer
    lines.store[at] = visit.store
    lines.row[at] = row
    lines.category[at] = category
    lines.units[at] = size
    return picks + 1


@njit(**INNER)
def _cycle_bin(age):
    found = 0
    while found < len(CYCLE_EDGES) and age > CYCLE_EDGES[found]:
        found += 1
    return found


@njit(**INNER)
def intended_size(today, town, i):
    """Index of BASKET_SIZES that she has in mind today, by her shares of sizes, her weekday and her last large basket."""
    habits, needs, cdf = town.habits, town.needs, town.habits.size_cdf[i]
    rate = np.float64(habits.trip_rate[i])
    cycle = _cycle_bin((today.day - needs.last_large[i]) * rate * LARGE)
    gap = _cycle_bin(needs.gap[i] * rate)
    first, _, _, _ = draws.four(today.key, _SIZE, habits.consumer[i], today.day, 0)
    odds = draws.open_unit(first)
    odds = (
        SIZE_LUCK * draws.log(odds / (1.0 - odds)) + town.demand.size_cycle[cycle] + town.demand.size_gap[gap]
    )
    odds += habits.size_dow[i, today.dow]
    u = draws.sigmoid(odds)
    if u >= 1.0 - LARGE:
        needs.last_large[i] = today.day
    size = 0
    while size < len(cdf) - 1 and u >= cdf[size]:
        size += 1
    needs.meant[i] = size
    return size


@njit(**INNER)
def pace_of(interval):
    """Class of an own mean interval, by PACE_EDGES."""
    pace = 0
    for edge in PACE_EDGES:
        pace += interval >= edge
    return pace


@njit(**INNER)
def need(day, last_bought, interval, rate, age_hazard, ageing, pace_hazard, size_factor, season):
    """Hazard of a category per unit of basket size, before prices and messages; ``age_hazard`` is its row.

    ``ageing`` is what her own regularity makes of each bin of ages.
    """
    pace = pace_of(interval)
    step = np.float64(day - last_bought) / interval * AGE_STEPS
    age_bin = AGE_BIN[np.int64(min(max(step, 0.0), len(AGE_BIN) - 1.0))]
    due = age_hazard[age_bin] * ageing[age_bin] * pace_hazard[pace, age_bin]
    return np.float64(rate) * due * size_factor * season


# -- messages in hand


@njit(**INNER)
def in_hand(day, i, retailer, town, aisle):
    """NOTHING, A_MESSAGE or A_COUPON."""
    hand = town.hand
    held = NOTHING
    for k in range(hand.category.shape[2]):
        if good_coupon(day, i, retailer, k, town, aisle) != NONE:
            held = A_COUPON
        elif held == NOTHING and hand.category[i, retailer, k] != NONE:
            age = day - np.int64(hand.day[i, retailer, k])
            if age <= FORGOTTEN * town.persuasion.exposure_half_life_days:
                held = A_MESSAGE
    return held


@njit(**DOOR)
def in_hand_for(today, i, retailer, category, town, aisle):
    """The same for one category: NOTHING when what she has in hand has no part in it."""
    hand = town.hand
    held = NOTHING
    for k in range(hand.category.shape[2]):
        bits_row = coupon_for(today, i, retailer, k, category, town, aisle)
        if bits_row != NONE and aisle.eligible[bits_row, category] > 0.0:
            held = A_COUPON
        elif held == NOTHING and hand.category[i, retailer, k] == category:
            age = today.day - np.int64(hand.day[i, retailer, k])
            if age <= FORGOTTEN * town.persuasion.exposure_half_life_days:
                held = A_MESSAGE
    return held


@njit(**INNER)
def exposure(day, category, visit, town):
    """Factor on the need of a category that messages in hand are about."""
    hand = town.hand
    half_life = town.persuasion.exposure_half_life_days
    factor = 1.0
    for k in range(hand.category.shape[2]):
        if hand.category[visit.consumer, visit.retailer, k] == category:
            age = max(day - np.int64(hand.day[visit.consumer, visit.retailer, k]), 0)
            if age <= FORGOTTEN * half_life:
                factor *= 1.0 + town.persuasion.exposure_lift * draws.exp(-_LN2 * age / half_life)
    return factor


@njit(**INNER)
def good_coupon(day, i, retailer, slot, town, aisle):
    """Row of ``offers.product_bits`` of the coupon in that slot, NONE when there is none or it is over."""
    offer = town.hand.offer[i, retailer, slot]
    bits_row = np.int64(NONE)
    if offer != NONE and day <= town.hand.last_day[i, retailer, slot] and aisle.offers.kind[offer] != _DEAL:
        bits_row = np.int64(aisle.offers.bits_row[offer])
    return bits_row


@njit(**INNER)
def coupon_for(today, i, retailer, slot, category, town, aisle):
    """The same where her copy of it has a coupon for the category: a booklet holds some of a campaign's."""
    bits_row = good_coupon(today.day, i, retailer, slot, town, aisle)
    if bits_row != NONE:
        reach = aisle.reach[bits_row]
        if reach < 1.0:
            occasion = _BOOKLET | (bits_row & 4095) << 10 | category
            if draws.uniform(today.key, _REDEEM, town.habits.consumer[i], 0, occasion) >= reach:
                bits_row = np.int64(NONE)
    return bits_row


@njit(**INNER)
def is_good_on(offers, bits_row, product):
    """Whether a row of coupon bits covers a product."""
    word = offers.product_bits[bits_row, product >> 6]
    return (word >> np.uint64(product & 63)) & np.uint64(1) != 0


@njit(**DOOR)
def coupon_factor(today, town, aisle, visit, product):
    """Factor on a product's weight from the coupon in hand that saves most on it."""
    best = 0.0
    category = np.int64(aisle.shelf.category[product])
    for k in range(town.hand.offer.shape[2]):
        bits_row = coupon_for(today, visit.consumer, visit.retailer, k, category, town, aisle)
        if bits_row != NONE and is_good_on(aisle.offers, bits_row, product):
            best = max(best, np.float64(town.hand.saving[visit.consumer, visit.retailer, k]))
    return draws.exp(town.persuasion.coupon_lift * best) if best > 0.0 else 1.0


@njit(**DOOR)
def _coupon_reach(today, town, aisle, visit, category):
    """Factor on the weight of all products she does not know, from coupons that cover part of them."""
    best = 1.0
    for k in range(town.hand.offer.shape[2]):
        bits_row = coupon_for(today, visit.consumer, visit.retailer, k, category, town, aisle)
        if bits_row != NONE and aisle.eligible[bits_row, category] > 0.0:
            saving = np.float64(town.hand.saving[visit.consumer, visit.retailer, k])
            more = draws.exp(town.persuasion.coupon_lift * saving) - 1.0
            best = max(best, 1.0 + aisle.eligible[bits_row, category] * more)
    return best


@njit(**DOOR)
def _redeem(today, town, aisle, visit, occasion, lines, m):
    """Use the coupon in hand that saves most on this line, if she thinks of it."""
    i, retailer = visit.consumer, visit.retailer
    slot = NONE
    cents = np.int64(0)
    category = np.int64(lines.category[m])
    for k in range(town.hand.offer.shape[2]):
        bits_row = coupon_for(today, i, retailer, k, category, town, aisle)
        if bits_row != NONE and is_good_on(aisle.offers, bits_row, lines.product[m]):
            value = np.int64(aisle.offers.saving_cents[town.hand.offer[i, retailer, k]])
            if value > cents:
                cents = value
                slot = k
    if slot == NONE:
        return
    offer = town.hand.offer[i, retailer, slot]
    chance = np.float64(town.habits.coupon[i])
    if aisle.offers.kind[offer] != _COUPON:
        age = max(today.day - np.int64(town.hand.day[i, retailer, slot]), 0)
        chance *= (1.0 - draws.exp(-age / BOOKLET_DELAY)) * draws.exp(-_LN2 * age / BOOKLET_HALF_LIFE)
        name, kept = town.habits.consumer[i], _DRAWER | (offer & 0xFFFF)
        used = draws.uniform(today.key, _REDEEM, name, 0, kept) < BOOKLET_USED
        chance = np.float64(chance / BOOKLET_USED if used else 0.0)
    if draws.uniform(today.key, _REDEEM, town.habits.consumer[i], today.day, occasion) < chance:
        lines.offer[m] = offer
        lines.coupon_cents[m] = min(cents, np.int64(lines.paid_cents[m]))
        # A campaign is a booklet and stays in hand; a coupon is spent, though she still knows what it told
        # her.
        if aisle.offers.kind[offer] == _COUPON:
            town.hand.offer[i, retailer, slot] = NONE


# -- prices and placement


@njit(**INNER)
def promotion(week, product, store, deal, response, aisle):
    """Factor on a product's weight from depth, display and mailer at her store; 1 without promotion."""
    shelf = aisle.shelf
    x = np.float64(aisle.explore.cut[week, product])
    level = response[0] * x
    placed = shelf.placement_row[week, product]
    if placed >= 0:
        bit = np.int64(shelf.store_bit[store])
        if bit >= 0:
            shift = np.uint64(bit & 63)
            display = np.float64((shelf.display[placed, bit >> 6] >> shift) & np.uint64(1))
            mailer = np.float64((shelf.mailer[placed, bit >> 6] >> shift) & np.uint64(1))
            # Products instead of branches: which of them it is, nobody can predict.
            level += display * (response[1] + response[3] * x) + mailer * (response[5] + response[2] * x)
            level += display * mailer * (response[4] + response[6] * x)
    return 1.0 if level == 0.0 else draws.exp(deal * level)


@njit(**INNER)
def unknown_weight(habits, row):
    """Weight of the products that she does not know; all there is in a category that is new to her."""
    return 1.0 if row == NONE else max(np.float64(habits.row_explore[row]), 1e-6)


@njit(**INNER)
def known_weight(today, town, aisle, visit, j):
    """Weight of a product that she knows, this week at this store with what she has in hand."""
    product = np.int64(town.habits.product[j])
    deal = KNOWN_DEAL * town.habits.deal[visit.consumer]
    weight = town.habits.loyalty[j] * promotion(
        today.week, product, visit.store, deal, town.demand.response, aisle
    )
    if visit.tier != 0.0:
        weight *= draws.exp(visit.tier * aisle.explore.relative[product])
    if visit.held == A_COUPON:
        weight *= coupon_factor(today, town, aisle, visit, product)
    return weight


@njit(**INNER)
def lift(today, town, aisle, visit, row, category):
    """Factor on the need of a category from the value of what she may choose and from messages in hand.

    At most MOST_LIFT, or MOST_LIFT_IN_HAND when a message has its part in it.
    """
    habits, demand, week = town.habits, town.demand, today.week
    usual = np.float64(aisle.explore.usual[category])
    weight = unknown_weight(habits, row)
    plain = weight * aisle.explore.value[week, category]
    value = plain
    if visit.held == A_COUPON:
        value *= _coupon_reach(today, town, aisle, visit, category)
    if row != NONE:
        deal = KNOWN_DEAL * habits.deal[visit.consumer]
        for j in range(habits.product_ptr[row], habits.product_ptr[row + 1]):
            product = np.int64(habits.product[j])
            known = np.float64(habits.loyalty[j])
            weight += known
            known *= promotion(week, product, visit.store, deal, demand.response, aisle)
            plain += known
            if visit.held == A_COUPON:
                known *= coupon_factor(today, town, aisle, visit, product)
            value += known
    touched = value != plain
    result = value / (weight * usual)
    level = np.float64(aisle.price_level[visit.retailer])
    if level != 1.0:
        result *= draws.exp(-demand.response[0] * draws.log(level))
    result = draws.exp(demand.response[7] * draws.log(result))
    if visit.held:
        told = exposure(today.day, category, visit, town)
        touched = touched or told != 1.0
        result *= told
    return min(result, MOST_LIFT_IN_HAND if touched else MOST_LIFT)


# -- one category


@njit(**INNER)
def units_of(u, mean):
    """Number of units, from 1, with the given mean: one, or several as they are usually several.

    Several are oftenest two: where units beyond the first average ``extra``, those of lines with several
    average ``SEVERAL_BASE + SEVERAL_MORE x extra``, geometric from one on.
    """
    extra = max(mean - 1.0, 0.0)
    several = min(extra / (SEVERAL_BASE + SEVERAL_MORE * extra), MOST_SEVERAL)
    units = 1
    if u >= 1.0 - several and several > 0.0:
        left = (u - (1.0 - several)) / several
        again = 1.0 - several / extra
        tail = again
        units = 2
        while left >= 1.0 - tail and units < MOST_UNITS:
            units += 1
            tail *= again
    return units


@njit(**INNER)
def write_line(today, aisle, visit, row, category, product, units, lines, m):
    """Line ``m`` as she would buy it, at this week's price, with no coupon."""
    price = np.float64(aisle.shelf.price[today.week, product]) * aisle.price_level[visit.retailer]
    shelf_cents = np.int64(price * 100.0 + 0.5)
    paid = np.int64(shelf_cents * (1.0 - np.float64(aisle.shelf.depth[today.week, product])) + 0.5)
    lines.consumer[m] = visit.consumer
    lines.retailer[m] = visit.retailer
    lines.store[m] = visit.store
    lines.product[m] = product
    lines.category[m] = category
    lines.row[m] = row
    lines.units[m] = units
    lines.shelf_cents[m] = shelf_cents
    lines.paid_cents[m] = paid * units
    lines.offer[m] = NONE
    lines.coupon_cents[m] = 0
    lines.fate[m] = _SERVED


@njit(**INNER)
def _choose(today, town, aisle, visit, row, category, occasion):
    """A product of the category: one she knows, by loyalty, or another, by popularity."""
    habits = town.habits
    a, b, c, _ = draws.four(today.key, _PRODUCT, habits.consumer[visit.consumer], today.day, occasion)
    weight = unknown_weight(habits, row) * np.float64(aisle.explore.value[today.week, category])
    if visit.held == A_COUPON:
        weight *= _coupon_reach(today, town, aisle, visit, category)
    u = draws.unit(a)
    product = np.int64(NONE)
    if row != NONE and occasion % MOST_OF_CATEGORY == 0 and town.needs.last_product[row] != NONE:
        # What she took home last is tried again while it is fresh in her mind.
        last = np.int64(town.needs.last_product[row])
        age = np.float64(today.day - town.needs.last_bought[row])
        fresh = AGAIN * draws.exp(-_LN2 * age / AGAIN_HALF_LIFE)
        fresh *= promotion(today.week, last, visit.store, 1.0, town.demand.response, aisle)
        share = fresh / (1.0 + fresh)
        if u < share:
            return last
        u = (u - share) / (1.0 - share)
    if row != NONE:
        # Each product in turn takes the place of those before it in proportion; what is left of the uniform
        # is uniform again.
        for j in range(habits.product_ptr[row], habits.product_ptr[row + 1]):
            known = known_weight(today, town, aisle, visit, j)
            weight += known
            share = known / weight
            if u < share:
                product = np.int64(habits.product[j])
                u /= share
            else:
                u = (u - share) / (1.0 - share)
    if product == NONE:
        product = _explore(today, town, aisle, visit, row, category, b, c, u)
    return product


@njit(**INNER)
def _explore(today, town, aisle, visit, row, category, first, second, pick):
    """Two products by chain-wide popularity, then one of them by her store, her taste and her coupons.

    Two candidates and a choice between them (sampling-importance resampling) spare a table for every store.
    ``first`` and ``second`` are words of luck, ``pick`` a uniform.
    """
    product = np.int64(NONE)
    weight = 0.0
    for word in (first, second):
        position = popular(today.week, category, draws.unit(word), aisle)
        view = _own_view(today, town, aisle, visit, row, category, position)
        weight += view
        if pick * weight < view:
            product = np.int64(aisle.shelf.category_product[position])
            pick = pick * weight / view
        else:
            pick = (pick * weight - view) / (weight - view)
    return product


@njit(**INNER)
def popular(week, category, u, aisle):
    """Position in ``category_product`` by this week's popularity; ``u`` in [0, 1)."""
    low = np.int64(aisle.shelf.category_ptr[category])
    high = np.int64(aisle.shelf.category_ptr[category + 1]) - 1
    target = u * aisle.explore.cumulative[week, high]
    while low < high:
        middle = (low + high) >> 1
        if aisle.explore.cumulative[week, middle] > target:
            high = middle
        else:
            low = middle + 1
    return low


@njit(**INNER)
def _own_view(today, town, aisle, visit, row, category, position):
    """What her own store and taste add to the chain-wide weight of a product."""
    habits = town.habits
    cumulative = aisle.explore.cumulative
    product = np.int64(aisle.shelf.category_product[position])
    weight = np.float64(cumulative[today.week, position])
    if position > aisle.shelf.category_ptr[category]:
        weight -= cumulative[today.week, position - 1]
    chain = max(weight / max(np.float64(aisle.explore.base[product]), 1e-6), 1e-3)
    tilt = (np.float64(habits.tier[visit.consumer]) + visit.tier) * aisle.explore.relative[product]
    if aisle.shelf.private[product]:
        tilt += habits.private[visit.consumer]
    if row != NONE and town.needs.last_product[row] != NONE:
        # She tries what costs about as much as what she takes.
        away = aisle.explore.relative[product] - aisle.explore.relative[town.needs.last_product[row]]
        tilt -= NEAR * abs(away)
    deal = FRESH_DEAL * habits.deal[visit.consumer]
    view = promotion(today.week, product, visit.store, deal, town.demand.response, aisle) / chain
    view *= draws.exp(tilt)
    if visit.held == A_COUPON:
        view *= coupon_factor(today, town, aisle, visit, product)
    return view


# -- categories outside her rows, and baskets in which nothing fired


@njit(**INNER)
def row_of(i, category, habits):
    """Her row of a category, NONE when it is new to her; rows of a consumer are sorted by category."""
    low = np.int64(habits.row_ptr[i])
    high = np.int64(habits.row_ptr[i + 1])
    end = high
    while low < high:
        middle = (low + high) >> 1
        if habits.row_category[middle] < category:
            low = middle + 1
        else:
            high = middle
    return low if low < end and habits.row_category[low] == category else np.int64(NONE)


@njit(**INNER)
def _entry(u, demand):
    low = 0
    high = len(demand.entry) - 1
    while low < high:
        middle = (low + high) >> 1
        if demand.entry[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


@njit(**INNER)
def _enter_new(today, town, visit, size, entering, lines, top, first, picks, end):
    """Categories that she never bought before, by what everybody buys: a Poisson number of them."""
    name = town.habits.consumer[visit.consumer]
    # Counted from 1, so that the cheap bound 1 - exp(-x) <= x turns most away.
    u = 1.0 - draws.uniform(today.key, _CATEGORY, name, today.day, _ENTRY)
    if 1.0 - u < entering:
        mass = draws.exp(-entering)
        below = mass
        count = 0
        while u >= below and count < _MOST_ENTRIES:
            count += 1
            mass *= entering / count
            below += mass
            category = _entry(
                draws.uniform(today.key, _CATEGORY, name, today.day, _ENTRY + count), town.demand
            )
            fresh = picks < end and row_of(visit.consumer, category, town.habits) == NONE
            if fresh and not _picked(category, lines, top, first, picks):
                picks = _pick(visit, np.int64(NONE), category, size, lines, top, picks)
    return picks


@njit(**INNER)
def _enter_by_message(today, town, aisle, visit, size, entering, lines, top, picks, end):
    """Categories that she never bought before, for what a message in hand adds to the chance."""
    i, retailer = visit.consumer, visit.retailer
    hand, entry = town.hand, town.demand.entry
    for k in range(hand.category.shape[2]):
        category = np.int64(hand.category[i, retailer, k])
        fresh = category != NONE and picks < end
        for earlier in range(k):
            fresh = fresh and hand.category[i, retailer, earlier] != category
        if fresh and row_of(i, category, town.habits) == NONE:
            share = np.float64(entry[category])
            if category > 0:
                share -= entry[category - 1]
            value = exposure(today.day, category, visit, town)
            if visit.held == A_COUPON:
                value *= _coupon_reach(today, town, aisle, visit, category)
            added = entering * share * (min(value, MOST_LIFT_IN_HAND) - 1.0)
            words = draws.four(today.key, _CATEGORY, town.habits.consumer[i], today.day, category >> 2)
            if added > 0.0 and draws.unit(words[category & 3]) < 1.0 - draws.exp(-added):
                picks = _pick(visit, np.int64(NONE), category, size, lines, top, picks)
    return picks


@njit(**INNER)
def _force_one(today, town, visit, size, lines, top, first_pick, picks):
    """A trip on which too little fired still buys one category more, in proportion to the needs."""
    i = visit.consumer
    row_ptr, row_category = town.habits.row_ptr, town.habits.row_category
    row_rate, row_interval = town.habits.row_rate, town.habits.row_interval
    last_bought = town.needs.last_bought
    age_hazard, pace_hazard = town.demand.age_hazard, town.demand.pace_hazard
    size_factor, season = town.demand.size_factor[size], town.demand.week_category[today.week]
    first, second, _, _ = draws.four(
        today.key, _CATEGORY, town.habits.consumer[i], today.day, _FORCED + picks - first_pick
    )
    ageing = town.habits.need_age[i]
    begin, end = np.int64(row_ptr[i]), np.int64(row_ptr[i + 1])
    target = np.inf
    row = begin
    for turn in range(2):
        # Once to add up, once to find the place.
        total = 0.0
        row = begin
        while row < end and total <= target:
            category = np.int64(row_category[row])
            weight = need(
                today.day, last_bought[row], row_interval[row], row_rate[row],
                age_hazard[category], ageing, pace_hazard, size_factor[category], season[category],
            )  # fmt: skip
            if not _picked(category, lines, top, first_pick, picks):
                total += weight * (exposure(today.day, category, visit, town) if visit.held else 1.0)
            row += 1
        if turn == 0:
            target = draws.unit(first) * (total + town.habits.novelty[i])
    if row > begin and total > target:
        row -= 1
        category = np.int64(row_category[row])
    else:
        category = _entry(draws.unit(second), town.demand)
        while _picked(category, lines, top, first_pick, picks):
            category = (category + 1) % len(town.demand.entry)
        row = row_of(i, category, town.habits)
    return _pick(visit, row, category, size, lines, top, picks)


@njit(**INNER)
def _picked(category, lines, top, first, picks):
    found = False
    for earlier in range(first, picks):
        found = found or lines.category[top - earlier] == category
    return found


# -- out of stock


@njit(**DOOR)
def substitute(today, town, aisle, out, lines, k):
    """What she takes instead of the product of line ``k``, chosen alike among what is left; NONE without any.

    ``out`` is (P,) uint8, 1 for each product that this retailer has no more of.
    """
    habits = town.habits
    i, retailer = np.int64(lines.consumer[k]), np.int64(lines.retailer[k])
    row, category = np.int64(lines.row[k]), np.int64(lines.category[k])
    tier = np.float64(town.demand.size_tier[town.needs.meant[i]])
    visit = Visit(i, retailer, np.int64(lines.store[k]), tier, in_hand(today.day, i, retailer, town, aisle))
    occasion = lines.product[k]
    a, b, c, d = draws.four(today.key, _SUBSTITUTE, habits.consumer[i], today.day, occasion)
    weight = unknown_weight(habits, row) * np.float64(aisle.explore.value[today.week, category])
    u = draws.unit(a)
    instead = np.int64(NONE)
    if row != NONE:
        for j in range(habits.product_ptr[row], habits.product_ptr[row + 1]):
            if not out[habits.product[j]]:
                known = known_weight(today, town, aisle, visit, j)
                weight += known
                share = known / weight
                if u < share:
                    instead = np.int64(habits.product[j])
                    u /= share
                else:
                    u = (u - share) / (1.0 - share)
    if instead != NONE:
        return instead
    for word in (b, c, d):
        product = np.int64(
            aisle.shelf.category_product[popular(today.week, category, draws.unit(word), aisle)]
        )
        if not out[product]:
            return product
    for position in range(aisle.shelf.category_ptr[category], aisle.shelf.category_ptr[category + 1]):
        product = np.int64(aisle.shelf.category_product[position])
        if not out[product]:
            return product
    return np.int64(NONE)
