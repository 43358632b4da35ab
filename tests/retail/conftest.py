"""A small shop with some hundreds of customers, for every test of the public face."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regulars.draws import stream
from regulars.retail import catalog as catalogs
from regulars.retail import consent as consents
from regulars.retail import policies
from regulars.retail import record as records
from regulars.retail.contact_rules import ContactRules
from regulars.retail.retailer import Retailer
from regulars.terms import NONE, Lines, OfferKind, Offers, Scope, empty_lines

CATEGORIES = 24
CUSTOMERS = 120
PRODUCTS = 200


def offers() -> Offers:
    """A coupon and a weekly deal here and there; two campaigns."""
    rng = np.random.default_rng(3)
    rows = []
    for week in range(30):
        for category in rng.choice(CATEGORIES, 14, replace=False):
            rows.append((OfferKind.DEAL, category, rng.uniform(0.1, 0.4), 0, week * 7 - 6, week * 7, NONE))
    for k in range(40):
        first = int(rng.integers(-5, 180))
        rows.append((OfferKind.COUPON, k % CATEGORIES, rng.uniform(0.1, 0.5), 100, first, first + 30, k))
    rows.append((OfferKind.CAMPAIGN, 3, 0.3, 100, 10, 40, 40))
    rows.append((OfferKind.CAMPAIGN, 5, 0.2, 100, 50, 80, 41))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    bits = np.zeros((42, (PRODUCTS + 63) // 64), np.uint64)
    for k in range(42):
        for product in rng.choice(PRODUCTS, 6, replace=False):
            bits[k, product >> 6] |= np.uint64(1) << np.uint64(product & 63)
    return Offers(
        columns[0].astype(np.uint8),
        columns[1].astype(np.int32),
        columns[2].astype(np.float32),
        *(column.astype(np.int32) for column in columns[3:]),
        bits,
    )


def catalog() -> catalogs.Catalog:
    names = tuple(f"CATEGORY {c}" for c in range(CATEGORIES))
    prices = np.linspace(100, 900, CATEGORIES).astype(np.float32)
    return catalogs.from_offers(offers(), names, prices, days=200)


def sent(of: catalogs.Catalog) -> dict[str, Any]:
    """What history sent: both campaigns, to some."""
    bundles = np.flatnonzero(of.offers.kind == OfferKind.CAMPAIGN).astype(np.int32)
    who = np.concatenate([np.arange(0, CUSTOMERS, 2), np.arange(0, CUSTOMERS, 3)])
    which = np.repeat(bundles, [len(range(0, CUSTOMERS, 2)), len(range(0, CUSTOMERS, 3))])
    return {
        "day": of.offers.first_day[which],
        "customer": (who + 1000).astype(np.uint32),
        "offer": which,
        "category": of.offers.category[which],
        "last_day": of.offers.last_day[which],
        "saving": of.offers.saving[which],
    }


def lines(day: int, customers: int = CUSTOMERS, seed: int = 7) -> tuple[Lines, int]:
    """Purchases of one day: everybody has some favourites and comes every few days."""
    rng = np.random.default_rng([seed, day + 1000])
    basket = []
    for i in range(customers):
        if (day + i) % 4 == 0 or rng.random() < 0.1:
            liked = (i * 5 + np.arange(6) * (1 + i % 3)) % CATEGORIES
            for c in rng.choice(liked, 3, replace=False):
                basket.append((i, int(c), int(c) * 8 + int(rng.integers(8)) % PRODUCTS))
    out = empty_lines(max(1, len(basket)))
    for k, (i, c, product) in enumerate(basket):
        out.consumer[k], out.category[k], out.product[k] = i, c, product
        out.units[k], out.paid_cents[k] = 1, 250
    return out, len(basket)


def honest(name: str) -> bool:
    return not policies.make(name).covert


def retailer(
    name: str = "considerate",
    *,
    rules: ContactRules | None = None,
    ledger: Any = None,
    warm: int = 60,
    policy: Any = None,
    everything: bool = True,
    **settings: Any,
) -> Retailer:
    """A retailer that knows ``warm`` days of purchases; every customer allows the usual, or a mixture."""
    of = catalog()
    rng = np.random.default_rng(11)
    record = records.new(np.arange(1000, 1000 + CUSTOMERS, dtype=np.uint32), CATEGORIES)
    consent = consents.new(CUSTOMERS)
    record.optin[:] = 0b1011
    consent.bits[:] = consents.USUAL
    told = rng.random(CUSTOMERS) < 0.6
    record.age[told] = rng.integers(0, 6, told.sum())
    record.kids[told] = rng.integers(0, 3, told.sum())
    if not everything:
        consent.bits[:] = np.where(rng.random(consent.bits.shape) < 0.6, consents.USUAL, 0)
        consent.bits[:, Scope.CONTACT] = np.where(rng.random(CUSTOMERS) < 0.9, consents.USUAL, 0)
    if policy is None:
        policy = policies.make(name, **(sent(of) if name == "history" and not settings else settings))
    made = Retailer(policy, of, record, consent, rules, ledger, stream(5), honours_consent=not policy.covert)
    for day in range(-warm, 0):
        bought, n = lines(day)
        made.purchased(day, bought, n)
    rows = np.arange(0, CUSTOMERS, 5)
    made.wished(rows, rows % CATEGORIES, np.full(len(rows), 90), 0)
    made.learn(-1)
    return made


def live(made: Retailer, first: int, last: int, seed: int = 1) -> list[Any]:
    """Run some days with reactions and purchases; the decisions of each day."""
    days = []
    for day in range(first, last):
        decided = made.decide(day)
        days.append(decided)
        m = len(decided.number)
        if m:
            # By the number, so that one customer alone reacts as she does in the crowd.
            u = ((decided.number * 2654435761 + seed) % 1000003) / 1000003
            reactions = np.zeros(m, np.uint16)
            reactions[u < 0.3] |= 1
            reactions[u < 0.1] |= 2
            reactions[u > 0.97] |= 1 << 4
            made.react(day, decided, reactions, np.where(u > 0.97, 2, 255).astype(np.uint8))
        bought, n = lines(day)
        made.purchased(day, bought, n)
        made.learn(day)
    return days


@pytest.fixture
def shop() -> Callable[..., Retailer]:
    return retailer


@pytest.fixture
def run() -> Callable[..., list[Any]]:
    return live


@pytest.fixture
def basket() -> Callable[..., tuple[Lines, int]]:
    return lines


@pytest.fixture
def offered() -> catalogs.Catalog:
    return catalog()
