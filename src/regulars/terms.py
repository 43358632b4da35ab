"""The words of the house as enums, dtypes and small frozen column sets."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: No category, no offer, no product.
NONE = -1
#: "Never" in a column of days (days are int32 since the run's start; the warm-up is negative).
NEVER = -30000

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


class Scope(enum.IntEnum):
    """A part of the record that consent opens or closes as a whole."""

    CONTACT = 0
    PURCHASES = 1
    BROWSING = 2
    STATED = 3
    SERVICE = 4
    LOCATION = 5
    HOUSEHOLD = 6
    DEMOGRAPHICS = 7
    INFERRED = 8


class Purpose(enum.IntEnum):
    """What a scope may be used for; each is one bit of a consent cell, ``1 << purpose``."""

    SERVE = 0
    PERSONALIZE = 1
    CONTACT = 2
    MEASURE = 3
    SHARE = 4


class Channel(enum.IntEnum):
    """Where a contact reaches her."""

    EMAIL = 0
    APP = 1
    SMS = 2
    MAIL = 3
    STORE = 4


#: Bits of the channels that a sender can use at next to no cost; being within reach means being open on one of them.
ELECTRONIC = (1 << Channel.EMAIL) | (1 << Channel.APP) | (1 << Channel.SMS)


class Action(enum.IntEnum):
    """What a decision says."""

    SILENCE = 0
    OFFER = 1
    OPTION = 2


class OfferKind(enum.IntEnum):
    """What stands behind an offer id."""

    COUPON = 0
    DEAL = 1
    CAMPAIGN = 2


class Basis(enum.IntEnum):
    """How the retailer came to the fact that a message uses; she judges by this."""

    NOTHING = 0
    TOLD = 1
    BOUGHT_HERE = 2
    CONTEXT = 3
    BOUGHT_ELSEWHERE = 4
    INFERRED = 5


#: The scope that each basis draws on; she revokes this scope when a message was creepy.
BASIS_SCOPE = (Scope.CONTACT, Scope.STATED, Scope.PURCHASES, Scope.LOCATION, Scope.BROWSING, Scope.INFERRED)


def small_names(kind: type[enum.IntEnum]) -> dict[int, str]:
    """Names by number, in small letters; for where so many are asked for that the enumeration takes long to answer.

    Examples
    --------
    >>> small_names(Verdict)[0]
    'compelling'
    """
    return {int(each): each.name.lower() for each in kind}


class Verdict(enum.IntEnum):
    """How she judges a contact."""

    COMPELLING = 0
    CREEPY = 1
    ANNOYING = 2
    IGNORED = 3


class Reaction(enum.IntEnum):
    """What she does about a contact; in a column, one bit each, ``1 << reaction``."""

    OPEN = 0
    CLICK = 1
    BUY = 2
    REDEEM = 3
    UNLIKE = 4
    UNSUBSCRIBE = 5
    BLOCK = 6
    DISCLOSE = 7
    WITHDRAW = 8
    COMPLAIN = 9


class Fate(enum.IntEnum):
    """What became of an intended purchase line."""

    SERVED = 0
    SUBSTITUTED = 1
    DELAYED = 2
    ELSEWHERE = 3
    DROPPED = 4


class Messages(NamedTuple):
    """Contacts that leave one retailer on one day: all that crosses from the public to the private face.

    All columns have length n (messages). The retailer's reasons and scores stay behind.
    """

    consumer: I32  #: row of the consumer in this run
    channel: U8  #: Channel
    offer: I32  #: offer id in the retailer's catalog, NONE for an option
    category: I32  #: category index the message is about, NONE for a generic one
    saving: F32  #: share of the price she saves, 0 to 1
    last_day: I32  #: last day the terms hold
    basis: U8  #: Basis of the fact used
    revealed: F32  #: how far the copy shows that the fact was used, 0 to 1
    justification: F32  #: how far the copy says why she gets it, 0 to 1
    obtrusiveness: F32  #: 0 to 1
    control: F32  #: how far she can see and steer what is used, 0 to 1
    asks: U8  #: Scope that the message asks her to share; 255 for none
    exchange: F32  #: value promised in return for sharing, 0 to 1


class Responses(NamedTuple):
    """What came back from one batch of ``Messages``, row by row. ``verdict`` is the truth, for the report only."""

    verdict: U8  #: Verdict, never shown to a retailer
    reactions: NDArray[np.uint16]  #: bits of Reaction; this the retailer may learn from
    reason: U8  #: with UNLIKE: Verdict.CREEPY or Verdict.ANNOYING; else 255


class Lines(NamedTuple):
    """Purchase lines of one day, intended or settled. Columns have room for more than n rows."""

    consumer: I32  #: row of the consumer in this run
    retailer: U8
    store: NDArray[np.uint16]
    product: I32
    category: I32
    row: I64  #: her repertoire row, NONE when the category is new to her
    units: I32
    shelf_cents: I32  #: price per unit before discount
    paid_cents: I32  #: whole line after the shelf discount, before any coupon
    offer: I32  #: offer redeemed on this line, NONE
    coupon_cents: I32  #: value of that coupon
    fate: U8  #: Fate


def empty_lines(room: int) -> Lines:
    """Lines with space for ``room`` rows; offers NONE, everything else zero."""
    ints = [np.zeros(room, np.int32) for _ in range(8)]
    return Lines(
        ints[0],
        np.zeros(room, np.uint8),
        np.zeros(room, np.uint16),
        ints[1],
        ints[2],
        np.full(room, NONE, np.int64),
        ints[3],
        ints[4],
        ints[5],
        np.full(room, NONE, np.int32),
        ints[6],
        np.zeros(room, np.uint8),
    )


class Offers(NamedTuple):
    """Everything a retailer may offer in a run: coupons, campaigns (bundles of coupons) and shelf deals."""

    kind: U8  #: OfferKind
    category: I32  #: main category
    saving: F32  #: share of the price saved, 0 to 1
    saving_cents: I32  #: value of one redemption; 0 for a shelf deal
    first_day: I32
    last_day: I32
    bits_row: I32  #: row of ``product_bits``, NONE for a shelf deal
    product_bits: NDArray[np.uint64]  #: (rows, ceil(P / 64)) products on which the coupon is good
