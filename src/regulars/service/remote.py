"""Deciding in a process of its own: those that speak HTTP send who is there over a socket, and get back what is said.

A process that only decides fills each transaction with what all the others ask, and has its interpreter for itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import signal
import socket
import struct
import threading
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
    """Where an engine is asked.

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
        threading.Thread(target=self._open, name="regulars-desk", daemon=True).start()

    def _open(self) -> None:
        while True:
            try:
                caller, _ = self._at.accept()
            except OSError:  # closed
                return
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE_S, 0))
            threading.Thread(target=self._hear, args=(caller,), daemon=True).start()

    def _hear(self, caller: socket.socket) -> None:
        with caller, caller.makefile("rb") as heard:
            while len(head := heard.read(HEAD)) == HEAD:
                for question in _QUESTIONS.decode(heard.read(int.from_bytes(head, "big"))):
                    done = _Caller(caller, question.number)
                    try:
                        self._engine.put(
                            "decide", self._engine.shop(question.retailer), question.asks, done=done
                        )
                    except RegularsError as error:
                        done.tell([(done, None)], error)

    def close(self) -> None:
        """Nobody new is heard."""
        self._at.close()


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
        self._line.write(_framed(self._out))
        self._out = []

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
