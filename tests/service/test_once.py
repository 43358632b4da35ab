"""Idempotency-Key: one effect and one answer; and Sec-GPC: nothing is passed on."""

import asyncio
import threading

import pytest
from msgspec.structs import replace

from regulars.service import audit, idempotency, intake, naming
from regulars.service.naming import Name
from regulars.service.routes import POSTHOG_PATHS, ROUTES
from regulars.service.store import Transaction
from regulars.service.store.sql import LEASE_MS

from .conftest import at
from .customers import allow, ask, hear, holds_together
from .desk import ALLOWED, iso, order, track

KEY = {"Idempotency-Key": "a-key"}
ONCE = [route.path for route in ROUTES if route.once]


def test_what_speaks_to_her_is_once():
    assert ONCE == ["/v1/decisions", "/v1/decisions/{id}/reactions", "/v1/consent"]


def bought(desk, user="anna"):
    """A regular who is spoken to."""
    desk.allow(user)
    for day in (1, 3, 5, 7, 9):
        desk.send(order(user, timestamp=iso(at(day))))


def spoken(desk, **headers):
    """A decision that is no silence, on the first day on which there is one."""
    for day in range(10, 30):
        desk.live.clock.set(day)
        answer = desk.decide("anna", headers=headers)
        if answer.json()["action"] != "silence":
            return answer.json()
    raise AssertionError("she was never spoken to")


def test_the_same_key_is_one_decision_and_one_contact(desk):
    bought(desk)
    for day in range(10, 50):
        desk.live.clock.set(day)
        answers = {
            desk.decide("anna", headers={"Idempotency-Key": f"of-day-{day}"}).content for _ in range(3)
        }
        assert len(answers) == 1
    account = desk.account("anna")
    said = [each for each in account["decisions"] if each["action"] != "silence"]
    assert len(account["decisions"]) == 40
    assert account["record"]["sent"] == len(said) >= 2


def test_a_key_is_answered_the_same_whatever_happened_since(desk):
    bought(desk)
    first = desk.decide("anna", headers=KEY)
    desk.live.clock.set(25)
    desk.allow("anna", contact=False, purchases=False)
    assert desk.decide("anna", headers=KEY).content == first.content


def test_without_a_key_asking_twice_is_two_decisions(desk):
    """So the test above can fail."""
    bought(desk)
    assert desk.decide("anna").json()["id"] != desk.decide("anna").json()["id"]


def test_many_at_once_with_one_key_have_one_effect(desk):
    bought(desk)

    async def ask_all():
        one = [desk.asked("POST", "/v1/decisions", {"userId": "anna"}, headers=KEY) for _ in range(20)]
        return await asyncio.gather(*one)

    before = len(desk.account("anna")["decisions"])
    answers = desk.loop.run_until_complete(ask_all())
    good = {answer.content for answer in answers if answer.status_code == 200}
    waits = [answer for answer in answers if answer.status_code != 200]
    assert len(good) == 1
    assert {answer.status_code for answer in waits} <= {409}
    assert all(
        answer.json()["code"] == "idempotency_in_flight" and answer.headers["retry-after"] for answer in waits
    )
    assert len(desk.account("anna")["decisions"]) == before + 1
    assert desk.decide("anna").status_code == 200


def test_while_the_first_is_being_done_the_second_is_told_to_wait(desk):
    gate, shop = threading.Event(), desk.live.shop
    decide = shop.decide

    def slow(work, asks, now_ms):
        gate.wait(10)
        return decide(work, asks, now_ms)

    shop.decide = slow

    async def both():
        first = asyncio.ensure_future(desk.asked("POST", "/v1/decisions", {"userId": "anna"}, headers=KEY))
        await asyncio.sleep(0.2)
        second = asyncio.ensure_future(desk.asked("POST", "/v1/decisions", {"userId": "anna"}, headers=KEY))
        await asyncio.sleep(0.1)
        gate.set()
        return await first, await second

    first, second = desk.loop.run_until_complete(both())
    assert first.status_code == 200
    assert second.status_code == 409 and second.json()["code"] == "idempotency_in_flight"
    again = desk.ask("POST", "/v1/decisions", {"userId": "anna"}, headers=KEY)
    assert again.status_code == 200 and again.content == first.content


def test_a_claim_that_is_not_answered_yet_says_wait(desk):
    shop, raw = desk.live.shop, b'{"userId":"anna"}'
    digest = naming.digest(shop.secret, Name("once serve", "a-key"))
    what = naming.digest(shop.secret, Name("request", f"POST /v1/decisions {raw.hex()}"))
    now = desk.live.clock()
    desk.live.call(lambda work: work.claim(shop.number, digest, what, 10, now))
    answer = desk.ask("POST", "/v1/decisions", raw=raw, role="serve", headers=KEY)
    assert answer.status_code == 409 and answer.json()["code"] == "idempotency_in_flight"
    assert answer.headers["retry-after"] == "1"
    desk.live.call(lambda work: work.release(shop.number, digest, now))
    assert desk.ask("POST", "/v1/decisions", raw=raw, role="serve", headers=KEY).status_code == 200


def stopped(desk, path, body, monkeypatch, after):
    """The process ends in the midst of this request: before the work, or after it and before it is answered."""
    shop = desk.live.shop

    def ends(*_, **__):
        raise SystemError("it ended")

    with monkeypatch.context() as dying:
        dying.setattr(idempotency, "answered", ends)
        dying.setattr(Transaction, "release", lambda *_: None)
        if not after:
            dying.setattr(shop, "decide", ends)
            dying.setattr(audit, "looked_up", ends)
            dying.setattr(intake, "apply", ends)
        answer = desk.ask("POST", path, body, "serve", headers=KEY)
        assert answer.status_code == 500, answer.text


@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work"])
@pytest.mark.parametrize("route", ONCE)
def test_a_key_whose_process_died_is_the_next_ones_after_a_minute(desk, route, after, monkeypatch):
    path, body, other = cases(desk)[route]
    stopped(desk, path, body, monkeypatch, after)
    then, before = desk.live.clock(), desk.tables()
    assert bool(before["claim"][0]["decision"]) == (after and route == "/v1/decisions")
    for ms in (0, LEASE_MS - 1):
        desk.live.clock.ms = then + ms
        waits = desk.ask("POST", path, body, "serve", headers=KEY)
        assert waits.status_code == 409 and waits.json()["code"] == "idempotency_in_flight"
    assert desk.tables() == before
    desk.live.clock.ms = then + LEASE_MS
    assert desk.ask("POST", path, other, "serve", headers=KEY).status_code == 422
    first = desk.ask("POST", path, body, "serve", headers=KEY)
    assert first.status_code == 200
    assert desk.ask("POST", path, body, "serve", headers=KEY).content == first.content


def test_what_was_decided_before_the_process_died_is_what_the_retry_is_told(desk, monkeypatch):
    bought(desk)
    body = {"userId": "anna", "channel": "app", "candidates": {"skus": ["p0"]}}
    for day in range(10, 30):
        desk.live.clock.set(day)
        known = {row["id"] for row in desk.tables()["decision"]}
        stopped(desk, "/v1/decisions", body, monkeypatch, True)
        (made,) = [row["id"] for row in desk.tables()["decision"] if row["id"] not in known]
        desk.live.clock.ms += LEASE_MS
        told = desk.ask("POST", "/v1/decisions", body, "serve", headers=KEY).json()
        assert told["id"] == made
        assert made == desk.account("anna")["decisions"][-1]["id"]
        if told["action"] == "offer":
            break
        desk.live.call(lambda work: work.tell("DELETE FROM claim"))
    assert told["action"] == "offer" and desk.account("anna")["record"]["sent"] == 1


def test_nobody_is_decided_about_twice_under_one_key(live):
    hear(live, allow("anna"), allow("bert"))
    live.call(lambda work: [work.claim(live.number, key, "request", 0, 0) for key in ("a", "b")])
    asks = [
        replace(ask(user, live.clock()), once=key)
        for user, key in (("anna", "a"), ("bert", "b"), ("anna", ""))
    ]
    first = live.engine.decide(live.shop, asks).result(60)
    again = live.engine.decide(live.shop, asks).result(60)
    assert [answer.id for answer in again[:2]] == [answer.id for answer in first[:2]]
    assert again[0].stored == first[0].stored and again[2].id != first[2].id
    assert live.call(lambda work: work.ask("SELECT COUNT(*) FROM decision")) == [(4,)]
    holds_together(live)


def test_who_asks_twice_at_once_under_one_key_is_told_one_decision(live):
    hear(live, allow("anna"))
    live.call(lambda work: work.claim(live.number, "a", "request", 0, 0))
    asks = [replace(ask("anna", live.clock()), once=key) for key in ("a", "a", "")]
    told = live.engine.decide(live.shop, asks).result(60)
    assert told[0].id == told[1].id != told[2].id
    assert live.call(lambda work: work.ask("SELECT COUNT(*) FROM decision")) == [(2,)]
    holds_together(live)


def cases(desk):
    """For every route that is once: its path, a body and another body."""
    bought(desk)
    id = spoken(desk)["id"]
    return {
        "/v1/decisions": ("/v1/decisions", {"userId": "anna"}, {"userId": "bert"}),
        "/v1/consent": ("/v1/consent", {"userId": "anna", "grants": {"service": True}},
                        {"userId": "anna", "grants": {"service": False}}),
        "/v1/decisions/{id}/reactions": (f"/v1/decisions/{id}/reactions", {"reactions": ["open"]},
                                         {"reactions": ["click"]}),
    }  # fmt: skip


@pytest.mark.parametrize("route", ONCE)
def test_the_same_key_gives_the_same_answer_and_another_request_is_refused(desk, route):
    path, body, other = cases(desk)[route]
    first = desk.ask("POST", path, body, "serve", headers=KEY)
    assert first.status_code == 200
    before = desk.tables()
    again = desk.ask("POST", path, body, "serve", headers=KEY)
    assert (again.status_code, again.content, again.headers["content-type"]) == (
        200, first.content, first.headers["content-type"],
    )  # fmt: skip
    wrong = desk.ask("POST", path, other, "serve", headers=KEY)
    assert wrong.status_code == 422 and wrong.json()["code"] == "idempotency_mismatch"
    elsewhere = desk.ask("POST", "/v1/consent" if path == "/v1/decisions" else "/v1/decisions",
                         {"userId": "anna", "grants": {"contact": False}} if path == "/v1/decisions"
                         else {"userId": "anna"}, "serve", headers=KEY)  # fmt: skip
    assert elsewhere.status_code == 422
    assert desk.tables() == before
    assert desk.ask("POST", path, other, "serve", headers={"Idempotency-Key": "another"}).status_code == 200


def test_a_key_is_free_again_after_a_failure(desk):
    bought(desk)
    for bad in ({"userId": "null"}, {"userId": "anna", "timezone": "Mars/Phobos"}):
        assert desk.ask("POST", "/v1/decisions", bad, "serve", headers=KEY).status_code == 400
    path = f"/v1/decisions/{'0' * 24}/reactions"
    assert desk.ask("POST", path, {"reactions": ["open"]}, "serve", headers=KEY).status_code == 404
    failing, desk.live.shop.decide = desk.live.shop.decide, None
    assert desk.ask("POST", "/v1/decisions", {"userId": "anna"}, "serve", headers=KEY).status_code == 500
    desk.live.shop.decide = failing
    assert desk.ask("POST", "/v1/decisions", {"userId": "anna"}, "serve", headers=KEY).status_code == 200


@pytest.mark.parametrize("key", ["k" * 256, "k" * 9_000])
def test_a_key_that_is_too_long_is_refused(lasting, key):
    answer = lasting.decide("anna", headers={"Idempotency-Key": key})
    assert answer.status_code == 400 and answer.json()["code"] == "idempotency_key"
    assert lasting.decide("anna", headers={"Idempotency-Key": "k" * 255}).status_code == 200


# ---- Sec-GPC -------------------------------------------------------------------------------------------------------

GPC = {"Sec-GPC": "1"}
SHARED = {**ALLOWED, "purchases.share": True, "stated.share": True}


def shares(desk, user="anna"):
    return sorted(scope for scope, purposes in desk.account(user)["consent"].items() if "share" in purposes)


def event_to(path):
    """A body for a route that takes events, about anna."""
    kind = path.rpartition("/")[2]
    if path in POSTHOG_PATHS:
        event = {"event": "x", "distinct_id": "anna"}
        return {"batch": [event]} if "batch" in path else event
    if kind in ("batch", "import"):
        return {"batch": [track("x")]}
    return {"userId": "anna", "event": "x", "previousId": "d-1", "groupId": "g-1"}


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.key_in_body])
def test_gpc_takes_sharing_back_on_every_route_of_events(desk, path):
    desk.allow("anna", **SHARED)
    desk.allow("bert", **SHARED)
    assert desk.ask("POST", path, event_to(path), "write").status_code == 200
    assert desk.ask("POST", path, event_to(path), "write", headers={"Sec-GPC": "0"}).status_code == 200
    assert shares(desk) == ["purchases", "stated"]
    assert desk.ask("POST", path, event_to(path), "write", headers=GPC).status_code == 200
    assert shares(desk) == [] and shares(desk, "bert") == ["purchases", "stated"]
    assert desk.account("anna")["consent"]["purchases"] == ["serve", "personalize", "contact", "measure"]


def test_gpc_holds_against_what_the_same_request_allows(desk):
    desk.allow("anna", headers=GPC, **SHARED)
    assert shares(desk) == [] and "personalize" in desk.account("anna")["consent"]["purchases"]
    told = track("Consent Updated", context={"consent": {"categoryPreferences": SHARED}})
    desk.send(told, headers=GPC)
    assert shares(desk) == []
    desk.send(told)
    assert shares(desk) == ["purchases", "stated"]


def test_gpc_and_a_later_grant_hold_in_the_order_in_which_they_came(desk):
    told = track("Consent Updated", context={"consent": {"categoryPreferences": SHARED}})

    async def in_order(*headers):
        """Deliveries that are applied together."""
        for each in headers:
            await desk.asked("POST", "/v1/batch", {"batch": [told]}, "write", headers=each)

    desk.loop.run_until_complete(in_order({}, GPC))
    assert shares(desk) == []
    desk.loop.run_until_complete(in_order(GPC, {}))
    assert shares(desk) == ["purchases", "stated"]


def test_gpc_is_honoured_with_a_reaction(desk):
    bought(desk)
    desk.allow("anna", **SHARED)
    id = spoken(desk)["id"]
    path = f"/v1/decisions/{id}/reactions"
    assert desk.ask("POST", path, {"reactions": ["open"]}, "serve").status_code == 200
    assert shares(desk)
    assert desk.ask("POST", path, {"reactions": ["open"]}, "serve", headers=GPC).status_code == 200
    assert not shares(desk)


def test_gpc_with_a_reaction_reaches_whoever_the_device_became(desk):
    grants = SHARED | {"contact": True, "contact.app": True}
    told = {"anonymousId": "phone", "grants": grants}
    assert desk.ask("POST", "/v1/consent", told, "serve").status_code == 200
    bought_there = {name: value for name, value in order().items() if name != "userId"}
    desk.send(bought_there | {"anonymousId": "phone"})
    said = desk.ask("POST", "/v1/decisions", {"anonymousId": "phone", "channel": "app"}, "serve").json()
    desk.allow("anna", **grants)
    desk.send({"type": "identify", "userId": "anna", "anonymousId": "phone"})
    assert shares(desk)
    path = f"/v1/decisions/{said['id']}/reactions"
    desk.ask("POST", path, {"reactions": ["open"]}, "serve", headers=GPC)
    assert not shares(desk)


def test_gpc_with_a_reaction_to_silence_is_honoured_too(desk):
    desk.allow("anna", **{"purchases": True, "purchases.share": True})
    silent = desk.decide("anna").json()
    assert shares(desk)
    path = f"/v1/decisions/{silent['id']}/reactions"
    assert desk.ask("POST", path, {"reactions": ["open"]}, "serve", headers=GPC).status_code == 409
    assert not shares(desk)


def test_gpc_is_honoured_before_a_decision(desk):
    bought(desk)
    desk.allow("anna", **SHARED)
    desk.allow("bert", **SHARED)
    assert desk.decide("anna", headers={"Sec-GPC": "0"}).status_code == 200 and shares(desk)
    said = desk.decide("anna", headers=GPC)
    assert said.status_code == 200 and not shares(desk) and shares(desk, "bert")
    account = desk.account("anna")
    kinds = [entry["kind"] for entry in account["ledger"]]
    assert "share" not in {purpose for scope in account["consent"].values() for purpose in scope}
    assert "personalize" in account["consent"]["purchases"] and account["brokenAt"] is None
    # Once is enough: whoever shares nothing has nothing to take back.
    assert desk.decide("anna", headers=GPC).status_code == 200
    again = [entry["kind"] for entry in desk.account("anna")["ledger"]]
    assert again.count("withdrawn") == kinds.count("withdrawn") >= 2


def test_consent_beside_another_event_changes_nothing(desk):
    told = {"context": {"consent": {"categoryPreferences": SHARED}}}
    desk.send(track("Product Viewed", **told), {"type": "identify", "userId": "anna", **told})
    assert not any(desk.account("anna")["consent"].values())
    desk.send(track("Consent Updated", **told))
    assert shares(desk)


def test_gpc_with_a_decision_about_nobody_makes_nobody(desk):
    before = desk.tables()
    for who in ("zoe", "zoe-2"):
        assert desk.decide(who, headers=GPC).json()["id"] == ""
    assert desk.tables()["customer"] == before["customer"]


def test_gpc_of_somebody_new_on_a_device_of_another_is_not_that_others(desk):
    desk.send({"type": "identify", "userId": "anna", "anonymousId": "device-1"})
    desk.allow("anna", **SHARED)
    assert desk.decide("zoe", anonymousId="device-1", headers=GPC).status_code == 200
    assert shares(desk)
    assert desk.decide(None, anonymousId="device-1", headers=GPC).status_code == 200
    assert not shares(desk)


def test_sharing_is_never_a_default(desk):
    desk.allow("anna")
    assert shares(desk) == []
