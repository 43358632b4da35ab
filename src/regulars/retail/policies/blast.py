"""The offers with the best margin, to everybody who can be reached, whoever they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from regulars.errors import SettingError
from regulars.retail.catalog import Today
from regulars.retail.consent import View
from regulars.retail.decision import (
    Copy,
    Decisions,
    Draws,
    Reason,
    blank,
    first,
    lowest_channel,
    put_grounds,
    put_offer,
)
from regulars.retail.policies import Paced, paced
from regulars.retail.record import holds
from regulars.terms import Basis


@dataclass(frozen=True)
class BlastSettings:
    """How often, and through how many offers it goes.

    Attributes
    ----------
    per_week : messages a week, 0 to 14, spread evenly
    deck : it rotates through so many of the day's best offers
    """

    per_week: float = 5
    deck: int = 12

    def __post_init__(self) -> None:
        paced(self.per_week)
        if self.deck < 1:
            raise SettingError(f"deck is {self.deck}. Take 1 or more")


class Blast(Paced):
    """Uses nothing about anybody."""

    name = "blast"
    Settings = BlastSettings
    copy = Copy(revealed=0.0, justification=0.0, obtrusiveness=0.4, control=0.2)

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """The next offers of the deck, to all."""
        slots = self.slots(view.day)
        out = blank(len(view.row) * slots)
        turn = int(np.floor(view.day * self.settings.per_week / 7))
        deck = today.order[: self.settings.deck]
        return first(out, _decide(out, view, today, deck, turn, slots, self.copy))


_REASON = int(Reason.MARGIN)
_BASIS = int(Basis.NOTHING)


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(out, view, today, deck, turn, slots, copy):
    m = 0
    if len(deck) == 0:
        return m
    for k in range(len(view.row)):
        channels, ahead, tried = view.channels[k], 0, 0
        while ahead < min(slots, view.room[k]) and tried < len(deck):
            c = deck[(turn + tried) % len(deck)]
            tried += 1
            channel = lowest_channel(channels)
            if channel < 0 or holds(view.unlike_category, view.unlike_until, k, c, view.day):
                continue
            why = (np.int64(_BASIS), np.int64(_REASON), np.int64(0))
            put_offer(out, m, k, today, copy, np.int64(channel), np.int64(c), why)
            grounds = (
                np.float64(min(0.9, today.popular[c])),
                np.float64(0.0),
                np.float64(0.0),
                np.float64(today.margin[c]),
            )
            put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
            channels &= 255 ^ (1 << channel)
            ahead += 1
            m += 1
    return m
