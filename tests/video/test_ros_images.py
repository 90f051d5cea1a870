"""Every encoding of ROS 2 images against the picture that the format's own rule was used on."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.video.ros_images import ENCODINGS, frame_of

SIZE_HW = (32, 48)
RED, GREEN, BLUE = 2, 1, 0  # channels of BGR


def wall() -> np.ndarray:
    """Return a smooth picture of another colour everywhere, (h, w, 3) uint8 BGR."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return np.dstack([60 + 2 * x, 90 + 3 * y, 200 - x - y]).astype(np.uint8)


def image(data: np.ndarray, encoding: str, *, padding: int = 0, big: bool = False) -> object:
    """Return a message of (h, row) values, each row padded as some drivers do."""
    rows = data.reshape(data.shape[0], -1)
    rows = np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder(">" if big else "<")))
    raw = np.pad(rows.view(np.uint8), ((0, 0), (0, padding)), constant_values=7)
    return SimpleNamespace(
        height=data.shape[0],
        width=SIZE_HW[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=raw.shape[1],
        data=raw.tobytes(),
    )


def mosaic(frame: np.ndarray, pattern: str) -> np.ndarray:
    """Return what a sensor behind a colour filter sees: `rggb` is the first two rows' order."""
    channels = {"r": RED, "g": GREEN, "b": BLUE}
    raw = np.empty(SIZE_HW, np.uint8)
    for i, colour in enumerate(pattern):
        at = (slice(i // 2, None, 2), slice(i % 2, None, 2))
        raw[at] = frame[(*at, channels[colour])]
    return raw


def packed_yuv(frame: np.ndarray, order: str) -> np.ndarray:
    """Return 4:2:2 by ITU-R BT.601, `uyvy` or `yuyv`, colours of two pixels averaged."""
    blue, green, red = (frame[..., i].astype(float) for i in (BLUE, GREEN, RED))
    y = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    u = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
    v = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256
    u, v = ((c[:, ::2] + c[:, 1::2]) / 2 for c in (u, v))
    parts = {"uyvy": (u, y[:, ::2], v, y[:, 1::2]), "yuyv": (y[:, ::2], u, y[:, 1::2], v)}[order]
    return np.stack(parts, axis=-1).round().astype(np.uint8).reshape(SIZE_HW[0], -1)


@pytest.mark.parametrize("padding", [0, 5])
def test_colours_keep_their_places(padding: int) -> None:
    frame = wall()
    alpha = np.full((*SIZE_HW, 1), 9, np.uint8)
    for encoding, data in {
        "bgr8": frame,
        "rgb8": frame[..., ::-1],
        "bgra8": np.concatenate([frame, alpha], axis=2),
        "rgba8": np.concatenate([frame[..., ::-1], alpha], axis=2),
    }.items():
        np.testing.assert_array_equal(frame_of(image(data, encoding, padding=padding)), frame)
    grey = frame[..., GREEN]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(frame_of(image(grey, "mono8", padding=padding)), expected)
    for big in (False, True):
        wide = image(grey.astype(np.uint16) * 256 + 200, "mono16", padding=padding, big=big)
        np.testing.assert_array_equal(frame_of(wide), expected)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_becomes_the_picture(pattern: str) -> None:
    found = frame_of(image(mosaic(wall(), pattern), f"bayer_{pattern}8"))
    inner = np.s_[2:-2, 2:-2]  # no neighbours at the border
    assert np.abs(found[inner].astype(int) - wall()[inner]).max() <= 2


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_luma_and_chroma_become_the_picture(encoding: str, order: str) -> None:
    found = frame_of(image(packed_yuv(wall(), order), encoding))
    assert np.abs(found.astype(int) - wall()).max() <= 4


def test_a_bgr_picture_is_not_copied() -> None:
    data = bytearray(wall().tobytes())
    message = SimpleNamespace(
        height=32, width=48, encoding="bgr8", is_bigendian=0, step=48 * 3, data=data
    )
    frame = frame_of(message)
    data[0] ^= 255
    assert frame[0, 0, 0] == data[0]


def test_compressed_pictures() -> None:
    png = SimpleNamespace(format="png", data=cv2.imencode(".png", wall())[1].ravel())
    np.testing.assert_array_equal(frame_of(png), wall())
    jpeg = SimpleNamespace(
        format="rgb8; jpeg compressed bgr8", data=cv2.imencode(".jpg", wall())[1].tobytes()
    )
    assert np.abs(frame_of(jpeg).astype(int) - wall()).mean() < 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoding": "32FC1"}, "encoding '32FC1', expected one of bgr8, rgb8"),
        ({"encoding": "16UC1"}, "encoding '16UC1'"),
        ({"data": b"\0" * 100}, "needs rows of 144 bytes, found rows of 144 and 100 bytes"),
        ({"step": 100}, "needs rows of 144 bytes, found rows of 100"),
        ({"height": 2**31, "width": 2**31}, "at most 100 megapixels"),
        ({"height": 0}, "expected sides of at least 16 px"),
        ({"encoding": "uyvy", "width": 47}, "of an odd width, 47 px"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], said: str) -> None:
    message = image(wall(), "bgr8")
    vars(message).update(change)
    with pytest.raises(InputError, match=r"^image: ") as refused:
        frame_of(message)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_damaged_or_deep_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="image: damaged image"):
        frame_of(SimpleNamespace(format="jpeg", data=b"\xff\xd8\xff\xe0 cut"))
    with pytest.raises(InputError, match="depth image"):
        frame_of(SimpleNamespace(format="16UC1; compressedDepth png", data=b""))


def test_every_encoding_is_tried_here() -> None:
    tried = {"bgr8", "rgb8", "bgra8", "rgba8", "mono8", "mono16", "yuv422", "uyvy"}
    tried |= {f"bayer_{pattern}8" for pattern in ("rggb", "bggr", "gbrg", "grbg")}
    assert tried | {"yuv422_yuy2", "yuyv"} == ENCODINGS.keys()
