"""Who may take up room: few connections, each with little time, however many ask for one.

The kernel holds those that wait; what does not fit there is turned away before it costs us a
descriptor. A newcomer takes the place of the oldest that has sent no request.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]

MAX_CONNECTIONS = 48
BACKLOG = 64  # that the kernel lets wait
REQUEST_S = 5.0  # in which a request must have come
ANSWER_S = 20.0  # in which the answer must have been taken; a stream may last
PACE_S = 0.002  # between two: a flood gets a small share of this process
REFUSED_S = 0.5  # before another try, where the system has no descriptor left
LINES, LINES_S = 5, 60.0  # so many log lines in so long

logger = logging.getLogger(__name__)


class Connections:
    """The connections of one server; for its event loop alone.

    Attributes:
        refused: requests that were answered with a refusal.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._silent: dict[asyncio.Transport, asyncio.TimerHandle] = {}  # oldest first
        self._open: dict[asyncio.Transport, Address] = {}

    async def accept(
        self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Accept without end, each connection with a protocol of its own."""
        loop = asyncio.get_running_loop()
        while True:
            if len(self._still_open()) >= MAX_CONNECTIONS:
                self._end_oldest()
                await asyncio.sleep(PACE_S)
                continue
            try:
                accepted, address = await loop.sock_accept(listener)
                accepted.setblocking(False)
                transport, _ = await loop.connect_accepted_socket(protocol, accepted)
            except OSError as e:  # it has gone again, or the system has no room
                logger.warning("cannot accept a connection (%s)", e.strerror or e)
                await asyncio.sleep(REFUSED_S)
                continue
            self._open[transport] = address[:2]
            self._silent[transport] = loop.call_later(REQUEST_S, transport.abort)
            await asyncio.sleep(PACE_S)

    def has_asked(self, client: Address, *, lasts: bool) -> None:
        """Note that a request came; `lasts`: its answer is a stream, which has no end."""
        for transport, address in self._open.items():
            if address == client and transport in self._silent:
                self._silent.pop(transport).cancel()
                if not lasts:
                    asyncio.get_running_loop().call_later(ANSWER_S, transport.abort)

    def _still_open(self) -> dict[asyncio.Transport, Address]:
        for transport in [t for t in self._open if t.get_extra_info("socket").fileno() < 0]:
            del self._open[transport]
            if timer := self._silent.pop(transport, None):
                timer.cancel()
        return self._open

    def _end_oldest(self) -> None:
        oldest = next(iter(self._silent), None)
        if oldest is not None:
            oldest.abort()


class Sparing(logging.Filter):
    """Lets a few lines a minute through, and says how many it has kept back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._since_s = clock()
        self._lines = self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this line is written."""
        if self._clock() - self._since_s > LINES_S:
            if self._kept_back:
                record.msg = f"{record.getMessage()} (and {self._kept_back} lines before it)"
                record.args = ()
            self._since_s, self._lines, self._kept_back = self._clock(), 0, 0
        self._lines += 1
        self._kept_back += self._lines > LINES
        return self._lines <= LINES
