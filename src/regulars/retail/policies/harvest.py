"""Everything that can be known, bought from brokers or guessed, whether she shared it or not; and it shows.

What the other policies are warned against by. It runs in simulations only: the gate opens everything for a
retailer that honours no consent, and the ledger marks each such use as covert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
from regulars.retail.record import cell_of, holds
from regulars.retail.relevance import ELSEWHERE, ELSEWHERE_DAYS, TILT, WISH, base, due_of, own, person, rhythm
from regulars.terms import NONE, Basis, Scope


@dataclass(frozen=True)
class HarvestSettings:
    """How often, how soon again, and how sure a guess must be.

    Attributes
    ----------
    per_week : messages a week, 0 to 14, spread evenly
    repeat_days : it does not speak of a category again within so many days
    sure : from this probability on it acts on a guess about who she is
    quiet : it uses as much but lets the copy show as little as it can: covert use, which she may still detect
    """

    per_week: float = 5
    repeat_days: int = 5
    sure: float = 0.6
    quiet: bool = False

    def __post_init__(self) -> None:
        paced(self.per_week)


class Harvest(Paced):
    """Takes all, reveals it, explains nothing."""

    name = "harvest"
    Settings = HarvestSettings
    scopes = (
        Scope.PURCHASES,
        Scope.BROWSING,
        Scope.STATED,
        Scope.DEMOGRAPHICS,
        Scope.INFERRED,
    )
    copy = Copy(revealed=0.9, justification=0.2, obtrusiveness=0.5, control=0.1)
    covert = True

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        if self.settings.quiet:
            self.copy = Copy(revealed=0.1, justification=0.0, obtrusiveness=0.2, control=0.1)

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """What all evidence together makes likeliest."""
        slots = self.slots(view.day)
        out = blank(len(view.row) * slots)
        settings = self.settings
        return first(out, _decide(out, view, today, slots, settings.repeat_days, settings.sure, self.copy))


_WISHED = int(Reason.WISHED)
_ELSEWHERE = int(Reason.ELSEWHERE)
_INFERRED = int(Reason.INFERRED)
_DUE = int(Reason.DUE)
_FAVOURITE = int(Reason.FAVOURITE)
_POPULAR = int(Reason.POPULAR)
_TOLD = int(Basis.TOLD)
_BOUGHT = int(Basis.BOUGHT_HERE)
_BOUGHT_ELSEWHERE = int(Basis.BOUGHT_ELSEWHERE)
_GUESSED = int(Basis.INFERRED)
_NOTHING = int(Basis.NOTHING)
_ALL = sum(1 << scope for scope in Harvest.scopes)


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(out, view, today, slots, repeat_days, sure, copy):
    bought, first_day, last_day = view.bought, view.first_day, view.last_day
    purchases = (view.kept, view.lately, view.last_nth, view.bought)
    unlike, unlike_until = view.unlike_category, view.unlike_until
    heard, heard_day = view.recent_category, view.recent_day
    wish, wish_until = view.wish_category, view.wish_until
    elsewhere, elsewhere_day = view.elsewhere_category, view.elsewhere_day
    offer, w, day, usual = today.offer, today.need, view.day, today.interval
    affinity, tilt, needs = today.affinity, today.tilt, today.needs
    m = 0
    for k in range(len(view.row)):
        channels, other, cell = view.channels[k], NONE, cell_of(view.age[k], view.kids[k])
        visits = np.int64(view.visits[k])
        start, fit = person(w, visits, view.pace[k], view.small[k], view.last_visit[k], day)
        kids, old = view.inferred[k, 0] >= sure, view.inferred[k, 1] >= sure
        for ahead in range(min(slots, view.room[k])):
            channel = lowest_channel(channels)
            if channel < 0:
                break
            best, odds = NONE, -1e9
            for c in range(len(offer)):
                if offer[c] < 0 or c == other:
                    continue
                if bought[k, c] > 0:
                    interval, elapsed = rhythm(bought[k, c], first_day[k, c], last_day[k, c], day, usual[c])
                    score = start + own(w, needs, c, purchases, k, visits, fit, interval, elapsed)
                else:
                    score = start + base(needs, c, visits, fit)
                if cell >= 0:
                    score += w[TILT] * affinity[cell, c]
                if kids:
                    score += w[TILT] * tilt[0, c]
                if old:
                    score += w[TILT] * tilt[1, c]
                # The bonuses cannot lift it: spares the small tables.
                if score + w[WISH] + w[ELSEWHERE] <= odds:
                    continue
                if holds(wish, wish_until, k, c, day):
                    score += w[WISH]
                if holds(elsewhere, elsewhere_day, k, c, day - ELSEWHERE_DAYS):
                    score += w[ELSEWHERE]
                if (
                    score > odds
                    and not holds(unlike, unlike_until, k, c, day)
                    and not holds(heard, heard_day, k, c, day - repeat_days + 1)
                ):
                    best, odds = c, score
            if best < 0:
                break
            interval, elapsed, due = -1.0, -1.0, 0.0
            if bought[k, best] > 0:
                interval, elapsed = rhythm(
                    bought[k, best], first_day[k, best], last_day[k, best], day, usual[best]
                )
                due = due_of(interval, elapsed)
            wished = 1.0 if holds(wish, wish_until, k, best, day) else 0.0
            guess = 0.0
            if kids:
                guess += tilt[0, best]
            if old:
                guess += tilt[1, best]
            if wished:
                basis, reason = _TOLD, _WISHED
            elif elapsed >= 0:
                basis, reason = _BOUGHT, _DUE if due >= 0.5 else _FAVOURITE
            elif holds(elsewhere, elsewhere_day, k, best, day - ELSEWHERE_DAYS):
                basis, reason = _BOUGHT_ELSEWHERE, _ELSEWHERE
            elif guess > 0.2:
                basis, reason = _GUESSED, _INFERRED
            else:
                basis, reason = _NOTHING, _POPULAR
            why = (np.int64(basis), np.int64(reason), np.int64(_ALL))
            put_offer(out, m, k, today, copy, np.int64(channel), np.int64(best), why)
            out.interval[m] = interval
            out.elapsed[m] = elapsed
            grounds = (np.float64(sigmoid(odds)), np.float64(due), np.float64(wished), np.float64(odds))
            put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
            other = best
            channels &= 255 ^ (1 << channel)
            m += 1
    return m
