"""Whoever is erased is nowhere any more; and whatever was acknowledged survives a process that is killed."""

import base64
import codecs
import hashlib
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest
from hypothesis import settings

from regulars.retail.decision import Reason
from regulars.service import idempotency, intake, letters
from regulars.service.engine import TIDY_S, Engine
from regulars.service.events import Event
from regulars.service.seal import Seal
from regulars.service.store import open_store
from regulars.service.store.sql import StoreFailed

from .conftest import Clock, Live, at
from .customers import allow, another_engine, bought, buy, column, hear, holds_together, number, say, tell

KILLS = 50 if settings().max_examples > 1_000 else 3
#: In every field that may tell of a person. Long enough that none of them is found by chance.
CANARIES = {
    "user": "canary-user-7f3a91", "device": "canary-device-b81c22", "email": "canary.mail.5d20@example.org",
    "phone": "+4930777123987", "trait": "canary-trait-Łukasz-99ab", "order": "canary-order-41f0",
    "property": "canary-property-0c7e", "message": "canary-message-66d1", "household": "canary-household-2e9b",
    "page": "canary-page-d00f", "key": "canary-key-38b5",
}  # fmt: skip


def forms(value):
    """How a value may stand in a file."""
    plain = value.encode()
    found = {"utf-8": plain, "utf-16le": value.encode("utf-16-le"), "utf-16be": value.encode("utf-16-be")}
    for name, what in (("utf-8", plain), ("lower", value.lower().encode())):
        digest = hashlib.sha256(what)
        found |= {f"sha256 {name}": digest.digest(), f"sha256 hex {name}": digest.hexdigest().encode()}
        found |= {f"sha256 base64 {name}": base64.b64encode(digest.digest())}
    found |= {
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "rot13": codecs.encode(value, "rot13").encode(),
    }
    for shift in range(3):  # base64 of a text in which it stands at any place
        inner = base64.b64encode(b"\x00" * shift + plain)[4 if shift else 0 : -4]
        found[f"base64 {shift}"] = inner
    return found


def hits(files, values=None):
    """(file, form, value) wherever a value is found; any canary when none is named."""
    wanted = [
        (name, value, what) for value in values or CANARIES.values() for name, what in forms(value).items()
    ]
    found = []
    for file in files:
        try:
            body = file.read_bytes()
        except (FileNotFoundError, PermissionError):
            continue
        found += [(file.name, name, value) for name, value, what in wanted if what in body]
    return found


def files_of(url):
    """Every file in which the store keeps anything."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        folder = connection.execute("SHOW data_directory").fetchone()[0]
    return [file for file in Path(folder).rglob("*") if file.is_file()]


async def send(live, method, path, body=None, role="admin", key=None):
    transport = httpx.ASGITransport(app=live.service)
    headers = {"Authorization": f"Bearer {live.keys[role]}"} | ({"Idempotency-Key": key} if key else {})
    async with httpx.AsyncClient(transport=transport, base_url="http://regulars") as client:
        return await client.request(method, path, json=body, headers=headers)


def everything_about_her():
    c = CANARIES
    who = {"userId": c["user"], "anonymousId": c["device"]}
    stamp = {"timestamp": at(0, 9)}
    return [
        {"type": "track", "event": "Product Viewed", "anonymousId": c["device"], "messageId": c["message"], **stamp,
         "properties": {"product_id": "p1", "note": c["property"]}},
        {"type": "identify", **who, **stamp, "traits": {"email": c["email"], "phone": c["phone"], "name": c["trait"],
                                                        "address": {"street": c["trait"]}, "timezone": "Europe/Berlin"}},
        {"type": "track", "event": "Consent Updated", **who, **stamp, "context": {"consent": {"categoryPreferences": {
            "purchases": True, "stated": True, "browsing": True, "service": True, "household": True,
            "contact.email": True, "contact": True}}}},
        {"type": "track", "event": "Order Completed", **who, **stamp, "properties": {
            "order_id": c["order"], "coupon": c["property"], "products": [{"product_id": "p1", "quantity": 1, "price": 3}]}},
        {"type": "track", "event": "Order Completed", **who, **stamp, "properties": {
            "order_id": c["order"] + "-2", "products": [{"product_id": c["property"], "quantity": 1, "price": 3}]}},
        {"type": "track", "event": "Order Refunded", **who, **stamp, "properties": {"order_id": c["order"] + "-2"}},
        {"type": "track", "event": "Live Chat Message Sent", **who, **stamp, "properties": {"body": c["property"]}},
        {"type": "track", "event": c["property"], **who, **stamp, "properties": {"x": c["property"]}},
        {"type": "group", **who, **stamp, "groupId": c["household"], "traits": {"name": c["trait"]}},
        {"type": "page", **who, **stamp, "name": c["page"], "properties": {"url": f"https://x/{c['page']}"}},
        {"type": "track", "event": "Wished", **who, **stamp, "properties": {"category": "tea"}},
        {"type": "alias", "userId": c["user"], "previousId": c["device"], **stamp},
    ]  # fmt: skip


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_whoever_is_erased_is_in_no_file_of_the_store_no_letter_and_no_log(live, url, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="regulars")
    hear(
        live,
        allow("bob", contact=True, contact__email=True, purchases=True),
        buy("bob", 0, "p1"),
        tell("bob", email="bob@example.org"),
    )
    answer = await send(live, "POST", "/v1/batch", {"batch": everything_about_her()}, "write")
    assert answer.status_code == 200, answer.text
    user = CANARIES["user"]
    asked = await send(
        live,
        "POST",
        "/v1/decisions",
        {"userId": user, "channel": "email", "place": CANARIES["page"]},
        "serve",
        CANARIES["key"],
    )
    assert asked.json()["id"]
    name = asked.json()["id"]
    for path in (f"/v1/customers/{user}", f"/v1/decisions/{name}"):
        assert (await send(live, "GET", path, role="staff")).status_code == 200
    account = (await send(live, "GET", f"/v1/customers/{user}", role="staff")).text
    assert all(
        each in account
        for each in ("canary-trait", CANARIES["order"], CANARIES["property"], CANARIES["email"])
    )
    letter = tmp_path / "before.csv"
    live.clock.set(2)
    letters.write(live.engine, live.shop, "email", "today", 10, letter)
    assert user in letter.read_text() and "bob" in letter.read_text()

    answer = await send(live, "DELETE", f"/v1/customers/{user}")
    assert answer.status_code == 200, answer.text

    assert (await send(live, "GET", f"/v1/customers/{user}", role="staff")).status_code == 404
    assert (await send(live, "GET", f"/v1/decisions/{name}", role="staff")).status_code == 404
    assert (await send(live, "POST", f"/v1/decisions/{name}/replay", role="staff")).status_code == 404
    assert say(live, user).stored.reason == Reason.NO_PERMISSION
    assert say(live, device=CANARIES["device"]).id == ""
    after = tmp_path / "after.csv"
    live.clock.set(9)
    letters.write(live.engine, live.shop, "email", "today", 10, after)
    assert "bob" in after.read_text()
    logged = tmp_path / "service.log"
    # What the service logs, not what the client of this test does.
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("regulars")]
    logged.write_text("\n".join(ours))
    assert any("/v1/customers/{user}" in each for each in ours)
    assert hits([after, logged]) == []
    assert hits(files_of(url)) == []
    # The search finds what is there: the shop's name, and her address in the letter that was written before.
    assert hits([letter], [CANARIES["email"]])
    with live.engine.store.transaction() as work:
        work.add_key("canary-control-aa17", live.number, "write", "control")
    assert hits(files_of(url), ["canary-control-aa17"])
    holds_together(live)


@pytest.mark.anyio
async def test_her_key_is_gone_from_the_file_and_the_others_keys_are_not(tmp_path, clock):
    url = f"sqlite:///{tmp_path}/store.db"
    live = Live(url, clock)
    try:
        hear(live, *(allow(f"user-{k}") for k in range(300)))
        keys = dict(live.call(lambda work: work.ask("SELECT customer, key FROM person_key")))
        who = number(live, "user-150")
        live.engine.store.tidy()
        assert keys[who] in Path(tmp_path / "store.db").read_bytes()
        assert (await send(live, "DELETE", "/v1/customers/user-150")).status_code == 200
        body = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("store.db"))
        assert keys[who] not in body
        assert sum(key in body for key in keys.values()) == 299
    finally:
        live.close()


def keys_in(folder, keys):
    """Which of these keys are in any file of the store."""
    body = b"".join(file.read_bytes() for file in folder.iterdir() if file.name.startswith("store.db"))
    return {customer for customer, key in keys.items() if key in body}


def until(holds, seconds=10):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    assert holds()


@pytest.mark.anyio
async def test_whoever_is_erased_while_somebody_reads_is_told_so_and_leaves_the_log_once_nobody_does(
    tmp_path, clock
):
    live = Live(f"sqlite:///{tmp_path}/store.db", clock)
    reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    try:
        hear(live, allow("ada"), allow("bob"))
        keys = dict(live.call(lambda work: work.ask("SELECT customer, key FROM person_key")))
        ada, bob = number(live, "ada"), number(live, "bob")
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM customer").fetchone()
        began = time.monotonic()
        answer = await send(live, "DELETE", "/v1/customers/ada")
        assert answer.status_code == 200 and time.monotonic() - began < 5
        told = answer.json()
        assert told["success"] and not told["logEmptied"] and "as soon as nobody reads" in told["detail"]
        assert (await send(live, "GET", "/v1/customers/ada", role="staff")).status_code == 404
        time.sleep(2.5 * TIDY_S)
        assert say(live, "bob").id and keys_in(tmp_path, keys) == {ada, bob}
        reader.execute("ROLLBACK")
        until(lambda: keys_in(tmp_path, keys) == {bob})
        answer = await send(live, "DELETE", "/v1/customers/bob")
        assert answer.json()["logEmptied"] and keys_in(tmp_path, keys) == set()
    finally:
        reader.close()
        live.close()


@pytest.mark.anyio
async def test_a_log_that_a_process_left_behind_is_emptied_by_the_next(tmp_path, clock):
    live = Live(f"sqlite:///{tmp_path}/store.db", clock)
    try:
        hear(live, allow("ada"))
        keys = dict(live.call(lambda work: work.ask("SELECT customer, key FROM person_key")))
        live.engine.store.tidy = lambda: False  # as if it was killed before it could
        assert not (await send(live, "DELETE", "/v1/customers/ada")).json()["logEmptied"]
        assert keys_in(tmp_path, keys)
        with another_engine(live):
            until(lambda: not keys_in(tmp_path, keys))
    finally:
        live.close()


@pytest.mark.anyio
async def test_a_store_that_cannot_be_tidied_is_tidied_later_and_she_is_erased_all_the_same(live):
    hear(live, allow("ada"))
    until(lambda: not live.engine._untidy)
    tidy, tried = live.engine.store.tidy, []

    def fails_at_first():
        tried.append(len(tried))
        if len(tried) < 3:
            raise StoreFailed("there is no room")
        return tidy()

    live.engine.store.tidy = fails_at_first
    answer = await send(live, "DELETE", "/v1/customers/ada")
    assert answer.status_code == 200 and not answer.json()["logEmptied"]
    assert number(live, "ada") == -1
    until(lambda: len(tried) == 3)
    time.sleep(2 * TIDY_S)
    assert len(tried) == 3
    hear(live, allow("bob"))
    told = (await send(live, "DELETE", "/v1/customers/bob")).json()
    assert told["logEmptied"] == live.url.startswith("sqlite") and told["detail"]


@pytest.mark.anyio
async def test_erasing_takes_the_device_that_became_hers_with_it_and_nobody_else(live):
    hear(live, allow("ada"), allow("bob"), allow(device="phone"), buy("", 0, "p1", device="phone"))
    device = number(live, device="phone")
    hear(live, tell("ada", device="phone"))
    before = bought(live, "bob")
    ada = number(live, "ada")
    assert (await send(live, "DELETE", "/v1/customers/ada")).status_code == 200
    assert live.call(lambda work: work.everybody(live.number, merged=True)) == [number(live, "bob")]
    left = live.call(lambda work: work.ask("SELECT customer FROM person_key"))
    assert left == [(number(live, "bob"),)] and {ada, device}.isdisjoint({row[0] for row in left})
    assert bought(live, "bob") == before
    assert (await send(live, "DELETE", "/v1/customers/ada")).status_code == 404


@pytest.mark.anyio
async def test_what_was_answered_under_a_key_is_sealed_and_gone_with_her(live, url):
    hear(live, allow("ada"), buy("ada", 0, "p1"))
    about = {"userId": "ada", "channel": "email"}
    first = await send(live, "POST", "/v1/decisions", about, "serve", "key-1")
    assert first.json()["action"] != "silence"
    consent = {"userId": "ada", "grants": {"service": True}}
    assert (await send(live, "POST", "/v1/consent", consent, "serve", "key-2")).status_code == 200
    again = await send(live, "POST", "/v1/decisions", about, "serve", "key-1")
    assert again.content == first.content
    said = first.json()["toHer"]
    assert len(said) > 20 and hits(files_of(url), [said]) == []
    assert (await send(live, "DELETE", "/v1/customers/ada")).status_code == 200
    assert hits(files_of(url), [said]) == []
    left = live.call(lambda work: work.ask("SELECT customer, body FROM claim"))
    assert left == [(-1, b'{"success":true,"status":1}')]
    # Whoever asks again hears of nobody, and a consent that is sent again does not bring her back.
    assert (await send(live, "POST", "/v1/decisions", about, "serve", "key-1")).json()["id"] == ""
    assert (await send(live, "POST", "/v1/consent", consent, "serve", "key-2")).status_code == 200
    assert number(live, "ada") == -1


@pytest.mark.anyio
async def test_what_was_set_aside_is_kept_without_whoever_is_erased(live):
    hear(live, allow("anna", contact=True, purchases=True), allow("bob", contact=True, purchases=True))

    live.call(lambda work: None)  # they are known

    def put_aside(work):
        intake.put_in(work, live.shop, "web", at(0), [buy("anna", 0, "p1"), buy("bob", 0, "p2")])
        intake.put_in(work, live.shop, "web", at(0), [buy("bob", 0, "p3")])
        for seq, *_ in work.take_out(live.number, 10):
            work.set_aside(seq)

    live.engine.call(live.shop, put_aside, drained=False).result(60)
    assert (await send(live, "DELETE", "/v1/customers/anna")).status_code == 200

    def users(work):
        seal = Seal(live.shop.secret[:16])
        bodies = [seal.open(body, b"inbox") for _, body in work.aside(live.number)]
        return [[event.user for event in msgspec.msgpack.decode(body, type=list[Event])] for body in bodies]

    assert live.call(users) == [["bob"], ["bob"]]


def test_an_answer_about_somebody_who_was_erased_meanwhile_is_not_kept(live):
    hear(live, allow("ada"))
    said = say(live, "ada")

    def erased_meanwhile(work):
        assert idempotency.claimed(live.shop, work, "key", "request", live.clock()) is None
        work.erase(live.number, [number_of_her], 0)
        idempotency.answered(live.shop, work, "key", live.clock(), 200, b"what was said to her", said.id)
        return work.ask("SELECT digest FROM claim")

    number_of_her = number(live, "ada")
    assert live.call(erased_meanwhile) == []


def test_an_answer_whose_key_was_not_restored_with_it_is_given_anew(live):
    hear(live, allow("ada"))
    said = say(live, "ada")

    def without_keys(work):
        now = live.clock()
        idempotency.claimed(live.shop, work, "key", "request", now)
        idempotency.answered(live.shop, work, "key", now, 200, b"what was said to her", said.id)
        assert idempotency.claimed(live.shop, work, "key", "request", now) == (
            "request",
            200,
            b"what was said to her",
        )
        work.tell("DELETE FROM person_key")
        return idempotency.claimed(live.shop, work, "key", "request", now)

    assert live.call(without_keys) is None


@pytest.mark.anyio
async def test_whoever_comes_back_after_erasure_is_somebody_new(live):
    hear(live, allow("ada"), buy("ada", 0, "p1"))
    first = number(live, "ada")
    assert (await send(live, "DELETE", "/v1/customers/ada")).status_code == 200
    hear(live, tell("ada"))
    assert number(live, "ada") not in (first, -1)
    assert bought(live, "ada")["visits"] == 0
    assert say(live, "ada").stored.reason == Reason.NO_PERMISSION


def test_a_backup_as_the_page_says_has_no_key_and_nothing_that_the_retailers_secret_opens(tmp_path, clock):
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()
    commands = re.findall(r'^sqlite3 (\S+\.db) "(.*)"$', page, re.M)
    assert [file for file, _ in commands] == ["store.db", "backup.db"]
    live = Live(f"sqlite:///{tmp_path}/store.db", clock)
    try:
        hear(live, allow("ada"), buy("ada", 0, "p1"))
        keys = live.call(lambda work: [bytes(row[0]) for row in work.ask("SELECT key FROM person_key")])

        def put_aside(work):
            intake.put_in(work, live.shop, "web", at(0), [buy("ada", 0, "p2")])
            for seq, *_ in work.take_out(live.number, 10):
                work.set_aside(seq)
            return [bytes(row[0]) for row in work.ask("SELECT body FROM inbox")]

        waiting = live.engine.call(live.shop, put_aside, drained=False).result(60)
        for file, told in commands:
            with closing(sqlite3.connect(tmp_path / file, isolation_level=None)) as at_it:
                for statement in told.replace("'backup.db'", f"'{tmp_path}/backup.db'").split(";"):
                    at_it.execute(statement)
        body = (tmp_path / "backup.db").read_bytes()
        assert keys and waiting and not any(each in body for each in keys + waiting)
        assert not list(tmp_path.glob("backup.db-*"))
        with closing(sqlite3.connect(tmp_path / "backup.db")) as at_it:
            count = {
                t: at_it.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                for t in ("customer", "event", "inbox")
            }
        assert count["customer"] and count["event"] and not count["inbox"]
    finally:
        live.close()


# ---- kill -9 -------------------------------------------------------------------------------------------------------------

CHILD = """
import sys
from tests.service.conftest import Clock, at
from tests.service.customers import ask, buy, allow
from regulars.service.engine import Engine
from regulars.service.store import open_store
from regulars.terms import Channel

url, run = sys.argv[1], int(sys.argv[2])
engine = Engine(open_store(url), Clock(run // 4))
shop = engine.shops[0]
print("ready", flush=True)
n = 0
while True:
    user = f"user-{n % 5}"
    message = f"{run}-{n}"
    basket = buy(user, run // 4, "p1", message=message, cents=1)
    engine.take_in(shop, "app", [allow(user, message=f"allow-{user}"), basket]).result(60)
    print("took", message, user, flush=True)
    if n % 3 == 0:
        answer = engine.decide(shop, [ask(user, at(run // 4), channel=Channel.EMAIL)]).result(60)[0]
        print("said", answer.id, user, int(answer.stored.number >= 0), flush=True)
    n += 1
"""


def test_nothing_acknowledged_is_lost_or_there_twice_when_the_process_is_killed(live, url):
    live.close()
    took, said = {}, {}
    root = Path(__file__).parents[2]
    for run in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, url, str(run)], stdout=subprocess.PIPE, cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])},
        )  # fmt: skip
        lines = []
        until = None
        for line in child.stdout:
            lines.append(line)
            until = until or time.monotonic() + 0.3 + 0.13 * (run % 7)
            if time.monotonic() > until and len(lines) > 3:
                break
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait(30)
        child.stdout.close()
        assert len(lines) > 3, lines
        for line in (each.decode().split() for each in lines if each.endswith(b"\n")):
            if line[0] == "took":
                took[line[1]] = line[2]
            elif line[0] == "said":
                said[line[1]] = (line[2], int(line[3]))
    live.engine = Engine(open_store(url), Clock(KILLS // 4 + 1))
    live.shop = live.engine.shops[live.number]
    users = [f"user-{k}" for k in range(5)]
    kept = {user: int(column(live, user, "spend_cents")) for user in users}
    mine = Counter(took.values())
    for user in users:
        # Nothing was sent again yet. One delivery a kill may have been taken without the word of it getting out.
        assert mine[user] <= kept[user] <= mine[user] + KILLS, (user, mine[user], kept[user])
    # Whoever was not told that it was taken sends it again, and so may whoever was.
    told = Counter(message.partition("-")[0] for message in took)
    unsure = {f"{run}-{n}": f"user-{n % 5}" for run, n in told.items()}
    for message, user in (took | unsure).items():
        hear(live, buy(user, 0, "p1", message=message, cents=1))
    sent = Counter((took | unsure).values())
    assert {user: int(column(live, user, "spend_cents")) for user in users} == {u: sent[u] for u in users}
    ids = live.call(lambda work: dict(work.ask("SELECT id, waits FROM decision")))
    assert said.keys() <= ids.keys()
    assert len(ids) <= len(said) + KILLS
    contacts = live.call(lambda work: live.shop.seat(work, range(5))).record
    days = KILLS // 4 + 1
    assert (contacts.sent <= days).all() and contacts.ring.max() <= 1
    assert holds_together(live) == len(ids)
