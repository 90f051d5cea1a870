"""What can be done to a run: each fault is a context that lasts as long as it is held.

The camera that misbehaves is one over HTTP, on loopback.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np

from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.simulation.clip import render_clip
from scnet_edge.sinks.queued import Outlet
from scnet_edge.types import Frame

HALF_OPEN = 100
FLOOD = """
import collections, socket, sys
held = collections.deque(maxlen=64)
while True:
    try:
        held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=0.5))
        held[-1].send(b"G")
    except OSError:
        pass
"""
YEARS_NS = 56 * 365 * 86_400 * 10**9
Mode: TypeAlias = Literal["good", "hang", "gone", "frozen", "black", "corrupt", "geometry"]
CLIP_FRAMES = 60
POLL_S = 0.05


class Hurt:
    """An `Outlet` around another that can be stuck or full."""

    def __init__(self, outlet: Outlet[Any]) -> None:
        self._outlet = outlet
        self.depth = outlet.depth
        self.free = Flag()
        self.free.set()
        self.full = False

    def prepare(self, item: FrameResult | Event) -> Any:
        """As the outlet itself."""
        return self._outlet.prepare(item)

    def put(self, item: Any) -> None:
        """Wait while stuck, refuse while full, else write."""
        self.free.wait()
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._outlet.put(item)

    def flush(self) -> None:
        """As the outlet itself."""
        self._outlet.flush()

    def close(self) -> None:
        """As the outlet itself."""
        self._outlet.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What there is to hurt."""

    camera: SoakCamera
    engine: IsolatedBackend
    sink: Hurt
    live_port: int


def camera_fault(mode: Mode) -> Callable[[Stage], Any]:
    """Return the fault of a camera in this mode."""

    @contextmanager
    def fault(stage: Stage) -> Iterator[None]:
        stage.camera.mode = mode
        try:
            yield
        finally:
            stage.camera.mode = "good"

    return fault


@contextmanager
def engine_crash(stage: Stage) -> Iterator[None]:
    """Kill the engine's process as a fault in native code would."""
    _signal_engine(stage, signal.SIGSEGV)
    yield


@contextmanager
def engine_hang(stage: Stage) -> Iterator[None]:
    """Stop the engine's process; it is killed when its time for a frame is over."""
    _signal_engine(stage, signal.SIGSTOP)
    yield


@contextmanager
def sink_stuck(stage: Stage) -> Iterator[None]:
    """Let a sink's device give no answer."""
    stage.sink.free.clear()
    try:
        yield
    finally:
        stage.sink.free.set()


@contextmanager
def disk_full(stage: Stage) -> Iterator[None]:
    """Let a sink's disk refuse every write."""
    stage.sink.full = True
    try:
        yield
    finally:
        stage.sink.full = False


@contextmanager
def clock_jump(stage: Stage) -> Iterator[None]:
    """Turn the wall clock of this process back by 56 years."""
    real = time.time_ns
    time.time_ns = lambda: real() - YEARS_NS
    try:
        yield
    finally:
        time.time_ns = real


@contextmanager
def half_open(stage: Stage) -> Iterator[None]:
    """Open connections to our own live page, on loopback, that never finish their request."""
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", stage.live_port)))
            s.sendall(b"GET / HTTP/1.1\r\n")
        yield


@contextmanager
def page_flood(stage: Stage) -> Iterator[None]:
    """Open connections to our own live page as fast as another process can, each with one byte."""
    flood = subprocess.Popen([sys.executable, "-I", "-c", FLOOD, str(stage.live_port)])
    try:
        yield
    finally:
        flood.kill()
        flood.wait()


def _signal_engine(stage: Stage, number: signal.Signals) -> None:
    pid = stage.engine.pid
    if pid is not None:  # None: it has just crashed, and is started again
        os.kill(pid, number)


# name -> (the fault, seconds that it is held; an engine's, so that five a minute are not exceeded)
FAULTS: dict[str, tuple[Callable[[Stage], Any], float]] = {
    "camera_hang": (camera_fault("hang"), 4.0),
    "camera_gone": (camera_fault("gone"), 3.0),
    "camera_frozen": (camera_fault("frozen"), 4.0),
    "camera_black": (camera_fault("black"), 2.0),
    "camera_corrupt": (camera_fault("corrupt"), 2.0),
    "camera_geometry": (camera_fault("geometry"), 2.0),
    "engine_crash": (engine_crash, 10.0),
    "engine_hang": (engine_hang, 10.0),
    "sink_stuck": (sink_stuck, 3.0),
    "disk_full": (disk_full, 3.0),
    "clock_jump": (clock_jump, 2.0),
    "half_open": (half_open, 2.0),
    "page_flood": (page_flood, 5.0),
}


class SoakCamera:
    """Serves a rendered clip as Motion JPEG, for ever; `mode` says how it misbehaves.

    Attributes:
        mode: `hang` sends nothing more, `gone` refuses connections, the others say what they send.
        uri: where it is.
    """

    def __init__(self, size_hw: tuple[int, int], fps: float) -> None:
        self.mode: Mode = "good"
        self._fps = fps
        self._closed = threading.Event()
        self._clip = [_jpeg(frame) for frame, _ in render_clip(CLIP_FRAMES, size_hw, seed=7)]
        self._black = _jpeg(np.zeros((*size_hw, 3), np.uint8))
        self._other = _jpeg(np.full((size_hw[0] // 2, size_hw[1] // 2, 3), 120, np.uint8))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,))
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if camera.mode == "gone":
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=edge")
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):
                    for body in camera._pictures():
                        head = f"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}"
                        self.wfile.write(head.encode() + b"\r\n\r\n" + body + b"\r\n")

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        return Handler

    def _pictures(self) -> Iterator[bytes]:
        """Yield what one connection is sent, until it is broken off."""
        sent = b""
        for number in itertools.count():
            while self.mode == "hang" and not self._closed.wait(POLL_S):
                continue
            if self.mode == "gone" or self._closed.wait(1 / self._fps):
                return
            good = self._clip[number % CLIP_FRAMES]
            sent = {
                "frozen": sent or good,
                "black": self._black,
                "corrupt": good[:200] + b"\xff\xd9",
                "geometry": self._other,
            }.get(self.mode, good)
            yield sent


@contextmanager
def soak_camera(size_hw: tuple[int, int], fps: float) -> Iterator[SoakCamera]:
    """Serve until the context is left."""
    camera = SoakCamera(size_hw, fps)
    try:
        yield camera
    finally:
        camera.close()


def _jpeg(frame: Frame) -> bytes:
    return cv2.imencode(".jpg", frame)[1].tobytes()
