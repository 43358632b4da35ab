"""The service as a process: a store, an engine, an address; and what to try, in words."""

from __future__ import annotations

import datetime
import gc
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn
from prometheus_client import values
from uvicorn.supervisors import Multiprocess

from regulars.errors import SettingError
from regulars.service import demo, listing
from regulars.service.app import Service
from regulars.service.clock import now_ms
from regulars.service.engine import Engine, shop_of
from regulars.service.http import Connection
from regulars.service.keys import Role
from regulars.service.remote import Desk, RemoteEngine
from regulars.service.store import open_store, shown

LOCAL = ("127.0.0.1", "::1", "localhost")


def run(
    store_url: str, host: str, port: int, workers: int, with_demo: bool, say: Callable[[str], None]
) -> None:
    """Serve until stopped.

    Parameters
    ----------
    workers : processes: of two or more one decides, the others speak HTTP

    Raises
    ------
    SettingError
        when the demo, whose keys everybody knows, would listen to other machines; or somebody listens there already.
    """
    if with_demo and host not in LOCAL:
        raise SettingError(
            f"the demo's keys are known to everybody, so it does not listen on {host}. Leave --host out"
        )
    _asked_for(host, port)
    if store_url.startswith("sqlite:///"):
        file = Path(store_url.removeprefix("sqlite:///"))
        if not with_demo and not file.exists():
            raise SettingError(
                f"there is no store {file}. Start with --demo, or set one up with `regulars import`"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
    store = open_store(store_url)
    try:
        with store.transaction() as work:
            unready = work.unready()
            there = {name for _, name in work.tenants()} - unready.keys()
        if with_demo and there and demo.NAME not in there:
            raise SettingError(
                f"the store {shown(store_url)} has {', '.join(sorted(there))}, and everybody knows the demo's keys. Leave "
                "--demo out, or give it a --store of its own"
            )
        if with_demo and demo.NAME not in there:
            demo.open_demo(store, datetime.datetime.now(datetime.UTC).date(), say)
        elif not there and not with_demo:
            raise SettingError(
                f"the store {shown(store_url)} has no retailer yet. Start with --demo, or set one up first"
                if not unready
                else f"{_broken_off(unready)}, and the store {shown(store_url)} has no other retailer"
            )
        for name in sorted(unready.keys() - ({demo.NAME} if with_demo else set())):
            say(_broken_off([name]))
        say("Getting ready; the first start on a machine compiles for half a minute")
        with store.transaction() as work:
            unready = work.unready()
            ready = [(number, name) for number, name in work.tenants() if name not in unready]
            shops = [shop_of(work, number) for number, _ in ready]
            for shop in shops:
                shop.stocked(work, work.tenant(shop.number).stock)
        for shop in shops:
            words, wanting = listing.said_of_offers(shop, shop.calendar.day(now_ms()), store_url)
            if wanting:
                say(words)
        shops[0].rehearse(shops[0].calendar.day(now_ms()))
    finally:
        store.close()
    say(to_try(host, port) if with_demo else serving(host, port, store_url, [name for _, name in ready]))
    if workers == 1:
        with suppress(KeyboardInterrupt):  # which it obeyed
            uvicorn.Server(_config(partial(service_of, store_url), host, port)).run()
        return
    with tempfile.TemporaryDirectory(prefix="regulars-") as folder:
        # This process decides, and starts those that speak HTTP.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        _count()
        _log()
        engine = Engine(open_store(store_url))
        desk = Desk(engine, f"{folder}/desk")
        settle_memory()
        config = _config(partial(service_of, store_url, f"{folder}/desk"), host, port, workers - 1)
        # Elsewhere than on Linux they share one socket, and who is idle answers.
        door = cast(socket.socket, Door(host, port)) if sys.platform == "linux" else config.bind_socket()
        try:
            Speakers(config, [door]).run()
        finally:
            engine.close()
            desk.close()


def _broken_off(names: Iterable[str]) -> str:
    return (
        f"not served, for its filling is not finished: {', '.join(names)}. If it was broken off, give the same "
        "`regulars import` or `regulars serve --demo` again: it begins anew"
    )


def _config(app: Callable[[], Service], host: str, port: int, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app, factory=True, host=host, port=port, workers=workers, log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, timeout_worker_healthcheck=60, http=Connection,
    )  # fmt: skip


def service_of(store_url: str, desk: str = "") -> Service:
    """The service on a store, in a process of its own.

    Parameters
    ----------
    desk : socket of the process that decides; empty when this one does
    """
    if desk:
        _count()
    _log()
    store = open_store(store_url)
    service = Service(RemoteEngine(store, desk) if desk else Engine(store), closes=True)
    settle_memory()
    return service


def _count() -> None:
    """What this process counts is told by the others too; it is not asked at each count whether it is another by now."""
    own = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: own)  # type: ignore[no-untyped-call]


def _log() -> None:
    # Lines say nothing of threads, processes and places in code, so nothing of it is looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # as logging's own manual says
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")


def _asked_for(host: str, port: int) -> None:
    """Say at once when nobody can listen there."""
    try:
        with socket.socket(_family(host)) as at:
            at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            at.bind((host, port))
    except OSError as error:
        raise SettingError(
            f"nothing can listen on {host} port {port}: {error.strerror}. Give another --port"
        ) from error


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Speakers(Multiprocess):
    """The processes that speak HTTP. One that dies is missed at once, also when it dies before it says that it lives.

    Its end of the line is kept open by nobody else: otherwise who listens to it hears of no death, and waits a minute.
    """

    def init_processes(self) -> None:
        """See :class:`Multiprocess`."""
        super().init_processes()
        self._let_go()

    def keep_subprocess_alive(self) -> None:
        """See :class:`Multiprocess`."""
        super().keep_subprocess_alive()
        self._let_go()

    def _let_go(self) -> None:
        for process in self.processes:
            process.child_conn.close()


@dataclass(frozen=True)
class Door:
    """Where to listen. Each process that is sent one opens a socket of its own, and the kernel deals out who comes."""

    host: str
    port: int

    def __reduce__(self) -> tuple[Callable[..., socket.socket], tuple[str, int]]:
        return _listening, (self.host, self.port)


def _listening(host: str, port: int) -> socket.socket:
    at = socket.socket(_family(host))
    at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    at.bind((host, port))
    return at


def settle_memory() -> None:
    """Look for cycles seldom, and never among what was there at the start: the catalog and the kernels stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def serving(host: str, port: int, store_url: str, names: list[str]) -> str:
    """What is served, in a few lines."""
    return (
        f"Serving {', '.join(names)} from {shown(store_url)} at http://{host}:{port}\n"
        f"What can be asked: http://{host}:{port}/openapi.json . Stop with Ctrl-C."
    )


def to_try(host: str, port: int) -> str:
    """What to try on the demo, as commands."""
    base = f"http://{host}:{port}"
    return f"""
Serving {base} . Keys of the demo: {", ".join(demo.KEYS[role] for role in Role)}

Ask what to say to a household that opened the app:
  curl -s {base}/v1/decisions -H 'Authorization: Bearer rg_serve_demo' \\
    -d '{{"userId": "household-1", "channel": "app"}}'
Send what she did, as a Segment client would:
  curl -s {base}/v1/track -u rg_write_demo: \\
    -d '{{"userId": "household-1", "event": "Product Added to Wishlist", "properties": {{"category": "cheese"}}}}'
All that is stored about her, and her ledger:
  curl -s {base}/v1/customers/household-1 -H 'Authorization: Bearer rg_staff_demo'
Everything else: {base}/openapi.json . Stop with Ctrl-C.
"""
