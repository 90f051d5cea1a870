"""The live page in a real browser: frames are drawn, figures and faults shown, nothing refused."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path

import cv2
import pytest
from sink_frames import BOARD, observed

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
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1440,1400",
    "--virtual-time-budget=4000",
]


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
def test_the_page_shows_the_run(tmp_path: Path) -> None:
    counters = Counters()
    liveness, board = Liveness(counters), Board()
    monitor = Monitor(counters, liveness, telemetry=lambda: BOARD)
    liveness.note(event_now("camera_lost", "timeout", "<img src=x onerror=alert(1)> no frame"))
    done = threading.Event()

    def feed() -> None:
        frame_id = 0
        while not done.wait(0.05):
            counters.capture()
            for sink in (board, monitor, liveness):
                sink.write(observed(frame_id))
            counters.process()
            frame_id += 1

    threading.Thread(target=feed, daemon=True).start()
    show = Show(board, monitor, {"Source": "rtsp://***@camera/1", "Engine": "openvino CPU"})
    picture = tmp_path / "page.png"
    assert CHROMIUM
    with open_live("127.0.0.1:0", show) as live:
        browser = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"]
        command = [*browser, "--dump-dom", f"--screenshot={picture}", live.url]
        done_in = subprocess.run(command, capture_output=True, text=True, timeout=60)
    done.set()
    page = done_in.stdout
    assert re.search(r'id="state" class="pill running"[^>]*>running<', page)
    assert "rtsp://***@camera/1" in page
    assert "camera lost" in page
    assert "&lt;img src=x onerror=alert(1)&gt; no frame" in page  # shown, not run
    frames = re.search(r'data-frames="(\d+)"', page)
    assert frames
    assert int(frames[1]) >= 2
    assert "51.0" in page
    assert "15W" in page
    assert 'class="line"' in page  # a chart has its line
    assert "Refused to" not in done_in.stderr  # by our own content security policy
    assert "Uncaught" not in done_in.stderr
    if picture.exists():
        pixels = cv2.imread(str(picture)).astype(int)  # (h, w, 3) BGR
        red = (pixels[..., 2] > 180) & (pixels[..., 1] < 90)
        assert red.sum() > 2000  # the crack, drawn on the frame
