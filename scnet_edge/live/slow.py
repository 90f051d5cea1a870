"""Connections that say nothing, or say it too slowly, make room for those that ask."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 5.0  # in which a request's headers must have come
MAX_SILENT = 32  # connections whose headers have not; one more ends the oldest
MAX_HEADER_BYTES = 16 * 1024


class PatientlyBounded(H11Protocol):
    """uvicorn's protocol with a deadline for headers, and a bound on who is still sending them."""

    silent: dict[PatientlyBounded, asyncio.TimerHandle]  # of one server, oldest first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, at the expense of the oldest if there are many."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._last = b""
        if len(self.silent) >= MAX_SILENT:
            oldest = next(iter(self.silent))
            oldest.forget()
            oldest.transport.abort()
        self.silent[self] = self.loop.call_later(HEADER_S, transport.abort)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Stop the clock where the headers end."""
        if self in self.silent and b"\r\n\r\n" in self._last + data:
            self.forget()
        self._last = data[-3:]
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self.forget()
        super().connection_lost(exc)

    def forget(self) -> None:
        """Take this connection off the list of the silent."""
        timer = self.silent.pop(self, None)
        if timer is not None:
            timer.cancel()


def bounded_protocol() -> type[Any]:
    """Return the protocol with a list of its own, for one server."""
    return type("BoundedProtocol", (PatientlyBounded,), {"silent": {}})
