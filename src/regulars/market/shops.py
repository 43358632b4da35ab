"""A retailer of a scenario, opened for business: its record, consent, contact rules, ledger and policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulars.consumers.population import Habits
from regulars.market.town import Town
from regulars.retail import consent as consents
from regulars.retail import policies
from regulars.retail import record as records
from regulars.retail.policies import Policy
from regulars.retail.record import Record
from regulars.retail.retailer import Retailer
from regulars.terms import U8, Channel, Purpose, Scope

#: Channels that an opt-in on joining opens; paper goes to every member of a loyalty programme.
OPTED_IN = (1 << Channel.EMAIL) | (1 << Channel.APP)
BY_POST = 1 << Channel.MAIL


def policy_of(name: str, settings: Mapping[str, Any], place: Town) -> Policy:
    """A policy by its name or as ``path.py:Name``; ``history`` is given what was really sent."""
    if name == "history":
        settings = {**place.history, **settings}
    return policies.of(name, **settings)


def open_new(place: Town, key: NDArray[np.uint32], index: int, consent_bits: U8) -> Retailer:
    """A retailer that contacts nobody, with an empty record of all consumers.

    Parameters
    ----------
    consent_bits : (N, 9) what each allows on the first day, bits of Purpose by Scope
    """
    catalog = place.catalogs[index]
    record = records.new(place.habits.consumer, catalog.categories)
    contacted = (consent_bits[:, Scope.CONTACT] >> Purpose.CONTACT) & 1
    record.optin[:] = np.where(contacted, OPTED_IN | BY_POST, 0)
    consent = consents.new(len(record.customer))
    consent.bits[:] = consent_bits
    told = consent_bits[:, Scope.DEMOGRAPHICS] != 0
    _tell_demographics(record, place.habits, told)
    return Retailer(policies.make("silence"), catalog, record, consent, key=key, index=index)


def reopen(warm: Retailer, place: Town, name: str, settings: Mapping[str, Any]) -> Retailer:
    """The same retailer after the warm-up, now following a policy; it shares nothing with ``warm``.

    A policy that honours no consent sees everything in the record, what she told of herself to others, and, from a
    broker, what she buys elsewhere.
    """
    policy = policy_of(name, settings, place)
    record = records.copy(warm.record)
    if policy.covert:
        _tell_demographics(record, place.habits, np.ones(len(record.customer), np.bool_))
    shop = Retailer(
        policy,
        warm.catalog,
        record,
        consents.subset(warm.consent, np.arange(len(warm))),
        ledger=warm.ledger.copy(),
        key=warm.key,
        honours_consent=not policy.covert,
        index=warm.index,
    )
    for column, known in zip(shop.totals, warm.totals, strict=True):
        column[...] = known
    shop.learn(-1)
    return shop


def _tell_demographics(record: Record, habits: Habits, told: NDArray[np.bool_]) -> None:
    for name in ("age", "income", "kids", "household_size"):
        getattr(record, name)[told] = getattr(habits, name)[told]
