"""Events into records: each counts once, under whoever she is, and only as far as she allows it to be kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise

import msgspec
import numpy as np

from regulars.retail import record as records
from regulars.service import identity, merging, naming, orders
from regulars.service.clock import is_zone
from regulars.service.events import CODES, Did, Event, Line
from regulars.service.keys import IMPORT
from regulars.service.naming import ANONYMOUS, EMAIL, PHONE, USER, Name
from regulars.service.seal import Seal, Unreadable
from regulars.service.shop import Seats, Shop
from regulars.service.store import Transaction
from regulars.terms import Channel, Purpose, Reaction, Scope, Verdict

#: The day until which it is remembered what was imported in bulk.
FOREVER = 2**31 - 1
#: Messages of so many deliveries are applied at a time.
DRAIN = 64
#: Bytes of deliveries that are applied at a time while nobody asks: some hundred events, so nobody waits long.
SLICE = 64 * 1024
#: Of what somebody told of herself the newest is kept, as much as two of the longest events hold.
MOST_TRAIT_BYTES = 64 * 1024
#: How long a wish without an end stands.
WISH_DAYS = 30
_INBOX = b"inbox"

#: The scope under which an event is kept for her to see; the others are her orders and are always kept.
KEPT_UNDER = {
    Did.PURCHASED: Scope.PURCHASES,
    Did.REFUNDED: Scope.PURCHASES,
    Did.WISHED: Scope.STATED,
    Did.NEARLY: Scope.BROWSING,
    Did.SPOKE: Scope.SERVICE,
    Did.OTHER: Scope.BROWSING,
}
#: The name of the event by which somebody joins a household; it is kept under that scope.
JOINED = "group"
#: What one word of consent opens when no purpose is named: everything but passing it on.
USUAL = (Purpose.SERVE, Purpose.PERSONALIZE, Purpose.CONTACT, Purpose.MEASURE)
#: Words that consent banners use, in the terms of scopes.
BANNER: dict[str, tuple[str, ...]] = {
    "marketing": ("contact.contact",),
    "advertising": ("contact.contact",),
    "analytics": ("purchases.measure", "browsing.measure"),
    "performance": ("purchases.measure", "browsing.measure"),
    "personalization": ("purchases.personalize", "stated.personalize", "browsing.personalize"),
    "functional": ("purchases.serve", "stated.serve"),
}
_REASONS = {"creepy": int(Verdict.CREEPY), "annoying": int(Verdict.ANNOYING)}


@dataclass
class Taken:
    """What became of a delivery."""

    applied: int = 0
    again: int = 0  #: seen before, without any effect, or an order that was told already
    nobody: int = 0  #: with no legal identifier
    withheld: int = 0  #: counted at most, for she does not allow it to be kept
    unknown: Counter[str] = field(default_factory=Counter)  #: names that nothing is known under

    def counts(self) -> dict[str, int]:
        """How many of each."""
        counted = {name: getattr(self, name) for name in ("applied", "again", "nobody", "withheld")}
        return {**counted, "unknown": self.unknown.total()}


def put_in(work: Transaction, shop: Shop, source: str, received_ms: int, events: Sequence[Event]) -> None:
    """Write a delivery down, to be applied before the next decision."""
    body = Seal(shop.secret[:16]).close(msgspec.msgpack.encode(list(events)), _INBOX)
    work.put_in([(shop.number, source, received_ms, 1, body)])


def drain(work: Transaction, shop: Shop, most: int | None = None) -> Taken:
    """Apply what was written down, oldest first; all of it, or about ``most`` bytes."""
    taken = Taken()
    done = 0
    while most is None or done < most:
        deliveries = work.take_out(shop.number, DRAIN)
        if not deliveries:
            return taken
        if not done:
            # One at a time works on a retailer's inbox; who waited finds it emptied.
            shop.shelved(work, work.tenant(shop.number, change=True).shelf)
            deliveries = work.take_out(shop.number, DRAIN)
        if most is not None:
            sizes = accumulate(len(body) for *_, body in deliveries)
            deliveries = [
                each for each, size in zip(deliveries, sizes, strict=True) if size - len(each[3]) < most
            ]
        done += sum(len(body) for *_, body in deliveries)
        _take(work, shop, deliveries, taken)
    return taken


def drain_one(work: Transaction, shop: Shop, taken: Taken) -> int | None:
    """Apply the oldest delivery alone; returns its number, None when there is none."""
    shop.shelved(work, work.tenant(shop.number, change=True).shelf)
    deliveries = work.take_out(shop.number, 1)
    if not deliveries:
        return None
    _take(work, shop, deliveries, taken)
    return deliveries[0][0]


def erase(work: Transaction, shop: Shop, customers: Sequence[int], day: int) -> None:
    """Take these customers out of every table, and what they did out of deliveries that were set aside.

    That they were erased is remembered, by digests of their names, so that no import brings them back.
    """
    hers = work.digests_of(shop.number, customers)
    work.erase(shop.number, customers, day)
    work.first_seen(shop.number, [naming.erased(shop.secret, mark) for mark in sorted(hers)], FOREVER)
    seal = Seal(shop.secret[:16])
    for seq, body in work.aside(shop.number):
        try:
            events = msgspec.msgpack.decode(seal.open(body, _INBOX), type=list[Event])
        except (Unreadable, msgspec.DecodeError):
            continue  # nobody can read in it whose it is
        others = [
            event for event in events
            if not any(naming.digest(shop.secret, name) in hers for name in _names(event))
        ]  # fmt: skip
        if len(others) < len(events):
            work.change_aside(seq, seal.close(msgspec.msgpack.encode(others), _INBOX))


def _take(work: Transaction, shop: Shop, deliveries: list[tuple[int, str, int, bytes]], taken: Taken) -> None:
    seal = Seal(shop.secret[:16])
    # What came yesterday is yesterday's, whenever it is applied: a day is closed with all that came on it.
    for _, members in groupby(deliveries, key=lambda each: shop.calendar.day(each[2])):
        came = list(members)
        told = [
            (event, source)
            for _, source, _, body in came
            for event in msgspec.msgpack.decode(seal.open(body, _INBOX), type=list[Event])
        ]
        apply(work, shop, told, came[-1][2], taken)
    work.applied([seq for seq, *_ in deliveries])


def apply(
    work: Transaction, shop: Shop, told: Sequence[tuple[Event, str]], now_ms: int, taken: Taken | None = None
) -> Taken:
    """Take in events, as (event, source), in the order in which they came."""
    taken = Taken() if taken is None else taken
    # One at a time says who is who, and everybody locks the retailer before its customers.
    work.tenant(shop.number, change=True)
    today = shop.calendar.day(now_ms)
    digests = [
        naming.digest(shop.secret, Name(f"message {source}", event.message)) if event.message else ""
        for event, source in told
    ]
    # What was imported once is never imported again; what a client sends may come again after the window.
    until = FOREVER if all(source == IMPORT for _, source in told) else today
    new = work.first_seen(shop.number, [digest for digest in digests if digest], until)
    events: list[Event] = []
    for (event, source), digest in zip(told, digests, strict=True):
        if digest and digest not in new:
            taken.again += 1
            continue
        new.discard(digest)
        # Baskets of a file may bear a number that begins anew with every day.
        event.live = event.did == Did.PURCHASED and source != IMPORT
        # A clock that runs ahead is set back.
        event.at_ms = min(max(event.at_ms, 0), now_ms)
        events.append(event)
    who = identity.resolve(work, shop, [_names(event) for event in events])
    taken.nobody += sum(customer < 0 for customer in who.customer)
    customers = {customer for customer in who.customer if customer >= 0}
    if not customers:
        return taken
    shop.open_day(work, today)
    seats = shop.seat(
        work, customers | {each for _, *pair in who.merged for each in pair} | _heard(work, shop, events)
    )
    _keep_names(work, shop, seats, who.named)
    stale: set[int] = set()
    pairs = list(zip(who.customer, events, strict=True))
    for first, last in pairwise(sorted({0, *(k for k, _, _ in who.merged), len(pairs)})):
        for _, one, other in (merged for merged in who.merged if merged[0] == first):
            merging.merge(work, shop, seats, one, other, now_ms)
        seated = [pair for pair in pairs[first:last] if pair[0] in seats.place]
        for did, run in groupby(seated, key=lambda pair: pair[1].did):
            members = list(run)
            if did != Did.ALLOWED:
                no_sharing(shop, seats, (customer for customer, event in members if event.gpc), today)
            _keep_events(work, shop, seats, members, taken)
            _APPLY.get(did, _nothing)(work, shop, seats, members, today, taken, stale)
            taken.applied += len(members)
    if stale:
        orders.rebuild(work, shop, seats, stale)
    shop.keep(work, seats, known=True, consent=True)
    return taken


def _keep_names(work: Transaction, shop: Shop, seats: Seats, named: dict[int, list[Name]]) -> None:
    """Write into profiles under which names customers are known, so that letters find them."""
    for customer in named.keys() & seats.place.keys():
        profile = shop.profile(seats, customer)
        new = [name for name in named[customer] if tuple(name) not in profile.known_as]
        if new:
            profile.known_as += new
            shop.keep_profile(work, seats, customer, profile)


def _heard(work: Transaction, shop: Shop, events: Sequence[Event]) -> set[int]:
    """Who was spoken to in the messages that these events are about: perhaps a device that is hers by now."""
    found = work.decisions(shop.number, [event.decision for event in events if event.decision])
    return {row.customer for row in found.values()}


def no_sharing(shop: Shop, seats: Seats, customers: Iterable[int], today: int) -> None:
    """Take back sharing of whoever says so by her browser (Global Privacy Control)."""
    share = 1 << Purpose.SHARE
    for row in sorted({seats.place[customer] for customer in customers}):
        for scope in np.flatnonzero(seats.consent.bits[row] & share).tolist():
            shop.retailer.consented(row, scope, share, False, today)


def _names(event: Event) -> tuple[Name, ...]:
    names = [Name(USER, event.user), Name(ANONYMOUS, event.anonymous)]
    if event.did == Did.TOLD:
        names += _addresses(event)
    return tuple(name for name in names if name.value)


def _addresses(event: Event) -> list[Name]:
    told = [(kind, event.traits.get(kind)) for kind in (EMAIL, PHONE)]
    names = [Name(kind, str(value)) for kind, value in told if naming.legal(value)]
    return [name for name in names if naming.somebodys(name)]


def _keep_events(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], taken: Taken
) -> None:
    rows = []
    for customer, event in members:
        if not _may_keep(seats, customer, event):
            taken.withheld += 1
            continue
        body = shop.seal_event(seats, customer, msgspec.msgpack.encode(event))
        rows.append((shop.number, customer, event.at_ms, body))
    work.add_events(rows)


def _may_keep(seats: Seats, customer: int, event: Event) -> bool:
    """Whether she allows that this event is kept under her."""
    scope = Scope.HOUSEHOLD if _joins(event) else KEPT_UNDER.get(event.did)
    return scope is None or bool(seats.consent.bits[seats.place[customer], scope])


def _joins(event: Event) -> bool:
    return event.did == Did.OTHER and event.name == JOINED


def _nothing(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    """It was kept for her to see, and changes nothing that a decision reads."""


def _purchased(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    by_day: dict[int, list[tuple[int, Sequence[Line]]]] = defaultdict(list)
    new = _new_orders(work, shop, members, today)
    again = _told_again(work, shop, seats, members, new, today, stale)
    taken.again += len(again)
    taken.applied -= len(again)
    for k, (customer, event) in enumerate(members):
        if k in again:
            continue
        day = shop.calendar.day(event.at_ms)
        by_day[day].append((customer, event.lines))
        # All baskets of a day are one, and what came back before it was told is no purchase.
        if seats.record.last_visit[seats.place[customer]] >= day or (event.order and event.order not in new):
            stale.add(customer)
    for day, baskets in sorted(by_day.items()):
        taken.unknown.update(shop.purchased(work, seats, day, baskets))


def _new_orders(work: Transaction, shop: Shop, members: list[tuple[int, Event]], today: int) -> set[str]:
    """Orders of which nothing was heard before, neither a purchase nor a refund."""
    orders = {naming.digest(shop.secret, Name("order", e.order)): e.order for _, e in members if e.order}
    new = work.first_seen(shop.number, list(orders), today)
    # What is told of an order later is remembered as long.
    work.seen_again(shop.number, [digest for digest in orders if digest not in new], today)
    return {orders[digest] for digest in new}


def _told_again(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], new: set[str], today: int,
    stale: set[int],
) -> set[int]:  # fmt: skip
    """Places of the members that tell of an order which that customer's events, or those before them, told already."""
    told = Counter(event.order for _, event in members if event.live)
    # Whose order was never heard of needs no look at her events, unless the window may have forgotten it.
    doubtful = {
        event.order for _, event in members
        if event.live and event.order
        and (event.order not in new or told[event.order] > 1 or shop.calendar.day(event.at_ms) < today)
    }  # fmt: skip
    hers: dict[int, list[int]] = defaultdict(list)
    for k, (customer, event) in enumerate(members):
        if event.live and event.order:
            hers[customer].append(k)
    again: set[int] = set()
    for customer, places in hers.items():
        if not _may_keep(seats, customer, members[places[0]][1]):
            again |= _withheld_again(work, shop, customer, [(k, members[k][1]) for k in places], today)
            continue
        places = [k for k in places if members[k][1].order in doubtful]
        if not places:
            continue
        # All of these members are kept by now, the last of what came under her number.
        kept = sum(1 for who, _ in members if who == customer)
        before = [
            event for event in orders.told(work, shop, seats, customer, but=kept) if event.order in doubtful
        ]
        found = orders.changed(shop, before, (members[k][1] for k in places))
        again |= {k for k, (sells, _) in zip(places, found, strict=True) if not sells}
        if any(others for _, others in found):
            stale.add(customer)
    return again


def _withheld_again(
    work: Transaction, shop: Shop, customer: int, told: list[tuple[int, Event]], today: int
) -> set[int]:
    """The same of somebody whose events are not kept: no more is known than that the order was there."""
    digests = {
        k: naming.digest(shop.secret, Name("order of", f"{customer} {event.order}")) for k, event in told
    }
    new = work.first_seen(shop.number, list(digests.values()), today)
    again = set()
    for k, digest in digests.items():
        if digest not in new:
            again.add(k)
        new.discard(digest)
    return again


def _refunded(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    _new_orders(work, shop, members, today)
    stale.update(customer for customer, _ in members)


def _reacted(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    told = []
    for customer, event in members:
        bits = 0
        for name in event.reactions:
            if name.upper() in Reaction.__members__:
                bits |= 1 << Reaction[name.upper()]
            else:
                taken.unknown[name] += 1
        told.append((customer, event.decision, bits, _REASONS.get(event.reason, 255)))
    _react(work, shop, seats, told, today, taken)


def _react(
    work: Transaction,
    shop: Shop,
    seats: Seats,
    told: list[tuple[int, str, int, int]],
    today: int,
    taken: Taken,
) -> None:
    """Reactions as (customer, decision id, bits, reason), each to what was said to her and to nobody else."""
    found = work.decisions(shop.number, [name for _, name, _, _ in told])
    hers = [
        (name, bits, why)
        for customer, name, bits, why in told
        if name in found and seats.at(found[name].customer) == seats.place[customer]
    ]
    taken.unknown.update({name for _, name, _, _ in told} - {name for name, _, _ in hers})
    taken.unknown.update(shop.reacted(work, seats, today, hers))


def _wished(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    rows = list(_about(shop, seats, members, today + WISH_DAYS, taken))
    if rows:
        who, categories, until = (np.array(column) for column in zip(*rows, strict=True))
        shop.retailer.wished(who, categories, until, today)


def _unliked(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    about = [(customer, event) for customer, event in members if event.decision]
    if about:
        bits = 1 << Reaction.UNLIKE
        told = [
            (customer, event.decision, bits, _REASONS.get(event.reason, 255)) for customer, event in about
        ]
        _react(work, shop, seats, told, today, taken)
    plain = [(customer, event) for customer, event in members if not event.decision]
    rows = list(_about(shop, seats, plain, today + shop.retailer.rules.unlike_days, taken))
    if rows:
        who, categories, until = (np.array(column) for column in zip(*rows, strict=True))
        records.unliked(seats.record, who, categories.astype(np.int32), until.astype(np.int32))


def _about(
    shop: Shop, seats: Seats, members: Iterable[tuple[int, Event]], usual_until: int, taken: Taken
) -> Iterable[tuple[int, int, int]]:
    """(row, category, until_day) of events about a category or a product."""
    for customer, event in members:
        for line in event.lines or [Line(category=event.category)]:
            category = shop.category(line)
            if category < 0:
                taken.unknown[line.sku or line.category] += 1
                continue
            until = usual_until if event.until_day is None else event.until_day
            yield seats.place[customer], category, until


def _allowed(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    for customer, event in members:
        row = seats.place[customer]
        for word, yes in event.grants.items():
            changes = grants_of(word)
            if not changes:
                taken.unknown[word] += 1
            for scope, purposes, channel in changes:
                if channel is not None:
                    shop.retailer.reachable(row, channel, yes, today)
                    if not yes:
                        continue
                shop.retailer.consented(row, scope, purposes, yes, today)
        if event.gpc:
            # After what this very message allows, before what she allows later.
            no_sharing(shop, seats, [customer], today)


def _words(names: Iterable[str]) -> str:
    return ", ".join(name.lower() for name in names)


#: What a word of consent may be.
MAY_BE_ALLOWED = (
    f"Name a scope ({_words(Scope.__members__)}), a scope and purpose such as purchases.measure "
    f"({_words(Purpose.__members__)}), a channel such as contact.email ({_words(Channel.__members__)}) "
    f"or a banner's word ({_words(BANNER)})"
)


def grants_of(word: str) -> list[tuple[Scope, int, Channel | None]]:
    """What a word of consent opens or closes: scope, bits of Purpose, and the channel when it names one.

    Examples
    --------
    >>> grants_of("purchases.measure")
    [(<Scope.PURCHASES: 1>, 8, None)]
    >>> grants_of("contact.email")
    [(<Scope.CONTACT: 0>, 4, <Channel.EMAIL: 0>)]
    >>> grants_of("moonlight")
    []
    """
    plain = word.strip().lower()
    if plain in BANNER:
        return [change for each in BANNER[plain] for change in grants_of(each)]
    first, _, second = plain.partition(".")
    if first.upper() not in Scope.__members__:
        return []
    scope = Scope[first.upper()]
    if not second:
        return [(scope, sum(1 << purpose for purpose in USUAL), None)]
    if second.upper() in Purpose.__members__:
        return [(scope, 1 << Purpose[second.upper()], None)]
    if scope == Scope.CONTACT and second.upper() in Channel.__members__:
        return [(scope, 1 << Purpose.CONTACT, Channel[second.upper()])]
    return []


def _told(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    for customer, event in members:
        profile = shop.profile(seats, customer)
        row = seats.place[customer]
        zone = event.traits.get("timezone")
        if isinstance(zone, str) and is_zone(zone):
            profile.zone = zone
        elif zone is not None:
            taken.unknown[str(zone)] += 1
        for kind, value in _addresses(event):
            # After the others: what she told last is where letters go.
            profile.known_as = [each for each in profile.known_as if each != (kind, value)] + [(kind, value)]
        for trait, column in CODES.items():
            code = event.traits.get(trait)
            if type(code) is int and 0 <= code < 255 and seats.consent.bits[row, Scope.DEMOGRAPHICS]:
                getattr(seats.record, column)[row] = code
        for name, value in event.traits.items():
            profile.traits.pop(name, None)
            if value is not None:
                profile.traits[name] = value  # after the others: it is the newest
        while len(msgspec.json.encode(profile.traits)) > MOST_TRAIT_BYTES:
            del profile.traits[next(iter(profile.traits))]
        shop.keep_profile(work, seats, customer, profile)


def _other(
    work: Transaction, shop: Shop, seats: Seats, members: list[tuple[int, Event]], today: int, taken: Taken,
    stale: set[int],
) -> None:  # fmt: skip
    """Households link members who allow it; nothing of one is mixed with another's."""
    rows = [
        (shop.number, naming.digest(shop.secret, Name("household", str(event.kept["household"]))), customer)
        for customer, event in members
        if _joins(event) and naming.legal(event.kept.get("household")) and _may_keep(seats, customer, event)
    ]
    work.add_new("household", ("retailer", "household", "customer"), "household", rows)


_APPLY = {
    Did.PURCHASED: _purchased,
    Did.REFUNDED: _refunded,
    Did.REACTED: _reacted,
    Did.WISHED: _wished,
    Did.UNLIKED: _unliked,
    Did.ALLOWED: _allowed,
    Did.TOLD: _told,
    Did.OTHER: _other,
}
