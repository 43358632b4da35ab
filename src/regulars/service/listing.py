"""What a retailer tells beside its purchases, into its store: products, prices and offers, stock, people's addresses."""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Sequence
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from regulars.errors import SettingError
from regulars.retail import catalog as catalogs
from regulars.retail import contact_rules
from regulars.retail.catalog import FAR, UNTOLD, Prices
from regulars.service import intake, naming
from regulars.service.assortment import Assortment, Told
from regulars.service.clock import ZONE_MEND, is_zone
from regulars.service.events import Did, Event
from regulars.service.naming import EMAIL, PHONE, USER, Name
from regulars.service.shop import Profile, Shop
from regulars.service.store import Transaction, shown
from regulars.shelf import PLACEMENT_STORES
from regulars.sources.listings import Listing, check_days
from regulars.sources.panel import Panel, week_of
from regulars.terms import NONE, Channel, Purpose, Scope

#: Days after today about which it is said whether anything can be offered.
COMING = 7
#: In which order files are taken: each may speak of what the one before told.
ORDER = ("products", "prices", "stock", "people")
#: By which channel a letter goes to an address of each kind.
GOES_BY = {EMAIL: Channel.EMAIL, PHONE: Channel.SMS}
UNKNOWN = "Add it to the products with --products, or correct it"


def take(work: Transaction, shop: Shop, listings: Sequence[Listing], now_ms: int) -> dict[str, int]:
    """Write down what files tell; returns how many of each. What cannot be used is left to each file's sieve.

    Everything of one call is told at once, to every process that decides: none sees half of it.
    """
    today = shop.calendar.day(now_ms)
    counts: dict[str, int] = {}
    told = before = shop.told
    sku = dict(shop.product_of)
    for listing in sorted(listings, key=lambda each: ORDER.index(each.kind)):
        if listing.kind == "products":
            told, counts["products"] = _products(shop, told, sku, listing)
        elif listing.kind == "prices":
            told, counts["prices"], counts["offers"] = _prices(shop, told, sku, listing, today)
    if told is not before:
        shop.tell(work, told, today)
    for listing in listings:
        if listing.kind == "stock":
            counts["stock"], counts["out"] = _stock(work, shop, listing)
    return counts


def names_of(rows: pl.DataFrame) -> pl.Series:
    """The category of each product, as the retailer names its categories."""
    other = (pl.col("department") + " - OTHER").str.to_lowercase()
    return rows.select(pl.coalesce(pl.col("category").str.to_lowercase(), other).alias("name")).to_series()


def titles_of(rows: pl.DataFrame) -> pl.Series:
    """What each product is called."""
    words = [pl.col(name).fill_null("") for name in ("type", "package_size")]
    plain = pl.concat_str(words, separator=" ").str.strip_chars()
    return rows.select(pl.coalesce("name", plain).str.to_lowercase().alias("title")).to_series()


def with_products(assortment: Assortment, listing: Listing) -> Assortment:
    """A retailer that is set up sells these too, and has their categories, though nobody bought of them yet."""
    rows = listing.rows.with_columns(names_of(listing.rows), titles_of(listing.rows))
    new = ~rows["sku"].is_in(list(assortment.sku))
    listing.sieve.add(new & rows["name"].is_null(), "missing category", "category", "Fill it in")
    rows = rows.filter(listing.sieve.good & new)
    number = {name: k for k, name in enumerate(assortment.catalog.names)}
    fresh = [name for name in rows["name"].unique(maintain_order=True) if name not in number]
    number |= {name: len(number) + k for k, name in enumerate(fresh)}
    category = np.array([number[name] for name in rows["name"]], np.uint16)
    category_of = np.append(assortment.category_of, category).astype(np.uint16)
    cents = assortment.catalog.price_cents
    catalog = catalogs.widened(
        assortment.catalog, tuple(fresh), category_of, float(np.median(cents)) if len(cents) else 0.0
    )
    return Assortment(
        catalog,
        (*assortment.sku, *rows["sku"]),
        (*assortment.title, *rows["title"]),
        category_of,
        np.append(assortment.popularity, np.zeros(len(rows), np.float32)),
        np.append(assortment.usual_cents, catalog.price_cents[category]).astype(np.float32),
    )


def placement_of(panel: Panel, listing: Listing) -> pl.DataFrame:
    """Where products stood in the weeks of a panel, as :func:`regulars.sources.panel.shelf_from` takes it.

    A day in a week is the week: so the panel has it. What names no store stood in all of them, as far as a shelf knows.
    """
    rows, sieve = listing.rows, listing.sieve
    sku = panel.products["product_id"].cast(pl.String).to_list()
    store = panel.stores["store_id"].cast(pl.String).to_list()
    sieve.add(~rows["sku"].is_in(sku), "unknown product", "sku", "Correct it: nobody bought it")
    sieve.add(~rows["store"].is_in(store), "unknown store", "store", "Correct it: nobody bought there")
    last = panel.start + datetime.timedelta(days=panel.days - 1)
    until = rows["until"].fill_null(rows["from"])
    sieve.add((rows["from"] > last) | (until < panel.start), "outside the purchases", "from", "Leave it out")
    out: dict[str, list[Any]] = {name: [] for name in ("week", "product", "store", "display", "mailer")}
    product_of = {name: k for k, name in enumerate(sku)}
    store_of = {name: k for k, name in enumerate(store)}
    everywhere = range(min(len(store), PLACEMENT_STORES))
    for row in listing.kept.iter_rows(named=True):
        first = max((row["from"] - panel.start).days, 0)
        end = min(((row["until"] or row["from"]) - panel.start).days, panel.days - 1)
        places = everywhere if row["store"] is None else [store_of[row["store"]]]
        for week in range(week_of(first, panel.start), week_of(end, panel.start) + 1):
            for place in places:
                for name, value in zip(
                    out, (week, product_of[row["sku"]], place, row["display"], row["mailer"]), strict=True
                ):
                    out[name].append(value)
    kinds = {
        "week": pl.UInt8,
        "product": pl.UInt32,
        "store": pl.UInt16,
        "display": pl.Boolean,
        "mailer": pl.Boolean,
    }
    return pl.DataFrame(out, schema=kinds)


def _products(shop: Shop, told: Told, sku: dict[str, int], listing: Listing) -> tuple[Told, int]:
    """Products that are new, of categories that the retailer has."""
    rows = listing.rows.with_columns(names_of(listing.rows), titles_of(listing.rows))
    number = {name.lower(): k for k, name in enumerate(shop.assortment.catalog.names)}
    category = rows["name"].replace_strict(number, default=None, return_dtype=pl.Int64)
    listing.sieve.add(
        category.is_null() & rows["name"].is_not_null(), "new category", "category",
        "Give it one of the retailer's categories, which stand since it was set up, or set another retailer up",
    )  # fmt: skip
    of = {
        name: int(shop.assortment.category_of[k]) for name, k in sku.items() if k < len(shop.assortment.sku)
    }
    was = rows["sku"].replace_strict(of, default=None, return_dtype=pl.Int64)
    listing.sieve.add(
        was != category, "other category", "category",
        "A product keeps the category under which it was sold: leave it, or give it a new sku",
    )  # fmt: skip
    listing.sieve.add(was.is_null() & rows["name"].is_null(), "missing category", "category", "Fill it in")
    new = rows.with_columns(category=category).filter(listing.sieve.good & was.is_null())
    for name in new["sku"]:
        sku[name] = len(sku)
    if not new.height:
        return told, 0
    return (
        dataclasses.replace(
            told,
            sku=(*told.sku, *new["sku"]),
            title=(*told.title, *new["title"]),
            category=np.append(told.category, new["category"].to_numpy()).astype(np.uint16),
        ),
        new.height,
    )


def _prices(
    shop: Shop, told: Told, sku: dict[str, int], listing: Listing, today: int
) -> tuple[Told, int, int]:
    """Prices and offers by day; what was told before of the same product and days is overruled."""
    check_days(listing, shop.calendar.date(today))
    listing.sieve.add(~listing.rows["sku"].is_in(list(sku)), "unknown product", "sku", UNKNOWN)
    start = shop.calendar.start
    kept = listing.kept.select(
        pl.col("sku").replace_strict(sku, return_dtype=pl.Int32).alias("product"),
        (pl.col("from") - pl.lit(start)).dt.total_days().fill_null(today).cast(pl.Int32).alias("first_day"),
        (pl.col("until") - pl.lit(start)).dt.total_days().fill_null(FAR - 1).cast(pl.Int32).alias("last_day"),
        (pl.col("price") * 100).round().cast(pl.Int32).alias("price_cents"),
        (pl.col("offer") * 100).round().cast(pl.Int32).alias("offer_cents"),
    )
    says = "offer" in listing.told
    none = pl.lit(NONE if says else UNTOLD, pl.Int32)
    reduced = pl.col("offer_cents") < pl.col("price_cents")
    kept = kept.with_columns(pl.when(reduced).then("offer_cents").otherwise(none).alias("offer_cents"))
    rows = _overruled(pl.concat([pl.DataFrame(told.prices._asdict()), kept]), today, len(told.prices.product))
    offers = kept.filter(pl.col("offer_cents") >= 0)
    since = told.since
    if says and kept.height:
        category_of = np.append(shop.assortment.category_of[: len(shop.assortment.sku)], told.category[
            len(told.sku) - (len(sku) - len(shop.assortment.sku)) :
        ])  # fmt: skip
        since = since.copy()
        first = np.maximum(kept["first_day"].to_numpy(), today)
        np.minimum.at(since, category_of[kept["product"].to_numpy()], first)
    days = max(told.days, int(offers["last_day"].max() or 0) + 1)  # type: ignore[arg-type]
    prices = Prices(*(rows[name].to_numpy().copy() for name in Prices._fields))
    return dataclasses.replace(told, prices=prices, since=since, days=days), kept.height, offers.height


def _overruled(rows: pl.DataFrame, today: int, before: int) -> pl.DataFrame:
    """Without rows whose days are over, or that a later row overrules: on all days that are left, or as the same offer.

    An offer is known by its product and first day: told again with another end, it ends there.

    Parameters
    ----------
    before : so many of the rows were told before, the others now
    """
    rows = rows.with_row_index("place").filter(pl.col("last_day") >= today).sort("product", "place")
    product, last = rows["product"].to_numpy(), rows["last_day"].to_numpy()
    first, silent = rows["first_day"].to_numpy(), (rows["offer_cents"] == UNTOLD).to_numpy()
    offered, now = (rows["offer_cents"] >= 0).to_numpy(), (rows["place"] >= before).to_numpy()
    stands = np.ones(rows.height, np.bool_)
    # Each row beside the next of its product, then beside the one after: no more at a time than there are rows.
    row = np.arange(rows.height)
    for ahead in range(1, rows.height):
        row = row[row + ahead < rows.height]
        row = row[product[row + ahead] == product[row]]
        if not len(row):
            break
        later = row + ahead
        covers = (np.maximum(first[row], today) >= first[later]) & (last[row] <= last[later])
        covers &= silent[row] | ~silent[later]
        covers |= offered[row] & offered[later] & (first[row] == first[later]) & now[later] & ~now[row]
        stands[row[covers]] = False
        row = row[~covers]
    return rows.filter(pl.Series(stands)).sort("place").select(*Prices._fields)


def _stock(work: Transaction, shop: Shop, listing: Listing) -> tuple[int, int]:
    """What is on hand, in all stores together; a product that the file does not name stays as it was."""
    unknown = ~listing.rows["sku"].is_in(list(shop.product_of))
    listing.sieve.add(unknown, "unknown product", "sku", UNKNOWN)
    found = listing.kept.group_by("sku").agg(pl.col("stock").sum().clip(upper_bound=2**31 - 1))
    units = {shop.product_of[name]: count for name, count in found.iter_rows()}
    shop.set_stock(work, units, {})
    return len(units), sum(count <= 0 for count in units.values())


# ---- people --------------------------------------------------------------------------------------------------


def people_events(
    work: Transaction, shop: Shop, part: pl.DataFrame, granted: Sequence[str], now_ms: int
) -> tuple[list[Event], Counter[str]]:
    """What is told of some people whom we may write to, and how many were taken, known already and withheld.

    Whoever is new allows what was granted. An address is kept when a channel that goes there is open, by her own word or
    by what was granted; nothing is kept of whoever was erased, nor of a row with an address at which somebody else who is
    known may not be written to, or of somebody who was erased: another card is no way around a refusal.
    """
    rows = [_Row.of(row) for row in part.iter_rows(named=True)]
    known = _Known(work, shop, [name for row in rows for name in (row.her, *row.addresses)], now_ms)
    vouched = _kinds_granted(granted)
    stands: dict[int, Profile] = {}
    greeted: set[Name] = set()
    events: list[Event] = []
    became: Counter[str] = Counter()
    for row in rows:
        who = known.owner.get(row.her, -1)
        kinds = vouched if who < 0 else known.may.get(who, ())
        kept = [name for name in row.addresses if name.kind in kinds]
        if not kept or known.keeps_out(row):
            became["people_withheld"] += 1
            continue
        if who >= 0:
            if who not in stands:
                stands[who] = shop.profile(known.seats, who)
            if _stands(stands[who], kept, row.zone):
                became["people_again"] += 1
                continue
            stands[who].known_as += kept
            stands[who].zone = row.zone if is_zone(row.zone) else stands[who].zone
        elif row.her not in greeted:
            greeted.add(row.her)
            grants = dict.fromkeys(granted, True)
            events.append(Event(Did.ALLOWED, now_ms, name="Imported", user=row.her.value, grants=grants))
        traits = dict(kept) | ({"timezone": row.zone} if row.zone else {})
        events.append(Event(Did.TOLD, now_ms, name="identify", user=row.her.value, traits=traits))
        became["people"] += 1
    return events, became


class _Row(NamedTuple):
    """What a file tells of one person."""

    her: Name
    addresses: tuple[Name, ...]
    zone: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> _Row:
        addresses = tuple(Name(kind, row[kind]) for kind in (EMAIL, PHONE) if row[kind] is not None)
        return cls(Name(USER, row["card"]), addresses, row["timezone"] or "")


class _Known:
    """Who is known under these names, or was erased, and at which kinds of addresses each may be written to."""

    def __init__(self, work: Transaction, shop: Shop, names: Sequence[Name], now_ms: int) -> None:
        work.tenant(shop.number, change=True)  # nobody refuses, or is erased, meanwhile
        mark = {name: naming.digest(shop.secret, name) for name in names}
        found = work.known_by(shop.number, list(mark.values()))
        self.owner = {name: found[each] for name, each in mark.items() if each in found}
        gone = {name: naming.erased(shop.secret, each) for name, each in mark.items()}
        were_there = work.seen(shop.number, list(gone.values()))
        self.erased = {name for name, each in gone.items() if each in were_there}
        self.seats = shop.seat(work, self.owner.values())
        everybody, today = np.arange(len(self.seats.rows), dtype=np.int32), shop.calendar.day(now_ms)
        _, channels = contact_rules.room(
            self.seats.record, self.seats.consent.bits, everybody, today, 0, contact_rules.UNLIMITED
        )
        self.may = {who: _kinds(int(channels[at])) for who, at in self.seats.place.items()}

    def keeps_out(self, row: _Row) -> bool:
        """Whether somebody was erased under a name of this row, or lets nobody write to her address in it."""
        who = self.owner.get(row.her, -1)
        if who < 0 and row.her in self.erased:
            return True
        came_back = who >= 0 and row.her in self.erased  # and has her addresses back
        return any(
            self.owner[name] != who and name.kind not in self.may.get(self.owner[name], ())
            if name in self.owner
            else name in self.erased and not came_back
            for name in row.addresses
        )


def _kinds_granted(words: Sequence[str]) -> tuple[str, ...]:
    """Kinds of addresses at which whoever is new may be written to."""
    purposes = channels = 0
    for scope, bits, channel in (each for word in words for each in intake.grants_of(word)):
        purposes |= bits if scope == Scope.CONTACT else 0
        channels |= 0 if channel is None else 1 << channel
    return _kinds(channels) if purposes >> Purpose.CONTACT & 1 else ()


def _kinds(channels: int) -> tuple[str, ...]:
    """Kinds of addresses to which one of these channels goes."""
    return tuple(kind for kind, channel in GOES_BY.items() if channels >> channel & 1)


def _stands(profile: Profile, told: Sequence[Name], zone: str) -> bool:
    """Whether a profile says so already: each address is the last of its kind."""
    last = dict(profile.known_as)
    return all(last.get(name.kind) == name.value for name in told) and (
        not is_zone(zone) or zone == profile.zone
    )


def check_people(listing: Listing) -> None:
    """Rows whose addresses are none, or whose card cannot be anybody's."""
    rows = listing.rows
    for kind in (EMAIL, PHONE):
        told = rows[kind].to_list()
        wrong = [value is not None and not naming.somebodys(Name(kind, value)) for value in told]
        example = "ada@example.org" if kind == EMAIL else "+49 30 901820"
        listing.sieve.add(
            pl.Series(wrong, dtype=pl.Boolean), f"no {kind}", kind, f"Write one such as {example}"
        )
    zone = [value is not None and not is_zone(value) for value in rows["timezone"].to_list()]
    listing.sieve.add(pl.Series(zone, dtype=pl.Boolean), "no time zone", "timezone", ZONE_MEND)
    nobody = [card is not None and not naming.legal(card) for card in rows["card"].to_list()]
    listing.sieve.add(pl.Series(nobody, dtype=pl.Boolean), "nobody", "card", "Name one person")
    listing.sieve.add(
        rows[EMAIL].is_null() & rows[PHONE].is_null(), "no address", EMAIL, "Give an e-mail or a phone number"
    )


# ---- what can be offered ---------------------------------------------------------------------------------------


def offers_ahead(shop: Shop, today: int) -> list[int]:
    """In how many categories an offer stands today and on each of the coming days."""
    return [shop.offers_on(day) for day in range(today, today + COMING + 1)]


def said_of_offers(shop: Shop, today: int, url: str) -> tuple[str, bool]:
    """What can be offered in the coming days, with the mend when that is nothing; and whether anything is wanting."""
    ahead = offers_ahead(shop, today)
    mend = (
        "Tell it prices with offers: regulars import --prices prices.csv "
        f"--retailer {quote(shop.name)} --store {quote(shown(url))} (columns sku, price, offer, from, until)"
    )
    last = max((k for k, count in enumerate(ahead) if count), default=-1)
    if last < 0:
        return (
            f"Retailer {shop.name!r} has no offer today or on the {COMING} days after it: every decision is the bare "
            f"option or silence. {mend}",
            True,
        )
    if not ahead[0]:
        first = next(k for k, count in enumerate(ahead) if count)
        return f"Retailer {shop.name!r} has no offer before {shop.calendar.date(today + first)}. {mend}", True
    words = f"{ahead[0]:,} {'category' if ahead[0] == 1 else 'categories'} with an offer today"
    if last == COMING:
        return f"Retailer {shop.name!r}: {words}", False
    return f"Retailer {shop.name!r}: {words}; none after {shop.calendar.date(today + last)}. {mend}", True


def none_without(kind: str) -> SettingError:
    """What to say of a file that cannot stand alone."""
    return SettingError(
        f"--{kind} goes with the purchases of a retailer that is new: it tells in which past weeks discounts stood, and no "
        "decision reads it later. Tell coming offers with --prices"
    )
