"""What customers do and say, in the engine's own words; every client's protocol is turned into these."""

from __future__ import annotations

import enum
import json
from typing import Any

import msgspec

#: What somebody may tell of herself, and the column of the record for it.
CODES = {"age_class": "age", "income_class": "income", "kids": "kids", "household_size": "household_size"}


class Did(enum.StrEnum):
    """What an event tells."""

    PURCHASED = "purchased"
    REFUNDED = "refunded"
    REACTED = "reacted"
    WISHED = "wished"
    UNLIKED = "unliked"
    ALLOWED = "allowed"  #: a change of consent or of opt-ins
    TOLD = "told"  #: something about herself: address, time zone, demographics
    NEARLY = "nearly"  #: looked at, or put in the basket and not bought
    SPOKE = "spoke"  #: a conversation with the service
    OTHER = "other"  #: kept and shown to her, read by no policy


class Line(msgspec.Struct, omit_defaults=True):
    """One line of a basket."""

    sku: str = ""
    category: str = ""
    units: int = 1
    paid_cents: int = 0  #: the whole line, before coupons
    coupon_cents: int = 0
    offer: int = -1
    also: str = ""  #: what else the product is called: clients send both a ``product_id`` and a ``sku``

    def names(self) -> tuple[str, ...]:
        """What the product is called; the first that the catalog has counts."""
        return tuple(name for name in (self.sku, self.also) if name)


class Event(msgspec.Struct, omit_defaults=True):
    """One thing that a customer did or said."""

    did: Did
    at_ms: int
    name: str = ""  #: what the client called it
    message: str = ""  #: id under which it counts once
    user: str = ""
    anonymous: str = ""
    lines: list[Line] = []
    order: str = ""
    decision: str = ""  #: the decision that a reaction is about
    reactions: list[str] = []
    reason: str = ""  #: with an unlike: creepy or annoying
    category: str = ""
    until_day: int | None = None
    grants: dict[str, bool] = {}  #: "purchases", "purchases.measure", "contact.email" ...
    traits: dict[str, Any] = {}
    live: bool = False  #: of a purchase: no file told it, and its order counts once
    gpc: bool = False  #: her browser said: do not pass anything on (Sec-GPC)
    kept: dict[str, Any] = {}  #: what else the client sent, kept for her to see
    kept_json: bytes = b""  #: the same as the client wrote it, of an event that nothing reads


def plain(event: Event) -> dict[str, Any]:
    """An event in words and numbers, for her to see."""
    told: dict[str, Any] = msgspec.to_builtins(event)
    told.pop("live", None)
    body = told.pop("kept_json", None)
    if body is not None:
        told["kept"] = _decoded(event.kept_json)
    return told


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body, parse_constant=lambda word: None)  # numbers beyond what msgspec takes
