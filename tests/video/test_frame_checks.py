"""Faults planted in rendered frames are found, and good frames pass."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Captured, Frame
from scnet_edge.video.fake_source import fake_source
from scnet_edge.video.frame_checks import watch_frames

FPS, SIZE_HW = 10, (192, 272)
CLIP = [frame for frame, _ in render_clip(4, SIZE_HW, seed=5)]


def with_bottom(frame: Frame, colour_bgr: tuple[int, int, int]) -> Frame:
    cut = frame.copy()
    cut[120:] = colour_bgr
    return cut


def scaled(frame: Frame, gain: float) -> Frame:
    return np.clip(frame * gain, 0, 255).astype(np.uint8)


def no_signal(shape: tuple[int, ...]) -> Frame:
    """Return the blue screen of a recorder, digitized from a tape."""
    blue = np.full(shape, (190, 30, 20), np.int64)
    blue += np.random.default_rng(0).integers(-3, 4, shape)
    screen = blue.astype(np.uint8)
    cv2.putText(screen, "NO SIGNAL", (8, 20), cv2.FONT_HERSHEY_PLAIN, 0.7, (255, 255, 255), 1)
    return screen


PLANTED = {
    "black": lambda frame: np.zeros_like(frame),
    "noisy black": lambda frame: scaled(frame, 0.03),
    "blank": lambda frame: np.full_like(frame, (200, 30, 20)),
    "blank, with text and noise": lambda frame: no_signal(frame.shape),
    "underexposed": lambda frame: scaled(frame, 0.15),
    "overexposed": lambda frame: scaled(frame, 3.0),
    "blurred": lambda frame: cv2.GaussianBlur(frame, (0, 0), 5),
    "corrupt, grey": lambda frame: with_bottom(frame, (128, 128, 128)),
    "corrupt, green": lambda frame: with_bottom(frame, (0, 135, 0)),
}


def faults_of(frames: list[Frame]) -> list[tuple[str, ...]]:
    return [item.faults for item in watch_frames(fake_source(frames, live=False))]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    expected = "black" if "black" in name else name.partition(",")[0]
    assert faults_of([PLANTED[name](frame) for frame in CLIP]) == [(expected,)] * len(CLIP)


def test_a_wall_of_one_grey_is_a_picture() -> None:
    assert "blank" not in faults_of([np.full_like(CLIP[0], 190)])[0]


def test_good_frames_have_no_fault() -> None:
    sharp = [*CLIP, *(scaled(frame, 0.6) for frame in CLIP), *(scaled(f, 1.4) for f in CLIP)]
    assert faults_of(sharp) == [()] * len(sharp)


def test_what_a_source_found_already_is_kept() -> None:
    source = fake_source(CLIP, live=False, faults=lambda frame: ("geometry",))
    assert [item.faults for item in watch_frames(source)] == [("geometry",)] * len(CLIP)


def frozen_after_s(frames: list[Frame], moving: list[bool | None]) -> list[float]:
    """Return when, in seconds of a 10 FPS stream, frames were called frozen."""
    source = fake_source(frames, live=False)
    items = (
        Captured(frame_id=item.frame_id, name=item.name, frame=item.frame, mono_ns=i * 10**9 // FPS)
        for i, item in enumerate(source)
    )
    object.__setattr__(source, "items", items)
    answers = iter(moving)
    found = watch_frames(source, moving=lambda captured: next(answers))
    return [item.mono_ns / 1e9 for item in found if "frozen" in item.faults]


def still(count: int, noise: int = 0) -> list[Frame]:
    rng = np.random.default_rng(1)
    flips = [(rng.random(CLIP[0].shape) < 0.02) * noise for _ in range(count)]
    return [(CLIP[0] ^ flip.astype(np.uint8)) for flip in flips]


def test_a_still_picture_is_frozen_while_the_robot_moves() -> None:
    assert min(frozen_after_s(still(40), [True] * 40)) == pytest.approx(2.0)
    assert min(frozen_after_s(still(40, noise=1), [True] * 40)) == pytest.approx(2.0)


def test_a_still_picture_is_right_while_the_robot_stands() -> None:
    assert frozen_after_s(still(60), [False] * 60) == []
    stops = [False] * 30 + [True] * 30  # the time it stood does not count
    assert min(frozen_after_s(still(60), stops)) == pytest.approx(4.9, abs=0.11)


def test_a_picture_that_changes_is_not_frozen() -> None:
    frames = list(itertools.islice(itertools.cycle(CLIP), 40))
    assert frozen_after_s(frames, [True] * 40) == []


def test_without_an_odometer_only_a_dead_picture_is_frozen() -> None:
    assert min(frozen_after_s(still(40), [None] * 40)) == pytest.approx(2.0)
    assert frozen_after_s(still(40, noise=1), [None] * 40) == []
