"""You are what you buy: the categories she bought most, over and over, whether or not she needs them now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from regulars.draws import sigmoid
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
from regulars.retail.relevance import due_of, liking, person, rhythm, steady
from regulars.terms import NONE, U8, Basis, Scope


@dataclass(frozen=True)
class PurchasesSettings:
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


class Purchases(Paced):
    """Reads purchases, but neither her wishes nor the calendar of her needs."""

    name = "purchases"
    Settings = PurchasesSettings
    scopes = (Scope.PURCHASES,)
    copy = Copy(revealed=0.5, justification=0.3, obtrusiveness=0.3, control=0.3)

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """What she bought most and has not just heard of; to a stranger the most popular."""
        slots = self.slots(view.day)
        out = blank(len(view.row) * slots)
        return first(out, _decide(out, view, today, slots, self.settings.repeat_days, self.copy))

    def candidates(self, view: View, today: Today, draws: Draws) -> U8:
        """As for every policy; and what she never bought, once anything is known."""
        ruled = super().candidates(view, today, draws)
        if view.visits[0] > 0:
            ruled[(ruled == Reason.OUTRANKED) & (view.bought[0] == 0)] = Reason.NOT_BOUGHT
        return ruled


_FAVOURITE = int(Reason.FAVOURITE)
_POPULAR = int(Reason.POPULAR)
_BOUGHT = int(Basis.BOUGHT_HERE)
_NOTHING = int(Basis.NOTHING)
_PURCHASES = 1 << Scope.PURCHASES


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(out, view, today, slots, repeat_days, copy):
    # Columns by name: to hand the whole view to a helper for each category costs more than what it does.
    kept, bought, last_nth = view.kept, view.bought, view.last_nth
    needs, whenever = today.needs, steady(today.need)
    unlike, unlike_until = view.unlike_category, view.unlike_until
    heard, heard_day = view.recent_category, view.recent_day
    offer, w, day = today.offer, today.need, view.day
    m = 0
    for k in range(len(view.row)):
        channels, other, visits = view.channels[k], NONE, np.int64(view.visits[k])
        start, fit = person(w, visits, view.pace[k], view.small[k], view.last_visit[k], day)
        for ahead in range(min(slots, view.room[k])):
            channel = lowest_channel(channels)
            if channel < 0:
                break
            best, score = NONE, -1e9
            for c in range(len(offer)):
                if bought[k, c] == 0 or offer[c] < 0 or c == other:
                    continue
                back = visits - last_nth[k, c]
                liked = liking(w, needs, c, kept[k, c], bought[k, c], back, fit)
                if (
                    liked > score
                    and not holds(unlike, unlike_until, k, c, day)
                    and not holds(heard, heard_day, k, c, day - repeat_days + 1)
                ):
                    best, score = c, liked
            if best >= 0:
                interval, elapsed = rhythm(
                    bought[k, best],
                    view.first_day[k, best],
                    view.last_day[k, best],
                    day,
                    today.interval[best],
                )
                why = (np.int64(_BOUGHT), np.int64(_FAVOURITE), np.int64(_PURCHASES))
                put_offer(out, m, k, today, copy, np.int64(channel), np.int64(best), why)
                out.interval[m] = interval
                out.elapsed[m] = elapsed
                # How much she likes it; whether she needs it now is not asked.
                due = due_of(interval, elapsed)
                grounds = (
                    np.float64(sigmoid(start + whenever + score)),
                    np.float64(due),
                    np.float64(0.0),
                    np.float64(score),
                )
                put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
            else:
                for c in today.order:
                    known = c == other or holds(heard, heard_day, k, c, day - repeat_days + 1)
                    if not known and not holds(unlike, unlike_until, k, c, day):
                        best = c
                        break
                if best < 0:
                    break
                why = (np.int64(_NOTHING), np.int64(_POPULAR), np.int64(0))
                put_offer(out, m, k, today, copy, np.int64(channel), np.int64(best), why)
                grounds = (
                    np.float64(min(0.9, today.popular[best])),
                    np.float64(0.0),
                    np.float64(0.0),
                    np.float64(0.0),
                )
                put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
            other = best
            channels &= 255 ^ (1 << channel)
            m += 1
    return m
