"""One retailer, live: whoever is there is read out of the store, decided or written down, and put back.

Nothing here chooses, caps, consents or learns: it seats customers before a :class:`regulars.retail.retailer.Retailer`, the
same that a simulation runs, and keeps what comes of it in one transaction.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from regulars import draws
from regulars.errors import RegularsError
from regulars.ledger.entries import Entries, Entry
from regulars.retail import catalog as catalogs
from regulars.retail import contact_rules, explain, policies
from regulars.retail import decision as decisions_of
from regulars.retail import record as records
from regulars.retail.catalog import Among
from regulars.retail.consent import Consent
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import Decisions, Reason
from regulars.retail.learn import Block
from regulars.retail.predicted_verdict import label
from regulars.retail.record import Record
from regulars.retail.retailer import Retailer
from regulars.service import rows as codec
from regulars.service import snapshots
from regulars.service.assortment import Assortment, Told, dump_told, load_told, nothing_told, told_of
from regulars.service.clock import Calendar
from regulars.service.decided import ANYTHING, Answer, Ask, Limit, Stored, new_ids, silence
from regulars.service.events import Line
from regulars.service.naming import HERS, digest
from regulars.service.seal import Seal, new_key
from regulars.service.store import Transaction
from regulars.service.store.sql import CustomerRow, DecisionRow, TenantRow
from regulars.terms import NEVER, Channel, Fate, Lines, OfferKind, empty_lines

#: A message that comes again within so many days counts once.
WINDOW_DAYS = 30
#: Outcomes are settled for so many contacts at a time.
CHUNK = 5_000
#: Products of one offer that are listed at most.
LISTED = 100
#: Versions of the shelf that are kept in memory, and offers whose products are.
SHELVES, MOST_GOODS = 4, 10_000
#: What a sealed value is, so that none can stand in for another.
CONTACT, KNOWN, CONSENT, PROFILE = b"contact", b"known", b"consent", b"profile"
DECISION, ENTRY, EVENT, ANSWER = b"decision", b"entry", b"event", b"answer"


@dataclass
class Profile:
    """What she told of herself that no policy reads: where she is, under which names she is known."""

    zone: str = ""
    known_as: list[tuple[str, str]] = field(default_factory=list)  #: (kind, value)
    traits: dict[str, Any] = field(default_factory=dict)


@dataclass
class Seats:
    """Customers out of the store, before the retailer."""

    rows: list[CustomerRow]
    seals: list[Seal]
    record: Record
    consent: Consent
    ledger: Entries
    place: dict[int, int]  #: customer number to row
    contact: list[bytes]
    known: list[bytes]

    def at(self, customer: int) -> int:
        """The row of whoever this customer turned out to be; -1 when she is not here."""
        into = self.rows[self.place[customer]].into if customer in self.place else -1
        return self.place.get(customer if into < 0 else into, -1)


class Shop:
    """A retailer's policy at work on the store.

    Parameters
    ----------
    tenant : as it stands in the store
    assortment : what it sold when it was set up

    Attributes
    ----------
    assortment : what it sells, with what it told since
    told : what it told since
    retailer : the decision core, holding what was learned and no customer
    calendar : its days
    currency : of its amounts; empty when nobody said
    """

    def __init__(self, tenant: TenantRow, assortment: Assortment) -> None:
        told = tenant.settings
        self.number, self.name, self.secret = tenant.retailer, tenant.name, tenant.secret
        self.assortment = self._base = assortment
        self.told = nothing_told(assortment)
        self.currency: str = told.get(
            "currency", ""
        )  # of retailers that were set up before it was asked for, nothing
        self.calendar = Calendar(datetime.date.fromisoformat(told["start"]), told["zone"])
        self.settings = msgspec.json.encode([told["policy"], told["policy_settings"]]).decode()
        catalog = assortment.catalog
        self.categories = catalog.categories
        rules = ContactRules(**told["rules"]) if told.get("rules") is not None else None
        self.retailer = Retailer(
            policies.of(told["policy"], **told["policy_settings"]),
            catalog,
            records.new(0, self.categories),
            Consent(np.zeros((0, 9), np.uint8), np.zeros((0, 9), np.int16), np.zeros(0, np.uint32)),
            rules,
            ledger=Entries(0),
            key=draws.stream(int(told["seed"]), int(told.get("world", 0))),
        )
        self._common = -1
        self._stock = -1
        self._shelf = 0
        self._shelves: dict[int, tuple[Told, Assortment]] = {}
        self._goods: dict[tuple[int, int], list[int]] = {}  # of a version and an offer, the products it names
        self._closed = NEVER
        self._in_stock: NDArray[np.bool_] | None = None
        self._out: list[int] = []
        self._hidden: set[int] = set()
        self.product_of = {sku: k for k, sku in enumerate(assortment.sku)}
        self.category_of = {name.lower(): c for c, name in enumerate(catalog.names)}
        self._opening = self.retailer.snapshot()

    # ---- what all have in common ---------------------------------------------------------------------

    def learned(self, work: Transaction, version: int) -> None:
        """Know what was learned from everybody by this version."""
        if version == self._common:
            return
        body = work.common(self.number, version)
        if body is None and version:
            raise RegularsError(
                f"what was learned by version {version} is not in the store. Restore it from a backup"
            )
        self.retailer.restore(self._opening if body is None else snapshots.arrays(body))
        self._common = version

    def knows(self) -> tuple[int, int, int, int]:
        """Versions of what is in memory: learned, stock, shelf, the last day that was closed."""
        return self._common, self._stock, self._shelf, self._closed

    def forget(self) -> None:
        """Read what all have in common anew: what is in memory may belong to a transaction that failed."""
        self._common = self._stock = self._shelf = -1
        self._shelves, self._goods = {}, {}
        self._closed = NEVER

    def stocked(self, work: Transaction, version: int) -> None:
        """Know what is on hand and what is hidden."""
        if version == self._stock:
            return
        told = work.on_hand(self.number)
        self._out = [product for product, units, hidden in told if units <= 0 or hidden]
        if self._out:
            on_hand = np.ones(len(self.assortment.sku), np.bool_)
            on_hand[self._out] = False
            self._in_stock = on_hand
        else:
            self._in_stock = None
        self._stock = version

    def shelved(self, work: Transaction, version: int) -> None:
        """Know what the retailer told of its shelf by this version; 0 as it was set up."""
        if version == self._shelf:
            return
        self.told, self.assortment = self._on_shelf(work, version)
        self.product_of = {sku: k for k, sku in enumerate(self.assortment.sku)}
        self.retailer.restock(self.assortment.catalog)
        # What is on hand is a column of all products.
        self._shelf, self._stock = version, -1

    def _on_shelf(self, work: Transaction, version: int) -> tuple[Told, Assortment]:
        if version not in self._shelves:
            body = work.shelf(self.number, version) if version else None
            if body is None and version:
                raise RegularsError(
                    f"what was told of the shelf by version {version} is not in the store. Restore it from a backup"
                )
            told = nothing_told(self._base) if body is None else load_told(body)
            # Who looks back goes to and fro between a few.
            if len(self._shelves) == SHELVES:
                del self._shelves[next(iter(self._shelves))]
            self._shelves[version] = told, self._base if body is None else told_of(self._base, told)
        return self._shelves[version]

    def tell(self, work: Transaction, told: Told, today: int) -> None:
        """The retailer tells this of its shelf from now on, to every process that decides."""
        tenant = work.tenant(self.number, change=True)
        work.add_shelf(self.number, tenant.shelf + 1, today, dump_told(told))
        self.shelved(work, tenant.shelf + 1)
        self.stocked(work, tenant.stock)

    def set_stock(self, work: Transaction, units: dict[int, int], hidden: dict[int, bool]) -> None:
        """Products by number are on hand in so many units, or hidden from everybody."""
        tenant = work.tenant(self.number, change=True)
        now = {product: (count, hid) for product, count, hid in work.on_hand(self.number)}
        rows = []
        for product in {*units, *hidden}:
            count, hid = now.get(product, (1, 0))
            rows.append((product, units.get(product, count), int(hidden.get(product, bool(hid)))))
        work.set_on_hand(self.number, rows)
        work.change_tenant(self.number, stock=tenant.stock + 1)

    def open_day(self, work: Transaction, today: int) -> TenantRow:
        """Learn from every day before today that is not closed yet, and know what was learned."""
        # Two who share a lock could not both make it their own, so what will be changed is locked for that at once.
        change = self._closed < today - 1 or self.retailer.rules.budget_per_day is not None
        tenant = work.tenant(self.number, change=change)
        for day in range(tenant.closed_day + 1, today):
            tenant = self._close(work, tenant, day)
        self._closed = tenant.closed_day
        self.learned(work, tenant.common)
        self.shelved(work, tenant.shelf)
        self.stocked(work, tenant.stock)
        return tenant

    def _close(self, work: Transaction, tenant: TenantRow, day: int) -> TenantRow:
        self.learned(work, tenant.common)
        shop = self.retailer
        while True:
            ripe = work.ripe(self.number, day - 7, CHUNK)
            if not ripe:
                break
            spoken_to = [row.customer for row in ripe]
            seats = self.seat(work, [*spoken_to, *work.merged_into(self.number, spoken_to).values()])
            kept = [(row, self.opened(seats, row)) for row in ripe if seats.at(row.customer) >= 0]
            shop.pending.blocks = _blocks(seats, kept)
            shop.settle(day)
            self.keep_ledger(work, seats)
            work.change_decisions(
                self.number,
                [(0, row.body, row.id) for row in ripe],
            )
        records.turn(shop.totals, day)
        for _, body in work.take_deltas(self.number, day):
            for column, more in zip(shop.totals, snapshots.totals(body, shop.totals), strict=True):
                column += more
        shop.renew(day)
        work.forget_seen(self.number, day - WINDOW_DAYS)
        version = tenant.common + 1
        # While a version stood, decisions were made about that day, the one before it or later ones.
        if not work.decided_on(self.number, day - 1):
            work.drop_common(self.number, tenant.common)
        work.add_common(self.number, version, day, snapshots.packed(shop))
        work.change_tenant(self.number, closed_day=day, common=version)
        self._common = version
        return tenant._replace(closed_day=day, common=version)

    def rehearse(self, day: int) -> None:
        """Decide about somebody made up, with nothing kept, so that the first who comes does not wait for compilers."""
        everything = Consent(
            np.full((1, 9), 255, np.uint8), np.zeros((1, 9), np.int16), np.zeros(1, np.uint32)
        )
        record = records.new(1, self.categories)
        for channel in Channel:
            records.opted(record, np.zeros(1, np.int64), channel, True)
        self.retailer.seat(record, everything, Entries(1))
        who, hour = np.zeros(1, np.int32), np.full(1, 12)
        contact_rules.why_not(record, everything.bits, who, day, hour, self.retailer.rules)
        self.retailer.decide(day, who, hour, most=1)
        label(np.zeros((1, 4), np.float32))

    # ---- seats -------------------------------------------------------------------------------------------

    def welcome(self, work: Transaction, count: int, known_as: Sequence[list[tuple[str, str]]]) -> list[int]:
        """Numbers of so many new customers, of whom nothing is known and who allowed nothing."""
        tenant = work.tenant(self.number, change=True)
        first = tenant.customers
        contact, known, consent = codec.nobody(self.categories)
        rows = []
        for k in range(count):
            key = new_key()
            seal = Seal(key)
            profile = msgspec.json.encode(Profile(known_as=known_as[k]))
            rows.append(
                CustomerRow(
                    first + k, -1, seal.close(consent, CONSENT), seal.close(contact, CONTACT),
                    seal.close(known, KNOWN), seal.close(profile, PROFILE), 0, "", 0, -1, key,
                )
            )  # fmt: skip
        work.add_customers(self.number, rows)
        work.change_tenant(self.number, customers=first + count)
        return [first + k for k in range(count)]

    def seat(self, work: Transaction, customers: Iterable[int]) -> Seats:
        """Read these customers, and seat them; who was erased has no seat."""
        found = list(work.customers(self.number, sorted(set(customers))).values())
        seals = [Seal(row.key) for row in found]
        contact = [seal.open(row.contact, CONTACT) for seal, row in zip(seals, found, strict=True)]
        known = [seal.open(row.known, KNOWN) for seal, row in zip(seals, found, strict=True)]
        consent = [seal.open(row.consent, CONSENT) for seal, row in zip(seals, found, strict=True)]
        record = codec.record_of([row.customer for row in found], contact, known, self.categories)
        seats = Seats(
            found, seals, record, codec.consent_of(consent),
            Entries(len(found), [(row.entries, row.chain) for row in found]),
            {row.customer: k for k, row in enumerate(found)}, contact, known,
        )  # fmt: skip
        self.retailer.seat(seats.record, seats.consent, seats.ledger)
        return seats

    def _still(self, seats: Seats) -> None:
        """Whoever was seated last is before the retailer; what others are told would be of strangers."""
        if self.retailer.record is not seats.record:
            raise RuntimeError("somebody else was seated meanwhile")

    def profile(self, seats: Seats, customer: int) -> Profile:
        """What she told of herself."""
        k = seats.place[customer]
        return msgspec.json.decode(seats.seals[k].open(seats.rows[k].profile, PROFILE), type=Profile)

    def known_as(self, work: Transaction, customers: Sequence[int]) -> dict[int, dict[str, str]]:
        """Under which names each is known, by kind."""
        seats = self.seat(work, customers)
        return {customer: dict(self.profile(seats, customer).known_as) for customer in seats.place}

    def keep_profile(self, work: Transaction, seats: Seats, customer: int, profile: Profile) -> None:
        """Write it down."""
        k = seats.place[customer]
        sealed = seats.seals[k].close(msgspec.json.encode(profile), PROFILE)
        seats.rows[k] = seats.rows[k]._replace(profile=sealed)
        work.change_customers(self.number, ("profile",), [(sealed, customer)])

    def keep(self, work: Transaction, seats: Seats, *, known: bool = False, consent: bool = False) -> None:
        """Put back what changed of the seated: contacts and ledger always, the rest when it may have.

        What was known is copied first where a decision rested on it.
        """
        self._still(seats)
        columns = ["contact"]
        parts: list[Sequence[Any]] = [
            _sealed(seats.seals, codec.packed(seats.record, codec.CONTACT), CONTACT)
        ]
        if known:
            columns += ["known", "version"]
            parts.append(_sealed(seats.seals, codec.packed(seats.record, codec.KNOWN), KNOWN))
            parts.append([row.version + 1 for row in seats.rows])
            rested_on = [row for row in seats.rows if row.kept == row.version]
            work.keep_known(self.number, [(row.customer, row.version, row.known) for row in rested_on])
        if consent:
            columns.append("consent")
            parts.append(_sealed(seats.seals, codec.packed_consent(seats.consent), CONSENT))
        numbers = [row.customer for row in seats.rows]
        if numbers:
            work.change_customers(self.number, columns, list(zip(*parts, numbers, strict=True)))
        self.keep_ledger(work, seats)

    def keep_ledger(self, work: Transaction, seats: Seats) -> None:
        """Write down what is new of the accounts of the seated."""
        new, heads = [], []
        for k, entries in enumerate(seats.ledger.of):
            if not entries:
                continue
            customer = seats.rows[k].customer
            for entry in entries:
                new.append((customer, entry.number, seats.seals[k].close(msgspec.json.encode(entry), ENTRY)))
            heads.append((*seats.ledger.head(k), customer))
        if new:
            work.add_entries(self.number, new)
            work.change_customers(self.number, ("entries", "chain"), heads)
            seats.ledger.heads = [seats.ledger.head(k) for k in range(len(seats.rows))]
            seats.ledger.of = [[] for _ in seats.rows]

    # ---- deciding ------------------------------------------------------------------------------------------

    def decide(self, work: Transaction, told: Sequence[Ask], now_ms: int) -> list[Answer]:
        """What is said to each. One who asks twice is answered one after the other.

        Who is decided about for a day to come, such as for tomorrow's letters, is decided with what is known now.
        """
        # Locked before it is read who is who, so that nobody is merged meanwhile.
        tenant = self.open_day(work, self.calendar.day(now_ms))
        asks, ids = self.found(work, told), new_ids(now_ms, len(told))
        answers = self._decided_before(work, asks)
        budget = self.retailer.rules.budget_per_day is not None
        twins = _twins(asks)
        for wave in _waves(asks, answers.keys() | twins.keys()):
            seats = self.seat(work, [asks[k].customer for k in wave])
            consent, contact = codec.packed_consent(seats.consent), seats.contact
            rows: list[DecisionRow] = []
            groups: dict[tuple[int, int, Limit], list[int]] = defaultdict(list)
            for k in wave:
                if asks[k].customer in seats.place:
                    asked = asks[k].channel
                    day = self.calendar.day(asks[k].at_ms)
                    groups[(day, -1 if asked is None else int(asked), asks[k].limit)].append(k)
            for (day, channel, limit), members in sorted(groups.items()):
                if budget:
                    self.retailer.resume(day, work.spent(self.number, day))
                for k, stored in self._say(seats, day, channel, limit, [asks[m] for m in members], members):
                    row = seats.place[asks[k].customer]
                    stored.common, stored.out, stored.settings = tenant.common, self._out, self.settings
                    stored.consent, stored.contact = consent[row], contact[row]
                    stored.known, stored.shelf = seats.rows[row].version, tenant.shelf
                    stored.limit = limit
                    name = next(ids)
                    body = seats.seals[row].close(msgspec.msgpack.encode(stored), DECISION)
                    rows.append(DecisionRow(name, asks[k].customer, day, int(stored.number >= 0), body))
                    answers[k] = Answer(name, stored)
                if budget:
                    work.spend(self.number, day, self.retailer.spent)
            self._keep_decided(work, seats)
            work.add_decisions(self.number, rows)
            under = [
                (answers[k].id, asks[k].customer, asks[k].once) for k in wave if asks[k].once and k in answers
            ]
            if under:
                work.decide_under(self.number, under)
        answers |= {k: answers[one] for k, one in twins.items() if one in answers}
        return [self._with_shelf(work, asks[k], answers.get(k)) for k in range(len(asks))]

    def _decided_before(self, work: Transaction, asks: Sequence[Ask]) -> dict[int, Answer]:
        """What was decided under the keys of these asks by somebody who was stopped before he could tell."""
        keys = [ask.once for ask in asks if ask.once]
        under = work.decided_under(self.number, keys) if keys else {}
        if not under:
            return {}
        found = work.decisions(self.number, list(under.values()))
        keepers = work.customers(self.number, [row.customer for row in found.values()], change=False)
        answers = {}
        for k, ask in enumerate(asks):
            row = found.get(under.get(ask.once, ""))
            if row is not None and row.customer in keepers:
                body = Seal(keepers[row.customer].key).open(row.body, DECISION)
                answers[k] = Answer(row.id, msgspec.msgpack.decode(body, type=Stored))
        return answers

    def _keep_decided(self, work: Transaction, seats: Seats) -> None:
        """Put back contacts and accounts of those of whom something was used, and note on what decisions rest."""
        contact = codec.packed(seats.record, codec.CONTACT)
        entries, changed = [], []
        for k, row in enumerate(seats.rows):
            if row.kept == row.version and not seats.ledger.of[k] and contact[k] == seats.contact[k]:
                continue
            seal = seats.seals[k]
            entries += [
                (row.customer, entry.number, seal.close(msgspec.json.encode(entry), ENTRY))
                for entry in seats.ledger.of[k]
            ]
            changed.append(
                (seal.close(contact[k], CONTACT), *seats.ledger.head(k), row.version, row.customer)
            )
        work.add_entries(self.number, entries)
        work.change_customers(self.number, ("contact", "entries", "chain", "kept"), changed)

    def found(self, work: Transaction, asks: Sequence[Ask]) -> list[Ask]:
        """The same asks with the numbers of those who are known under their names."""
        digests = {name: digest(self.secret, name) for ask in asks for name in ask.names}
        if not digests:
            return list(asks)
        found = work.known_by(self.number, list(set(digests.values())))
        known = []
        for ask in asks:
            at = [(name, found[digests[name]]) for name in ask.names if digests[name] in found]
            numbers = [number for _, number in at]
            said = any(name.kind in HERS for name in ask.names)
            if numbers and said and at[0][0].kind not in HERS and work.owned(self.number, numbers[:1], HERS):
                numbers = []  # she is new; the device is somebody else's
            known.append(replace(ask, customer=numbers[0]) if numbers else ask)
        return known

    def _with_shelf(self, work: Transaction, ask: Ask, answer: Answer | None) -> Answer:
        """Whoever may not be spoken to, or is nobody we know, is shown what stands on the shelf for anybody."""
        if answer is None:
            about = {
                "at_ms": ask.at_ms, "channel": -1 if ask.channel is None else int(ask.channel),
                "hour": self.calendar.hour(ask.at_ms, ask.zone), "policy": self.retailer.policy.name,
                "version": self.retailer.policy.version,
            }  # fmt: skip
            answer = Answer("", silence(Reason.NO_PERMISSION, about))
            answer.stored.shelf, answer.stored.out, answer.stored.limit = self._shelf, self._out, ask.limit
        elif answer.stored.reason not in (Reason.NO_PERMISSION, Reason.NOT_REACHABLE):
            return replace(answer, products=self.good_for(work, answer.stored))
        offer = self.for_everybody(self.calendar.day(ask.at_ms), ask.limit)
        if offer < 0:
            return answer
        offers = self.retailer.catalog.offers
        terms = int(offers.category[offer]), float(offers.saving[offer]), int(offers.last_day[offer])
        products = self.good_for(work, answer.stored, offer)
        return replace(answer, for_everybody=offer, terms=terms, products=products)

    def for_everybody(self, day: int, limit: Limit = ANYTHING) -> int:
        """The offer on the shelf that most people would want, -1 for none; it says nothing of anybody."""
        today = self.retailer.today(day, self._in_stock, self.among(limit))
        deals = [c for c in today.order if today.kind[c] == OfferKind.DEAL]
        return int(today.offer[deals[0]]) if deals else -1

    def good_for(self, work: Transaction, stored: Stored, offer: int | None = None) -> list[str]:
        """The products for which what was offered, or this offer, was good when it was: on hand, and candidates.

        None where the offer names none, or more than anybody would list.
        """
        _, assortment = self._on_shelf(work, stored.shelf)
        products = self._named_by(assortment, stored.shelf, stored.offer if offer is None else offer)
        out, limit = set(stored.out), stored.limit
        return [
            assortment.sku[p]
            for p in products
            if p not in out
            and (limit == ANYTHING or p in limit.products or assortment.category_of[p] in limit.categories)
        ]

    def _named_by(self, assortment: Assortment, shelf: int, offer: int) -> list[int]:
        if (shelf, offer) not in self._goods:
            if len(self._goods) == MOST_GOODS:
                self._goods.clear()
            products = catalogs.products_of(assortment.catalog.offers, offer)
            self._goods[shelf, offer] = products if len(products) <= LISTED else []
        return self._goods[shelf, offer]

    def offers_on(self, day: int) -> int:
        """In how many categories an offer stands on a day, as far as is known now."""
        return len(self.retailer.today(day, self._in_stock).order)

    def among(self, limit: Limit) -> Among | None:
        """A limit as the decision core reads it; None for none."""
        if limit == ANYTHING:
            return None
        categories = np.zeros(self.categories, np.bool_)
        categories[list(limit.categories)] = True
        products = categories[self.assortment.category_of]
        products[list(limit.products)] = True
        categories[self.assortment.category_of[list(limit.products)]] = True
        return Among(products, categories)

    def _say(
        self, seats: Seats, day: int, channel: int, limit: Limit, asks: list[Ask], members: list[int]
    ) -> Iterable[tuple[int, Stored]]:
        shop, channels = self.retailer, bits_of(self.retailer, channel)
        who = np.array([seats.place[ask.customer] for ask in asks], np.int32)
        zones = [ask.zone or self.profile(seats, ask.customer).zone for ask in asks]
        hours = np.array([self.calendar.hour(ask.at_ms, zone) for ask, zone in zip(asks, zones, strict=True)])
        silent = contact_rules.why_not(
            seats.record, seats.consent.bits, who, day, hours, shop.rules, channels=channels
        )
        shop.pending.blocks = []
        said = shop.decide(
            day, who, hours, in_stock=self._in_stock, among=self.among(limit), channels=channels, most=1
        )
        opened = shop.pending.blocks[-1].scopes if shop.pending.blocks else np.zeros(0, np.uint16)
        first = {row: m for m, row in enumerate(said.customer.tolist())}
        labels = label(said.predicted)
        for k, ask, row, hour, kept_from in zip(
            members, asks, who.tolist(), hours.tolist(), silent, strict=True
        ):
            about = {
                "at_ms": ask.at_ms, "channel": channel, "asked": channel, "hour": hour, "policy": shop.policy.name,
                "version": shop.policy.version, "cutoff": shop.cutoff,
            }  # fmt: skip
            if row in first:
                yield k, self.stored_of(said, first[row], int(opened[first[row]]), about, labels)
                continue
            yield k, silence(self.why_silent(kept_from, day, row), about)

    def why_silent(self, kept_from: Reason | None, day: int, row: int) -> Reason:
        """What kept the last decision from saying anything to her."""
        if kept_from is not None:
            return kept_from
        if not policies.slots(self.retailer.policy, day):
            return Reason.NOT_TODAY
        return Reason.RATIONED if row in self.retailer.rationed else Reason.NOTHING_FITS

    def stored_of(
        self, said: Decisions, m: int, opened: int, about: dict[str, Any], labels: NDArray[Any] | None = None
    ) -> Stored:
        """One of these decisions as it is kept; what it rested on is added by whoever decided."""
        names = self.assortment.catalog.names
        return Stored(
            number=int(said.number[m]),
            reason=int(said.reason[m]),
            action=int(said.action[m]),
            offer=int(said.offer[m]),
            option=int(said.option[m]),
            category=int(said.category[m]),
            saving=float(said.saving[m]),
            last_day=int(said.last_day[m]),
            propensity=float(said.propensity[m]),
            predicted=said.predicted[m].tolist(),
            used=int(said.scopes[m]),
            opened=opened,
            to_her=explain.to_her(said, m, names),
            to_manager=explain.to_manager(said, m, names, labels),
            features=said.features[m].tobytes(),
            **(about | {"channel": int(said.channel[m])}),
        )

    # ---- hearing ---------------------------------------------------------------------------------------------

    def purchased(
        self, work: Transaction, seats: Seats, day: int, baskets: Sequence[tuple[int, Sequence[Line]]]
    ) -> list[str]:
        """Baskets of a day, as (customer number, lines); returns the names that no category was found for."""
        self._still(seats)
        known = [(seats.place[who], lines) for who, lines in baskets if who in seats.place]
        lines, n, unknown = self.lines_of(known)
        waiting = work.waiting(self.number, [seats.rows[row].customer for row, _ in known], day - 6)
        kept = [(row, self.opened(seats, row)) for row in waiting]
        shop = self.retailer
        shop.pending.blocks = _blocks(seats, kept)
        # What the baskets add to the sums of everybody goes on a sheet of its own, to be added when the day is closed.
        sums, shop.totals = shop.totals, records.new_totals(self.categories)
        try:
            shop.totals.day[0] = day
            shop.purchased(day, lines, n)
            work.add_delta(self.number, day, snapshots.flat(shop.totals))
        finally:
            shop.totals = sums
        self._keep_outcomes(work, seats, kept)
        return unknown

    def lines_of(self, baskets: Sequence[tuple[int, Sequence[Line]]]) -> tuple[Lines, int, list[str]]:
        """Baskets of a day, as (row, lines), as the decision core reads them; how many lines; and unknown names.

        Lines of one basket stand together, and so do the baskets of a customer.
        """
        table = empty_lines(max(1, sum(len(each) for _, each in baskets)))
        unknown: list[str] = []
        n = 0
        for row, basket in sorted(baskets, key=lambda each: each[0]):
            for line in basket:
                category = self.category(line)
                if category < 0:
                    unknown.append(line.sku or line.category)
                    continue
                table.consumer[n] = row
                table.product[n] = self.product(line)
                table.category[n] = category
                table.units[n] = line.units
                table.paid_cents[n] = line.paid_cents
                table.coupon_cents[n] = line.coupon_cents
                table.offer[n] = line.offer
                table.fate[n] = Fate.SERVED
                n += 1
        return table, n, unknown

    def product(self, line: Line) -> int:
        """The product of a line, by the first of its names that the catalog has; -1 when it has none."""
        product = self.product_of.get(line.sku, -1) if line.sku else -1
        return self.product_of.get(line.also, -1) if product < 0 and line.also else product

    def category(self, line: Line) -> int:
        """The category of a line, by its product or by name; -1 when neither is known."""
        product = self.product(line)
        if product >= 0:
            return int(self.assortment.category_of[product])
        return self.category_of.get(line.category.lower(), -1)

    def reacted(
        self, work: Transaction, seats: Seats, day: int, told: Sequence[tuple[str, int, int]]
    ) -> list[str]:
        """Reactions as (decision id, bits of Reaction, reason); returns the ids that are no contact of theirs."""
        self._still(seats)
        found = work.decisions(self.number, [name for name, _, _ in told], change=True)
        kept = [(row, self.opened(seats, row)) for row in found.values() if seats.at(row.customer) >= 0]
        kept = [(row, stored) for row, stored in kept if stored.number >= 0]
        by_id = {row.id: (row, stored) for row, stored in kept}
        shop = self.retailer
        shop.pending.blocks = _blocks(seats, [(row, stored) for row, stored in kept if row.waits])
        rows = [(by_id[name], bits, why) for name, bits, why in told if name in by_id]
        if rows:
            about = decisions_of.blank(len(rows))
            for m, ((row, stored), _, _) in enumerate(rows):
                about.number[m], about.customer[m] = stored.number, seats.at(row.customer)
                about.channel[m], about.category[m] = stored.channel, stored.category
            bits = np.array([bits for _, bits, _ in rows], np.uint16)
            reasons = np.array([why for _, _, why in rows], np.uint8)
            shop.react(day, about, bits, reasons)
            self._keep_outcomes(work, seats, [(row, stored) for row, stored in kept if row.waits])
        return [name for name, _, _ in told if name not in by_id]

    def _keep_outcomes(self, work: Transaction, seats: Seats, kept: list[tuple[DecisionRow, Stored]]) -> None:
        """Write back what is new of contacts that wait for their outcome."""
        now = {
            int(number): (int(reactions), int(reason), int(bought))
            for block in self.retailer.pending.blocks
            for number, reactions, reason, bought in zip(
                block.number, block.reactions, block.reason, block.bought, strict=True
            )
        }
        changed = []
        for row, stored in kept:
            reactions, reason, bought = now[stored.number]
            if (reactions, reason, bought) != (stored.reactions, stored.unliked_as, stored.bought):
                stored.reactions, stored.unliked_as, stored.bought = reactions, reason, bought
                seal = seats.seals[seats.place[row.customer]]
                changed.append((row.waits, seal.close(msgspec.msgpack.encode(stored), DECISION), row.id))
        if changed:
            work.change_decisions(self.number, changed)

    def opened(self, seats: Seats, row: DecisionRow) -> Stored:
        """A decision about somebody who is seated, unsealed."""
        seal = seats.seals[seats.place[row.customer]]
        return msgspec.msgpack.decode(seal.open(row.body, DECISION), type=Stored)

    # ---- what is hers ----------------------------------------------------------------------------------------------

    def ledger_of(self, work: Transaction, customer: int) -> list[Entry]:
        """Her ledger, oldest first."""
        row = work.customers(self.number, [customer], change=False).get(customer)
        if row is None:
            return []
        seal = Seal(row.key)
        return [
            msgspec.json.decode(seal.open(body, ENTRY), type=Entry)
            for body in work.entries(self.number, customer)
        ]

    def seal_event(self, seats: Seats, customer: int, body: bytes) -> bytes:
        """An event that only her key opens."""
        return seats.seals[seats.place[customer]].close(body, EVENT)

    def events_of(self, work: Transaction, seats: Seats, customer: int) -> list[tuple[int, bytes]]:
        """Her events, as they came; she need not be seated."""
        if customer in seats.place:
            seal = seats.seals[seats.place[customer]]
        else:
            row = work.customers(self.number, [customer], change=False).get(customer)
            if row is None:
                return []
            seal = Seal(row.key)
        return [(at_ms, seal.open(body, EVENT)) for at_ms, body in work.events(self.number, customer)]


def bits_of(retailer: Retailer, channel: int) -> int:
    """Bits of the channel that was asked for; the policy's own for -1."""
    return retailer.policy.channels if channel < 0 else 1 << channel


def _twins(asks: Sequence[Ask]) -> dict[int, int]:
    """Asks under a key under which one before them asks already, by place, with the place of that one."""
    first: dict[str, int] = {}
    return {k: one for k, ask in enumerate(asks) if ask.once and (one := first.setdefault(ask.once, k)) != k}


def _waves(asks: Sequence[Ask], answered: Collection[int] = ()) -> Iterable[list[int]]:
    """Places of asks that are not answered such that nobody is twice in one wave, in order."""
    waves: list[list[int]] = []
    turn: dict[int, int] = defaultdict(int)
    for k, ask in enumerate(asks):
        if k in answered:
            continue
        wave = turn[ask.customer]
        turn[ask.customer] += 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(k)
    return waves


def _blocks(seats: Seats, kept: Sequence[tuple[DecisionRow, Stored]]) -> list[Block]:
    """Contacts that wait, by day, as the decision core keeps them."""
    by_day: dict[int, list[tuple[DecisionRow, Stored]]] = defaultdict(list)
    for row, stored in kept:
        by_day[row.day].append((row, stored))
    return [
        Block(
            day=day,
            number=np.array([stored.number for _, stored in members], np.int64),
            row=np.array([seats.at(row.customer) for row, _ in members], np.int32),
            category=np.array([stored.category for _, stored in members], np.int32),
            scopes=np.array([stored.opened for _, stored in members], np.uint16),
            propensity=np.array([stored.propensity for _, stored in members], np.float64),
            features=np.stack([np.frombuffer(stored.features, np.float32) for _, stored in members]),
            reactions=np.array([stored.reactions for _, stored in members], np.uint16),
            reason=np.array([stored.unliked_as for _, stored in members], np.uint8),
            bought=np.array([stored.bought for _, stored in members], np.uint8),
        )
        for day, members in sorted(by_day.items())
    ]


def _sealed(seals: Sequence[Seal], plain: Sequence[bytes], place: bytes) -> list[bytes]:
    return [seal.close(each, place) for seal, each in zip(seals, plain, strict=True)]
