"""What she keeps of each retailer: irritation, brand memory, creepy episodes, trust and what she expects.

Irritation fades within weeks, brand memory within months, a creepy episode within a year: that irritation
decays faster than memory is in Kronrod and Huber (2018), the lengths are priors. The functions are kernels:
they validate nothing, allocate nothing (but :func:`start`) and change the mind that they are given.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.draws import exp, log
from regulars.errors import SettingError
from regulars.terms import F32, I32, NEVER, NONE, U8, Verdict

_LN2 = 0.6931471805599453


class Mind(NamedTuple):
    """Memory of N consumers for R retailers; columns are (N, R) unless said."""

    irritation: F32  #: fading count of annoying messages
    brand: F32  #: fading count of opened messages
    creep: F32  #: fading count of creepy messages
    trust: F32  #: 0 to 1, starts at 0.5
    value: F32  #: moving average of verdicts, -1 to 1: what she expects of the next message
    last_contact: I32  #: day of the last message she opened
    last_category: I32  #: its category
    last_category_day: I32  #: day she last opened a message about that category
    filtered: U8  #: 1 when her filter keeps this sender's messages from her
    blocked: U8  #: 1 when she has shut this retailer out
    unsubscribed: U8  #: bits ``1 << channel``
    revoked: NDArray[np.uint16]  #: bits ``1 << scope`` that she took back
    load: F32  #: (N,) messages of the last week from all retailers of the run


def start(consumers: int, retailers: int) -> Mind:
    """A mind without a past: nothing remembered, trust in the middle.

    Raises
    ------
    SettingError
        when there are no retailers or a negative number of consumers.
    """
    if consumers < 0 or retailers < 1:
        raise SettingError(f"{consumers} consumers and {retailers} retailers. Give at least 0 and 1")
    shape = (consumers, retailers)
    return Mind(
        irritation=np.zeros(shape, np.float32),
        brand=np.zeros(shape, np.float32),
        creep=np.zeros(shape, np.float32),
        trust=np.full(shape, 0.5, np.float32),
        value=np.zeros(shape, np.float32),
        last_contact=np.full(shape, NEVER, np.int32),
        last_category=np.full(shape, NONE, np.int32),
        last_category_day=np.full(shape, NEVER, np.int32),
        filtered=np.zeros(shape, np.uint8),
        blocked=np.zeros(shape, np.uint8),
        unsubscribed=np.zeros(shape, np.uint8),
        revoked=np.zeros(shape, np.uint16),
        load=np.zeros(consumers, np.float32),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def fade(world, mind):
    """One day passes: irritation, brand memory, creepy episodes and load each lose their daily share."""
    _scale(mind.irritation, np.float32(exp(-_LN2 / world.irritation_half_life_days)))
    _scale(mind.brand, np.float32(exp(-_LN2 / world.brand_half_life_days)))
    _scale(mind.creep, np.float32(exp(-_LN2 / world.creep_half_life_days)))
    left = np.float32(exp(-1.0 / world.load_days))
    for i in range(mind.load.shape[0]):
        mind.load[i] *= left


@njit(cache=True, nogil=True, error_model="numpy")
def _scale(column, factor):
    flat = column.reshape(column.size)
    for j in range(flat.size):
        flat[j] *= factor


@njit(cache=True, nogil=True, error_model="numpy")
def pulls(world, mind, out):
    """Log-odds that memory adds to the choice of each retailer, into ``out`` (N, R) float32.

    ``brand_pull * ln(1 + brand / brand_scale) - irritation_pull * irritation - creep_pull * creep
    + trust_pull * (trust - 0.5)``, and ``shut_out_penalty`` less where she shut the retailer out.
    """
    size = out.size
    brand, irritation, creep = (
        mind.brand.reshape(size),
        mind.irritation.reshape(size),
        mind.creep.reshape(size),
    )
    trust, blocked, flat = mind.trust.reshape(size), mind.blocked.reshape(size), out.reshape(size)
    per = 1.0 / world.brand_scale
    for j in range(size):
        flat[j] = (
            world.brand_pull * log(1.0 + brand[j] * per)
            - world.irritation_pull * irritation[j]
            - world.creep_pull * creep[j]
            + world.trust_pull * (trust[j] - 0.5)
            - world.shut_out_penalty * blocked[j]
        )


_COMPELLING = int(Verdict.COMPELLING)
_CREEPY = int(Verdict.CREEPY)
_ANNOYING = int(Verdict.ANNOYING)


@njit(cache=True, nogil=True, error_model="numpy")
def remember(world, mind, consumer, retailer, day, category, verdict):
    """What one opened message leaves behind, given how it was judged."""
    i, r = consumer, retailer
    mind.brand[i, r] += np.float32(1.0)
    mind.last_contact[i, r] = day
    if category >= 0:
        mind.last_category[i, r] = category
        mind.last_category_day[i, r] = day
    if verdict == _COMPELLING:
        counts = 1.0
        mind.trust[i, r] = min(1.0, mind.trust[i, r] + world.trust_gain)
    elif verdict == _CREEPY:
        counts = -1.0
        mind.creep[i, r] += np.float32(1.0)
        mind.trust[i, r] = max(0.0, mind.trust[i, r] - world.trust_loss)
    elif verdict == _ANNOYING:
        counts = -1.0
        mind.irritation[i, r] += np.float32(1.0)
    else:
        counts = world.ignored_value
        mind.irritation[i, r] += np.float32(world.irritation_ignored)
    value = mind.value[i, r] + world.value_rate * (counts - mind.value[i, r])
    mind.value[i, r] = value
    mind.filtered[i, r] = 1 if value < world.filter_threshold else 0
