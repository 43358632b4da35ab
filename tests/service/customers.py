"""What customers do in a test, in few words: events as the engine takes them, and asks."""

from contextlib import contextmanager

import msgspec

from regulars.service import audit, orders
from regulars.service.decided import Ask
from regulars.service.engine import Engine
from regulars.service.events import Did, Event, Line
from regulars.service.naming import ANONYMOUS, USER, Name
from regulars.service.store import open_store

from .conftest import at

#: Everything that a policy may use and a letter needs.
EVERYTHING = {
    "contact": True, "purchases": True, "stated": True, "demographics": True, "contact.email": True, "contact.app": True,
}  # fmt: skip
#: What is worked out from purchases and nothing else.
PURCHASES = orders.FROM_PURCHASES


def allow(user="", day=0, hour=9, device="", message="", **words):
    """``allow("ada", purchases__measure=True)``; without words, everything."""
    grants = {word.replace("__", "."): yes for word, yes in words.items()} or EVERYTHING
    return Event(
        Did.ALLOWED,
        at(day, hour),
        name="consent",
        user=user,
        anonymous=device,
        grants=grants,
        message=message,
    )


def buy(user, day, *what, hour=12, order="", device="", message="", cents=300, coupon=0):
    """A basket of one unit each; ``("p1", 3)`` is three units."""
    lines = [
        Line(sku, "", units, cents * units, coupon)
        for sku, units in (each if isinstance(each, tuple) else (each, 1) for each in what)
    ]
    return Event(
        Did.PURCHASED, at(day, hour), name="Order Completed", user=user, anonymous=device, lines=lines, order=order,
        message=message,
    )  # fmt: skip


def bring_back(user, day, order, *what):
    lines = [
        Line(sku, "", units)
        for sku, units in (each if isinstance(each, tuple) else (each, 1) for each in what)
    ]
    return Event(Did.REFUNDED, at(day, 15), name="Order Refunded", user=user, lines=lines, order=order)


def wish(user, category, day=0, device="", until=None):
    return Event(
        Did.WISHED, at(day, 11), name="Wished", user=user, anonymous=device, until_day=until,
        lines=[Line(category=category)],
    )  # fmt: skip


def unlike(user, category, day=0):
    return Event(Did.UNLIKED, at(day, 11), name="Unliked", user=user, lines=[Line(category=category)])


def react(user, decision, *reactions, day=0, reason="", device=""):
    return Event(
        Did.REACTED, at(day, 13), name="Message Reacted", user=user, anonymous=device, decision=decision,
        reactions=list(reactions), reason=reason,
    )  # fmt: skip


def tell(user="", day=0, device="", **traits):
    return Event(Did.TOLD, at(day, 9), name="identify", user=user, anonymous=device, traits=traits)


def hear(live, *events, engine=None, source="app"):
    """Hand events in as one delivery, and wait until they are durable."""
    engine = engine or live.engine
    engine.take_in(engine.shops[live.number], source, events).result(60)


def ask(user="", ms=0, device="", channel=None, zone=""):
    names = tuple(name for name in (Name(USER, user), Name(ANONYMOUS, device)) if name.value)
    return Ask(-1, channel, ms, zone, names)


def say(live, user="", device="", channel=None, zone="", ms=None, engine=None):
    """What is said to her now."""
    engine = engine or live.engine
    asked = ask(user, live.clock() if ms is None else ms, device, channel, zone)
    return engine.decide(engine.shops[live.number], [asked]).result(60)[0]


def number(live, user="", device=""):
    """The customer's number, -1 for nobody."""

    def work_on(work):
        return live.shop.found(work, [ask(user, 0, device)])[0].customer

    return live.call(work_on)


def seated(live, *users, device=""):
    """Customers as they stand in the store, everything applied."""
    numbers = [number(live, user) for user in users] + ([number(live, device=device)] if device else [])
    return live.call(lambda work: live.shop.seat(work, numbers)), numbers


def column(live, user, name):
    seats, (who,) = seated(live, user)
    return getattr(seats.record, name)[seats.place[who]]


def bought(live, user):
    """The purchase columns of a customer, comparable with ``==``."""
    seats, (who,) = seated(live, user)
    return {name: getattr(seats.record, name)[seats.place[who]].tolist() for name in PURCHASES}


def events_of(live, user="", device=""):
    who = number(live, user, device)

    def work_on(work):
        shop = live.shop
        bodies = shop.events_of(work, shop.seat(work, [who]), who)
        return [msgspec.msgpack.decode(body, type=Event) for _, body in bodies]

    return live.call(work_on)


def holds_together(live, shop=None):
    """Every chain verifies and every decision, made again, is the same."""
    shop = shop or live.shop

    def work_on(work):
        told = audit.verified(shop, work)
        assert not told["broken"], told
        ids = [row[0] for row in work.ask("SELECT id FROM decision WHERE retailer = ?", (shop.number,))]
        for name in ids:
            differs = audit.replayed(shop, work, name)
            assert differs == [], (name, differs)
        return len(ids)

    return live.call(work_on)


@contextmanager
def another_engine(live):
    """A second worker on the same store, with connections of its own."""
    engine = Engine(open_store(live.url), live.clock)
    try:
        yield engine
    finally:
        engine.close()
