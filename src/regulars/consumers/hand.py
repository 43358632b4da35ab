"""What she has in hand from a retailer: the last few messages she noticed, with their terms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.terms import F32, I32, NEVER, NONE, U8

#: Messages kept in hand per consumer and retailer.
ROOM = 8


class Hand(NamedTuple):
    """(N, R, ROOM) slots; a slot is free when ``offer`` and ``category`` are NONE."""

    category: NDArray[np.int16]
    offer: I32
    saving: F32
    day: NDArray[np.int16]  #: day she noticed it
    last_day: NDArray[np.int16]  #: last day its terms hold
    opened: U8


def empty_hands(consumers: int, retailers: int) -> Hand:
    """Nothing in hand."""
    shape = (consumers, retailers, ROOM)
    return Hand(
        np.full(shape, NONE, np.int16),
        np.full(shape, NONE, np.int32),
        np.zeros(shape, np.float32),
        np.full(shape, NEVER, np.int16),
        np.full(shape, NEVER, np.int16),
        np.zeros(shape, np.uint8),
    )


@njit(cache=True, nogil=True)
def put(hand, consumer, retailer, category, offer, saving, day, last_day, opened):
    """Keep a noticed message: over the same offer or category if held, else over the oldest slot."""
    slot = 0
    for k in range(ROOM):
        if hand.category[consumer, retailer, k] == category and hand.offer[consumer, retailer, k] == offer:
            slot = k
            break
        if hand.day[consumer, retailer, k] < hand.day[consumer, retailer, slot]:
            slot = k
    hand.category[consumer, retailer, slot] = category
    hand.offer[consumer, retailer, slot] = offer
    hand.saving[consumer, retailer, slot] = saving
    hand.day[consumer, retailer, slot] = day
    hand.last_day[consumer, retailer, slot] = last_day
    hand.opened[consumer, retailer, slot] = opened


@njit(cache=True, nogil=True)
def give_back(hand, consumer, retailer, category, offer):
    """Put a coupon back that was spent on what then was not there; into the slot that still tells of it."""
    for k in range(ROOM):
        if hand.offer[consumer, retailer, k] == NONE and hand.category[consumer, retailer, k] == category:
            hand.offer[consumer, retailer, k] = offer
            return
