"""The demo shop: the real panel's households, as members of a loyalty programme, up to yesterday."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

from regulars.retail.consent import USUAL
from regulars.retail.retailer import HOUSE_RULES
from regulars.service import importing, keys
from regulars.service.importing import Granted
from regulars.service.keys import Role
from regulars.service.opening import Opening, open_shop
from regulars.service.shop import Shop
from regulars.service.store import Store
from regulars.sources import complete_journey
from regulars.terms import Channel, Scope

NAME = "demo"
#: Today is this day of the panel's year; the days before have happened.
TODAY = 300
#: Keys that everybody knows: the demo listens to this machine only.
KEYS = {role: f"rg_{role.value}_demo" for role in Role}
#: What members of a loyalty programme usually allow.
MEMBERS = Granted(
    tuple((scope, USUAL) for scope in (Scope.CONTACT, Scope.PURCHASES, Scope.STATED)),
    (1 << Channel.EMAIL) | (1 << Channel.APP),
)
#: It has no quiet hours: whoever tries it at night shall see what it says.
RULES = replace(HOUSE_RULES, quiet_from=0, quiet_until=0)


def sunday_before(today: datetime.date) -> datetime.date:
    """Day 0 such that today is about day ``TODAY``; the panel begins on a Sunday, so does the demo."""
    start = today - datetime.timedelta(days=TODAY)
    return start - datetime.timedelta(days=(start.weekday() + 1) % 7)


def open_demo(store: Store, today: datetime.date, say: Callable[[str], None], households: int = 0) -> int:
    """A shop with everything that the panel's households bought before today.

    Parameters
    ----------
    households : so many of them, 0 for all
    """
    say("Reading the panel")
    panel = complete_journey.load()
    assortment = importing.assortment_of(panel, complete_journey.load_shelf(panel), panel.days)
    start = sunday_before(today)
    until = (today - start).days
    number, _ = open_shop(
        store,
        Opening(
            NAME, assortment, start, rules=RULES, closed_day=until - 1, currency=panel.currency, ready=False
        ),
    )
    with store.transaction() as work:
        shop = Shop(work.tenant(number), assortment)
    names = [f"household-{name}" for name in panel.households["household_id"].to_list()]
    importing.fill(store, shop, panel, until, names[: households or len(names)], MEMBERS, say)
    with store.transaction() as work:
        work.make_ready(number)
        for role, key in KEYS.items():
            work.add_key(keys.digest(key), number, role.value, f"demo {role.value}")
    return number
