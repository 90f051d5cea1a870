"""Real streams, from an MJPEG server and from GStreamer, read through the capture process."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.events import Event
from scnet_edge.types import Frame
from scnet_edge.video import camera
from scnet_edge.video.readers import GST_TAIL, gst_pipeline, read_camera
from scnet_edge.video.shared_frames import CameraTrouble
from scnet_edge.video.sources import open_source
from scnet_edge.video.uris import parse_camera

needs_gstreamer = pytest.mark.skipif(
    not shutil.which("gst-launch-1.0"),
    reason="needs gst-launch-1.0: apt install gstreamer1.0-tools",
)
LOGIN = "Basic " + base64.b64encode(b"joe:s3cret").decode()


def picture(value: int, size_hw: tuple[int, int] = (48, 64)) -> bytes:
    return cv2.imencode(".jpg", np.full((*size_hw, 3), value, np.uint8))[1].tobytes()


class Handler(BaseHTTPRequestHandler):
    """Serves pictures; /bare states no lengths, /page is no stream, /private wants a password.

    /reboot is a page every second time.
    """

    reboots = itertools.cycle((False, True))

    def do_GET(self) -> None:
        if self.path == "/private" and self.headers.get("Authorization") != LOGIN:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        page = self.path == "/page" or (self.path == "/reboot" and next(self.reboots))
        kind = "text/html" if page else "multipart/x-mixed-replace; boundary=--edge"
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


def test_a_camera_that_starts_anew_may_answer_with_a_page(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.05)
    stop, wanted, events = threading.Event(), parse_camera(f"http://{host}/reboot"), []
    assert wanted
    for item in camera.camera_items(wanted, stop):
        if isinstance(item, Event):
            events.append((item.kind, item.reason))
            if [kind for kind, _ in events].count("camera_found") == 2:
                stop.set()
    assert ("camera_waiting", "format") in events


def test_only_the_limits_of_the_run_end_a_slow_camera(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, connect = [], socket.create_connection

    def connected(*where: object, **how: object) -> socket.socket:
        opened = connect(*where, **how)
        waits.append(opened.gettimeout())
        return opened

    monkeypatch.setattr(socket, "create_connection", connected)
    wanted = parse_camera(f"http://{host}/stream")
    assert wanted
    with closing(read_camera(wanted)) as frames:
        assert next(frames) is not None
    assert waits == [None]

    def no_answer(*where: object, timeout: float) -> None:
        waits.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", no_answer)
    for open_s in (0.5, 60.0):
        camera._check_present(wanted, open_s)
    assert waits[1:] == [0.5, camera.ANSWER_S]


def test_ffmpeg_gives_up_no_stream_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def refuse(target: str, **how: object) -> None:
        asked.append(how)
        raise av.error.ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(av, "open", refuse)
    wanted = parse_camera("rtsp://camera/1")
    assert wanted
    with pytest.raises(CameraTrouble, match=r"no video stream there.*Connection refused"):
        next(read_camera(wanted))
    [how] = asked
    assert "timeout" not in how
    assert "timeout" not in how["options"]


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
        ('videotestsrc pattern="ball', r"cannot be split into words \(No closing quotation\)"),
        ("videotestsrc (", "pipeline could not be constructed: syntax error"),
        ("rtspsrc location=rtsp://joe:pw@h/ ! nothing", r"gst:rtspsrc location=rtsp://\*\*\*@h/"),
    ],
)
def test_a_pipeline_that_cannot_work_is_one_line(pipeline: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        take(f"gst:{pipeline}", 1)
    assert "\n" not in str(caught.value)


@needs_gstreamer
def test_a_pipeline_that_cannot_work_is_known_in_every_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with pytest.raises(InputError, match="erroneous pipeline"):
        take("gst:no-such-element", 1)


@needs_gstreamer
def test_gstreamer_leaves_nothing_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "GST_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    assert len(take("gst:videotestsrc num-buffers=2", 2)) == 2
    assert not list(tmp_path.iterdir())


def test_gstreamer_changes_no_permissions_of_a_device() -> None:
    """It sets those of the folder of its registry; as root it locked all others out of this one."""
    before = Path(os.devnull).stat().st_mode
    assert len(take("gst:videotestsrc num-buffers=2", 2)) == 2
    assert Path(os.devnull).stat().st_mode == before


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
    wanted = parse_camera("csi://1?width=1920&height=1080&fps=60")
    assert wanted
    assert gst_pipeline(wanted) == (
        "nvarguscamerasrc sensor-id=1 "
        "! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=60/1,format=NV12 "
        f"! nvvidconv ! video/x-raw,format=BGRx {GST_TAIL}"
    )
