"""The weather of a town: one keyed factor a day on the wish to go shopping, the same in every arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regulars import draws

#: Day-to-day persistence of the weather's deviation from the season (assumed).
PERSISTENCE = 0.6
#: Effect of one standard deviation on the log of the trip rate (assumed; Roth Tran finds shifts of about 10% over
#: weeks in apparel and sport, and grocery moves less).
EFFECT = 0.04
#: The town as a whole, not one consumer: the name under which common luck is drawn.
TOWN = 0xFFFFFFFF


def factors(key: NDArray[np.uint32], first_day: int, last_day: int) -> NDArray[np.float64]:
    """Factor on trips for every day from first to last, both included; mean about 1.

    The deviation is a finite moving average of keyed normals, so that any day can be had without those before it.
    """
    memory = 12
    weights = PERSISTENCE ** np.arange(memory)
    weights = weights / np.sqrt((weights**2).sum())
    days = np.arange(first_day - memory + 1, last_day + 1)
    town = np.full(len(days), TOWN, np.uint32)
    shocks = draws.normal_column(key, draws.Purpose.WEATHER, town, days, 0)
    deviation = np.convolve(shocks, weights, mode="valid")
    return np.asarray(draws.exp_column(EFFECT * deviation - EFFECT**2 / 2))
