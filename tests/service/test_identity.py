"""Who is who: anonymous until she says, hers once she said, and nobody is taken for somebody else."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.retail.decision import Reason
from regulars.retail.record import UNKNOWN
from regulars.service import intake, merging, naming
from regulars.service.events import Did, Event
from regulars.service.naming import ANONYMOUS, EMAIL, Name, digest
from regulars.terms import Action, Channel, Purpose, Scope

from .conftest import at
from .customers import (
    PURCHASES,
    allow,
    another_engine,
    bought,
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
from .desk import ALLOWED, order


def test_somebody_of_whom_nothing_is_known_is_nobody(live):
    answer = say(live, user="ada")
    assert (answer.id, answer.stored.reason) == ("", Reason.NO_PERMISSION)
    assert number(live, "ada") == -1


def test_a_device_is_a_customer_of_its_own_until_she_says_who_she_is(live):
    hear(live, allow(device="phone"), buy("", 0, "p1", device="phone"))
    device = number(live, device="phone")
    assert device >= 0
    hear(live, tell("ada", device="phone"))
    assert number(live, "ada") == number(live, device="phone") == device
    assert column(live, "ada", "visits") == 1


def test_a_device_becomes_hers_with_what_it_did(live, clock):
    clock.set(3)
    hear(live, allow("ada"), buy("ada", 1, "p1", cents=100))
    hear(
        live, allow(device="phone"), buy("", 2, "p3", device="phone", cents=250), wish("", "tea", 3, "phone")
    )
    hear(live, unlike("", "soap", 3))  # nobody
    device = number(live, device="phone")
    hear(live, tell("ada", 3, device="phone"))
    ada = number(live, "ada")
    assert number(live, device="phone") == ada != device
    assert column(live, "ada", "visits") == 2
    assert column(live, "ada", "spend_cents") == 350
    tea = live.shop.category_of["tea"]
    assert tea in column(live, "ada", "wish_category").tolist()


@pytest.mark.parametrize("late", [False, True])
def test_an_order_that_her_device_and_the_server_told_counts_once_when_the_device_is_hers(live, clock, late):
    clock.set(3)
    browser = buy("", 2, "p1", device="phone", order="o1")
    server = buy("ada", 2, "p1", order="o1", hour=13)
    hear(live, allow("ada"), allow(device="phone"), browser)
    if late:
        hear(live, tell("ada", 3, device="phone"), server)
    else:
        hear(live, server)
        assert column(live, "ada", "visits") == 1
        hear(live, tell("ada", 3, device="phone"))
    assert column(live, "ada", "spend_cents") == 300 and column(live, "ada", "visits") == 1
    ada = number(live, "ada")
    phone = live.call(lambda work: work.merged_from(live.number, ada))
    live.call(lambda work: merging.unmerge(work, live.shop, phone[0], 3))
    # Each of them was told of the order, and each has it.
    assert column(live, "ada", "spend_cents") == 300
    assert number(live, device="phone") != ada
    seats, (device,) = seated(live, device="phone")
    assert seats.record.spend_cents[seats.place[device]] == 300


def test_what_she_does_on_it_in_one_delivery_before_and_after_she_says_who_she_is_is_all_hers(live, clock):
    clock.set(3)
    hear(live, allow("ada"), allow(device="phone"))
    hear(
        live,
        buy("", 1, "p1", device="phone"),
        wish("", "tea", 1, "phone"),
        tell("ada", 2, device="phone"),
        buy("", 3, "p3", device="phone"),
    )
    assert column(live, "ada", "visits") == 2
    assert live.shop.category_of["tea"] in column(live, "ada", "wish_category").tolist()


def test_what_a_device_refused_in_the_same_delivery_is_refused(live):
    hear(live, allow("ada"), tell(device="phone"))
    hear(live, allow(device="phone", purchases=False), tell("ada", device="phone"))
    seats, _ = seated(live, "ada")
    assert not seats.consent.bits[0, Scope.PURCHASES]
    hear(live, allow("ada", purchases=True))
    seats, _ = seated(live, "ada")
    assert seats.consent.bits[0, Scope.PURCHASES]


def test_what_she_allows_after_she_said_who_she_is_stands(live):
    hear(live, allow("ada"), allow(device="phone", purchases=False))
    hear(live, tell("ada", device="phone"), allow("ada", purchases=True))
    seats, _ = seated(live, "ada")
    assert seats.consent.bits[0, Scope.PURCHASES]


def test_a_shared_device_merges_nobody(live):
    hear(live, tell("ada", device="tablet"), tell("bob", device="tablet"), tell("ada", device="tablet"))
    ada, bob = number(live, "ada"), number(live, "bob")
    assert ada != bob
    hear(live, allow("ada"), allow("bob"))
    hear(live, buy("bob", 0, "p1", device="tablet"), buy("ada", 0, "p3", device="tablet"))
    hear(live, buy("ada", 0, "p5", device="tablet"))
    assert [column(live, who, "visits") for who in ("ada", "bob")] == [1, 1]
    assert column(live, "bob", "bought").nonzero()[0].tolist() == [0]


def test_whoever_is_new_on_somebodys_device_is_not_answered_as_somebody(live):
    """Her name is not known yet; the device's owner is not she."""
    hear(live, tell("ada", device="tablet"), allow("ada"))
    assert say(live, "ada", "tablet").id
    answer = say(live, "bob", "tablet")
    assert answer.id == ""
    assert answer.stored.reason == Reason.NO_PERMISSION


NOBODY = ["", " ", "null", "None", "undefined", "0", "anonymous", "[object Object]", "''", "-", "\x00", "N/A"]


def test_names_that_mean_nobody_merge_nobody(live):
    for k, name in enumerate(NOBODY):
        hear(
            live,
            allow(name, device=f"one-{k}"),
            allow(name, device=f"two-{k}"),
            allow(f"ada-{k}", device=name),
        )
        hear(live, allow(f"bob-{k}", device=name))
    for k, name in enumerate(NOBODY):
        four = [number(live, device=f"{which}-{k}") for which in ("one", "two")]
        four += [number(live, f"{who}-{k}") for who in ("ada", "bob")]
        assert len(set(four)) == 4 and min(four) >= 0, (name, four)
        assert number(live, user=name) == -1


@given(
    st.one_of(
        st.none(), st.booleans(), st.floats(), st.lists(st.text()), st.dictionaries(st.text(), st.text())
    )
)
def test_only_text_and_whole_numbers_can_be_somebody(value):
    assert not naming.legal(value)


def test_an_address_that_is_none_links_nobody(live):
    values = [{"a": "b"}, ["ada@example.org"], True, 1.5, "null", "x" * 300]
    for k, value in enumerate(values):
        hear(live, tell(f"ada-{k}", email=value), tell(f"bob-{k}", email=value))
    for k, value in enumerate(values):
        assert number(live, f"ada-{k}") != number(live, f"bob-{k}"), value


def test_one_address_links_two_channels(live):
    hear(live, tell("shop-17", email="Ada@Example.org "), source="web")
    hear(live, tell("card-99", email="ada@example.org"), source="till")
    assert number(live, "shop-17") == number(live, "card-99") >= 0


def test_a_phone_number_is_the_same_however_it_is_written(live):
    hear(live, tell("shop-17", phone="+49 (30) 123-45"), tell("card-99", phone="+493012345"))
    assert number(live, "shop-17") == number(live, "card-99")


def test_an_address_merges_no_two_people_who_are_known(live):
    hear(live, tell("ada", email="ada@example.org"), tell("bob", email="bob@example.org"))
    hear(live, tell("bob", email="ada@example.org"))
    assert number(live, "ada") != number(live, "bob")


def test_a_name_is_stored_so_that_nobody_can_read_it(live):
    hear(live, tell("zoe", email="zoe@example.org"))  # whose name no digest holds by chance

    def work_on(work):
        return {row[0] for row in work.ask("SELECT digest FROM alias")}

    digests = live.call(work_on)
    assert digest(live.shop.secret, Name(EMAIL, "zoe@example.org")) in digests
    assert not any("zo" in each for each in digests)


@pytest.mark.parametrize(("hers", "devices"), [(True, False), (False, True), (False, False), (True, True)])
def test_the_stricter_consent_wins_when_a_device_becomes_hers(live, hers, devices):
    hear(live, allow("ada", purchases=hers), allow(device="phone", purchases=devices))
    hear(live, tell("ada", device="phone"))
    seats, _ = seated(live, "ada")
    assert bool(seats.consent.bits[0, Scope.PURCHASES]) == (hers and devices)


def test_a_channel_that_the_device_closed_stays_closed(live):
    hear(live, allow("ada"), allow(device="phone"))
    hear(live, allow(device="phone", contact__app=False), tell("ada", device="phone"))
    assert column(live, "ada", "optin") == 1 << Channel.EMAIL


def test_a_device_takes_over_the_channels_that_it_closed_and_no_others(live):
    hear(live, allow("ada"), allow("bea"), allow("cleo"))
    hear(live, allow(device="closed", contact__email=False))
    hear(live, allow(device="opened", contact=True, contact__app=True))
    hear(live, allow(device="left", contact=True, contact__app=True, contact__email=True))

    left = number(live, device="left")

    def leave(work):  # as an unsubscribe does
        seats = live.shop.seat(work, [left])
        seats.record.optin[0] &= ~np.uint8(1 << Channel.EMAIL)
        live.shop.keep(work, seats, known=True)

    live.call(leave)
    hear(live, tell("ada", device="closed"), tell("bea", device="opened"), tell("cleo", device="left"))
    both = 1 << Channel.EMAIL | 1 << Channel.APP
    opted = [int(column(live, user, "optin")) & both for user in ("ada", "bea", "cleo")]
    assert opted == [1 << Channel.APP, both, 1 << Channel.APP]


def test_what_a_merge_took_away_is_in_her_ledger(live):
    hear(live, allow("ada"), allow(device="phone", purchases=False))
    hear(live, tell("ada", device="phone"))
    who = number(live, "ada")
    entries = live.call(lambda work: live.shop.ledger_of(work, who))
    assert (entries[-1].kind.name, entries[-1].scopes) == ("WITHDRAWN", ("PURCHASES",))
    assert set(entries[-1].purposes) == {"SERVE", "PERSONALIZE", "CONTACT", "MEASURE"}


def test_a_channel_that_she_or_a_merge_closes_is_in_her_ledger(live):
    hear(live, allow("ada"), allow(device="phone"))
    hear(live, allow("ada", contact__email=False), allow(device="phone", contact__app=False))
    hear(live, tell("ada", device="phone"))
    entries = live.call(lambda work: live.shop.ledger_of(work, 0))
    told = [(e.kind.name, e.scopes, e.purposes, e.context) for e in entries[-2:]]
    assert told == [("WITHDRAWN", ("CONTACT",), ("CONTACT",), f"channel={name}") for name in ("EMAIL", "APP")]
    assert column(live, "ada", "optin") == 0
    seats, _ = seated(live, "ada")
    assert seats.consent.bits[0, Scope.CONTACT] >> Purpose.CONTACT & 1
    holds_together(live)


def test_a_channel_that_she_closed_since_the_merge_stays_closed_when_they_stand_apart(live, clock):
    for closed in (False, True):
        user, phone = f"ada-{closed}", f"phone-{closed}"
        hear(live, allow(user), allow(device=phone), allow(device=phone, contact__app=False))
        device = number(live, device=phone)
        hear(live, tell(user, device=phone))
        if closed:
            hear(live, allow(user, contact__app=False))
        assert live.call(lambda work, device=device: merging.unmerge(work, live.shop, device, 0))
        assert bool(column(live, user, "optin") >> Channel.APP & 1) != closed


@pytest.mark.parametrize("left", ["UNSUBSCRIBE", "BLOCK", "COMPLAIN"])
def test_a_channel_that_she_left_by_a_reaction_stays_closed_when_they_stand_apart(live, left):
    """Also where the merge had closed it already: that she left is a change of what she allows."""
    hear(live, allow("ada"), allow(device="phone"), allow(device="phone", contact__email=False))
    said = say(live, "ada", channel=Channel.EMAIL)
    assert said.stored.number >= 0
    device = number(live, device="phone")
    hear(live, tell("ada", device="phone"))
    assert not column(live, "ada", "optin") >> Channel.EMAIL & 1
    hear(live, react("ada", said.id, left))
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 0))
    assert not column(live, "ada", "optin") >> Channel.EMAIL & 1


def test_whoever_comes_back_to_a_channel_may_leave_it_by_the_same_letter_again(live):
    hear(live, allow("ada"))
    said = say(live, "ada", channel=Channel.EMAIL)
    for _ in range(2):
        hear(live, react("ada", said.id, "UNSUBSCRIBE"))
        assert not column(live, "ada", "optin") >> Channel.EMAIL & 1
        hear(live, react("ada", said.id, "OPEN"), allow("ada", contact__email=True))
        assert column(live, "ada", "optin") >> Channel.EMAIL & 1
    hear(live, react("ada", said.id, "OPEN", "CLICK"))
    assert column(live, "ada", "optin") >> Channel.EMAIL & 1
    told = [e for e in live.call(lambda work: live.shop.ledger_of(work, 0)) if e.context == "channel=EMAIL"]
    assert [e.kind.name for e in told][-4:] == ["WITHDRAWN", "GRANTED"] * 2


def test_a_device_whose_first_event_comes_with_her_name_can_be_taken_apart(live):
    hear(live, allow("ada"))
    hear(live, wish("", "tea", 0, "phone"), tell("ada", device="phone"))
    assert number(live, device="phone") == number(live, "ada")
    device = live.call(lambda work: device_itself(work, live, "phone"))
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 0))
    assert number(live, device="phone") != number(live, "ada")


def device_itself(work, live, device):
    """The number under which a device itself is known."""
    mark = digest(live.shop.secret, Name(ANONYMOUS, device))
    return work.aliases(live.number, [mark])[mark]


def merged(live, clock):
    """Ada with two baskets and her phone with one, which becomes hers."""
    clock.set(5)
    hear(live, allow("ada"), buy("ada", 1, "p1"), buy("ada", 3, "p1"))
    hear(live, allow(device="phone", stated=False, purchases=True), buy("", 2, "p5", device="phone"))
    before = bought(live, "ada")
    alone, (device,) = seated(live, device="phone")
    theirs = {name: getattr(alone.record, name)[0].tolist() for name in PURCHASES}
    hear(live, tell("ada", 5, device="phone"))
    assert column(live, "ada", "visits") == 3
    return before, device, theirs


def test_a_merge_can_be_undone_and_both_stand_apart_again(live, clock):
    before, device, theirs = merged(live, clock)
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    assert number(live, device="phone") == device != number(live, "ada")
    assert bought(live, "ada") == before
    seats, _ = seated(live, device="phone")
    assert {name: getattr(seats.record, name)[0].tolist() for name in PURCHASES} == theirs
    assert [event.lines[0].sku for event in events_of(live, "ada") if event.lines] == ["p1", "p1"]
    holds_together(live)


def test_what_was_refused_for_the_device_is_not_refused_for_her_once_they_stand_apart(live, clock):
    _, device, _ = merged(live, clock)
    seats, _ = seated(live, "ada")
    assert not seats.consent.bits[0, Scope.STATED]
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    seats, _ = seated(live, "ada")
    assert seats.consent.bits[0, Scope.STATED] >> Purpose.PERSONALIZE & 1


def test_what_she_refused_since_stays_refused_when_they_stand_apart(live, clock):
    _, device, _ = merged(live, clock)
    hear(live, allow("ada", 5, stated=True), allow("ada", 5, stated=False))
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    seats, _ = seated(live, "ada")
    assert not seats.consent.bits[0, Scope.STATED]


@pytest.mark.parametrize("spoke_first", [False, True])
def test_what_another_device_of_hers_refuses_stays_refused_when_one_stands_apart(live, clock, spoke_first):
    clock.set(5)
    hear(live, allow("ada"))
    for device in ("phone", "tablet"):
        if spoke_first:
            hear(live, allow(device=device, contact__email=True))
        hear(live, allow(device=device, purchases=True, stated=False, contact__email=False))
        hear(live, tell("ada", 5, device=device))

    def refused():
        seats, _ = seated(live, "ada")
        return not seats.consent.bits[0, Scope.STATED] and not seats.record.optin[0] >> Channel.EMAIL & 1

    assert refused()
    apart = [
        live.call(lambda work, name=name: device_itself(work, live, name)) for name in ("phone", "tablet")
    ]
    assert live.call(lambda work: merging.unmerge(work, live.shop, apart[0], 5))
    assert refused()
    hear(live, tell("ada", 5, device="tablet"))
    assert live.call(lambda work: merging.unmerge(work, live.shop, apart[1], 5))
    assert number(live, device="tablet") != number(live, "ada")


def test_what_was_said_to_both_counts_for_both_when_they_stand_apart(live, clock):
    clock.set(5)
    hear(live, allow("ada"), buy("ada", 2, "p1"), allow(device="phone"), buy("", 2, "p1", device="phone"))
    hear(live, tell("ada", 5, device="phone"))
    device = live.call(lambda work: device_itself(work, live, "phone"))
    assert say(live, device="phone", channel=Channel.APP).stored.action != Action.SILENCE
    hear(live, unlike("ada", "tea"))
    sent, unliked = column(live, "ada", "sent"), column(live, "ada", "unlike_category").tolist()
    assert sent == 1 and 7 in unliked
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    for who in ({"user": "ada"}, {"device": "phone"}):
        assert say(live, channel=Channel.APP, **who).stored.action == Action.SILENCE
    seats, _ = seated(live, device="phone")
    assert seats.record.sent[0] == 1 and seats.record.unlike_category[0].tolist() == unliked
    assert column(live, "ada", "sent") == 1


def test_what_she_told_of_herself_since_stays_when_they_stand_apart(live, clock):
    clock.set(5)
    hear(live, allow("ada"), allow(device="phone"), tell(device="phone", age_class=3, kids=1))
    hear(live, tell("ada", 5, device="phone"))
    assert column(live, "ada", "age") == 3
    hear(live, tell("ada", 5, age_class=4))
    device = live.call(lambda work: device_itself(work, live, "phone"))
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    assert column(live, "ada", "age") == 4 and column(live, "ada", "kids") == UNKNOWN


def test_what_the_device_wished_goes_with_it(live, clock):
    hear(live, allow("ada"), wish("ada", "milk"), allow(device="phone"), wish("", "tea", 0, "phone"))
    device = number(live, device="phone")
    hear(live, tell("ada", device="phone"))
    assert sorted(column(live, "ada", "wish_category").tolist())[2:] == [0, 7]
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    assert sorted(column(live, "ada", "wish_category").tolist())[2:] == [-1, 0]
    assert 7 in seated(live, device="phone")[0].record.wish_category[0].tolist()


def test_a_merge_is_undone_once(live, clock):
    _, device, _ = merged(live, clock)
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    assert not live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    assert not live.call(lambda work: merging.unmerge(work, live.shop, -1, 5))


def test_what_was_taken_apart_does_not_grow_together_by_itself(live, clock):
    """Her app tells device and name with every event; staff said that the device is not hers."""
    _, device, _ = merged(live, clock)
    assert live.call(lambda work: merging.unmerge(work, live.shop, device, 5))
    hear(live, buy("ada", 5, "p7", device="phone"))
    assert number(live, device="phone") == device != number(live, "ada")
    assert column(live, "ada", "visits") == 3


def test_contacts_of_both_count_as_contacts_of_one(live, clock):
    for who in ({"user": "ada"}, {"device": "phone"}):
        hear(live, allow(**who))
        assert say(live, **who).stored.action != Action.SILENCE
    hear(live, tell("ada", device="phone"))
    clock.set(1)
    assert int(column(live, "ada", "sent")) == 2
    assert int(column(live, "ada", "ring").sum()) == 2


def test_she_sees_what_is_stored_of_a_device_that_became_hers(desk):
    """What it did, what was said to it and its account; and no more of it once they stand apart."""
    who = {"anonymousId": "phone"}
    assert desk.ask("POST", "/v1/consent", {**who, "grants": ALLOWED}, "serve").status_code == 200
    desk.send(order(None, **who), {"type": "identify", **who, "traits": {"colour": "green"}})
    said = desk.ask("POST", "/v1/decisions", {**who, "channel": "app"}, "serve").json()
    desk.allow("ada")
    desk.send({"type": "identify", "userId": "ada", **who})
    account = desk.account("ada")
    (device,) = account["devices"]
    assert device["customer"] != account["customer"] and device["devices"] == []
    assert [each["name"] for each in device["events"]] == ["consent", "Order Completed", "identify"]
    assert [each["id"] for each in device["decisions"]] == [said["id"]]
    assert [each["kind"] for each in device["ledger"]][-2:] == ["used", "contacted"]
    assert [each["number"] for each in device["ledger"]] == list(range(len(device["ledger"])))
    assert device["profile"]["traits"] == {"colour": "green"} and device["brokenAt"] is None
    assert account["record"]["visits"] == device["record"]["visits"] == 1
    assert desk.ask("POST", "/v1/devices/phone/apart").status_code == 200
    assert desk.account("ada")["devices"] == []


def test_a_reaction_to_what_was_said_before_she_said_who_she_is_counts(live, clock):
    hear(live, allow("ada"), allow(device="phone"))
    said = say(live, device="phone", channel=Channel.EMAIL)
    assert said.stored.number >= 0
    hear(live, tell("ada", device="phone"))
    clock.set(1)
    hear(live, react("ada", said.id, "UNSUBSCRIBE", "OPEN", day=1))
    assert column(live, "ada", "optin") == 1 << Channel.APP
    assert int(column(live, "ada", "opened")) == 1
    holds_together(live)


def test_a_reaction_of_somebody_else_is_not_hers(live):
    hear(live, allow("ada"), allow("bob"))
    said = say(live, "ada", channel=Channel.EMAIL)
    hear(live, react("bob", said.id, "UNSUBSCRIBE"))
    assert column(live, "ada", "optin") == column(live, "bob", "optin") == 3


def join(user):
    return Event(Did.OTHER, at(0), name="group", user=user, kept={"household": "the-lovelaces"})


def test_a_household_links_its_members_and_mixes_nothing(live):
    group = [join(user) for user in ("ada", "bob")]
    allowed = [allow(user, household=True, purchases=True) for user in ("ada", "bob")]
    hear(live, *allowed, *group, buy("ada", 0, "p1"))
    linked = live.call(lambda work: work.ask("SELECT household, customer FROM household ORDER BY customer"))
    assert [row[1] for row in linked] == sorted([number(live, "ada"), number(live, "bob")])
    assert len({row[0] for row in linked}) == 1 and "lovelace" not in linked[0][0]
    assert number(live, "ada") != number(live, "bob")
    assert [int(column(live, who, "visits")) for who in ("ada", "bob")] == [1, 0]


def test_a_household_is_kept_only_of_whoever_allows_it(live):
    hear(live, allow("ada", household=True), allow("bob"), allow("bob", browsing=True))
    taken = live.engine.taken.labels("withheld")._value.get()
    hear(live, join("ada"), join("bob"), join("cyd"))
    linked = live.call(lambda work: work.ask("SELECT customer FROM household"))
    assert linked == [(number(live, "ada"),)]
    assert [len([e for e in events_of(live, who) if e.name == "group"]) for who in ("ada", "bob", "cyd")] == [
        1,
        0,
        0,
    ]
    assert live.engine.taken.labels("withheld")._value.get() == taken + 2
    hear(live, allow("ada", household=False), join("ada"))
    assert len([event for event in events_of(live, "ada") if event.name == "group"]) == 1


def test_two_engines_that_meet_a_new_customer_at_once_welcome_her_once(live):
    with another_engine(live) as other:
        engines = (live.engine, other)
        barrier = threading.Barrier(8)

        def meet(k):
            barrier.wait(30)
            for round_ in range(5):
                engine = engines[k % 2]
                hear(
                    live,
                    buy(f"user-{round_}", 0, "p1", device=f"device-{k % 3}-{round_}"),
                    engine=engine,
                    source=str(k),
                )
                say(live, f"user-{round_}", engine=engine)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(meet, range(8)))
    owners = live.call(
        lambda work: work.ask("SELECT COUNT(DISTINCT customer) FROM alias WHERE kind = 'user'")
    )
    assert owners == [(5,)]
    assert live.call(lambda work: work.tenant(live.number).customers) >= 5


def test_one_engine_applies_at_a_time_so_that_nobody_acts_on_who_was_who(live):
    """While one makes the phone hers, another takes in what was bought with it: that is hers too."""
    hear(live, allow("ada"), allow(device="phone"))
    device = number(live, device="phone")
    merged_, came, done = threading.Event(), threading.Event(), []
    with another_engine(live) as other:
        shop = other.shops[live.number]

        def merges(work):
            intake.apply(work, live.shop, [(tell("ada", device="phone"), "app")], at(0))
            merged_.set()
            assert came.wait(30)
            time.sleep(0.5)
            done.append("merged")

        def buys(work):
            came.set()
            intake.apply(work, shop, [(buy("", 0, "p1", device="phone"), "till")], at(0))
            done.append("bought")

        first = live.engine.call(live.shop, merges, drained=False)
        assert merged_.wait(30)
        if live.url.startswith("sqlite"):
            came.set()  # there the second cannot even begin
        second = other.call(shop, buys, drained=False)
        first.result(30), second.result(30)
    assert done == ["merged", "bought"]
    assert number(live, device="phone") == number(live, "ada") != device
    assert column(live, "ada", "visits") == 1
    assert [event.name for event in events_of(live, "ada")].count("Order Completed") == 1
