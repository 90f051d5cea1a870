"""Cameras that misbehave on command: an MJPEG server here, GStreamer's RTSP server beside us."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

Script = Callable[[Callable[[bytes], None], int], None]  # (send a picture, how many came before)


def picture(value: int = 90, size_hw: tuple[int, int] = (48, 64)) -> bytes:
    """Return a grey JPEG with a light corner and noise, so that no two decode alike."""
    noise = np.random.default_rng(value).integers(-9, 9, (*size_hw, 3))
    frame = np.clip(np.full((*size_hw, 3), value) + noise, 0, 255).astype(np.uint8)
    frame[:8, :8] = 250
    return cv2.imencode(".jpg", frame)[1].tobytes()


class MjpegCamera:
    """A camera at `uri` that serves what `script` sends; `connections` counts who came."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number, outer.connections = outer.connections, outer.connections + 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=edge")
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):
                    script(self.part, number)

            def part(self, body: bytes) -> None:
                head = f"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body + b"\r\n")
                self.wfile.flush()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
