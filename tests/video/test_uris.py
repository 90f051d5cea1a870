import pytest

from scnet_edge.errors import InputError
from scnet_edge.video.uris import Camera, parse_camera


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("csi://0", Camera(kind="csi", target="0")),
        (
            "csi://1?width=1920&height=1080&fps=30",
            Camera(kind="csi", target="1", width_px=1920, height_px=1080, fps=30),
        ),
        ("v4l2:///dev/video0", Camera(kind="v4l2", target="/dev/video0")),
        (
            "v4l2:///dev/v4l/by-id/usb?fps=5",
            Camera(kind="v4l2", target="/dev/v4l/by-id/usb", fps=5),
        ),
        ("rtsp://a:b@cam/1", Camera(kind="rtsp", target="rtsp://a:b@cam/1")),
        ("https://cam/video", Camera(kind="http", target="https://cam/video")),
        ("gst:videotestsrc ! queue", Camera(kind="gst", target="videotestsrc ! queue")),
        ("clip.mp4", None),
        ("folder/with:colon", None),
    ],
)
def test_a_uri_names_a_camera_or_a_path(uri: str, expected: Camera | None) -> None:
    assert parse_camera(uri) == expected


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "ftp://joe:pw@host/x",
            r"^ftp://\*\*\*@host/x: unknown kind of source, expected csi://0",
        ),
        ("csi://front", "sensor's number"),
        ("csi://0?width=3", "width=3, expected a whole number from 16 to 16384"),
        ("csi://0?fps=-1", "fps=-1, expected a whole number from 1 to 1000"),
        ("csi://0?speed=1", "unknown option 'speed', expected width, height, fps"),
        ("v4l2:///etc/passwd", "expected a device, as in v4l2:///dev/video0"),
        ("v4l2:///dev/../etc/passwd", "expected a device"),
        ("v4l2://video0", "expected a device"),
        ("rtsp://", "expected a host"),
        ("rtsp://joe:pw@host:99999/", r"^rtsp://\*\*\*@host:99999/: not a URL"),
        ("http://[::1/", "not a URL"),
        ("rtsp://joe:pw/pw@host/1", r"^rtsp://\*\*\*@host/1: not a URL"),
        ("gst:", "expected a GStreamer pipeline"),
    ],
)
def test_a_bad_uri_is_one_line_without_its_password(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_camera(uri)
    assert "\n" not in str(caught.value)
    assert "pw" not in str(caught.value)
