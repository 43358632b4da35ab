"""Who you are: what people of her age, with or without kids, buy more than others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from regulars.draws import exp
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
from regulars.retail.record import cell_of, holds
from regulars.terms import NONE, Basis, Scope


@dataclass(frozen=True)
class DemographicsSettings:
    """How often, and how soon again.

    Attributes
    ----------
    per_week : messages a week, 0 to 14, spread evenly
    repeat_days : it does not speak of a category again within so many days
    """

    per_week: float = 5
    repeat_days: int = 7

    def __post_init__(self) -> None:
        paced(self.per_week)


class Demographics(Paced):
    """Reads age and kids, and nothing she does; whoever did not tell gets what is popular."""

    name = "demographics"
    Settings = DemographicsSettings
    scopes = (Scope.DEMOGRAPHICS,)
    copy = Copy(revealed=0.3, justification=0.2, obtrusiveness=0.3, control=0.3)

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """What people like her buy most and she has not just heard of."""
        slots = self.slots(view.day)
        out = blank(len(view.row) * slots)
        return first(out, _decide(out, view, today, slots, self.settings.repeat_days, self.copy))


_LIKE_HER = int(Reason.PEOPLE_LIKE_HER)
_POPULAR = int(Reason.POPULAR)
_TOLD = int(Basis.TOLD)
_NOTHING = int(Basis.NOTHING)
_DEMOGRAPHICS = 1 << Scope.DEMOGRAPHICS


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(out, view, today, slots, repeat_days, copy):
    unlike, unlike_until = view.unlike_category, view.unlike_until
    heard, heard_day = view.recent_category, view.recent_day
    offer, popular, affinity, day = today.offer, today.popular, today.affinity, view.day
    m = 0
    for k in range(len(view.row)):
        channels, other, cell = view.channels[k], NONE, cell_of(view.age[k], view.kids[k])
        for ahead in range(min(slots, view.room[k])):
            channel = lowest_channel(channels)
            if channel < 0:
                break
            best, score = NONE, 0.0
            for c in range(len(offer)):
                if offer[c] < 0 or c == other:
                    continue
                liked = popular[c] * (exp(affinity[cell, c]) if cell >= 0 else 1.0)
                if (
                    liked > score
                    and not holds(unlike, unlike_until, k, c, day)
                    and not holds(heard, heard_day, k, c, day - repeat_days + 1)
                ):
                    best, score = c, liked
            if best < 0:
                break
            basis, reason, scopes = _NOTHING, _POPULAR, 0
            if cell >= 0:
                basis, reason, scopes = _TOLD, _LIKE_HER, _DEMOGRAPHICS
            why = (np.int64(basis), np.int64(reason), np.int64(scopes))
            put_offer(out, m, k, today, copy, np.int64(channel), np.int64(best), why)
            grounds = (np.float64(min(0.9, score)), np.float64(0.0), np.float64(0.0), np.float64(score))
            put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
            other = best
            channels &= 255 ^ (1 << channel)
            m += 1
    return m
