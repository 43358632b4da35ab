"""A day that is closed by whoever comes first, and an engine that is never quiet or never well."""

import datetime
import threading
import time

import pytest

from regulars.service import engine as engines
from regulars.service.clock import now_ms
from regulars.service.engine import Engine
from regulars.service.events import Did, Event
from regulars.service.opening import Opening, open_shop
from regulars.service.store import open_store
from regulars.service.store.sql import StoreFailed
from regulars.terms import Channel

from .conftest import at, corner_shop
from .customers import allow, ask, buy, column, hear, say
from .desk import open_desk

#: A policy that speaks whenever it may.
LOUD = {"restraint": 0.0, "min_gap_days": 0, "repeat_days": 1, "per_week": 14.0}


def iso(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat()


@pytest.fixture
def loud(tmp_path):
    opened = open_desk(tmp_path, policy_settings=LOUD)
    yield opened
    opened.close()


def test_a_store_that_fails_is_asked_once_for_all_who_wait(live, clock):
    clock.set(5)
    hear(live, *(allow(f"name-{k}") for k in range(20)))
    say(live, "name-0")
    tried, waits, may_go = [], threading.Event(), threading.Event()

    def fails():
        tried.append(1)
        raise StoreFailed("no room")

    def hold(work):
        waits.set()
        may_go.wait(30)

    held = live.engine.call(live.shop, hold)
    assert waits.wait(30)
    asked = [live.engine.decide(live.shop, [ask(f"name-{k}", clock())]) for k in range(20)]
    live.engine.store.transaction, real = fails, live.engine.store.transaction
    may_go.set()
    held.result(30)
    assert all(isinstance(each.exception(30), StoreFailed) for each in asked)
    count = len(tried)
    live.engine.store.transaction = real
    assert count <= 3  # once for them, and for whoever looks whether events wait


def test_an_unsubscribe_that_is_the_first_request_of_a_day_is_obeyed(loud):
    live = loud.live
    live.clock.set(10)
    hear(live, *(allow(user, 10) for user in ("zed", "ada")))
    assert loud.decide("zed").json()["action"] != "silence"  # a contact that is ripe when the day is closed
    live.clock.set(16)
    said = loud.decide("ada").json()
    assert said["action"] != "silence"
    live.clock.set(18, 0)
    path = f"/v1/decisions/{said['id']}/reactions"
    told = loud.ask("POST", path, {"reactions": ["unsubscribe"]}, "serve", headers={"Sec-GPC": "1"})
    assert told.status_code == 200
    assert not column(live, "ada", "optin") >> Channel[said["channel"].upper()] & 1
    entries = loud.account("ada")["ledger"]
    closed = [e for e in entries if e["kind"] == "withdrawn" and e["context"].startswith("channel=")]
    assert [e["context"] for e in closed] == [f"channel={said['channel'].upper()}"]


def test_who_was_seated_before_a_day_was_closed_is_not_written_back(loud):
    live = loud.live
    hear(live, allow("ada"), allow("bob"))

    def work_on(work):
        seats = live.shop.seat(work, [0])
        live.shop.seat(work, [1])
        live.shop.keep(work, seats)

    with pytest.raises(RuntimeError):
        live.call(work_on)


def test_a_decision_about_yesterday_can_be_made_again_later(loud):
    live = loud.live
    for day in (10, 11):
        live.clock.set(day)
        hear(live, allow("ada", day), allow("bob", day), buy("ada", day, "p1"), buy("bob", day, "p2"))
        loud.decide("ada")
    live.clock.set(12, 0)
    said = loud.decide("bob", moment=iso(at(11, 12))).json()
    for day in (13, 20):
        live.clock.set(day, 10)
        loud.decide("ada")
        told = loud.ask("POST", f"/v1/decisions/{said['id']}/replay", {}, "staff").json()
        assert told["equal"], (day, told)


def test_who_asks_for_what_is_not_there_makes_nobody_read_all_anew(loud):
    loud.live.clock.set(3)
    loud.decide("ada")
    knew = loud.live.shop.knows()
    for path in ("/v1/customers/nobody", "/v1/decisions/none"):
        assert loud.ask("GET", path, role="staff").status_code == 404
    assert loud.live.shop.knows() == knew and knew[0] >= 0


@pytest.fixture
def today(tmp_path):
    """An engine by the system's clock."""
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    start = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=3)
    number, _ = open_shop(store, Opening("corner", corner_shop(), start))
    engine = Engine(store)
    yield engine, engine.shops[number]
    engine.close()


def view(k):
    return Event(Did.NEARLY, now_ms(), name="Product Viewed", user=f"user-{k % 5}", message=f"m{k}")


def test_what_waits_is_applied_while_more_keeps_coming(today, monkeypatch):
    engine, shop = today
    monkeypatch.setattr(engines, "PATIENCE_MS", 300)
    oldest, until, k = 0, time.monotonic() + 3, 0
    while time.monotonic() < until:
        engine.take_in(shop, "app", [view(k)]).result(30)
        k += 1
        time.sleep(0.01)
        waiting = engine.call(shop, lambda work: work.awaited(), drained=False).result(30)
        oldest = max([oldest, *(now_ms() - received for _, received, _ in waiting)])
    assert k > 50
    assert oldest < 2_000


def test_a_store_that_fails_while_something_is_set_aside_stops_nobody(today):
    engine, shop = today
    fails = threading.Event()
    real = engine.store.transaction

    def spoil(work):
        work.put_in([(shop.number, "web", now_ms(), 1, b"not what was sealed")])

    def transaction():
        if fails.is_set():
            raise StoreFailed("no room")
        return real()

    engine.call(shop, spoil, drained=False).result(30)
    aside = shop.forget

    def forget():  # the delivery could not be applied; now it cannot be set aside either
        fails.set()
        aside()

    engine.store.transaction, shop.forget = transaction, forget
    failed = engine.call(shop, lambda work: None)
    with pytest.raises(Exception):  # noqa: B017 - whichever; nobody is left waiting
        failed.result(30)
    fails.clear()
    del engine.store.transaction, shop.forget
    assert engine.alive()
    assert engine.call(shop, lambda work: 7).result(30) == 7
