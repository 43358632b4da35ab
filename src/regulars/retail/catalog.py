"""What may be offered on which day: real coupons, campaigns that bundle them, and the week's shelf deals.

One offer stands for a category on a day: the one that saves her most. It is never expired, and never one
whose products are all out of stock when the stock is told. Beside offers there are options, which need no
data and leave none.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from regulars.errors import SettingError, ShapeError
from regulars.shelf import Shelf
from regulars.terms import F32, F64, I32, I64, NEVER, NONE, U8, OfferKind, Offers

SUNDAY = 6  # weekday of day 0 of the default source; weeks break on Mondays


class Option(enum.IntEnum):
    """A service that needs no data and leaves none behind."""

    IDEAS = 0  #: ideas for use


@dataclass(frozen=True)
class CatalogSettings:
    """What the source does not tell. All assumed.

    Attributes
    ----------
    margin : gross margin of a manufacturer's product, share of the shelf price
    private_margin : of the retailer's own brand
    coupon_cost : share of a coupon's value that the retailer bears; the manufacturer bears the rest
    deal_cost : share of a discount on the shelf that the retailer bears
    deal_depth : from this depth on a product is a deal
    deal_products : so many products make a category's deal
    """

    margin: float = 0.25
    private_margin: float = 0.35
    coupon_cost: float = 0.3
    deal_cost: float = 1.0
    deal_depth: float = 0.10
    deal_products: int = 3


class Standing(NamedTuple):
    """The best offer of each category on each of D days, from ``Catalog.first_day`` on."""

    offer: I32  #: (D, C) offer id, NONE
    saving: F32  #: (D, C) share of the price
    margin: F32  #: (D, C) expected margin of one purchase after the saving, cents
    last_day: I32  #: (D, C)
    kind: U8  #: (D, C) OfferKind


class Prices(NamedTuple):
    """Prices and offers as the retailer tells them, by product and days; of two for one day the later row counts."""

    product: I32
    first_day: I32
    last_day: I32  #: both inclusive
    price_cents: I32  #: of one unit, before any discount
    offer_cents: I32  #: what it costs instead; NONE no offer on these days, UNTOLD whatever was told before


#: A row of prices that says nothing of offers.
UNTOLD = -2


class Today(NamedTuple):
    """What stands today and what the retailer has learned so far: all that a policy sees besides the view.

    Its columns are the retailer's own and can only be read.
    """

    day: int
    offer: I32  #: (C,) best offer of the category, NONE
    saving: F32  #: (C,) share of the price
    margin: F32  #: (C,) cents of margin that one purchase leaves after the saving
    last_day: I32  #: (C,)
    kind: U8  #: (C,) OfferKind
    order: I32  #: (offers today,) categories with an offer, best expected margin per customer first
    interval: F32  #: (C,) mean days between two purchases of a customer
    popular: F32  #: (C,) lines per basket
    affinity: F32  #: (CELLS, C) how much more than others people of a demographic cell buy it, log
    tilt: F32  #: (2, C) how much more those with kids, those of 55 or older buy it, log
    verdict: F64  #: (3, F) weights of the predicted verdict
    crowd: F64  #: (C, 4) what everybody's purchases say of the category, see ``relevance.crowd``
    needs: F64  #: (C, 6) the part of relevance that does not depend on her, see ``relevance.table``
    need: F64  #: (16,) weights of relevance


class Among(NamedTuple):
    """To what an offer is limited by whoever asks: candidates, with room for no others."""

    products: NDArray[np.bool_]  #: (P,) True for a candidate
    categories: NDArray[np.bool_]  #: (C,) True where an offer of the category may stand


@dataclass(frozen=True)
class Catalog:
    """All offers of a run and what stands on each day.

    Attributes
    ----------
    offers : by offer id
    names : (C,) of the categories
    first_day : of ``standing``
    standing : (D, C) tables
    price_cents : (C,) typical price of one unit
    margin_share : (C,) of that price
    campaign_offer : (campaigns,) offer id of each campaign's bundle, NONE
    settings : as built
    deals : (W, P) True where a product is a deal that week; empty when no shelf was given
    category_of : (P,) category of each product; empty when no shelf was given
    first_weekday : weekday of day 0, Monday 0; weeks of the shelf break on Mondays
    prices : (D, C) price of one unit in cents by day of ``standing``; empty when it is ``price_cents`` on every day
    """

    offers: Offers
    names: tuple[str, ...]
    first_day: int
    standing: Standing
    price_cents: F32
    margin_share: F32
    campaign_offer: I32
    settings: CatalogSettings
    deals: NDArray[np.bool_]
    category_of: NDArray[np.uint16]
    first_weekday: int = SUNDAY
    prices: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @property
    def days(self) -> int:
        """How many days are covered."""
        return len(self.standing.offer)

    @property
    def categories(self) -> int:
        """How many categories there are."""
        return len(self.names)


def build(
    coupons: pl.DataFrame,
    coupon_products: pl.DataFrame,
    campaigns: pl.DataFrame,
    shelf: Shelf,
    names: tuple[str, ...] | list[str],
    *,
    first_day: int = 0,
    days: int = 365,
    first_weekday: int = SUNDAY,
    settings: CatalogSettings | None = None,
) -> Catalog:
    """A catalog from real coupons and the shelf.

    Parameters
    ----------
    coupons : coupon, campaign, saving_cents, category (null when unknown)
    coupon_products : coupon, product
    campaigns : campaign, first_day, last_day
    shelf : of P products and C categories; its week of a day is (day + first_weekday) // 7
    names : (C,) of the categories
    first_day, days : the days of the run
    first_weekday : weekday of day 0, Monday 0
    settings : what the source does not tell

    Returns
    -------
    Catalog
        offers 0 .. coupons - 1 are the coupons by index; then a bundle for each campaign; then the deals by
        week and category.
    """
    chosen = settings or CatalogSettings()
    categories, products = len(shelf.category_ptr) - 1, shelf.price.shape[1]
    if len(names) != categories:
        raise ShapeError(f"{len(names)} names but the shelf has {categories} categories")
    typical = np.median(shelf.price, axis=0)
    price_cents = _by_category(shelf, typical) * 100
    margin = np.where(shelf.private > 0, chosen.private_margin, chosen.margin)
    margin_share = _by_category(shelf, margin)
    printed = _coupon_offers(coupons, coupon_products, campaigns, typical, shelf, products)
    bundles, campaign_offer = _campaign_offers(coupons, campaigns, printed)
    deals = shelf.depth >= chosen.deal_depth
    weekly = _deal_offers(shelf, deals, first_weekday, chosen)
    bare = Catalog(
        offers=_joined(printed, bundles, weekly),
        names=tuple(names),
        first_day=first_day,
        standing=_nothing(0, categories),
        price_cents=price_cents.astype(np.float32),
        margin_share=margin_share.astype(np.float32),
        campaign_offer=campaign_offer,
        settings=chosen,
        deals=deals,
        category_of=shelf.category,
        first_weekday=first_weekday,
    )
    return replace(bare, standing=_stand(bare, first_day, days))


def from_offers(
    offers: Offers,
    names: tuple[str, ...] | list[str],
    price_cents: F32,
    *,
    first_day: int = 0,
    days: int = 365,
    settings: CatalogSettings | None = None,
) -> Catalog:
    """A catalog from ready offers, without a shelf: for a small shop, or a test."""
    chosen = settings or CatalogSettings()
    if len(price_cents) != len(names):
        raise ShapeError(f"{len(names)} names but {len(price_cents)} prices. Give one price each category")
    bare = Catalog(
        offers=offers,
        names=tuple(names),
        first_day=first_day,
        standing=_nothing(0, len(names)),
        price_cents=np.asarray(price_cents, np.float32),
        margin_share=np.full(len(names), chosen.margin, np.float32),
        campaign_offer=np.flatnonzero(offers.kind == OfferKind.CAMPAIGN).astype(np.int32),
        settings=chosen,
        deals=np.zeros((0, 0), np.bool_),
        category_of=np.zeros(0, np.uint16),
    )
    return replace(bare, standing=_stand(bare, first_day, days))


def no_offers() -> Offers:
    """Offers without a row."""
    none = np.zeros(0, np.int32)
    return Offers(
        kind=np.zeros(0, np.uint8),
        category=none,
        saving=np.zeros(0, np.float32),
        saving_cents=none,
        first_day=none,
        last_day=none,
        bits_row=none,
        product_bits=np.zeros((0, 0), np.uint64),
    )


def widened(
    catalog: Catalog, names: tuple[str, ...], category_of: NDArray[np.uint16], usual_cents: float = 0.0
) -> Catalog:
    """The same catalog with more products, and categories in which nothing was bought yet, behind those that it has.

    Parameters
    ----------
    names : of the categories that are new
    category_of : (P,) of all products, those of the catalog first
    usual_cents : what one unit of a category that is new is taken to cost
    """
    offers, deals, more = catalog.offers, catalog.deals, len(names)
    words = max((len(category_of) + 63) // 64, offers.product_bits.shape[1])
    bits = np.zeros((len(offers.product_bits), words), np.uint64)
    bits[:, : offers.product_bits.shape[1]] = offers.product_bits
    wide = deals
    if deals.shape[0]:
        wide = np.zeros((len(deals), len(category_of)), np.bool_)
        wide[:, : deals.shape[1]] = deals
    pairs: Any = zip(catalog.standing, _nothing(catalog.days, more), strict=True)
    return replace(
        catalog,
        offers=offers._replace(product_bits=bits),
        names=(*catalog.names, *names),
        standing=Standing._make(np.hstack(pair) for pair in pairs),
        price_cents=np.append(catalog.price_cents, np.full(more, usual_cents, np.float32)),
        margin_share=np.append(catalog.margin_share, np.full(more, catalog.settings.margin, np.float32)),
        deals=wide,
        category_of=category_of if deals.shape[0] else catalog.category_of,
    )


def told(
    catalog: Catalog,
    prices: Prices,
    category_of: NDArray[np.uint16],
    popularity: F32,
    usual_cents: F32,
    since: I32,
    days: int,
) -> Catalog:
    """The same catalog with the prices and offers that its retailer tells.

    Products of a category that are discounted on the same days by as much, to a percent, make one offer, good for them
    alone; the deepest of which something is on hand stands. A category whose offers are told has no deals of the shelf,
    which purchases only let guess, from then on.

    Parameters
    ----------
    category_of, popularity, usual_cents : (P,) of all products; what one unit costs where no price is told
    since : (C,) first day from which the offers of a category are told, ``FAR`` when they are not
    days : the catalog covers so many days
    """
    categories = catalog.categories
    by_day = np.repeat(catalog.price_cents[None], days, axis=0)
    found: list[tuple[int, int, int, float, I64]] = []  # category, first day, last day, depth, products
    standing: dict[tuple[int, int], int] = {}  # place in ``found`` of an offer that stood on the day before
    for first, last in _stretches(prices, catalog.first_day, days):
        rows = np.flatnonzero((prices.first_day <= first) & (prices.last_day >= first))
        product = prices.product[rows]
        price, offer = usual_cents.astype(np.float64), np.full(len(usual_cents), NONE, np.int64)
        # Of several rows of a product the last is what stays.
        price[product] = prices.price_cents[rows]
        says = prices.offer_cents[rows] != UNTOLD
        offer[product[says]] = prices.offer_cents[rows][says]
        if len(rows):
            a, b = first - catalog.first_day, last - catalog.first_day
            by_day[a : b + 1] = _mean(category_of, price, popularity, categories)
        reduced = np.flatnonzero((offer >= 0) & (offer < price))
        depth = 1 - offer[reduced] / price[reduced]
        alike = np.stack(
            [category_of[reduced].astype(np.int64), np.rint(100 * depth).astype(np.int64)], axis=1
        )
        now: dict[tuple[int, int], int] = {}
        for category, percent in np.unique(alike, axis=0).tolist():
            mine = (alike == (category, percent)).all(axis=1)
            products, share = reduced[mine], float(np.float32(depth[mine].mean()))
            before = standing.get((category, percent), -1)
            if before >= 0 and found[before][3] == share and np.array_equal(found[before][4], products):
                found[before] = (*found[before][:2], last, share, products)
            else:
                found.append((category, first, last, share, products))
                before = len(found) - 1
            now[category, percent] = before
        standing = now
    offers = catalog.offers
    ends = offers.last_day.copy()
    guessed = np.flatnonzero((offers.kind == OfferKind.DEAL) & (offers.bits_row < 0) & (offers.category >= 0))
    ends[guessed] = np.minimum(ends[guessed], since[offers.category[guessed]] - 1)
    n, words = len(found), (len(category_of) + 63) // 64
    columns = list(zip(*found, strict=True)) if found else [()] * 5
    listed = Offers(
        kind=np.full(n, OfferKind.DEAL, np.uint8),
        category=np.array(columns[0], np.int32),
        saving=np.array(columns[3], np.float32),
        saving_cents=np.zeros(n, np.int32),
        first_day=np.array(columns[1], np.int32),
        last_day=np.array(columns[2], np.int32),
        bits_row=np.arange(n, dtype=np.int32) + len(offers.product_bits),
        product_bits=np.array(
            [_bits(np.bincount(each, minlength=len(category_of)) > 0, words) for each in columns[4]],
            np.uint64,
        ).reshape(n, words),
    )
    bare = replace(catalog, offers=_joined(offers._replace(last_day=ends), listed), prices=by_day)
    return replace(bare, standing=_stand(bare, catalog.first_day, days))


#: A day after all others.
FAR = 2**31 - 1


def _stretches(prices: Prices, first_day: int, days: int) -> list[tuple[int, int]]:
    """First and last day of each stretch of days on which the same rows hold."""
    begins = np.append(prices.first_day.astype(np.int64), prices.last_day.astype(np.int64) + 1)
    end = first_day + days
    cuts = np.unique(np.append(begins[(begins > first_day) & (begins < end)], [first_day, end])).tolist()
    return [(a, b - 1) for a, b in pairwise(cuts)]


def standing_on(
    catalog: Catalog, day: int, in_stock: NDArray[np.bool_] | None = None, among: Among | None = None
) -> Standing:
    """What stands on one day, as (C,) columns to be read only; outside the catalog's days nothing does.

    Parameters
    ----------
    in_stock : (P,) True where a product is on hand; an offer that is good for none of them does not stand
    among : candidates; an offer that is good for none of them that is on hand does not stand
    """
    standing, row = catalog.standing, day - catalog.first_day
    if not 0 <= row < catalog.days:
        standing, row = _nothing(1, catalog.categories), 0
    elif in_stock is not None or among is not None:
        standing, row = _stand(catalog, day, 1, barred(catalog, day, in_stock, among)), 0
    return Standing(*(closed(column[row]) for column in standing))


def closed(column: NDArray[Any]) -> NDArray[Any]:
    """The same memory, to be read only."""
    view = column.view()
    view.flags.writeable = False
    return view


def barred(
    catalog: Catalog, day: int, in_stock: NDArray[np.bool_] | None, among: Among | None = None
) -> NDArray[np.bool_]:
    """(offers,) True where an offer cannot be made: sold out, or for none of the candidates; empty when all can."""
    if among is None:
        return np.zeros(0, np.bool_) if in_stock is None else sold_out(catalog, day, in_stock)
    gone = sold_out(catalog, day, among.products if in_stock is None else among.products & in_stock)
    category = catalog.offers.category
    # One that names no product is judged by its category alone; one without either is for no candidate.
    gone |= (category < 0) | ~among.categories[category]
    return gone


def sold_out(catalog: Catalog, day: int, in_stock: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(offers,) True where none of an offer's products is on hand; never for one that names none, or is not of the day."""
    offers = catalog.offers
    gone = np.zeros(len(offers.kind), np.bool_)
    if len(offers.product_bits):
        on_hand = _bits(in_stock, offers.product_bits.shape[1])
        named = np.flatnonzero((offers.bits_row >= 0) & (offers.first_day <= day) & (offers.last_day >= day))
        words = np.flatnonzero(on_hand)  # of few candidates few
        bits = offers.product_bits[np.ix_(offers.bits_row[named], words)]
        gone[named] = ~np.any(bits & on_hand[words], axis=1)
    if len(catalog.deals):
        week = min(max((day + catalog.first_weekday) // 7, 0), len(catalog.deals) - 1)
        good = np.bincount(catalog.category_of[catalog.deals[week] & in_stock], minlength=catalog.categories)
        deal = (offers.kind == OfferKind.DEAL) & (offers.bits_row < 0)
        gone[deal] = good[offers.category[deal]] == 0
    return gone


def products_of(offers: Offers, offer: int) -> list[int]:
    """The products that an offer is good for; none for an option, and for a deal that names only its category."""
    row = int(offers.bits_row[offer]) if offer >= 0 else NONE
    if row < 0:
        return []
    words = offers.product_bits[row]
    return [
        64 * word + bit
        for word in np.flatnonzero(words).tolist()
        for bit in range(64)
        if int(words[word]) >> bit & 1
    ]


def _by_category(shelf: Shelf, values: NDArray[np.floating]) -> F64:
    """Mean by category, weighted by popularity."""
    return _mean(shelf.category, values, shelf.popularity, len(shelf.category_ptr) - 1)


def _mean(cell: NDArray[Any], values: NDArray[Any], popularity: F32, cells: int) -> F64:
    """Mean of products' values in each of so many cells, the popular ones counting more; 0 in an empty one."""
    weight = popularity.astype(np.float64) + 1e-3
    total = np.bincount(cell, weights=weight, minlength=cells)
    summed = np.bincount(cell, weights=weight * values, minlength=cells)
    mean: F64 = summed / np.maximum(total, 1e-9)
    return mean


def _coupon_offers(
    coupons: pl.DataFrame,
    coupon_products: pl.DataFrame,
    campaigns: pl.DataFrame,
    typical: F32,
    shelf: Shelf,
    products: int,
) -> Offers:
    n = coupons.height
    words = (products + 63) // 64
    bits = np.zeros((n, words), np.uint64)
    row = coupon_products["coupon"].to_numpy().astype(np.int64)
    product = coupon_products["product"].to_numpy().astype(np.int64)
    np.bitwise_or.at(bits, (row, product >> 6), np.uint64(1) << (product & 63).astype(np.uint64))
    dates = campaigns.sort("campaign")
    campaign = coupons["campaign"].to_numpy().astype(np.int64)
    place = np.searchsorted(dates["campaign"].to_numpy(), campaign)
    # What one of its products costs, the popular ones counting more.
    weight = shelf.popularity[product].astype(np.float64) + 1e-3
    summed = np.bincount(row, weights=weight * typical[product], minlength=n)
    price = summed / np.maximum(np.bincount(row, weights=weight, minlength=n), 1e-9)
    cents = coupons["saving_cents"].to_numpy().astype(np.int32)
    share = np.where(price > 0, cents / np.maximum(100 * price, 1), 0)
    return Offers(
        kind=np.full(n, OfferKind.COUPON, np.uint8),
        category=coupons["category"].cast(pl.Int32).fill_null(NONE).to_numpy().astype(np.int32),
        saving=np.clip(share, 0, 1).astype(np.float32),
        saving_cents=cents,
        first_day=dates["first_day"].to_numpy()[place].astype(np.int32),
        last_day=dates["last_day"].to_numpy()[place].astype(np.int32),
        bits_row=np.arange(n, dtype=np.int32),
        product_bits=bits,
    )


def _campaign_offers(coupons: pl.DataFrame, campaigns: pl.DataFrame, printed: Offers) -> tuple[Offers, I32]:
    """One bundle for each campaign that has coupons; its category is that of most of them."""
    of = coupons["campaign"].to_numpy().astype(np.int64)
    count = int(campaigns["campaign"].cast(pl.Int64).to_numpy().max(initial=-1)) + 1
    which = [c for c in range(count) if (of == c).any()]
    width = printed.product_bits.shape[1]
    n = len(which)
    out = Offers(
        kind=np.full(n, OfferKind.CAMPAIGN, np.uint8),
        category=np.full(n, NONE, np.int32),
        saving=np.zeros(n, np.float32),
        saving_cents=np.zeros(n, np.int32),
        first_day=np.zeros(n, np.int32),
        last_day=np.zeros(n, np.int32),
        bits_row=np.arange(n, dtype=np.int32) + len(printed.kind),
        product_bits=np.zeros((n, width), np.uint64),
    )
    offer = np.full(count, NONE, np.int32)
    for k, campaign in enumerate(which):
        rows = np.flatnonzero(of == campaign)
        known = printed.category[rows][printed.category[rows] >= 0]
        out.category[k] = np.bincount(known).argmax() if len(known) else NONE
        out.saving[k] = printed.saving[rows].mean()
        out.saving_cents[k] = int(np.median(printed.saving_cents[rows]))
        out.first_day[k], out.last_day[k] = printed.first_day[rows[0]], printed.last_day[rows[0]]
        out.product_bits[k] = np.bitwise_or.reduce(printed.product_bits[rows], axis=0)
        offer[campaign] = len(printed.kind) + k
    return out, offer


def _deal_offers(
    shelf: Shelf, deals: NDArray[np.bool_], first_weekday: int, settings: CatalogSettings
) -> Offers:
    """For each week and category with enough deals one offer, at their mean depth."""
    if settings.deal_products < 1:
        raise SettingError(f"deal_products is {settings.deal_products}. Take 1 or more")
    weeks, categories = len(shelf.depth), len(shelf.category_ptr) - 1
    week, product = np.nonzero(deals)
    cell = week * categories + shelf.category[product]
    counts = np.bincount(cell, minlength=weeks * categories)
    depth = _mean(cell, shelf.depth[week, product], shelf.popularity[product], weeks * categories)
    found = np.flatnonzero(counts >= settings.deal_products)
    first = (found // categories) * 7 - first_weekday
    return Offers(
        kind=np.full(len(found), OfferKind.DEAL, np.uint8),
        category=(found % categories).astype(np.int32),
        saving=depth[found].astype(np.float32),
        saving_cents=np.zeros(len(found), np.int32),
        first_day=first.astype(np.int32),
        last_day=(first + 6).astype(np.int32),
        bits_row=np.full(len(found), NONE, np.int32),
        product_bits=np.zeros((0, (shelf.price.shape[1] + 63) // 64), np.uint64),
    )


def _joined(*parts: Offers) -> Offers:
    return Offers(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _bits(products: NDArray[np.bool_], words: int) -> NDArray[np.uint64]:
    row = np.zeros(words * 8, np.uint8)
    packed = np.packbits(products, bitorder="little")
    row[: len(packed)] = packed
    return row.view("<u8").astype(np.uint64)


def _nothing(days: int, categories: int) -> Standing:
    shape = (days, categories)
    return Standing(
        np.full(shape, NONE, np.int32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.full(shape, NEVER, np.int32),
        np.zeros(shape, np.uint8),
    )


def _stand(catalog: Catalog, first_day: int, days: int, gone: NDArray[np.bool_] | None = None) -> Standing:
    standing = _nothing(days, catalog.categories)
    gone = np.zeros(len(catalog.offers.kind), np.bool_) if gone is None else gone
    at = first_day - catalog.first_day
    prices = catalog.prices[at : at + days] if len(catalog.prices) else catalog.price_cents[None]
    _fill_standing(
        catalog.offers,
        gone,
        prices,
        catalog.margin_share,
        catalog.settings.coupon_cost,
        catalog.settings.deal_cost,
        first_day,
        standing,
    )
    return standing


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_standing(offers, gone, prices, margin_share, coupon_cost, deal_cost, first_day, standing):
    days, categories = standing.offer.shape
    for k in range(len(offers.kind)):
        category = offers.category[k]
        # A campaign is a letter full of coupons; each of them stands for itself.
        if gone[k] or category < 0 or category >= categories or offers.kind[k] == OfferKind.CAMPAIGN:
            continue
        cost = coupon_cost if offers.kind[k] == OfferKind.COUPON else deal_cost
        share = margin_share[category] - cost * offers.saving[k]
        first, last = max(0, offers.first_day[k] - first_day), min(days - 1, offers.last_day[k] - first_day)
        for d in range(first, last + 1):
            if standing.offer[d, category] < 0 or offers.saving[k] > standing.saving[d, category]:
                standing.offer[d, category] = k
                standing.saving[d, category] = offers.saving[k]
                standing.margin[d, category] = prices[d if len(prices) > 1 else 0, category] * share
                standing.last_day[d, category] = offers.last_day[k]
                standing.kind[d, category] = offers.kind[k]
