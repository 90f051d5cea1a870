"""An application behind its guard and few connections, in a thread of its own; its page's files."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from scnet_edge.errors import ConfigError
from scnet_edge.web.accept import BACKLOG, Connections, Sparing
from scnet_edge.web.access import Access
from scnet_edge.web.guard import READ_ONLY, Guard, Rules

STOP_S = 2.0
MAX_HEADER_BYTES = 16 * 1024
LOGGERS = ("uvicorn.error", "asyncio", "scnet_edge.web.accept")  # which strangers can fill
MAX_MESSAGE_BYTES = 1024  # of what a page sends over a WebSocket
INDEX = "index.html"
SHARED = Path(__file__).parent
HEAD, OF_ALL = SHARED / "head.html", (SHARED / "base.css", SHARED / "icon.svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where a page is; `url` has the token in it, for the terminal alone."""

    host: str
    port: int
    url: str


@contextmanager
def serve(
    address: tuple[str, int],
    app: ASGIApp,
    access: Access,
    *,
    connections: Connections | None = None,
    rules: Rules = READ_ONLY,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Iterator[Served]:
    """Serve until the context is left.

    Args:
        address: host and port; port 0 takes a free one.
        app: what answers whom the guard lets through.
        access: who may look.
        connections: the server's own, for an application that tells of them.
        rules: what a request may be.
        beside: runs in the server's event loop, and is cancelled at its end.

    Raises:
        ConfigError: the address is in use, or not this machine's.
    """
    connections = connections or Connections()
    with _listen(*address) as listener:
        guarded = Guard(app, access, connections, rules)
        server = _Server(_config(guarded), connections, listener, beside)
        thread = Thread(target=server.run, args=([],), name=access.page, daemon=True)
        with _thin_logs():
            thread.start()
            try:
                yield _describe(address[0], listener.getsockname()[1], access)
            finally:
                server.should_exit = True
                thread.join(STOP_S)


class _Server(uvicorn.Server):
    """uvicorn behind our own door."""

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        listener: socket.socket,
        beside: Callable[[], Coroutine[Any, Any, None]] | None,
    ) -> None:
        super().__init__(config)
        self._connections, self._listener, self._beside = connections, listener, beside

    async def main_loop(self) -> None:
        parts = [self._connections.accept(self._listener, self._protocol)]
        parts += [] if self._beside is None else [self._beside()]
        tasks = [asyncio.create_task(part) for part in parts]
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


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
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
def _thin_logs() -> Iterator[None]:
    """Keep what strangers do from filling the log."""
    filters = [(logging.getLogger(name), Sparing(time.monotonic)) for name in LOGGERS]
    for logger, each in filters:
        logger.addFilter(each)
    try:
        yield
    finally:
        for logger, each in filters:
            logger.removeFilter(each)


def _listen(host: str, port: int) -> socket.socket:
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
            f"cannot listen on {host}:{port} ({e.strerror}); choose another HOST:PORT"
        ) from e
    return listener


def _describe(host: str, port: int, access: Access) -> Served:
    reachable = socket.gethostname() if host in ("0.0.0.0", "::") else host
    shown = f"[{reachable}]" if ":" in reachable else reachable
    query = f"?token={access.token}" if access.token else ""
    return Served(host=host, port=port, url=f"http://{shown}:{port}/{query}")


def asset_routes(folder: Path) -> list[BaseRoute]:
    """Return a route for every file of a page's folder, and for what all pages share.

    `/` answers with the head of all pages and the folder's `index.html`, which has no head.
    """
    files = [*sorted(path for path in folder.iterdir() if path.is_file()), *OF_ALL]
    return [
        Route("/", _asset(HEAD, f)) if f.name == INDEX else Route(f"/{f.name}", _asset(f))
        for f in files
    ]


def _asset(*paths: Path) -> Callable[[Request], Response]:
    """Return what answers with files one after the other, read once: an answer opens none."""
    body, kind = b"".join(p.read_bytes() for p in paths), mimetypes.guess_type(paths[-1].name)[0]
    return lambda request: Response(body, media_type=kind)
