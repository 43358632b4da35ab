"""What customers do reaches their records as far as they allow it, once, in whatever order it comes."""

import re
import time

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.retail import catalog as catalogs
from regulars.retail.decision import Reason
from regulars.service import audit, intake, keys, orders, segment
from regulars.service.assortment import Assortment
from regulars.service.clock import DAY_MS
from regulars.service.decided import Ask
from regulars.service.events import Did, Event, Line
from regulars.service.naming import Name
from regulars.service.problems import Refused
from regulars.terms import Action, Channel, OfferKind, Offers, Purpose, Scope

from .conftest import DAYS, NAMES, Clock, Live, at
from .customers import (
    allow,
    another_engine,
    ask,
    bought,
    bring_back,
    buy,
    column,
    events_of,
    hear,
    holds_together,
    number,
    react,
    say,
    seated,
    tell,
    unlike,
    wish,
)
from .desk import order, track

#: Speaks whenever it may, and rotates through what stands on the shelf.
LOUD = {"policy": "blast", "policy_settings": {"per_week": 14.0}}


@pytest.fixture
def open_with(url, clock):
    """Open a shop with settings of its own."""
    opened = []

    def make(assortment=None, **settings):
        opened.append(Live(url, clock, assortment, **settings))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


# ---- purchases -------------------------------------------------------------------------------------------------

BASKETS = [
    buy("ada", 1, "p1", "p2", order="o1"),
    buy("ada", 2, ("p3", 2), order="o2"),
    buy("ada", 2, "p5", "p1", hour=16, order="o3"),
    bring_back("ada", 3, "o2", ("p3", 1)),
    buy("ada", 5, "p1", order="o4"),
    bring_back("ada", 6, "o4"),
    buy("ada", 7, "p1", "p7", order="o5"),
    buy("ada", 9, "p3", order="o6"),
]


def in_order(live):
    for event in BASKETS:
        hear(live, event)
        live.call(lambda work: None)
    return bought(live, "ada")


@pytest.mark.parametrize("seed", range(2))
def test_purchases_and_refunds_in_any_order_and_grouping_give_the_same_columns(live, clock, open_with, seed):
    clock.set(10)
    hear(live, allow("ada"))
    expected = in_order(live)
    assert expected["visits"] == 4 and expected["spend_cents"] == 300 * 8
    other = open_with(name="other")
    hear(other, allow("ada"))
    luck = np.random.default_rng(seed)
    shuffled = [BASKETS[k] for k in luck.permutation(len(BASKETS))]
    while shuffled:
        some = int(luck.integers(1, 4))
        hear(other, *shuffled[:some])
        if luck.random() < 0.6:
            other.call(lambda work: None)
        shuffled = shuffled[some:]
    assert bought(other, "ada") == expected


def test_a_basket_that_comes_late_stands_where_it_belongs(live, clock):
    clock.set(20)
    hear(live, allow("ada"), buy("ada", 15, "p1"))
    assert column(live, "ada", "first_day")[0] == 15
    clock.set(21)
    hear(live, buy("ada", 3, "p0"))
    assert column(live, "ada", "first_day")[0] == 3
    assert column(live, "ada", "last_day")[0] == column(live, "ada", "last_visit") == 15
    assert column(live, "ada", "bought")[0] == 2


def test_a_clock_that_runs_ahead_is_set_back_for_good(live, clock):
    clock.set(5)
    hear(live, allow("ada"), buy("ada", 50, "p1", order="o1"))
    assert column(live, "ada", "last_visit") == 5
    clock.set(6)
    hear(live, buy("ada", 2, "p3"))  # everything is worked out anew
    assert column(live, "ada", "last_visit") == 5
    assert column(live, "ada", "visits") == 2


def test_a_clock_of_another_century_does_no_harm(live, clock):
    clock.set(5)
    event = buy("ada", 0, "p1")
    event.at_ms = -4_000_000_000_000
    hear(live, allow("ada"), event)
    assert -30_000 < column(live, "ada", "last_visit") <= 0


def test_what_came_back_as_a_whole_was_never_bought(live, clock):
    clock.set(3)
    hear(live, allow("ada"), buy("ada", 1, "p1", order="o1"))
    before = bought(live, "ada")
    hear(live, buy("ada", 2, "p1", "p3", order="o2"), bring_back("ada", 3, "o2"))
    assert bought(live, "ada") == before


def test_single_lines_come_back_with_their_share_of_the_price(live, clock):
    clock.set(3)
    hear(live, allow("ada"), buy("ada", 1, ("p1", 4), ("p3", 1), order="o1", cents=250))
    hear(live, bring_back("ada", 2, "o1", ("p1", 3)))
    assert column(live, "ada", "spend_cents") == 500
    assert column(live, "ada", "bought")[:2].tolist() == [1, 1]
    hear(live, bring_back("ada", 3, "o1", "p1"))
    assert column(live, "ada", "bought")[:2].tolist() == [0, 1]


def test_two_lines_of_one_product_both_come_back(live, clock):
    clock.set(3)
    hear(live, allow("ada"), buy("ada", 1, "p1", "p1", "p3", order="o1"))
    hear(live, bring_back("ada", 2, "o1", "p1", "p1"))
    assert column(live, "ada", "spend_cents") == 300
    assert column(live, "ada", "bought")[0] == 0


def test_more_cannot_come_back_than_was_bought(live, clock):
    clock.set(3)
    hear(live, allow("ada"), buy("ada", 1, "p1", "p3", order="o1"), bring_back("ada", 2, "o1", ("p1", 9)))
    assert column(live, "ada", "spend_cents") == 300


def test_a_product_that_nobody_knows_is_counted_and_does_no_harm(live):
    hear(live, allow("ada"))

    def work_on(work):
        return intake.apply(
            work, live.shop, [(buy("ada", 0, "p1", "gone"), "till"), (buy("ada", 0, "gone"), "till")], at(0)
        )

    taken = live.call(work_on)
    assert taken.unknown == {"gone": 2} and taken.applied == 2
    assert column(live, "ada", "spend_cents") == 300


def told(event, user="ada", day=0, **properties):
    """A call of the tracking API as an event."""
    return segment.event_of(
        {"type": "track", "userId": user, "event": event, "properties": properties}, at(day, 12), None
    )


@pytest.mark.parametrize(
    "names",
    [
        {"product_id": "622c", "sku": "p1"}, {"product_id": "p1", "sku": "p5"}, {"product_id": None, "sku": "p1"},
        {"product_id": "p1"},
    ],
)  # fmt: skip
def test_a_product_is_whichever_of_its_two_names_the_catalog_has(live, clock, names):
    clock.set(3)
    line = names | {"price": 19, "quantity": 2}
    hear(live, allow("ada"), told("Order Completed", day=1, order_id="o1", products=[line]))
    assert column(live, "ada", "spend_cents") == 3800
    assert column(live, "ada", "visits") == 1 and column(live, "ada", "bought")[0] == 1
    hear(live, allow("bea"), told("Product Added to Wishlist", "bea", **names))
    assert column(live, "bea", "wish_category")[0] == 0
    # Late, so that her purchases are worked out anew.
    hear(live, told("Order Completed", day=0, order_id="o0", products=[{"sku": "p3", "price": 1}]))
    assert column(live, "ada", "spend_cents") == 3900
    hear(live, told("Order Refunded", day=2, order_id="o1", products=[names | {"quantity": 1}]))
    assert column(live, "ada", "spend_cents") == 2000


@pytest.mark.parametrize(
    "names",
    [{"product_id": "p1"}, {"product_id": "622c"}, {"sku": "p1"}, {"product_id": "p1", "sku": "622c"}],
)
def test_a_refund_may_name_a_product_by_either_name(live, clock, names):
    clock.set(3)
    line = {"product_id": "622c", "sku": "p1", "price": 19, "quantity": 2}
    hear(live, allow("ada"), told("Order Completed", day=1, order_id="o1", products=[line]))
    hear(live, told("Order Refunded", day=2, order_id="o1", products=[names | {"quantity": 1}]))
    assert column(live, "ada", "spend_cents") == 1900


def test_of_two_products_with_one_product_id_the_one_that_is_named_comes_back(live, clock):
    clock.set(3)
    lines = [{"product_id": "shirt", "sku": sku, "price": 5} for sku in ("p1", "p3")]
    hear(live, allow("ada"), told("Order Completed", day=1, order_id="o1", products=lines))
    hear(live, told("Order Refunded", day=2, order_id="o1", products=lines[1:]))
    assert column(live, "ada", "bought")[:2].tolist() == [1, 0]


def test_an_event_that_was_stored_before_a_line_had_two_names_still_reads():
    line = {"sku": "p1", "units": 2, "paid_cents": 300}
    stored = msgspec.msgpack.encode(
        {"did": "purchased", "at_ms": 5, "name": "Order Completed", "lines": [line], "order": "o1"}
    )
    event = msgspec.msgpack.decode(stored, type=Event)
    assert event.lines == [Line("p1", "", 2, 300)] and event.lines[0].names() == ("p1",)


def totals(live, day):
    live.call(lambda work: live.shop.open_day(work, day + 1))
    return live.shop.retailer.totals


def test_purchases_without_consent_are_counted_for_all_and_not_kept(live, clock):
    hear(live, tell("ada"), buy("ada", 0, "p1", ("p3", 2)))
    assert bought(live, "ada")["visits"] == 0
    assert [event.name for event in events_of(live, "ada")] == ["identify"]
    clock.set(1)
    counted = totals(live, 0)
    assert counted.lines[:2].tolist() == [1, 1] and counted.cents[:2].tolist() == [300, 600]
    assert counted.visits[0] == 1
    assert not counted.bought.any() and not counted.buyers.any()


@pytest.mark.parametrize("word", ["purchases.serve", "purchases.personalize"])
def test_purchases_that_may_not_be_measured_teach_nothing(live, clock, word):
    hear(live, allow("ada", **{word.replace(".", "__"): True}), buy("ada", 0, "p1"))
    assert column(live, "ada", "visits") == 1
    clock.set(1)
    assert not totals(live, 0).bought.any()


# ---- wishes, unlikes, what she tells --------------------------------------------------------------------------------


def test_a_wish_is_kept_where_it_may_be(live):
    hear(live, tell("ada"), wish("ada", "tea"))
    assert (column(live, "ada", "wish_category") == -1).all()
    hear(live, allow("ada"), wish("ada", "tea", until=40), wish("ada", "soap"))
    wishes = dict(zip(column(live, "ada", "wish_category"), column(live, "ada", "wish_until"), strict=True))
    assert wishes[7] == 40 and wishes[4] == intake.WISH_DAYS


def test_her_wish_comes_first(live):
    hear(live, allow("ada"), wish("ada", "tea"))
    stored = say(live, "ada").stored
    assert (stored.reason, stored.category) == (Reason.WISHED, 7)
    assert stored.used >> Scope.STATED & 1


def test_an_unlike_is_obeyed_by_the_very_next_decision_of_any_engine(open_with, clock):
    live = open_with(**LOUD)
    hear(live, allow("ada"))
    with another_engine(live) as other:
        for k in range(len(NAMES)):
            clock.set(k)
            stored = say(live, "ada", channel=Channel.EMAIL).stored
            assert stored.action == Action.OFFER
            hear(live, unlike("ada", NAMES[stored.category], k))
            gone = say(live, "ada", channel=Channel.APP, engine=other).stored
            assert gone.category != stored.category
        clock.set(k + 1)
        assert say(live, "ada").stored.reason == Reason.NOTHING_FITS
    holds_together(live)


def test_an_unlike_of_a_message_is_an_unlike_of_what_it_was_about(open_with, clock):
    live = open_with(**LOUD)
    hear(live, allow("ada"))
    said = say(live, "ada", channel=Channel.EMAIL)
    event = unlike("ada", "", 0)
    event.decision, event.lines, event.reason = said.id, [], "creepy"
    hear(live, event)
    assert said.stored.category in column(live, "ada", "unlike_category").tolist()
    assert column(live, "ada", "unliked") == 1


def test_two_messages_of_one_day_are_reacted_to_apart(open_with, clock):
    live = open_with(**LOUD)
    hear(live, allow("ada"))
    first, second = (say(live, "ada", channel=each) for each in (Channel.EMAIL, Channel.APP))
    assert first.stored.number >= 0 and second.stored.number >= 0
    assert first.stored.number != second.stored.number
    hear(live, react("ada", second.id, "OPEN", "CLICK"))

    def work_on(work):
        return [audit.looked_up(live.shop, work, each.id)[1].reactions for each in (first, second)]

    assert live.call(work_on) == [0, 3]
    holds_together(live)


def test_a_reaction_that_is_told_twice_counts_once(live, clock):
    hear(live, allow("ada"))
    said = say(live, "ada", channel=Channel.EMAIL)
    for day in (0, 1, 20):
        clock.set(day)
        hear(live, react("ada", said.id, "OPEN", day=day))
        live.call(lambda work: None)
    assert column(live, "ada", "opened") == 1


@pytest.mark.parametrize("day", [0, 1, 30])
def test_leaving_a_channel_is_obeyed_however_late_it_comes(live, clock, day):
    hear(live, allow("ada"))
    said = say(live, "ada", channel=Channel.EMAIL)
    clock.set(day)
    hear(live, react("ada", said.id, "UNSUBSCRIBE", day=day))
    assert say(live, "ada", channel=Channel.EMAIL).stored.reason == Reason.NOT_REACHABLE


def test_her_browser_that_says_no_passing_on_is_obeyed(live):
    hear(live, allow("ada", purchases__share=True, browsing__share=True, purchases=True))
    seats, _ = seated(live, "ada")
    assert seats.consent.bits[0, Scope.PURCHASES] >> Purpose.SHARE & 1
    event = tell("ada")
    event.gpc = True
    hear(live, event)
    seats, _ = seated(live, "ada")
    assert not (seats.consent.bits[0] >> Purpose.SHARE & 1).any()
    assert seats.consent.bits[0, Scope.PURCHASES] == 15


def test_her_browser_wins_over_a_banner(live):
    event = allow("ada", purchases__share=True)
    event.gpc = True
    hear(live, event)
    seats, _ = seated(live, "ada")
    assert not (seats.consent.bits[0] >> Purpose.SHARE & 1).any()


def test_a_time_zone_that_is_none_stops_nobody(live):
    hear(live, allow("ada"), tell("ada", timezone="Europe/Berlin"), tell("ada", timezone="Mars/Olympus"))
    assert say(live, "ada").id
    profile = live.call(lambda work: live.shop.profile(live.shop.seat(work, [0]), 0))
    assert profile.zone == "Europe/Berlin"


def test_of_what_she_tells_of_herself_the_newest_is_kept(live):
    told = [tell("ada", shoe_size=38), *(tell("ada", **{f"x{k}": "y" * 10_000}) for k in range(8))]
    hear(live, *told[:2], tell("ada", shoe_size=39), *told[2:], tell("ada", shoe_size=40, x7=None))
    traits = live.call(lambda work: live.shop.profile(live.shop.seat(work, [0]), 0)).traits
    assert traits["shoe_size"] == 40
    assert set(traits) == {"shoe_size", *(f"x{k}" for k in range(2, 7))}


@pytest.mark.parametrize(
    ("zone", "utc", "quiet"),
    [("Asia/Tokyo", 10, False), ("Asia/Tokyo", 13, True), ("America/New_York", 10, True), ("America/New_York", 14, False)],
)  # fmt: skip
def test_nobody_is_woken_in_her_own_night(live, clock, zone, utc, quiet):
    clock.set(0, utc)
    hear(live, allow("ada", hour=0), tell("ada", timezone=zone))
    assert (say(live, "ada").stored.reason == Reason.QUIET) == quiet
    assert say(live, "ada", zone="UTC").stored.reason != Reason.QUIET


# ---- what stands ----------------------------------------------------------------------------------------------------


def stocked_shop():
    """One coupon a category, good for its two products; some offers end or begin within the days."""
    c = len(NAMES)
    bits = np.array([[0b11 << 2 * k] for k in range(c)], np.uint64)
    last = np.full(c, DAYS - 1, np.int32)
    last[4:] = 9
    first = np.zeros(c, np.int32)
    first[:2] = 5
    offers = Offers(
        kind=np.full(c, OfferKind.DEAL, np.uint8), category=np.arange(c, dtype=np.int32),
        saving=np.full(c, 0.2, np.float32), saving_cents=np.zeros(c, np.int32), first_day=first, last_day=last,
        bits_row=np.arange(c, dtype=np.int32), product_bits=bits,
    )  # fmt: skip
    found = catalogs.from_offers(offers, NAMES, np.full(c, 300, np.float32), days=DAYS)
    skus = tuple(f"p{k}" for k in range(2 * c))
    return Assortment(found, skus, skus, (np.arange(2 * c) // 2).astype(np.uint16))


def test_what_is_not_on_hand_or_hidden_is_never_offered_by_any_engine(open_with, clock):
    live = open_with(stocked_shop(), **LOUD)
    clock.set(6)
    hear(live, *(allow(f"user-{k}", 6) for k in range(24)))
    with another_engine(live) as other:
        engines = (live.engine, other)
        left = set(range(8))
        for k in range(24):
            stored = say(live, f"user-{k}", engine=engines[k % 2]).stored
            if not left:
                assert stored.reason == Reason.NOTHING_FITS
                continue
            assert stored.category in left
            gone = stored.category
            products = {2 * gone: 0, 2 * gone + 1: 0}
            if k % 2:
                live.call(lambda work, p=products: live.shop.set_stock(work, p, {}))
            else:
                live.call(lambda work, p=products: live.shop.set_stock(work, {}, dict.fromkeys(p, True)))
            left.discard(gone)
        assert say(live, "nobody", engine=other).for_everybody == -1
        live.call(lambda work: live.shop.set_stock(work, {6: 3}, {6: False}))
        assert (
            live.shop.assortment.catalog.offers.category[say(live, "nobody", engine=other).for_everybody] == 3
        )
    holds_together(live)


def test_half_a_category_on_hand_is_enough(open_with, clock):
    live = open_with(stocked_shop(), **LOUD)
    clock.set(20)
    hear(live, allow("ada", 20))
    live.call(lambda work: live.shop.set_stock(work, {4: 0, 6: 0, 7: 0, 0: 0, 1: 0, 2: 0, 3: 0}, {}))
    assert say(live, "ada").stored.category == 2


def test_an_offer_is_made_from_its_first_day_to_its_last(open_with, clock):
    live = open_with(stocked_shop(), **LOUD)
    hear(live, *(allow(f"user-{k}") for k in range(12)))
    for day in (4, 9, 10):
        clock.set(day)
        said = {say(live, f"user-{k}", channel=channel).stored.category
                for k in range(12) for channel in (Channel.EMAIL, Channel.APP)} - {-1}  # fmt: skip
        standing = live.shop.assortment.catalog.offers
        assert said
        assert all(standing.first_day[c] <= day <= standing.last_day[c] for c in said)


@pytest.mark.parametrize("who", ["unknown", "anonymous", "silent"])
def test_whoever_may_not_be_spoken_to_sees_what_stands_on_the_shelf_for_anybody(live, who):
    if who == "anonymous":
        hear(live, buy("", 0, "p1", device="anonymous"))
    elif who == "silent":
        hear(live, allow("silent", purchases=True), buy("silent", 0, "p1"))
    answer = say(live, device=who) if who == "anonymous" else say(live, who)
    assert answer.stored.action == Action.SILENCE and answer.stored.reason == Reason.NO_PERMISSION
    assert live.shop.assortment.catalog.offers.kind[answer.for_everybody] == OfferKind.DEAL
    assert answer.stored.opened == answer.stored.used == 0


def test_whoever_may_be_spoken_to_is_shown_no_sign_for_everybody(live):
    hear(live, allow("ada"))
    assert say(live, "ada").for_everybody == -1


# ---- once, and at once -------------------------------------------------------------------------------------------------


def test_a_message_that_comes_again_counts_once_within_the_window_and_from_one_source(live, clock):
    basket = buy("ada", 0, "p1", message="m1")
    hear(live, allow("ada"), basket, basket)
    with another_engine(live) as other:
        for engine in (live.engine, other, live.engine):
            hear(live, basket, engine=engine)
            say(live, "ada", engine=engine)
    assert column(live, "ada", "spend_cents") == 300
    hear(live, basket, source="till")
    assert column(live, "ada", "spend_cents") == 600
    clock.set(20)
    say(live, "ada")
    hear(live, basket)
    assert column(live, "ada", "spend_cents") == 600


def rebuilt(live, user):
    """The purchase columns of a customer, worked out anew."""
    who = number(live, user)

    def work_on(work):
        seats = live.shop.seat(work, [who])
        orders.rebuild(work, live.shop, seats, [who])
        return {
            name: getattr(seats.record, name)[seats.place[who]].tolist() for name in orders.FROM_PURCHASES
        }

    return live.call(work_on)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("day", [0, 3])
@pytest.mark.parametrize("gap", [0, 1, 30])
def test_an_order_that_browser_and_server_tell_counts_once(live, clock, together, day, gap):
    clock.set(3)
    browser = buy("ada", day, "p1", order="o1", message="m1")
    server = buy("ada", day + gap, "p1", "p3", order="o1", message="m2", hour=13)
    hear(live, allow("ada"))
    if together and not gap:
        hear(live, browser, server)
    else:
        hear(live, browser)
        column(live, "ada", "visits")
        clock.set(max(3, day + gap))
        hear(live, server, source="till")
    assert column(live, "ada", "spend_cents") == 300 and column(live, "ada", "visits") == 1
    assert column(live, "ada", "bought")[:2].tolist() == [1, 0]
    assert rebuilt(live, "ada") == bought(live, "ada")


def test_an_order_id_that_is_used_again_after_the_window_is_another_order(live, clock):
    hear(live, allow("ada"), buy("ada", 0, "p1", order="1"))
    column(live, "ada", "visits")
    clock.set(31)
    hear(live, buy("ada", 31, "p1", order="1"))
    assert column(live, "ada", "visits") == 2
    assert rebuilt(live, "ada") == bought(live, "ada")


def test_an_order_that_is_told_again_long_after_the_window_counts_once(live, clock):
    hear(live, allow("ada"), buy("ada", 0, "p1", order="o1"))
    column(live, "ada", "visits")
    clock.set(50)
    live.call(lambda work: live.shop.open_day(work, 50))
    hear(live, buy("ada", 2, "p1", order="o1"))
    assert column(live, "ada", "spend_cents") == 300
    assert rebuilt(live, "ada") == bought(live, "ada")


@pytest.mark.parametrize("live_too", [True, False])
def test_a_refund_is_remembered_from_its_own_day_on(live, clock, live_too):
    """The order that it takes back may be told again when the order's own window is over, and its own is not."""
    hear(live, allow("ada"), buy("ada", 0, "p1", order="o1"))
    clock.set(25)
    hear(live, bring_back("ada", 25, "o1"))
    column(live, "ada", "visits")
    clock.set(40)
    late = buy("ada", 40, "p1", order="o1")
    hear(live, msgspec.structs.replace(late, live=live_too))
    assert column(live, "ada", "visits") == 0
    assert rebuilt(live, "ada") == bought(live, "ada")


def test_one_order_id_of_two_customers_is_two_orders(live):
    hear(live, allow("ada"), allow("bea"), buy("ada", 0, "p1", order="1"), buy("bea", 0, "p1", order="1"))
    assert [column(live, who, "spend_cents") for who in ("ada", "bea")] == [300, 300]


def test_orders_without_an_id_all_count(live):
    hear(live, allow("ada"), buy("ada", 0, "p1"), buy("ada", 0, "p1"))
    assert column(live, "ada", "spend_cents") == 600 == rebuilt(live, "ada")["spend_cents"]


def test_what_came_back_of_an_order_that_was_told_twice_comes_back_once(live, clock):
    clock.set(3)
    twice = [buy("ada", 1, ("p1", 2), order="o1", hour=hour) for hour in (12, 13)]
    hear(live, allow("ada"), *twice, bring_back("ada", 2, "o1", "p1"))
    assert column(live, "ada", "spend_cents") == 300
    hear(live, bring_back("ada", 3, "o1", "p1"))
    assert column(live, "ada", "spend_cents") == 0 == column(live, "ada", "visits")


def test_an_order_in_words_that_nobody_knows_does_not_stand_in_the_way(live):
    hear(live, allow("ada"), buy("ada", 0, "gone", order="o1"), buy("ada", 0, "p1", order="o1", hour=13))
    assert column(live, "ada", "spend_cents") == 300 == rebuilt(live, "ada")["spend_cents"]


def test_baskets_of_a_file_all_count_whatever_number_they_bear(live, clock):
    clock.set(3)
    hear(live, allow("ada"))
    baskets = [(buy("ada", day, "p1", order="17", message=f"m{day}"), keys.IMPORT) for day in (0, 1, 2)]
    live.call(lambda work: intake.apply(work, live.shop, baskets, at(3)))
    assert column(live, "ada", "visits") == 3 == rebuilt(live, "ada")["visits"]


@pytest.mark.parametrize("allowed", [True, False])
def test_an_order_that_is_told_twice_counts_once_in_the_sums_of_everybody(open_with, clock, allowed):
    sums = []
    for times in (1, 2):
        live = open_with(name=f"shop {times}")
        clock.set(1)
        hear(live, allow("ada") if allowed else allow("ada", stated=True))
        for _ in range(times):
            hear(live, buy("ada", 1, "p1", order="o1"))
            live.call(lambda work: None)
        sums.append([column.tobytes() for column in totals(live, 2)])
    assert sums[0] == sums[1]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["o1", "o2", ""]), st.integers(0, 36), st.sampled_from(["p1", "p3", "gone"]),
            st.booleans(), st.booleans(), st.booleans(),
        ),
        min_size=2, max_size=7,
    )
)  # fmt: skip
def test_orders_that_come_again_come_to_the_same_whichever_way(tmp_path_factory, events):
    live = Live(f"sqlite:///{tmp_path_factory.mktemp('orders')}/store.db", Clock(0))
    try:
        hear(live, allow("ada"), allow(device="phone"))
        for order_id, day, sku, device, back, apart in sorted(events, key=lambda each: each[1] % 5):
            live.clock.set(max(day, (live.clock() - at(0)) // DAY_MS))
            who, phone = ("", "phone") if device else ("ada", "")
            hear(live, buy(who, day, sku, order=order_id, device=phone))
            if back and order_id:
                hear(live, bring_back("ada", day, order_id, "p1"))
            if apart:
                column(live, "ada", "visits")
        hear(live, tell("ada", device="phone"))
        assert bought(live, "ada") == rebuilt(live, "ada")
        live.clock.set(36)
        hear(live, buy("ada", 36, "p1", order="o1"))
        assert bought(live, "ada") == rebuilt(live, "ada")
    finally:
        live.close()


def test_an_order_that_was_told_twice_is_marked_in_her_account_and_counted_by_the_metrics(desk):
    desk.allow("anna")
    desk.send(order("anna", messageId="m-1"), order("anna", messageId="m-2"))
    assert became(desk)["again"] == 1 and became(desk)["applied"] == 1
    told = [each for each in desk.account("anna")["events"] if each["did"] == "purchased"]
    assert [each.get("seen_again", False) for each in told] == [False, True]


def test_messages_without_an_id_all_count(live):
    hear(live, allow("ada"), buy("ada", 0, "p1"), buy("ada", 0, "p1"))
    assert column(live, "ada", "spend_cents") == 600


def test_what_was_acknowledged_is_seen_by_the_next_decision_of_every_engine(live, clock):
    with another_engine(live) as other:
        for k, (one, two) in enumerate([(live.engine, other), (other, live.engine)] * 3):
            user = f"user-{k}"
            hear(live, allow(user), wish(user, "soap"), engine=one)
            stored = say(live, user, engine=two).stored
            assert (stored.reason, stored.category) == (Reason.WISHED, 4)
            hear(live, allow(user, contact=False), engine=two)
            assert say(live, user, engine=one).stored.reason == Reason.NO_PERMISSION


def test_one_ask_that_cannot_be_answered_fails_alone(live):
    hear(live, allow("ada"))
    live.engine.call(live.shop, lambda work: time.sleep(0.3))  # so that they share a batch
    futures = [
        live.engine.decide(live.shop, [ask("ada", at(0), zone="Mars/Olympus" if k == 2 else "")])
        for k in range(5)
    ]
    bad = [k for k, future in enumerate(futures) if future.exception(60)]
    assert bad == [2] and say(live, "ada").id


def test_whoever_stops_waiting_stops_nobody_else(live):
    hear(live, allow("ada"))
    live.engine.call(live.shop, lambda work: time.sleep(0.3))
    future = live.engine.decide(live.shop, [ask("ada", at(0))])
    assert future.cancel()
    assert say(live, "ada").id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=5,
)  # fmt: skip
WORDS = st.sampled_from(
    ["ada", "bob", "p1", "tea", "purchases", "contact.email", "open", "unlike", "creepy", "UTC", "o1"]
)
VALUES = (
    JSON
    | WORDS
    | st.integers(-5, 300)
    | st.sampled_from([0, 1, "2026-01-01T10:00:00Z", 4.1e12, "1970-01-01"])
)
PRODUCT = st.fixed_dictionaries(
    {}, optional={"product_id": VALUES, "sku": VALUES, "quantity": VALUES, "price": VALUES, "discount": VALUES,
                  "category": VALUES, "offer": VALUES},
)  # fmt: skip
PROPERTIES = st.fixed_dictionaries(
    {}, optional={"products": st.lists(PRODUCT, max_size=3) | VALUES, "order_id": VALUES, "decision_id": VALUES,
                  "category": VALUES, "until_day": VALUES, "reactions": st.lists(WORDS, max_size=3) | VALUES,
                  "reason": VALUES, "product_id": VALUES, "quantity": VALUES},
)  # fmt: skip
TOLD = st.fixed_dictionaries(
    {"type": st.sampled_from(segment.TYPES)},
    optional={
        "userId": VALUES, "anonymousId": VALUES, "previousId": VALUES, "groupId": VALUES, "messageId": VALUES,
        "timestamp": VALUES, "sentAt": VALUES, "properties": PROPERTIES,
        "event": st.sampled_from(["Order Completed", "Order Refunded", "Wished", "Unliked", "Message Reacted",
                                  "Consent Updated", "Product Viewed", "Email Opened"]) | VALUES,
        "traits": st.dictionaries(st.sampled_from(["email", "phone", "timezone", "age_class", "kids", "x"]), VALUES),
        "context": st.fixed_dictionaries({"consent": st.fixed_dictionaries(
            {"categoryPreferences": st.dictionaries(WORDS | st.text(max_size=6), st.booleans(), max_size=4)})}),
    },
)  # fmt: skip


def test_nothing_that_is_accepted_stops_a_shop(live, clock):
    """Whatever passes the door can be applied: it would stand in the way of everybody's events for ever."""
    clock.set(3)
    hear(live, allow("ada", 3), allow("bob", 3))

    @settings(suppress_health_check=list(HealthCheck), max_examples=max(150, settings().max_examples // 10))
    @given(st.lists(TOLD, min_size=1, max_size=4))
    def check(told):
        events = []
        for each in told:
            try:
                events.append(segment.event_of(each, clock()))
            except Refused:
                continue
        hear(live, *events)
        assert say(live, "ada").id

    check()
    holds_together(live)
    for name in ("ada", "bob"):
        assert number(live, name) >= 0


def became(desk):
    """What the metrics say that became of events; everything that was sent is applied."""
    desk.live.call(lambda work: None)
    found = re.findall(r'regulars_events_taken_total{became="(\w+)"} (\d+)', desk.ask("GET", "/metrics").text)
    return {name: int(count) for name, count in found}


def test_metrics_count_what_became_of_events(desk):
    told = dict.fromkeys(("applied", "again", "nobody", "withheld", "unknown"), 0)
    assert became(desk) == told
    desk.send({"type": "track", "event": "Product Viewed", "userId": "null"})
    assert became(desk) == (told := told | {"nobody": 1})
    desk.send(order("anna"))
    assert became(desk) == (told := told | {"applied": 1, "withheld": 1})
    desk.send(track("Wished", "anna", properties={"category": "moonlight"}, messageId="m-1"))
    assert became(desk) == (told := told | {"applied": 2, "withheld": 2, "unknown": 1})
    desk.send(*[track("Wished", "anna", messageId="m-1")] * 3)
    assert became(desk) == (told := told | {"again": 3})


def test_what_is_undone_is_counted_once_it_is_done(desk):
    live = desk.live
    decide, live.shop.decide = live.shop.decide, None
    desk.send(order("anna"))
    assert desk.decide("anna").status_code == 500
    assert became(desk)["applied"] == 1
    live.shop.decide = decide
    desk.send(order("bea"))

    def spoil(work):
        work.put_in([(live.number, "web", at(0), 1, b"not what was sealed")])

    live.engine.call(live.shop, spoil, drained=False).result(30)
    assert desk.decide("anna").status_code == 200
    assert became(desk)["applied"] == 2


def test_a_delivery_that_cannot_be_applied_is_set_aside_and_stops_nobody(live):
    good = Event(
        Did.ALLOWED, at(0), name="consent", user="anna", grants={"contact": True, "contact.app": True}
    )
    live.engine.take_in(live.shop, "web", [good]).result(30)

    def spoil(work):
        work.put_in([(live.number, "web", at(0), 1, b"not what was sealed")])

    live.engine.call(live.shop, spoil, drained=False).result(30)
    ask = Ask(-1, Channel.APP, live.clock(), "", (Name("user", "anna"),))
    answer = live.engine.decide(live.shop, [ask]).result(30)[0]
    assert answer.id
    kept = live.call(lambda work: work.ask("SELECT COUNT(*) FROM inbox WHERE wait = 2"))
    assert kept[0][0] == 1
    live.engine.take_in(live.shop, "web", [good]).result(30)
    assert live.engine.decide(live.shop, [ask]).result(30)[0].id


def test_tomorrows_letters_do_not_close_today(live):
    good = Event(
        Did.ALLOWED, at(0), name="consent", user="anna", grants={"contact": True, "contact.email": True}
    )
    live.engine.take_in(live.shop, "web", [good]).result(30)
    ask = Ask(-1, Channel.EMAIL, at(1), "", (Name("user", "anna"),))
    assert live.engine.decide(live.shop, [ask]).result(30)[0].id
    assert live.call(lambda work: work.tenant(live.number)).closed_day == -1
