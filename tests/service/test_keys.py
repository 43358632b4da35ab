"""Keys are read beside the requests: a store that lets wait holds nobody up, and a new key is known in seconds."""

import threading
import time
from contextlib import contextmanager

import pytest

from regulars.service import keys as keys_of
from regulars.service.keys import Role, digest, new
from regulars.service.store.sql import StoreFailed


@contextmanager
def busy(live):
    """Somebody is at the store for long."""
    begun, leave = threading.Event(), threading.Event()

    def hold():
        with live.engine.store.transaction():
            begun.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        leave.set()
        holder.join(30)


def a_new_key(live):
    with live.engine.store.transaction() as work:
        return new(work, live.number, Role.STAFF, "somebody new")


def status(desk, key):
    return desk.ask("GET", "/v1/customers/nobody-of-that-name", key=key).status_code


def old(desk):
    """What is known of keys was read long ago."""
    desk.live.service.keys._read_at -= 2 * keys_of.FRESH_S
    desk.live.service.keys._began -= 2 * keys_of.FRESH_S


def test_requests_are_served_while_the_store_lets_wait(desk):
    keys = desk.live.service.keys
    key = desk.live.keys["staff"]
    old(desk)
    with busy(desk.live):
        began = time.monotonic()
        for _ in range(20):
            assert desk.loop.run_until_complete(keys.who(key)).role == Role.STAFF
        assert time.monotonic() - began < 5 * keys_of.PATIENCE_S
    assert desk.loop.run_until_complete(keys.who(key)).role == Role.STAFF


def test_a_new_key_is_known_within_seconds(desk):
    made = a_new_key(desk.live)
    until = time.monotonic() + 4 * keys_of.AGAIN_S
    while status(desk, made) == 401 and time.monotonic() < until:
        time.sleep(0.05)
    assert status(desk, made) == 404


def test_a_key_that_was_revoked_is_refused_at_once_when_what_is_known_is_old(desk):
    made = a_new_key(desk.live)
    old(desk)
    assert status(desk, made) == 404
    desk.live.call(lambda work: work.tell("DELETE FROM api_key WHERE digest = ?", (digest(made),)))
    old(desk)
    assert status(desk, made) == 401


def test_unknown_keys_make_one_reading_a_second(desk, monkeypatch):
    keys, read = desk.live.service.keys, []
    monkeypatch.setattr(keys, "_read", lambda: read.append(time.monotonic()))
    began = time.monotonic()
    for k in range(200):
        assert status(desk, f"rg_staff_nobodys-{k}") == 401
    assert 1 <= len(read) <= 1 + (time.monotonic() - began) / keys_of.AGAIN_S


@pytest.mark.parametrize("role", ["staff", "nobody"])
def test_a_store_that_fails_leaves_those_who_are_known(desk, monkeypatch, role):
    def fails():
        raise StoreFailed("there is no room")

    monkeypatch.setattr(desk.live.service.keys, "_read", fails)
    old(desk)
    assert status(desk, desk.live.keys.get(role, "rg_staff_nobodys")) == (404 if role == "staff" else 503)
