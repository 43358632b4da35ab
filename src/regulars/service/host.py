"""The service as a process: a store, an engine, an address; and what to try, in words."""

from __future__ import annotations

import datetime
import gc
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from regulars.errors import SettingError
from regulars.service import demo
from regulars.service.app import Service
from regulars.service.engine import Engine
from regulars.service.keys import Role
from regulars.service.store import open_store

DEMO_STORE = "sqlite:///runs/demo.db"
LOCAL = ("127.0.0.1", "::1", "localhost")


def run(store_url: str, host: str, port: int, with_demo: bool, say: Callable[[str], None]) -> None:
    """Serve until stopped.

    Raises
    ------
    SettingError
        when the demo, whose keys everybody knows, would listen to other machines.
    """
    if with_demo and host not in LOCAL:
        raise SettingError(
            f"the demo's keys are known to everybody, so it does not listen on {host}. Leave --host out"
        )
    if store_url.startswith("sqlite:///"):
        Path(store_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    store = open_store(store_url)
    with store.transaction() as work:
        there = {name for _, name in work.tenants()}
    if with_demo and demo.NAME not in there:
        demo.open_demo(store, datetime.datetime.now(datetime.UTC).date(), say)
    elif not there and not with_demo:
        store.close()
        raise SettingError(
            f"the store {store_url} has no retailer yet. Start with --demo, or set one up first"
        )
    engine = Engine(store)
    service = Service(engine)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    if with_demo:
        say(to_try(host, port))
    settle_memory()
    try:
        uvicorn.run(
            service.app, host=host, port=port, log_level="warning", access_log=False, server_header=False
        )
    finally:
        engine.close()


def settle_memory() -> None:
    """Look for cycles seldom, and never among what was there at the start: the catalog and the kernels stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


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
