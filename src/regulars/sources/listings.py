"""What a retailer tells beside its purchases: products, prices and offers, stock, placement, people's addresses."""

import datetime
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from regulars.errors import UnknownColumn
from regulars.sources.delimited import RawTable, read_raw
from regulars.sources.sieve import Sieve, amount_of, mapped, told_columns
from regulars.sources.tables import (
    LARGEST_NET,
    LARGEST_QUANTITY,
    LINE_COLUMNS,
    LONGEST_NAME,
    PRODUCT_COLUMNS,
    refuse_all,
)  # fmt: skip
from regulars.sources.values import amounts, dates, names

_FROM = ("from", "valid_from", "start", "start_date", "from_date", "begins", "first_day")
_UNTIL = ("until", "to", "valid_until", "valid_to", "end", "end_date", "to_date", "ends", "last_day")
#: What each kind of file can tell, and the headers that say so without being mapped; earlier ones win.
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "products": PRODUCT_COLUMNS | {"name": ("name", "product_name", "title", "description")},
    "prices": {
        "sku": LINE_COLUMNS["sku"],
        "price": (*LINE_COLUMNS["price"], "price_before"),
        "offer": (
            "offer", "offer_price", "discounted", "discounted_price", "sale_price", "promo_price", "special_price",
            "price_after",
        ),
        "from": _FROM,
        "until": _UNTIL,
    },
    "stock": {
        "sku": LINE_COLUMNS["sku"],
        "stock": ("stock", "in_stock", "on_hand", "available", "availability", *LINE_COLUMNS["quantity"]),
        "store": LINE_COLUMNS["store"],
    },
    "placement": {
        "sku": LINE_COLUMNS["sku"],
        "store": LINE_COLUMNS["store"],
        "display": ("display", "display_location", "displayed"),
        "mailer": ("mailer", "mailer_location", "mailed", "leaflet", "flyer"),
        "from": (*_FROM, "week", "date", "day"),
        "until": _UNTIL,
    },
    "people": {
        "card": LINE_COLUMNS["card"],
        "email": ("email", "e_mail", "email_address", "mail"),
        "phone": ("phone", "phone_number", "mobile", "telephone", "tel"),
        "timezone": ("timezone", "time_zone", "tz", "zone"),
    },
}  # fmt: skip
_NEEDED = {
    "products": ("sku",),
    "prices": ("sku", "price"),
    "stock": ("sku", "stock"),
    "placement": ("sku", "from"),
    "people": ("card",),
}
#: Columns of which a file needs one.
_ONE_OF = {"placement": ("display", "mailer"), "people": ("email", "phone")}
#: An offer ends within so many days, or its year is a slip.
FARTHEST_DAYS = 366
_YES = ("yes", "y", "true", "in stock", "in_stock", "available", "x")
_NO = ("no", "n", "false", "out of stock", "out_of_stock", "sold out", "unavailable")


@dataclass(frozen=True)
class Listing:
    """One such file, with what is wrong with its rows.

    Attributes
    ----------
    kind : of file, as in ``COLUMNS``
    file : its name, for messages
    told : columns that the file has
    rows : typed, one a row of the file, wrong ones too; null where nothing stands
    sieve : which of them can be used; whoever knows the retailer adds to it
    """

    kind: str
    file: str
    told: frozenset[str]
    rows: pl.DataFrame
    sieve: Sieve

    @property
    def kept(self) -> pl.DataFrame:
        """Rows with which nothing is wrong."""
        return self.rows.filter(self.sieve.good)

    def rejected(self) -> pl.DataFrame:
        """What is wrong, a row each; the kind of the file stands before the kind of the fault."""
        return self.sieve.rejected().with_columns(kind=pl.lit(f"{self.kind}: ") + pl.col("kind"))

    def check_any(self) -> None:
        """Refuse a file of which no row can be used, as purchases are refused."""
        wrong = self.sieve.rejected()
        if self.kept.is_empty() and wrong.height:
            refuse_all(self.file, wrong.height, wrong)


def read(
    kind: str,
    path: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    *,
    date_format: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    prefix: str = "",
    note: Callable[[str], None] | None = None,
) -> Listing:
    """Read a file of a kind; see :data:`COLUMNS`.

    Parameters
    ----------
    columns : what we call it to what the file calls it
    prefix : before the names of columns on the command line, where several files are read
    date_format, encoding, decimal, note : as in :func:`regulars.sources.tables.read`

    Raises
    ------
    BadInput, UnknownColumn, SettingError
        when the file as a whole cannot be used.
    """
    raw = read_raw(path, encoding)
    header = mapped(raw, columns or {}, COLUMNS[kind], _NEEDED[kind], prefix=prefix)
    either = _ONE_OF.get(kind, ())
    if either and not set(either) & header.keys():
        mend = f"Map it, or {' or '.join(either[1:])}, with --columns {prefix}{either[0]}=COLUMN"
        raise UnknownColumn(either[0], raw.file, raw.cells.columns, mend)
    if note is not None:
        note(told_columns(raw.file, header, columns or {}))
    sieve = Sieve(raw, header)
    typed: dict[str, pl.Series] = {}
    for target in COLUMNS[kind]:
        if target in ("price", "offer"):
            typed[target] = amount_of(raw, header, sieve, target, target == "price", decimal)
        elif target in ("from", "until"):
            typed[target] = _date(raw, header, sieve, target, target in _NEEDED[kind], date_format)
        else:
            typed[target] = _word(raw, header, sieve, target, target in ("sku", "card"))
    rows = pl.DataFrame({name: column.alias(name) for name, column in typed.items()})
    if kind == "products":
        _check_products(sieve, rows)
    elif kind == "prices":
        _check_prices(sieve, rows)
    elif kind == "stock":
        rows = _counted(raw, header, sieve, rows, decimal)
    elif kind == "placement":
        rows = rows.with_columns(_shown(rows[name]).alias(name) for name in ("display", "mailer"))
        sieve.add(rows["until"] < rows["from"], "ends before it begins", "until", "Swap the two days")
    sieve.add_repeats()
    return Listing(kind, raw.file, frozenset(header), rows, sieve)


def check_days(listing: Listing, today: datetime.date) -> None:
    """Rows of prices whose days are over, or too far ahead for an offer."""
    rows = listing.rows
    over = "Nothing to mend: these days are over"
    listing.sieve.add(rows["until"] < today, "over", "until", over)
    far = today + datetime.timedelta(days=FARTHEST_DAYS)
    late = rows["offer"].is_not_null() & (rows["until"] > far)
    listing.sieve.add(late, "far date", "until", f"An offer ends by {far}: correct the year")


def _word(raw: RawTable, header: Mapping[str, str], sieve: Sieve, target: str, needed: bool) -> pl.Series:
    if target not in header:
        return pl.Series(target, [None], dtype=pl.String).new_from_index(0, raw.cells.height)
    column = raw.cells[header[target]]
    found = names(column.cast(pl.Int8) if column.dtype == pl.Boolean else column)
    if needed:
        sieve.add(found.is_null(), f"missing {target}", target, "Fill it in")
    sieve.add(
        found.str.len_chars() > LONGEST_NAME, "long name", target, f"Shorten it to {LONGEST_NAME} characters"
    )
    return found


def _date(
    raw: RawTable, header: Mapping[str, str], sieve: Sieve, target: str, needed: bool, form: str | None
) -> pl.Series:
    if target not in header:
        return pl.Series(target, [None], dtype=pl.Date).new_from_index(0, raw.cells.height)
    column = raw.cells[header[target]]
    if column.is_null().all() or (column.dtype == pl.String and (column == "").all()):
        kind = pl.Series([None], dtype=pl.String).new_from_index(0, raw.cells.height)
        found = kind.cast(pl.Date)
        kind = pl.Series(["missing"]).new_from_index(0, raw.cells.height)
    else:
        found, _, kind = dates(column, raw.file, header[target], form)
    if needed:
        sieve.add(kind == "missing", f"missing {target}", target, "Fill it in")
    sieve.add(
        kind == "bad date", "bad date", target, f"Write it as {form}" if form else "Write it as YYYY-MM-DD"
    )
    sieve.add(kind == "far date", "far date", target, "Years go from 1970 to 2100")
    return found


def _check_products(sieve: Sieve, rows: pl.DataFrame) -> None:
    repeated = ~rows["sku"].is_first_distinct() & rows["sku"].is_not_null()
    sieve.add(repeated, "repeated sku", "sku", "Keep one row a product; the first was taken")


def _check_prices(sieve: Sieve, rows: pl.DataFrame) -> None:
    price, offer = rows["price"], rows["offer"]
    for target, of in (("price", price), ("offer", offer)):
        sieve.add(of < 0, f"negative {target}", target, "Write what one unit costs")
        sieve.add((of >= 0) & (of < 0.005), f"{target} of nothing", target, "Write what one unit costs")
        sieve.add(of > LARGEST_NET, "huge number", target, f"It is at most {LARGEST_NET:.0f}")
    above = "The price before discount goes into price, the discounted one into offer"
    sieve.add(offer > price, "offer above the price", "offer", above)
    reduced = (offer < price).fill_null(False)
    endless = "Write the last day on which the offer holds: whoever is told of it is told until when"
    sieve.add(reduced & rows["until"].is_null(), "missing until", "until", endless)
    sieve.add(rows["until"] < rows["from"], "ends before it begins", "until", "Swap the two days")


def _counted(
    raw: RawTable, header: Mapping[str, str], sieve: Sieve, rows: pl.DataFrame, decimal: str | None
) -> pl.DataFrame:
    """Stock as units, of which a yes is one."""
    word = rows["stock"].str.to_lowercase()
    sieve.add(word.is_null(), "missing stock", "stock", "Write how many are on hand, or yes or no")
    yes, no = word.is_in(_YES).fill_null(False), word.is_in(_NO).fill_null(False)
    column = raw.cells[header["stock"]]
    told = column if column.dtype.is_numeric() else word.set(yes, "1").set(no, "0")
    count, wrong = amounts(told, raw.file, header["stock"], decimal, doubtful=raw.delimiter == ";")
    sieve.add(
        word.is_not_null() & wrong.is_not_null(),
        "not a number",
        "stock",
        "Write how many are on hand, or yes or no",
    )
    most = 10 * LARGEST_QUANTITY**2
    sieve.add(count > most, "huge quantity", "stock", f"It is at most {most:.0f}")
    # A till may count below nought what it sold before it was told of a delivery: none is on hand.
    whole = count.clip(lower_bound=0).ceil()
    return rows.with_columns(whole.clip(upper_bound=most).cast(pl.Int64, strict=False).alias("stock"))


def _shown(column: pl.Series) -> pl.Series:
    """Whether a cell says yes: a word or a place does, nothing, a nought and a no do not."""
    word = column.str.to_lowercase()
    return word.is_not_null() & ~word.is_in(["0", *_NO]).fill_null(False)
