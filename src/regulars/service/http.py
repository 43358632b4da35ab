"""HTTP as uvicorn speaks it, with each answer in one write, with limits, and with words for what is no HTTP."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from regulars.service.problems import Denied, problem

#: Seconds within which a request must be whole; whoever sends slower, or nothing, is hung up on.
PATIENCE_S = 60
#: Bytes of an address and headers.
HEAD_BYTES = 1 << 16


class Connection(HttpToolsProtocol):
    """One connection of a client.

    Head and body of an answer leave together: uvicorn writes them one by one, and the loop sends each at once. A write
    costs a system call and a packet here, and there a second reading of what is not whole yet.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.held = _Held(transport)
        self.refused = Denied(400, "http", "This cannot be read as HTTP. Send a request of HTTP/1.1.")
        self.head_bytes, self.whole = 0, False
        self.late: asyncio.TimerHandle | None = None
        super().connection_made(self.held)  # type: ignore[arg-type]  # it is one in all that is asked of it
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self.whole = True
        self._watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        super().data_received(data)
        self._watch()

    def _watch(self) -> None:
        """A clock runs while a request is not whole."""
        if self.whole and self.late is not None:
            self.late.cancel()
            self.late = None
        elif not self.whole and self.late is None:
            self.late = self.loop.call_later(PATIENCE_S, self.transport.close)

    def on_message_begin(self) -> None:
        """See :class:`HttpToolsProtocol`."""
        self.head_bytes, self.whole = 0, False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """See :class:`HttpToolsProtocol`."""
        self.whole = True
        self._watch()  # the clock of the next one begins anew
        super().on_message_complete()

    def on_url(self, url: bytes) -> None:
        """See :class:`HttpToolsProtocol`."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """See :class:`HttpToolsProtocol`."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self.head_bytes += size
        if self.head_bytes > HEAD_BYTES:
            words = f"Address and headers are larger than {HEAD_BYTES} bytes. Send what is long in the body."
            self.refused = Denied(431, "too_large", words)
            raise self.refused  # the parser ends with an error of its own

    def send_400_response(self, msg: str) -> None:
        """See :class:`HttpToolsProtocol`."""
        self.whole = True
        answer = problem(self.refused.status, self.refused.code, str(self.refused))
        status = HTTPStatus(answer.status_code)
        headers = [b": ".join(each) for each in (*answer.raw_headers, (b"connection", b"close"))]
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *headers, b"", b""]
        self.transport.write(b"\r\n".join(head) + bytes(answer.body))
        self.transport.close()

    def on_response_complete(self) -> None:
        """See :class:`HttpToolsProtocol`."""
        self.held.flush()  # an answer to HEAD has no body
        super().on_response_complete()


class _Held:
    """A transport that waits with the head of an answer until more of it comes."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See :class:`asyncio.WriteTransport`."""
        if self._head:
            data, self._head = self._head + data, b""
        elif (
            data.startswith(b"HTTP/1.1 ")
            and not data.startswith(b"HTTP/1.1 1")  # 100 Continue is what the client waits for
            and data.endswith(b"\r\n\r\n")
        ):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send what waits."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """See :class:`asyncio.WriteTransport`."""
        self.flush()
        self._transport.close()
