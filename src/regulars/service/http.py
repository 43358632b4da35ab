"""HTTP as uvicorn speaks it, with each answer in one write."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite(HttpToolsProtocol):
    """Head and body of an answer leave together: uvicorn writes them one by one, and the loop sends each at once.

    A write costs a system call and a packet here, and there a second reading of what is not whole yet; together they were
    an eighth of all that it took to speak HTTP.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.held = _Held(transport)
        super().connection_made(self.held)  # type: ignore[arg-type]  # it is one in all that is asked of it

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
            and not data.startswith(b"HTTP/1.1 1")
            and data.endswith(b"\r\n\r\n")
        ):
            self._head = data  # 100 Continue is what the client waits for
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
