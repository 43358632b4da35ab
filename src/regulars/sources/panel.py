"""One retailer's real purchases and what surrounded them, as tables with dense indices."""

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulars.errors import RegularsError, ShapeError
from regulars.shelf import PLACEMENT_STORES, Shelf, by_category, check

DEMOGRAPHICS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)

_COLUMNS: dict[str, dict[str, pl.DataType]] = {
    "households": {"household": pl.UInt32()} | {name: pl.String() for name in DEMOGRAPHICS},
    "products": {
        "product": pl.UInt32(),
        "department": pl.String(),
        "category": pl.UInt16(),
        "type": pl.UInt16(),
        "type_name": pl.String(),
        "brand_private": pl.Boolean(),
        "manufacturer": pl.Int32(),
        "package_size": pl.String(),
    },
    "categories": {"category": pl.UInt16(), "name": pl.String(), "department": pl.String()},
    "lines": {
        "household": pl.UInt32(),
        "basket": pl.Int64(),
        "day": pl.Int32(),
        "second": pl.Int32(),
        "week": pl.UInt8(),
        "store": pl.UInt16(),
        "product": pl.UInt32(),
        "units": pl.UInt16(),
        "net_cents": pl.Int32(),
        "retail_disc_cents": pl.Int32(),
        "coupon_disc_cents": pl.Int32(),
        "coupon_match_cents": pl.Int32(),
    },
    "stores": {"store": pl.UInt16()},
    "campaigns": {
        "campaign": pl.UInt8(),
        "type": pl.String(),
        "first_day": pl.Int32(),
        "last_day": pl.Int32(),
    },
    "contacts": {"campaign": pl.UInt8(), "household": pl.UInt32()},
    "coupons": {
        "coupon": pl.UInt16(),
        "campaign": pl.UInt8(),
        "saving_cents": pl.Int32(),
        "saving_observed": pl.Boolean(),
        "category": pl.UInt16(),
        "products_total": pl.UInt32(),
    },
    "coupon_products": {"coupon": pl.UInt16(), "product": pl.UInt32()},
    "redemptions": {
        "household": pl.UInt32(),
        "coupon": pl.UInt16(),
        "campaign": pl.UInt8(),
        "day": pl.Int32(),
    },
    "rejects": {"kind": pl.String(), "count": pl.UInt32()},
}

SCHEMAS = {name: pl.Schema(columns) for name, columns in _COLUMNS.items()}

# The columns that carry a source's own names: an integer or a string, as the source has it.
SOURCE_IDS = {
    "households": "household_id",
    "products": "product_id",
    "stores": "store_id",
    "campaigns": "campaign_id",
    "coupons": "coupon_upc",
}


@dataclass(frozen=True)
class Panel:
    """One retailer's purchases, the people, the products and the campaigns around them.

    N households, P products, C categories and S stores are numbered 0, 1, 2 ... without holes, and every
    frame is sorted by its own index. Money is in cents of ``currency``; days count from ``start``, day 0.

    Attributes
    ----------
    start : day 0
    days : how many days the panel covers; every line has 0 <= day < days
    source : where it came from, for reports
    currency : ISO 4217 code, such as "USD"
    households : household (u32), household_id, and what is known of age, income, home_ownership,
        marital_status, household_size, household_comp and kids_count, as the source words it; null when not
        shared
    products : product (u32), product_id, department, category (u16), type (u16), type_name, brand_private,
        manufacturer (i32; -1 when not known), package_size
    categories : category (u16), name, department (the one with most of its lines)
    lines : household, basket (i64), day (i32), second of the day (i32), week (u8, breaks on Mondays), store
        (u16), product, units (u16), net_cents (what the retailer received), retail_disc_cents,
        coupon_disc_cents, coupon_match_cents (i32, each 0 or more); sorted by household, day, basket,
        product; one line for each basket and product
    stores : store (u16), store_id
    campaigns : campaign (u8), campaign_id, type, first_day and last_day (both inclusive, may lie outside the
        panel)
    contacts : campaign, household: who was sent what
    coupons : coupon (u16), coupon_upc, campaign, saving_cents for one unit, saving_observed (false when it is
        the median of its campaign type), category (null when none of its products was ever bought),
        products_total (products it is good for, bought or not)
    coupon_products : coupon, product; only products of the panel
    redemptions : household, coupon, campaign, day
    rejects : kind, count of rows that were left out
    rejects_file : where each of them is listed; None when nobody asked
    baskets : basket (i64), basket_id (null where it has none); None when the source told none of its baskets' names
    """

    start: datetime.date
    days: int
    source: str
    currency: str
    households: pl.DataFrame
    products: pl.DataFrame
    categories: pl.DataFrame
    lines: pl.DataFrame
    stores: pl.DataFrame
    campaigns: pl.DataFrame
    contacts: pl.DataFrame
    coupons: pl.DataFrame
    coupon_products: pl.DataFrame
    redemptions: pl.DataFrame
    rejects: pl.DataFrame
    rejects_file: Path | None = None
    baskets: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        for name, schema in SCHEMAS.items():
            have = getattr(self, name).schema
            wrong = [
                f"{column} {have.get(column)}"
                for column, dtype in schema.items()
                if have.get(column) != dtype
            ]
            if SOURCE_IDS.get(name, "") not in {"", *have}:
                wrong.append(f"{SOURCE_IDS[name]} missing")
            if wrong:
                raise ShapeError(f"panel.{name} does not have the columns of a panel: {', '.join(wrong)}")

    @property
    def weeks(self) -> int:
        """How many weeks, breaking on Mondays, the panel touches: 53 for 365 days from a Sunday."""
        return week_of(self.days - 1, self.start) + 1


def week_of(day: int, start: datetime.date) -> int:
    """Week of a day, both counted from 0; weeks break on Mondays, so the first may be short.

    Examples
    --------
    >>> sunday = datetime.date(2017, 1, 1)
    >>> [week_of(day, sunday) for day in (0, 1, 7, 8, 364)]
    [0, 1, 1, 2, 52]
    """
    return (day + start.weekday()) // 7


def empty(name: str, id_type: pl.DataType | None = None) -> pl.DataFrame:
    """The frame ``name`` of a panel without a row; ``id_type`` is that of the source's own names."""
    schema = dict(SCHEMAS[name])
    if name in SOURCE_IDS:
        schema[SOURCE_IDS[name]] = id_type or pl.String()
    return pl.DataFrame(schema=schema)


def count_rejects(counts: Mapping[str, int]) -> pl.DataFrame:
    """The frame ``rejects`` of a panel: kinds that occurred, most frequent first."""
    kinds = sorted((kind for kind, count in counts.items() if count), key=lambda kind: (-counts[kind], kind))
    return pl.DataFrame({"kind": kinds, "count": [counts[kind] for kind in kinds]}, schema=SCHEMAS["rejects"])


def left_out(panel: Panel) -> list[str]:
    """Rows that were left out, a line for each kind; none when all could be read."""
    return said_of_left_out(dict(panel.rejects.iter_rows()))


def said_of_left_out(counts: Mapping[str, int]) -> list[str]:
    """A line for each kind of rows that were left out; a kind may say of which file, as in "prices: bad date".

    Examples
    --------
    >>> said_of_left_out({"return": 1, "prices: bad date": 2})
    ['left out: 1 row, return', 'left out: 2 rows of prices, bad date']
    """
    lines = []
    for kind, count in counts.items():
        file, _, what = kind.rpartition(": ")
        rows = f"{count:,} {'row' if count == 1 else 'rows'}"
        lines.append(f"left out: {rows}{f' of {file}' if file else ''}, {what}")
    return lines


def number_products(products: pl.DataFrame, bought: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frames ``products`` and ``categories`` of a panel, numbered.

    Parameters
    ----------
    products : product_id, department, category_name, type_name, brand_private, manufacturer, package_size;
        one row a product. A product without a category belongs to "<department> - OTHER".
    bought : product_id of every line, to tell the main department of a category

    Returns
    -------
    products : by ascending product_id
    categories : by ascending name; a name used in several departments is one category
    """
    named = products.sort("product_id").with_columns(
        pl.coalesce("category_name", pl.col("department") + " - OTHER").alias("name")
    )
    lines = bought.group_by("product_id").len("lines")
    categories = (
        named.join(lines, on="product_id", how="left")
        .group_by("name", "department")
        .agg(pl.col("lines").sum())
        .sort(["name", "lines", "department"], descending=[False, True, False])
        .unique("name", keep="first", maintain_order=True)
        .with_row_index("category")
        .select(pl.col("category").cast(pl.UInt16), "name", "department")
    )
    types = named.select(pl.col("type_name").unique().sort()).with_row_index("type")
    numbered = (
        named.with_row_index("product")
        .join(categories.select("name", "category"), on="name", how="left", maintain_order="left")
        .join(types, on="type_name", how="left", nulls_equal=True, maintain_order="left")
        .select("product_id", *SCHEMAS["products"])
        .cast(SCHEMAS["products"])
        .select("product", "product_id", pl.exclude("product", "product_id"))
    )
    return numbered, categories


def merge_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines in the order of a panel, those of one basket and product summed into one.

    The merged line keeps the time and the store of its first.
    """
    order = ["household", "day", "basket", "product"]
    ordered = lines.select(*SCHEMAS["lines"]).sort(order, maintain_order=True)
    same = pl.col("basket").eq(pl.col("basket").shift()) & pl.col("product").eq(pl.col("product").shift())
    same &= pl.col("household").eq(pl.col("household").shift())
    if not ordered.select(same.any()).item():
        return ordered
    amounts = ["units", "net_cents", "retail_disc_cents", "coupon_disc_cents", "coupon_match_cents"]
    return (
        ordered.group_by(order, maintain_order=True)
        .agg(
            pl.col("second", "week", "store").first(),
            pl.col("units").cast(pl.Int64).sum().clip(0, np.iinfo(np.uint16).max).cast(pl.UInt16),
            pl.col(*amounts[1:]).sum(),
        )
        .select(*SCHEMAS["lines"])
    )


def write_rejects(path: str | os.PathLike[str], rows: pl.DataFrame) -> Path:
    """Write the rows that were left out as CSV: file, line, kind, field, value, mend; returns where."""
    target = Path(path)
    try:
        rows.select("file", "line", "kind", "field", "value", "mend").write_csv(target)
    except OSError as error:
        raise RegularsError(
            f"{target} cannot be written ({error.strerror or error}). Name another rejects file"
        ) from error
    return target


def shelf_from(panel: Panel, placement: pl.DataFrame | None = None) -> Shelf:
    """The shelf that the purchases of a panel reveal.

    Parameters
    ----------
    panel : P products over W weeks
    placement : who was displayed or mailed where: week (u8), product (u32), store (u16), display (bool),
        mailer (bool); any order, repeats allowed. None when it is not known: then nothing is anywhere.

    Returns
    -------
    Shelf
        *price* is the median over a week's lines of (net + retailer's discounts) / units. A week without a
        sale has the last price seen; weeks before the first sale have the first.

        *depth* is the retailer's discount of a week over its gross sales. In a week without a sale it is
        unknown and not nought: a promoted product that nobody happened to buy was promoted nevertheless, and
        full price in every unsold week would make discounts look far stronger than they are. Such a week
        takes the depth of the nearest sold week (the earlier of two) with the same mailer state, in the
        mailer of some store or of none, if one lies at most four weeks away; else the product's own median
        promoted depth when it is in the mailer; else 0.

    Raises
    ------
    ShapeError
        when the placement names more than 128 stores, or a week, product or store that the panel does not
        have.
    """
    weeks, products, stores = panel.weeks, panel.products.height, panel.stores.height
    row, display, mailer, store_bit, placement_store = _placement(placement, weeks, products, stores)
    price, depth, _ = _prices(panel.lines, _mailed(row, mailer))
    popularity = buyers(panel.lines, products)
    category = panel.products["category"].to_numpy().astype(np.uint16)
    ptr, order = by_category(category, popularity, panel.categories.height)
    shelf = Shelf(
        price=price,
        depth=depth,
        placement_row=row,
        display=display,
        mailer=mailer,
        store_bit=store_bit,
        placement_store=placement_store,
        category=category,
        private=panel.products["brand_private"].to_numpy().astype(np.uint8),
        popularity=popularity,
        category_ptr=ptr,
        category_product=order,
    )
    check(shelf)
    return shelf


def shelf_until(early: Panel, shelf: Shelf) -> Shelf:
    """The shelf as the first days of a panel reveal it, and nothing that came later.

    Parameters
    ----------
    early : the first days of a panel, its products and stores numbered as ever
    shelf : of the whole panel; only its placement in the weeks of ``early`` is read, which was public then

    Returns
    -------
    Shelf
        As many weeks as ``early`` touches. A product that was not sold in them has no buyer and no discount, and costs
        the median of its category.
    """
    row = shelf.placement_row[: early.weeks]
    used = row[row >= 0]
    first_rows = int(used.max()) + 1 if len(used) else 0
    display, mailer = shelf.display[:first_rows], shelf.mailer[:first_rows]
    price, depth, sold = _prices(early.lines, _mailed(row, mailer))
    popularity = buyers(early.lines, early.products.height)
    ptr, order = by_category(shelf.category, popularity, len(shelf.category_ptr) - 1)
    usual = np.exp(np.log(price.astype(np.float64)).mean(0))
    for c in range(len(ptr) - 1):
        members = order[ptr[c] : ptr[c + 1]]
        known, unknown = members[sold[members]], members[~sold[members]]
        if len(known) and len(unknown):
            price[:, unknown] = np.float32(np.median(usual[known]))
    until = shelf._replace(
        price=price,
        depth=depth,
        placement_row=row,
        display=display,
        mailer=mailer,
        popularity=popularity,
        category_ptr=ptr,
        category_product=order,
    )
    check(until)
    return until


def _mailed(row: NDArray[np.int32], mailer: NDArray[Any]) -> NDArray[np.bool_]:
    """(W, P) whether a product was in any store's mailer in a week."""
    if not len(mailer):
        return np.zeros(row.shape, bool)
    in_mailer: NDArray[np.bool_] = np.any(mailer, axis=1)
    return (row >= 0) & in_mailer[row]


def buyers(lines: pl.DataFrame, products: int) -> NDArray[np.float32]:
    """(P,) how many households bought each product."""
    pairs = lines.select("household", "product").unique()
    return np.bincount(pairs["product"].to_numpy(), minlength=products).astype(np.float32)


def _prices(
    lines: pl.DataFrame, mailed: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """(W, P) price and depth, and (P,) whether a price of the product was ever seen."""
    weeks, products = mailed.shape
    gross = pl.col("net_cents") + pl.col("retail_disc_cents") + pl.col("coupon_match_cents")
    # A line without a price (a free item, an unknown discount) says nothing about the shelf price.
    sold = (
        lines.lazy()
        .select("week", "product", "units", "retail_disc_cents", gross=gross)
        .filter(pl.col("gross") > 0, pl.col("units") > 0)
        .group_by("week", "product")
        .agg(
            price=(pl.col("gross") / pl.col("units")).median() / 100,
            depth=pl.col("retail_disc_cents").sum() / pl.col("gross").sum(),
        )
        .collect()
    )
    week, product = sold["week"].to_numpy(), sold["product"].to_numpy()
    price = np.zeros((weeks, products), np.float32)
    depth = np.zeros((weeks, products), np.float32)
    price[week, product] = sold["price"].to_numpy()
    depth[week, product] = np.minimum(sold["depth"].to_numpy(), _DEEPEST)
    known = np.zeros((weeks, products), bool)
    known[week, product] = True
    usual = np.zeros(products, np.float32)
    deep = sold.filter(pl.col("depth") > _PROMOTED).group_by("product").agg(pl.col("depth").median())
    usual[deep["product"].to_numpy()] = np.minimum(deep["depth"].to_numpy(), _DEEPEST)
    column = np.arange(products)
    before, after = _nearest(known)
    source = np.where(before >= 0, before, after)
    never = ~known.any(axis=0)
    source[:, never] = 0
    price = price[source, column]
    price[:, never] = _PRICE_UNKNOWN
    unsold = np.where(mailed, usual, np.float32(0))
    for same in (mailed, ~mailed):
        nearest, found = _nearest_within(known & same, _DEPTH_WEEKS)
        unsold = np.where(same & found, depth[nearest, column], unsold)
    return price, np.where(known, depth, unsold), np.asarray(known.any(axis=0))


_DEEPEST = np.float32(0.99)  # a depth of 1 would be a gift, and log(1 - depth) infinite
_PRICE_UNKNOWN = np.float32(1.0)  # of a product that was only ever given away
_PROMOTED = 0.01  # below this a discount is rounding
_DEPTH_WEEKS = 4  # measured on hidden weeks of The Complete Journey: see docs/shelf.md


def _nearest(known: NDArray[np.bool_]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Last known week up to each week (-1: none) and first known week from each week on (weeks: none)."""
    weeks = len(known)
    index = np.arange(weeks, dtype=np.int16)[:, None]
    before = np.maximum.accumulate(np.where(known, index, np.int16(-1)), axis=0)
    after = np.minimum.accumulate(np.where(known, index, np.int16(weeks))[::-1], axis=0)[::-1]
    return before, after


def _nearest_within(known: NDArray[np.bool_], limit: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Nearest known week, the earlier of two, and whether it lies within ``limit`` weeks."""
    weeks = len(known)
    index = np.arange(weeks, dtype=np.int16)[:, None]
    before, after = _nearest(known)
    far = np.int16(limit + 1)
    back = np.where(before >= 0, index - before, far)
    ahead = np.where(after < weeks, after - index, far)
    nearest = np.where(back <= ahead, before, after)
    found = np.minimum(back, ahead) <= limit
    return np.where(found, nearest, np.int16(0)), found


def _placement(
    placement: pl.DataFrame | None, weeks: int, products: int, stores: int
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int16], NDArray[np.uint16]]:
    store_bit = np.full(stores, -1, np.int16)
    row = np.full((weeks, products), -1, np.int32)
    if placement is None or not placement.height:
        nothing = np.zeros((0, 2), np.uint64)
        return row, nothing, nothing.copy(), store_bit, np.zeros(0, np.uint16)
    for name, limit in {"week": weeks, "product": products, "store": stores}.items():
        highest = placement[name].max()
        if not isinstance(highest, int) or highest >= limit:
            raise ShapeError(f"the placement names {name} {highest!r}, but the panel has {limit}")
    week = placement["week"].to_numpy()
    product = placement["product"].to_numpy()
    store = placement["store"].to_numpy()
    seen = np.bincount(store, minlength=stores) > 0
    placement_store = np.flatnonzero(seen).astype(np.uint16)
    if len(placement_store) > PLACEMENT_STORES:
        raise ShapeError(
            f"the placement names {len(placement_store)} stores; a shelf holds {PLACEMENT_STORES}"
        )
    store_bit[placement_store] = np.arange(len(placement_store), dtype=np.int16)
    cell = week.astype(np.int64) * products + product
    flat = row.reshape(-1)
    flat[cell] = 0
    placed = np.flatnonzero(flat == 0)
    flat[placed] = np.arange(len(placed), dtype=np.int32)
    rows = flat[cell]
    bit = store_bit[store]
    display = _bit_sets(rows, bit, placement["display"].to_numpy(), len(placed))
    mailer = _bit_sets(rows, bit, placement["mailer"].to_numpy(), len(placed))
    return row, display, mailer, store_bit, placement_store


def _bit_sets(
    rows: NDArray[np.int32], bit: NDArray[np.int16], member: NDArray[np.bool_], count: int
) -> NDArray[np.uint64]:
    # One byte a row and store first: setting a byte twice is harmless, and packing whole bytes needs no loop.
    flags = np.zeros((count, PLACEMENT_STORES), np.uint8)
    flags[rows[member], bit[member]] = 1
    return np.packbits(flags, axis=1, bitorder="little").view("<u8").astype(np.uint64)
