"""The demo shop: the real panel's households, as members of a loyalty programme, up to yesterday."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import msgspec
import numpy as np
import polars as pl

from regulars.ledger.entries import Entries
from regulars.retail import catalog as catalogs
from regulars.retail import consent as consents
from regulars.retail import record as records
from regulars.retail.consent import USUAL
from regulars.service import keys, naming
from regulars.service import rows as codec
from regulars.service.assortment import Assortment
from regulars.service.events import Did, Event, Line
from regulars.service.keys import Role
from regulars.service.naming import USER, Name
from regulars.service.opening import Opening, open_shop
from regulars.service.seal import Seal, new_key
from regulars.service.shop import CONSENT, CONTACT, EVENT, KNOWN, PROFILE, Profile, Shop, packed_snapshot
from regulars.service.store import Store
from regulars.service.store.sql import CustomerRow
from regulars.sources import complete_journey
from regulars.sources.panel import Panel
from regulars.terms import Channel, Fate, Lines, Scope, empty_lines

NAME = "demo"
#: Today is this day of the panel's year; the days before have happened.
TODAY = 300
#: Keys that everybody knows: the demo listens to this machine only.
KEYS = {role: f"rg_{role.value}_demo" for role in Role}
_NOON = 12 * 3600


def sunday_before(today: datetime.date) -> datetime.date:
    """Day 0 such that today is about day ``TODAY``; the panel begins on a Sunday, so does the demo."""
    start = today - datetime.timedelta(days=TODAY)
    return start - datetime.timedelta(days=(start.weekday() + 1) % 7)


def open_demo(store: Store, today: datetime.date, say: Callable[[str], None], households: int = 0) -> int:
    """A shop with everything that the panel's households bought before today.

    Parameters
    ----------
    households : so many of them, 0 for all
    """
    say("Reading the panel")
    panel = complete_journey.load()
    goods = complete_journey.load_shelf(panel)
    start = sunday_before(today)
    names = tuple(name.lower() for name in panel.categories["name"])
    found = catalogs.build(
        panel.coupons,
        panel.coupon_products,
        panel.campaigns,
        goods,
        names,
        days=365,
        first_weekday=panel.start.weekday(),
    )
    titles = panel.products.select(
        pl.col("type_name").fill_null("").str.to_lowercase()
        + pl.lit(" ")
        + pl.col("package_size").fill_null("")
    ).to_series()
    assortment = Assortment(
        found, tuple(map(str, panel.products["product_id"])), tuple(t.strip() for t in titles),
        panel.products["category"].to_numpy().astype(np.uint16),
    )  # fmt: skip
    until = (today - start).days
    number, _ = open_shop(store, Opening(NAME, assortment, start, closed_day=until - 1))
    with store.transaction() as work:
        for role, key in KEYS.items():
            work.add_key(keys.digest(key), number, role.value, f"demo {role.value}")
        shop = Shop(work.tenant(number), assortment)
    _fill(store, shop, panel, until, households or panel.households.height, say)
    return number


def _fill(store: Store, shop: Shop, panel: Panel, until: int, count: int, say: Callable[[str], None]) -> None:
    say(f"Writing down what {count:,} households bought on {until} days")
    lines = panel.lines.filter((pl.col("day") < until) & (pl.col("household") < count)).join(
        panel.products.select("product", "category"), on="product"
    )
    record = records.new(count, shop.categories)
    record.optin[:] = (1 << Channel.EMAIL) | (1 << Channel.APP)
    consent = consents.new(count)
    ledger = Entries(count)
    seat = shop.retailer
    seat.seat(record, consent, ledger)
    everybody = np.arange(count)
    for scope in (Scope.CONTACT, Scope.PURCHASES, Scope.STATED):
        seat.consented(everybody, scope, USUAL, True, 0)
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
    _write(store, shop, panel, lines, record, consent, ledger, until)


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
    store: Store, shop: Shop, panel: Panel, lines: pl.DataFrame, record: records.Record, consent: consents.Consent,
    ledger: Entries, until: int,
) -> None:  # fmt: skip
    count = len(record.customer)
    sku = shop.assortment.sku
    start_ms = int(
        datetime.datetime.combine(shop.calendar.start, datetime.time(), datetime.UTC).timestamp() * 1000
    )
    made = [new_key() for _ in range(count)]
    seals = [Seal(key) for key in made]
    contact, known = codec.packed(record, codec.CONTACT), codec.packed(record, codec.KNOWN)
    allowed = codec.packed_consent(consent)
    names = [f"household-{name}" for name in panel.households["household_id"].to_list()[:count]]
    customers, entries, aliases = [], [], []
    for k, (seal, key, name) in enumerate(zip(seals, made, names, strict=True)):
        profile = msgspec.json.encode(Profile(known_as=[(USER, name)]))
        customers.append(
            CustomerRow(
                k, -1, seal.close(allowed[k], CONSENT), seal.close(contact[k], CONTACT), seal.close(known[k], KNOWN),
                seal.close(profile, PROFILE), *ledger.head(k), 0, -1, key,
            )
        )  # fmt: skip
        entries += [(k, e.number, seal.close(msgspec.json.encode(e), b"entry")) for e in ledger.of[k]]
        aliases.append((naming.digest(shop.secret, Name(USER, name)), k, USER))
    events = []
    baskets = (
        lines.group_by("household", "day", "basket", maintain_order=True)
        .agg("product", "units", "net_cents")
        .sort("day", "household", "basket")
    )
    for household, day, basket, products, units, cents in baskets.iter_rows():
        event = Event(
            Did.PURCHASED, start_ms + day * 86_400_000 + _NOON * 1000, name="Order Completed", user=names[household],
            order=str(basket),
            lines=[Line(sku[p], "", u, c) for p, u, c in zip(products, units, cents, strict=True)],
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
        work.add_customers(shop.number, customers)
        work.add_aliases(shop.number, aliases)
        work.add_entries(shop.number, entries)
        work.add_events(events)
        work.add_common(shop.number, 1, until - 1, packed_snapshot(shop.retailer))
        work.change_tenant(shop.number, customers=count, common=1)
