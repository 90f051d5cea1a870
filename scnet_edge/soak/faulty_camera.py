"""A camera over HTTP, on loopback, that misbehaves on command."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, TypeAlias

import cv2
import numpy as np

from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Frame

Mode: TypeAlias = Literal["good", "hang", "gone", "frozen", "black", "corrupt", "geometry"]
CLIP_FRAMES = 60
POLL_S = 0.05


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
