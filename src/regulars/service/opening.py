"""Opening a shop: a retailer with its assortment, its policy and its first keys, in an empty store or beside others."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.errors import SettingError
from regulars.retail import policies
from regulars.retail.contact_rules import ContactRules
from regulars.service import keys
from regulars.service.assortment import Assortment, dump
from regulars.service.clock import Calendar
from regulars.service.keys import Role
from regulars.service.store import Store


@dataclass(frozen=True)
class Opening:
    """What a shop begins with.

    Attributes
    ----------
    name : of the retailer
    assortment : what it sells and may offer
    start : day 0, the day on which the catalog's days begin
    zone : its time zone, in which days break
    policy, policy_settings : what is followed; it must honour consent
    rules : of the house; None leaves pace to the policy and keeps the night quiet
    seed : names the luck, together with ``world`` as in a run
    closed_day : the last day that counts as learned from already
    currency : of its amounts, by its code or sign; empty when nobody said
    ready : False when it is filled first, and is served once that is finished
    """

    name: str
    assortment: Assortment
    start: datetime.date
    zone: str = "UTC"
    policy: str = "considerate"
    policy_settings: Mapping[str, Any] = field(default_factory=dict)
    rules: ContactRules | None = None
    seed: int = 1
    world: int = 0
    closed_day: int = -2
    currency: str = ""
    ready: bool = True


def open_shop(store: Store, opening: Opening) -> tuple[int, dict[Role, str]]:
    """Set a retailer up; returns its number and a key of each role, which are told this once.

    One of that name whose filling was broken off is taken out.

    Raises
    ------
    SettingError
        when there is a retailer of that name, or the policy cannot be served.
    """
    Calendar(opening.start, opening.zone)
    policy = policies.of(opening.policy, **opening.policy_settings)
    if policy.covert:
        raise SettingError(
            f"{policy.name} uses what nobody allowed. It can be rehearsed, not served: take another policy"
        )
    settings = {
        "start": opening.start.isoformat(),
        "zone": opening.zone,
        "policy": opening.policy,
        "policy_settings": dict(opening.policy_settings),
        "rules": None if opening.rules is None else dataclasses.asdict(opening.rules),
        "seed": opening.seed,
        "world": opening.world,
        "currency": opening.currency,
        "ready": opening.ready,
    }
    with store.transaction() as work:
        broken_off = work.unready().get(opening.name)
        if broken_off is not None:
            # It gives its name up first and goes last: no number is given out again, for who fills it may still be at it.
            work.change_tenant(broken_off, name=f"{opening.name} {secrets.token_hex(8)}")
        if opening.name in {name for _, name in work.tenants()}:
            raise SettingError(
                f"there is a retailer {opening.name!r} in this store already. Give another name"
            )
        number = work.add_tenant(
            opening.name, settings, dump(opening.assortment), secrets.token_bytes(32), opening.closed_day
        )
        made = {role: keys.new(work, number, role, role.value) for role in Role}
        if broken_off is not None:
            work.remove_tenant(broken_off)
    return number, made
