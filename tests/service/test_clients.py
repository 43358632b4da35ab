"""The clients that people have: as they come from the package index, against a server that listens."""

import asyncio
import gzip
import json
import socket
import threading
import time
import uuid
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from posthog import Posthog
from rudderstack.analytics.client import Client as Rudder
from segment.analytics.client import Client as Segment

from regulars.service import keys
from regulars.service.http import Connection
from regulars.service.opening import Opening, open_shop
from regulars.service.routes import POSTHOG_PATHS
from regulars.service.store import open_store

from .conftest import START, at, corner_shop
from .desk import ALLOWED, iso

PRODUCTS = [
    {"product_id": "p0", "quantity": 2, "price": 1.5, "coupon": None, "category": None, "discount": None},
    {"product_id": "p5", "quantity": 1, "price": 3, "variant": None},
]
ORDER = {"order_id": "o-1", "products": PRODUCTS, "coupon": None, "affiliation": None}


class Listening:
    """A server on a port that was free, and what came to it."""

    def __init__(self, desk):
        self.desk, self.came = desk, []
        app = desk.live.service

        async def watched(scope, receive, send):
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            seen = SimpleNamespace(path=scope["path"], headers=headers, status=0)
            self.came.append(seen)

            async def answer(message):
                seen.status = message.get("status", seen.status)
                await send(message)

            await app(scope, receive, answer)

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(
            uvicorn.Config(watched, log_level="warning", access_log=False, lifespan="off", http=Connection)
        )
        serve = self.server.serve(sockets=[self.socket])
        self.thread = threading.Thread(target=lambda: asyncio.run(serve), daemon=True)
        self.thread.start()
        until = time.monotonic() + 10
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.01)

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def listening(desk):
    opened = Listening(desk)
    yield opened
    opened.close()


class SegmentLike:
    """Segment's client or RudderStack's; they speak alike."""

    def __init__(self, kind, gzip):
        self.kind, self.gzip, self.path = kind, gzip, "/v1/batch"

    def open(self, url, key):
        self.errors = []
        self.client = self.kind(
            key, host=url, gzip=self.gzip, upload_interval=0.05, max_retries=1,
            on_error=lambda error, batch: self.errors.append(error),
        )  # fmt: skip
        self.uuid = str(uuid.uuid4())

    def say(self):
        """Everything that a shop says of anna, with nulls where nothing is known."""
        traits = {"email": "anna@example.com", "name": None, "age": None}
        self.client.identify("anna", traits, anonymous_id="her-phone")
        self.client.page("anna", None, "Home", {"path": None})
        self.client.screen("anna", None, "Start")
        self.client.alias("her-old-phone", "anna")
        self.client.group("anna", "the-household", {"size": None})
        self.client.track("anna", "Product Viewed", {"product_id": "p1", "brand": None, "position": None})
        self.buy()

    def buy(self):
        self.client.track("anna", "Order Completed", ORDER, message_id=self.uuid)
        self.client.flush()

    def odd(self):
        """Something that cannot be understood."""
        self.client.track("anna", "Order Completed", {"products": [{"product_id": "p0", "quantity": "many"}]})
        self.client.flush()

    def close(self):
        self.client.join()


class PosthogLike:
    """PostHog's client."""

    def __init__(self, gzip):
        self.gzip, self.path = gzip, "/batch/"

    def open(self, url, key):
        self.errors = []
        self.client = Posthog(
            key, host=url, gzip=self.gzip, flush_interval=0.05, max_retries=1,
            on_error=lambda error, batch: self.errors.append(error),
        )  # fmt: skip
        self.uuid = str(uuid.uuid4())

    def say(self):
        self.client.set(distinct_id="anna", properties={"email": "anna@example.com", "name": None})
        self.client.alias("her-old-phone", "anna")
        self.client.group_identify("company", "the-household", {"size": None}, distinct_id="anna")
        self.client.capture("$pageview", distinct_id="anna", properties={"path": None})
        self.client.capture(
            "Product Viewed", distinct_id="anna", properties={"product_id": "p1", "brand": None}
        )
        self.client.capture("Product Viewed")  # of somebody who has no name
        self.buy()

    def buy(self):
        self.client.capture("Order Completed", distinct_id="anna", properties=ORDER, uuid=self.uuid)
        self.client.flush()

    def odd(self):
        self.client.capture(
            "Order Completed", distinct_id="anna", properties={"products": [{"quantity": "many"}]}
        )
        self.client.flush()

    def close(self):
        self.client.shutdown()


CLIENTS = {
    "segment": lambda: SegmentLike(Segment, False),
    "segment with gzip": lambda: SegmentLike(Segment, True),
    "rudderstack": lambda: SegmentLike(Rudder, False),
    "rudderstack with gzip": lambda: SegmentLike(Rudder, True),
    "posthog": lambda: PosthogLike(False),
    "posthog with gzip": lambda: PosthogLike(True),
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client(request):
    made = request.param()
    yield made
    made.close()


def test_what_a_client_says_arrives_and_an_order_becomes_a_purchase(listening, client):
    desk = listening.desk
    desk.allow("anna", **ALLOWED, browsing=True)
    client.open(listening.url, desk.live.keys["write"])
    client.say()
    assert client.errors == []
    assert {each.status for each in listening.came} == {200} and {each.path for each in listening.came} == {
        client.path
    }
    assert {each.headers.get("content-encoding") for each in listening.came} == {
        "gzip" if client.gzip else None
    }
    account = desk.account("anna")
    record = account["record"]
    assert record["visits"] == 1 and record["categories"] == ["milk", "coffee"]
    assert record["spend_cents"] == 600 and record["last_visit"] == 10
    names = [each["name"] for each in account["events"]]
    assert names.count("Order Completed") == 1 and names.count("Product Viewed") == 1
    assert account["profile"]["traits"]["email"] == "anna@example.com"
    assert ["email", "anna@example.com"] in account["profile"]["known_as"]
    assert "name" not in account["profile"]["traits"]


def test_what_a_client_sends_again_counts_once(listening, client):
    desk = listening.desk
    desk.allow("anna")
    client.open(listening.url, desk.live.keys["write"])
    for _ in range(3):
        client.buy()
        record = desk.account("anna")["record"]
    assert record["visits"] == 1 and record["spend_cents"] == 600
    assert len([each for each in desk.account("anna")["events"] if each["name"] == "Order Completed"]) == 1
    client.uuid = str(uuid.uuid4())  # another message, of the same order
    client.buy()
    account = desk.account("anna")
    assert account["record"]["spend_cents"] == 600
    told = [each for each in account["events"] if each["name"] == "Order Completed"]
    # Which of the two is the earlier depends on the client's clock, to the millisecond.
    assert sorted(each.get("seen_again", False) for each in told) == [False, True]


def test_without_consent_to_purchases_an_order_is_not_written_into_her_record(listening, client):
    client.open(listening.url, listening.desk.live.keys["write"])
    client.buy()
    account = listening.desk.account("anna")
    assert (
        account["record"]["visits"] == 0 and account["record"]["spend_cents"] == 0 and account["events"] == []
    )


def test_a_retailer_that_is_set_up_while_the_service_runs_is_served(desk, monkeypatch):
    store = open_store(desk.live.url)
    _, given = open_shop(store, Opening("late", corner_shop(), START))
    store.close()
    monkeypatch.setattr(keys, "FRESH_S", 0.0)  # keys are read anew within seconds
    body = {"userId": "anna", "channel": "app"}
    answer = desk.ask("POST", "/v1/decisions", body, key=given["serve"])
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("serve", 403), ("staff", 403)])
def test_a_client_is_told_that_its_key_is_wrong_and_does_not_try_again(listening, client, role, status):
    keys = listening.desk.live.keys
    client.open(listening.url, keys[role] if role else "rg_write_nobody-has-this-key")
    client.buy()
    assert [error.status for error in client.errors] == [status]
    assert "key" in client.errors[0].message.lower()
    assert [each.status for each in listening.came] == [status]
    assert listening.desk.account("anna") is None


def test_a_client_is_told_which_field_of_which_event_is_wrong(listening, client):
    client.open(listening.url, listening.desk.live.keys["write"])
    client.odd()
    assert [error.status for error in client.errors] == [400]
    assert "batch[0].properties.products[0].quantity" in client.errors[0].message
    assert len(listening.came) == 1


def test_a_client_that_finds_nobody_there_has_not_lost_the_order(listening):
    """A delivery that failed half way is sent again by the client, and counts once."""
    desk = listening.desk
    desk.allow("anna")
    client = SegmentLike(Segment, False)
    engine, failures = desk.live.engine, iter([True])
    in_loop = engine.in_loop

    async def once_down(*told):
        if next(failures, False):
            raise ConnectionError
        return await in_loop(*told)

    engine.in_loop = once_down
    client.open(listening.url, desk.live.keys["write"])
    client.buy()
    client.close()
    assert [each.status for each in listening.came] == [500, 200] and client.errors == []
    assert desk.account("anna")["record"]["visits"] == 1


# ---- PostHog in a browser -----------------------------------------------------------------------------------------


def viewed(**more):
    """An event as posthog-js writes it, which names the key and not the time in every one."""
    properties = {"distinct_id": "anna", "product_id": "p1", "token": more.pop("token", None)}
    return {"event": "Product Viewed", "properties": properties, "offset": 86_400_000, **more}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip-js"])
@pytest.mark.parametrize("shape", ["one", "list", "batch"])
@pytest.mark.parametrize("path", POSTHOG_PATHS)
def test_every_path_of_posthog_takes_one_event_a_list_and_a_batch(desk, path, shape, packed):
    desk.allow("anna", browsing=True)
    key = desk.live.keys["write"]
    one = [viewed(token=key, uuid="u-1"), viewed(token=key, uuid="u-2")]
    batch = {"token": key, "batch": [viewed(uuid="u-1"), viewed(uuid="u-2")]}
    told = json.dumps({"one": one[0], "list": one, "batch": batch}[shape]).encode()
    query = f"?ip=0&_={at(10)}&ver=1.200.0" + ("&compression=gzip-js" if packed else "")
    raw = gzip.compress(told) if packed else told
    for _ in range(2):
        answer = desk.ask("POST", path + query, raw=raw, key="", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 200 and answer.json()["status"] == 1, answer.text
    found = [each for each in desk.account("anna")["events"] if each["name"] == "Product Viewed"]
    assert [each["at_ms"] for each in found] == [at(9)] * (1 if shape == "one" else 2)
    assert key not in json.dumps(found)


def test_the_clock_of_a_browser_is_set_right_by_the_query(desk):
    desk.allow("anna", browsing=True)
    told = viewed(token=desk.live.keys["write"], timestamp=iso(at(40)))
    del told["offset"]
    queries = {
        f"_={at(43)}": 7,
        f"_={at(43)}&x": 7,
        "_=soon": 10,
        f"_={at(43) // 1000}": 10,
        "_=" + "9" * 5_000: 10,
    }
    for k, query in enumerate(queries):
        path = f"/e/?{query}"
        assert desk.ask("POST", path, told | {"uuid": str(k)}, key="").status_code == 200
    events = [each for each in desk.account("anna")["events"] if each["name"] == "Product Viewed"]
    assert [each["at_ms"] for each in events] == [at(day) for day in queries.values()]


@pytest.mark.parametrize(
    "tokens", [[None], ["rg_write_nobody"], ["ours", "theirs"], ["theirs", "ours"], ["ours", "rg_x"]]
)
def test_a_list_of_events_whose_keys_differ_or_are_nobodys_is_refused(desk, tokens):
    known = {"ours": desk.live.keys["write"], "theirs": desk.rival["write"]}
    before = desk.tables()
    told = [viewed(token=known.get(token, token)) for token in tokens]
    assert desk.ask("POST", "/e/", told, key="").status_code == 401
    assert desk.ask("POST", "/e/", {"batch": told}, key="").status_code == 401
    assert desk.tables() == before


def test_a_list_of_events_with_a_bad_one_is_refused_whole_and_says_which(desk):
    before = desk.tables()
    key = desk.live.keys["write"]
    for told in ([viewed(token=key), viewed(token=key, timestamp="never")], [viewed(token=key), 7]):
        answer = desk.ask("POST", "/i/v0/e/", told, key="")
        assert answer.status_code == 400 and answer.json()["errors"][0]["field"].startswith("batch[1]")
    assert desk.ask("POST", "/e/", [], "write").status_code == 400
    assert desk.tables() == before


# ---- the wire ----------------------------------------------------------------------------------------------------


def raw(url, told):
    """What a server says to these bytes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(told)
        line.settimeout(5)
        said = b""
        try:
            while chunk := line.recv(65_536):
                said += chunk
        except (TimeoutError, ConnectionResetError):
            pass
    return said


@pytest.mark.parametrize(
    "evil", ["Bearer x\r\nX-Evil: 1", "Bearer \x00", "Bearer x\nX-Evil: 1", "Bearer \x7f"]
)
def test_a_header_cannot_be_injected(listening, evil):
    told = (
        f"GET /v1/customers/anna HTTP/1.1\r\nHost: x\r\nAuthorization: {evil}\r\nIdempotency-Key: {evil}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    head = raw(listening.url, told).partition(b"\r\n\r\n")[0].lower()
    assert head.startswith((b"http/1.1 401", b"http/1.1 400")) and b"evil" not in head
    assert httpx.get(f"{listening.url}/healthz").status_code == 200


@pytest.mark.timeout(60)
def test_a_body_that_never_ends_is_cut_off(listening):
    host, port = listening.url.removeprefix("http://").split(":")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    sent = 0
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(
            f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {listening.desk.live.keys['write']}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        with pytest.raises(OSError):
            while sent < 100_000_000:
                line.sendall(chunk)
                sent += len(chunk)
    assert listening.came[-1].status == 413
    assert httpx.get(f"{listening.url}/healthz").status_code == 200


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(listening):
    key = listening.desk.live.keys["write"]
    before = listening.desk.tables()
    host, port = listening.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(
            f"POST /v1/track HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 500\r\n\r\n"
            '{"userId": "anna", "event": "x"}'.encode()
        )
    assert httpx.get(f"{listening.url}/healthz").status_code == 200
    assert listening.desk.tables() == before
