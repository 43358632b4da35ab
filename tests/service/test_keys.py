"""Keys are listed, made and withdrawn; they are read beside the requests, and a store that lets wait holds nobody up."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager

import pytest

from regulars import cli
from regulars.errors import SettingError
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


def test_what_was_read_long_ago_lets_nobody_in_before_it_is_read_anew(desk):
    keys, made = desk.live.service.keys, a_new_key(desk.live)
    old(desk)
    assert status(desk, made) == 404
    desk.live.call(lambda work: work.remove_key(digest(made)))
    keys._read_at -= 2 * keys_of.LONGEST_S
    keys._began -= 2 * keys_of.LONGEST_S

    async def asked():
        asking = asyncio.create_task(keys.who(made))
        await asyncio.sleep(3 * keys_of.PATIENCE_S)
        assert not asking.done()
        return asking

    with busy(desk.live):
        asking = desk.loop.run_until_complete(asked())
    assert desk.loop.run_until_complete(asking) is None


# ---- the command -----------------------------------------------------------------------------------------------------


def keys(live, capsys, **words):
    """What the command tells."""
    cli.live.keys(store=live.url, retailer="corner", json=True, **words)
    return json.loads(capsys.readouterr().out)


def let_in(live, key):
    """Whether a service that starts now knows this key."""
    return asyncio.run(keys_of.Keys(live.engine.store).who(key))


def test_keys_are_listed_by_role_and_never_told(live, capsys):
    told = keys(live, capsys)
    assert [(each["role"], each["name"]) for each in told["keys"]] == [(role.value,) * 2 for role in Role]
    assert [each["id"] for each in told["keys"]] == [digest(live.keys[role])[:12] for role in Role]
    cli.live.keys(store=live.url)
    printed = capsys.readouterr().out
    assert all(each["id"] in printed for each in told["keys"]) and "--revoke ID" in printed
    assert not any(key in printed + json.dumps(told) for key in live.keys.values())


def test_a_key_is_made_told_once_and_withdrawn(live, capsys):
    made = keys(live, capsys, new="serve", name="checkout")["new"]
    assert let_in(live, made["key"]) == (live.number, Role.SERVE, "checkout")
    listed = keys(live, capsys)
    assert {"id": made["id"], "role": "serve", "name": "checkout"} in listed["keys"]
    assert made["key"] not in json.dumps(listed)
    told = keys(live, capsys, new="serve", revoke=made["id"])
    assert told["revoked"]["id"] == made["id"] not in {each["id"] for each in told["keys"]}
    assert let_in(live, made["key"]) is None and let_in(live, told["new"]["key"]).source == "serve"
    # The key itself names it too, and who is withdrawn is nobody's.
    keys(live, capsys, revoke=told["new"]["key"])
    assert keys(live, capsys)["keys"] == [each for each in listed["keys"] if each["id"] != made["id"]]
    with pytest.raises(SettingError, match="names no key of this retailer"):
        keys(live, capsys, revoke=made["id"])


def test_a_service_that_runs_refuses_a_key_from_its_withdrawal_on(desk, capsys):
    key = desk.live.keys["staff"]
    assert status(desk, key) == 404
    keys(desk.live, capsys, revoke=digest(key)[:12])
    time.sleep(keys_of.FRESH_S + 0.1)
    assert status(desk, key) == 401


def test_nobody_withdraws_a_key_of_another_retailer(desk, capsys):
    rival = desk.rival[Role.STAFF]
    for named in (rival, digest(rival)[:12]):
        with pytest.raises(SettingError, match="names no key of this retailer") as refused:
            keys(desk.live, capsys, revoke=named)
        assert rival not in str(refused.value)
    assert status(desk, rival) == 404
    with pytest.raises(SettingError, match="has 2 retailers"):
        cli.live.keys(store=desk.live.url)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"new": "boss"}, "'boss' is no role. Give one of write, serve, staff, admin"),
        ({"name": "till"}, "--new ROLE too"),
        ({"new": "write", "name": "import"}, "cannot name a key"),
        ({"new": "write", "name": " "}, "cannot name a key"),
        ({"revoke": "3f"}, "names no key"),
        ({"revoke": ""}, "names no key"),
    ],
)
def test_words_that_name_no_key_change_nothing(desk, capsys, words, said):
    before = desk.tables()
    with pytest.raises(SettingError, match=said):
        keys(desk.live, capsys, **words)
    assert desk.tables() == before
