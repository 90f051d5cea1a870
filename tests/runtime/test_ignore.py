"""Regions that are left out: drawn, from a picture, and standing still over moving footage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.runtime.ignore import Ignore, Polygon
from scnet_edge.types import Frame, Mask

HW = (240, 320)


def wall(shift_px: int, *, noise: int = 2) -> Frame:
    """Return a rough wall that has moved by so much, with the noise of a camera."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(20, 236, (40, 200), np.uint8)
    large = cv2.resize(coarse, (2000, 400), interpolation=cv2.INTER_CUBIC)
    grey = large[:240, shift_px : shift_px + 320].astype(np.int16)
    grey += np.random.default_rng(shift_px).integers(-noise, noise + 1, HW)
    return np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def burnt_in(frame: Frame, number: int) -> Frame:
    """Return the frame with a black border, a box, and text whose last digits change."""
    frame[:, :24] = frame[:, -24:] = 0
    frame[150:200, 200:270] = (200, 60, 20)
    cv2.putText(frame, "PIPE 12 DN300", (40, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 2)
    cv2.putText(frame, f"{number:04d}", (40, 220), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 2)
    return frame


def footage(frames: int, step_px: int) -> Iterator[Frame]:
    for number in range(frames):
        frame = burnt_in(wall(number * step_px), number)
        encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        yield np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def last(ignore: Ignore, frames: Iterator[Frame]) -> Mask | None:
    found = None
    for frame in frames:
        found = ignore(frame)
    return found


def test_borders_boxes_and_text_that_stand_still_are_found() -> None:
    found = last(Ignore(still=True), footage(60, 20))
    assert found is not None
    border, box, text = np.zeros(HW, bool), np.zeros(HW, bool), np.zeros(HW, bool)
    border[:, :20] = border[:, -20:] = True
    box[152:198, 202:268] = True
    written = cv2.putText(
        np.zeros(HW, np.uint8), "PIPE 12 DN300", (40, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2
    )
    text = written > 0
    for name, part in {"border": border, "box": box, "text": text}.items():
        assert found[part].mean() > 0.98, name
    allowed = np.zeros(HW, bool)
    allowed[:, :40] = allowed[:, -40:] = allowed[140:210, 190:280] = True
    allowed[5:45, 25:210] = allowed[195:230, 25:100] = True
    assert not (found & ~allowed).any()


@pytest.mark.parametrize("step_px", [0, 1])
def test_a_robot_that_stands_sees_everything(step_px: int) -> None:
    """Where the camera has not moved, a wall stands still as well."""
    frames = (wall(step_px * (number % 2)) for number in range(40))
    assert last(Ignore(still=True), frames) is None


def test_a_wall_that_moves_is_looked_at_in_full() -> None:
    assert last(Ignore(still=True), (wall(10 * number) for number in range(60))) is None


def test_nothing_is_said_of_the_first_frames() -> None:
    ignore = Ignore(still=True)
    assert [ignore(frame) is None for frame in footage(19, 20)] == [True] * 19


@pytest.mark.parametrize("unit", [1.0, 0.5])
def test_polygons_in_pixels_and_in_shares_are_the_same_regions(unit: float) -> None:
    height, width = (round(side * unit) for side in HW)
    shares: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.25), (0.0, 0.25))
    pixels: Polygon = tuple((x * width, y * height) for x, y in shares)
    frame = np.zeros((height, width, 3), np.uint8)
    one, other = (Ignore([polygon])(frame) for polygon in (shares, pixels))
    assert one is not None
    np.testing.assert_array_equal(one, other)
    assert one[: height // 4, : width // 2].all()
    assert one.mean() == pytest.approx(0.125, abs=0.01)


def test_a_picture_says_where_not_to_look(tmp_path: Path) -> None:
    drawn = np.zeros(HW, np.uint8)
    drawn[:120] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), drawn)
    ignore = Ignore(mask=tmp_path / "mask.png")
    for factor in (1, 2):
        found = ignore(np.zeros((HW[0] * factor, HW[1] * factor, 3), np.uint8))
        assert found is not None
        assert found[: 120 * factor].all()
        assert not found[120 * factor :].any()
    with pytest.raises(ConfigError, match=r"ignore_mask: is of 320x240 px, the frames of 320x320"):
        ignore(np.zeros((320, 320, 3), np.uint8))


def test_to_ignore_everything_is_one_line() -> None:
    everything: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    with pytest.raises(ConfigError, match=r"^ignore: covers the whole frame, .*draw less$"):
        Ignore([everything])
    pixels: Polygon = ((0.0, 0.0), (320.0, 0.0), (320.0, 240.0), (0.0, 240.0))
    with pytest.raises(ConfigError, match=r"^ignore: covers the whole frame, .*draw less$"):
        Ignore([pixels])(wall(0))


def test_nothing_to_ignore_is_none() -> None:
    assert Ignore()(wall(0)) is None


def test_a_polygon_has_three_corners() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([[0, 0], [1, 1]], Polygon)
