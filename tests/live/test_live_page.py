"""The live page in a real browser: frames are drawn, figures and faults shown, nothing refused."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

from browser import browsing, needs_browser
from sink_frames import BOARD, frame_result

from scnet_edge.events import event_now
from scnet_edge.live.app import NewestFrame, Show, open_live
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.liveness import Liveness
from scnet_edge.runtime.status import Monitor

FRAMES_DRAWN = "Number(document.querySelector('canvas')?.dataset.frames) > 2"
# How many figures lie in each row of them, from top to bottom.
FIGURE_ROWS = """Object.values(Object.groupBy(document.querySelectorAll('.figures > div'),
  (cell) => cell.getBoundingClientRect().top)).map((row) => row.length).join(" + ")"""


@needs_browser
def test_the_page_shows_the_run(tmp_path: Path) -> None:
    counters = Counters()
    liveness, board = Liveness(counters), NewestFrame()
    monitor = Monitor(counters, liveness, telemetry=lambda: BOARD)
    liveness.note(event_now("camera_lost", "timeout", "<img src=x onerror=alert(1)> no frame"))
    gap = event_now("gap", "dropped", "not inspected for 2.0 s")
    liveness.note(replace(gap, from_mono_ns=gap.mono_ns - 2_000_000_000))
    over = threading.Event()

    def feed() -> None:
        for frame_id in itertools.count():
            counters.capture()
            for sink in (board, monitor, liveness):
                sink.write(frame_result(frame_id))
            counters.process()
            if over.wait(0.05):
                return

    feeding = threading.Thread(target=feed)
    feeding.start()
    show = Show(board, monitor, {"Source": "rtsp://***@camera/1", "Engine": "openvino CPU"})
    with open_live("127.0.0.1:0", show) as live, browsing(tmp_path / "profile") as browser:
        browser.call("Page.navigate", url=live.url)
        browser.wait_for(FRAMES_DRAWN)
        browser.wait_for("document.querySelector('#chart-fps .line') !== null")
        text = browser.value("document.body.innerText")
        assert browser.value("document.getElementById('state').textContent") == "running"
        for expected in ("rtsp://***@camera/1", "camera lost", "51.0", "15W", "camera to mask"):
            assert expected in text
        assert "<img src=x onerror=alert(1)> no frame" in text  # shown, not run
        assert "\tnot inspected for 2.0 s" in text  # once, in a cell of its own
        assert browser.value("document.images.length") == 1  # our own mark
        assert browser.value(FIGURE_ROWS) == "6"
        picture = browser.picture().astype(int)
        tablet = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", **tablet)
        browser.wait_for("window.innerWidth === 820")
        assert browser.value(FIGURE_ROWS) == "3 + 3"
        over.set()
        feeding.join()
    assert browser.complaints == []  # of our own content security policy, or an exception
    red = (picture[..., 2] > 180) & (picture[..., 1] < 90)
    assert red.sum() > 2000  # the crack, drawn on the frame
