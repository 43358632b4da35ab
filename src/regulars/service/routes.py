"""What the service does: every route with its role, its types and what it does.

:data:`ROUTES` is the whole surface: the app, the OpenAPI page and the tests of who may do what are made from it.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import numpy as np
from starlette.requests import Request

from regulars.errors import RegularsError
from regulars.ledger import verify
from regulars.retail import explain
from regulars.retail.catalog import Option
from regulars.retail.decision import Reason
from regulars.service import audit, ignored, intake, merging, naming, orders, segment, wire
from regulars.service.clock import DAY_MS, ZONE_MEND, is_zone
from regulars.service.decided import ANYTHING, Ask, Limit, Stored
from regulars.service.events import Did, Event, plain
from regulars.service.keys import Principal, Role
from regulars.service.naming import ANONYMOUS, USER, Name
from regulars.service.problems import Denied, Refused
from regulars.service.shop import Seats, Shop
from regulars.service.store import Transaction
from regulars.service.store.sql import DecisionRow
from regulars.terms import Action, Channel, Purpose, Reaction, Scope, Verdict, small_names

if TYPE_CHECKING:
    from regulars.service.app import Service

#: Largest body of a request that is no delivery of events.
BODY_BYTES = 1024 * 1024
#: Channels as clients call them.
CHANNELS = {
    "email": Channel.EMAIL, "app": Channel.APP, "web": Channel.APP, "sms": Channel.SMS, "mail": Channel.MAIL,
    "store": Channel.STORE, "kiosk": Channel.STORE, "call": Channel.STORE,
}  # fmt: skip
#: So many fields that change nothing are told of a delivery.
MOST_IGNORED = 20
#: How often the shelf is looked at anew because an event names what is not known.
LOOK_MS = 60_000
_REASONS, _CHANNELS = small_names(Reason), small_names(Channel)
_VERDICTS = tuple(small_names(Verdict).values())
_ACTION: dict[int, Any] = small_names(Action)
#: Milliseconds of the client's clock, as PostHog's browser client has them in the query.
_SENT = re.compile("[12][0-9]{12}")


@dataclass(frozen=True)
class Asked:
    """One request, opened."""

    request: Request
    who: Principal
    shop: Shop
    body: Any
    received_ms: int
    gpc: bool
    once: str = ""  #: digest of the Idempotency-Key that was claimed for it


Handler = Callable[["Service", Asked], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """One thing that the service does.

    Attributes
    ----------
    role : who may; None is open to everybody
    takes, gives : types of the bodies
    status : of success
    key_in_body : the field of the body that may hold the key
    once : honours Idempotency-Key
    most : largest body in bytes
    query : parameters of the query with the words that each may be; the first is meant when it is left out
    """

    method: str
    path: str
    role: Role | None
    does: Handler | None
    about: str
    takes: Any = None
    gives: Any = None
    status: int = 200
    key_in_body: str = ""
    once: bool = False
    most: int = BODY_BYTES
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


# ---- events in -------------------------------------------------------------------------------------------------


async def _tracked(service: Service, asked: Asked) -> wire.Done:
    told = dict(asked.body)
    told["type"] = asked.request.url.path.rpartition("/")[2]
    return await _deliver(service, asked, [segment.event_of(told, asked.received_ms)], alone=True)


async def _batch(service: Service, asked: Asked) -> wire.Done:
    body = asked.body
    if isinstance(body, segment.Delivery):
        return await _deliver(service, asked, segment.events_of(body, asked.received_ms))
    return await _deliver(service, asked, _each(body, asked.received_ms, _with_context(body)))


def _with_context(body: Mapping[str, Any]) -> Callable[[Mapping[str, Any], int, Any], Event]:
    common = body.get("context")

    def parse(item: Mapping[str, Any], received_ms: int, sent_at: Any) -> Event:
        if isinstance(common, Mapping) and common:
            own = item.get("context")
            item = {**item, "context": {**common, **(own if isinstance(own, Mapping) else {})}}
        return segment.event_of(item, received_ms, sent_at)

    return parse


async def _posthog(service: Service, asked: Asked) -> wire.Done:
    body, sent = asked.body, asked.request.query_params.get("_", "")
    if not body.get("sent_at") and _SENT.fullmatch(sent):
        body = {**body, "sent_at": int(sent)}
    if "batch" in body:
        return await _deliver(service, asked, _each(body, asked.received_ms, segment.posthog_event))
    segment.checked_size(body)
    event = segment.posthog_event(body, asked.received_ms, body.get("sent_at"))
    return await _deliver(service, asked, [event], alone=True)


def _each(body: Mapping[str, Any], received_ms: int, parse: segment.Parse) -> list[Event]:
    items = body.get("batch")
    if not isinstance(items, list) or not 0 < len(items) <= segment.BATCH_EVENTS:
        raise Refused("batch", items, f"Send a list of 1 to {segment.BATCH_EVENTS} events at once")
    sent_at = body.get("sentAt") or body.get("sent_at")
    events = []
    for k, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise Refused(f"batch[{k}]", item, "Send an object")
        try:
            segment.checked_size(item)
            events.append(parse(item, received_ms, sent_at))
        except Refused as error:
            raise error.at(f"batch[{k}]") from None
    return events


async def _deliver(service: Service, asked: Asked, events: list[Event], *, alone: bool = False) -> wire.Done:
    if asked.gpc:
        for event in events:
            event.gpc = True
    await service.engine.in_loop("in", asked.shop, events, asked.who.source)
    service.events.inc(len(events))
    if ignored.strange(asked.shop, events):
        await _look_again(service, asked)
    found = list(itertools.islice(ignored.fields(asked.shop, events, alone=alone), MOST_IGNORED))
    return wire.Done(ignored=found or msgspec.UNSET)


async def _look_again(service: Service, asked: Asked) -> None:
    """Know what was told of the shelf meanwhile, by whichever process; at most once a minute."""
    shop = asked.shop
    if asked.received_ms - service.looked.get(shop.number, 0) < LOOK_MS:
        return
    service.looked[shop.number] = asked.received_ms

    def work_on(work: Transaction) -> None:
        shop.shelved(work, work.tenant(shop.number).shelf)

    with suppress(RegularsError):  # the events are durable, whatever becomes of this
        await service.engine.in_loop("call", shop, (work_on, False))


# ---- decisions ---------------------------------------------------------------------------------------------------


async def _decide(service: Service, asked: Asked) -> wire.Decision:
    body: wire.DecisionRequest = asked.body
    names = _names(body.user_id, body.anonymous_id)
    if body.timezone and not is_zone(body.timezone):
        raise Refused("timezone", body.timezone, ZONE_MEND)
    at_ms = asked.received_ms if body.moment is None else segment.moment(body.moment, "moment")
    if abs(at_ms - asked.received_ms) > DAY_MS:
        # A decision about a day closes all days before it.
        raise Refused("moment", body.moment, "Send a time within a day of now, or leave it out")
    channel = None if body.channel is None else CHANNELS[body.channel]
    try:
        limit = _limit(asked.shop, body.candidates)
    except Refused:
        # What was told of the shelf meanwhile is known once a transaction has read it.
        limit = await _in_transaction(service, asked, lambda _: _limit(asked.shop, body.candidates))
    if asked.gpc:
        await _not_shared(service, asked, names)
    ask = Ask(-1, channel, at_ms, body.timezone or "", names, limit, asked.once)
    answer = (await service.engine.in_loop("decide", asked.shop, [ask]))[0]
    service.decided[answer.stored.action].inc()
    return decision_of(
        asked.shop, answer.id, answer.stored, answer.products, answer.for_everybody, answer.terms
    )


def _limit(shop: Shop, named: wire.Candidates | None) -> Limit:
    """The candidates of a request, each of which is in the catalog."""
    if named is None:
        return ANYTHING
    skus, categories = named.skus or [], named.categories or []
    if not skus and not categories:
        raise Refused("candidates", named, "Name skus, categories or both, or leave candidates out")
    # Another thread may look back to an older shelf meanwhile; a product has one number on all of them.
    product_of = shop.product_of
    for k, sku in enumerate(skus):
        if sku not in product_of:
            raise Refused(f"candidates.skus[{k}]", sku, "Send the sku of a product of the catalog")
    for k, name in enumerate(categories):
        if name.lower() not in shop.category_of:
            raise Refused(f"candidates.categories[{k}]", name, "Send the name of a category of the catalog")
    products, kinds = (
        {product_of[sku] for sku in skus},
        {shop.category_of[name.lower()] for name in categories},
    )
    return Limit(tuple(sorted(products)), tuple(sorted(kinds)))


def _named(shop: Shop, limit: Limit) -> wire.Candidates | None:
    """A limit in the words in which it was asked for; None for none."""
    if limit == ANYTHING:
        return None
    sku, names = shop.assortment.sku, shop.assortment.catalog.names
    return wire.Candidates(
        [sku[product] for product in limit.products] or None,
        [names[category] for category in limit.categories] or None,
    )


async def _not_shared(service: Service, asked: Asked, names: tuple[Name, ...]) -> None:
    """Whoever is known under these names shares nothing from now on: her browser says so."""

    def work_on(work: Transaction) -> None:
        shop = asked.shop
        who = shop.found(work, [Ask(-1, None, asked.received_ms, "", names)])[0].customer
        seats = shop.seat(work, [who])
        if who not in seats.place or not (seats.consent.bits[seats.place[who]] & 1 << Purpose.SHARE).any():
            return
        today = shop.calendar.day(asked.received_ms)
        intake.no_sharing(shop, seats, [who], today)
        shop.keep(work, seats, consent=True)

    await _in_transaction(service, asked, work_on)


def _names(user: str | None, anonymous: str | None) -> tuple[Name, ...]:
    names = [Name(USER, user or ""), Name(ANONYMOUS, anonymous or "")]
    kept = tuple(name for name in names if naming.legal(name.value))
    if not kept:
        raise Refused("userId", user or anonymous, "Send the userId or anonymousId of one person")
    return kept


def decision_of(
    shop: Shop,
    name: str,
    stored: Stored,
    products: list[str],
    everybody: int = -1,
    terms: tuple[int, float, int] = (-1, 0.0, 0),
) -> wire.Decision:
    """A stored decision as it goes over the wire, the products it is good for, and an offer for everybody on its terms."""
    return wire.Decision(
        id=name,
        action=_ACTION[stored.action],
        reason=_REASONS[stored.reason],
        to_her=stored.to_her,
        to_manager=stored.to_manager,
        policy=stored.policy,
        policy_version=stored.version,
        propensity=stored.propensity,
        channel=_CHANNELS.get(stored.channel),
        offer=_offer(shop, products, stored.offer, stored.category, stored.saving, stored.last_day),
        option=Option(stored.option).name.lower() if stored.action == Action.OPTION else None,
        predicted={word: round(p, 4) for word, p in zip(_VERDICTS, stored.predicted, strict=False)},
        used=list(explain.named(stored.used)),
        opened=list(explain.named(stored.opened)),
        for_everybody=_offer(shop, products, everybody, *terms),
    )


def _offer(
    shop: Shop, products: list[str], offer: int, category: int, saving: float, last_day: int
) -> wire.Offer | None:
    if offer < 0:
        return None
    name = shop.assortment.catalog.names[category] if category >= 0 else ""
    return wire.Offer(offer, name, round(saving, 4), shop.calendar.date(last_day).isoformat(), products)


async def _explained(service: Service, asked: Asked) -> wire.Explained:
    name = asked.request.path_params["id"]

    def work_on(work: Transaction) -> wire.Explained:
        row, stored, seats = _found(asked.shop, work, name)
        candidates = audit.considered(asked.shop, work, row, stored, seats)
        reactions = [each.name.lower() for each in Reaction if stored.reactions >> each & 1]
        at = datetime.datetime.fromtimestamp(stored.at_ms / 1000, datetime.UTC).isoformat()
        return wire.Explained(
            decision_of(asked.shop, name, stored, asked.shop.good_for(work, stored)),
            row.customer,
            at,
            [wire.Considered(c.name, c.saving, c.said, c.reason.name.lower(), c.words) for c in candidates],
            reactions,
            _named(asked.shop, stored.limit),
        )

    return await _in_transaction(service, asked, work_on)


async def _replayed(service: Service, asked: Asked) -> wire.Replayed:
    name = asked.request.path_params["id"]

    def work_on(work: Transaction) -> wire.Replayed:
        differs = audit.replayed(asked.shop, work, name)
        if differs is None:
            raise Denied(404, "no_such_decision", "There is no such decision, or she was erased.")
        return wire.Replayed(name, not differs, differs)

    return await _in_transaction(service, asked, work_on)


def _found(shop: Shop, work: Transaction, name: str) -> tuple[DecisionRow, Stored, Seats]:
    found = audit.looked_up(shop, work, name)
    if found is None:
        raise Denied(404, "no_such_decision", "There is no such decision, or she was erased.")
    return found


async def _reacted(service: Service, asked: Asked) -> wire.Done:
    name, body = asked.request.path_params["id"], asked.body
    bits = sum(1 << Reaction[each.upper()] for each in set(body.reactions))
    reason = 255 if body.reason is None else int(Verdict[body.reason.upper()])

    def work_on(work: Transaction) -> bool:
        _, _, seats = _found(asked.shop, work, name)
        today = asked.shop.calendar.day(asked.received_ms)
        if asked.gpc:  # also of whoever this device's owner turned out to be
            intake.no_sharing(asked.shop, seats, seats.place, today)
        silent = bool(asked.shop.reacted(work, seats, today, [(name, bits, reason)]))
        asked.shop.keep(work, seats, consent=True)
        return silent

    if await _in_transaction(service, asked, work_on):
        raise Denied(409, "nothing_was_sent", "This decision was silence: there is nothing to react to.")
    return wire.Done()


# ---- customers ---------------------------------------------------------------------------------------------------------


async def _consented(service: Service, asked: Asked) -> wire.Done:
    body: wire.ConsentRequest = asked.body
    names = _names(body.user_id, body.anonymous_id)
    for word in body.grants:
        if not intake.grants_of(word):
            raise Refused(f"grants.{word[:40]}", body.grants[word], intake.MAY_BE_ALLOWED)
    event = Event(
        Did.ALLOWED, asked.received_ms, name="consent", user=_of(names, USER), anonymous=_of(names, ANONYMOUS),
        grants=body.grants, gpc=asked.gpc,
    )  # fmt: skip

    def work_on(work: Transaction) -> wire.Done:
        intake.apply(work, asked.shop, [(event, asked.who.source)], asked.received_ms)
        return wire.Done()

    return await _in_transaction(service, asked, work_on)


def _of(names: tuple[Name, ...], kind: str) -> str:
    return next((name.value for name in names if name.kind == kind), "")


def _name_in_path(asked: Asked) -> Name:
    """Whom the path is about, by a name of the kind that the query tells."""
    told = asked.request.query_params.getlist("kind") or [USER]
    if len(told) > 1 or told[0] not in naming.LOOKED_UP_BY:
        raise Refused(
            "kind", ", ".join(told), f"Send one of {', '.join(naming.LOOKED_UP_BY)}, or leave it out"
        )
    return Name(told[0], asked.request.path_params["user"])


def _customer(work: Transaction, shop: Shop, name: Name) -> int:
    digest = naming.digest(shop.secret, name)
    found = work.known_by(shop.number, [digest]).get(digest)
    if found is None:
        raise Denied(404, "no_such_customer", "There is no customer of that name.")
    return found


async def _account(service: Service, asked: Asked) -> wire.Account:
    name = _name_in_path(asked)

    def work_on(work: Transaction) -> wire.Account:
        shop = asked.shop
        number = _customer(work, shop, name)
        devices = work.merged_from(shop.number, number)
        seats = shop.seat(work, [number, *devices])
        if number not in seats.place:
            raise Denied(
                404, "no_person_key", "What is stored of her cannot be read: her key is not in this store."
            )
        devices = [device for device in devices if device in seats.place]
        whose = {who: orders.told_under(work, shop, seats, who) for who in (number, *devices)}
        every = [event for told in whose.values() for event in told]
        again = {id(every[k]) for k in orders.again(shop, every)}
        told = {
            who: [plain(event) | ({"seen_again": True} if id(event) in again else {}) for event in events]
            for who, events in whose.items()
        }
        account = _account_of(shop, work, seats, number, told[number])
        account.devices = [_account_of(shop, work, seats, device, told[device]) for device in devices]
        return account

    return await _in_transaction(service, asked, work_on)


def _account_of(
    shop: Shop, work: Transaction, seats: Seats, number: int, events: list[dict[str, Any]]
) -> wire.Account:
    """What is stored under one number."""
    row = seats.place[number]
    entries = shop.ledger_of(work, number)
    record = {
        name: getattr(seats.record, name)[row].tolist() for name in seats.record._fields if name != "customer"
    }
    names = shop.assortment.catalog.names
    record["categories"] = [names[c] for c in np.flatnonzero(seats.record.bought[row])]
    return wire.Account(
        customer=number,
        consent={
            scope.name.lower(): [p.name.lower() for p in Purpose if seats.consent.bits[row, scope] >> p & 1]
            for scope in Scope
        },
        channels=[c.name.lower() for c in Channel if seats.record.optin[row] >> c & 1],
        profile=msgspec.to_builtins(shop.profile(seats, number)),
        record=record,
        events=events,
        decisions=[
            decision_of(shop, each.id, stored := shop.opened(seats, each), shop.good_for(work, stored))
            for each in work.of_customer(shop.number, number)
        ],
        ledger=[
            wire.LedgerEntry(
                e.number, e.day, e.kind.name.lower(), list(e.scopes), list(e.purposes), list(e.covert),
                e.context, e.cents, e.chain,
            )
            for e in entries
        ],
        broken_at=verify(entries),
    )  # fmt: skip


async def _erased(service: Service, asked: Asked) -> wire.Erased:
    name = _name_in_path(asked)

    def work_on(work: Transaction) -> list[int]:
        shop = asked.shop
        number = _customer(work, shop, name)
        everybody = [number, *work.merged_from(shop.number, number)]
        intake.erase(work, shop, everybody, shop.calendar.day(asked.received_ms))
        return everybody

    await _in_transaction(service, asked, work_on)
    tidied, ours = await asyncio.to_thread(service.engine.tidy), service.engine.store.OWN_LOG
    if ours and tidied:
        log = "The log of the store was emptied of her."
    elif ours:
        log = "The log of the store is emptied of her as soon as nobody reads it."
    else:
        log = "The server of the store recycles its log in its own time."
    return wire.Erased(tidied and ours, f"She is in no table any more. {log} {_LETTERS}")


#: What the store cannot erase.
_LETTERS = "Files of letters that were written before may name her: take her out of them, too."


async def _apart(service: Service, asked: Asked) -> wire.Done:
    def work_on(work: Transaction) -> wire.Done:
        shop = asked.shop
        digest = naming.digest(shop.secret, Name(ANONYMOUS, asked.request.path_params["anonymous"]))
        found = work.aliases(shop.number, [digest]).get(digest)
        today = shop.calendar.day(asked.received_ms)
        if found is None or not merging.unmerge(work, shop, found, today):
            raise Denied(
                404, "no_such_merge", "That device was never merged into somebody, or it was undone."
            )
        return wire.Done()

    return await _in_transaction(service, asked, work_on)


async def _stocked(service: Service, asked: Asked) -> wire.Done:
    body: wire.StockRequest = asked.body
    shop = asked.shop

    def work_on(work: Transaction) -> wire.Done:
        for k, line in enumerate(body.products):
            if line.sku not in shop.product_of:
                raise Refused(f"products[{k}].sku", line.sku, "Send the sku of a product of the catalog")
            if line.on_hand is None and line.hidden is None:
                mend = "Send how many are on hand, or hidden as true or false, or both"
                raise Refused(f"products[{k}].onHand", None, mend)
        units = {shop.product_of[p.sku]: p.on_hand for p in body.products if p.on_hand is not None}
        hidden = {shop.product_of[p.sku]: p.hidden for p in body.products if p.hidden is not None}
        shop.set_stock(work, units, hidden)
        return wire.Done()

    return await _in_transaction(service, asked, work_on)


T = TypeVar("T")


async def _in_transaction(service: Service, asked: Asked, work_on: Callable[[Transaction], T]) -> T:
    return cast(T, await service.engine.in_loop("call", asked.shop, (work_on, True)))


def _source(path: str, does: Handler, about: str, takes: Any, key: str = "writeKey") -> Route:
    """A route by which a source delivers events."""
    most = segment.EVENT_BYTES if does is _tracked else segment.BATCH_BYTES
    return Route("POST", path, Role.WRITE, does, about, takes, wire.Done, key_in_body=key, most=most)


#: PostHog's clients, old and new, end a path with a slash or not.
POSTHOG_PATHS = ("/batch/", "/batch", "/capture/", "/capture", "/e/", "/e", "/i/v0/e/", "/i/v0/e")
_BY_KIND = {"kind": naming.LOOKED_UP_BY}
#: Everything that the service does.
ROUTES: tuple[Route, ...] = (
    *(_source(f"/v1/{kind}", _tracked, f"One {kind} call of the tracking API", wire.Tracked) for kind in segment.TYPES),
    _source("/v1/batch", _batch, "Up to 2,500 calls at once", wire.Batch),
    _source("/v1/import", _batch, "The same, of past days", wire.Batch),
    _source("/beacon/v1/batch", _batch, "The same, from a browser that is closing", wire.Batch),
    *(_source(path, _posthog, "PostHog's: an event, a list or a batch", wire.PosthogBody, "api_key")
      for path in POSTHOG_PATHS),
    Route("POST", "/v1/decisions", Role.SERVE, _decide, "What is said to her now: an offer, an option or silence",
          wire.DecisionRequest, wire.Decision, once=True),
    Route("GET", "/v1/decisions/{id}", Role.STAFF, _explained, "Why this, why not those", None, wire.Explained),
    Route("POST", "/v1/decisions/{id}/replay", Role.STAFF, _replayed, "Make it again, and compare", None, wire.Replayed),
    Route("POST", "/v1/decisions/{id}/reactions", Role.SERVE, _reacted, "What she did about it",
          wire.ReactionRequest, wire.Done, once=True),
    Route("POST", "/v1/consent", Role.SERVE, _consented, "What she allows or takes back; the next decision obeys",
          wire.ConsentRequest, wire.Done, once=True),
    Route("GET", "/v1/customers/{user}", Role.STAFF, _account, "All that is stored about her", None, wire.Account,
          query=_BY_KIND),
    Route("DELETE", "/v1/customers/{user}", Role.ADMIN, _erased, "Erase her from every table and log", None, wire.Erased,
          query=_BY_KIND),
    Route("POST", "/v1/devices/{anonymous}/apart", Role.STAFF, _apart, "Undo a merge", None, wire.Done),
    Route("PUT", "/v1/stock", Role.STAFF, _stocked, "What is on hand, and what is hidden", wire.StockRequest, wire.Done),
    Route("GET", "/healthz", None, None, "Whether the service and its store are well", None, wire.Done),
    Route("GET", "/metrics", None, None, "Counts and times, for Prometheus"),
    Route("GET", "/openapi.json", None, None, "This page, for programs"),
    Route("GET", "/.well-known/gpc.json", None, None, "Sec-GPC is honoured"),
)  # fmt: skip
