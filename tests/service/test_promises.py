"""The promises, on both stores, with two engines at work on each."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from regulars.ledger.protocol import Kind
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import Reason
from regulars.service import audit, intake
from regulars.service.decided import Stored
from regulars.service.engine import Engine
from regulars.service.shop import ENTRY
from regulars.service.store import open_store
from regulars.terms import Action, Channel, Scope

from .conftest import NAMES, Clock, Live, at
from .customers import (
    allow,
    another_engine,
    ask,
    bring_back,
    buy,
    column,
    hear,
    holds_together,
    number,
    react,
    say,
    tell,
    unlike,
    wish,
)
from .test_events import LOUD

SOAK = settings().max_examples > 1_000
BRIEF = settings(
    max_examples=200 if SOAK else 8, stateful_step_count=40 if SOAK else 25, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
USERS = ("ada", "bob", "cyd")
ENGINES, WHO = st.integers(0, 1), st.sampled_from(USERS)
_COUNT = iter(range(10**6))


@pytest.fixture
def open_with(url, clock):
    """Open a shop with settings of its own."""
    opened = []

    def make(assortment=None, **given):
        opened.append(Live(url, clock, assortment, **({"name": f"shop {next(_COUNT)}"} | given)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


# ---- non-interference ------------------------------------------------------------------------------------------------

#: Scopes, and what she may do in each that she withholds.
WITHHELD = ("purchases", "stated", "demographics")
PURPOSES = ("serve", "contact", "measure", "share")  # all but the one for which a policy reads
DONE = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.integers(0, 9), st.lists(st.integers(0, 15), min_size=1, max_size=3)),
        st.tuples(st.just("wish"), st.sampled_from(NAMES)),
        st.tuples(st.just("tell"), st.integers(0, 7), st.integers(0, 3)),
    ),
    max_size=6,
)


#: What makes any policy speak of milk and bread, and of soap and tea.
STORY = [("buy", day, [0, 1, 2]) for day in range(1, 10, 2)] + [("wish", "milk"), ("tell", 1, 0)]
OTHER_STORY = [("buy", day, [8, 14]) for day in range(0, 9)] + [("wish", "soap"), ("tell", 6, 3)]


def done(what):
    events = []
    for kind, *about in what:
        if kind == "buy":
            events.append(buy("ada", about[0], *(f"p{k}" for k in about[1])))
        elif kind == "wish":
            events.append(wish("ada", about[0], 10))
        else:
            events.append(tell("ada", 10, age_class=about[0], kids=about[1]))
    return events


def scopes_of(kind):
    return {"buy": "purchases", "wish": "stated", "tell": "demographics"}[kind]


RESTED_ON = (
    "known",
    "consent",
    "common",
)  #: what a decision can be made again from; the rest is what was said


def said(live, channel):
    stored = say(live, "ada", channel=channel).stored
    return {name: getattr(stored, name) for name in Stored.__struct_fields__ if name not in RESTED_ON}


def chain_of(live):
    who = number(live, "ada")
    return live.call(lambda work: live.shop.ledger_of(work, who))


@pytest.mark.parametrize("policy", ["considerate", "purchases"])
def test_what_she_withholds_changes_neither_decision_nor_reasons_nor_ledger(open_with, clock, policy):
    """In two shops all is equal but what she withholds: of that, she does anything in one and anything else in the other."""
    given_to = {"per_week": 14.0} | ({"restraint": 0.0} if policy == "considerate" else {})

    @settings(BRIEF)
    @example(set(), {"measure"}, [], STORY, OTHER_STORY)
    @given(
        open_=st.sets(st.sampled_from(WITHHELD), max_size=2), for_others=st.sets(st.sampled_from(PURPOSES)),
        both=DONE, one=DONE, other=DONE,
    )  # fmt: skip
    def check(open_, for_others, both, one, other):
        clock.set(10)
        told = []
        lives = [
            open_with(policy=policy, policy_settings=given_to, rules=ContactRules(), seed=5) for _ in range(2)
        ]
        for live, own in zip(lives, (one, other), strict=True):
            words = {f"{scope}.{purpose}": True for scope in WITHHELD for purpose in for_others}
            words |= dict.fromkeys(open_, True) | {
                "contact": True,
                "contact.email": True,
                "contact.app": True,
            }
            hear(live, tell("ada", 10), allow("ada", 10, **{word.replace(".", "__"): True for word in words}))
            hear(live, *done([each for each in both if scopes_of(each[0]) in open_]))
            hear(live, *done([each for each in own if scopes_of(each[0]) not in open_]))
            heard = len(chain_of(live))
            answers = [said(live, Channel.EMAIL)]
            clock.ms += 3_600_000
            answers.append(said(live, Channel.APP))
            clock.set(10)
            told.append((answers, [replace(entry, number=0, chain="") for entry in chain_of(live)[heard:]]))
        for live in lives:
            live.close()
        assert told[0] == told[1]

    check()


def test_what_she_allows_does_change_decisions(open_with, clock):
    """The test above could not fail if nothing ever changed anything."""
    clock.set(10)
    seen = set()
    for category in NAMES:
        live = open_with(policy_settings={"restraint": 0.0}, seed=5)
        hear(live, allow("ada", 10), wish("ada", category, 10))
        seen.add(said(live, Channel.EMAIL)["category"])
    assert len(seen) == len(NAMES)


# ---- everything at once --------------------------------------------------------------------------------------------------


class Promises(RuleBasedStateMachine):
    """Customers and two engines do anything in any order; a model says what must hold."""

    url = ""

    @initialize(policy=st.sampled_from(["blast", "considerate"]))
    def open(self, policy):
        self.clock = Clock(0)
        told = {"per_week": 14.0} | (
            {} if policy == "blast" else {"restraint": 0.0, "min_gap_days": 0, "repeat_days": 1}
        )
        store = open_store(self.url)
        with store.transaction() as work:
            work.tell("DELETE FROM tenant")
            work.tell("DELETE FROM api_key")
            for table in ("customer", "person_key", "alias", "decision", "entry", "event", "common", "delta", "seen",
                          "known_then", "inbox", "merge", "spent", "on_hand"):  # fmt: skip
                work.tell(f"DELETE FROM {table}")
        store.close()
        self.live = Live(self.url, self.clock, policy=policy, policy_settings=told,
                         rules=ContactRules(per_day=2, per_week=5, per_channel=1))  # fmt: skip
        self.other = Engine(open_store(self.url), self.clock)
        self.engines = (self.live.engine, self.other)
        self.day = 0
        self.may = {user: set() for user in USERS}  # scopes that may be used to personalize
        self.contact = {user: False for user in USERS}
        self.unliked = {user: set() for user in USERS}
        self.sent = {user: [] for user in USERS}  # (day, channel)
        self.spent = dict.fromkeys(USERS, 0)
        self.orders = {}
        self.messages = []  # (event, source)
        self.said = []
        self.count = 0

    def hear(self, which, event, source="app"):
        self.count += 1
        event.message = f"m{self.count}"
        self.messages.append((event, source))
        hear(self.live, event, engine=self.engines[which], source=source)

    @rule(which=ENGINES, user=WHO, yes=st.booleans(), how=st.sampled_from(["event", "call"]),
          scope=st.sampled_from(["contact", "purchases", "stated", "demographics"]))  # fmt: skip
    def change_consent(self, which, user, yes, scope, how):
        event = allow(user, self.day, 9, **{scope: yes})
        if how == "event":
            self.hear(which, event)
        else:
            engine = self.engines[which]
            shop = engine.shops[self.live.number]
            engine.call(shop, lambda work: intake.apply(work, shop, [(event, "app")], self.clock())).result(
                60
            )
        if scope == "contact":
            self.contact[user] = yes
        elif yes:
            self.may[user].add(scope)
        else:
            self.may[user].discard(scope)

    @rule(which=ENGINES, user=WHO)
    def allow_all(self, which, user):
        self.hear(which, allow(user, self.day, 9))
        self.may[user] = {"purchases", "stated", "demographics"}
        self.contact[user] = True

    @rule(which=ENGINES, user=WHO, products=st.lists(st.integers(0, 15), min_size=1, max_size=4),
          ago=st.sampled_from([0, 0, 0, 1, 3]))  # fmt: skip
    def purchase(self, which, user, products, ago):
        order = f"o{self.count}"
        self.hear(which, buy(user, max(0, self.day - ago), *(f"p{k}" for k in products), order=order))
        if "purchases" in self.may[user]:
            self.spent[user] += 300 * len(products)
            self.orders[order] = (user, 300 * len(products))

    @rule(which=ENGINES, pick=st.randoms(use_true_random=False))
    def refund(self, which, pick):
        mine = [order for order, (user, _) in sorted(self.orders.items()) if "purchases" in self.may[user]]
        if mine:
            order = pick.choice(mine)
            user, cents = self.orders.pop(order)
            self.hear(which, bring_back(user, self.day, order))
            self.spent[user] -= cents

    @rule(which=ENGINES, user=WHO, category=st.sampled_from(NAMES))
    def wish(self, which, user, category):
        self.hear(which, wish(user, category, self.day))

    @rule(which=ENGINES, user=WHO, category=st.sampled_from(NAMES))
    def unlike(self, which, user, category):
        self.hear(which, unlike(user, category, self.day))
        self.unliked[user].add(NAMES.index(category))

    @rule(which=ENGINES, pick=st.randoms(use_true_random=False))
    def message_again(self, which, pick):
        if self.messages:
            event, source = pick.choice(self.messages)
            hear(self.live, event, engine=self.engines[which], source=source)

    @rule(
        which=st.integers(0, 1),
        pick=st.randoms(use_true_random=False),
        what=st.sampled_from(["OPEN", "CLICK", "UNLIKE"]),
    )
    def react_to(self, which, pick, what):
        if self.said:
            user, answer = pick.choice(self.said)
            self.hear(which, react(user, answer.id, what, day=self.day))
            if what == "UNLIKE":
                self.unliked[user].add(answer.stored.category)

    @rule(
        which=st.integers(0, 1),
        user=WHO,
        channel=st.sampled_from([Channel.EMAIL, Channel.APP, None]),
    )
    def decide(self, which, user, channel):
        self.check(user, say(self.live, user, channel=channel, engine=self.engines[which]))

    @rule(users=st.lists(st.sampled_from(USERS), min_size=2, max_size=8))
    def decide_together(self, users):
        futures = []
        for k, user in enumerate(users):
            engine = self.engines[k % 2]
            asked = ask(user, self.clock(), channel=(Channel.EMAIL, Channel.APP)[k % 3 % 2])
            futures.append(engine.decide(engine.shops[self.live.number], [asked]))
        for user, future in zip(users, futures, strict=True):
            self.check(user, future.result(60)[0])

    @rule(days=st.sampled_from([1, 1, 1, 2, 8]))
    def wait(self, days):
        self.day += days
        self.clock.set(self.day)

    def check(self, user, answer):
        stored = answer.stored
        opened = {scope.name.lower() for scope in Scope if (stored.opened | stored.used) >> scope & 1} - {
            "contact"
        }
        assert opened <= self.may[user], (user, opened, self.may[user])
        if not self.contact[user]:
            assert stored.action == Action.SILENCE
        if stored.number < 0:
            return
        assert stored.category not in self.unliked[user]
        self.sent[user].append((self.day, stored.channel))
        today = [channel for day, channel in self.sent[user] if day == self.day]
        assert len(today) <= 2 and len(set(today)) == len(today), self.sent[user]
        assert sum(day > self.day - 7 for day, _ in self.sent[user]) <= 5, self.sent[user]
        self.said.append((user, answer))

    def teardown(self):
        if not hasattr(self, "live"):
            return
        try:
            holds_together(self.live)
            for user in USERS:
                who = number(self.live, user)
                if who < 0:
                    continue
                assert column(self.live, user, "spend_cents") == self.spent[user]
                assert column(self.live, user, "sent") == len(self.sent[user])
                entries = self.live.call(lambda work, who=who: self.live.shop.ledger_of(work, who))
                assert sum(entry.kind == Kind.CONTACTED for entry in entries) == len(self.sent[user])
                told = [answer.stored for name, answer in self.said if name == user]
                uses = [entry for entry in entries if entry.kind == Kind.USED and entry.context.startswith(
                    self.live.shop.retailer.policy.name)]  # fmt: skip
                assert len(uses) >= len(told)
                for stored in told:
                    names = {scope.name for scope in Scope if stored.opened >> scope & 1}
                    assert any(set(entry.scopes) == names for entry in uses)
        finally:
            self.live.close()
            self.other.close()


def test_the_promises_hold_whatever_happens_in_whatever_order(url):
    Promises.url = url
    run_state_machine_as_test(Promises, settings=BRIEF)


# ---- complete ledger ---------------------------------------------------------------------------------------------------


def test_decision_and_ledger_are_written_together_or_not_at_all(live):
    hear(live, allow("ada"))
    say(live, "nobody")
    before = len(chain_of(live))

    def cut(work):
        live.shop.decide(work, [ask("ada", at(0))], at(0))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        live.call(cut)
    assert len(chain_of(live)) == before and column(live, "ada", "sent") == 0
    assert live.call(lambda work: work.ask("SELECT COUNT(*) FROM decision")) == [(0,)]
    assert say(live, "ada").stored.action != Action.SILENCE
    kinds = [entry.kind for entry in chain_of(live)[before:]]
    assert kinds == [Kind.USED, Kind.CONTACTED]


def test_a_ledger_that_was_tampered_with_is_found(live):
    hear(live, allow("ada"), allow("bob"))
    say(live, "ada"), say(live, "bob")
    ada = number(live, "ada")

    def forge(work):
        seats = live.shop.seat(work, [ada])
        entry = replace(live.shop.ledger_of(work, ada)[1], context="nothing happened")
        sealed = seats.seals[0].close(msgspec.json.encode(entry), ENTRY)
        work.tell("UPDATE entry SET body = ? WHERE customer = ? AND number = 1", (sealed, ada))

    live.call(forge)
    assert live.call(lambda work: audit.verified(live.shop, work))["broken"] == [
        {"customer": ada, "entry": 1}
    ]


def test_ledgers_that_are_being_written_are_found_whole(live):
    """Whoever verifies, in another process, meets what is half written nowhere."""
    names = [f"name-{k}" for k in range(6)]
    hear(live, *(allow(name) for name in names))
    told, done = [], threading.Event()

    def change_their_minds():
        yes = False
        while not done.is_set():
            hear(live, *(allow(name, purchases=yes) for name in names))
            live.engine.decide(live.shop, [ask(names[0])]).result(60)  # which applies what was heard
            yes = not yes

    with another_engine(live) as other, ThreadPoolExecutor(1) as pool:
        shop = other.shops[live.number]
        read = shop.ledger_of

        def slowly(*given):
            time.sleep(0.01)  # between the head and its chain
            return read(*given)

        shop.ledger_of = slowly
        changing = pool.submit(change_their_minds)
        try:
            told = [audit.all_verified(other, shop) for _ in range(20)]
        finally:
            done.set()
        changing.result(60)
    assert told[-1]["entries"] > told[0]["entries"] + 20
    assert all(each["broken"] == [] for each in told)


def test_ledgers_are_verified_while_a_day_is_being_closed(live, clock):
    """Both lock customers; whoever does it in another order than the other waits for ever."""
    names = [f"name-{k}" for k in range(6)]
    clock.set(1)
    hear(live, *(allow(name, 1) for name in names))
    assert say(live, names[-1], channel=Channel.APP).stored.action != Action.SILENCE
    clock.set(20)
    closing = threading.Event()
    real = live.shop.keep_ledger

    def slowly(*given):
        closing.set()
        time.sleep(0.5)
        return real(*given)

    with another_engine(live) as other, ThreadPoolExecutor(1) as pool:
        live.shop.keep_ledger = slowly
        deciding = pool.submit(say, live, names[0], channel=Channel.APP)
        assert closing.wait(30)
        assert audit.all_verified(other, other.shops[live.number])["broken"] == []
        assert deciding.result(30).stored.action != Action.SILENCE


def test_a_chain_that_cannot_be_read_does_not_hold(live):
    hear(live, allow("ada"), allow("bob"))
    say(live, "ada")
    who = number(live, "bob")
    live.call(lambda work: work.tell("DELETE FROM person_key WHERE customer = ?", (who,)))
    told = audit.all_verified(live.engine, live.shop)
    assert told["unread"] == [who] and told["customers"] == 2 and told["broken"] == []


def test_a_ledger_that_was_cut_short_is_found(live):
    hear(live, allow("ada"))
    say(live, "ada")
    ada = number(live, "ada")
    last = len(chain_of(live)) - 1
    live.call(lambda work: work.tell("DELETE FROM entry WHERE customer = ? AND number = ?", (ada, last)))
    assert live.call(lambda work: audit.verified(live.shop, work))["broken"] == [
        {"customer": ada, "entry": last}
    ]


def test_the_account_of_a_device_that_became_hers_is_verified_too(live):
    hear(live, allow("ada"), allow(device="phone"))
    device = number(live, device="phone")
    hear(live, tell("ada", device="phone"))
    live.call(lambda work: work.tell("DELETE FROM entry WHERE customer = ? AND number = 0", (device,)))
    assert [
        each["customer"] for each in live.call(lambda work: audit.verified(live.shop, work))["broken"]
    ] == [device]


def test_decisions_are_made_again_the_same_under_a_budget_in_a_crowd(open_with):
    live = open_with(rules=ContactRules(budget_per_day=3), policy_settings={"restraint": 0.0})
    users = [f"user-{k}" for k in range(12)]
    hear(live, *(allow(user) for user in users))
    hear(live, *(unlike(users[0], name) for name in NAMES))
    asks = [ask(user, at(0), channel=Channel.EMAIL) for user in users]
    answers = live.engine.decide(live.shop, asks).result(60)
    assert sum(answer.stored.number >= 0 for answer in answers) == 3
    assert answers[0].stored.reason == Reason.NOTHING_FITS
    assert sum(answer.stored.reason == Reason.RATIONED for answer in answers) == 8
    assert holds_together(live) == 12


def test_decisions_of_yesterday_and_tomorrow_are_made_again_the_same(open_with, clock):
    live = open_with(**LOUD)
    clock.set(5)
    hear(live, allow("ada", 5), allow("bob", 5))
    for day in (5, 6, 5, 8, 3, 6, 12, 5):
        for user in ("ada", "bob"):
            say(live, user, ms=at(day))
        clock.set(max(5, day))
        hear(live, buy("ada", day, f"p{day}"))
    assert holds_together(live) == 16


def test_what_decisions_rest_on_is_copied_once_when_it_changes(open_with, clock):
    live = open_with(**LOUD)
    hear(live, allow("ada"), allow("bob"))

    def copies():
        return live.call(lambda work: work.ask("SELECT customer FROM known_then ORDER BY customer, version"))

    say(live, "ada", ms=at(0))
    say(live, "ada", ms=at(0))
    assert copies() == []
    hear(live, buy("ada", 0, "p0"), buy("bob", 0, "p0"))
    assert copies() == [(number(live, "ada"),)]  # on what is known of bob nothing rests
    hear(live, buy("ada", 0, "p1"))
    assert len(copies()) == 1
    say(live, "ada", ms=at(1))
    hear(live, buy("ada", 0, "p2"))
    assert len(copies()) == 2
    assert holds_together(live) == 3


def test_what_an_older_version_copied_when_it_decided_is_no_hindrance(open_with, clock):
    live = open_with(**LOUD)
    hear(live, allow("ada"))
    say(live, "ada", ms=at(0))
    who = number(live, "ada")

    def copy(work):
        row = work.customers(live.number, [who])[who]
        work.keep_known(live.number, [(who, row.version, row.known)])

    live.call(copy)
    assert holds_together(live) == 1
    hear(live, buy("ada", 0, "p0"))
    assert not live.call(lambda work: work.aside(live.number)) and int(column(live, "ada", "visits")) == 1
    assert holds_together(live) == 1


# ---- caps -----------------------------------------------------------------------------------------------------------------


def crowd(live, engines, users, clients, rounds, ms):
    """Many clients ask for the same customers at once; all that was answered."""
    barrier = threading.Barrier(clients)

    def client(k):
        barrier.wait(60)
        got = []
        for turn in range(rounds):
            engine = engines[(k + turn) % len(engines)]
            user = users[(k + turn) % len(users)]
            channel = (Channel.EMAIL, Channel.APP)[(k // len(users) + turn) % 2]
            asked = ask(user, ms(turn), channel=channel)
            got += [(user, asked, answer.stored)
                    for answer in engine.decide(engine.shops[live.number], [asked]).result(120)]  # fmt: skip
        return got

    with ThreadPoolExecutor(clients) as pool:
        return [each for part in pool.map(client, range(clients)) for each in part]


@pytest.mark.parametrize(
    ("rules", "exactly"),
    [
        (ContactRules(per_day=1, per_week=None, per_channel=None), {"day": 1}),
        (ContactRules(per_day=None, per_week=None, per_channel=1), {"channel": 1, "day": 2}),
        (ContactRules(per_day=2, per_week=3, per_channel=None), {"day": 2, "week": 3}),
        # Five for six customers: whether one of them gets two of it is up to who comes first.
        (ContactRules(per_day=None, per_week=None, per_channel=None, budget_per_day=5), {"budget": 5}),
        (ContactRules(budget_per_day=0), {"budget": 0}),
        (ContactRules(per_day=0), {"day": 0}),
        (ContactRules(per_week=0), {"week": 0}),
        (ContactRules(per_month=0), {"week": 0}),
        (ContactRules(per_channel=0), {"channel": 0}),
    ],
)  # fmt: skip
def test_caps_are_exact_however_many_ask_at_once(open_with, rules, exactly):
    live = open_with(rules=rules, **LOUD)
    users = [f"user-{k}" for k in range(6)]
    hear(live, *(allow(user) for user in users))
    with another_engine(live) as other:
        got = crowd(live, (live.engine, other), users, 32, 6, lambda turn: at(turn // 2))
    sent = [
        (user, live.shop.calendar.day(asked.at_ms), stored.channel)
        for user, asked, stored in got
        if stored.number >= 0
    ]
    days = {day for _, day, _ in sent}

    def most(groups):
        return max((groups.count(each) for each in set(groups)), default=0)

    if "channel" in exactly:
        assert most(sent) == exactly["channel"]
    if "day" in exactly:
        assert most([(user, day) for user, day, _ in sent]) == exactly["day"]
    if "week" in exactly:
        assert [[user for user, _, _ in sent].count(each) for each in users] == [exactly["week"]] * len(users)
    if "budget" in exactly:
        assert [sum(day == each for _, each, _ in sent) for day in days] == [exactly["budget"]] * len(days)
    assert (0 in exactly.values()) == (not sent)
    assert [int(column(live, user, "sent")) for user in users] == [
        [u for u, _, _ in sent].count(user) for user in users
    ]
    holds_together(live)


def test_tomorrows_letters_take_nothing_from_the_caps_of_today_and_tomorrow(open_with, clock):
    live = open_with(rules=ContactRules(per_day=1, per_channel=1, budget_per_day=2), **LOUD)
    users = ["ada", "bob", "cyd"]
    hear(live, *(allow(user) for user in users))
    sent = {0: [], 1: []}
    for day in (1, 0, 1, 0, 0, 1):
        for user in users:
            for channel in (Channel.EMAIL, Channel.APP):
                if say(live, user, ms=at(day), channel=channel).stored.number >= 0:
                    sent[day].append(user)
    assert [len(sent[day]) for day in (0, 1)] == [2, 2]
    assert all(len(set(each)) == len(each) for each in sent.values())
    holds_together(live)


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        (ContactRules(per_day=1, per_channel=None), [(1, Channel.EMAIL), (0, Channel.APP), (0, Channel.SMS)]),
        (
            ContactRules(per_day=None, per_channel=1),
            [(1, Channel.EMAIL), (0, Channel.EMAIL), (0, Channel.EMAIL)],
        ),
    ],
)
def test_what_was_said_for_tomorrow_does_not_open_today(open_with, rules, asked):
    live = open_with(rules=rules, **LOUD)
    hear(live, allow("ada"), allow("ada", contact__sms=True))
    said_ = [say(live, "ada", ms=at(day), channel=channel).stored.number >= 0 for day, channel in asked]
    assert said_[0] and sum(said_[1:]) <= 1
    holds_together(live)


def test_two_engines_that_meet_midnight_together_both_go_on(live, clock):
    hear(live, allow("ada"), allow("bob"))
    with another_engine(live) as other:
        for day in range(1, 12):
            clock.set(day)
            barrier = threading.Barrier(2)

            def midnight(engine, user, barrier=barrier):
                barrier.wait(30)
                hear(live, buy(user, 0, "p1"), engine=engine)
                return say(live, user, engine=engine)

            with ThreadPoolExecutor(2) as pool:
                done_ = [
                    pool.submit(midnight, engine, user)
                    for engine, user in ((live.engine, "ada"), (other, "bob"))
                ]
                assert all(each.result(60).id for each in done_)
    clock.set(12)
    holds_together(live)
    live.call(lambda work: live.shop.open_day(work, 12))
    assert live.call(lambda work: work.tenant(live.number).closed_day) == 11
    assert live.call(lambda work: work.ask("SELECT COUNT(*) FROM delta")) == [(0,)]
    assert live.shop.retailer.totals.visits[0] == 22
