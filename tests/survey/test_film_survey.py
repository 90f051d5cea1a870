"""Surveys of films as people have them: the same records as of the plain film, or a gap.

The wall is drawn, so it is known where its cracks are; what segments is its darkness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from films import woven, write_film
from hand_made import facts

from scnet_edge.events import Event
from scnet_edge.inspection.odometry import moves, open_odometry
from scnet_edge.inspection.setup import Setup
from scnet_edge.runtime.delivery import CallbackSink
from scnet_edge.runtime.loop import run_loop
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.report.page import gap_m
from scnet_edge.types import Frame, Result
from scnet_edge.video.frame_checks import watch_frames
from scnet_edge.video.sources import open_source

Grey = npt.NDArray[np.uint8]
SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
FPS, SPEED_MPS, MM_PER_PX = 25, 0.2, 0.25
SETUP = Setup(mode="side", diameter_mm=300, mm_per_px=MM_PER_PX, roll="fixed")
CRACKS_MM = (((100, 20), (140, 60)), ((190, 40), (260, 90)), ((300, 90), (330, 30)))
"""Ends of the cracks on the wall, along and down, in mm."""


@cache
def wall(height_px: int) -> Grey:
    """Return the whole wall, unrolled."""
    rng = np.random.default_rng(3)
    coarse = rng.normal(190, 6, (height_px // 8, 256)).astype(np.float32)
    grey = cv2.resize(coarse, (2048, height_px), interpolation=cv2.INTER_CUBIC)
    for ends in CRACKS_MM:
        points = [tuple(round(16 * mm / MM_PER_PX) for mm in end) for end in ends]
        cv2.line(grey, *points, 30.0, 7, cv2.LINE_AA, 4)
    return np.clip(grey, 0, 255).astype(np.uint8)


def view(time_s: float, size_hw: tuple[int, int]) -> Frame:
    """Return what a side-looking camera sees that moves right at SPEED_MPS."""
    shift = np.array([[1, 0, -SPEED_MPS * 1000 / MM_PER_PX * time_s], [0, 1, 0]], np.float32)
    seen = cv2.warpAffine(wall(size_hw[0]), shift, size_hw[::-1], flags=cv2.INTER_LINEAR)
    return np.repeat(seen.astype(np.uint8)[..., None], 3, axis=2)


def views(times_s: Sequence[float], size_hw: tuple[int, int] = (288, 360)) -> list[Frame]:
    return [view(t, size_hw) for t in times_s]


def segment(frame: Frame) -> Result:
    mask = frame[..., 0] < 110
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def survey(folder: Path, film: Path) -> tuple[Survey, list[Event]]:
    """Inspect a film with an odometer that says where the camera was at each time."""
    folder.mkdir(exist_ok=True)
    path, events = folder / "odometry.csv", list[Event]()
    rows = [f"{t / 10:.1f},{SPEED_MPS * t / 10:.4f}" for t in range(100)]
    path.write_text("\n".join(["time_s,chainage_m", *rows, ""]))
    with (
        Journal(folder / "survey", facts(), limits=SMALL) as journal,
        open_odometry(str(path), SETUP) as where,
        open_source(str(film)) as source,
    ):
        inspector = Inspector(journal, SETUP, where)
        source = replace(source, items=inspector.unseen(source.items))
        source = watch_frames(source, moving=lambda captured: moves(where, captured))
        with closing(source.items):
            run_loop(source, segment, [inspector, CallbackSink(on_event=events.append)])
        inspector.close()
    return read_survey(folder / "survey"), events


def ends_m(found: Survey) -> list[tuple[float, float]]:
    return sorted((o.start_m or 0.0, o.end_m or 0.0) for o in found.observations)


def assert_same(found: Survey, twin: Survey, within_m: float) -> None:
    for one, other in zip(ends_m(found), ends_m(twin), strict=True):
        assert one == pytest.approx(other, abs=within_m)


def test_an_interlaced_film_gives_the_records_of_its_progressive_twin(tmp_path: Path) -> None:
    size_hw, count = (576, 720), 22
    fields = views([i / (2 * FPS) for i in range(2 * count)], size_hw)
    options = {"b": "9M", "bf": "2"}
    plain = write_film(tmp_path / "p.mpg", fields[::2], "mpeg2video", fps=FPS, options=options)
    interlaced = write_film(
        tmp_path / "i.mpg", woven(fields), "mpeg2video", fps=FPS, interlaced=True, options=options
    )
    twin, _ = survey(tmp_path / "one", plain)
    found, events = survey(tmp_path / "two", interlaced)
    assert len(twin.observations) == len(CRACKS_MM)
    assert [e.kind for e in events] == ["deinterlaced", "run_closed"]
    assert_same(found, twin, within_m=0.01)
    widths = [[o.width_mean_px for o in s.observations] for s in (found, twin)]
    assert widths[0] == pytest.approx(widths[1], rel=0.2)


def test_a_variable_frame_rate_moves_nothing(tmp_path: Path) -> None:
    times_s = [i / FPS for i in range(40) if i % 7 not in (2, 3, 5)]
    film = write_film(tmp_path / "vfr.mp4", views(times_s), times_s=times_s)
    even_s = [i / FPS for i in range(40)]
    plain = write_film(tmp_path / "cfr.mp4", views(even_s), fps=FPS)
    twin, _ = survey(tmp_path / "one", plain)
    found, _ = survey(tmp_path / "two", film)
    assert len(twin.observations) == len(CRACKS_MM)
    assert_same(found, twin, within_m=0.005)
    for o in found.observations:
        assert o.time_s == pytest.approx(times_s[o.best_frame_id], abs=0.001)


def test_pixels_that_are_not_square_change_no_length(tmp_path: Path) -> None:
    square = views([i / FPS for i in range(40)], (288, 512))
    narrow = [cv2.resize(v, (360, 288), interpolation=cv2.INTER_AREA) for v in square]
    plain = write_film(tmp_path / "square.mp4", square, fps=FPS)
    film = write_film(tmp_path / "a.mp4", narrow, fps=FPS, pixel_aspect=Fraction(64, 45))
    twin, _ = survey(tmp_path / "one", plain)
    found, _ = survey(tmp_path / "two", film)
    assert len(twin.observations) == len(CRACKS_MM)
    assert_same(found, twin, within_m=0.002)


BLACK: dict[str, Callable[[int], bool]] = {
    "begins": lambda i: i < 20,
    "middle": lambda i: 20 <= i < 40,
    "ends": lambda i: i >= 40,
}


@pytest.mark.parametrize("where", BLACK)
def test_a_black_stretch_is_a_gap_and_nobody_vouches_for_it(tmp_path: Path, where: str) -> None:
    frames = views([i / FPS for i in range(60)])
    dark = [np.full_like(frames[0], 3) if BLACK[where](i) else f for i, f in enumerate(frames)]
    found, events = survey(tmp_path, write_film(tmp_path / "a.mp4", dark, fps=FPS))
    [gap] = found.gaps
    assert gap.reason == "black"
    assert [e.reason for e in events if e.kind == "gap"] == ["black"]
    ids = [i for i in range(60) if BLACK[where](i)]
    assert (gap.first_frame_id, gap.last_frame_id) == (ids[0], ids[-1])
    step_m = SPEED_MPS / FPS
    assert gap.start_m == pytest.approx(max(0, ids[0] - 1) * step_m, abs=0.001)
    assert gap.end_m == pytest.approx(min(59, ids[-1] + 1) * step_m, abs=0.001)
    assert found.progress is not None
    assert found.progress.frames == 40
    seen_m = (found.length_m or 0.0) - gap_m(found)
    assert seen_m == pytest.approx((40 - 1) * step_m, abs=1.5 * step_m)


def test_a_film_that_stands_still_while_the_odometer_runs_is_a_gap(tmp_path: Path) -> None:
    frames = views([min(i, 10) / FPS for i in range(80)])
    found, _ = survey(tmp_path, write_film(tmp_path / "a.mp4", frames, fps=FPS))
    [gap] = found.gaps
    assert gap.reason == "frozen"
    assert gap.start_m == pytest.approx(10 * SPEED_MPS / FPS, abs=0.002)
    assert gap.end_m == pytest.approx(79 * SPEED_MPS / FPS, abs=0.002)


def test_damage_costs_its_stretch_and_nothing_else(tmp_path: Path) -> None:
    frames = views([i / FPS for i in range(75)])
    options = {"g": "15"}
    film = write_film(tmp_path / "a.ts", frames, fps=FPS, options=options)
    twin, _ = survey(tmp_path / "one", film)
    data = bytearray(film.read_bytes())
    at = len(data) * 3 // 20
    data[at : at + len(data) // 30] = bytes(len(data) // 30)
    film.write_bytes(data)
    found, events = survey(tmp_path / "two", film)
    assert_same(found, twin, within_m=0.01)
    assert {e.reason for e in events if e.kind == "gap"} <= {"corrupt", "no_picture"}
    assert found.progress is not None
    assert 40 <= found.progress.frames < 75


def test_a_recorder_s_pause_is_said_and_moves_nothing(tmp_path: Path) -> None:
    times_s = [i / FPS for i in range(60) if not 20 <= i < 45]
    film = write_film(tmp_path / "a.mkv", views(times_s), times_s=times_s)
    found, events = survey(tmp_path, film)
    [gap] = [e for e in events if e.kind == "gap"]
    assert gap.reason == "no_picture"
    assert gap.detail == "not inspected for 1.0 s, from 0.8 s to 1.8 s of the film"
    [recorded] = found.gaps
    assert (recorded.start_m, recorded.end_m) == pytest.approx((0.152, 0.36), abs=0.002)
