"""One day in town, as the kernels of demand take it: the day itself and everybody who may shop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regulars.consumers.hand import Hand, empty_hands
from regulars.consumers.needs import start
from regulars.consumers.population import Demand, Habits, Needs, Population


class Today(NamedTuple):
    """One day as plain numbers, and the key of the world."""

    key: NDArray[np.uint32]  #: (2,) from ``draws.stream``
    day: int  #: since the run's start, negative in the warm-up
    dow: int  #: day of the week, Monday 0
    week: int  #: week of shelf and season
    weather: float  #: factor on the hazard of every trip; 0 when the shops are closed


class Persuasion(NamedTuple):
    """What a message in hand does, one world's draw."""

    exposure_lift: float  #: a category that she has just read about is needed so much more, as a share
    exposure_half_life_days: float
    coupon_lift: float  #: log factor on a product per unit of share saved


#: Middle of the road, for callers that do not draw worlds.
PLAIN_PERSUASION = Persuasion(0.15, 10.0, 2.0)


class Town(NamedTuple):
    """Everybody in one world: who they are, what they need and what they hold."""

    habits: Habits
    demand: Demand
    needs: Needs
    hand: Hand
    persuasion: Persuasion


def town_of(
    population: Population,
    key: NDArray[np.uint32],
    first_day: int,
    retailers: int = 1,
    persuasion: Persuasion = PLAIN_PERSUASION,
) -> Town:
    """A town on the evening before ``first_day``, with nothing in hand.

    Parameters
    ----------
    population : who lives there
    key : (2,) uint32 from ``draws.stream``
    first_day : first day that will be lived; negative when there is a warm-up
    retailers : how many retailers may put messages in their hands
    persuasion : what those do
    """
    habits, demand = population.habits, population.demand
    return Town(
        habits,
        demand,
        start(habits, demand, key, first_day),
        empty_hands(len(population), retailers),
        persuasion,
    )
