"""Cracks in other images, and what a camera on a robot adds: the truth stays true."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.data.blend import blend, paste_samples, shading
from scnet_edge.data.filming import film, plain_frame
from scnet_edge.data.samples import Sample
from scnet_edge.evaluation.alarms import LEAST_PX


@pytest.fixture
def cracked() -> tuple[np.ndarray, np.ndarray]:
    """A wall of 180 with a crack of 60, 5 px wide."""
    mask = np.zeros((200, 300), np.uint8)
    cv2.polylines(mask, [np.array([[10, 90], [120, 110], [290, 60]])], False, 255, 5)
    frame = np.where(mask[..., None] > 0, 60, 180).astype(np.uint8).repeat(3, 2)
    return frame, mask > 0


def test_shading_is_the_light_of_the_crack_beside_its_wall(
    cracked: tuple[np.ndarray, np.ndarray],
) -> None:
    light = shading(*cracked)
    assert light[cracked[1]].mean() == pytest.approx(60 / 180, abs=0.05)
    assert np.abs(light[:40] - 1).max() < 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_a_blended_crack_is_dark_where_its_mask_is_and_nowhere_else(
    cracked: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    place = np.full((320, 400, 3), 140, np.uint8)
    made = blend(place, shading(*cracked), cracked[1], rng)
    assert made is not None
    out, mask = made
    assert out.shape == place.shape
    assert out[mask].mean() < 0.85 * 140
    far = cv2.dilate(mask.astype(np.uint8), np.ones((25, 25), np.uint8)) == 0
    assert np.array_equal(out[far], place[far])  # no seam


def test_no_crack_goes_into_the_dark_or_onto_text(
    cracked: tuple[np.ndarray, np.ndarray],
) -> None:
    light, rng = shading(*cracked), np.random.default_rng(0)
    dark, blue = np.full((90, 90, 3), 9, np.uint8), np.zeros((90, 90, 3), np.uint8)
    blue[..., 0] = 255
    assert blend(dark, light, cracked[1], rng) is None
    assert blend(blue, light, cracked[1], rng) is None
    faint = np.ones_like(light)
    assert blend(np.full((90, 90, 3), 140, np.uint8), faint, cracked[1], rng) is None


def test_pasted_cracks_are_dark_seen_and_always_the_same(
    cracked: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for name, image in (
        ("crack", cracked[0]),
        ("mask", cracked[1].astype(np.uint8) * 255),
        ("sewer", np.full((300, 300, 3), (120, 140, 150), np.uint8)),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    lender = Sample(tmp_path / "crack.png", tmp_path / "mask.png")
    place = Sample(tmp_path / "sewer.png", tmp_path / "sewer.png", "negative")
    made, again = (paste_samples([lender], [place], count=4) for _ in range(2))
    assert len(made) == 4
    for one, other in zip(made, again, strict=True):
        frame, mask = one.read_frame(), one.read_mask()
        assert np.array_equal(frame, other.read_frame())
        assert frame[mask].mean() < 0.88 * frame[~mask].mean()
        assert one.role == "crack"


@pytest.mark.parametrize("seed", range(12))
def test_what_is_filmed_keeps_a_crack_or_hides_it(
    cracked: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    frame, mask = cracked
    rng = np.random.default_rng(seed)
    for _ in range(5):
        out, kept = film(frame, mask, rng)
        assert out.shape == frame.shape
        assert out.dtype == np.uint8
        assert not (kept & ~mask).any()
        if kept.sum() > 400:  # where it is still marked it is still darker than the wall
            assert out[kept].mean() < out[~mask].mean() + 20


def test_plain_frames_are_of_every_tone() -> None:
    rng = np.random.default_rng(0)
    frames = [plain_frame((64, 96), rng) for _ in range(60)]
    assert {frame.shape for frame in frames} == {(64, 96, 3)}
    means = [frame.mean() for frame in frames]
    assert min(means) < 20
    assert max(means) > 235
    assert any(np.ptp(frame) == 0 for frame in frames)  # nothing at all
    assert LEAST_PX < 64 * 96
