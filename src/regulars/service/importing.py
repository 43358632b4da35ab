"""In bulk: a retailer out of a table of purchases, more purchases of one that is there, and what it tells beside them."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from regulars.errors import BadInput, SettingError
from regulars.ledger.entries import Entries
from regulars.retail import catalog as catalogs
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.service import intake, keys, listing, naming, snapshots
from regulars.service import rows as codec
from regulars.service.assortment import Assortment
from regulars.service.clock import Now, now_ms
from regulars.service.engine import Engine
from regulars.service.events import Did, Event, Line
from regulars.service.naming import USER, Name
from regulars.service.opening import Opening, open_shop
from regulars.service.seal import Seal, new_key
from regulars.service.shop import CONSENT, CONTACT, ENTRY, EVENT, KNOWN, PROFILE, Profile, Shop
from regulars.service.store import Store, Transaction, open_store, shown
from regulars.service.store.sql import CustomerRow, NoRetailer
from regulars.shelf import Shelf
from regulars.sources.listings import Listing
from regulars.sources.panel import Panel, shelf_from
from regulars.sources.tables import check_enough
from regulars.terms import Fate, Lines, Purpose, Scope, empty_lines

#: Baskets that are applied in one transaction to a retailer that is there already.
CHUNK = 500
#: Days beyond the last purchase on which deals of the shelf still stand.
AHEAD = 60
#: A file tells the day; within it, purchases count as of this hour where the retailer is.
NOON = 12
Say = Callable[[str], None]
#: Told how much of how much is done, of what.
Count = Callable[[int, int, str], None]
Show = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Granted:
    """What these customers allowed before they came here; whoever imports them vouches for it.

    Attributes
    ----------
    grants : (scope, bits of Purpose)
    channels : bits of Channel on which they opted in
    words : the same as it was told
    """

    grants: tuple[tuple[Scope, int], ...] = ()
    channels: int = 0
    words: tuple[str, ...] = ()

    @property
    def contact(self) -> bool:
        """Whether contact is allowed."""
        return any(scope == Scope.CONTACT and bits >> Purpose.CONTACT & 1 for scope, bits in self.grants)

    @property
    def unheard(self) -> bool:
        """Whether contact is allowed, and no channel on which it could be made."""
        return self.contact and not self.channels


#: What to say when a retailer is set up and nothing was granted.
NOTHING_GRANTED = (
    "nobody allows anything yet: no purchase is kept under its customer, and nobody may be written to. Where they have "
    "allowed it, import into a retailer of another name with --granted purchases --granted contact.email and the like; else "
    "each says so herself (POST /v1/consent), and what she buys from then on is kept"
)
#: What to say when a retailer is set up and contact was not among what was granted.
NO_CONTACT = (
    "nobody may be written to or spoken to: contact was not granted. Where they have allowed it, import into a retailer of "
    "another name with --granted contact.email and the like too; else each says so herself (POST /v1/consent)"
)
#: What to say of grants when customers who are there already bring more.
FOR_THE_NEW = (
    "--granted counts for customers who are new to the retailer; whoever was there already allows what she said herself "
    "(POST /v1/consent)"
)
#: What to say of grants that allow contact and open no channel.
UNHEARD = (
    "contact is allowed, but no channel is open: add --granted contact.email, which counts for customers who are new to the "
    "retailer; for those who are there already tell POST /v1/consent"
)


def granted_by(words: Sequence[str]) -> Granted:
    """From words such as ``purchases``, ``stated.personalize`` or ``contact.email``.

    Raises
    ------
    SettingError
        when a word names neither a scope nor a channel.
    """
    grants: list[tuple[Scope, int]] = []
    channels = 0
    for word in words:
        found = intake.grants_of(word)
        if not found:
            raise SettingError(
                f"--granted {word!r} names nothing that is allowed or not. {intake.MAY_BE_ALLOWED}"
            )
        for scope, purposes, channel in found:
            grants.append((scope, purposes))
            channels |= 0 if channel is None else 1 << channel
    return Granted(tuple(grants), channels, tuple(words))


def assortment_of(panel: Panel, goods: Shelf, days: int) -> Assortment:
    """What a panel's retailer sells, and the offers that stand on its shelf."""
    names = tuple(name.lower() for name in panel.categories["name"])
    found = catalogs.build(
        panel.coupons, panel.coupon_products, panel.campaigns, goods, names, days=days,
        first_weekday=panel.start.weekday(),
    )  # fmt: skip
    titles = panel.products.select(
        pl.col("type_name").fill_null("").str.to_lowercase()
        + pl.lit(" ")
        + pl.col("package_size").fill_null("")
    ).to_series()
    return Assortment(
        found,
        tuple(map(str, panel.products["product_id"])),
        tuple(title.strip() for title in titles),
        panel.products["category"].to_numpy().astype(np.uint16),
        goods.popularity,
        (np.median(goods.price, axis=0) * 100).astype(np.float32),
    )


def add(engine: Engine, shop: Shop, panel: Panel, granted: Granted, count: Count) -> intake.Taken:
    """More purchases of a retailer that is there already, each basket once, as if its till had sent them.

    Parameters
    ----------
    granted : what those allowed who are new to the retailer
    """
    taken = intake.Taken()
    sku = panel.products["product_id"].cast(pl.String).to_list()
    category = panel.products.join(panel.categories, on="category", maintain_order="left")["name"].to_list()
    who = panel.households["household_id"].cast(pl.String).to_list()
    events = []
    noon = [
        shop.calendar.moment(panel.start + datetime.timedelta(days=day), NOON) for day in range(panel.days)
    ]
    for basket in _baskets(panel, panel.lines, who):
        lines = [
            Line(sku[p] if sku[p] in shop.product_of else "", category[p].lower(), u, max(c, 0))
            for p, u, c in zip(basket.products, basket.units, basket.cents, strict=True)
        ]
        events.append(
            Event(
                Did.PURCHASED, noon[basket.day], name="Order Completed",
                user=who[basket.household], message=basket.message, order=basket.order, lines=lines,
            )
        )  # fmt: skip
    for first in range(0, len(events), CHUNK):
        part = events[first : first + CHUNK]

        def apply(work: Transaction, part: list[Event] = part) -> None:
            now = engine.now()
            allowed = _allowed(work, shop, part, granted, now)
            intake.apply(work, shop, [(event, keys.IMPORT) for event in allowed + part], now, taken)

        engine.call(shop, apply).result()
        count(min(first + CHUNK, len(events)), len(events), "baskets")
    return taken


def add_people(
    call: Callable[[Callable[[Transaction], Counter[str]]], Counter[str]],
    shop: Shop,
    told: Listing,
    granted: Granted,
    now_ms: int,
    count: Count,
) -> dict[str, int]:
    """Addresses of people whom we may write to, each in her own sealed profile.

    Parameters
    ----------
    call : does something in a transaction
    """
    listing.check_people(told)
    rows, became = told.kept, Counter(people=0, people_again=0, people_withheld=0)
    for first in range(0, rows.height, CHUNK):
        part = rows.slice(first, CHUNK)

        def apply(work: Transaction, part: pl.DataFrame = part) -> Counter[str]:
            events, counts = listing.people_events(work, shop, part, granted.words, now_ms)
            intake.apply(work, shop, [(event, keys.IMPORT) for event in events], now_ms)
            return counts

        became.update(call(apply))
        count(min(first + CHUNK, rows.height), rows.height, "people")
    return dict(became)


def _allowed(
    work: Transaction, shop: Shop, part: Sequence[Event], granted: Granted, now_ms: int
) -> list[Event]:
    """What those allowed who become customers by these baskets; whoever was erased does not, until she says so herself."""
    if not granted.words:
        return []
    message = [naming.digest(shop.secret, Name(f"message {keys.IMPORT}", event.message)) for event in part]
    user = {event.user: naming.digest(shop.secret, Name(USER, event.user)) for event in part}
    gone = {name: naming.erased(shop.secret, mark) for name, mark in user.items()}
    seen = work.seen(shop.number, [*message, *gone.values()])
    known = work.aliases(shop.number, list(user.values()))
    new = {
        event.user: None for event, mark in zip(part, message, strict=True)
        if mark not in seen and user[event.user] not in known and gone[event.user] not in seen
    }  # fmt: skip
    grants = dict.fromkeys(granted.words, True)
    return [Event(Did.ALLOWED, now_ms, name="Imported", user=name, grants=grants) for name in new]


class _Basket(NamedTuple):
    household: int
    day: int
    message: str  #: under which it counts once, in whichever file it comes
    order: str
    products: list[int]
    units: list[int]
    cents: list[int]


def _baskets(panel: Panel, lines: pl.DataFrame, names: Sequence[str]) -> Iterator[_Basket]:
    """Baskets by day, each known by the name that its file gives it, else by what is in it.

    Parameters
    ----------
    lines : of the panel
    names : the user id of each household
    """
    own = {} if panel.baskets is None else dict(panel.baskets.drop_nulls().iter_rows())
    store, sku = panel.stores["store_id"].to_list(), panel.products["product_id"].to_list()
    dates = [panel.start + datetime.timedelta(days=day) for day in range(panel.days)]
    found = (
        lines.group_by("day", "household", "basket", maintain_order=True)
        .agg(pl.col("store").first(), "product", "units", "net_cents")
        .sort("day", "household", "basket")
    )
    equal: Counter[str] = Counter()
    for day, household, basket, place, products, units, cents in found.iter_rows():
        if basket in own:
            order = own[basket]
            named = [names[household], str(dates[day]), str(store[place]), order]
        else:
            bought = sorted((str(sku[p]), u, c) for p, u, c in zip(products, units, cents, strict=True))
            within = hashlib.blake2b(json.dumps(bought).encode(), digest_size=16).hexdigest()
            named = [names[household], str(dates[day]), within]
            of_these = json.dumps(named)
            equal[of_these] += 1
            order = f"{dates[day]}-{within}-{equal[of_these]}"
            named.append(equal[of_these])
        yield _Basket(household, day, json.dumps(named), order, products, units, cents)


def fill(
    store: Store, shop: Shop, panel: Panel, until: int, names: Sequence[str], granted: Granted, say: Say
) -> None:
    """Write down what the first households of a panel bought before day ``until``, in a shop that nobody entered yet.

    Parameters
    ----------
    names : the user id of each household that is taken
    granted : what they allowed
    """
    count = len(names)
    say(f"Writing down what {count:,} households bought on {until} days")
    lines = panel.lines.filter((pl.col("day") < until) & (pl.col("household") < count)).join(
        panel.products.select("product", "category"), on="product"
    )
    record = records.new(count, shop.categories)
    record.optin[:] = granted.channels
    consent = consents.new(count)
    ledger = Entries(count)
    seat = shop.retailer
    seat.seat(record, consent, ledger)
    everybody = np.arange(count)
    for scope, purposes in granted.grants:
        seat.consented(everybody, scope, purposes, True, 0)
    # The account tells what was allowed; uses begin when the service does.
    quiet = Entries(count)
    seat.seat(record, consent, quiet)
    seat.learn(-1)
    by_day = lines.sort("day", "household", "basket", "product").partition_by("day", as_dict=True)
    for day in range(until):
        today = by_day.get((day,))
        if today is not None:
            table = _table(today)
            seat.purchased(day, table, today.height)
        seat.learn(day)
        quiet.of = [[] for _ in range(count)]
    _write(store, shop, panel, names, lines, record, consent, ledger, until)


def _table(today: pl.DataFrame) -> Lines:
    n = today.height
    table = empty_lines(n)
    table.consumer[:] = today["household"].to_numpy()
    table.product[:] = today["product"].to_numpy()
    table.category[:] = today["category"].to_numpy()
    table.units[:] = today["units"].to_numpy()
    table.paid_cents[:] = today["net_cents"].to_numpy()
    table.coupon_cents[:] = 0
    table.fate[:] = Fate.SERVED
    return table


def _write(
    store: Store, shop: Shop, panel: Panel, names: Sequence[str], lines: pl.DataFrame, record: records.Record,
    consent: consents.Consent, ledger: Entries, until: int,
) -> None:  # fmt: skip
    count = len(record.customer)
    sku = shop.assortment.sku
    noon = [shop.calendar.moment(shop.calendar.date(day), NOON) for day in range(until)]
    made = [new_key() for _ in range(count)]
    seals = [Seal(key) for key in made]
    contact, known = codec.packed(record, codec.CONTACT), codec.packed(record, codec.KNOWN)
    allowed = codec.packed_consent(consent)
    customers, entries, aliases = [], [], []
    for k, (seal, key, name) in enumerate(zip(seals, made, names, strict=True)):
        profile = msgspec.json.encode(Profile(known_as=[(USER, name)]))
        customers.append(
            CustomerRow(
                k, -1, seal.close(allowed[k], CONSENT), seal.close(contact[k], CONTACT), seal.close(known[k], KNOWN),
                seal.close(profile, PROFILE), *ledger.head(k), 0, -1, key,
            )
        )  # fmt: skip
        entries += [(k, e.number, seal.close(msgspec.json.encode(e), ENTRY)) for e in ledger.of[k]]
        aliases.append((naming.digest(shop.secret, Name(USER, name)), k, USER))
    events = []
    seen: list[str] = []
    keeps = consent.bits[:, Scope.PURCHASES] != 0
    for basket in _baskets(panel, lines, names):
        household = basket.household
        seen.append(naming.digest(shop.secret, Name(f"message {keys.IMPORT}", basket.message)))
        if not keeps[household]:
            continue
        event = Event(
            Did.PURCHASED, noon[basket.day], name="Order Completed",
            user=names[household], order=basket.order,
            lines=[Line(sku[p], "", u, c) for p, u, c in zip(basket.products, basket.units, basket.cents, strict=True)],
        )  # fmt: skip
        events.append(
            (
                shop.number,
                household,
                event.at_ms,
                seals[household].close(msgspec.msgpack.encode(event), EVENT),
            )
        )
    with store.transaction() as work:
        work.tenant(shop.number, change=True)  # or somebody began anew meanwhile
        work.add_customers(shop.number, customers)
        work.add_aliases(shop.number, aliases)
        work.add_entries(shop.number, entries)
        work.add_events(events)
        work.first_seen(shop.number, seen, intake.FOREVER)
        work.add_common(shop.number, 1, until - 1, snapshots.packed(shop.retailer))
        work.change_tenant(shop.number, customers=count, common=1)


def bring(
    url: str,
    name: str,
    panel: Panel | None,
    granted: Granted,
    zone: str | None,
    policy: str | None,
    say: Say,
    show: Show,
    *,
    listings: Sequence[Listing] = (),
    count: Count | None = None,
    now: Now = now_ms,
) -> None:
    """Files into the store at ``url``: a retailer that is new is set up from its purchases, else all is added.

    Parameters
    ----------
    name : of the retailer; empty means the only one of the store
    panel : purchases, of which one that is there may tell a single basket; None when it tells other things alone
    zone, policy : of a new retailer, None for the usual; one that is there keeps its own
    show : told at the end: ``retailer``; with purchases ``customers``, ``baskets``; ``rejects`` by kind; for a new retailer
        ``keys`` by role; else ``again``, ``withheld`` and ``unknown`` of what was added; how many ``products``, ``prices``,
        ``offers``, ``stock`` and ``people`` were taken; ``outlook``, what can be offered, as a sentence; ``left_out``, the
        rows of the listings that could not be used. A new one is ready once its keys were shown; what was broken off before
        begins anew
    listings : what it tells beside purchases
    count : told how far it is; None says it
    now : the clock

    Raises
    ------
    SettingError
        when a retailer that is there has another zone or policy, or one that is not there has no purchases.
    BadInput
        when one that is not there has too few; or, once all else was done and shown, when no row of a listing could be used.
    """
    counted = count or (lambda done, of, what: say(f"{done:,} of {of:,} {what}"))
    if url.startswith("sqlite:///"):
        at = Path(url.removeprefix("sqlite:///"))
        if panel is None and not at.is_file():
            raise SettingError(_nobody_there(name, url, ()))
        if panel is not None and name and not at.is_file():
            _check_enough(panel, name, ())
        at.parent.mkdir(parents=True, exist_ok=True)
    store = open_store(url)
    with store.transaction() as work:
        unready = work.unready()
        there = {known: number for number, known in work.tenants() if known not in unready}
        if not name and panel is None and len(there) == 1:
            (name,) = there
        stands = work.tenant(there[name]).settings if name in there else None
    told: dict[str, Any] = {"retailer": name}
    if panel is not None:
        told["customers"] = panel.households.height
        told["baskets"] = panel.lines.select("household", "day", "basket").n_unique()
    if stands is None:
        try:
            if panel is None or not name:
                raise SettingError(_nobody_there(name, url, there))
            _check_enough(panel, name, there)
            brought = Brought(panel, granted, tuple(listings), now(), url)
            number, keys, more = _open(
                store, name, brought, zone or "UTC", policy or "considerate", say, counted
            )
            show(told | more | _rejects_of(panel, listings) | {"keys": keys})
            with store.transaction() as work:
                work.make_ready(number)
            _check_used(listings)
        except NoRetailer as error:
            raise SettingError(
                f"another import of {name!r} began meanwhile and took its place. Let that one finish"
            ) from error
        finally:
            store.close()
        return
    try:
        for option, asked in (("zone", zone), ("policy", policy)):
            if asked is not None and asked != stands[option]:
                raise SettingError(
                    f"--{option} {asked}: the retailer {name!r} is there already and has {stands[option]}. "
                    f"Leave --{option} out, or import into a retailer of another name"
                )
        if any(each.kind == "placement" for each in listings):
            raise listing.none_without("placement")
    except SettingError:
        store.close()
        raise
    engine = Engine(store, now)
    try:
        shop = engine.shops[there[name]]
        shelf = [each for each in listings if each.kind != "people"]
        if shelf:
            # Before purchases, which may be of products that are new.
            take = partial(listing.take, shop=shop, listings=shelf, now_ms=now())
            told |= engine.call(shop, take).result()
        if panel is not None:
            taken = add(engine, shop, panel, granted, counted)
            told |= {"again": taken.again, "withheld": taken.withheld, "unknown": taken.unknown.total()}
        for each in listings:
            if each.kind == "people":
                told |= add_people(
                    lambda work_on: engine.call(shop, work_on).result(), shop, each, granted, now(), counted
                )
        today = shop.calendar.day(now())
        outlook, _ = engine.call(shop, lambda work: listing.said_of_offers(shop, today, url)).result()
    finally:
        engine.close()
    show(told | _rejects_of(panel, listings) | {"outlook": outlook})
    _check_used(listings)


def _nobody_there(name: str, url: str, there: Iterable[str]) -> str:
    known = ", ".join(sorted(there))
    if not name:
        return f"say whose it is with --retailer NAME; {shown(url)} has {known or 'no retailer yet'}"
    return (
        f"there is no retailer {name!r} in {shown(url)}"
        + (f"; it has {known}" if known else "")
        + ". Set it up first with its "
        f"purchases: regulars import sales.csv --retailer {quote(name)}"
    )


def _check_enough(panel: Panel, name: str, there: Iterable[str]) -> None:
    """Refuse to set a retailer up from too little; whoever meant one that is there reads which are."""
    try:
        check_enough(panel)
    except BadInput as error:
        known = ", ".join(sorted(there)) or "none yet"
        ends = "" if error.mend.endswith("?") else "."
        mend = f"{error.mend}{ends} This would set {name!r} up: of retailers the store has {known}"
        raise BadInput(error.file, error.line, error.field, error.value, mend) from None


def _check_used(listings: Sequence[Listing]) -> None:
    # At the end: what other files tell counts, a new retailer's keys were shown, and the rows are listed.
    for each in listings:
        each.check_any()


def _rejects_of(panel: Panel | None, listings: Sequence[Listing]) -> dict[str, Any]:
    """What was left out, by kind, and the rows of the listings."""
    counts: dict[str, int] = {} if panel is None else dict(panel.rejects.iter_rows())
    if any(each.kind == "products" for each in listings):
        # Which looks at more than the purchases' own reading of the same file.
        counts = {kind: count for kind, count in counts.items() if not kind.startswith("products: ")}
    rows = [each.rejected() for each in listings]
    for kind in (kind for each in rows for kind in each["kind"]):
        counts[kind] = counts.get(kind, 0) + 1
    return {"rejects": counts, "left_out": pl.concat(rows) if rows else None}


@dataclass(frozen=True)
class Brought:
    """What a retailer is set up with, on what day and where."""

    panel: Panel
    granted: Granted
    listings: tuple[Listing, ...]
    now_ms: int
    url: str


def _open(
    store: Store, name: str, brought: Brought, zone: str, policy: str, say: Say, count: Count
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Set a retailer up and fill it; returns its number, a key by role and what it told. It is not ready yet."""
    panel, granted, listings = brought.panel, brought.granted, brought.listings
    placement = [listing.placement_of(panel, each) for each in listings if each.kind == "placement"]
    goods = shelf_from(panel, pl.concat(placement) if placement else None)
    assortment = assortment_of(panel, goods, panel.days + AHEAD)
    sold = len(assortment.sku)
    for each in listings:
        if each.kind == "products":
            assortment = listing.with_products(assortment, each)
    opening = Opening(
        name,
        assortment,
        panel.start,
        zone,
        policy,
        closed_day=panel.days - 1,
        currency=panel.currency,
        ready=False,
    )
    number, made = open_shop(store, opening)
    with store.transaction() as work:
        shop = Shop(work.tenant(number), assortment)
    names = panel.households["household_id"].cast(pl.String).to_list()
    fill(store, shop, panel, panel.days, names, granted, say)
    told: dict[str, Any] = {}
    shelf = [each for each in listings if each.kind in ("prices", "stock")]
    today = shop.calendar.day(brought.now_ms)
    with store.transaction() as work:
        if shelf:
            told |= listing.take(work, shop, shelf, brought.now_ms)
        shop.stocked(work, work.tenant(number).stock)
        told["outlook"], _ = listing.said_of_offers(shop, today, brought.url)

    def call(work_on: Callable[[Transaction], Counter[str]]) -> Counter[str]:
        with store.transaction() as work:
            return work_on(work)

    if len(assortment.sku) > sold:
        told["products"] = len(assortment.sku) - sold
    for each in listings:
        if each.kind == "people":
            told |= add_people(call, shop, each, granted, brought.now_ms, count)
    return number, {role.value: key for role, key in made.items()}, told
