"""A real browser for tests of pages: headless Chromium, by its debugging protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from scnet_edge.survey.report.pdf import BROWSERS, QUIET

CHROMIUM = next(filter(None, map(shutil.which, BROWSERS[:2])), None)
OPTIONS = [*QUIET, "--no-sandbox", "--remote-debugging-port=0", "--window-size=1440,1400"]
DEADLINE_S = 45


class Browser:
    """A page of a headless Chromium, by its debugging protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=DEADLINE_S))
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))
            if message.get("id") == number:
                result: dict[str, Any] = message["result"]
                return result

    def value(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression)["result"].get("value")

    def wait_for(self, expression: str) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not self.value(expression):
            assert time.monotonic() < deadline_s, f"never true: {expression}"
            time.sleep(0.05)

    def point_at(self, x: float, y: float, *, until: str) -> None:
        """Move the pointer there, again and again: a page that is laid out anew loses it."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not self.value(until):
            assert time.monotonic() < deadline_s, f"never true: {until}"
            for nudge in (1, 0):
                self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + nudge, y=y)
            time.sleep(0.05)

    def picture(self) -> np.ndarray:
        png = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)  # (h, w, 3) BGR


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    assert CHROMIUM
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            port_file, deadline_s = profile / "DevToolsActivePort", time.monotonic() + DEADLINE_S
            while not (port_file.exists() and port_file.read_text().count("\n")):
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            port = int(port_file.read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                [page] = [p for p in json.load(answer) if p["type"] == "page"]
            with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.kill()


needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a browser: apt-get install chromium"
)
