"""The live server in a thread of its own, beside the run."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import uvicorn

from scnet_edge.errors import ConfigError
from scnet_edge.live.accept import BACKLOG, Connections, Sparing
from scnet_edge.live.access import Access, access_for, parse_address
from scnet_edge.live.app import STATUS_S, Show, make_app

STOP_S = 2.0
MAX_HEADER_BYTES = 16 * 1024
LOGGERS = ("uvicorn.error", "asyncio", "scnet_edge.live.accept")  # which strangers can fill
MAX_MESSAGE_BYTES = 1024  # of what a page sends: it asks for frames, in a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Where the page is; `url` has the token in it, for the terminal alone."""

    host: str
    port: int
    url: str


@contextmanager
def open_live(address: str, show: Show, *, token_file: Path | None = None) -> Iterator[Live]:
    """Serve until the context is left.

    Args:
        address: `HOST:PORT`; port 0 takes a free one. Loopback is open to this machine, any other
            address needs the token.
        show: what there is to see.
        token_file: where the token is, or will be; None for `access.token_path`.

    Raises:
        ConfigError: no such address, in use, or the token file is not private.
    """
    host, port = parse_address(address)
    access = access_for(host, token_file)
    with _listening(host, port) as listener:
        connections = Connections()
        server = _Server(_config(show, access, connections), show, connections, listener)
        thread = Thread(target=server.run, args=([],), name="live", daemon=True)
        with _sparing():
            thread.start()
            try:
                yield _live(host, listener.getsockname()[1], access)
            finally:
                server.should_exit = True
                thread.join(STOP_S)


class _Server(uvicorn.Server):
    """uvicorn behind our own door, with the charts filled every second."""

    def __init__(
        self,
        config: uvicorn.Config,
        show: Show,
        connections: Connections,
        listener: socket.socket,
    ) -> None:
        super().__init__(config)
        self._show, self._connections, self._listener = show, connections, listener

    async def main_loop(self) -> None:
        accepting = self._connections.accept(self._listener, self._protocol)
        tasks = [asyncio.create_task(each) for each in (accepting, self._sample())]
        try:
            await super().main_loop()
        finally:
            for task in tasks:
                task.cancel()

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def _sample(self) -> None:
        while True:
            self._show.sample()
            await asyncio.sleep(STATUS_S)


def _config(show: Show, access: Access, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(show, access, connections),
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


@contextmanager
def _sparing() -> Iterator[None]:
    """Keep what strangers do from filling the log."""
    filters = [(logging.getLogger(name), Sparing(time.monotonic)) for name in LOGGERS]
    for logger, each in filters:
        logger.addFilter(each)
    try:
        yield
    finally:
        for logger, each in filters:
            logger.removeFilter(each)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.setblocking(False)
            listener.listen(
                BACKLOG
            )  # who connects before the thread runs waits, and is not refused
        except OSError:
            listener.close()
            raise
    except OSError as e:
        raise ConfigError(
            f"live page: cannot listen on {host}:{port} ({e.strerror}); choose another HOST:PORT"
        ) from e
    return listener


def _live(host: str, port: int, access: Access) -> Live:
    reachable = socket.gethostname() if host in ("0.0.0.0", "::") else host
    shown = f"[{reachable}]" if ":" in reachable else reachable
    query = f"?token={access.token}" if access.token else ""
    return Live(host=host, port=port, url=f"http://{shown}:{port}/{query}")
