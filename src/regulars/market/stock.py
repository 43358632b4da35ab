"""What is left on the shelf: intended demand in integers, rationing by keyed priority, weekly delivery."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars import draws
from regulars.terms import F32, I32, U8

#: What she does when her product is out: another product, wait, another shop; the rest drops it. Emmelhainz, Stock
#: and Emmelhainz (1991) and Corsten and Gruen (2003): other brand 26% and other size 19%, delay 15%, other store 31%.
SUBSTITUTE, DELAY, ELSEWHERE = 0.45, 0.15, 0.31
#: Bit of an occasion that says what she does, beside her category; without it an occasion is a product, so that a
#: town has at most so many of them.
DOES = MOST_PRODUCTS = 1 << 23


class Stock(NamedTuple):
    """On-hand units of each retailer: (R, P)."""

    on_hand: I32
    order_up_to: I32
    out: U8  #: 1 where nothing is on hand


def start(usual_weekly_units: F32, weeks_of_stock: NDArray[np.float64]) -> Stock:
    """Full shelves.

    Parameters
    ----------
    usual_weekly_units : (R, P) units that a retailer usually sells in a week
    weeks_of_stock : (R,) order-up-to level in weeks; a retailer with 0 never runs out
    """
    level = np.ceil(usual_weekly_units * weeks_of_stock[:, None]).astype(np.int32)
    level = np.where(weeks_of_stock[:, None] > 0, np.maximum(level, 2), np.int32(2**30)).astype(np.int32)
    return Stock(level.copy(), level, np.zeros(level.shape, np.uint8))


def deliver(stock: Stock) -> None:
    """The weekly delivery: every product up to its level."""
    np.copyto(stock.on_hand, stock.order_up_to)
    stock.out[:] = 0


@njit(cache=True, nogil=True)
def ration(key, day, names, lines, n, stock, demand, priority, order, short):
    """Serve intended lines from stock; write the indices of unserved ones to ``short`` and return how many.

    Demand is summed in integers, so that the result does not depend on the order of lines; where it exceeds what is
    on hand, lines are served in the order of a priority keyed by (consumer, day, product).
    ``demand`` is (R, P) scratch, all zero on entry and exit; the other scratch columns have room for n.
    """
    for i in range(n):
        demand[lines.retailer[i], lines.product[i]] += lines.units[i]
    contested = 0
    for i in range(n):
        r, p = lines.retailer[i], lines.product[i]
        if demand[r, p] > stock.on_hand[r, p]:
            order[contested] = i
            priority[contested] = draws.four(key, draws.Purpose.STOCK, names[lines.consumer[i]], day, p)[0]
            contested += 1
    for i in range(n):
        r, p = lines.retailer[i], lines.product[i]
        if 0 < demand[r, p] <= stock.on_hand[r, p]:
            stock.on_hand[r, p] -= demand[r, p]
            demand[r, p] = 0
    ranked = np.argsort(priority[:contested], kind="mergesort")
    missing = 0
    for k in range(contested):
        i = order[ranked[k]]
        r, p = lines.retailer[i], lines.product[i]
        demand[r, p] = 0
        if lines.units[i] <= stock.on_hand[r, p]:
            stock.on_hand[r, p] -= lines.units[i]
        else:
            short[missing] = i
            missing += 1
    for i in range(n):
        r, p = lines.retailer[i], lines.product[i]
        stock.out[r, p] = stock.on_hand[r, p] <= 0
    return missing
