"""Real streams, from an MJPEG server and from GStreamer, read through the capture process."""

from __future__ import annotations

import base64
import itertools
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.runtime import camera
from scnet_edge.runtime.events import Event
from scnet_edge.runtime.sources import open_source
from scnet_edge.runtime.uris import parse_camera
from scnet_edge.types import Frame

needs_gstreamer = pytest.mark.skipif(
    not shutil.which("gst-launch-1.0"),
    reason="needs gst-launch-1.0: apt install gstreamer1.0-tools",
)
LOGIN = "Basic " + base64.b64encode(b"joe:s3cret").decode()


def picture(value: int, size_hw: tuple[int, int] = (48, 64)) -> bytes:
    return cv2.imencode(".jpg", np.full((*size_hw, 3), value, np.uint8))[1].tobytes()


class Handler(BaseHTTPRequestHandler):
    """Serves pictures; /bare states no lengths, /page is no stream, /private wants a password."""

    def do_GET(self) -> None:
        if self.path == "/private" and self.headers.get("Authorization") != LOGIN:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        kind = "text/html" if self.path == "/page" else "multipart/x-mixed-replace; boundary=--edge"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        for value in (10, 60, 110, 160, 210):
            self.part(picture(value))

    def part(self, body: bytes) -> None:
        length = b"" if self.path == "/bare" else b"Content-Length: %d\r\n" % len(body)
        self.wfile.write(b"--edge\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n")
        self.wfile.write(body + b"\r\n")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def take(uri: str, count: int) -> list[Frame]:
    with open_source(uri) as source:
        assert source.live
        return [item.frame for item in itertools.islice(source, count)]


@pytest.mark.parametrize("path", ["stream", "bare", "private"])
def test_mjpeg_over_http_gives_the_pictures_as_opencv_decodes_them(host: str, path: str) -> None:
    login = "joe:s3cret@" if path == "private" else ""
    frames = take(f"http://{login}{host}/{path}", 4)
    for frame, value in zip(frames, (10, 60, 110, 160), strict=True):
        expected = cv2.imdecode(np.frombuffer(picture(value), np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(frame, expected)


def test_what_lies_in_the_working_directory_is_not_run(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "queue.py", "numpy.py"):
        (tmp_path / name).write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    assert len(take(f"http://{host}/stream", 1)) == 1


def test_what_is_no_stream_is_said_at_once(host: str) -> None:
    with pytest.raises(InputError, match="expected a multipart stream of JPEG pictures") as caught:
        take(f"http://joe:s3cret@{host}/page", 1)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_password_is_waited_out_and_not_shown(host: str) -> None:
    stop, wanted = threading.Event(), parse_camera(f"http://joe:guess@{host}/private")
    assert wanted
    for item in camera.camera_items(wanted, stop):
        assert isinstance(item, Event)
        assert (item.kind, item.reason) == ("camera_waiting", "refused")
        assert "401" in item.detail
        assert "guess" not in item.detail
        stop.set()


@needs_gstreamer
@pytest.mark.parametrize("size_hw", [(48, 64), (49, 67)])
def test_gstreamer_frames_keep_size_and_colour(size_hw: tuple[int, int]) -> None:
    height_px, width_px = size_hw
    caps = f"video/x-raw,format=RGB,width={width_px},height={height_px},framerate=30/1"
    source = "videotestsrc is-live=true pattern=solid-color foreground-color=0xff204080"
    for frame in take(f"gst:{source} ! {caps}", 3):
        assert frame.shape == (*size_hw, 3)
        np.testing.assert_allclose(frame, np.broadcast_to([0x80, 0x40, 0x20], frame.shape), atol=2)


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (
            "no-such-element",
            'gst:no-such-element: erroneous pipeline: no element "no-such-element"',
        ),
        ("audiotestsrc", "gst:audiotestsrc: erroneous pipeline: could not link"),
        ("rtspsrc location=rtsp://joe:pw@h/ ! nothing", r"gst:rtspsrc location=rtsp://\*\*\*@h/"),
    ],
)
def test_a_pipeline_that_cannot_work_is_one_line(pipeline: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        take(f"gst:{pipeline}", 1)
    assert "\n" not in str(caught.value)


def test_without_gstreamer_one_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="install gstreamer1"):
        take("csi://0", 1)


def test_waits_double_to_half_a_minute_with_jitter() -> None:
    waits = [[camera._wait_s(tries) for _ in range(200)] for tries in range(1, 9)]
    for expected_s, seen in zip((1, 2, 4, 8, 16, 30, 30, 30), waits, strict=True):
        assert 0.75 * expected_s <= min(seen) < max(seen) <= expected_s


def test_a_csi_camera_asks_argus_for_what_the_uri_says() -> None:
    from scnet_edge.runtime.grab import GST_TAIL, gst_pipeline

    wanted = parse_camera("csi://1?width=1920&height=1080&fps=60")
    assert wanted
    assert gst_pipeline(wanted) == (
        "nvarguscamerasrc sensor-id=1 "
        "! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=60/1,format=NV12 "
        f"! nvvidconv ! video/x-raw,format=BGRx {GST_TAIL}"
    )
