"""What purchases alone tell: rows 1 to 10 of the scorecard, by the same estimators on real and simulated lines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.fidelity.features import variation
from regulars.fidelity.lived import Year
from regulars.fitting.fidelity import figures
from regulars.shelf import Shelf
from regulars.terms import F64

#: Fewest intervals between purchases of a category by a household for its variation to count.
INTERVALS = 10
#: Categories in which brands and purchase frequencies are looked at, the most bought ones.
CATEGORIES = 30
#: A brand counts in its category from this share of the category's buyers.
LEAST_BUYERS = 0.02
#: Weeks needed to look at prices, and lines a week that a product must have sold in them.
WEEKS_LOOKED_AT, LINES_A_WEEK = 10, 3.0
#: Lines that a store must have sold of a product, over the year, for its displays to be looked at.
STORE_LINES = 12
NO_DISCOUNT, DEEP = 0.05, 0.20


def demand(
    year: Year, shelf: Shelf, manufacturer: NDArray[np.int32], names: list[str], span: tuple[int, int]
) -> dict[str, float]:
    """Figures of rows 1 to 10; NaN where the lines cannot tell.

    Parameters
    ----------
    year : purchases of N households
    shelf : P products, C categories
    manufacturer : (P,) -1 when not known
    names : (C,) of the categories
    span : first and last day + 1 that are looked at
    """
    lines, days = year.lines, span[1] - span[0]
    shifted = lines.with_columns(day=pl.col("day") - span[0])
    base = figures(shifted, year.households, days)
    found = {
        "days_per_week": base["days_per_week_median"],
        "zero_weeks": base["zero_weeks"],
        "top_share": base["top_share"],
        "kept_share": base["kept_share"],
        "categories_80": base["categories_80"],
        "product_repeats": base["product_repeats"],
        "category_repeats": base["category_repeats"],
        "first_store": first_store(lines),
    }
    found |= rhythm(lines, names)
    found["nbd_error"] = nbd_error(shifted, year.households, days)
    found |= brands(lines, manufacturer)
    found |= prices(lines, shelf)
    return found | placement(lines, shelf)


def first_store(lines: pl.DataFrame) -> float:
    """Median household's share of spend in the store where it spends most."""
    spend = lines.group_by("household", "store").agg(pl.col("cents").sum())
    share = spend.group_by("household").agg(pl.col("cents").max() / pl.col("cents").sum().clip(1))
    return _number(share["cents"].median())


def rhythm(lines: pl.DataFrame, names: list[str]) -> dict[str, float]:
    """Median variation of days between purchases: all categories, laundry detergents, candy."""
    cv = variation(lines, INTERVALS)
    found = {"cv": _number(cv["cv"].median())}
    for key, word in (("cv_detergent", "laundry detergent"), ("cv_candy", "candy")):
        own = [c for c, name in enumerate(names) if word in name.lower()]
        found[key] = _number(cv.filter(pl.col("category").is_in(own))["cv"].median())
    return found


def nbd_error(lines: pl.DataFrame, households: int, days: int) -> float:
    """Percentage points by which the negative binomial misses penetrations of shorter spans (Ehrenberg, 1959).

    For each of the most bought categories mean and shape are fitted to the purchases and the non-buyers of
    the whole span; penetrations of four, thirteen and twenty-six weeks are what that implies.
    """
    most = _most_bought(lines)
    days_bought = lines.filter(pl.col("category").is_in(most)).select("household", "category", "day").unique()
    errors = []
    for category in most:
        own = days_bought.filter(pl.col("category") == category)
        mean = own.height / households
        silent = 1.0 - own["household"].n_unique() / households
        shape = _nbd_shape(mean, silent)
        for span in (28, 91, 182):
            parts = days // span
            if not parts:
                continue
            inside = own.filter(pl.col("day") < parts * span)
            pairs = inside.select("household", pl.col("day") // span).unique().height
            predicted = 1.0 - (shape / (shape + mean * span / days)) ** shape
            errors.append(abs(pairs / parts / households - predicted))
    return 100 * float(np.mean(errors)) if errors else float("nan")


def _nbd_shape(mean: float, silent: float) -> float:
    low, high = np.log(1e-3), np.log(50.0)
    for _ in range(40):
        middle = (low + high) / 2
        shape = np.exp(middle)
        low, high = (low, middle) if (shape / (shape + mean)) ** shape < silent else (middle, high)
    return float(np.exp((low + high) / 2))


def brands(lines: pl.DataFrame, manufacturer: NDArray[np.int32]) -> dict[str, float]:
    """Double jeopardy and duplication of purchase between manufacturers of the same category.

    Double jeopardy: median over categories of the correlation of log penetration and log purchases a buyer.
    Duplication: correlation of the share of A's buyers who buy B with the penetration of B.
    """
    known = lines.with_columns(brand=pl.Series(manufacturer[lines["product"].to_numpy()])).filter(
        pl.col("brand") >= 0
    )
    if not known.height:
        return {"double_jeopardy": float("nan"), "duplication": float("nan")}
    jeopardy, shared, expected = [], [], []
    for category in _most_bought(known):
        own = known.filter(pl.col("category") == category)
        buyers = own["household"].n_unique()
        table = own.group_by("brand").agg(
            buyers=pl.col("household").n_unique(), times=pl.struct("household", "day").n_unique()
        )
        big = table.filter(pl.col("buyers") >= max(LEAST_BUYERS * buyers, 10)).sort("brand")
        if big.height < 3:
            continue
        share = big["buyers"].to_numpy() / buyers
        often = big["times"].to_numpy() / big["buyers"].to_numpy()
        jeopardy.append(float(np.corrcoef(np.log(share), np.log(often))[0, 1]))
        bought = (
            own.filter(pl.col("brand").is_in(big["brand"].implode())).select("household", "brand").unique()
        )
        who = np.unique(bought["household"].to_numpy(), return_inverse=True)[1]
        what = np.searchsorted(big["brand"].to_numpy(), bought["brand"].to_numpy())
        owned = np.zeros((who.max() + 1, big.height), np.float32)
        owned[who, what] = 1
        both = owned.T @ owned
        for a in range(big.height):
            for b in range(big.height):
                if a != b:
                    shared.append(float(both[a, b] / both[a, a]))
                    expected.append(float(share[b]))
    if len(shared) < 3:
        return {"double_jeopardy": float("nan"), "duplication": float("nan")}
    return {
        "double_jeopardy": float(np.nanmedian(jeopardy)),
        "duplication": float(np.corrcoef(shared, expected)[0, 1]),
    }


def prices(lines: pl.DataFrame, shelf: Shelf) -> dict[str, float]:
    """Elasticity: log units on log price paid at the shelf, within products, weeks' common level taken out."""
    weeks, products = shelf.price.shape
    units = np.zeros((weeks, products))
    count = np.zeros((weeks, products))
    at = (lines["week"].to_numpy(), lines["product"].to_numpy())
    np.add.at(units, at, np.minimum(lines["units"].to_numpy(), 24))
    np.add.at(count, at, 1.0)
    sales = count.sum(1)
    # Broken weeks at either end would look like weeks without sales.
    use = np.flatnonzero(sales >= 0.5 * np.median(sales[sales > 0])) if sales.any() else np.zeros(0, np.int64)
    if len(use) < WEEKS_LOOKED_AT:
        return {"elasticity": float("nan"), "elasticity_products": 0.0}
    sold = (count[use] > 0).sum(0)
    chosen = np.flatnonzero((sold >= len(use) * 0.9) & (count[use].sum(0) >= LINES_A_WEEK * len(use)))
    price = shelf.price[np.ix_(use, chosen)] * (1.0 - np.minimum(shelf.depth[np.ix_(use, chosen)], 0.9))
    x = np.log(np.maximum(price.astype(np.float64), 1e-3))
    moving = x.std(0) > 0.05
    if not moving.any():
        return {"elasticity": float("nan"), "elasticity_products": 0.0}
    x, y = x[:, moving], np.log(np.maximum(units[np.ix_(use, chosen[moving])], 0.5))
    # Products with prices that move, within product and week.
    for table in (x, y):
        table -= table.mean(0)
        table -= table.mean(1, keepdims=True)
    slope = float((x * y).sum() / max((x * x).sum(), 1e-9))
    return {"elasticity": slope, "elasticity_products": float(x.shape[1])}


def placement(lines: pl.DataFrame, shelf: Shelf) -> dict[str, float]:
    """Lines of promoted products in a store over what the same store sells of them unpromoted.

    Display and mailer where the discount is below 5%, and both together with more than 20%. Traffic of the
    store in the week is taken out (indirect standardisation).
    """
    nothing = dict.fromkeys(("display", "mailer", "both_deep"), float("nan"))
    if not len(shelf.display):
        return nothing
    stores = len(shelf.placement_store)
    weeks, products = shelf.price.shape
    bit = shelf.store_bit[lines["store"].to_numpy()].astype(np.int64)
    inside = bit >= 0
    week, product, bit = (
        lines["week"].to_numpy()[inside], lines["product"].to_numpy().astype(np.int64)[inside], bit[inside]
    )  # fmt: skip
    traffic = np.zeros((weeks, stores))
    np.add.at(traffic, (week, bit), 1.0)
    pair = product * stores + bit
    total = np.bincount(pair, minlength=products * stores)
    chosen = np.flatnonzero(total >= STORE_LINES)
    row = np.full(products * stores, -1, np.int64)
    row[chosen] = np.arange(len(chosen))
    sold = np.zeros((len(chosen), weeks), np.float32)
    keep = row[pair] >= 0
    np.add.at(sold, (row[pair[keep]], week[keep]), 1.0)
    goods, shop = chosen // stores, chosen % stores
    placed = shelf.placement_row[:, goods].T
    at = np.maximum(placed, 0)
    shift = (shop & 63).astype(np.uint64)[:, None]
    word = (shop >> 6)[:, None]
    one = np.uint64(1)
    displayed = ((shelf.display[at, word] >> shift) & one).astype(bool) & (placed >= 0)
    mailed = ((shelf.mailer[at, word] >> shift) & one).astype(bool) & (placed >= 0)
    depth = shelf.depth[:, goods].T
    visits = traffic[:, shop].T
    plain = ~displayed & ~mailed & (depth < NO_DISCOUNT)
    rate = (sold * plain).sum(1) / np.maximum((visits * plain).sum(1), 1e-9)
    known = (plain.sum(1) >= 8) & (rate > 0)
    expected = rate[:, None] * visits
    classes: Mapping[str, NDArray[np.bool_]] = {
        "display": displayed & ~mailed & (depth < NO_DISCOUNT),
        "mailer": mailed & ~displayed & (depth < NO_DISCOUNT),
        "both_deep": displayed & mailed & (depth > DEEP),
    }
    return {
        name: float(sold[cells & known[:, None]].sum() / max(expected[cells & known[:, None]].sum(), 1e-9))
        for name, cells in classes.items()
    }


def weekly_trips(year: Year) -> F64:
    """(N, weeks) shopping days, whole weeks from the first day."""
    days = year.lines.select("household", "day").unique()
    weeks = -(-year.days // 7)
    table = np.zeros((year.households, weeks))
    np.add.at(table, (days["household"].to_numpy(), days["day"].to_numpy() // 7), 1.0)
    return table


def _most_bought(lines: pl.DataFrame) -> list[int]:
    bought = lines.group_by("category").agg(n=pl.struct("household", "day").n_unique())
    top = bought.sort(["n", "category"], descending=[True, False]).head(CATEGORIES)
    return [int(c) for c in top["category"]]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
