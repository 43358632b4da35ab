"""Several processes on one store: one decides, the others speak HTTP."""

import asyncio
import collections
import concurrent.futures
import datetime
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pytest

from regulars.retail.contact_rules import ContactRules
from regulars.service import keys, remote
from regulars.service.decided import Ask
from regulars.service.opening import Opening, open_shop
from regulars.service.store import open_store
from regulars.service.store.sql import StoreFailed
from regulars.terms import Action

from .conftest import Clock, Live, corner_shop

ROLES = ("write", "serve", "staff")
NAMES = [f"name-{k}" for k in range(40)]
GRANTS = {"purchases": True, "stated": True, "contact": True, "contact.app": True, "contact.email": True}
PER_DAY = 1


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def children(pid):
    found = []
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                stat = open(f"/proc/{each}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(stat[1]) == pid and stat[0] != "Z":
                found.append(int(each))
    return found


def speakers(pid):
    """The processes that speak HTTP, of the one that decides."""
    return [each for each in children(pid) if b"spawn_main" in open(f"/proc/{each}/cmdline", "rb").read()]


class Served:
    """A service in processes of its own."""

    def __init__(self, url, folder, workers):
        store = open_store(url)
        start = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=5)
        rules = ContactRules(per_day=PER_DAY, per_channel=PER_DAY, quiet_from=0, quiet_until=0)
        settings = {"per_week": 14, "min_gap_days": 0}
        number, _ = open_shop(
            store, Opening("corner", corner_shop(), start, policy_settings=settings, rules=rules)
        )
        with store.transaction() as work:
            for role in ROLES:
                work.add_key(keys.digest(f"rg_{role}"), number, role, role)
        store.close()
        self.url, self.port = url, free_port()
        self.said = folder / "said.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "regulars.cli", "serve", "--store", url, "--port", str(self.port),
             "--workers", str(workers)], stdout=self.said.open("w"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.wait()

    def wait(self):
        for _ in range(600):
            try:
                return self.ask("/healthz")
            except OSError:
                assert self.process.poll() is None, self.said.read_text()
                time.sleep(0.1)
        raise AssertionError(self.said.read_text())

    def ask(self, path, body=None, role=None, raw=False):
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if role is not None:
            headers["Authorization"] = f"Bearer rg_{role}"
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            told = answer.read()
        return told.decode() if raw else json.loads(told)

    def welcome(self):
        events = [
            {"type": "track", "event": "Consent Updated", "userId": name, "messageId": name,
             "context": {"consent": {"categoryPreferences": GRANTS}}} for name in NAMES
        ] + [
            {"type": "track", "event": "Order Completed", "userId": name, "messageId": f"order-{name}",
             "properties": {"products": [{"product_id": "p0", "price": 3, "quantity": 1}]}} for name in NAMES
        ]  # fmt: skip
        self.ask("/v1/batch", {"batch": events}, "write")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(60) == 0, self.said.read_text()


@pytest.fixture
def served(url, tmp_path):
    service = Served(url, tmp_path, workers=3)
    yield service
    service.stop()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_caps_are_exact_whichever_process_is_asked_and_one_that_dies_is_replaced(served):
    served.welcome()
    asked = 6
    turn = [name for name in NAMES for _ in range(asked)]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(
            pool.map(
                lambda name: served.ask("/v1/decisions", {"userId": name, "channel": "app"}, "serve"), turn
            )
        )
    contacts = collections.Counter(
        name for name, told in zip(turn, answers, strict=True) if told["action"] != "silence"
    )
    assert contacts and max(contacts.values()) <= PER_DAY
    for name in NAMES:
        account = served.ask(f"/v1/customers/{name}", role="staff")
        kept = [entry for entry in account["ledger"] if entry["kind"] == "contacted"]
        assert len(kept) == contacts[name] and account["brokenAt"] is None
        assert len(account["decisions"]) == asked
    metrics = served.ask("/metrics", raw=True)
    counted = re.search(r'regulars_requests_total\{[^}]*route="/v1/decisions"[^}]*\} ([\d.]+)', metrics)
    assert float(counted[1]) == len(turn)
    applied = re.search(r'regulars_events_taken_total\{became="applied"\} ([\d.]+)', metrics)
    assert float(applied[1]) == 2 * len(NAMES)  # by the process that decides, told by the one that was asked

    killed, other = speakers(served.process.pid)
    # It is killed while the one that keeps it waits for it to say that it lives.
    os.kill(killed, signal.SIGSTOP)
    time.sleep(1)
    os.kill(killed, signal.SIGKILL)
    for _ in range(300):
        time.sleep(0.1)
        now = speakers(served.process.pid)
        if len(now) == 2 and killed not in now:
            break
    assert len(now) == 2 and killed not in now and other in now
    for _ in range(20):
        try:
            assert served.ask("/v1/decisions", {"userId": NAMES[0], "channel": "app"}, "serve")["id"]
        except urllib.error.URLError:  # it had just been dealt to the one that died
            time.sleep(0.2)
    replay = served.ask(f"/v1/decisions/{answers[0]['id']}/replay", {}, "staff")
    assert replay["equal"], replay


@pytest.mark.slow
def test_candidates_reach_the_process_that_decides(tmp_path):
    service = Served(f"sqlite:///{tmp_path}/store.db", tmp_path, workers=2)
    try:
        service.welcome()
        skus = [("p0", "p14")[k % 2] for k in range(len(NAMES))]
        bodies = [
            {"userId": name, "channel": "app", "candidates": {"skus": [sku]}}
            for name, sku in zip(NAMES, skus, strict=True)
        ]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda body: service.ask("/v1/decisions", body, "serve"), bodies))
        offered = collections.Counter(
            (sku, told["offer"]["category"])
            for sku, told in zip(skus, answers, strict=True)
            if told["action"] == "offer"
        )
        assert offered["p0", "milk"] and offered.keys() <= {("p0", "milk"), ("p14", "tea")}
        for told in answers[:6]:
            replay = service.ask(f"/v1/decisions/{told['id']}/replay", {}, "staff")
            assert replay["equal"], replay
        with pytest.raises(urllib.error.HTTPError, match="400"):
            service.ask("/v1/decisions", bodies[0] | {"candidates": {"skus": ["p99"]}}, "serve")
    finally:
        service.stop()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_without_the_process_that_decides_none_is_left(served):
    left = children(served.process.pid)
    served.process.kill()
    served.process.wait()
    for _ in range(200):
        alive = [pid for pid in left if os.path.exists(f"/proc/{pid}")]
        if not alive:
            break
        time.sleep(0.1)
    assert not alive


def test_what_goes_wrong_at_the_desk_is_logged_there_and_told_to_whoever_asked(tmp_path, caplog):
    def breaks(error):
        def decide(*_):
            raise error

        return decide

    live = Live(f"sqlite:///{tmp_path}/store.db", Clock())
    live.keys, folder = {"serve": "rg_x"}, tempfile.mkdtemp()
    desk = remote.Desk(live.engine, f"{folder}/desk")
    store = open_store(live.url)
    other = remote.RemoteEngine(store, f"{folder}/desk", live.clock)

    async def ask():
        await other.start()
        told = []
        for error in (ValueError("her name"), StoreFailed("no room")):
            live.shop.decide = breaks(error)
            try:
                await other.in_loop("decide", other.shops[live.number], [Ask(-1, None, live.clock(), "", ())])
            except Exception as answer:
                told.append(answer)
        del live.shop.decide
        unsaid = Ask(-1, None, live.clock(), "\ud800", ())  # cannot be written down
        with pytest.raises(UnicodeEncodeError):
            await asyncio.wait_for(other.in_loop("decide", other.shops[live.number], [unsaid]), 20)
        told.append(
            await other.in_loop("decide", other.shops[live.number], [Ask(-1, None, live.clock(), "", ())])
        )
        other._listening.cancel()
        return told

    broken, failed, (answer,) = asyncio.run(ask())
    assert type(broken) is RuntimeError and type(failed) is StoreFailed and str(failed) == "no room"
    assert answer.id == "" and answer.stored.action == Action.SILENCE
    logged = [record.getMessage() for record in caplog.records]
    assert any("ValueError" in line and "engine.py" in line for line in logged)
    assert not any("her name" in line for line in logged)
    other.close()
    live.close()
    desk.close()


def heard(line):
    """What comes over a line, as (number, how many answers)."""
    size = int.from_bytes(line.recv(remote.HEAD, socket.MSG_WAITALL), "big")
    replies = remote._REPLIES.decode(line.recv(size, socket.MSG_WAITALL))
    return [(reply.number, len(reply.answers)) for reply in replies]


def test_the_desk_hears_everybody_whatever_another_does(tmp_path, monkeypatch, caplog):
    live = Live(f"sqlite:///{tmp_path}/store.db", Clock())
    path = f"{tempfile.mkdtemp()}/desk"
    desk = remote.Desk(live.engine, path)

    def calls():
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(20)
        line.connect(path)
        return line

    def asks(*numbers):
        ask = [Ask(-1, None, live.clock())]
        return remote._framed([remote.Question(number, live.number, ask) for number in numbers])

    line = calls()
    for part in (asks(1)[:2], asks(1)[2:9], asks(1)[9:]):
        line.sendall(part)
        time.sleep(0.1)
    assert heard(line) == [(1, 1)]
    line.sendall(asks(2, 3) + asks(4) + asks(5)[:-1])
    told = []
    while len(told) < 3:
        told += heard(line)
    assert sorted(told) == [(2, 1), (3, 1), (4, 1)]
    line.sendall(asks(5)[-1:])
    assert heard(line) == [(5, 1)]

    rubbish = calls()
    rubbish.sendall(b"\0\0\0\3abc")
    assert rubbish.recv(1) == b""
    leaves = calls()
    leaves.sendall(asks(6) + asks(7)[:5])
    leaves.close()
    meet = desk._meet
    full = OSError(errno.EMFILE, "no more files")
    monkeypatch.setattr(desk, "_meet", lambda: (_ for _ in ()).throw(full))
    waits = calls()  # there is no room for this one yet
    waits.sendall(asks(8))
    line.sendall(asks(9))
    assert heard(line) == [(9, 1)]
    assert live.call(lambda work: work.ask("SELECT 1")) == [(1,)]
    before = len(caplog.records)
    time.sleep(0.5)
    assert len(caplog.records) - before < 50  # it does not spin
    monkeypatch.setattr(desk, "_meet", meet)
    assert heard(waits) == [(8, 1)]
    assert len(desk._so_far) == 2  # who left is forgotten
    live.close()
    desk.close()


@pytest.mark.slow
def test_a_port_that_is_taken_is_told_at_once(served):
    words = [sys.executable, "-m", "regulars.cli", "serve", "--store", served.url, "--port", str(served.port)]
    for workers in ("1", "2"):
        done = subprocess.run([*words, "--workers", workers], capture_output=True, text=True, timeout=120)
        assert done.returncode != 0 and f"port {served.port}" in done.stderr and "--port" in done.stderr
