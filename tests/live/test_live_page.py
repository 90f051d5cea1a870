"""The live page in a real browser: frames are drawn, figures and faults shown, nothing refused."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sink_frames import BOARD, observed
from websockets.sync.client import ClientConnection, connect

from scnet_edge.live.app import Show
from scnet_edge.live.board import Board
from scnet_edge.live.server import open_live
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.events import event_now
from scnet_edge.runtime.liveness import Liveness
from scnet_edge.runtime.status import Monitor

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1440,1400",
]
DEADLINE_S = 45
FRAMES_DRAWN = "Number(document.querySelector('canvas')?.dataset.frames) > 2"


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


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
def test_the_page_shows_the_run(tmp_path: Path) -> None:
    counters = Counters()
    liveness, board = Liveness(counters), Board()
    monitor = Monitor(counters, liveness, telemetry=lambda: BOARD)
    liveness.note(event_now("camera_lost", "timeout", "<img src=x onerror=alert(1)> no frame"))
    over = threading.Event()

    def feed() -> None:
        for frame_id in itertools.count():
            counters.capture()
            for sink in (board, monitor, liveness):
                sink.write(observed(frame_id))
            counters.process()
            if over.wait(0.05):
                return

    feeding = threading.Thread(target=feed)
    feeding.start()
    show = Show(board, monitor, {"Source": "rtsp://***@camera/1", "Engine": "openvino CPU"})
    with open_live("127.0.0.1:0", show) as live, browsing(tmp_path / "profile") as browser:
        browser.call("Page.navigate", url=live.url)
        browser.wait_for(
            "Number((document.querySelector('canvas') || {dataset: {}}).dataset.frames) > 2"
        )
        browser.wait_for("document.querySelector('#chart-fps .line') !== null")
        text = browser.value("document.body.innerText")
        assert browser.value("document.getElementById('state').textContent") == "running"
        for expected in ("rtsp://***@camera/1", "camera lost", "51.0", "15W", "camera to mask"):
            assert expected in text
        assert "<img src=x onerror=alert(1)> no frame" in text  # shown, not run
        assert browser.value("document.images.length") == 1  # our own mark
        picture = browser.picture().astype(int)
        over.set()
        feeding.join()
    assert browser.complaints == []  # of our own content security policy, or an exception
    red = (picture[..., 2] > 180) & (picture[..., 1] < 90)
    assert red.sum() > 2000  # the crack, drawn on the frame
