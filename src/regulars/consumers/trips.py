"""Who goes shopping today, and to which retailer and store.

Kernels of this file and what they take::

    today = Today(key, day, dow, week, weather)
    n, outside = who_shops(today, town, attraction, shoppers)

A shopping occasion comes with the hazard ``rate x day of week x season x weather x exp(drift) x gap table x (gap /
own mean gap) ** regularity``, fitted at one chain. That chain is the share ``inside`` of her shopping, so her
occasions anywhere have the hazard divided by ``inside``. Each retailer of the run takes the part that a logit of
``log(inside x share) + pull`` gives it against the rest of the world; with every ``pull`` at 0 that is exactly the
fitted rate, and however strong a pull, she shops no more than all her occasions. Each retailer has a uniform of its
own and the first arrival of the day wins, so a pull that rises takes no trip to that retailer away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars import draws
from regulars.consumers.kernels import DOOR, INNER
from regulars.consumers.population import GAP_EDGES, STORES
from regulars.terms import F32, I32, NONE, U8

_TRIP = int(draws.Purpose.TRIP)
_STORE = int(draws.Purpose.STORE)
_DRIFT = int(draws.Purpose.DRIFT)

#: Weekly autocorrelation of the drift of a trip rate.
DRIFT_RHO = 0.97
_DRIFT_NEW = float(np.sqrt(1.0 - DRIFT_RHO**2))

#: Least and most days since the last trip, in own mean gaps, that regularity looks at.
EARLIEST, LATEST = 0.1, 3.0

#: Bin of GAP_EDGES by days since the last trip; later days are in the last bin.
GAP_BIN = np.searchsorted(GAP_EDGES, np.arange(GAP_EDGES[-1] + 2)).astype(np.uint8)


class Attraction(NamedTuple):
    """What draws each consumer to the R retailers of a run."""

    inside: F32  #: (N,) share of her shopping that goes to these retailers at rest, in (0, 1]
    share: F32  #: (N, R) how that splits among them at rest; rows sum to 1
    pull: F32  #: (N, R) change of log-odds, 0 at rest


class Shoppers(NamedTuple):
    """Who shops today, in order of row; columns have room for every consumer."""

    consumer: I32  #: row of the consumer
    retailer: U8
    store: NDArray[np.uint16]


def at_rest(consumers: int, inside: float = 1.0, shares: tuple[float, ...] = (1.0,)) -> Attraction:
    """The same attraction for everybody, with no pull.

    Parameters
    ----------
    consumers : how many
    inside : share of their shopping that goes to the retailers of the run
    shares : how that splits among the retailers, summing to 1
    """
    return Attraction(
        np.full(consumers, inside, np.float32),
        np.tile(np.asarray(shares, np.float32), (consumers, 1)),
        np.zeros((consumers, len(shares)), np.float32),
    )


def empty_shoppers(consumers: int) -> Shoppers:
    """Room for every consumer to shop."""
    return Shoppers(
        np.zeros(consumers, np.int32), np.zeros(consumers, np.uint8), np.zeros(consumers, np.uint16)
    )


@njit(**DOOR)
def who_shops(today, town, attraction, shoppers):
    """Fill ``shoppers``, reset their clocks, move the drift once a week; returns (shoppers, trips elsewhere).

    ``today`` is a Today, ``town`` a Town, ``attraction`` an Attraction. The trips elsewhere are a count only:
    they leave no trace.
    """
    habits, demand, needs = town.habits, town.demand, town.needs
    day = today.day
    retailers = attraction.share.shape[1]
    calendar = demand.week_trips[today.week] * np.float64(today.weather)
    new_week = day % 7 == 0
    n = 0
    outside = 0
    for i in range(len(habits.consumer)):
        name = habits.consumer[i]
        if new_week:
            drift_on(today.key, day, i, habits, needs)
        hazard = trip_hazard(day, i, today.dow, habits, demand, needs) * calendar
        inside = np.float64(attraction.inside[i])
        words = draws.four(today.key, _TRIP, name, day, 0)
        if retailers == 1 and attraction.pull[i, 0] == 0.0:
            if arrives(draws.unit(words[0]), hazard):
                n = _go(today, i, 0, habits, needs, shoppers, n)
            if inside < 1.0 and arrives(draws.unit(words[1]), hazard * (1.0 - inside) / inside):
                outside += 1
            continue
        if inside <= 0.0:
            continue
        total = 1.0 - inside
        for r in range(retailers):
            total += inside * attraction.share[i, r] * draws.exp(attraction.pull[i, r])
        everywhere = hazard / inside / total
        chosen = -1
        soonest = np.inf
        for r in range(retailers):
            if r > 0 and r & 3 == 0:
                words = draws.four(today.key, _TRIP, name, day, r >> 2)
            u = draws.unit(words[r & 3])
            rate = everywhere * inside * attraction.share[i, r] * draws.exp(attraction.pull[i, r])
            if arrives(u, rate):
                arrival = -draws.log(1.0 - u) / rate
                if arrival < soonest:
                    soonest = arrival
                    chosen = r
        if chosen >= 0:
            n = _go(today, i, chosen, habits, needs, shoppers, n)
        if inside < 1.0:
            if retailers & 3 == 0:
                words = draws.four(today.key, _TRIP, name, day, retailers >> 2)
            if arrives(draws.unit(words[retailers & 3]), everywhere * (1.0 - inside)):
                outside += 1
    return n, outside


@njit(**INNER)
def trip_hazard(day, i, dow, habits, demand, needs):
    """Hazard of a trip of consumer ``i`` before season and weather."""
    gap = day - needs.last_trip[i]
    gap_bin = GAP_BIN[min(max(gap, 0), len(GAP_BIN) - 1)]
    late = min(max(gap * np.float64(habits.trip_rate[i]), EARLIEST), LATEST)
    level = draws.log(late) * habits.gap_power[i] + needs.drift[i]
    table = demand.gap_hazard[habits.trip_class[i], gap_bin]
    return habits.trip_rate[i] * habits.trip_dow[i, dow] * table * draws.exp(level)


@njit(**INNER)
def drift_on(key, day, i, habits, needs):
    """One week of her AR(1) drift about its level."""
    shock = draws.normal(key, _DRIFT, habits.consumer[i], day, 0)
    level = needs.drift_level[i]
    needs.drift[i] = level + DRIFT_RHO * (needs.drift[i] - level) + _DRIFT_NEW * habits.drift_sigma[i] * shock


@njit(**INNER)
def arrives(u, hazard):
    """Whether a uniform says that something of this hazard happens: ``u < 1 - exp(-hazard)``."""
    # 1 - exp(-h) <= h: most are turned away without an exponential.
    return u < hazard and u < 1.0 - draws.exp(-hazard)


@njit(**INNER)
def _go(today, i, retailer, habits, needs, shoppers, n):
    first, second, _, _ = draws.four(today.key, _STORE, habits.consumer[i], today.day, 0)
    store = needs.last_store[i]
    if store == NONE or draws.unit(second) >= habits.store_stay[i]:
        u = draws.unit(first)
        slot = 0
        while slot < STORES - 1 and u >= habits.store_cdf[i, slot]:
            slot += 1
        store = np.int32(habits.store[i, slot])
    shoppers.consumer[n] = i
    shoppers.retailer[n] = retailer
    shoppers.store[n] = store
    needs.gap[i] = today.day - needs.last_trip[i]
    needs.last_trip[i] = today.day
    needs.last_store[i] = store
    return n + 1
