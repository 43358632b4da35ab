"""Hostile input: refused whole, in words that name the field and the mend, without an error of ours and without a trace."""

import csv
import gzip
import json
import logging
import math
import os
import re
import signal
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.errors import SettingError
from regulars.service import app, audit, bodies, http, letters, listing, naming, problems, routes, segment
from regulars.service.naming import EMAIL, PHONE, USER, Name
from regulars.service.problems import Refused
from regulars.service.routes import MOST_IGNORED, ROUTES
from regulars.sources import listings
from regulars.terms import Channel, Purpose, Scope

from .conftest import at
from .customers import another_engine
from .desk import iso, open_desk, order, track

CANARY = "anna.canary@example.com"
GOOD = track("Product Viewed", "good", messageId="good-1")


def refused(answer, status=400, field=None, code=None):
    """That an answer is a problem of RFC 9457 that says what is wrong and how to mend it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert {"type", "title", "status", "detail", "code", "message"} <= told.keys()
    assert (
        told["status"] == status and told["title"] and told["type"] == f"urn:regulars:problem:{told['code']}"
    )
    assert told["message"] == told["detail"] and len(told["detail"]) > 20
    assert code is None or told["code"] == code
    if field is not None:
        assert told["errors"][0]["field"] == field, told
        assert told["errors"][0]["mend"] and field in told["detail"]
    return told


def post(at_desk, raw, path="/v1/batch", role="write", **headers):
    raw = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return at_desk.ask("POST", path, raw=raw, role=role, headers=names)


# ---- bodies ------------------------------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "text": b'"events"',
    "null": b"null",
    "a number": b"1",
    "a list": b"[]",
    "no UTF-8": b'{"batch": [{"type": "\xff\xfe"}]}',
    "UTF-16": '{"batch": []}'.encode("utf-16"),
    "a NUL byte": b'{"userId": "a\x00b"}',
    "two objects": b"{}{}",
    "deep nesting": b'{"batch":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    "a number of 5,000 digits": b'{"batch": ' + b"9" * 5_000 + b"}",
    "bytes": bytes(range(256)),
}
TAKES = [route.path.replace("{id}", "0" * 24) for route in ROUTES if route.takes is not None]
METHOD = {route.path.replace("{id}", "0" * 24): route.method for route in ROUTES if route.takes is not None}


@pytest.mark.parametrize("path", TAKES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_object_is_refused_on_every_route(lasting, path, body):
    refused(lasting.ask(METHOD[path], path, raw=body))


@pytest.mark.parametrize("path", TAKES)
def test_a_body_over_the_limit_is_refused_on_every_route(lasting, path):
    most = next(route.most for route in ROUTES if route.path.replace("{id}", "0" * 24) == path)
    body = b'{"x": "' + b"x" * most + b'"}'
    told = refused(lasting.ask(METHOD[path], path, raw=body), 413, code="too_large")
    assert str(most) in told["detail"]


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(lasting):
    bomb = gzip.compress(b'{"batch": "' + b" " * 200_000_000 + b'"}')
    assert len(bomb) < 400_000
    tracemalloc.start()
    refused(post(lasting, bomb, content_encoding="gzip"), 413, code="too_large")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * segment.BATCH_BYTES


def test_gzip_that_cannot_be_unpacked_is_refused(lasting):
    packed = gzip.compress(json.dumps({"batch": [GOOD]}).encode())
    refused(post(lasting, packed[:-9], content_encoding="gzip"), field="body")
    refused(post(lasting, b"\x1f\x8b nothing", content_encoding="gzip"), field="body")
    refused(post(lasting, b"", content_encoding="gzip"), field="body")
    refused(post(lasting, packed), field="body")  # packed and not said so


def test_what_follows_the_first_gzip_member_is_not_lost_in_silence(lasting):
    body = json.dumps({"batch": [GOOD]}).encode()
    refused(post(lasting, gzip.compress(body) + gzip.compress(body), content_encoding="gzip"), field="body")


@pytest.mark.parametrize("packed", ["br", "deflate", "zstd", "gzip, gzip", "\u00ff"])
def test_an_encoding_that_is_not_gzip_is_refused(lasting, packed):
    answer = lasting.ask(
        "POST", "/v1/batch", raw=b"x", headers={b"Content-Encoding": packed.encode("latin-1")}
    )
    refused(answer, 415, code="encoding")


@pytest.mark.parametrize("field", ["o]_.%", "a.b", "a - at b", "`", "", "$.products", "[0]", "sku ", "\n"])
def test_a_field_that_nobody_reads_is_refused_whatever_its_name(lasting, field):
    """As a client wrote it, and at whichever depth."""
    refused(lasting.ask("PUT", "/v1/stock", {field: False}), field=field)
    within = {"products": [{field: 1, "product_id": "p0", "onHand": 1}]}
    refused(lasting.ask("PUT", "/v1/stock", within), field=f"products[0].{field}")


@pytest.mark.parametrize(
    "field", ["x` - at `$.y", "x` - at `$.products[7]", "x` - at `$.products[\u00b2]", "\ud800", "x\ud800"]
)
def test_a_field_that_is_named_to_mislead_is_refused_all_the_same(lasting, field):
    for body in ({field: 1, "products": []}, {"products": [{field: 1, "product_id": "p0", "onHand": 1}]}):
        refused(lasting.ask("PUT", "/v1/stock", raw=json.dumps(body).encode()), code="invalid")


# ---- fields --------------------------------------------------------------------------------------------------------


def line(**changes):
    return order() | {
        "properties": {"products": [{"product_id": "p0", "quantity": 1, "price": 1.0} | changes]}
    }


HUGE = 10**400
DEEP = json.loads("[" * 40 + "]" * 40)
#: What is wrong with one event, and the field that is named.
EVENTS = {
    "no type": ({"userId": "anna"}, "type"),
    "an unknown type": ({"type": "trak", "userId": "anna"}, "type"),
    "a type that is a list": ({"type": ["track"], "userId": "anna"}, "type"),
    "nobody": ({"type": "track", "event": "x"}, "userId"),
    "explicit nulls for everybody": ({"type": "track", "event": "x", "userId": None, "anonymousId": None}, "userId"),
    "a userId that is an object": ({"type": "track", "event": "x", "userId": {"a": 1}}, "userId"),
    "a userId with a NUL": (track("x", "an\x00na"), "userId"),
    "a userId with half a surrogate": (track("x", "an\ud800na"), "userId"),
    "a userId of 257 characters": (track("x", "a" * 257), "userId"),
    "an anonymousId with a NUL": ({"type": "page", "anonymousId": "d\x00"}, "anonymousId"),
    "no event": ({"type": "track", "userId": "anna"}, "event"),
    "an event that is an object": (track({"a": 1}), "event"),
    "a messageId of 100 characters": (track("x", messageId="m" * 100), "messageId"),
    "a messageId that is an object": (track("x", messageId={}), "messageId"),
    "a messageId with a NUL": (track("x", messageId="m\x00"), "messageId"),
    "properties that are a list": (track("x", properties=[1]), "properties"),
    "context that is text": (track("x", context="x"), "context"),
    "traits that are text": ({"type": "identify", "userId": "anna", "traits": "x"}, "traits"),
    "deep properties": (track("x", properties={"a": DEEP}), "properties.a"),
    "deep traits": ({"type": "identify", "userId": "anna", "traits": {"a": DEEP}}, "traits.a"),
    "a time that is none": (track("x", timestamp="yesterday"), "timestamp"),
    "a time in 1969": (track("x", timestamp="1969-12-31T23:59:59Z"), "timestamp"),
    "a time in 2100": (track("x", timestamp="2100-01-01T00:00:00Z"), "timestamp"),
    "the first of all times": (track("x", timestamp="0001-01-01T00:00:00+23:59"), "timestamp"),
    "the last of all times": (track("x", timestamp="9999-12-31T23:59:59-23:59"), "timestamp"),
    "a time without end": (track("x", timestamp=math.inf), "timestamp"),
    "a time that is no number": (track("x", timestamp=math.nan), "timestamp"),
    "a huge time": (track("x", timestamp=HUGE), "timestamp"),
    "a time that is true": (track("x", timestamp=True), "timestamp"),
    "a time that is an object": (track("x", timestamp={"$date": 1}), "timestamp"),
    "a sending time that is none": (track("x", timestamp=at(5), sentAt="soon"), "sentAt"),
    "a clock a century apart": (track("x", timestamp="1970-01-02", sentAt="2099-01-01"), "timestamp"),
    "an order without products": (track("Order Completed"), "properties.products"),
    "products that are an object": (track("Order Completed", properties={"products": {}}), "properties.products"),
    "a product that is null": (track("Order Completed", properties={"products": [None]}), "properties.products[0]"),
    "a negative quantity": (line(quantity=-1), "properties.products[0].quantity"),
    "half a unit": (line(quantity=0.5), "properties.products[0].quantity"),
    "a quantity that is no number": (line(quantity=math.nan), "properties.products[0].quantity"),
    "a quantity without end": (line(quantity="Infinity"), "properties.products[0].quantity"),
    "a huge quantity": (line(quantity=HUGE), "properties.products[0].quantity"),
    "a quantity that is true": (line(quantity=True), "properties.products[0].quantity"),
    "a negative price": (line(price=-0.5), "properties.products[0].price"),
    "a price in words": (line(price="a lot"), "properties.products[0].price"),
    "a price of 1e400": (line(price="1e400"), "properties.products[0].price"),
    "a price without end": (line(price=math.inf), "properties.products[0].price"),
    "a huge price": (line(price=HUGE), "properties.products[0].price"),
    "a price that is an object": (line(price={}), "properties.products[0].price"),
    "a discount over all money": (line(discount=1e12), "properties.products[0].discount"),
    "an offer beyond all offers": (line(offer=2**40), "properties.products[0].offer"),
    "half an offer": (line(offer=0.5), "properties.products[0].offer"),
    "a wish until no day": (track("Wished", properties={"category": "tea", "until_day": 1e6}), "properties.until_day"),
    "reactions that are text": (track("Message Reacted", properties={"reactions": "open"}), "properties.reactions"),
    "a consent that is text": (
        track("x", context={"consent": {"categoryPreferences": {"contact": "yes"}}}),
        "context.consent.categoryPreferences.contact",
    ),
    "a consent to nothing": (track("Consent Updated"), "context.consent.categoryPreferences"),
}  # fmt: skip


@pytest.mark.parametrize(("event", "field"), EVENTS.values(), ids=EVENTS)
def test_a_batch_with_one_bad_event_is_refused_whole_and_says_which(lasting, event, field):
    before = lasting.tables()
    refused(post(lasting, {"batch": [GOOD, event, GOOD]}), field=f"batch[1].{field}")
    assert lasting.tables() == before


@pytest.mark.parametrize(("event", "field"), EVENTS.values(), ids=EVENTS)
def test_a_bad_event_on_its_own_is_refused(lasting, event, field):
    kind = event.get("type") if event.get("type") in segment.TYPES else None
    if kind is not None:  # on its own, the path says the type
        refused(post(lasting, event, f"/v1/{kind}"), field=field)


def test_good_events_of_a_refused_batch_count_when_it_is_mended(desk):
    good = track("Product Viewed", "anna", messageId="m-1")
    refused(post(desk, {"batch": [good, track("x", timestamp="never")]}), field="batch[1].timestamp")
    desk.allow("anna", browsing=True)
    desk.send(good)
    assert [each["name"] for each in desk.account("anna")["events"] if each["did"] != "allowed"] == [
        "Product Viewed"
    ]


def test_an_event_of_32_kb_is_taken_and_one_above_is_refused_by_its_index(lasting):
    def sized(size):
        event = track("Product Viewed", "large", properties={"x": ""})
        rest = len(json.dumps(event, separators=(",", ":")))
        return event | {"properties": {"x": "x" * (size - rest)}}

    assert post(lasting, {"batch": [sized(segment.EVENT_BYTES)]}).status_code == 200
    refused(post(lasting, {"batch": [GOOD, sized(segment.EVENT_BYTES + 1)]}), field="batch[1].event")
    refused(
        post(lasting, {"batch": [GOOD, track("x", properties={"x": "\ud800" * 6_000})]}),
        field="batch[1].event",
    )
    refused(post(lasting, sized(segment.EVENT_BYTES + 1), "/v1/track"), 413)
    hog = {"event": "x", "distinct_id": "a", "properties": {"x": "x" * segment.EVENT_BYTES}}
    refused(post(lasting, {"batch": [hog]}, "/batch/"), field="batch[0].event")


def test_a_batch_of_2_500_events_is_taken_and_one_more_is_refused(lasting):
    events = [{"type": "page", "anonymousId": "many"}] * segment.BATCH_EVENTS
    assert post(lasting, {"batch": events}).status_code == 200
    told = refused(post(lasting, {"batch": [*events, events[0]]}), field="batch")
    assert "2500" in told["detail"]
    refused(post(lasting, {"batch": []}), field="batch")


def test_a_batch_of_4_000_kb_is_taken(lasting):
    events = [track("Product Viewed", "wide", properties={"x": "x" * 32_000})] * 120
    assert segment.BATCH_BYTES * 0.93 < len(json.dumps(events)) < segment.BATCH_BYTES
    assert post(lasting, {"batch": events}).status_code == 200


ASKS = {
    "nobody": ("POST", "/v1/decisions", {"channel": "app"}, "userId"),
    "an illegal userId": ("POST", "/v1/decisions", {"userId": "null"}, "userId"),
    "an empty userId": ("POST", "/v1/decisions", {"userId": ""}, "userId"),
    "a userId with half a surrogate": ("POST", "/v1/decisions", {"userId": "a\ud800"}, "userId"),
    "an unknown channel": ("POST", "/v1/decisions", {"userId": "anna", "channel": "pigeon"}, "channel"),
    "an unknown field": ("POST", "/v1/decisions", {"userId": "anna", "offer": 3}, "offer"),
    "an unknown zone": ("POST", "/v1/decisions", {"userId": "anna", "timezone": "Mars/Phobos"}, "timezone"),
    "a zone out of the folder": ("POST", "/v1/decisions", {"userId": "anna", "timezone": "../etc/passwd"}, "timezone"),
    "a zone with half a surrogate": ("POST", "/v1/decisions", {"userId": "anna", "timezone": "\ud800"}, "timezone"),
    "a moment that is none": ("POST", "/v1/decisions", {"userId": "anna", "moment": "now"}, "moment"),
    "a moment in years": ("POST", "/v1/decisions", {"userId": "anna", "moment": "2031-01-01"}, "moment"),
    "a moment years ago": ("POST", "/v1/decisions", {"userId": "anna", "moment": "2021-01-01"}, "moment"),
    "no grants": ("POST", "/v1/consent", {"userId": "anna"}, "grants"),
    "unknown grants": ("POST", "/v1/consent", {"userId": "anna", "grants": {"moonlight": True}}, "grants.moonlight"),
    "grants of half surrogates": ("POST", "/v1/consent", {"userId": "anna", "grants": {"\ud800": True}}, "grants.?"),
    "a grant that is a number": ("POST", "/v1/consent", {"userId": "anna", "grants": {"contact": 1}}, "grants.contact"),
    "consent of an illegal id": ("POST", "/v1/consent", {"userId": "0", "grants": {"contact": True}}, "userId"),
    "no reactions": ("POST", "/v1/decisions/x/reactions", {"reactions": []}, "reactions"),
    "an unknown reaction": ("POST", "/v1/decisions/x/reactions", {"reactions": ["open", "yawn"]}, "reactions[1]"),
    "no products": ("PUT", "/v1/stock", {}, "products"),
    "an unknown product": ("PUT", "/v1/stock", {"products": [{"sku": "?"}]}, "products[0].sku"),
    "a product of half surrogates": ("PUT", "/v1/stock", {"products": [{"sku": "\ud800"}]}, "products[0].sku"),
    "stock of which nothing is said": ("PUT", "/v1/stock", {"products": [{"sku": "p0", "hidden": True}, {"sku": "p1"}]},
                                       "products[1].onHand"),
    "stock of null": ("PUT", "/v1/stock", {"products": [{"sku": "p0", "onHand": None, "hidden": None}]},
                      "products[0].onHand"),
    "less than nothing": ("PUT", "/v1/stock", {"products": [{"sku": "p0", "onHand": -1}]}, "products[0].onHand"),
    "endless stock": ("PUT", "/v1/stock", {"products": [{"sku": "p0", "onHand": math.inf}]}, "products[0].onHand"),
    "huge stock": ("PUT", "/v1/stock", {"products": [{"sku": "p0", "onHand": HUGE}]}, "products[0].onHand"),
    "stock that is no number": ("PUT", "/v1/stock", {"products": [{"sku": "p0", "onHand": math.nan}]},
                                "products[0].onHand"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "field"), ASKS.values(), ids=ASKS)
def test_what_cannot_be_asked_is_refused_by_its_field(lasting, method, path, body, field):
    before = lasting.tables()
    refused(lasting.ask(method, path, raw=json.dumps(body).encode()), field=field)
    assert lasting.tables() == before


CHANNELS = "email, app, web, sms, mail, store, kiosk, call"
CHOICES = {
    "channel": ("POST", "/v1/decisions", {"userId": "anna", "channel": "pigeon"}, "channel", set(CHANNELS.split(", "))),
    "reaction": ("POST", "/v1/decisions/x/reactions", {"reactions": ["yawn"]}, "reactions[0]",
                 {"open", "click", "buy", "redeem", "unlike", "unsubscribe", "block", "complain"}),
    "reason": ("POST", "/v1/decisions/x/reactions", {"reactions": ["open"], "reason": "dull"}, "reason",
               {"creepy", "annoying"}),
    "scope": ("POST", "/v1/consent", {"userId": "anna", "grants": {"moonlight": True}}, "grants.moonlight",
              {each.name.lower() for words in (Scope, Purpose, Channel) for each in words} | {"marketing", "analytics"}),
    "purpose": ("POST", "/v1/consent", {"userId": "anna", "grants": {"stated.sell": True}}, "grants.stated.sell",
                {each.name.lower() for each in Purpose}),
    "grant": ("POST", "/v1/consent", {"userId": "anna", "grants": {"stated": True, "contact": "yes"}}, "grants.contact",
              {"true", "false"}),
    "no grants": ("POST", "/v1/consent", {"userId": "anna", "grants": {}}, "grants", {"1"}),
    "no reactions": ("POST", "/v1/decisions/x/reactions", {"reactions": []}, "reactions", {"1"}),
    "empty batch": ("POST", "/v1/batch", {"batch": []}, "batch", {"1", "2500", "events"}),
    "no batch": ("POST", "/v1/batch", {"batch": None}, "batch", {"1", "2500", "events"}),
    "empty batch of PostHog": ("POST", "/batch/", {"batch": []}, "batch", {"1", "2500", "events"}),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "field", "words"), CHOICES.values(), ids=CHOICES)
def test_what_may_stand_there_is_told(lasting, method, path, body, field, words):
    told = refused(lasting.ask(method, path, body), field=field)
    assert words <= set(re.findall(r"[\w.]+", told["errors"][0]["mend"])), told


IGNORED = {
    "a zone": ({"type": "identify", "userId": "anna", "traits": {"timezone": "Mars/Phobos"}}, "timezone", "Europe/Berlin"),
    "a zone of the context": ({"type": "identify", "userId": "anna", "context": {"timezone": "here"}}, "timezone", "IANA"),
    "a zone that is a number": ({"type": "identify", "userId": "anna", "traits": {"timezone": 2}}, "timezone", "IANA"),
    "a word of consent": (
        track("Consent Updated", context={"consent": {"categoryPreferences": {"purchases": True, "C0004": False}}}),
        "context.consent.categoryPreferences.C0004", "marketing",
    ),
    "a category of a wish": (track("Wished", properties={"category": "moonlight"}), "properties.category", "moonlight"),
    "a product of a wish": (
        track("Product Added to Wishlist", properties={"product_id": "622c", "sku": "A1"}), "properties",
        "Not known when it came: 622c, A1. Send a product_id or sku",
    ),
    "an unlike of nothing": (track("Unliked", properties={}), "properties", "It names nothing"),
    "a product of an order": (
        track(
            "Order Completed",
            properties={"products": [{"sku": "p0"}, {"product_id": "p1", "sku": "A1"}, {"product_id": "A2"}]},
        ),
        "properties.products[2]", "A2",
    ),
    "a reaction to no id": (
        track("Email Opened", properties={"decision_id": "nope"}), "properties.decision_id", "id of the decision",
    ),
    "a category of an order": (
        track("Order Completed", properties={"products": [{"sku": "A1", "category": "milk"}, {"category": "moonlight"}]}),
        "properties.products[1].category", "moonlight",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("event", "field", "mend"), IGNORED.values(), ids=IGNORED)
def test_what_is_kept_and_changes_nothing_is_told(desk, event, field, mend):
    good = {"type": "identify", "userId": "anna", "traits": {"timezone": "Europe/Berlin", "plan": "gold"}}
    assert post(desk, {"batch": [good]}).json() == {"success": True, "status": 1}
    told = post(desk, {"batch": [GOOD, event, good]})
    assert told.status_code == 200
    (ignored,) = told.json()["ignored"]
    assert ignored["field"] == f"batch[1].{field}" and mend in ignored["mend"]
    alone = post(desk, event, f"/v1/{event['type']}").json()["ignored"]
    assert [each["field"] for each in alone] == [field]
    desk.account("anna")
    counted = desk.ask("GET", "/metrics", key="").text
    assert 'regulars_events_taken_total{became="unknown"} 2.0' in counted


@pytest.mark.parametrize("name", ["Unsubscribed", "Email Marked as Spam", "email_marked_as_spam"])
def test_whoever_leaves_is_written_to_no_more_whichever_letter_it_was(desk, name):
    desk.allow("anna", contact=True, **{"contact.email": True, "contact.app": True})

    def reason(channel):
        return desk.ask("POST", "/v1/decisions", {"userId": "anna", "channel": channel}, "serve").json()[
            "reason"
        ]

    assert reason("email") != "not_reachable"
    assert "ignored" not in post(desk, track(name, properties={"email_id": "spring"}), "/v1/track").json()
    assert reason("email") == "not_reachable" != reason("app")
    (said,) = [e for e in desk.account("anna")["ledger"] if e["kind"] == "withdrawn"]
    assert said["context"] == "channel=EMAIL"


@pytest.mark.parametrize("properties", [{}, {"decision_id": None}, {"decision_id": ""}])
def test_a_reaction_to_nothing_is_told(desk, properties):
    told = post(desk, track("Promotion_Clicked", properties=properties), "/v1/track").json()
    assert [each["field"] for each in told["ignored"]] == ["properties.decision_id"]
    assert "ignored" not in post(desk, track("Product Viewed", properties=properties), "/v1/track").json()


def paid_in(currency):
    return track(
        "Order Completed", properties={"products": [{"sku": "p0", "price": 3}], "currency": currency}
    )


@pytest.mark.parametrize(
    ("retailers", "told", "fits"),
    [("EUR", "USD", False), ("EUR", "eur", True), ("EUR", None, True), ("EUR", 5, False), ("", "USD", True)],
)
def test_a_currency_other_than_the_retailers_is_told(tmp_path, retailers, told, fits):
    desk = open_desk(tmp_path, currency=retailers)
    try:
        answer = post(desk, {"batch": [paid_in(told)]}).json()
    finally:
        desk.close()
    if fits:
        assert "ignored" not in answer
        return
    (ignored,) = answer["ignored"]
    assert ignored["field"] == "batch[0].properties.currency" and "amounts in EUR" in ignored["mend"]


def test_a_product_that_another_process_was_told_of_is_looked_for_once_a_minute(desk, tmp_path):
    live, path = desk.live, tmp_path / "products.csv"
    unknown = track("Wished", properties={"sku": "new"})

    def fields():
        return [each["field"] for each in post(desk, {"batch": [unknown]}).json().get("ignored", [])]

    assert fields() == ["batch[0].properties"]
    path.write_text("sku,name,category\nnew,New,milk\n")
    with another_engine(live) as other:
        files = [listings.read("products", path)]
        shop = other.shops[live.number]
        other.call(shop, lambda work: listing.take(work, shop, files, live.clock())).result(60)
    live.clock.ms += 60_000
    assert fields() == []


def test_of_many_fields_that_change_nothing_the_first_are_told(lasting):
    events = [
        {"type": "identify", "userId": "many", "traits": {"timezone": f"Mars/{k}"}} for k in range(2_000)
    ]
    began = time.monotonic()
    told = post(lasting, {"batch": events}).json()["ignored"]
    assert [each["field"] for each in told] == [f"batch[{k}].timezone" for k in range(MOST_IGNORED)]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/track",
        "/v1/track/",
        "/v1/batch/",
        "/beacon/v1/batch/",
        "/i/v0/",
        "/v1/decisions/a/b",
        "/%ff",
    ],
)
def test_a_path_that_is_not_there_is_a_problem_and_no_redirect(lasting, path):
    refused(lasting.ask("POST", path, {}, headers={"Host": "evil.example"}), 404, code="nowhere")


def test_a_method_that_a_path_does_not_take_is_a_problem(lasting):
    answer = lasting.ask("PATCH", "/v1/decisions")
    refused(answer, 405, code="method")
    assert answer.headers["allow"] == "POST"


# ---- what is taken can be applied -------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    ["", "anna", "p0", "milk", "null", "0", "\ud800", "a\x00", "[object Object]", "creepy", "open", "1e400", "-1", "2",
     "2026-01-05T10:00:00Z", "1970-01-01", "Mars/Phobos", "Europe/Berlin", "=1+1", "x" * 300]
)  # fmt: skip
_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.none(),
    st.sampled_from([0, -1, 1, 255, 256, 2**31 - 1, 2**31, 2**40, 2**63, 2**64, HUGE, 1e15, 0.5, at(3)]),
)  # fmt: skip
_VALUES = st.recursive(
    st.one_of(_WORDS, _NUMBERS),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(_WORDS, each, max_size=3),
    max_leaves=6,
)


def oddly(usual, names):
    """Something usual in which up to two things are odd."""
    odd = st.dictionaries(st.sampled_from(names), _VALUES, max_size=2)
    return st.builds(lambda base, changes: {**base, **changes}, usual, odd)


_LINE = oddly(
    st.just({"product_id": "p0", "quantity": 1, "price": 1.5}),
    ["product_id", "sku", "category", "quantity", "price", "discount", "offer"],
)
_PROPERTIES = oddly(
    st.fixed_dictionaries({"products": st.lists(_LINE, min_size=1, max_size=3), "category": st.just("milk")}),
    ["order_id", "category", "until_day", "decision_id", "reason", "reactions", "products", "x"],
)
_TRAITS = oddly(
    st.just({}), ["email", "phone", "timezone", "age_class", "kids", "household_size", "household", "x"]
)
_WORD_OF_CONSENT = st.sampled_from(["purchases", "demographics", "contact", "contact.app", "\ud800", "x"])
_CONTEXT = oddly(
    st.dictionaries(_WORD_OF_CONSENT, st.booleans()).map(
        lambda words: {"consent": {"categoryPreferences": words}}
    ),
    ["timezone", "traits", "consent"],
)
_EVENT = oddly(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(segment.TYPES),
            "userId": st.sampled_from(["anna", "bert"]),
            "event": st.sampled_from(
                ["Order Completed", "Order Refunded", "Wished", "Unliked", "Message Reacted", "Coupon Applied", "Other",
                 "Consent Updated", "Product Viewed"]
            ),
            "properties": _PROPERTIES,
            "traits": _TRAITS,
            "context": _CONTEXT,
        }
    ),
    ["userId", "anonymousId", "messageId", "timestamp", "sentAt", "groupId", "previousId", "name", "properties"],
)  # fmt: skip


@given(st.lists(_EVENT, min_size=1, max_size=4))
def test_whatever_is_taken_can_be_applied_and_decided_on(lasting, events):
    answer = post(lasting, {"batch": events})
    assert answer.status_code in (200, 400), answer.text
    assert lasting.decide("anna").status_code == 200
    assert not lasting.live.call(lambda work: work.take_out(lasting.live.number, 10))


#: Values that stand where something else belongs.
ODD = [
    None, True, False, 0, -1, 1, 0.5, 254, 255, 256, 2**15, 2**31 - 1, 2**31, 2**40, 2**63, 2**64, 10**15, HUGE, 1e15,
    1e300, math.inf, -math.inf, math.nan, "", " ", "x" * 300, "\ud800", "a\x00", "null", "[object Object]", "1e400", "-1",
    "Infinity", "Mars/Phobos", "../../etc/passwd", "1970-01-01", "2099-12-31T23:59:59Z", "=1+1", "open", "creepy",
    [], [None], ["open", "\ud800", 7], ["open", "\ud800"], {}, {"a": 1}, {"\ud800": "\x00"}, [[[]]],
]  # fmt: skip
NAMES = ["Order Completed", "Order Refunded", "Wished", "Unliked", "Message Reacted", "Coupon Applied", "Other",
         "Consent Updated", "Product Viewed", "Live Chat Message Sent"]  # fmt: skip
PLACES = [
    ("userId",), ("anonymousId",), ("previousId",), ("groupId",), ("messageId",), ("event",), ("name",), ("timestamp",),
    ("sentAt",), ("context",), ("context", "timezone"), ("context", "consent"), ("context", "traits"), ("traits",),
    *(("traits", name) for name in ("email", "phone", "timezone", "age_class", "kids", "household_size", "household")),
    ("properties",),
    *(("properties", name) for name in ("products", "order_id", "category", "until_day", "decision_id", "reason",
                                        "promotion_id", "reactions", "quantity", "price", "offer", "x")),
    *(("properties", "products", 0, name) for name in ("product_id", "sku", "category", "quantity", "price", "discount",
                                                       "offer")),
    ("context", "consent", "categoryPreferences"), ("context", "consent", "categoryPreferences", "purchases"),
]  # fmt: skip


def usual(kind, name, user):
    """An event in which everything has its place."""
    return {
        "type": kind, "event": name, "userId": user, "anonymousId": f"{user}'s phone",
        "traits": {"email": f"{user}@example.com", "timezone": "Europe/Berlin"},
        "context": {"consent": {"categoryPreferences": {"purchases": True, "demographics": True, "contact.app": True}}},
        "properties": {"products": [{"product_id": "p0", "quantity": 1, "price": 1.5}], "product_id": "p2",
                       "order_id": "o-1", "decision_id": "0" * 24, "reactions": ["open"]},
    }  # fmt: skip


def put(told, place, value):
    *way, last = place
    for each in way:
        told = told[each]
    told[last] = value


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:24])
def test_one_odd_value_anywhere_never_stops_what_comes_after(lasting, odd):
    """An event that is taken and cannot be applied would stand before every later one for ever."""
    user, events = f"user-{ODD.index(odd) if odd == odd else 'nan'}", []
    for kind, name in [*(("track", name) for name in NAMES), *((kind, "x") for kind in segment.TYPES)]:
        for place in PLACES:
            told = usual(kind, name, user)
            put(told, place, odd)
            try:
                events.append(segment.event_of(told, at(10)))
            except Refused:
                continue
    assert len(events) > 50
    lasting.live.engine.take_in(lasting.live.shop, "write", events).result(60)
    answer = lasting.decide(user)
    assert answer.status_code == 200 and answer.json()["id"], answer.text
    assert not lasting.live.call(lambda work: work.take_out(lasting.live.number, 10))


@given(_EVENT)
def test_an_event_is_read_or_refused_and_nothing_else(event):
    try:
        read = segment.event_of(event, at(10))
    except Refused:
        return
    assert 0 <= read.at_ms <= at(10) and (read.user or read.anonymous)


def test_a_zone_that_is_none_is_kept_as_told_and_does_not_silence_decisions(desk):
    for zone in ("Mars/Phobos", "../../etc/passwd", "", "Europe/Berlin", "Mars/Phobos"):
        desk.send({"type": "identify", "userId": "anna", "traits": {"timezone": zone}})
        assert desk.decide("anna").status_code == 200
    assert desk.account("anna")["profile"]["zone"] == "Europe/Berlin"
    assert desk.account("anna")["profile"]["traits"]["timezone"] == "Mars/Phobos"


# ---- who is nobody -------------------------------------------------------------------------------------------------

NOBODIES = ["null", "NULL", " null ", '"null"', "0", "-1", "undefined", "[object Object]", "NaN", "none", "guest", "",
            "00000000-0000-0000-0000-000000000000", "{}", "  ", "---", "\u200b", "true"]  # fmt: skip


@pytest.mark.parametrize("nobody", NOBODIES)
def test_what_clients_send_for_nobody_never_merges_two_people(desk, nobody):
    for name, device in (("anna", "device-1"), ("bert", "device-2")):
        desk.send({"type": "identify", "userId": nobody, "anonymousId": device})
        desk.send({"type": "identify", "userId": name, "anonymousId": nobody})
        desk.send({"type": "alias", "userId": name, "previousId": nobody})
        desk.send({"type": "identify", "userId": name, "traits": {"email": nobody, "phone": nobody}})
        desk.send({"type": "group", "userId": name, "groupId": nobody})
    anna, bert = desk.account("anna"), desk.account("bert")
    assert anna["customer"] != bert["customer"]
    tables = desk.tables()
    assert not tables["merge"] and not tables["household"]
    assert len(tables["customer"]) == 4  # two people, two devices


@pytest.mark.parametrize("kind", [EMAIL, PHONE])
@pytest.mark.parametrize(
    "value", [{"a": 1}, ["x"], True, "please ask", "none given", "@", "1", "+", "0000000000", 1.5]
)
def test_words_where_an_address_belongs_never_merge_two_people(desk, kind, value):
    for name in ("anna", "bert"):
        desk.send({"type": "identify", "userId": name, "traits": {kind: value}})
    assert desk.account("anna")["customer"] != desk.account("bert")["customer"]


@pytest.mark.parametrize("together", [True, False])
def test_an_address_makes_two_names_one_person_however_it_is_written(desk, together):
    events = [
        {"type": "identify", "userId": name, "traits": {"phone": phone}}
        for name, phone in (("anna", "+49 30 901820"), ("anna2", "+4930901820"))
    ]
    for batch in [events] if together else [[each] for each in events]:
        desk.send(*batch)
        assert desk.account("anna")
    assert desk.account("anna")["customer"] == desk.account("anna2")["customer"]


def test_identifiers_that_differ_never_become_one_name():
    secret = b"s" * 32
    for one, other in (("a b", "ab"), ("a\u200b", "a"), ("ä", "a"), ("A", "a")):
        assert naming.digest(secret, Name(USER, one)) != naming.digest(secret, Name(USER, other))


# ---- clocks ---------------------------------------------------------------------------------------------------------


@given(skew=st.integers(-40 * 365, 40 * 365), ago=st.integers(0, 10**9))
def test_a_clock_that_is_wrong_is_set_right_by_when_it_sent(skew, ago):
    received, off = at(100), skew * 86_400_000
    told = track("x", timestamp=iso(received + off - ago), sentAt=iso(received + off))
    assert segment.event_of(told, received).at_ms == received - ago


def test_a_time_of_ten_digits_is_one_of_seconds():
    iso = segment.moment("2026-11-22T10:00:00Z", "timestamp")
    assert iso == segment.moment(iso, "timestamp") == segment.moment(iso // 1000, "timestamp")
    assert segment.moment(iso / 1000 + 0.25, "timestamp") == iso + 250


def test_original_timestamp_counts_before_timestamp():
    told = track("x", timestamp=at(9), originalTimestamp=at(4), sentAt=at(5))
    assert segment.event_of(told, at(10)).at_ms == at(9)


def test_nothing_happens_after_it_was_heard_of():
    assert segment.event_of(track("x", timestamp=at(50)), at(10)).at_ms == at(10)
    assert segment.event_of(track("x", timestamp=at(8), sentAt=at(5)), at(10)).at_ms == at(10)


@pytest.mark.parametrize(("ago", "day"), [(2 * 86_400_000, 8), (-5, 10), (10**15, 10), (True, 10), ("5", 10)])
def test_a_posthog_event_may_say_how_long_ago_it_was(ago, day):
    told = {"event": "x", "distinct_id": "anna", "offset": ago, "properties": {}}
    assert segment.posthog_event(told, at(10), iso(at(72))).at_ms == at(day)


def test_a_posthog_clock_is_set_right_too():
    told = {"event": "x", "distinct_id": "anna", "timestamp": iso(at(70)), "properties": {}}
    assert segment.posthog_event(told, at(10), iso(at(72))).at_ms == at(8)


def test_the_clock_of_a_batch_is_that_of_its_sending(desk):
    desk.allow("anna")
    body = {"batch": [order(timestamp=iso(at(30)))], "sentAt": iso(at(34))}
    assert post(desk, body).status_code == 200
    assert desk.account("anna")["record"]["last_visit"] == 6  # 10 - (34 - 30)


# ---- what must not leave -----------------------------------------------------------------------------------------------


def test_no_personal_value_is_in_answers_logs_or_metrics(desk, caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    for event, _ in EVENTS.values():
        marked = {**event, "userId": CANARY, "messageId": CANARY, "traits": {"email": CANARY},
                  "properties": {**_marked(event), "name": CANARY}}  # fmt: skip
        said.append(post(desk, {"batch": [marked]}))
        said.append(post(desk, {"batch": [{**marked, "timestamp": CANARY}]}))
        said.append(post(desk, {"batch": [{**marked, "type": CANARY}]}))
        said.append(post(desk, {"batch": [{**marked, "messageId": CANARY * 9}]}))
    said.append(post(desk, {"batch": [CANARY]}))
    said.append(post(desk, CANARY.encode()))
    said.append(post(desk, b'{"userId": "' + CANARY.encode()))
    said.append(post(desk, {"batch": [line(price=CANARY), line(quantity=CANARY)]}))
    said.append(post(desk, {"batch": [track("Unliked", CANARY, properties={"reason": CANARY})]}))
    for name in ("userId", "anonymousId", "channel", "timezone", "moment"):
        said.append(desk.ask("POST", "/v1/decisions", {"userId": CANARY, name: CANARY}))
        said.append(desk.ask("POST", "/v1/decisions", {"userId": CANARY, name: [CANARY]}))
    said.append(desk.ask("POST", "/v1/consent", {"userId": CANARY, "grants": CANARY}))
    said.append(desk.ask("POST", "/v1/consent", {"userId": CANARY * 20, "grants": {"contact": True}}))
    said.append(desk.ask("GET", f"/v1/decisions/{CANARY}"))
    said.append(desk.ask("POST", f"/v1/decisions/{CANARY}/replay"))
    said.append(desk.ask("POST", f"/v1/decisions/{CANARY}/reactions", {"reactions": [CANARY]}))
    said.append(desk.ask("POST", f"/v1/devices/{CANARY}/apart"))
    said.append(desk.ask("GET", f"/v1/customers/{CANARY}x"))
    said.append(desk.ask("GET", f"/{CANARY}"))
    said.append(desk.ask("PUT", "/v1/stock", {"products": [{"sku": CANARY}]}))
    said.append(desk.ask("DELETE", f"/v1/customers/{CANARY}"))
    said.append(desk.ask("GET", "/metrics"))
    assert any(answer.status_code >= 400 for answer in said)
    for answer in said:
        assert "canary" not in answer.text.lower() and "canary" not in str(answer.headers).lower(), (
            answer.text
        )
        assert answer.status_code < 500
    ours = [
        record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "asyncio"))
    ]
    assert ours, "nothing was logged at all"
    assert "canary" not in " ".join(f"{r.getMessage()} {r.exc_text}" for r in ours).lower()


def _marked(event):
    properties = event.get("properties")
    return properties if isinstance(properties, dict) else {}


def test_an_error_of_ours_is_logged_by_place_and_without_words(desk, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)

    def fail(*_):
        raise KeyError(CANARY)

    monkeypatch.setattr(audit, "looked_up", fail)
    told = refused(desk.ask("GET", f"/v1/decisions/{0:032x}"), 500, code="internal")
    assert "canary" not in json.dumps(told)
    logged = [record.getMessage() for record in caplog.records if record.name == "regulars.service"]
    assert any("KeyError" in each and "routes.py:" in each for each in logged)
    assert not any("canary" in f"{record.getMessage()}{record.exc_text}" for record in caplog.records
                   if record.name == "regulars.service")  # fmt: skip


def test_nothing_that_was_sent_comes_back_in_a_header(lasting):
    evil = "canary%0d%0aX-Evil: 1"
    for method, path in (("GET", f"/v1/customers/{evil}"), ("GET", f"/v1/decisions/{evil}"), ("GET", f"/{evil}"),
                         ("POST", f"/v1/track?compression={evil}")):  # fmt: skip
        answer = lasting.ask(method, path, headers={"Host": "canary.example", "Idempotency-Key": "canary"})
        assert "canary" not in str(answer.headers).lower() and "x-evil" not in answer.headers


def test_every_code_has_a_title_of_its_own():
    source = "".join(Path(each.__file__).read_text("utf-8") for each in (app, bodies, http, routes))
    found = re.findall(r'(?:Denied|problem)\(\s*\d{3},\s*"(\w+)"', source)
    codes = [*found, "no_key", "unknown_key"]
    assert set(codes) == set(problems.TITLES) and len(codes) > 15
    assert len(set(problems.TITLES.values())) == len(problems.TITLES)


def test_a_reaction_to_silence_is_refused_in_its_own_words(desk):
    desk.allow("anna")
    said = next(
        told for told in (desk.decide("anna").json() for _ in range(20)) if told["action"] == "silence"
    )
    answer = desk.ask("POST", f"/v1/decisions/{said['id']}/reactions", {"reactions": ["open"]}, "serve")
    assert refused(answer, 409, code="nothing_was_sent")["title"] == "There is nothing to react to"


# ---- letters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "day", ["2026-01-10", "2026-01-13", "2026-12-01", "2099-01-01", "9999-12-31", "0001-01-01", "soon", ""]
)
def test_letters_are_for_today_or_tomorrow(desk, tmp_path, day):
    out = tmp_path / "letters.csv"
    with pytest.raises(SettingError, match=r"Take today or tomorrow: 2026-01-11 or 2026-01-12"):
        letters.write(desk.live.engine, desk.live.shop, "email", day, 12, out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("day", "date"), [("today", 10), ("tomorrow", 11), ("2026-01-11", 10), ("2026-01-12", 11)]
)
def test_letters_for_today_and_tomorrow_are_written(desk, tmp_path, day, date):
    out = tmp_path / "letters.csv"
    told = letters.write(desk.live.engine, desk.live.shop, "email", day, 12, out)
    assert told["at_ms"] == at(date, 12) and out.exists()


def test_letters_that_were_decided_in_a_run_that_was_killed_can_be_had_again(
    desk, tmp_path, monkeypatch, capsys
):
    for k in range(5):
        desk.allow(f"user-{k}", **{"contact": True, "contact.email": True})

    def write(name, **more):
        out = tmp_path / name
        told = letters.write(desk.live.engine, desk.live.shop, "email", "tomorrow", 12, out, **more)
        return told, [line.partition(",")[0] for line in out.read_text().splitlines()[1:]]

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(letters, "CHUNK", 2)
        real, chunks = letters._write, []

        def write_two(*given):
            chunks.append(1)
            return real(*given) if len(chunks) < 2 else killed()

        patched.setattr(letters, "_write", write_two)
        with pytest.raises(Killed):
            write("torn.csv")
    rest, new = write("rest.csv")
    assert rest["messages"] == 1 and rest["before"] == 4 and rest["silent"] == {}
    assert rest["no_address"] == 1
    every, ids = write("all.csv", again=True)
    assert every["messages"] == 5 and every["before"] == 0 and set(new) < set(ids) and len(set(ids)) == 5
    # A letter of another hour is another letter.
    elsewhere = letters.write(
        desk.live.engine, desk.live.shop, "email", "tomorrow", 13, tmp_path / "later.csv", True
    )
    assert elsewhere["messages"] == 0


def test_letters_for_an_hour_that_is_over_are_refused(desk, tmp_path):
    out = tmp_path / "letters.csv"
    desk.live.clock.set(10, 15)
    before = desk.tables()
    for day in ("today", "2026-01-11"):
        with pytest.raises(
            SettingError, match=r"--hour 10 is over.*past 15:00.*--hour 15 or later, or tomorrow"
        ):
            letters.write(desk.live.engine, desk.live.shop, "email", day, 10, out)
    assert not out.exists() and desk.tables() == before
    letters.write(desk.live.engine, desk.live.shop, "email", "today", 15, out)  # the hour that runs
    letters.write(desk.live.engine, desk.live.shop, "email", "tomorrow", 10, tmp_path / "tomorrow.csv")


def regulars_of(desk, names):
    """Customers who may be written to and come often."""
    for name in names:
        desk.send({"type": "identify", "userId": name, "traits": {"email": f"{name}@example.com"}})
        desk.allow(name, contact=True, purchases=True, **{"contact.email": True})
        for day in (1, 4, 7, 9):
            desk.send(order(name, timestamp=at(day)))


def test_letters_that_were_decided_are_not_written_over(desk, tmp_path):
    regulars_of(desk, ["anna", "bob"])
    out = tmp_path / "letters.csv"
    letters.write(desk.live.engine, desk.live.shop, "email", "today", 12, out)
    before, tables = out.read_bytes(), desk.tables()
    with pytest.raises(SettingError, match=r"letters\.csv is there already.*Give another --out"):
        letters.write(desk.live.engine, desk.live.shop, "email", "today", 12, out)
    assert out.read_bytes() == before and desk.tables() == tables


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where the tests were started in the background, which a shell lets ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_whoever_stops_letters_finds_all_that_was_decided(desk, tmp_path, monkeypatch, interruptible):
    regulars_of(desk, [f"her-{k}" for k in range(9)])
    monkeypatch.setattr(letters, "CHUNK", 3)
    engine, decide, chunks = desk.live.engine, desk.live.engine.decide, []

    def stopped(shop, asks):
        chunks.append(len(asks))
        if len(chunks) == 2:
            time.sleep(0.1)  # until it is waited for
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        return decide(shop, asks)

    monkeypatch.setattr(engine, "decide", stopped)
    out = tmp_path / "letters.csv"
    with pytest.raises(KeyboardInterrupt):
        letters.write(engine, desk.live.shop, "email", "today", 12, out)
    rows = list(csv.reader(out.open(encoding="utf-8", newline="")))[1:]
    kept = {row["id"] for row in desk.tables()["decision"] if row["waits"]}
    assert chunks == [3, 3] and {row[0] for row in rows} == kept and len(kept) >= 4


def test_no_name_of_a_customer_becomes_a_formula_in_the_letters(desk, tmp_path):
    evil = [
        '=HYPERLINK("http://evil.example","x")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        " =1+1",
        "\uff1d1+1",
        'a",=1+1,"',
    ]
    for name in evil:
        desk.send({"type": "identify", "userId": name, "traits": {"email": f"={name}@example.com"}})
        desk.allow(name, contact=True, purchases=True, **{"contact.email": True})
        for day in (1, 4, 7, 9):
            desk.send(order(name, timestamp=at(day)))
    out = tmp_path / "letters.csv"
    told = letters.write(desk.live.engine, desk.live.shop, "email", "today", 12, out)
    rows = list(csv.reader(out.open(encoding="utf-8", newline="")))
    assert told["messages"] == len(rows) - 1 >= 5
    cells = [cell for row in rows for cell in row]
    assert any(cell.startswith("'") for cell in cells)
    assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20")]
    assert {len(row) for row in rows} == {len(letters.COLUMNS)}
