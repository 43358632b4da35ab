"""Only what she allows, her wishes first, when she needs it, within her budget, saying why; else silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars.draws import Purpose as Luck
from regulars.draws import sigmoid, uniforms4
from regulars.errors import SettingError
from regulars.retail.catalog import Option, Today
from regulars.retail.consent import View
from regulars.retail.contact_rules import ContactRules
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
    put_option,
)
from regulars.retail.learn import Bandit, Outcomes
from regulars.retail.policies import Policy, paced
from regulars.retail.predicted_verdict import (
    FEATURES,
    Prices,
    days_since_heard,
    fill_message,
    fill_person,
    probabilities,
    worth_at,
)
from regulars.retail.record import holds
from regulars.retail.relevance import WISH, base, due_of, own, person, rhythm
from regulars.terms import I64, NEVER, U8, Basis, Scope


@dataclass(frozen=True)
class ConsiderateSettings:
    """How often at most, how sure, and what it asks for.

    Attributes
    ----------
    per_week : cap on messages a week, 0 to 14
    min_gap_days : days between two contacts; shrinks when ``per_week`` leaves less
    repeat_days : it does not speak of a category again within so many days, wished for or not
    epsilon : how often it tries one of the next best, so that it can learn
    prices : what a displeasing contact costs, against one that pleases
    restraint : how much of those prices it heeds; with 0 it sends the best it has as often as it may
    ask_gap_days : while no wish of hers stands it asks for them, at most so often; 0 never asks
    exchange : what it promises in return, 0 to 1
    option_gap_days : with nothing that fits it offers an option after so many days of silence, counted from day 0 or
        her first purchase at the earliest; 0 never
    """

    per_week: float = 5
    min_gap_days: int = 1
    repeat_days: int = 3
    epsilon: float = 0.05
    prices: Prices = field(default_factory=Prices)
    restraint: float = 1.0
    ask_gap_days: int = 28
    exchange: float = 0.5
    option_gap_days: int = 28

    def __post_init__(self) -> None:
        paced(self.per_week)
        if not 0 <= self.epsilon <= 1:
            raise SettingError(f"epsilon is {self.epsilon}. Take a probability")
        if not 0 <= self.restraint <= 10:
            raise SettingError(f"restraint is {self.restraint}. Take 0 to 10; 1 is the usual")


class Considerate(Policy):
    """Sends only what it predicts compelling, and learns what that is."""

    name = "considerate"
    Settings = ConsiderateSettings
    scopes = (Scope.PURCHASES, Scope.STATED)
    copy = Copy(revealed=0.6, justification=0.9, obtrusiveness=0.1, control=0.9)

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.bandit = Bandit()

    def pace(self) -> ContactRules:
        """A cap, and a rest between two contacts."""
        return paced(self.settings.per_week, self.settings.min_gap_days)

    def slots(self, day: int) -> int:
        """One a day, or two when the cap is above 7."""
        return 0 if self.settings.per_week == 0 else 2 if self.settings.per_week > 7 else 1

    def decide(self, view: View, today: Today, draws: Draws) -> Decisions:
        """For each customer the best of what passes, or silence."""
        slots = self.slots(view.day)
        out = blank(len(view.row) * slots)
        worth = self.bandit.draw(draws.key, view.day)
        return first(out, _decide(out, view, today, worth, draws.key, slots, self._steps(), self.copy))

    def candidates(self, view: View, today: Today, draws: Draws) -> U8:
        """As for every policy; and what she never bought, what came too far behind, what would not please."""
        ruled = super().candidates(view, today, draws)
        best, pleases = _look(view, today, self._steps(), self.copy)
        open_ = ruled == Reason.OUTRANKED
        ruled[open_] = Reason.NOT_SHORTLISTED
        ruled[open_ & (view.bought[0] == 0) & (view.visits[0] > 0)] = Reason.NOT_BOUGHT
        ruled[best[pleases]] = Reason.OUTRANKED
        ruled[best[~pleases]] = Reason.NOT_COMPELLING
        return ruled

    def learn(self, outcomes: Outcomes) -> None:
        """What each message was worth."""
        self.bandit.learn(outcomes.features, outcomes.reward)

    def state(self) -> dict[str, NDArray[Any]]:
        """What the bandit learned."""
        return self.bandit.state()

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to a state."""
        self.bandit.restore(state)

    def _steps(self) -> tuple[float, ...]:
        s = self.settings
        prices = tuple(
            s.restraint * each for each in (s.prices.annoying, s.prices.creepy, s.prices.attention)
        )
        gaps = (float(s.option_gap_days), float(s.repeat_days))
        return (*prices, s.epsilon, float(s.ask_gap_days), s.exchange, *gaps)


def _look(view: View, today: Today, steps: tuple[float, ...], copy: Copy) -> tuple[I64, NDArray[np.bool_]]:
    """The shortlist of the first customer of the view, and which of it is predicted compelling."""
    best, odds = np.empty(SHORTLIST, np.int64), np.empty(SHORTLIST)
    purchases = (view.kept, view.lately, view.last_nth, view.bought)
    days = (view.bought, view.first_day, view.last_day)
    visits = np.int64(view.visits[0])
    hers = (visits, *person(today.need, visits, view.pace[0], view.small[0], view.last_visit[0], view.day))
    wishes, unlikes = (view.wish_category, view.wish_until), (view.unlike_category, view.unlike_until)
    offers = (today.order, np.sort(today.order), today.offer, today.interval, today.needs, today.need)
    heard = (view.recent_category, view.recent_day)
    pool = np.empty(len(today.offer) + 1, np.int64)
    found = shortlist(
        0,
        view.day,
        hers,
        purchases,
        days,
        wishes,
        unlikes,
        heard,
        np.int64(steps[7]),
        offers,
        pool,
        best,
        odds,
    )
    x = np.empty(FEATURES, np.float32)
    history = (view.week[0], view.month[0], view.sent[0], view.opened[0], view.clicked[0], view.unliked[0])
    fill_person(x, view.day - view.last_contact[0], *history, 0)
    pleases = np.zeros(found, np.bool_)
    for j in range(found):
        passed, value = np.empty(1, np.int64), np.empty(1)
        alone = (best[j : j + 1], odds[j : j + 1], 1, x, passed, value)
        tables = (today.interval, today.saving, today.verdict, np.zeros(FEATURES), steps, copy)
        pleases[j] = _pass(0, view.day, days, heard, *tables, *alone) > 0
    return best[:found], pleases


# ---- kernels --------------------------------------------------------------------------------------

SHORTLIST = 6  # by relevance
EXPLORED = 3  # the first that pass; which of them is best, the bandit learns
STRANGER = 12  # offers considered for somebody of whom nothing is known
_LUCK = int(Luck.POLICY)
_WISHED = int(Reason.WISHED)
_DUE = int(Reason.DUE)
_FAVOURITE = int(Reason.FAVOURITE)
_POPULAR = int(Reason.POPULAR)
_TOLD = int(Basis.TOLD)
_BOUGHT = int(Basis.BOUGHT_HERE)
_NOTHING = int(Basis.NOTHING)
_STATED = int(Scope.STATED)
_STATED_BIT = 1 << Scope.STATED
_PURCHASES_BIT = 1 << Scope.PURCHASES
_IDEAS = int(Option.IDEAS)
_NO_DAY = 1 << 15
_WISH_FIRST = 1000.0
_OPTION_RELEVANCE = 0.35  # assumed: a service that asks for nothing is welcome now and then


@njit(cache=True, nogil=True, error_model="numpy")
def worth_of(x, verdict, steps):
    """Expected worth of a message with features ``x``, in compelling contacts."""
    pleases, creepy, annoys, _ = probabilities(x, verdict)
    return worth_at(pleases, creepy, annoys, steps)


@njit(cache=True, nogil=True, error_model="numpy")
def shortlist(k, day, hers, purchases, days, wishes, unlikes, heard, repeat_days, offers, pool, best, score):
    """The most relevant categories on offer with the log-odds that she buys from them within a week.

    Best first, and what she wished for before everything, ``_WISH_FIRST`` higher. Returns how many.
    """
    # Columns in small groups: to hand a whole view to a helper costs more than what it does.
    visits, start, fit = hers
    bought, first_day, last_day = days
    wish, wish_until = wishes
    unlike, unlike_until = unlikes
    recent_category, recent_day = heard
    order, standing, offer, usual, needs, w = offers
    found, count, choosy, since = 0, 0, False, day - repeat_days + 1
    for j in range(unlike_until.shape[1]):
        choosy |= unlike_until[k, j] >= day
    for j in range(recent_day.shape[1]):
        choosy |= recent_day[k, j] >= since
    # Once is no habit: what she bought once counts only when there is little else.
    for least in (1, 0):
        if count < len(best):
            count = 0
            for j in range(len(standing)):
                # Without a branch: half of them would be guessed wrong.
                pool[count] = standing[j]
                count += int(bought[k, standing[j]] > least)
    if visits == 0:
        # A stranger can only be offered what everybody likes.
        count = min(STRANGER, len(order))
        pool[:count] = order[:count]
    for j in range(count):
        c = pool[j]
        if bought[k, c] > 0:
            interval, elapsed = rhythm(bought[k, c], first_day[k, c], last_day[k, c], day, usual[c])
            odds = start + own(w, needs, c, purchases, k, visits, fit, interval, elapsed)
        else:
            odds = start + base(needs, c, visits, fit)
        if found == len(best) and odds <= score[found - 1]:
            continue
        if choosy and (
            holds(unlike, unlike_until, k, c, day) or holds(recent_category, recent_day, k, c, since)
        ):
            continue
        found = insert(best, score, found, c, odds)
    for j in range(wish_until.shape[1]):
        c = wish[k, j]
        if c < 0 or wish_until[k, j] < day or offer[c] < 0:
            continue
        if choosy and (
            holds(unlike, unlike_until, k, c, day) or holds(recent_category, recent_day, k, c, since)
        ):
            continue
        found = remove(best, score, found, c)
        odds = start + w[WISH]
        if bought[k, c] > 0:
            interval, elapsed = rhythm(bought[k, c], first_day[k, c], last_day[k, c], day, usual[c])
            odds += own(w, needs, c, purchases, k, visits, fit, interval, elapsed)
        else:
            odds += base(needs, c, visits, fit)
        found = insert(best, score, found, c, _WISH_FIRST + odds)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def insert(best, score, found, c, value):
    """Put ``c`` into a list sorted by falling score, dropping the last when it is full. Returns how many."""
    if found == len(best) and value <= score[found - 1]:
        return found
    place = min(found, len(best) - 1)
    while place > 0 and score[place - 1] < value:
        best[place] = best[place - 1]
        score[place] = score[place - 1]
        place -= 1
    best[place] = c
    score[place] = value
    return min(found + 1, len(best))


@njit(cache=True, nogil=True, error_model="numpy")
def remove(best, score, found, c):
    """Take ``c`` out of such a list. Returns how many are left."""
    left = 0
    for j in range(found):
        if best[j] != c:
            best[left] = best[j]
            score[left] = score[j]
            left += 1
    return left


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(out, view, today, weights, key, slots, steps, copy):
    pool = np.empty(len(today.offer) + 1, np.int64)
    best = np.empty(SHORTLIST, np.int64)
    odds = np.empty(SHORTLIST)
    passed = np.empty(SHORTLIST, np.int64)
    value = np.empty(SHORTLIST)
    x = np.empty(FEATURES, np.float32)
    day = view.day
    purchases = (view.kept, view.lately, view.last_nth, view.bought)
    days = (view.bought, view.first_day, view.last_day)
    wishes = (view.wish_category, view.wish_until)
    unlikes = (view.unlike_category, view.unlike_until)
    heard = (view.recent_category, view.recent_day)
    offers = (today.order, np.sort(today.order), today.offer, today.interval, today.needs, today.need)
    repeat_days = np.int64(steps[7])
    m = 0
    for k in range(len(view.row)):
        room, channels, ahead = min(slots, view.room[k]), view.channels[k], 0
        if room == 0 or channels == 0:
            continue
        # The bargain that it may offer while no wish stands: tell us what you want, and get so much for it.
        asking = steps[4] > 0 and day - view.last_ask[k] >= steps[4]
        for until in view.wish_until[k]:
            asking &= until < day
        visits = np.int64(view.visits[k])
        start, fit = person(today.need, visits, view.pace[k], view.small[k], view.last_visit[k], day)
        found = shortlist(
            k,
            day,
            (visits, start, fit),
            purchases,
            days,
            wishes,
            unlikes,
            heard,
            repeat_days,
            offers,
            pool,
            best,
            odds,
        )
        while ahead < room and channels != 0:
            fill_person(
                x,
                day - view.last_contact[k],
                view.week[k],
                view.month[k],
                view.sent[k],
                view.opened[k],
                view.clicked[k],
                view.unliked[k],
                ahead,
            )
            count = _pass(
                k,
                day,
                days,
                heard,
                today.interval,
                today.saving,
                today.verdict,
                weights,
                steps,
                copy,
                best,
                odds,
                found,
                x,
                passed,
                value,
            )
            if count == 0:
                break
            pick, propensity = 0, 1.0
            several = count
            if ahead == 0 and several > 1:
                u, v, _, _ = uniforms4(key, _LUCK, view.customer[k], view.day, 0)
                if u < steps[3]:
                    pick = int(v * several)
                propensity = steps[3] / several + (1.0 - steps[3] if pick == 0 else 0.0)
            c = passed[pick]
            wish, chance = 0.0, 0.0
            for j in range(found):
                if best[j] == c:
                    wish = 1.0 if odds[j] > 0.5 * _WISH_FIRST else 0.0
                    chance = sigmoid(odds[j] - _WISH_FIRST * wish)
            interval, elapsed, due = -1.0, -1.0, 0.0
            if view.bought[k, c] > 0:
                interval, elapsed = rhythm(
                    view.bought[k, c], view.first_day[k, c], view.last_day[k, c], day, today.interval[c]
                )
                due = due_of(interval, elapsed)
            basis, reason, scopes = _NOTHING, _POPULAR, 0
            if elapsed >= 0:
                basis, reason, scopes = _BOUGHT, _DUE if due >= 0.5 else _FAVOURITE, _PURCHASES_BIT
            if wish:
                basis, reason, scopes = _TOLD, _WISHED, scopes | _STATED_BIT
            why = (np.int64(basis), np.int64(reason), np.int64(scopes))
            put_offer(out, m, k, today, copy, np.int64(lowest_channel(channels)), np.int64(c), why)
            out.propensity[m] = propensity
            out.interval[m] = interval
            out.elapsed[m] = elapsed
            grounds = (np.float64(chance), np.float64(due), np.float64(wish), np.float64(value[pick]))
            put_grounds(out, m, k, view, copy, np.int64(ahead), grounds)
            if ahead == 0 and asking:
                out.asks[m] = _STATED
                out.exchange[m] = steps[5]
            channels &= 255 ^ (1 << out.channel[m])
            found = remove(best, odds, found, c)
            ahead += 1
            m += 1
        if ahead == 0 and steps[6] > 0 and silent_days(day, view.last_contact, view.first_day, k) >= steps[6]:
            put_option(out, m, k, view, copy, lowest_channel(channels), _IDEAS)
            grounds = (np.float64(_OPTION_RELEVANCE), np.float64(0.0), np.float64(0.0), np.float64(0.0))
            put_grounds(out, m, k, view, copy, np.int64(0), grounds)
            if asking:
                out.asks[m] = _STATED
                out.exchange[m] = steps[5]
            if worth_of(out.features[m], today.verdict, steps) > 0:
                m += 1
    return m


@njit(cache=True, nogil=True, error_model="numpy")
def silent_days(day, last_contact, first_day, k):
    """Days since the last contact; when there was none, since her first purchase, or day 0 if that is later."""
    if last_contact[k] != NEVER:
        return day - np.int64(last_contact[k])
    first = np.int64(_NO_DAY)
    for bought in first_day[k]:
        if bought != NEVER:
            first = min(first, np.int64(bought))
    return day - max(first, 0) if first < _NO_DAY else day


@njit(cache=True, nogil=True, error_model="numpy")
def _pass(
    k,
    day,
    days,
    heard,
    usual,
    saving,
    verdict,
    weights,
    steps,
    copy,
    best,
    odds,
    found,
    x,
    passed,
    value,
):
    """The first of the shortlist that are predicted compelling, by what they are worth. Returns how many."""
    bought, first_day, last_day = days
    count = 0
    for j in range(found):
        if count == EXPLORED:
            break
        c = best[j]
        wish = 1.0 if odds[j] > 0.5 * _WISH_FIRST else 0.0
        due, basis = 0.0, _NOTHING
        if bought[k, c] > 0:
            interval, elapsed = rhythm(bought[k, c], first_day[k, c], last_day[k, c], day, usual[c])
            due, basis = due_of(interval, elapsed), _BOUGHT
        again = days_since_heard(heard[0], heard[1], k, c, day)
        relevance = sigmoid(odds[j] - _WISH_FIRST * wish)
        fill_message(x, relevance, due, wish, saving[c], _TOLD if wish else basis, again, copy)
        if worth_of(x, verdict, steps) > 0:
            worth = _WISH_FIRST * wish
            for a in range(FEATURES):
                worth += weights[a] * x[a]
            count = insert(passed, value, count, c, worth)
    return count
