"""The stream breaks in mid-run: noticed at once, a gap on record, and on it goes by itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import walls, write_film
from misbehaving import picture

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import CallbackSink, FrameResult
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.sources import open_source

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("rtsp_server.py")
NEEDS = "gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def nothing(frame: Frame) -> Result:
    mask = np.zeros(frame.shape[:2], bool)
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


@pytest.mark.usefixtures("impatient")
def test_a_stream_that_breaks_off(mjpeg_camera: Callable[..., Any]) -> None:
    def three_pictures(send: Callable[[bytes], None], number: int) -> None:
        for i in range(3):
            send(picture(40 + 10 * number + i, (48, 64) if number < 2 else (64, 96)))
        if number == 1:
            time.sleep(0.6)  # a gap long enough to be one

    told: list[FrameResult | Event] = []
    with open_source(mjpeg_camera(three_pictures).uri) as source:
        sink = CallbackSink(told.append, told.append)
        counters = run_loop(source, nothing, [sink], frames=9, policy="every")
    frames = [item for item in told if isinstance(item, FrameResult)]
    kinds = [item.kind for item in told if isinstance(item, Event)]
    assert [item.captured.frame_id for item in frames] == list(range(9))
    assert [item.captured.frame.shape for item in frames[5:7]] == [(48, 64, 3), (64, 96, 3)]
    assert kinds.count("camera_lost") == 2
    assert kinds.count("camera_found") == 3
    gap = [item for item in told if isinstance(item, Event) and item.kind == "gap"][-1]
    assert gap.reason == "camera_lost"
    assert gap.from_mono_ns == frames[5].captured.mono_ns
    assert gap.mono_ns == frames[6].captured.mono_ns
    assert (counters.in_flight, counters.processed) == (0, 9)


def has_rtsp_server() -> bool:
    if not Path(PYTHON).exists() or not shutil.which("gst-launch-1.0"):
        return False
    done = subprocess.run([PYTHON, "-c", f"import gi; {NEEDS}"], capture_output=True, check=False)
    return done.returncode == 0


class RtspCamera:
    """GStreamer's RTSP server, which can be killed and started again at the same address."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])
        self.uri = f"rtsp://joe:s3cret@127.0.0.1:{self._port}/pipe"
        self._process: subprocess.Popen[str] | None = None

    def start(self, width_px: int, height_px: int) -> None:
        self._run(str(width_px), str(height_px), "joe", "s3cret")

    def play(self, film: Path) -> None:
        self._run("film", str(film))

    def _run(self, *arguments: str) -> None:
        command = [PYTHON, str(SERVER), self._port, *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        assert self._process
        assert self._process.stdout
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def rtsp_camera() -> Iterator[RtspCamera]:
    if not has_rtsp_server():
        pytest.skip(
            "needs GStreamer's RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gi"
        )
    camera = RtspCamera()
    yield camera
    camera.kill()


def test_a_real_rtsp_server_killed_and_restarted(rtsp_camera: RtspCamera) -> None:
    rtsp_camera.start(320, 240)
    frames: list[FrameResult] = []
    events: list[Event] = []
    killed = threading.Event()

    def watch(frame_result: FrameResult) -> None:
        frames.append(frame_result)
        if len(frames) == 10 and not killed.is_set():
            rtsp_camera.kill()
            killed.set()

    def restart(event: Event) -> None:
        events.append(event)
        if event.kind == "camera_lost":
            rtsp_camera.start(640, 480)  # it comes back in another mode

    with open_source(rtsp_camera.uri) as source:
        sink = CallbackSink(watch, restart)
        counters = run_loop(source, nothing, [sink], frames=40)
    sizes = [frame_result.captured.frame.shape for frame_result in frames]
    assert sizes[:10] == [(240, 320, 3)] * 10
    assert sizes[-5:] == [(480, 640, 3)] * 5
    kinds = [event.kind for event in events if event.kind != "camera_waiting"]
    assert kinds == ["camera_found", "camera_lost", "camera_found", "gap", "run_closed"]
    lost = events[kinds.index("camera_lost")]
    last_before = max(o.captured.mono_ns for o in frames if o.captured.frame.shape[0] == 240)
    assert lost.mono_ns - last_before < 2e9
    ids = [frame_result.captured.frame_id for frame_result in frames]
    assert all(a < b for a, b in pairwise(ids))
    assert all("s3cret" not in event.detail for event in events)
    assert counters.in_flight == 0


def test_a_stream_that_changes_its_size_is_not_stretched(
    rtsp_camera: RtspCamera, tmp_path: Path
) -> None:
    parts = [
        write_film(tmp_path / f"{height_px}.ts", walls(30, (height_px, 128)), options={"g": "10"})
        for height_px in (96, 64)
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    rtsp_camera.play(joined)
    shapes, events = set[tuple[int, ...]](), list[Event]()
    with open_source(rtsp_camera.uri) as source:
        for item in source.items:
            if isinstance(item, Event):
                events.append(item)
                if item.kind == "camera_lost":
                    break
            else:
                shapes.add((*item.frame.shape[:2], *item.faults))
    assert shapes == {(96, 128), (0, 0, "geometry")}
    assert (events[-1].reason, events[-1].kind) == ("geometry", "camera_lost")
    assert "the frames have become 128x64 px" in events[-1].detail
