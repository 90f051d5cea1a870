"""The live page in a thread beside the run: newest frame, stream, charts, health, metrics."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from scnet_edge.events import Event
from scnet_edge.live.prometheus import metrics_text
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.runtime.status import Monitor
from scnet_edge.web.accept import Connections
from scnet_edge.web.access import access_for, parse_address
from scnet_edge.web.server import Served, asset_routes, serve

PAGE = Path(__file__).with_name("page")
MAX_WATCHERS = 8
HISTORY = 300  # seconds of charts that a new page starts with
STATUS_S = 1.0
FRAME_S = 1 / 15  # at most so often for one watcher
LOOK_S = 0.02
MAX_SIDE_PX = 960
JPEG_QUALITY = 75
PAGE_NAME, DEFAULT_PORT = "live", 8765


@dataclass(slots=True)
class Show:
    """What the page shows; shared by the run's threads, which write, and the server's, which read.

    Attributes:
        facts: label -> text: bundle, engine, source, machine.
    """

    board: NewestFrame
    monitor: Monitor
    facts: dict[str, str]
    history: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    watchers: int = 0

    def sample(self) -> None:
        """Add this second to the charts."""
        status = self.monitor.status()
        self.history.append(
            {
                "mono_s": status.mono_s,
                "fps": status.fps,
                "recent_ms": status.recent_ms,
                "hottest_c": status.telemetry.hottest_c,
                "total_mw": status.telemetry.total_mw,
            }
        )


def make_app(show: Show, connections: Connections) -> ASGIApp:
    """Return the application, which a guard has to stand around."""
    routes = [
        *asset_routes(PAGE),
        Route("/healthz", _health(lambda: show.monitor.liveness.alive, show)),
        Route("/readyz", _health(lambda: show.monitor.liveness.ready, show)),
        Route("/metrics", _metrics(show, connections)),
        Route("/status.json", _status(show)),
        Route("/frame.jpg", _frame(show)),
        WebSocketRoute("/stream", _stream(show)),
    ]
    return Starlette(routes=routes)


def _health(good: Callable[[], bool], show: Show) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return PlainTextResponse(f"{show.monitor.liveness.state}\n", 200 if good() else 503)

    return answer


def _metrics(show: Show, connections: Connections) -> Callable[[Request], Response]:
    kind = "text/plain; version=0.0.4; charset=utf-8"

    def answer(request: Request) -> Response:
        text = metrics_text(show.monitor.status, requests_refused=connections.refused)
        return Response(text, media_type=kind)

    return answer


def _status(show: Show) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        body = msgspec.json.encode({"facts": show.facts, "status": show.monitor.status()})
        return Response(body, media_type="application/json")

    return answer


def _frame(show: Show) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        jpeg = show.board.jpeg()[1]
        if not jpeg:
            return PlainTextResponse("No frame yet.\n", 503)
        return Response(jpeg, media_type="image/jpeg")

    return answer


def _stream(show: Show) -> Callable[[WebSocket], Any]:
    async def answer(socket: WebSocket) -> None:
        if show.watchers >= MAX_WATCHERS:
            await socket.close(1013)
            return
        await socket.accept()
        asked = asyncio.Event()
        show.watchers += 1
        try:
            await _until_one_ends(
                _listen(socket, asked),
                _send_frames(socket, show, asked),
                _tell_status(socket, show),
            )
        except WebSocketDisconnect:
            pass  # the page was closed while something was sent to it
        finally:
            show.watchers -= 1

    return answer


async def _until_one_ends(*parts: Coroutine[Any, Any, None]) -> None:
    """Run them side by side until the first ends, and end the others; raise what it raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


async def _listen(socket: WebSocket, asked: asyncio.Event) -> None:
    """Note that the page asks for a frame, until it is gone."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        asked.set()
        await asyncio.sleep(LOOK_S)  # one that asks without end gets no more of us


async def _send_frames(socket: WebSocket, show: Show, asked: asyncio.Event) -> None:
    """Send the newest frame each time the page asks, so that a slow page just asks less often."""
    sent = -1
    while True:
        await asked.wait()
        asked.clear()
        asked_s = time.monotonic()
        while show.board.frame_id == sent:
            await asyncio.sleep(LOOK_S)
        sent, jpeg = await asyncio.to_thread(show.board.jpeg)
        await socket.send_bytes(jpeg)
        await asyncio.sleep(max(0.0, FRAME_S - (time.monotonic() - asked_s)))


async def _tell_status(socket: WebSocket, show: Show) -> None:
    """Send the past once, then the present every second."""
    told = 0
    hello: dict[str, Any] = {"facts": show.facts, "history": list(show.history)}
    while True:
        liveness = show.monitor.liveness
        total, events = liveness.events_total, tuple(liveness.events)
        fresh = events[-min(total - told, len(events)) :] if total > told else ()
        told = total
        message = {**hello, "status": show.monitor.status(), "events": list(map(_line, fresh))}
        await socket.send_text(msgspec.json.encode(message).decode())
        hello = {}
        await asyncio.sleep(STATUS_S)


def _line(event: Event) -> dict[str, object]:
    return {
        "kind": event.kind,
        "reason": event.reason,
        "detail": event.detail,
        "mono_s": event.mono_ns / 1e9,
    }


class NewestFrame:
    """A `Sink` that keeps the newest frame and draws it for whoever asks, once for all of them.

    Attributes:
        frame_id: of the newest frame; -1 before the first.
    """

    def __init__(self) -> None:
        self.frame_id = -1
        self._newest: FrameResult | None = None
        self._drawn: tuple[int, bytes] = (-1, b"")
        self._drawing = Lock()

    def write(self, frame_result: FrameResult) -> None:
        """Keep a frame."""
        self._newest, self.frame_id = frame_result, frame_result.captured.frame_id

    def note(self, event: Event) -> None:
        """Leave events to the fault log."""

    def close(self) -> None:
        """Do nothing: the last frame stays to be looked at."""

    def jpeg(self) -> tuple[int, bytes]:
        """Return the newest frame's id and its overlay as JPEG, at most 960 px a side.

        (-1, b"") before the first frame. Safe from any thread.
        """
        newest = self._newest
        if newest is None:
            return -1, b""
        with self._drawing:
            if self._drawn[0] != newest.captured.frame_id:
                self._drawn = newest.captured.frame_id, _draw(newest)
            return self._drawn


def _draw(frame_result: FrameResult) -> bytes:
    frame, result = frame_result.captured.frame, frame_result.result
    mask, ignored = result.mask, result.ignored
    scale = min(1.0, MAX_SIDE_PX / max(frame.shape[:2]))
    if scale < 1:
        size_wh = (round(scale * frame.shape[1]), round(scale * frame.shape[0]))
        frame = cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA).astype(np.uint8)
        share = cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
        mask = share > 0.2  # a crack of two pixels stays visible
        if ignored is not None:
            nearest = cv2.INTER_NEAREST
            ignored = cv2.resize(ignored.astype(np.uint8), size_wh, interpolation=nearest) > 0
    drawn = draw_overlay(frame, mask, ignored=ignored)
    encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return encoded.tobytes()


@contextmanager
def open_live(address: str, show: Show, *, token_file: Path | None = None) -> Iterator[Served]:
    """Serve until the context is left.

    Args:
        address: `HOST:PORT`; port 0 takes a free one. Loopback is open to this machine, any other
            address needs the token.
        show: what there is to see.
        token_file: where the token is, or will be; None for `access.token_path`.

    Raises:
        ConfigError: no such address, in use, or the token file is not private.
    """
    where = parse_address(address, default_port=DEFAULT_PORT)
    access, connections = access_for(where[0], PAGE_NAME, token_file), Connections()
    app = make_app(show, connections)

    async def sample() -> None:
        while True:
            show.sample()
            await asyncio.sleep(STATUS_S)

    with serve(where, app, access, connections=connections, beside=sample) as served:
        yield served
