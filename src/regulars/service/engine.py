"""The one who works on the store: what many ask at once is done in one transaction, in the order in which they asked."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard, TypeVar, cast

from prometheus_client import Counter

from regulars.errors import RegularsError
from regulars.service import intake
from regulars.service.assortment import load
from regulars.service.clock import Now, now_ms
from regulars.service.decided import Answer, Ask
from regulars.service.events import Event
from regulars.service.problems import Denied, Refused, where
from regulars.service.shop import Shop
from regulars.service.store import Store, Transaction
from regulars.service.store.sql import StatementFailed, StoreFailed

T = TypeVar("T")
_LOG = logging.getLogger("regulars.service")
#: How often it is looked whether events wait, in seconds.
LOOK_S = 0.05
#: While deliveries keep coming, what came is applied when the oldest has waited for so long.
PATIENCE_MS = 2_000
#: Jobs that are done in one transaction at most.
MOST = 256
#: How long it takes until it is tried again to empty a log that somebody read.
TIDY_S = 1.0


class Told(Protocol):
    """Somebody who waits elsewhere than in a thread of this process; those in one place are told with one call."""

    place: Any

    @staticmethod
    def tell(waiting: Sequence[tuple[Any, Any]], error: Exception | None) -> None:
        """Answer these, as (who, answer), who wait in one place."""


@dataclass
class _Job:
    """Something to do in a transaction, and who waits for it."""

    kind: str  #: "in", "decide" or "call"
    shop: Shop
    given: Any
    source: str = ""
    done: Future[Any] | Told = field(default_factory=Future)


class _InLoop:
    """Waits in an event loop."""

    __slots__ = ("future", "place")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.place, self.future = loop, loop.create_future()

    @staticmethod
    def tell(waiting: Sequence[tuple[Any, Any]], error: Exception | None) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            waiting[0][0].place.call_soon_threadsafe(_tell_here, waiting, error)


class Engine:
    """Every retailer of a store, live.

    Parameters
    ----------
    store : where everything is kept
    now : milliseconds since 1970; the system's clock, or a test's
    applies : whether events are applied while nobody asks; one process among several does

    Attributes
    ----------
    shops : retailers by number, as far as somebody asked for them; all that were there at the start
    taken : a counter of what became of events, by the words of :class:`regulars.service.intake.Taken`
    hear : waits at most so many seconds for who asks from elsewhere, and puts what is asked; None when nobody does. While
        it waits, what is put by others waits for ``LOOK_S`` at most
    """

    def __init__(self, store: Store, now: Now = now_ms, *, applies: bool = True) -> None:
        self.store, self.now, self._applies = store, now, applies
        self.shops: dict[int, Shop] = {}
        with store.transaction() as work:
            for number, _ in work.tenants():
                self.shops[number] = shop_of(work, number)
        words = "Events that were written down, by what became of them; withheld ones are applied too, unknown are names"
        self.taken = Counter("regulars_events_taken", words, ["became"], registry=None)
        self._became = {became: self.taken.labels(became) for became in intake.Taken().counts()}
        self.hear: Callable[[float], None] | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._newest: dict[int, int] = {}  # of each retailer, the last delivery that waited when nobody asked
        self._untidy = store.OWN_LOG  # whoever was erased last may still be in a log
        self._tidied_at = -math.inf
        self._worker = threading.Thread(target=self._run, name="regulars-engine", daemon=True)
        self._worker.start()

    def shop(self, number: int) -> Shop:
        """A retailer, also one that was set up after the start."""
        if number not in self.shops:
            with self.store.transaction() as work:
                self.shops[number] = shop_of(work, number)
        return self.shops[number]

    async def start(self) -> None:
        """Be ready for the event loop that will ask."""

    # ---- asking -------------------------------------------------------------------------------------------

    def take_in(self, shop: Shop, source: str, events: Sequence[Event]) -> Future[None]:
        """Write events down; done once they are durable. They are applied before the next decision."""
        return cast(Future[None], self.put("in", shop, list(events), source))

    def decide(self, shop: Shop, asks: Sequence[Ask]) -> Future[list[Answer]]:
        """Decide about these; done once decisions, caps and ledger are durable."""
        return cast(Future[list[Answer]], self.put("decide", shop, list(asks)))

    def call(self, shop: Shop, work_on: Callable[[Transaction], T], *, drained: bool = True) -> Future[T]:
        """Do something in a transaction of its own, after everything that was written down is applied."""
        return cast(Future[T], self.put("call", shop, (work_on, drained)))

    async def in_loop(self, kind: str, shop: Shop, given: Any, source: str = "") -> Any:
        """The same as :meth:`take_in`, :meth:`decide` and :meth:`call`, awaited in the running event loop."""
        done = _InLoop(asyncio.get_running_loop())
        self.put(kind, shop, given, source, done)
        return await done.future

    def put(self, kind: str, shop: Shop, given: Any, source: str = "", done: Told | None = None) -> Any:
        """Ask for a job; whoever waits for it is told, or the future that is returned."""
        if not self._worker.is_alive():
            raise RegularsError("the engine was stopped; start the service again")
        job = _Job(kind, shop, given, source) if done is None else _Job(kind, shop, given, source, done)
        self._jobs.put(job)
        return job.done

    def tidy(self) -> bool:
        """Wipe whoever was erased out of the log; False when it has to wait for somebody who reads, and is done then."""
        # Whoever erases meanwhile says so again.
        self._untidy, self._tidied_at = False, time.monotonic()
        try:
            done = self.store.tidy()
        except StoreFailed as error:
            _LOG.error(json.dumps({"tidy": False, "error": type(error).__name__}))
            done = False
        if not done:
            self._untidy = True
        return done

    def alive(self) -> bool:
        """Whether anybody works on what is asked."""
        return self._worker.is_alive()

    def close(self) -> None:
        """Finish what was asked, then stop."""
        self._jobs.put(None)
        self._worker.join(30)
        self.store.close()

    # ---- doing ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        looked, more, stop = time.monotonic(), False, False
        while not stop:
            try:
                jobs, stop = self._next(0.001 if more else LOOK_S)
                for batch in _batches(jobs):
                    self._do(batch)
                # Also while jobs keep coming: what waits does not wait for a quiet moment.
                if stop or not jobs or time.monotonic() - looked > LOOK_S:
                    more = self._idle()
                    looked = time.monotonic()
            except Exception as error:  # whoever comes next is served all the same
                _LOG.error(json.dumps({"error": type(error).__name__, "at": where(error)}))

    def _next(self, seconds: float) -> tuple[list[_Job], bool]:
        """Jobs that wait, none after so many seconds; and whether to stop after them."""
        if self.hear is not None:
            try:
                self.hear(seconds if self._jobs.empty() else 0)
                seconds = 0
            except Exception as error:  # what is asked from here is done all the same
                _LOG.error(json.dumps({"error": type(error).__name__, "at": where(error)}))
        jobs: list[_Job] = []
        with suppress(queue.Empty):
            job = self._jobs.get(timeout=seconds) if seconds else self._jobs.get_nowait()
            while job is not None:
                jobs.append(job)
                if len(jobs) == MOST:
                    return jobs, False
                job = self._jobs.get_nowait()
            return jobs, True
        return jobs, False

    def _idle(self) -> bool:
        """Apply some of what waits, when nothing more is coming or it has waited long; whether anything was applied."""
        if self._untidy and time.monotonic() - self._tidied_at > TIDY_S:
            self.tidy()
        if not self._applies:
            return False
        try:
            with self.store.transaction() as work:
                # Of a retailer that was set up meanwhile it is applied when somebody asks.
                waiting = [row for row in work.awaited() if row[0] in self.shops]
        except RegularsError:
            return False  # it is tried again in a moment
        applied = False
        newest = {number: seq for number, _, seq in waiting}
        for number, received_ms, seq in waiting:
            if self._newest.get(number) != seq and self.now() - received_ms < PATIENCE_MS:
                continue  # more is coming, and whoever brings it shall not wait
            shop = self.shops[number]
            try:
                with self.store.transaction() as work:
                    taken = intake.drain(work, shop, most=intake.SLICE)
                self._count(taken)
                applied = True
            except Exception:
                shop.forget()
                self._one_by_one(shop)
        self._newest = newest
        return applied

    def _one_by_one(self, shop: Shop) -> int:
        """Apply what waits delivery by delivery; how many were set aside, -1 when the store fails."""
        aside = 0
        while True:
            oldest: int | None = None
            taken = intake.Taken()
            try:
                with self.store.transaction() as work:
                    waiting = work.take_out(shop.number, 1)
                    oldest = waiting[0][0] if waiting else None
                    if intake.drain_one(work, shop, taken) is None:
                        return aside
                self._count(taken)
            except Exception as error:
                shop.forget()
                if oldest is None or _store_fails(error):
                    return -1
                try:
                    with self.store.transaction() as work:
                        work.set_aside(oldest)
                except RegularsError:
                    return -1
                aside += 1
                # Which and why, never what: it may hold what is personal.
                _LOG.error(json.dumps({"set_aside": oldest, "error": type(error).__name__}))

    def _do(self, batch: list[_Job], again: bool = False) -> None:
        shop = batch[0].shop
        answers: list[Any] = []
        taken, knew = intake.Taken(), shop.knows()
        try:
            with self.store.transaction() as work:
                if batch[0].kind == "in":
                    for job in batch:
                        intake.put_in(work, shop, job.source, self.now(), job.given)
                        answers.append(None)
                elif batch[0].kind == "decide":
                    taken = intake.drain(work, shop)
                    every = shop.decide(work, [ask for job in batch for ask in job.given], self.now())
                    at = 0
                    for job in batch:
                        answers.append(every[at : at + len(job.given)])
                        at += len(job.given)
                else:
                    work_on, drained = batch[0].given
                    if drained:
                        # Before any customer: everybody locks in this order.
                        work.tenant(shop.number, change=True)
                        taken = intake.drain(work, shop)
                        # Before anybody is seated: closing a day seats others.
                        shop.open_day(work, shop.calendar.day(self.now()))
                    answers.append(work_on(work))
        except (Denied, Refused) as error:
            # The store is well; it is the asker who cannot have it.
            if shop.knows() != knew:
                shop.forget()
            _tell(batch, [None] * len(batch), error)
            return
        except Exception as error:
            # What was learned or counted in memory belongs to a transaction that never was.
            shop.forget()
            if _store_fails(error):
                if error.in_turn and not again:
                    self._do(batch, again=True)
                else:  # asked one by one, the store would fail each of them
                    _tell(batch, [None] * len(batch), error)
            elif not again and batch[0].kind != "in" and self._one_by_one(shop) > 0:
                # It was what waited in the inbox: that is kept aside, and nobody who asks is the worse for it.
                self._do(batch, again=True)
            elif len(batch) == 1:
                _tell(batch, [None], error)
            else:
                # One of them is to blame; the others shall not fail with it.
                for job in batch:
                    self._do([job], again)
            return
        self._count(taken)
        _tell(batch, answers, None)

    def _count(self, taken: intake.Taken) -> None:
        for became, count in taken.counts().items():
            if count:
                self._became[became].inc(count)


def _store_fails(error: Exception) -> TypeGuard[StoreFailed]:
    """Whether the store itself fails, whatever it is told."""
    return isinstance(error, StoreFailed) and not isinstance(error, StatementFailed)


def shop_of(work: Transaction, number: int) -> Shop:
    """A retailer as it stands in the store."""
    tenant = work.tenant(number)
    shop = Shop(tenant, load(work.catalog(number)))
    shop.shelved(work, tenant.shelf)
    return shop


def _tell(batch: list[_Job], answers: list[Any], error: Exception | None) -> None:
    """Tell everybody who waits; those in one place with a single call, for each call wakes it."""
    places: dict[Any, list[tuple[Told, Any]]] = {}
    for job, answer in zip(batch, answers, strict=True):
        if not isinstance(job.done, Future):
            places.setdefault(job.done.place, []).append((job.done, answer))
            continue
        with suppress(InvalidStateError):  # it was cancelled: nobody waits any more
            job.done.set_exception(error) if error is not None else job.done.set_result(answer)
    for waiting in places.values():
        waiting[0][0].tell(waiting, error)


def _tell_here(waiting: Sequence[tuple[_InLoop, Any]], error: Exception | None) -> None:
    for done, answer in waiting:
        future = done.future
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)


def _batches(jobs: list[_Job]) -> list[list[_Job]]:
    """Jobs that may share a transaction: neighbours of one kind and retailer; a call stands alone."""
    batches: list[list[_Job]] = []
    for job in jobs:
        last = batches[-1][-1] if batches else None
        if last is not None and last.kind == job.kind != "call" and last.shop is job.shop:
            batches[-1].append(job)
        else:
            batches.append([job])
    return batches
