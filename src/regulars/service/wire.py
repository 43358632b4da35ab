"""What goes over the wire, in and out; the OpenAPI page is made of these types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=256)]
ChannelName = Literal["email", "app", "web", "sms", "mail", "store", "kiosk", "call"]
ScopeName = Literal[
    "contact",
    "purchases",
    "browsing",
    "stated",
    "service",
    "location",
    "household",
    "demographics",
    "inferred",
]
PurposeName = Literal["serve", "personalize", "contact", "measure", "share"]


#: So many products, and so many categories, may be named as candidates.
MOST_CANDIDATES = 500


class Candidates(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """To what an offer is limited: these products, and all products of these categories."""

    skus: Annotated[list[Id], Meta(min_length=1, max_length=MOST_CANDIDATES)] | None = None
    categories: Annotated[list[Id], Meta(min_length=1, max_length=MOST_CANDIDATES)] | None = None


class DecisionRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who is there, and where."""

    user_id: Id | None = None
    anonymous_id: Id | None = None
    channel: ChannelName | None = None
    #: place of the shop or page, such as a store's number; taken from clients that send it, neither read nor kept
    place: Annotated[str, Meta(max_length=256)] | None = None
    #: when; now when left out
    moment: Annotated[str, Meta(max_length=64)] | None = None
    #: IANA name, such as Europe/Berlin; the one she told before, else the retailer's
    timezone: Annotated[str, Meta(max_length=64)] | None = None
    #: an offer is good for one of these, or none is made; anything that stands when left out
    candidates: Candidates | None = None


class Offer(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is offered."""

    id: int
    category: str
    saving: float  #: share of the price
    last_day: str  #: last date on which it holds
    products: list[str] = []  #: skus for which it is good and that are on hand, when it names up to a hundred


class Decision(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is said, and why."""

    id: str
    action: Literal["offer", "option", "silence"]
    reason: str
    to_her: str
    to_manager: str
    policy: str
    policy_version: str
    propensity: float = 1.0
    channel: str | None = None
    offer: Offer | None = None
    option: str | None = None
    #: probability of each verdict
    predicted: dict[str, float] = {}
    #: scopes that the choice drew on, and all that were open to the policy
    used: list[str] = []
    opened: list[str] = []
    #: what stands on the shelf for anybody; says nothing of her
    for_everybody: Offer | None = None


class Considered(msgspec.Struct, rename="camel"):
    """What could have been said, and what ruled it out."""

    category: str
    saving: float
    said: bool
    reason: str
    words: str


class Explained(msgspec.Struct, rename="camel"):
    """A decision with its candidates."""

    decision: Decision
    customer: int
    at: str
    candidates: list[Considered]
    reactions: list[str]
    #: the candidates that were named when it was asked for; null when none were
    limited_to: Candidates | None = None


class Replayed(msgspec.Struct, rename="camel"):
    """A decision made again from what it rested on."""

    id: str
    equal: bool
    differs: list[str]


class ReactionRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What she did about a message."""

    reactions: Annotated[
        list[Literal["open", "click", "buy", "redeem", "unlike", "unsubscribe", "block", "complain"]],
        Meta(min_length=1, max_length=8),
    ]
    reason: Literal["creepy", "annoying"] | None = None


class ConsentRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What she allows or takes back."""

    user_id: Id | None = None
    anonymous_id: Id | None = None
    #: such as {"purchases": true, "contact.email": false, "purchases.measure": true}
    grants: Annotated[dict[str, bool], Meta(min_length=1, max_length=64)]


class StockLine(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A product on the shelf, with ``onHand``, ``hidden`` or both."""

    sku: Id
    on_hand: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    hidden: bool | None = None


class StockRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is on hand, and what nobody is shown."""

    products: Annotated[list[StockLine], Meta(min_length=1, max_length=10_000)]


class Ignored(msgspec.Struct):
    """A field that was kept as it was told, and changes nothing."""

    field: str
    mend: str


class Done(msgspec.Struct):
    """It was done, and is durable."""

    success: bool = True
    status: int = 1  #: PostHog's word for it
    #: of events, the first fields that mean nothing here; left out when there are none
    ignored: list[Ignored] | msgspec.UnsetType = msgspec.UNSET


class Erased(msgspec.Struct, rename="camel"):
    """She was erased, and that is durable."""

    log_emptied: bool  #: whether she is in no log of the store either
    detail: str  #: when she will be in none
    success: bool = True


class LedgerEntry(msgspec.Struct, rename="camel"):
    """One line of her account."""

    number: int
    day: int
    kind: str
    scopes: list[str]
    purposes: list[str]
    covert: list[str]
    context: str
    cents: int
    chain: str


class Account(msgspec.Struct, rename="camel"):
    """All that is stored about one customer."""

    customer: int
    consent: dict[str, list[str]]
    channels: list[str]
    profile: dict[str, Any]
    record: dict[str, Any]
    events: list[dict[str, Any]]
    decisions: list[Decision]
    ledger: list[LedgerEntry]
    #: number of the first ledger entry that does not fit its chain; null when all do
    broken_at: int | None
    #: what is stored of devices that became hers, each with a ledger of its own; her record has their purchases already
    devices: list[Account] = []


class Tracked(msgspec.Struct, rename="camel"):
    """One call of the Segment tracking API; see segment.com/docs/connections/spec."""

    type: Literal["identify", "track", "page", "screen", "group", "alias"] | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    previous_id: str | int | None = None
    group_id: str | int | None = None
    message_id: str | None = None
    event: str | None = None
    name: str | None = None
    timestamp: str | int | float | None = None
    original_timestamp: str | int | float | None = None
    sent_at: str | int | float | None = None
    write_key: str | None = None
    channel: str | None = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None


class Batch(msgspec.Struct, rename="camel"):
    """Many calls of the tracking API at once."""

    batch: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=2_500)]
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    sent_at: str | int | float | None = None
    write_key: str | None = None


class Posthog(msgspec.Struct):
    """One event of PostHog's capture API, or many in ``batch``."""

    event: str | None = None
    distinct_id: str | int | None = None
    properties: dict[str, Any] | None = None
    uuid: str | None = None
    timestamp: str | int | float | None = None
    offset: int | None = None  #: milliseconds ago, where there is no timestamp
    batch: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=2_500)] | None = None
    api_key: str | None = None
    token: str | None = None
    sent_at: str | int | float | None = None
    historical_migration: bool | None = None


PosthogBody = Posthog | Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=2_500)]
