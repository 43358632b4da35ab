"""The live engine over HTTP: every route with its role, its types and what it does.

:data:`ROUTES` is the whole surface: the app, the OpenAPI page and the tests of who may do what are made from it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import itertools
import json
import logging
import os
import re
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Send
from starlette.types import Scope as Scope_

from regulars.errors import RegularsError
from regulars.ledger import verify
from regulars.retail import explain
from regulars.retail.catalog import Option
from regulars.retail.decision import Reason
from regulars.service import ignored, intake, naming, openapi, orders, segment, wire
from regulars.service.clock import DAY_MS, ZONE_MEND, is_zone
from regulars.service.engine import Engine
from regulars.service.events import Did, Event, plain
from regulars.service.keys import Keys, Principal, Role
from regulars.service.naming import ANONYMOUS, USER, Name
from regulars.service.problems import Denied, Refused, problem, where
from regulars.service.shop import ANYTHING, Ask, Limit, Seats, Shop, Stored
from regulars.service.store import Transaction
from regulars.terms import Action, Channel, Purpose, Reaction, Scope, Verdict

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
_ACTION: dict[int, Any] = {Action.OFFER: "offer", Action.OPTION: "option", Action.SILENCE: "silence"}
_LOG = logging.getLogger("regulars.service")
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
    service.decisions.labels(_ACTION[answer.stored.action]).inc()
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
        reason=Reason(stored.reason).name.lower(),
        to_her=stored.to_her,
        to_manager=stored.to_manager,
        policy=stored.policy,
        policy_version=stored.version,
        propensity=stored.propensity,
        channel=Channel(stored.channel).name.lower() if stored.channel >= 0 else None,
        offer=_offer(shop, products, stored.offer, stored.category, stored.saving, stored.last_day),
        option=Option(stored.option).name.lower() if stored.action == Action.OPTION else None,
        predicted={v.name.lower(): round(p, 4) for v, p in zip(Verdict, stored.predicted, strict=False)},
        used=_scopes(stored.used),
        opened=_scopes(stored.opened),
        for_everybody=_offer(shop, products, everybody, *terms),
    )


def _offer(
    shop: Shop, products: list[str], offer: int, category: int, saving: float, last_day: int
) -> wire.Offer | None:
    if offer < 0:
        return None
    name = shop.assortment.catalog.names[category] if category >= 0 else ""
    return wire.Offer(offer, name, round(saving, 4), shop.calendar.date(last_day).isoformat(), products)


def _scopes(bits: int) -> list[str]:
    return list(explain.named(bits))


async def _explained(service: Service, asked: Asked) -> wire.Explained:
    name = asked.request.path_params["id"]

    def work_on(work: Transaction) -> wire.Explained:
        row, stored, seats = _found(asked.shop, work, name)
        candidates = asked.shop.candidates(work, row, stored, seats)
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
        differs = asked.shop.replayed(work, name)
        if differs is None:
            raise Denied(404, "no_such_decision", "There is no such decision, or she was erased.")
        return wire.Replayed(name, not differs, differs)

    return await _in_transaction(service, asked, work_on)


def _found(shop: Shop, work: Transaction, name: str) -> Any:
    found = shop.looked_up(work, name)
    if found is None:
        raise Denied(404, "no_such_decision", "There is no such decision, or she was erased.")
    return found


async def _reacted(service: Service, asked: Asked) -> wire.Done:
    name, body = asked.request.path_params["id"], asked.body
    bits = sum(1 << Reaction[each.upper()] for each in set(body.reactions))
    reason = 255 if body.reason is None else int(Verdict[body.reason.upper()])

    def work_on(work: Transaction) -> wire.Done:
        row, _, seats = _found(asked.shop, work, name)
        today = asked.shop.calendar.day(asked.received_ms)
        if asked.gpc:
            intake.no_sharing(asked.shop, seats, [row.customer], today)
        if asked.shop.reacted(work, seats, today, [(name, bits, reason)]):
            raise Denied(409, "nothing_was_sent", "This decision was silence: there is nothing to react to.")
        asked.shop.keep(work, seats, consent=True)
        return wire.Done()

    return await _in_transaction(service, asked, work_on)


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
    found = work.aliases(shop.number, [digest]).get(digest)
    if found is None:
        raise Denied(404, "no_such_customer", "There is no customer of that name.")
    return work.merged_into(shop.number, [found]).get(found, found)


async def _account(service: Service, asked: Asked) -> wire.Account:
    name = _name_in_path(asked)

    def work_on(work: Transaction) -> wire.Account:
        shop = asked.shop
        number = _customer(work, shop, name)
        devices = work.merged_from(shop.number, number)
        seats = shop.seat(work, [number, *devices])
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
    return wire.Erased(tidied and ours, f"She is in no table any more. {log}")


async def _apart(service: Service, asked: Asked) -> wire.Done:
    def work_on(work: Transaction) -> wire.Done:
        shop = asked.shop
        digest = naming.digest(shop.secret, Name(ANONYMOUS, asked.request.path_params["anonymous"]))
        found = work.aliases(shop.number, [digest]).get(digest)
        today = shop.calendar.day(asked.received_ms)
        if found is None or not intake.unmerge(work, shop, found, today):
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


class Service:
    """The ASGI app around an engine.

    Parameters
    ----------
    engine : of a store with its retailers
    closes : whether the engine ends when the app does
    """

    def __init__(self, engine: Engine, *, closes: bool = False) -> None:
        self.engine, self._closes = engine, closes
        self.looked: dict[int, int] = {}  #: when a retailer's shelf was last looked at for unknown names
        self.keys = Keys(engine.store)
        self.registry = CollectorRegistry()
        self.registry.register(engine.taken)
        self.requests = Counter(
            "regulars_requests", "Requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram("regulars_seconds", "Time of a request", ["route"], registry=self.registry)
        self.events = Counter("regulars_events", "Events written down", registry=self.registry)
        self.decisions = Counter("regulars_decisions", "Decisions", ["action"], registry=self.registry)
        self.page = openapi.page(ROUTES)
        serves = [(route, self._serving(route)) for route in ROUTES]
        self._straight = {
            (route.method, route.path): serve for route, serve in serves if "{" not in route.path
        }
        # Names that customers chose may hold a slash.
        paths = [re.sub(r"{(user|anonymous)}", r"{\1:path}", route.path) for route in ROUTES]
        self._routed = Starlette(
            routes=[
                StarletteRoute(path, serve, methods=[route.method])
                for path, (route, serve) in zip(paths, serves, strict=True)
            ],
            exception_handlers={404: _nowhere, 405: _no_method},
            lifespan=self._living,
        )
        # Each thing has one address; a redirect would be made of the Host that the client claims.
        self._routed.router.redirect_slashes = False

    @asynccontextmanager
    async def _living(self, _: Starlette) -> AsyncIterator[None]:
        await self.engine.start()
        yield
        if self._closes:
            await asyncio.to_thread(self.engine.close)

    async def __call__(self, scope: Scope_, receive: Receive, send: Send) -> None:
        """A path without a variable needs no search among routes."""
        straight = scope["type"] == "http"
        serve = self._straight.get((scope["method"], scope["path"])) if straight else None
        if serve is None:
            await self._routed(scope, receive, send)
        else:
            response = await serve(Request(scope, receive))
            await response(scope, receive, send)

    def _serving(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        seconds, counted = self.seconds.labels(route.path), {}

        async def serve(request: Request) -> Response:
            began = time.perf_counter()
            response = await self._answer(route, request)
            took = time.perf_counter() - began
            status = response.status_code
            if status not in counted:
                counted[status] = self.requests.labels(route.method, route.path, str(status))
            counted[status].inc()
            seconds.observe(took)
            if _LOG.isEnabledFor(logging.INFO):
                # The route, never the path: paths may hold names.
                told = {
                    "method": route.method,
                    "route": route.path,
                    "status": status,
                    "ms": round(took * 1e3, 2),
                }
                _LOG.info(json.dumps(told))
            return response

        return serve

    async def _answer(self, route: Route, request: Request) -> Response:
        try:
            if route.does is None:
                return await self._plain(route)
            keys = _keys_in_header(request)
            who = await self._who(keys)
            if who is not None or not route.key_in_body:
                who = _let_in(route, who, keys)  # before anything is read
            raw = await _body(request, route.most)
            told = _decoded(route, raw)
            if who is None:
                inside = _keys_in_body(told, route)
                who = _let_in(route, await self._who(inside), keys + inside)
            body = None if route.takes is None else _typed(route, told)
            asked = Asked(
                request,
                who,
                self.engine.shop(who.retailer),
                body,
                self.engine.now(),
                request.headers.get("sec-gpc") == "1",
            )
            if route.once and (key := request.headers.get("idempotency-key")):
                return await self._once(route, asked, key, raw)
            return _said(await route.does(self, asked), route.status)
        except Refused as error:
            return problem(400, "invalid", str(error), errors=[{"field": error.field, "mend": error.mend}])
        except Denied as error:
            return problem(error.status, error.code, str(error), headers=error.headers)
        except ClientDisconnect:
            return problem(400, "gone", "The client left before it had sent everything.")
        except RegularsError as error:
            _LOG.error(json.dumps({"route": route.path, "error": type(error).__name__}))
            return problem(
                503,
                "store",
                "The store could not do it; nothing was written. Try again.",
                headers={"Retry-After": "1"},
            )
        except Exception as error:
            told = {"route": route.path, "error": type(error).__name__, "at": where(error)}
            _LOG.error(json.dumps(told))
            return problem(
                500, "internal", "Something went wrong here; nothing was written. It is in the log."
            )

    async def _who(self, told: list[str]) -> Principal | None:
        for key in told:
            if (who := await self.keys.who(key)) is not None:
                return who
        return None

    async def _plain(self, route: Route) -> Response:
        if route.path == "/healthz":

            def well() -> None:
                if not self.engine.alive():
                    raise RegularsError("nobody works on what is asked; start the service again")
                with self.engine.store.transaction() as work:
                    work.ask("SELECT 1")

            await asyncio.to_thread(well)
            return _said(wire.Done(), 200)
        if route.path == "/metrics":
            counted = self.registry
            if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # of all processes, in whichever was asked
                counted = CollectorRegistry()
                MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
            return Response(generate_latest(counted), media_type="text/plain; version=0.0.4")
        if route.path == "/openapi.json":
            return Response(self.page, media_type="application/json")
        return Response(b'{"gpc":true,"lastUpdate":"2026-11-22"}', media_type="application/json")

    async def _once(self, route: Route, asked: Asked, key: str, raw: bytes) -> Response:
        """The same key has one effect and one answer; the claim is written before the work."""
        if not 1 <= len(key) <= 255:
            raise Denied(400, "idempotency_key", "Send an Idempotency-Key of 1 to 255 characters.")
        shop, secret = asked.shop, asked.shop.secret
        digest = naming.digest(secret, Name(f"once {asked.who.source}", key))
        what = naming.digest(
            secret, Name("request", f"{asked.request.method} {asked.request.url.path} {raw.hex()}")
        )
        at_ms = asked.received_ms
        taken = await asyncio.wrap_future(
            self.engine.call(shop, lambda work: shop.claimed(work, digest, what, at_ms), drained=False)
        )
        if taken is not None:
            request, status, body = taken
            if request != what:
                raise Denied(
                    422,
                    "idempotency_mismatch",
                    "This Idempotency-Key came before with another request. Send a new one.",
                )
            if status == 0:
                words = "The first request with this key is being done. Try again in a moment; in a minute if it broke off."
                raise Denied(409, "idempotency_in_flight", words, {"Retry-After": "1"})
            return Response(body, status, media_type="application/json")
        assert route.does is not None  # noqa: S101 - only routes that do something are once
        try:
            told = await route.does(self, replace(asked, once=digest))
            response = _said(told, route.status)
        except BaseException:
            await asyncio.wrap_future(
                self.engine.call(shop, lambda work: work.release(shop.number, digest, at_ms), drained=False)
            )
            raise
        status, answer = response.status_code, bytes(response.body)
        about = told.id if isinstance(told, wire.Decision) else ""  # no other answer tells of her
        await asyncio.wrap_future(
            self.engine.call(
                shop, lambda work: shop.answered(work, digest, at_ms, status, answer, about), drained=False
            )
        )
        return response


def _let_in(route: Route, who: Principal | None, keys: Sequence[str]) -> Principal:
    if who is None:
        how = "Authorization: Bearer KEY, or Basic with the key as user"
        if any(keys):
            code, words = "unknown_key", f"Nobody has the key that was sent. Send another: {how}."
        else:
            code, words = "no_key", f"Send a key: {how}."
        raise Denied(401, code, words, {"WWW-Authenticate": 'Basic realm="regulars", Bearer'})
    if route.role is None or not who.may(route.role):
        raise Denied(403, "wrong_key", f"This needs a key of the role {route.role}; yours is {who.role}.")
    return who


def _keys_in_header(request: Request) -> list[str]:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return [value.strip()]
    if scheme.lower() == "basic":
        try:
            return [base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[0]]
        except (binascii.Error, ValueError):
            pass
    return []


def _keys_in_body(told: Any, route: Route) -> list[str]:
    if isinstance(told, segment.Delivery):
        return [] if told.write_key is None else [told.write_key]
    keys = _keys_in(told, route.key_in_body)
    if not keys and route.does is _posthog and isinstance(told, Mapping):
        # Each event of a list may name the key, and all the same one.
        events = told.get("batch")
        named = {key for each in events for key in _keys_in(each)} if isinstance(events, list) else set()
        return list(named) if len(named) == 1 else []
    return keys


def _keys_in(told: Any, usual: str = "api_key") -> list[str]:
    if not isinstance(told, Mapping):
        return []
    properties = told.get("properties")
    places = [told.get(name) for name in (usual, "writeKey", "api_key", "token")]
    places.append(properties.get("token") if isinstance(properties, Mapping) else None)
    return [key for key in places if isinstance(key, str)]


async def _body(request: Request, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            # What is still being sent is not read: the connection ends.
            words = f"The body is larger than {most} bytes. Send less at once."
            raise Denied(413, "too_large", words, {"Connection": "close"})
        chunks.append(chunk)
    raw = b"".join(chunks)
    packed = request.headers.get("content-encoding", "").lower() or (
        "gzip"
        if request.scope["query_string"] and "gzip" in request.query_params.get("compression", "")
        else ""
    )
    if packed in ("", "identity"):
        return raw
    if packed != "gzip":
        raise Denied(
            415, "encoding", f"Content-Encoding {packed[:20]!r} is not understood. Send gzip, or none."
        )
    unpack = zlib.decompressobj(31)
    try:
        body = unpack.decompress(raw, most + 1)
    except zlib.error:
        raise Refused("body", raw, "Send gzip, or leave Content-Encoding out") from None
    if len(body) > most or unpack.unconsumed_tail:
        raise Denied(413, "too_large", f"The body is larger than {most} bytes unpacked. Send less at once.")
    if not unpack.eof or unpack.unused_data:
        raise Refused("body", raw, "Send one whole gzip member; this one was cut off, or more follows it")
    return body


def _decoded(route: Route, raw: bytes) -> Any:
    if route.takes is None:
        return None
    if route.takes is wire.Batch and (delivery := segment.delivery(raw)) is not None:
        return delivery
    try:
        told = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            # Some clients write what JSON has no word for, such as NaN; fields say later what is wrong with it.
            told = json.loads(raw)
        except (ValueError, RecursionError):
            raise Refused("body", raw, "Send one JSON object, in UTF-8") from None
    return {"batch": told} if route.does is _posthog and isinstance(told, list) else told


def _typed(route: Route, told: Any) -> Any:
    if isinstance(told, segment.Delivery):
        return told
    if not isinstance(told, dict):
        raise Refused("body", told, "Send one JSON object")
    if route.key_in_body:
        return told  # the tracking API lets clients send more than it names; fields are read one by one
    try:
        return msgspec.convert(told, route.takes)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        place = where.strip("`$.")
        if what.startswith("Object "):  # contains unknown, or misses, a field that it names
            missing = what.split("`")[1]
            place = f"{place}.{missing}" if place else missing
        raise Refused(place, _at(told, place), _mend(what, route.takes, place)) from None


#: What msgspec says of a length that does not fit.
_LENGTH = re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)")


def _mend(what: str, kind: Any, place: str) -> str:
    """What would be right, from what msgspec says is wrong with what stands at a place of this type."""
    if what.startswith("Invalid enum"):
        return f"Send one of {', '.join(_choices(kind, place))}"
    if what.startswith("Expected `bool`"):
        return "Send true or false"
    if found := _LENGTH.match(what):
        bound = "at least" if found[2] == ">=" else "at most"
        things = "characters" if found[1] == "str" else "of them"
        return f"Send {bound} {found[3]} {things}"
    return what


def _choices(kind: Any, place: str) -> tuple[str, ...]:
    """The words that may stand at a place of a body of this type."""
    found = _told(msgspec.inspect.type_info(kind))
    for part in re.findall(r"[^.\[\]]+", place):
        if isinstance(found, msgspec.inspect.StructType):
            found = next(each.type for each in found.fields if each.encode_name == part)
        elif isinstance(found, msgspec.inspect.ListType):
            found = found.item_type
        found = _told(found)
    return tuple(map(str, found.values)) if isinstance(found, msgspec.inspect.LiteralType) else ()


def _told(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """A type without limits and without null."""
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.UnionType):
        return next(_told(each) for each in kind.types if not isinstance(each, msgspec.inspect.NoneType))
    return kind


def _at(told: Any, place: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", place):
        if isinstance(told, Mapping):
            told = told.get(part)
        else:
            told = told[int(part)] if isinstance(told, list) and part.isdigit() else None
    return told


def _said(body: Any, status: int) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def _nowhere(request: Request, error: Exception) -> Response:
    return problem(404, "nowhere", "There is no such path. GET /openapi.json lists them all.")


async def _no_method(request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", None) or {})
    return problem(405, "method", f"This path does not take {request.method}.", headers=headers)
