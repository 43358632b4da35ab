"""One arm in one world, day after day: the retailers decide, the consumers judge, shop and are remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regulars import draws, terms
from regulars.consumers import choice, disclosure, memory, needs, priors, trips, verdict
from regulars.consumers.hand import Hand, empty_hands, give_back
from regulars.consumers.memory import Mind
from regulars.consumers.population import Habits, Needs
from regulars.consumers.town import Persuasion, Today
from regulars.consumers.town import Town as People
from regulars.consumers.trips import Shoppers
from regulars.market import shops as opening
from regulars.market import stock, tally, weather
from regulars.market.arms import Arm, Task
from regulars.market.outcome import Learned, Outcome, state_hash
from regulars.market.town import Town
from regulars.retail.decision import Decisions
from regulars.retail.retailer import Retailer
from regulars.settings import Scenario
from regulars.terms import (
    BASIS_SCOPE,
    I32,
    NONE,
    Channel,
    Fate,
    Lines,
    Messages,
    OfferKind,
    Reaction,
    Responses,
    Scope,
)

#: Wishes that she states when she shares what she wants, and for how many days they stand.
WISHES = 4
WISH_DAYS = 90
#: Priors that a warm-up may depend on: who she is and where she shops. All others are at work only after a contact.
AT_REST = ("unconcerned", "guardians", "inside_mean", "inside_concentration", "share_concentration")
#: Hour of the day at which a retailer decides in a run.
HOUR = 10

_DISCLOSE = 1 << int(Reaction.DISCLOSE)
_WITHDRAW = 1 << int(Reaction.WITHDRAW)
_COUPON = int(OfferKind.COUPON)
_SCOPE_OF_BASIS = np.array([int(scope) for scope in BASIS_SCOPE])


@dataclass(frozen=True)
class Warm:
    """What the warm-up leaves to every arm of a world."""

    needs: Needs
    shops: list[Retailer]
    margin_cents: NDArray[np.int64]  #: (N, R) earned in the warm-up


class Talk(NamedTuple):
    """What one retailer and its customers said on one day, row by row."""

    decisions: Decisions
    messages: Messages
    responses: Responses
    fit: NDArray[np.float32]  #: how well each message fitted what she needed, 0 to 1


@dataclass(frozen=True)
class Day:
    """All that happened on one day; shoppers and lines are buffers that the next day writes over."""

    day: int
    talks: list[Talk | None]
    trip_count: int
    shoppers: Shoppers
    line_count: int
    lines: Lines


class Life:
    """The state of one arm in one world, and the step that lives a day.

    Parameters
    ----------
    scenario, place : what is run, and where
    number : which draw of what no data tells
    arm : policies and their settings; None for the warm-up, in which nobody is contacted
    warm : state after the warm-up; None to start it
    """

    def __init__(
        self, scenario: Scenario, place: Town, number: int, arm: Arm | None = None, warm: Warm | None = None
    ) -> None:
        self.scenario, self.place = scenario, place
        self.key = draws.stream(scenario.seed, number)
        pinned = dict(scenario.priors) | dict(arm.priors if arm else {})
        self.world = priors.draw_world(self.key, pinned, frozenset(scenario.ablate))
        self.habits: Habits = place.habits
        consumers, retailers = len(place.habits.consumer), len(scenario.retailers)
        self.traits = priors.draw_traits(self.key, place.habits.consumer, retailers, self.world)
        self.mind: Mind = memory.start(consumers, retailers)
        self.hand: Hand = empty_hands(consumers, retailers)
        self.pull = np.zeros((consumers, retailers), np.float32)
        self.attraction = trips.Attraction(self.traits.inside, self.traits.share, self.pull)
        self.shoppers = trips.empty_shoppers(consumers)
        self.lines = terms.empty_lines(choice.line_room(consumers))
        levels = np.array([retailer.price_level for retailer in scenario.retailers], np.float32)
        self.aisle = place.aisle._replace(price_level=levels)
        self.first_day = -scenario.warm_up
        self.weather = weather.factors(self.key, self.first_day, scenario.days)
        for closed in place.fit_about.get("closed_days", ()):
            # The warm-up lives the end of the same year, so a day that was closed then is closed in both.
            for day in (closed, closed - place.calendar.days):
                if self.first_day <= day <= scenario.days:
                    self.weather[day - self.first_day] = 0.0
        self.tally = tally.start(consumers, retailers, scenario.days)
        self.costs = tally.costs(scenario.retailers)
        self.trips_elsewhere = 0
        if warm is None or arm is None:
            self.needs = needs.start(place.habits, place.demand, self.key, self.first_day)
            consent = disclosure.starting_consent(self.key, self.traits, place.habits)
            self.shops = [opening.open_new(place, self.key, r, consent) for r in range(retailers)]
        else:
            self.needs = Needs._make(column.copy() for column in warm.needs)
            self.shops = [
                opening.reopen(shop, place, arm.policies[r], arm.settings[r])
                for r, shop in enumerate(warm.shops)
            ]
        persuasion = Persuasion(
            self.world.exposure_lift, self.world.exposure_half_life_days, self.world.coupon_lift
        )
        self.people = People(place.habits, place.demand, self.needs, self.hand, persuasion)
        self.stock = self._shelves()

    def live(self, day: int) -> Day:
        """Live one day; negative days are the warm-up, in which nobody is contacted and nothing is counted."""
        calendar = self.place.calendar
        today = Today(
            self.key, day, calendar.dow(day), calendar.week(day), float(self.weather[day - self.first_day])
        )
        if self.stock is not None and today.dow == 0:
            stock.deliver(self.stock)
        talks = [self.talk(shop, r, day) if day >= 0 else None for r, shop in enumerate(self.shops)]
        memory.pulls(self.world, self.mind, self.pull)
        count, elsewhere = trips.who_shops(today, self.people, self.attraction, self.shoppers)
        self.trips_elsewhere += elsewhere
        n = choice.filled(
            choice.fill_baskets(today, self.people, self.aisle, self.shoppers, count, self.lines)
        )
        if self.stock is not None:
            self._sell(self.stock, today, n)
        needs.settle(day, self.needs, self.lines, n)
        for shop in self.shops:
            shop.purchased(day, self.lines, n)
        if day >= 0:
            tally.shop(
                self.tally, day // 7, day, self.place.shelf.private, self.costs,
                self.shoppers.consumer, self.shoppers.retailer, count, self.lines, n,
            )  # fmt: skip
            for shop in self.shops:
                shop.learn(day)
        memory.fade(self.world, self.mind)
        return Day(day, talks, count, self.shoppers, n, self.lines)

    def close_week(self, day: int) -> None:
        """Note the levels at a week's end."""
        for r, shop in enumerate(self.shops):
            tally.levels(
                self.tally, day // 7, r, shop.record.optin, self.mind.blocked[:, r], self.mind.trust[:, r]
            )

    def talk(self, shop: Retailer, r: int, day: int) -> Talk | None:
        """One retailer decides for everybody, they judge and answer, and it hears what they did; None in silence."""
        # What is out when the day begins is not offered on it.
        in_stock = None if self.stock is None else self.stock.out[r] == 0
        decisions = shop.decide(day, hour=HOUR, in_stock=in_stock)
        messages = shop.messages(decisions)
        n = len(messages.consumer)
        if not n:
            return None
        responses = Responses(np.zeros(n, np.uint8), np.zeros(n, np.uint16), np.full(n, 255, np.uint8))
        fit = np.zeros(n, np.float32)
        verdict.judge(
            self.key, day, self.world, self.traits, self.mind, self.hand, self.habits, self.needs,
            messages, r, n, responses, fit,
        )  # fmt: skip
        disclosure.ask(
            self.key, day, self.world, self.traits, self.mind, self.habits, messages, r, n, responses
        )
        shop.react(day, decisions, responses.reactions, responses.reason)
        self._change_consent(shop, day, messages, responses)
        tally.contact(self.tally, day // 7, r, int(Channel.MAIL), messages, responses)
        tally.shut_outs(self.tally, day, r, shop.record.optin, self.mind.blocked[:, r], messages, responses)
        return Talk(decisions, messages, responses, fit)

    def _change_consent(self, shop: Retailer, day: int, messages: Messages, responses: Responses) -> None:
        """What she took back after a creepy message, and what she shared when asked: to be used, and learned from."""
        purposes = 1 << terms.Purpose.PERSONALIZE | 1 << terms.Purpose.MEASURE
        back = np.flatnonzero(responses.reactions & _WITHDRAW)
        scopes = _SCOPE_OF_BASIS[messages.basis[back]]
        for scope in np.unique(scopes):
            shop.consented(messages.consumer[back[scopes == scope]], Scope(scope), purposes, False, day)
        gave = np.flatnonzero(responses.reactions & _DISCLOSE)
        for scope in np.unique(messages.asks[gave]):
            rows = messages.consumer[gave[messages.asks[gave] == scope]]
            shop.consented(rows, Scope(scope), purposes, True, day)
            if scope == Scope.STATED:
                wishes = favourites(self.habits, rows)
                known = wishes >= 0
                shop.wished(
                    np.repeat(rows, WISHES).reshape(wishes.shape)[known],
                    wishes[known],
                    np.full(int(known.sum()), day + WISH_DAYS, np.int32),
                    day,
                )

    def _shelves(self) -> stock.Stock | None:
        weeks = np.array([retailer.weeks_of_stock for retailer in self.scenario.retailers])
        if not (weeks > 0).any():
            return None
        share = np.asarray(self.traits.share, np.float64).mean(axis=0).astype(np.float32)
        usual = share[:, None] * self.place.weekly_units[None, :]
        products = usual.shape[1]
        self._demand = np.zeros((len(weeks), products), np.int32)
        room = len(self.lines.consumer)
        self._priority, self._order, self._short = (np.zeros(room, np.int64) for _ in range(3))
        return stock.start(usual, weeks)

    def _sell(self, shelves: stock.Stock, today: Today, n: int) -> None:
        """Serve lines from stock; those left short substitute, wait, go elsewhere or drop it."""
        short = stock.ration(
            self.key, today.day, self.habits.consumer, self.lines, n, shelves,
            self._demand, self._priority, self._order, self._short,
        )  # fmt: skip
        _make_do(today, self.people, self.aisle, shelves, self._short, short, self.lines)

    def arrays(self) -> list[NDArray[Any]]:
        """All state, in a fixed order, for the hash."""
        own = [*self.needs, *self.mind, *self.hand, *self.tally]
        if self.stock is not None:
            own += [*self.stock]
        return [np.asarray(array) for array in own] + [
            array for shop in self.shops for array in shop.arrays().values()
        ]


def warm_up(scenario: Scenario, place: Town, number: int, pinned: Mapping[str, float] | None = None) -> Warm:
    """Live the days before day 0, without contacts; every arm of the world that pins these priors goes on from here."""
    life = Life(replace(scenario, priors={**scenario.priors, **(pinned or {})}), place, number)
    earned = np.zeros_like(life.tally.margin_cents)
    for day in range(-scenario.warm_up, 0):
        lived = life.live(day)
        tally.margins(earned, place.shelf.private, life.costs, lived.lines, lived.line_count)
    return Warm(life.needs, life.shops, earned)


def live(
    scenario: Scenario, place: Town, task: Task, warm: Warm, tell: Callable[[int], None] | None = None
) -> Outcome:
    """Live one arm in one world from day 0 to the end; ``tell`` hears how many days are lived."""
    life = Life(scenario, place, task.world, task.arm, warm)
    learned = Learned()
    for day in range(scenario.days):
        if task.arm.group == "arms":
            for r, shop in enumerate(life.shops):
                learned.note(r, day, shop.in_common())
        life.live(day)
        if day % 7 == 6 or day == scenario.days - 1:
            life.close_week(day)
            if tell:
                tell(day + 1)
    return Outcome(
        life.tally,
        scenario.days,
        state_hash(life.arrays()),
        closing(life, warm),
        learned.arrays(),
    )


def closing(life: Life, warm: Warm) -> dict[str, NDArray[np.float64]]:
    """Value of the base that remains, share of regulars, and uses of data as the ledgers tell them, per retailer.

    A consumer's margin at rest is that of the warm-up, scaled to a year. Next year's is that times what memory does to
    her choice of shop once irritation and brand memory are gone and creepy episodes have faded to their mean over the
    year; being shut out counts in full. On top comes the premium of being allowed to contact her.
    """
    world, mind = life.world, life.mind
    rate = 1.0 - 0.5 ** (365.0 / world.creep_half_life_days)
    faded = rate / (np.log(2.0) * 365.0 / world.creep_half_life_days)
    durable = mind._replace(
        irritation=np.zeros_like(mind.irritation),
        brand=np.zeros_like(mind.brand),
        creep=(mind.creep * np.float32(faded)).astype(np.float32),
    )
    pull = np.zeros_like(life.pull)
    memory.pulls(world, durable, pull)
    inside = life.traits.inside.astype(np.float64)[:, None]
    weight = life.traits.share * inside * np.exp(pull.astype(np.float64))
    chance = weight / (weight.sum(axis=1, keepdims=True) + 1.0 - inside)
    at_rest = life.traits.share * inside
    yearly = warm.margin_cents / 100.0 * (365.0 / max(life.scenario.warm_up, 1))
    base, regulars = [], []
    for r, shop in enumerate(life.shops):
        reachable = (shop.record.optin & terms.ELECTRONIC != 0) & (mind.blocked[:, r] == 0)
        change = np.where(at_rest[:, r] > 0, chance[:, r] / np.maximum(at_rest[:, r], 1e-9) - 1.0, 0.0)
        base.append(float((yearly[:, r] * (change + world.permission_premium * reachable)).sum()))
        recent = life.tally.period_trips[:, r, -2:].sum(axis=1) > 0
        regulars.append(float((recent & (mind.trust[:, r] >= 0.5) & (mind.blocked[:, r] == 0)).mean()))
    at_first = [float((shop.record.optin & terms.ELECTRONIC != 0).sum()) for shop in warm.shops]
    return {
        "base_value": np.array(base),
        "regulars": np.array(regulars),
        "reachable_start": np.array(at_first),
        "uses": _entered(life.shops, "uses") - _entered(warm.shops, "uses"),
        "covert_uses": _entered(life.shops, "covert") - _entered(warm.shops, "covert"),
    }


def _entered(shops: list[Retailer], name: str) -> NDArray[np.float64]:
    """(R,) sum of these counts in each retailer's ledger."""
    return np.array([float(shop.ledger.arrays()[name].sum()) for shop in shops])


def favourites(habits: Habits, rows: I32) -> NDArray[np.int32]:
    """(n, WISHES) categories that these consumers truly need most often; -1 where they have fewer."""
    found = np.full((len(rows), WISHES), -1, np.int32)
    for k, i in enumerate(rows):
        own = slice(habits.row_ptr[i], habits.row_ptr[i + 1])
        often = np.argsort(habits.row_interval[own], kind="stable")[:WISHES]
        found[k, : len(often)] = habits.row_category[own][often]
    return found


@njit(cache=True, nogil=True)
def _make_do(today, people, aisle, shelves, short, n, lines):
    """What becomes of each line left short; a substitute must be on hand."""
    for k in range(n):
        line = short[k]
        i, r = lines.consumer[line], lines.retailer[line]
        name = people.habits.consumer[i]
        offer = lines.offer[line]
        if offer != NONE and aisle.offers.kind[offer] == _COUPON:
            give_back(people.hand, i, r, lines.category[line], offer)
        u = draws.uniform(
            today.key, draws.Purpose.SUBSTITUTE, name, today.day, stock.DOES | lines.category[line]
        )
        if u < stock.SUBSTITUTE:
            product = choice.substitute(today, people, aisle, shelves.out[r], lines, line)
            if product >= 0:
                units = min(lines.units[line], shelves.on_hand[r, product])
                visit = choice.Visit(i, r, lines.store[line], 0.0, choice.NOTHING)
                choice.write_line(
                    today, aisle, visit, lines.row[line], lines.category[line], product, units, lines, line
                )
                shelves.on_hand[r, product] -= lines.units[line]
                shelves.out[r, product] = shelves.on_hand[r, product] <= 0
                lines.fate[line] = Fate.SUBSTITUTED
            else:
                lines.fate[line] = Fate.DROPPED
        elif u < stock.SUBSTITUTE + stock.DELAY:
            lines.fate[line] = Fate.DELAYED
        elif u < stock.SUBSTITUTE + stock.DELAY + stock.ELSEWHERE:
            lines.fate[line] = Fate.ELSEWHERE
        else:
            lines.fate[line] = Fate.DROPPED
