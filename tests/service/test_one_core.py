"""One core: the events of a simulated retailer, sent over HTTP, give the same records and the same decisions."""

import base64
import json
import os
from dataclasses import replace

import httpx
import numpy as np
import pytest

from regulars import settings
from regulars.market import day as days
from regulars.market import shops, town
from regulars.retail.record import Record
from regulars.service.assortment import Assortment
from regulars.settings import SweepSettings
from regulars.terms import Channel, Fate, Purpose, Reaction, Scope

from .conftest import START, Clock, Live, at


def lived(consumers, length):
    """A retailer of a run, day by day: what it decided, heard and sold; and the retailer at the end."""
    scenario = settings.load("one-chain").changed(
        consumers=consumers, days=length, warm_up=0, worlds=1, seed=7, sweep=SweepSettings()
    )
    place = town.build(scenario)
    # Customers of a live shop are numbered as they come; luck is drawn under these numbers.
    place = replace(place, habits=place.habits._replace(consumer=np.arange(consumers, dtype=np.uint32)))
    life = days.Life(scenario, place, 0)
    shop = shops.reopen(life.shops[0], place, "considerate", {})
    life.shops = [shop]
    before = (
        shop.record.optin.copy(),
        shop.consent.bits.copy(),
        {n: getattr(shop.record, n).copy() for n in WHO},
    )
    seen = []
    for today in range(length):
        changes = shop.consent.bits.copy()
        wishes = shop.record.wish_category.copy(), shop.record.wish_until.copy()
        told = life.live(today)
        lines = {name: getattr(told.lines, name)[: told.line_count].copy() for name in told.lines._fields}
        seen.append((told.talks[0], lines, changes, shop.consent.bits.copy(), wishes,
                     (shop.record.wish_category.copy(), shop.record.wish_until.copy())))  # fmt: skip
    return place, shop, before, seen


WHO = ("age", "income", "kids", "household_size")
CODES = ("age_class", "income_class", "kids", "household_size")


def assortment_of(place):
    catalog = place.catalogs[0]
    count = len(place.shelf.category)
    return Assortment(catalog, tuple(map(str, range(count))), ("",) * count, place.shelf.category)


class Client:
    """A source that sends batches over HTTP, to the app itself."""

    def __init__(self, live):
        self.live = live
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=live.service), base_url="http://regulars", timeout=600
        )
        key = base64.b64encode(f"{live.keys['write']}:".encode()).decode()
        self.write = {"Authorization": f"Basic {key}"}
        self.serve = {"Authorization": f"Bearer {live.keys['serve']}"}

    async def send(self, events):
        for first in range(0, len(events), 2_500):
            body = json.dumps({"batch": events[first : first + 2_500]})
            answer = await self.http.post("/v1/batch", content=body, headers=self.write)
            assert answer.status_code == 200, answer.text


def when(today, hour=10):
    return at(today, hour)


def changes_of(before, after, name, today):
    """Consent events that lead from one to the other."""
    events = []
    for row in np.flatnonzero((before != after).any(1)):
        words = {}
        for scope in Scope:
            for purpose in Purpose:
                was, is_ = before[row, scope] >> purpose & 1, after[row, scope] >> purpose & 1
                if was != is_:
                    words[f"{scope.name}.{purpose.name}".lower()] = bool(is_)
        events.append(consent(name(row), words, today))
    return events


def consent(user, words, today):
    return {"type": "track", "event": "Segment Consent Preference Updated", "userId": user, "timestamp": when(today),
            "context": {"consent": {"categoryPreferences": words}}}  # fmt: skip


def named(row):
    return f"household-{row}"


def orders(lines, today):
    """The day's baskets as the e-commerce specification has them."""
    sold = np.flatnonzero((lines["fate"] <= Fate.SUBSTITUTED) & (lines["units"] > 0))
    events = []
    for row in dict.fromkeys(lines["consumer"][sold].tolist()):
        mine = sold[lines["consumer"][sold] == row]
        products = [
            {"product_id": str(lines["product"][k]), "quantity": int(lines["units"][k]),
             "price": lines["paid_cents"][k] / lines["units"][k] / 100, "discount": lines["coupon_cents"][k] / 100}
            for k in mine
        ]  # fmt: skip
        events.append({"type": "track", "event": "Order Completed", "userId": named(row), "timestamp": when(today, 18),
                       "messageId": f"order-{row}-{today}", "properties": {"products": products}})  # fmt: skip
    return events


def told(talk, ids, today):
    events = []
    for k, row in enumerate(talk.decisions.customer.tolist()):
        bits, why = int(talk.responses.reactions[k]), int(talk.responses.reason[k])
        if bits:
            names = [each.name.lower() for each in Reaction if bits >> each & 1]
            reason = {1: "creepy", 2: "annoying"}.get(why, "")
            events.append({"type": "track", "event": "Message Reacted", "userId": named(row), "timestamp": when(today, 11),
                           "properties": {"decision_id": ids[row], "reactions": names, "reason": reason}})  # fmt: skip
    return events


def wished(place, before, after, today):
    names = place.catalogs[0].names
    events = []
    for row, slot in zip(*np.nonzero((before[0] != after[0]) | (before[1] != after[1])), strict=True):
        wish = {"category": names[after[0][row, slot]], "until_day": int(after[1][row, slot])}
        events.append({"type": "track", "event": "Wished", "userId": named(row), "timestamp": when(today, 12),
                       "properties": wish})  # fmt: skip
    return events


async def rehearse(url, consumers, length):
    place, shop, (optin, bits, who), seen = lived(consumers, length)
    clock = Clock(0)
    live = Live(url, clock, assortment_of(place), start=START, seed=7)
    live.shop.retailer.key[:] = shop.key  # the same draws
    client = Client(live)
    try:
        everybody = [named(row) for row in range(consumers)]
        start = changes_of(np.zeros_like(bits), bits, named, 0)
        for row in range(consumers):
            words = {f"contact.{c.name}".lower(): bool(optin[row] >> c & 1) for c in Channel}
            start.append({"type": "identify", "userId": named(row), "timestamp": when(0)})
            start.append(
                consent(
                    named(row), {**words, "contact.contact": bool(bits[row, 0] >> Purpose.CONTACT & 1)}, 0
                )
            )
            traits = {
                code: int(who[name][row])
                for name, code in zip(WHO, CODES, strict=True)
                if who[name][row] != 255
            }
            start.append({"type": "identify", "userId": named(row), "timestamp": when(0), "traits": traits})
        await client.send([{"type": "identify", "userId": name, "timestamp": when(0)} for name in everybody])
        await client.send(start)
        compared = 0
        for today, (talk, lines, consent_before, consent_after, wish_before, wish_after) in enumerate(seen):
            clock.set(today, days.HOUR)
            asks = [live.engine.decide(live.shop, [live_ask(name, clock())]) for name in everybody]
            answers = [ask.result(600)[0] for ask in asks]
            ids = {row: answer.id for row, answer in enumerate(answers)}
            compared += same_decisions(talk, answers)
            if talk is not None:
                await client.send(told(talk, ids, today))
            await client.send(changes_of(consent_before, consent_after, named, today))
            await client.send(wished(place, wish_before, wish_after, today))
            clock.set(today, 19)
            await client.send(orders(lines, today))
        clock.set(length, 1)
        live.call(lambda work: live.shop.open_day(work, length))
        same_records(live, shop, consumers)
        same_learning(live, shop)
        return compared
    finally:
        await client.http.aclose()
        live.close()


def live_ask(name, ms):
    from regulars.service.decided import Ask
    from regulars.service.naming import USER, Name

    return Ask(-1, None, ms, "UTC", (Name(USER, name),))


def same_decisions(talk, answers):
    said = {} if talk is None else {int(row): k for k, row in enumerate(talk.decisions.customer)}
    for row, answer in enumerate(answers):
        stored = answer.stored
        if row not in said:
            assert stored.number < 0, (row, stored)
            continue
        theirs = talk.decisions
        k = said[row]
        for ours, name in (("number", "number"), ("action", "action"), ("offer", "offer"), ("option", "option"),
                           ("category", "category"), ("channel", "channel"), ("reason", "reason"), ("saving", "saving"),
                           ("last_day", "last_day"), ("propensity", "propensity"), ("used", "scopes")):  # fmt: skip
            assert getattr(stored, ours) == getattr(theirs, name)[k], (row, ours)
        assert stored.features == theirs.features[k].tobytes()
        assert stored.predicted == [float(p) for p in theirs.predicted[k]]
    return len(said)


def same_records(live, shop, consumers):
    def read(work):
        return live.shop.seat(work, range(consumers))

    seats = live.call(read)
    for name in Record._fields:
        ours, theirs = getattr(seats.record, name), getattr(shop.record, name)
        assert np.array_equal(ours, theirs), (
            name,
            np.flatnonzero((ours != theirs).reshape(consumers, -1).any(1))[:5],
        )
    assert np.array_equal(seats.consent.bits, shop.consent.bits)


def same_learning(live, shop):
    ours, theirs = live.shop.retailer.snapshot(), shop.snapshot()
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert np.array_equal(ours[name], theirs[name]), name


@pytest.mark.anyio
async def test_a_simulated_retailer_over_http_gives_the_same_records_and_decisions(url):
    assert await rehearse(url, consumers=150, length=25) > 100


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "soak", reason="runs in make soak")
async def test_ten_thousand_customers_over_http_give_the_same_records_and_decisions(url):
    assert await rehearse(url, consumers=10_000, length=10) > 10_000
