"""Deciding in a process of its own: those that speak HTTP send who is there over a socket, and get back what is said.

A process that only decides fills each transaction with what all the others ask, and has its interpreter for itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import selectors
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from regulars.errors import RegularsError
from regulars.service.clock import Now, now_ms
from regulars.service.decided import Answer, Ask
from regulars.service.engine import Engine, Told
from regulars.service.problems import where
from regulars.service.shop import Shop
from regulars.service.store import Store
from regulars.service.store.sql import StoreFailed

_LOG = logging.getLogger("regulars.service")
#: Bytes that tell how long a frame is.
HEAD = 4
#: Bytes of a line that are read at once; for many more, memory would be asked of the system each time.
AT_ONCE = 1 << 16
#: Seconds after which somebody who does not read its answers is given up.
PATIENCE_S = 10


class Question(msgspec.Struct, array_like=True):
    """What one request asks."""

    number: int
    retailer: int
    asks: list[Ask]


class Reply(msgspec.Struct, array_like=True):
    """What is said to it."""

    number: int
    answers: list[Answer]
    failed: str = ""  #: what the store could not do
    broken: bool = False  #: something else went wrong; it is in the log


_QUESTIONS, _REPLIES = msgspec.msgpack.Decoder(list[Question]), msgspec.msgpack.Decoder(list[Reply])
_ENCODER = msgspec.msgpack.Encoder()


def _framed(told: Sequence[Question] | Sequence[Reply]) -> bytes:
    body = _ENCODER.encode(told)
    return len(body).to_bytes(HEAD, "big") + body


class Desk:
    """Where an engine is asked. It listens between two transactions, in the one thread that decides.

    Parameters
    ----------
    engine : that decides
    path : of the socket; whoever may write to it may ask, so it belongs in a folder of one's own
    """

    def __init__(self, engine: Engine, path: str) -> None:
        self._engine = engine
        self._at = socket.socket(socket.AF_UNIX)
        self._at.bind(path)
        self._at.listen()
        self._lines = selectors.DefaultSelector()
        self._lines.register(self._at, selectors.EVENT_READ)
        self._so_far: dict[socket.socket, bytearray] = {}  # of each caller what is no whole frame yet
        engine.hear = self.hear

    def hear(self, seconds: float) -> None:
        """Put before the engine what was asked by now; nothing if nobody asks for so many seconds."""
        # Who calls for the first time comes last: when there is no room for her, the others are heard all the same.
        for line, _ in sorted(self._lines.select(seconds), key=lambda ready: ready[0].data is None):
            if line.data is None:
                self._meet()
            elif not self._heard(line.data):
                self._lines.unregister(line.data)
                del self._so_far[line.data]
                line.data.close()

    def _meet(self) -> None:
        caller, _ = self._at.accept()
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE_S, 0))
        self._so_far[caller] = bytearray()
        self._lines.register(caller, selectors.EVENT_READ, caller)

    def _heard(self, caller: socket.socket) -> bool:
        """Whether the caller is there still, and is understood."""
        so_far = self._so_far[caller]
        try:
            more = caller.recv(AT_ONCE)
        except OSError:
            return False
        so_far += more
        while len(so_far) >= HEAD and len(so_far) >= (end := HEAD + int.from_bytes(so_far[:HEAD], "big")):
            try:
                questions = _QUESTIONS.decode(so_far[HEAD:end])
            except msgspec.MsgspecError as error:
                _LOG.error(json.dumps({"error": type(error).__name__, "at": where(error)}))
                return False
            del so_far[:end]
            for question in questions:
                done = _Caller(caller, question.number)
                try:
                    self._engine.put("decide", self._engine.shop(question.retailer), question.asks, done=done)
                except Exception as error:
                    done.tell([(done, None)], error)
        return bool(more)

    def close(self) -> None:
        """Nobody is heard any more; to be called once the engine is closed."""
        self._lines.close()
        for each in (self._at, *self._so_far):
            each.close()


class _Caller(Told):
    """Waits at the other end of the line."""

    __slots__ = ("number", "place")

    def __init__(self, place: socket.socket, number: int) -> None:
        self.place, self.number = place, number

    @staticmethod
    def tell(waiting: Sequence[tuple[Any, Any]], error: Exception | None) -> None:
        failed = str(error) if isinstance(error, RegularsError) else ""
        if error is not None and not failed:
            _LOG.error(json.dumps({"error": type(error).__name__, "at": where(error)}))
        replies = [
            Reply(caller.number, answers or [], failed, error is not None and not failed)
            for caller, answers in waiting
        ]
        place: socket.socket = waiting[0][0].place
        try:
            place.sendall(_framed(replies))
        except OSError:  # it went away, or does not read; half an answer must not be followed by another
            with suppress(OSError):
                place.shutdown(socket.SHUT_RDWR)


class RemoteEngine(Engine):
    """An engine that lets another process decide, and does everything else itself.

    Parameters
    ----------
    store, now : as of :class:`Engine`
    path : of the socket of a :class:`Desk`
    """

    def __init__(self, store: Store, path: str, now: Now = now_ms) -> None:
        super().__init__(store, now, applies=False)
        self._path = path
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._out: list[Question] = []
        self._line: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Call the desk; to be awaited in the loop that will ask."""
        heard, self._line = await asyncio.open_unix_connection(self._path)
        self._listening = asyncio.create_task(self._listen(heard))

    def alive(self) -> bool:
        """See :class:`Engine`."""
        return super().alive() and self._line is not None and not self._line.is_closing()

    async def in_loop(self, kind: str, shop: Shop, given: Any, source: str = "") -> Any:
        """See :class:`Engine`."""
        if kind != "decide" or self._line is None:
            return await super().in_loop(kind, shop, given, source)
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        done = self._waiting[number] = loop.create_future()
        self._out.append(Question(number, shop.number, list(given)))
        if len(self._out) == 1:
            loop.call_soon(self._ask)
        return await done

    def _ask(self) -> None:
        assert self._line is not None  # noqa: S101 - whoever asks has called before
        asked, self._out = self._out, []
        try:
            self._line.write(_framed(asked))
        except Exception as error:  # what cannot be written down, nobody will answer
            for question in asked:
                done = self._waiting.pop(question.number)
                if not done.done():
                    done.set_exception(error)

    async def _listen(self, heard: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int.from_bytes(await heard.readexactly(HEAD), "big")
                for reply in _REPLIES.decode(await heard.readexactly(size)):
                    done = self._waiting.pop(reply.number)
                    if done.done():  # nobody waits any more
                        continue
                    if reply.failed:
                        done.set_exception(StoreFailed(reply.failed))
                    elif reply.broken:
                        done.set_exception(RuntimeError("the process that decides could not"))
                    else:
                        done.set_result(reply.answers)
        except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError):
            # Without the process that decides, and that started this one, there is nothing left to do.
            for done in self._waiting.values():
                if not done.done():
                    done.set_exception(StoreFailed("the process that decides has ended"))
            os.kill(os.getpid(), signal.SIGTERM)
