"""What is asked about somebody, what is answered, and a decision as it is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from regulars.retail import contact_rules, explain
from regulars.retail.decision import Reason
from regulars.service.naming import Name
from regulars.terms import Action, Channel


class Limit(msgspec.Struct, array_like=True, frozen=True, order=True):
    """Candidates to which an offer is limited, by number, sorted; empty for no limit."""

    products: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()  #: all of their products


#: Whatever stands may be offered.
ANYTHING = Limit()


class Stored(msgspec.Struct, array_like=True):
    """A decision as it is kept: what was said, what it rested on, and all that it takes to make it again.

    Kept by place: new fields come last and have a default.
    """

    number: int  #: the contact's number in the record, -1 for silence
    at_ms: int
    channel: int  #: on which it went, as asked for silence; -1 any
    hour: int
    policy: str
    version: str
    reason: int
    action: int
    offer: int = -1
    option: int = 255
    category: int = -1
    saving: float = 0.0
    last_day: int = 0
    propensity: float = 1.0
    predicted: list[float] = []
    used: int = 0
    opened: int = 0
    to_her: str = ""
    to_manager: str = ""
    features: bytes = b""
    reactions: int = 0
    unliked_as: int = 255
    bought: int = 0
    # to make it again
    asked: int = -1  #: the channel asked for, -1 any of the policy's
    common: int = 0
    cutoff: int = contact_rules.NO_CUTOFF
    out: list[int] = []  #: products that were not on hand
    consent: bytes = b""
    contact: bytes = b""
    known: int = 0  #: version of the rest of her record
    settings: str = ""
    shelf: int = 0  #: version of what the retailer had told of its shelf
    limit: Limit = ANYTHING


class Ask(msgspec.Struct, array_like=True, frozen=True):
    """Somebody is there, or a letter is due, and something may be said to her."""

    customer: int  #: her number; -1 somebody of whom nothing is known
    channel: Channel | None  #: None leaves it to the policy
    at_ms: int
    zone: str = ""  #: where she is, when it is told; else as she told before
    names: tuple[Name, ...] = ()  #: under which she is known, where her number is not
    limit: Limit = ANYTHING
    once: str = ""  #: digest of the claimed Idempotency-Key under which it is asked, once decided for ever


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What is said to somebody.

    Attributes
    ----------
    id : under which it is stored; empty for somebody of whom nothing is known, of whom nothing is stored
    stored : the decision
    for_everybody : an offer that stands on the shelf for anybody, -1 for none
    terms : its category, saving and last day
    products : skus for which what is offered is good, as far as they are named and few
    """

    id: str
    stored: Stored
    for_everybody: int = -1
    terms: tuple[int, float, int] = (-1, 0.0, 0)
    products: list[str] = []


def new_ids(now_ms: int, n: int) -> Iterator[str]:
    """Ids for so many decisions: when, then luck; so that those of one moment stand side by side in the store."""
    luck = os.urandom(10 * n)  # at once: whoever calls the system lets another thread go first
    return ((now_ms.to_bytes(6, "big") + luck[k : k + 10]).hex() for k in range(0, 10 * n, 10))


def silence(reason: Reason, about: dict[str, Any]) -> Stored:
    """Nothing is said, for this reason."""
    her, manager = explain.silent_words(reason)
    return Stored(
        number=-1, reason=int(reason), action=int(Action.SILENCE), to_her=her, to_manager=manager, **about
    )
