"""Any retailer's purchases, as CSV or Parquet, through a map of columns, as a panel."""

import datetime
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from regulars.errors import BadInput, SettingError, UnknownColumn
from regulars.sources.delimited import RawTable, read_raw
from regulars.sources.panel import (
    DEMOGRAPHICS,
    SCHEMAS,
    Panel,
    count_rejects,
    merge_lines,
    number_products,
    week_of,
    write_rejects,
)
from regulars.sources.sieve import (
    REJECTS,
    Sieve,
    amount_of,
    explain_torn,
    mapped,
    mend_of,
    plainly,
    rejects_of,
    told_columns,
)  # fmt: skip
from regulars.sources.values import dates, names

# What a column can mean, and the headers that say so without being mapped; earlier ones win.
LINE_COLUMNS: dict[str, tuple[str, ...]] = {
    "date": (
        "date",
        "day",
        "transaction_date",
        "purchase_date",
        "order_date",
        "sale_date",
        "transaction_timestamp",
        "timestamp",
        "datetime",
        "date_time",
        "invoice_date",
        "invoicedate",
        "trans_date",
    ),
    "card": (
        "card",
        "card_id",
        "card_number",
        "loyalty_card",
        "loyalty_id",
        "loyalty_number",
        "customer",
        "customer_id",
        "customerid",
        "customer_no",
        "household",
        "household_id",
        "household_key",
        "hshd_num",
        "member",
        "member_id",
        "client_id",
        "user_id",
        "shopper_id",
    ),
    "net": (
        "net",
        "net_amount",
        "net_sales",
        "amount",
        "sales_value",
        "sales",
        "total",
        "line_total",
        "revenue",
        "spend",
        "value",
        "paid",
    ),
    "sku": (
        "sku",
        "product",
        "product_id",
        "upc",
        "ean",
        "gtin",
        "barcode",
        "item",
        "item_id",
        "article",
        "article_id",
        "plu",
        "stock_code",
        "stockcode",
        "prod_id",
    ),
    "quantity": ("quantity", "qty", "units", "pieces", "count", "number_of_items"),
    "price": ("price", "unit_price", "unitprice", "shelf_price", "list_price", "regular_price"),
    "discount": ("discount", "retail_disc", "discount_amount", "markdown"),
    "store": ("store", "store_id", "shop", "shop_id", "branch", "outlet", "location", "site", "store_code"),
    "category": (
        "category",
        "product_category",
        "category_name",
        "commodity",
        "commodity_desc",
        "group",
        "product_group",
    ),
    "department": ("department", "dept", "department_name", "division"),
    "brand": ("brand", "brand_name", "brand_ty", "label"),
    "basket": (
        "basket",
        "basket_id",
        "basket_num",
        "transaction",
        "transaction_id",
        "receipt",
        "receipt_id",
        "order",
        "order_id",
        "invoice",
        "invoice_id",
        "invoiceno",
        "ticket",
    ),
    "campaign": ("campaign", "campaign_id"),
    "coupon": ("coupon", "coupon_id", "coupon_upc", "coupon_code", "voucher"),
    "coupon_discount": ("coupon_discount", "coupon_disc", "coupon_value", "coupon_amount"),
}
PRODUCT_COLUMNS: dict[str, tuple[str, ...]] = {
    "sku": LINE_COLUMNS["sku"],
    "category": LINE_COLUMNS["category"],
    "department": LINE_COLUMNS["department"],
    "brand": LINE_COLUMNS["brand"],
    "type": ("type", "product_type", "subcategory", "sub_category", "sub_commodity_desc", "segment"),
    "manufacturer": ("manufacturer", "manufacturer_id", "maker", "vendor", "supplier"),
    "package_size": ("package_size", "size", "pack_size", "curr_size_of_product"),
}
#: Headers that say "net": with one of them there, no other column could be meant.
SURELY_NET = ("net", "net_amount", "net_sales")
PRIVATE_LABELS = ("private", "private label", "private-label", "own", "own brand", "own label", "store brand")

LARGEST_NET = 1_000_000.0  # of one line, in currency units; keeps sums of cents far from their limit
LARGEST_QUANTITY = 10_000.0
LONGEST_NAME = 256
LONGEST_WEEKS = 255
SHORTEST_DAYS = 14
_ALONE_DAYS = 366  # a purchase that far from all others is a typing error, not a panel
_ALL = "ALL"


def read(
    path: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    *,
    products: str | os.PathLike[str] | None = None,
    rejects: str | os.PathLike[str] | None = None,
    date_format: str | None = None,
    encoding: str | None = None,
    currency: str = "USD",
    decimal: str | None = None,
    note: Callable[[str], None] | None = None,
    few: bool = False,
) -> Panel:
    """Read one retailer's purchase lines as a panel.

    Three columns are needed: date, card and net (what was paid for the line). With sku, too, products are
    told apart; without it every line is one product of its category, or of the one category "ALL". Optional:
    quantity, price (of one unit on the shelf, before discount), discount (of the whole line), store,
    category, department, brand, basket, campaign, coupon, coupon_discount.

    Parameters
    ----------
    path : a CSV (comma, semicolon, tab or bar; UTF-8 or UTF-16), one purchase line a row, or Parquet
    columns : what we call it to what the file calls it, as in ``{"net": "turnover"}``; wins over the headers
        that are known by themselves (``LINE_COLUMNS``)
    products : a table of products: sku, and any of category, department, brand, type, manufacturer,
        package_size. A line of a product that is not in it is left out.
    rejects : where to list every row that was left out, as CSV: file, line, kind, field, value, mend. The
        line counts from the header, line 1; in Parquet, from the first row.
    date_format : "DD/MM/YYYY", "MM/DD/YYYY", "%d.%m.%Y", "epoch"; None finds out
    encoding : of the text files, such as "latin-1" or "cp1252"; None for UTF-8 or UTF-16
    currency : ISO 4217 code of the amounts
    decimal : the sign before the decimals of amounts, "," or "."; None finds out
    note : told once which column is taken for what, and which of them were guessed
    few : take a day of one card, too; otherwise as :func:`check_enough`

    Returns
    -------
    Panel
        ``rejects`` counts by kind what was left out; kept and left-out rows add up to the rows of the file.
        Day 0 is the date of the first purchase. Without a basket column, a basket is what one card bought on
        one day in one store. A fraction of a unit (weighed goods) counts as one. Lines of one basket and
        product are summed.

    Raises
    ------
    BadInput
        when the file as a whole cannot be used, and nothing less than a change of the file mends it.
    UnknownColumn
        when date, card or net is not there, or a mapped column is not.
    SettingError
        when the map names something unknown or one column twice, several columns could be the amount, there is no
        such encoding or decimal sign, or the rejects would overwrite the tables.
    """
    for source in (path, products):
        if rejects is not None and source is not None and Path(rejects).resolve() == Path(source).resolve():
            raise SettingError(f"The rejects would overwrite {source}. Name another file")
    if decimal not in (None, ",", "."):
        raise SettingError(f"{decimal!r} is no decimal sign. Give , or .")
    raw = read_raw(path, encoding)
    header = mapped(raw, columns or {}, LINE_COLUMNS, ("date", "card", "net"), doubt={"net": _check_amount})
    if note is not None:
        note(told_columns(raw.file, header, columns or {}))
    sieve = Sieve(raw, header)
    lines = _typed(raw, header, sieve, date_format, decimal)
    catalog, left_out = _read_catalog(products, encoding)
    if catalog is not None:
        if "sku" not in header:
            raise UnknownColumn("sku", raw.file, raw.cells.columns, mend_of("sku", raw, header))
        unknown = ~lines["sku"].is_in(catalog["sku"].implode())
        sieve.add(unknown, "unknown product", "sku", "Add it to the table of products")
    sieve.add_repeats()
    lines = lines.filter(sieve.good)
    left_out = pl.concat([sieve.rejected(), left_out])
    # Written before the file as a whole may be refused: the list is what explains the refusal.
    rejects_file = None if rejects is None else write_rejects(rejects, left_out)
    if lines.is_empty():
        refuse_all(raw.file, raw.rows, left_out.filter(pl.col("file") == raw.file))
    _check_span(raw.file, header, lines)
    panel = _panel(raw.file, lines, catalog, left_out, rejects_file, currency)
    if not few:
        check_enough(panel, header)
    return panel


def check_enough(panel: Panel, header: Mapping[str, str] | None = None) -> None:
    """Refuse purchases in which nobody can be told from others or be seen to return.

    Parameters
    ----------
    header : what we call columns to what the file calls them
    """
    header = header or {}
    if panel.households.height < 2:
        card = panel.households["household_id"][0]
        mend = "Individuals need at least two cards: is this the column that tells customers apart?"
        raise BadInput(panel.source, None, header.get("card", "card"), card, mend)
    if panel.days < SHORTEST_DAYS:
        last = panel.start + datetime.timedelta(days=panel.days - 1)
        many = "1 day is" if panel.days == 1 else f"{panel.days} days are"
        mend = f"{many} too few to see anyone return: give at least {SHORTEST_DAYS}"
        raise BadInput(panel.source, None, header.get("date", "date"), f"{panel.start} to {last}", mend)


def _check_amount(file: str, free: list[str], plain: Mapping[str, str]) -> None:
    """Refuse to choose among several columns that could be what was paid; a price beside quantities is none."""
    if plainly(free[0]) in SURELY_NET:
        return
    priced = [] if any(word in plain for word in LINE_COLUMNS["quantity"]) else ["price"]
    could = [*free, *(plain[word] for word in priced if word in plain)]
    if len(could) > 1:
        raise SettingError(
            f"{file} has several columns that could be what was paid for a line: {', '.join(could)}. "
            f"Say which with --columns net={could[0]}"
        )


def _typed(
    raw: RawTable, header: Mapping[str, str], sieve: Sieve, date_format: str | None, decimal: str | None
) -> pl.DataFrame:
    """Every column of LINE_COLUMNS as its own type, null where absent; what is wrong goes to the sieve."""
    typed: dict[str, pl.Series] = {}
    date, second, kind = dates(raw.cells[header["date"]], raw.file, header["date"], date_format)
    form = f"Write it as {date_format}" if date_format else "Write it as YYYY-MM-DD"
    sieve.add(kind == "missing", "missing date", "date", "Fill it in")
    sieve.add(kind == "bad date", "bad date", "date", form)
    sieve.add(kind == "far date", "far date", "date", "Years go from 1970 to 2100")
    sieve.add(
        _alone(date), "far date", "date", "It is over a year from the other purchases: correct the year"
    )
    typed |= {"date": date, "second": second}
    for target in ("card", "sku", "store", "category", "department", "brand", "basket", "campaign", "coupon"):
        if target in header:
            typed[target] = names(raw.cells[header[target]])
            long = typed[target].str.len_chars() > LONGEST_NAME
            sieve.add(long, "long name", target, f"Shorten it to {LONGEST_NAME} characters")
        else:
            typed[target] = pl.Series(target, [None], dtype=pl.String).new_from_index(0, raw.cells.height)
    for target in ("card", "sku"):
        if target in header:
            sieve.add(typed[target].is_null(), f"missing {target}", target, "Fill it in")
    for target, needed in {"net": True, "quantity": True, "price": False, "discount": False}.items():
        typed[target] = amount_of(raw, header, sieve, target, needed, decimal)
    typed["coupon_discount"] = amount_of(raw, header, sieve, "coupon_discount", False, decimal)
    returned = "Nothing to mend: a return is not a purchase"
    sieve.add(typed["net"] < 0, "return", "net", returned)
    sieve.add(typed["net"] > LARGEST_NET, "huge number", "net", f"A line is worth at most {LARGEST_NET:.0f}")
    if "quantity" in header:
        quantity = typed["quantity"]
        sieve.add(quantity == 0, "zero quantity", "quantity", "Nothing to mend: nothing was bought")
        sieve.add(quantity < 0, "negative quantity", "quantity", returned)
        most = f"A line has at most {LARGEST_QUANTITY:.0f} units"
        sieve.add(quantity > LARGEST_QUANTITY, "huge quantity", "quantity", most)
    if "price" in header:
        sieve.add(typed["price"] < 0, "negative price", "price", "Give the shelf price, before discount")
    for target in ("price", "discount", "coupon_discount"):
        if target in header:
            huge = typed[target].abs() > LARGEST_NET
            sieve.add(huge, "huge number", target, f"It is at most {LARGEST_NET:.0f}")
    return pl.DataFrame({name: column.alias(name) for name, column in typed.items()})


def _alone(date: pl.Series) -> pl.Series:
    """Dates that lie over a year from the block of dates with most rows."""
    days = date.drop_nulls().value_counts(sort=False).sort(date.name)
    gaps = days[date.name].diff().dt.total_days().fill_null(0) > _ALONE_DAYS
    if not gaps.any():
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(date))
    blocks = days.with_columns(block=gaps.cast(pl.UInt32).cum_sum())
    size = (
        blocks.group_by("block").agg(pl.col("count").sum()).sort(["count", "block"], descending=[True, False])
    )
    main = blocks.filter(pl.col("block") == size["block"][0])[date.name]
    return (date < main.min()) | (date > main.max())


def refuse_all(file: str, rows: int, left_out: pl.DataFrame) -> None:
    """Refuse a file of which nothing can be used.

    Parameters
    ----------
    left_out : what is wrong, a row each, as :data:`regulars.sources.sieve.REJECTS`
    """
    counts = count_rejects(dict(left_out["kind"].value_counts().iter_rows()))
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.iter_rows())
    first = left_out.row(0, named=True)
    all_of_them = f"All {rows} rows were left out ({kinds}); this is the first"
    raise BadInput(
        file,
        first["line"],
        first["field"],
        first["value"],
        f"{first['mend']}. {all_of_them if rows != 1 else f'The only row was left out ({kinds})'}",
    )


def _check_span(file: str, header: Mapping[str, str], lines: pl.DataFrame) -> None:
    first, last = lines.select(first=pl.col("date").min(), last=pl.col("date").max()).row(0)
    days = (last - first).days + 1
    if week_of(days - 1, first) >= LONGEST_WEEKS:
        mend = f"{days} days are too many: keep at most {LONGEST_WEEKS} weeks"
        raise BadInput(file, None, header["date"], f"{first} to {last}", mend)


def _read_catalog(
    products: str | os.PathLike[str] | None, encoding: str | None
) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    nothing = pl.DataFrame(schema=REJECTS)
    if products is None:
        return None, nothing
    raw = read_raw(products, encoding)
    header = mapped(raw, {}, PRODUCT_COLUMNS, ("sku",))
    catalog = pl.DataFrame(
        {
            target: names(raw.cells[header[target]]).alias(target)
            for target in PRODUCT_COLUMNS
            if target in header
        }
    )
    sku = catalog["sku"]
    repeated = ~sku.is_first_distinct() & sku.is_not_null()
    file, column = raw.file, header["sku"]
    rejects = pl.concat(
        [
            explain_torn(raw).with_columns(kind="products: " + pl.col("kind")),
            rejects_of(
                file,
                raw.line.filter(sku.is_null()),
                "products: missing sku",
                column,
                pl.lit(""),
                "Fill it in",
            ),
            rejects_of(
                file,
                raw.line.filter(repeated),
                "products: repeated sku",
                column,
                pl.lit(sku.filter(repeated)),
                "Keep one row a product; the first was taken",
            ),
        ]
    ).sort("line")
    return catalog.filter(sku.is_not_null() & ~repeated), rejects


def _panel(
    file: str,
    lines: pl.DataFrame,
    catalog: pl.DataFrame | None,
    left_out: pl.DataFrame,
    rejects_file: Path | None,
    currency: str,
) -> Panel:
    start, last = lines.select(first=pl.col("date").min(), last=pl.col("date").max()).row(0)
    lines = lines.with_columns(
        pl.coalesce("sku", "category", pl.lit(_ALL)).alias("sku"),
        pl.coalesce("store", pl.lit(_ALL)).alias("store"),
        (pl.col("date") - pl.lit(start)).dt.total_days().cast(pl.Int32).alias("day"),
    )
    products, categories = number_products(
        _describe(lines, catalog), lines.select(pl.col("sku").alias("product_id"))
    )
    households = lines.select(pl.col("card").unique().sort().alias("household_id")).with_row_index(
        "household"
    )
    stores = lines.select(pl.col("store").unique().sort().alias("store_id")).with_row_index("store")
    _check_count(file, "store", stores.height, pl.UInt16)
    _check_count(file, "category", categories.height, pl.UInt16)
    numbered = _number_lines(lines, households, products, stores, start)
    campaigns, contacts, coupons, coupon_products, redemptions = _campaigns(file, numbered, products)
    return Panel(
        start=start,
        days=(last - start).days + 1,
        source=file,
        currency=currency,
        households=households.with_columns(
            pl.lit(None, dtype=pl.String).alias(name) for name in DEMOGRAPHICS
        ),
        products=products,
        categories=categories,
        lines=merge_lines(numbered),
        stores=stores.cast({"store": pl.UInt16}),
        campaigns=campaigns,
        contacts=contacts,
        coupons=coupons,
        coupon_products=coupon_products,
        redemptions=redemptions,
        rejects=count_rejects(dict(left_out["kind"].value_counts().iter_rows())),
        rejects_file=rejects_file,
        baskets=numbered.select("basket", "basket_id").unique("basket", maintain_order=True),
    )


def _describe(lines: pl.DataFrame, catalog: pl.DataFrame | None) -> pl.DataFrame:
    """Every product that was bought, described by the table of products, else by most of its lines."""
    described = lines.select(pl.col("sku").unique().sort())
    for target in ("category", "department", "brand"):
        most = (
            lines.filter(pl.col(target).is_not_null())
            .group_by("sku", target)
            .len()
            .sort(["sku", "len", target], descending=[False, True, False])
            .unique("sku", keep="first")
            .select("sku", target)
        )
        described = described.join(most, on="sku", how="left")
    if catalog is not None:
        described = described.join(catalog, on="sku", how="left", suffix="_listed")
        listed = [
            target
            for target in ("category", "department", "brand")
            if f"{target}_listed" in described.columns
        ]
        described = described.with_columns(
            pl.coalesce(f"{target}_listed", target).alias(target) for target in listed
        )
    absent = [target for target in PRODUCT_COLUMNS if target not in described.columns]
    described = described.with_columns(pl.lit(None, dtype=pl.String).alias(target) for target in absent)
    brand = pl.col("brand").str.to_lowercase()
    own_brand = brand.is_in(PRIVATE_LABELS).fill_null(False)
    maker = pl.coalesce(
        "manufacturer", pl.when(own_brand | (brand == "national")).then(None).otherwise("brand")
    )
    return described.select(
        product_id="sku",
        department=pl.coalesce("department", pl.lit(_ALL)),
        category_name=pl.coalesce("category", pl.when(pl.col("department").is_null()).then(pl.lit(_ALL))),
        type_name="type",
        brand_private=own_brand,
        manufacturer=maker.rank("dense").cast(pl.Int32).sub(1).fill_null(-1),
        package_size="package_size",
    )


def _number_lines(
    lines: pl.DataFrame,
    households: pl.DataFrame,
    products: pl.DataFrame,
    stores: pl.DataFrame,
    start: datetime.date,
) -> pl.DataFrame:
    quantity = pl.coalesce("quantity", pl.lit(1.0))
    listed = pl.col("price") * quantity - pl.col("net")
    cents = {
        "net_cents": pl.col("net"),
        # A discount may be written with a minus; a price below what was paid is no discount.
        "retail_disc_cents": pl.coalesce(pl.col("discount").abs(), listed.clip(lower_bound=0), pl.lit(0.0)),
        "coupon_disc_cents": pl.coalesce(pl.col("coupon_discount").abs(), pl.lit(0.0)),
        "coupon_match_cents": pl.lit(0.0),
    }
    most = 2.0**31 - 1
    return (
        lines.join(households, left_on="card", right_on="household_id")
        .join(products.select("product", "product_id"), left_on="sku", right_on="product_id")
        .rename({"store": "store_name"})
        .join(stores, left_on="store_name", right_on="store_id")
        .select(
            "household",
            "day",
            "second",
            "store",
            "product",
            "basket",
            "campaign",
            "coupon",
            ((pl.col("day") + start.weekday()) // 7).alias("week"),
            quantity.round().clip(lower_bound=1).alias("units"),
            *((amount * 100).round().clip(upper_bound=most).alias(name) for name, amount in cents.items()),
        )
        .sort("household", "day", "store", "basket", "second", maintain_order=True)
        .with_columns(
            _changes("household", "day", "store", "basket").cum_sum().cast(pl.Int64).alias("basket"),
            pl.col("basket").alias("basket_id"),
        )
        .cast(SCHEMAS["lines"] | {name: pl.String() for name in ("campaign", "coupon", "basket_id")})
    )


def _changes(*columns: str) -> pl.Expr:
    """Whether a row of a sorted frame differs from the one above in any of the columns; first: no."""
    same = [pl.col(column).eq_missing(pl.col(column).shift()) for column in columns]
    return (~pl.all_horizontal(same) & (pl.int_range(pl.len()) > 0)).cast(pl.UInt32)


def _campaigns(
    file: str, lines: pl.DataFrame, products: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Campaigns, contacts, coupons, their products and redemptions, as far as the lines name them."""
    named = lines.with_columns(
        pl.coalesce("campaign", pl.when(pl.col("coupon").is_not_null()).then(pl.lit(_ALL))).alias(
            "campaign_id"
        )
    ).filter(pl.col("campaign_id").is_not_null())
    campaigns = (
        named.group_by("campaign_id")
        .agg(first_day=pl.col("day").min(), last_day=pl.col("day").max())
        .sort("campaign_id")
        .with_row_index("campaign")
        .with_columns(type=pl.lit("", dtype=pl.String))
    )
    _check_count(file, "campaign", campaigns.height, pl.UInt8)
    campaigns = campaigns.select("campaign", "campaign_id", "type", "first_day", "last_day").cast(
        {"campaign": pl.UInt8}
    )
    named = named.drop("campaign").join(campaigns.select("campaign", "campaign_id"), on="campaign_id")
    contacts = named.select("campaign", "household").unique().sort("campaign", "household")
    used = named.filter(pl.col("coupon").is_not_null()).rename({"coupon": "coupon_upc"})
    savings = pl.when(pl.col("coupon_disc_cents") > 0).then(pl.col("coupon_disc_cents") / pl.col("units"))
    main = pl.col("category").sort_by("units", descending=True).first()
    coupons = (
        used.join(products.select("product", "category"), on="product")
        .group_by("campaign", "coupon_upc")
        .agg(saving=savings.median(), category=main, products_total=pl.col("product").n_unique())
        .sort("campaign", "coupon_upc")
        .with_row_index("coupon")
        .with_columns(saving_observed=pl.col("saving").is_not_null())
        .with_columns(saving_cents=pl.coalesce("saving", pl.col("saving").median(), pl.lit(0.0)).round())
    )
    _check_count(file, "coupon", coupons.height, pl.UInt16)
    coupons = coupons.select("coupon_upc", *SCHEMAS["coupons"]).cast(
        SCHEMAS["coupons"] | {"coupon_upc": pl.String()}
    )
    used = used.join(coupons.select("coupon", "coupon_upc", "campaign"), on=["coupon_upc", "campaign"])
    coupon_products = used.select("coupon", "product").unique().sort("coupon", "product")
    redemptions = used.select(*SCHEMAS["redemptions"]).unique().sort("household", "day", "coupon")
    return campaigns, contacts, coupons, coupon_products, redemptions


def _check_count(file: str, field: str, count: int, dtype: type[pl.DataType]) -> None:
    most = 256 if dtype == pl.UInt8 else 65536
    if count > most:
        mend = f"There may be at most {most}: is this column what it is taken for?"
        raise BadInput(file, None, field, f"{count} of them", mend)
