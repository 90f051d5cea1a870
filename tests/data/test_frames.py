from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.data.frames import as_bgr, scnet_input
from scnet_edge.data.pictures import read_image
from scnet_edge.errors import InputError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (24, 40, 3), np.uint8)


def test_bgr_comes_back_uncopied() -> None:
    assert np.shares_memory(as_bgr(COLOUR), COLOUR)


def test_grey_is_repeated() -> None:
    for grey in (COLOUR[..., 0], COLOUR[..., :1]):
        np.testing.assert_array_equal(
            as_bgr(grey), cv2.cvtColor(COLOUR[..., 0], cv2.COLOR_GRAY2BGR)
        )


def test_alpha_is_dropped() -> None:
    bgra = RNG.integers(0, 256, (24, 40, 4), np.uint8)
    found = as_bgr(bgra)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, cv2.cvtColor(bgra, cv2.COLOR_BGRA2BGR))


def test_sixteen_bits_keep_the_high_byte() -> None:
    image = np.full((16, 16, 3), 0xABCD, np.uint16)
    np.testing.assert_array_equal(as_bgr(image), np.full((16, 16, 3), 0xAB, np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((24, 40, 3), np.float32),
        np.zeros((24, 40, 2), np.uint8),
        np.zeros((1, 24, 40, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)),
        "frame.png",
    ],
    ids=["float", "two channels", "batch", "empty", "1x1", "20000x20000", "text"],
)
def test_what_is_no_frame_is_refused_in_one_line(image: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        as_bgr(image, where="camera")
    assert str(caught.value).startswith("camera: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_read_image_is_lossless(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"röhre{suffix}"
    path.write_bytes(cv2.imencode(suffix, COLOUR)[1].tobytes())
    np.testing.assert_array_equal(read_image(path), COLOUR)


@pytest.mark.parametrize("shape", [(24, 40), (24, 40, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_read_image_takes_grey_alpha_and_16_bit(
    tmp_path: Path, shape: tuple[int, ...], dtype: type
) -> None:
    image = RNG.integers(0, np.iinfo(dtype).max, shape, dtype)
    path = tmp_path / "image.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    np.testing.assert_array_equal(read_image(path), as_bgr(image))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_truncated_image_is_refused(
    tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = cv2.imencode(suffix, cv2.resize(COLOUR, (400, 240)))[1].tobytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="cut"):
        read_image(path)


def test_a_cut_jpeg_with_a_whole_thumbnail_is_refused(tmp_path: Path) -> None:
    thumbnail = cv2.imencode(".jpg", cv2.resize(COLOUR, (16, 16)))[1].tobytes()
    data = cv2.imencode(".jpg", COLOUR)[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path = tmp_path / "phone.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_image(path).shape == COLOUR.shape
    path.write_bytes(data[:2] + segment + data[2:-10])
    with pytest.raises(InputError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8"]
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"image\.png"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("size_hw", [(1, 1), (20_000, 20_000)])
def test_a_header_of_an_impossible_size_is_refused_before_decoding(
    tmp_path: Path, suffix: str, size_hw: tuple[int, int]
) -> None:
    data = bytearray(cv2.imencode(suffix, np.zeros((300, 301, 3), np.uint8))[1].tobytes())
    bytes_each = 4 if suffix == ".png" else 2
    at = data.index((301).to_bytes(bytes_each, "big"))
    height_at = at + 4 if suffix == ".png" else at - 2
    assert int.from_bytes(data[height_at : height_at + bytes_each], "big") == 300
    data[at : at + bytes_each] = size_hw[1].to_bytes(bytes_each, "big")
    data[height_at : height_at + bytes_each] = size_hw[0].to_bytes(bytes_each, "big")
    if suffix == ".png":  # the checksum of the header, from its name on
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=f"{size_hw[1]}x{size_hw[0]} px, expected"):
        read_image(path)


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "none.png")


def test_colours_become_rgb_in_minus_one_to_one() -> None:
    frame = np.array([[[0, 255, 51]]], np.uint8)  # one BGR pixel
    x = scnet_input(frame)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0, 0], [51 / 127.5 - 1, 1.0, -1.0], atol=1e-6)


def test_edges_are_the_fourth_channel() -> None:
    frame, edges = np.zeros((2, 3, 3), np.uint8), np.array([[True, False, True], [False] * 3])
    x = scnet_input(frame, edges)
    assert x.shape == (4, 2, 3)
    assert np.array_equal(x[3], [[1, 0, 1], [0, 0, 0]])
