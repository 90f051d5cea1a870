"""Clips: repeatable, true to their masks, and the shipped one is what its seed renders."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.simulation.clip import read_truth, render_clip, write_truth

SAMPLES = Path(__file__).parents[2] / "samples"


def test_frames_and_masks_have_the_shape_asked_for() -> None:
    clip = list(render_clip(3, (130, 210), seed=1))
    assert len(clip) == 3
    for frame, mask in clip:
        assert frame.shape == (130, 210, 3)
        assert frame.dtype == np.uint8
        assert mask.shape == (130, 210)
        assert mask.dtype == np.bool_


def test_the_seed_fixes_every_byte() -> None:
    first, again = (list(render_clip(4, (128, 192), seed=7)) for _ in range(2))
    other = next(render_clip(1, (128, 192), seed=8))
    for (frame, mask), (frame2, mask2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(frame, frame2)
        np.testing.assert_array_equal(mask, mask2)
    assert not np.array_equal(first[0][0], other[0])


def test_a_clip_starts_as_a_shorter_one_does() -> None:
    long, short = render_clip(50, (96, 128), seed=2), render_clip(2, (96, 128), seed=2)
    for (frame, _), (frame2, _) in zip(islice(long, 2), short, strict=True):
        np.testing.assert_array_equal(frame, frame2)


def test_cracks_are_darker_than_what_surrounds_them() -> None:
    for frame, mask in islice(render_clip(40, (192, 272), seed=1), 0, None, 8):
        near = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15))).astype(bool)
        near &= ~cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
        if mask.sum() > 100:
            assert frame[mask].mean() < 0.75 * frame[near].mean()


def test_the_wall_moves_with_its_mask() -> None:
    (frame, mask), (frame2, mask2) = islice(render_clip(2, (384, 544), seed=1), 2)
    greys = [cv2.cvtColor(f, cv2.COLOR_BGR2GRAY).astype(np.float32) for f in (frame, frame2)]
    (x, y), _ = cv2.phaseCorrelate(*greys, cv2.createHanningWindow((544, 384), cv2.CV_32F))
    moved = cv2.warpAffine(mask.astype(np.float32), np.float32([[1, 0, x], [0, 1, y]]), (544, 384))
    both = (moved >= 0.5)[:, :500] & mask2[:, :500]  # what entered at the right was not seen before
    either = (moved >= 0.5)[:, :500] | mask2[:, :500]
    assert both.sum() / either.sum() > 0.8


@pytest.mark.parametrize(("frames", "size_hw"), [(0, (96, 96)), (-1, (96, 96)), (1, (1, 1))])
def test_impossible_clips_are_refused(frames: int, size_hw: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least"):
        render_clip(frames, size_hw, seed=0)


def test_truth_comes_back_as_written(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((3, 5, 7)) > 0.5
    write_truth(tmp_path / "truth.npz", list(masks))
    np.testing.assert_array_equal(read_truth(tmp_path / "truth.npz"), masks)


def test_files_that_are_no_truth_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    write_truth(good, [np.ones((64, 64), bool)])
    (tmp_path / "text.npz").write_text("not a truth")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:-40])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "short.npz", masks=np.zeros(3, np.uint8), shape=np.array([2, 64, 64]))
    np.savez(tmp_path / "type.npz", masks=np.zeros(3), shape=np.array([1, 4, 6]))
    np.savez(tmp_path / "flat.npz", masks=np.zeros(3, np.uint8), shape=np.array([24]))
    bad = [*sorted(p for p in tmp_path.iterdir() if p != good), tmp_path, tmp_path / "missing.npz"]
    for path in bad:
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_truth(path)


def test_the_sample_is_what_its_seed_renders() -> None:
    truth = read_truth(SAMPLES / "pipe_truth.npz")
    video = cv2.VideoCapture(str(SAMPLES / "pipe.mp4"))
    for (frame, mask), shipped in zip(render_clip(48, (384, 544), seed=26), truth, strict=True):
        ok, decoded = video.read()
        assert ok
        assert (mask != shipped).sum() <= 20  # another machine may round an edge otherwise
        assert cv2.PSNR(frame, decoded) > 33
    assert not video.read()[0]


def test_the_sample_shows_cracks_and_sound_wall() -> None:
    areas = read_truth(SAMPLES / "pipe_truth.npz").sum((1, 2))
    assert len(areas) == 48
    assert (areas > 100).mean() > 0.5
    assert (areas == 0).any()
    sizes = [(SAMPLES / name).stat().st_size for name in ("pipe.mp4", "pipe_truth.npz")]
    assert sum(sizes) < 2.5e6
