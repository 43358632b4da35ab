"""The Segment tracking API, and what RudderStack and PostHog make of it, turned into our own events.

Sources: Segment's HTTP Tracking API and Ecommerce Spec v2; RudderStack's HTTP API; PostHog's capture API.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from regulars.service import naming
from regulars.service.events import Did, Event, Line
from regulars.service.problems import Refused
from regulars.terms import Reaction

EVENT_BYTES = 32 * 1024
BATCH_EVENTS = 2_500
#: Of a batch: Segment lets it have 500 KB, RudderStack this much.
BATCH_BYTES = 4_000 * 1024
LONGEST_MESSAGE_ID = 100
#: What may be sent, on its own or in a batch.
TYPES = ("identify", "track", "page", "screen", "group", "alias")
#: The year 2100.
END_MS = 4_102_444_800_000
#: Cents are kept as 32-bit whole numbers.
MOST_CENTS = 2**31 - 1
MOST_UNITS = 10_000
#: Of any number that counts for something.
MOST = 10**15

#: From so many on a number is one of seconds, since 2001; of milliseconds, it would be of January 1970.
_SECONDS = 1_000_000_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NEARLY = {
    "product viewed", "product added", "product removed", "cart viewed", "checkout started", "product clicked",
    "product list viewed", "products searched", "checkout step viewed", "checkout step completed",
    "payment info entered", "cart shared", "product shared",
}  # fmt: skip
_SPOKE = {
    "live chat conversation started", "live chat conversation ended", "live chat message sent",
    "live chat message received", "service conversation", "support ticket created", "call started", "call ended",
}  # fmt: skip
#: What was done about a message, by the names that e-mail and promotion events have.
_REACTIONS: dict[str, tuple[Reaction, ...]] = {
    "promotion viewed": (Reaction.OPEN,),
    "promotion clicked": (Reaction.OPEN, Reaction.CLICK),
    "email opened": (Reaction.OPEN,),
    "email link clicked": (Reaction.OPEN, Reaction.CLICK),
    "email marked as spam": (Reaction.COMPLAIN,),
    "unsubscribed": (Reaction.UNSUBSCRIBE,),
    "push notification tapped": (Reaction.OPEN, Reaction.CLICK),
    "coupon applied": (Reaction.OPEN, Reaction.REDEEM),
}
#: Of these, by which she leaves, it need not be known about which letter they are.
_NO_MORE_MAIL = {"unsubscribed", "email marked as spam"}
_UNLIKED = {"unliked", "offer unliked", "promotion unliked", "product unliked", "category unliked"}
_CONSENT = {"segment consent preference updated", "consent preference updated", "consent updated"}


#: Names of events that change what a decision reads.
_READ = {
    *_CONSENT, *_UNLIKED, *_REACTIONS, "order completed", "order refunded", "product added to wishlist", "wished",
    "message reacted",
}  # fmt: skip


def event_of(told: Mapping[str, Any], received_ms: int, sent_at: Any = None) -> Event:
    """One call of the API as an event.

    Parameters
    ----------
    told : as the client sent it, with ``context`` of its batch merged in
    received_ms : our clock when it came
    sent_at : the client's clock when it was sent

    Raises
    ------
    Refused
        naming the field, the value and what would be right.
    """
    kind = told.get("type")
    if kind not in TYPES:
        raise Refused("type", kind, f"Send one of {', '.join(TYPES)}")
    message = _text(told, "messageId")
    if len(message) >= LONGEST_MESSAGE_ID:
        raise Refused("messageId", message, f"Send fewer than {LONGEST_MESSAGE_ID} characters")
    message = _id(told, "messageId")
    context = _map(told, "context")
    properties = _map(told, "properties")
    traits = {**_map(context, "traits"), **_map(told, "traits")} if kind in ("identify", "group") else {}
    at_ms = _when(told, received_ms, sent_at or told.get("sentAt"))
    who = {"user": _id(told, "userId"), "anonymous": _id(told, "anonymousId")}
    if not (who["user"] or who["anonymous"]):
        raise Refused("userId", None, "Send userId or anonymousId")
    grants = _grants(context)
    base: dict[str, Any] = {"at_ms": at_ms, "message": message, **who}
    if kind == "identify":
        if isinstance(context.get("timezone"), str):
            traits.setdefault("timezone", context["timezone"])
        return Event(Did.TOLD, name="identify", traits=_plain(traits, "traits"), grants=grants, **base)
    if kind == "alias":
        base["anonymous"] = base["anonymous"] or _id(told, "previousId")
        return Event(Did.TOLD, name="alias", grants=grants, **base)
    if kind == "group":
        return Event(
            Did.OTHER,
            name="group",
            kept={**_plain(traits, "traits"), "household": _id(told, "groupId")},
            **base,
        )
    if kind in ("page", "screen"):
        return Event(
            Did.NEARLY, name=f"{kind} {_text(told, 'name')}".strip(), kept=_plain(properties), **base
        )
    return _tracked(told, properties, grants, base)


def _tracked(
    told: Mapping[str, Any], properties: dict[str, Any], grants: dict[str, bool], base: dict[str, Any]
) -> Event:
    name = _text(told, "event")
    if not name:
        raise Refused("event", told.get("event"), "Send the name of what happened, such as Order Completed")
    plain = _words_of(name)
    base |= {"name": name}
    decision = _text(properties, "decision_id") or _text(properties, "promotion_id")
    if plain in _CONSENT:
        if not grants:
            raise Refused(
                "context.consent.categoryPreferences",
                None,
                "Send each preference with true or false, such as contact",
            )
        return Event(Did.ALLOWED, grants=grants, **base)
    if plain in _NO_MORE_MAIL and not decision:
        return Event(Did.ALLOWED, grants={"contact.email": False}, **base)
    if plain == "order completed":
        return Event(
            Did.PURCHASED, lines=_lines(properties), order=_id(properties, "order_id"), decision=decision,
            kept=_rest(properties, "products"), **base,
        )  # fmt: skip
    if plain == "order refunded":
        lines = _lines(properties) if properties.get("products") else []
        return Event(Did.REFUNDED, lines=lines, order=_id(properties, "order_id"), **base)
    if plain in ("product added to wishlist", "wished"):
        return Event(
            Did.WISHED,
            lines=[_line(properties, "properties")],
            until_day=_day(properties, "until_day"),
            **base,
        )
    if plain in _UNLIKED:
        return Event(
            Did.UNLIKED, decision=decision, reason=_text(properties, "reason").lower(),
            lines=[] if decision else [_line(properties, "properties")], until_day=_day(properties, "until_day"), **base,
        )  # fmt: skip
    if plain in _REACTIONS and decision:
        return Event(
            Did.REACTED, decision=decision, reason=_text(properties, "reason").lower(),
            reactions=[each.name for each in _REACTIONS[plain]], **base,
        )  # fmt: skip
    if plain == "message reacted":
        reactions = properties.get("reactions")
        if not isinstance(reactions, list) or not all(isinstance(each, str) for each in reactions):
            raise Refused("properties.reactions", reactions, 'Send a list such as ["open", "click"]')
        return Event(
            Did.REACTED,
            decision=decision,
            reason=_text(properties, "reason").lower(),
            reactions=[_clean(each) for each in reactions],
            **base,
        )
    did = Did.NEARLY if plain in _NEARLY else Did.SPOKE if plain in _SPOKE else Did.OTHER
    return Event(did, grants=grants, kept=_plain(properties), **base)


def _words_of(name: str) -> str:
    return name.strip().lower().replace("_", " ")


def is_reaction(name: str) -> bool:
    """Whether an event of this name tells of a reaction, and so must name the decision that it is about."""
    return _words_of(name) in _REACTIONS


class Delivery(msgspec.Struct):
    """A batch whose events are not opened yet."""

    batch: list[msgspec.Raw]
    context: msgspec.Raw = msgspec.Raw(b"")
    sent_at: str | None = msgspec.field(default=None, name="sentAt")
    write_key: str | None = msgspec.field(default=None, name="writeKey")


class _Light(msgspec.Struct):
    """The fields of an event that are read of every event; the others stay as they were written."""

    type: str
    event: str = ""
    name: str = ""
    user: str | int | None = msgspec.field(default=None, name="userId")
    anonymous: str | int | None = msgspec.field(default=None, name="anonymousId")
    message: str | None = msgspec.field(default=None, name="messageId")
    timestamp: str | None = None
    original: str | None = msgspec.field(default=None, name="originalTimestamp")
    sent_at: str | None = msgspec.field(default=None, name="sentAt")
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    context: msgspec.Raw = msgspec.Raw(b"{}")


_DELIVERY = msgspec.json.Decoder(Delivery)
_LIGHT = msgspec.json.Decoder(_Light)


def delivery(raw: bytes) -> Delivery | None:
    """A batch of the tracking API, its events still closed; None when it has to be read with more care."""
    try:
        raw.decode()  # what stays closed is not looked into
        found = _DELIVERY.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if 0 < len(found.batch) <= BATCH_EVENTS else None


def events_of(told: Delivery, received_ms: int) -> list[Event]:
    """The events of a batch. What nothing but she reads is kept as it was written, which is much cheaper.

    Raises
    ------
    Refused
        naming the event, the field and what would be right.
    """
    common: dict[str, Any] = {}
    if bytes(told.context) not in (b"", b"null"):
        found = msgspec.json.decode(told.context)
        common = found if isinstance(found, dict) else {}
    events = []
    for k, raw in enumerate(told.batch):
        event = None if common.get("consent") else _light(bytes(raw), received_ms, told.sent_at)
        if event is None:
            try:
                event = _heavy(raw, common, received_ms, told.sent_at)
            except Refused as error:
                raise error.at(f"batch[{k}]") from None
        events.append(event)
    return events


def _heavy(raw: msgspec.Raw, common: dict[str, Any], received_ms: int, sent_at: str | None) -> Event:
    try:
        item = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise Refused("event", bytes(raw)[:40].decode("utf-8", "replace"), "Send an object") from None
    if not isinstance(item, dict):
        raise Refused("event", item, "Send an object")
    checked_size(item)
    if common:
        item = {**item, "context": {**common, **_map(item, "context")}}
    return event_of(item, received_ms, sent_at)


def _light(raw: bytes, received_ms: int, sent_at: str | None) -> Event | None:
    """An event that changes nothing that a decision reads; None for every other, and for whatever looks odd."""
    if len(raw) > EVENT_BYTES or b"\\" in raw or raw.count(b"{") + raw.count(b"[") > 12:
        return None
    try:
        told = _LIGHT.decode(raw)
    except msgspec.DecodeError:
        return None
    message, user, anonymous = told.message or "", _light_id(told.user), _light_id(told.anonymous)
    if user is None or anonymous is None or not (user or anonymous) or len(message) >= LONGEST_MESSAGE_ID:
        return None
    properties = bytes(told.properties)
    context = bytes(told.context)
    if (
        b"consent" in context
        or not context.startswith((b"{", b"null"))
        or not properties.startswith(b"{")
        or not properties.isascii()
    ):
        return None
    if told.type == "track":
        plain = told.event.strip().lower().replace("_", " ")
        if not plain or plain in _READ:
            return None
        name, did = (
            told.event,
            Did.NEARLY if plain in _NEARLY else Did.SPOKE if plain in _SPOKE else Did.OTHER,
        )
    elif told.type in ("page", "screen"):
        name, did = f"{told.type} {told.name}".strip(), Did.NEARLY
    else:
        return None
    try:
        at_ms = _when({"timestamp": told.original or told.timestamp}, received_ms, sent_at or told.sent_at)
    except Refused:
        return None
    return Event(did, at_ms, name, message, user, anonymous, kept_json=properties)


def _light_id(value: str | int | None) -> str | None:
    text = "" if value is None else str(value)
    return text if len(text) <= naming.LONGEST and text.isascii() else None


def posthog_event(told: Mapping[str, Any], received_ms: int, sent_at: Any) -> Event:
    """One item of PostHog's capture API as an event."""
    properties = _map(told, "properties")
    name = _text(told, "event")
    properties.pop("token", None)  # the key of the source says nothing of her
    who = _id(told, "distinct_id") or _id(told, "$distinct_id") or _id(properties, "distinct_id")
    timestamp, ago = told.get("timestamp"), told.get("offset")
    if not timestamp and type(ago) is int and 0 <= ago <= received_ms:
        timestamp, sent_at = received_ms - ago, None
    seg: dict[str, Any] = {
        "messageId": _text(told, "uuid"),
        "timestamp": timestamp,
        "anonymousId": _id(properties, "$anon_distinct_id") or None,
        "userId": who,
    }
    if properties.get("$process_person_profile") is False or properties.get("$is_identified") is False:
        seg |= {"anonymousId": who, "userId": None}
    if name in ("$identify", "$set"):
        traits = {**_map(properties, "$set"), **_map(told, "$set")}
        return event_of({**seg, "type": "identify", "traits": traits}, received_ms, sent_at)
    if name == "$create_alias":
        return event_of(
            {**seg, "type": "alias", "previousId": _id(properties, "alias")}, received_ms, sent_at
        )
    if name == "$pageview":
        return event_of({**seg, "type": "page", "properties": properties}, received_ms, sent_at)
    return event_of({**seg, "type": "track", "event": name, "properties": properties}, received_ms, sent_at)


def checked_size(told: Mapping[str, Any]) -> None:
    """Refuse one event of a batch that is larger than one may be."""
    try:
        size = len(msgspec.json.encode(told))
    except RecursionError:
        raise Refused("event", told, "Nest objects no deeper than sixteen levels") from None
    except ValueError:
        size = len(json.dumps(told))  # half surrogates
    if size > EVENT_BYTES:
        raise Refused("event", told, f"Send at most {EVENT_BYTES} bytes in one event")


# ---- fields --------------------------------------------------------------------------------------------------


def _map(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = told.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Refused(name, value, "Send an object")
    return dict(value)


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise Refused(name, value, "Send text")
    return _clean(str(value))


def _id(told: Mapping[str, Any], name: str) -> str:
    """An identifier as text; clients send explicit nulls, and numbers. It is never changed: two could become one."""
    value = told.get(name)
    if value is None or isinstance(value, bool | float | list | dict):
        return ""
    text = str(value)
    if text != _clean(text) or len(text.strip()) > naming.LONGEST:
        raise Refused(name, value, f"Send at most {naming.LONGEST} characters without NUL or half surrogates")
    return text


def _clean(text: str) -> str:
    """Text that every store can keep: no NUL, no lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _plain(values: Mapping[str, Any], place: str = "properties") -> dict[str, Any]:
    return {_clean(str(name)): _kept(value, f"{place}.{name}") for name, value in values.items()}


def _kept(value: Any, place: str, depth: int = 0) -> Any:
    if depth > 16:
        raise Refused(place, value, "Nest objects no deeper than sixteen levels")
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, Mapping):
        return {_clean(str(k)): _kept(v, f"{place}.{k}", depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(each, place, depth + 1) for each in value]
    return value


def _rest(values: Mapping[str, Any], *without: str) -> dict[str, Any]:
    return _plain({name: value for name, value in values.items() if name not in without})


def _lines(properties: Mapping[str, Any]) -> list[Line]:
    products = properties.get("products")
    if not isinstance(products, list) or not products:
        raise Refused("properties.products", products, "Send a list with a product for each line")
    lines = [
        _line(each, f"properties.products[{k}]") if isinstance(each, Mapping) else _bad(each, k)
        for k, each in enumerate(products)
    ]
    return lines


def _bad(value: Any, k: int) -> Line:
    raise Refused(f"properties.products[{k}]", value, "Send an object with product_id, quantity and price")


def _line(told: Mapping[str, Any], place: str) -> Line:
    units = _number(told, "quantity", place, 1)
    if units != int(units) or not 0 <= units <= MOST_UNITS:
        raise Refused(
            f"{place}.quantity", told.get("quantity"), f"Send a whole number from 0 to {MOST_UNITS}"
        )
    offer = _number(told, "offer", place, -1)
    if offer != int(offer) or not -1 <= offer <= MOST_CENTS:
        raise Refused(f"{place}.offer", told.get("offer"), "Send the id of an offer, or leave it out")
    product, sku = _id(told, "product_id"), _id(told, "sku")
    return Line(
        sku=product or sku,
        category=_text(told, "category"),
        units=int(units),
        paid_cents=_cents(told, "price", place, units),
        coupon_cents=_cents(told, "discount", place, 1),
        offer=int(offer),
        also=sku if product and sku != product else "",
    )


def _cents(told: Mapping[str, Any], name: str, place: str, times: float) -> int:
    cents = round(_number(told, name, place, 0) * 100 * times)
    if not 0 <= cents <= MOST_CENTS:
        raise Refused(
            f"{place}.{name}", told.get(name), "Send an amount of money from 0 up, in whole currency units"
        )
    return cents


def _number(told: Mapping[str, Any], name: str, place: str, usual: float) -> float:
    value = told.get(name)
    if value is None or value == "":
        return usual
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Refused(f"{place}.{name}", value, f"Send a number from -{MOST} to {MOST}") from None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -MOST <= value <= MOST  # neither is NaN
    ):
        raise Refused(f"{place}.{name}", value, f"Send a number from -{MOST} to {MOST}")
    return float(value)


def _day(told: Mapping[str, Any], name: str) -> int | None:
    if told.get(name) is None:
        return None
    day = _number(told, name, "properties", 0)
    if not -30_000 < day < 30_000:
        raise Refused(f"properties.{name}", told.get(name), "Send a day of the retailer's calendar")
    return int(day)


def _grants(context: Mapping[str, Any]) -> dict[str, bool]:
    preferences = _map(_map(context, "consent"), "categoryPreferences")
    for name, value in preferences.items():
        if not isinstance(value, bool):
            raise Refused(f"context.consent.categoryPreferences.{name}", value, "Send true or false")
    return {_clean(str(name)): value for name, value in preferences.items()}


def _when(told: Mapping[str, Any], received_ms: int, sent_at: Any) -> int:
    """``receivedAt - (sentAt - originalTimestamp)``: a client's clock may be wrong, its intervals are not."""
    original = told.get("originalTimestamp") or told.get("timestamp")
    if original is None or original == "":
        return received_ms
    at = moment(original, "timestamp")
    if sent_at is not None and sent_at != "":
        at = moment(received_ms - (moment(sent_at, "sentAt") - at), "timestamp")
    # Nothing happens after it is heard of.
    return min(at, received_ms)


def moment(value: Any, name: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 text or a number of milliseconds; ten digits are seconds.

    Examples
    --------
    >>> moment("2026-11-22T10:00:00Z", "timestamp")
    1795341600000
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < END_MS:
        ms = int(value * 1000 if _SECONDS <= value < 10 * _SECONDS else value)
    elif isinstance(value, str):
        try:
            told = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            raise Refused(name, value, "Send a time such as 2026-11-22T10:00:00.000Z") from None
        if told.tzinfo is None:
            told = told.replace(tzinfo=datetime.UTC)
        ms = (told - _EPOCH) // datetime.timedelta(milliseconds=1)
    else:
        raise Refused(name, value, "Send a time between 1970 and 2100, such as 2026-11-22T10:00:00.000Z")
    if not 0 <= ms < END_MS:
        raise Refused(name, value, "Send a time between 1970 and 2100")
    return ms


Parse = Callable[[Mapping[str, Any], int, Any], Event]
