"""A drive past a wall with known cracks; what segments is the truth itself."""

import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hand_made import facts

from scnet_edge.events import event_now
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import Setup
from scnet_edge.runtime.loop import run_loop
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.journal import Journal
from scnet_edge.types import Captured, Frame, Result
from scnet_edge.video.sources import Source

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
FRAMES, STEP_PX, SIZE_HW = 60, 12, (120, 160)
PIPE = Setup(mode="side", diameter_mm=300, mm_per_px=0.5, roll="fixed", max_speed_mps=5)
WALL = Setup(mode="wall")
# x, y of both ends on the unrolled wall, in px; the middle one is long, and in view with the others
CRACKS = (((200, 30), (260, 90)), ((330, 40), (620, 60)), ((640, 90), (700, 30)))


def wall() -> Frame:
    drawn = np.full((SIZE_HW[0], SIZE_HW[1] + STEP_PX * FRAMES), 200, np.uint8)
    for start, end in CRACKS:
        cv2.line(drawn, start, end, 30, 5)
    return np.repeat(drawn[..., None], 3, axis=2)


def segment(frame: Frame) -> Result:
    mask = frame[..., 0] < 100
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def captured(frame_id: int, frame: Frame) -> Captured:
    return Captured(frame_id=frame_id, name=f"{frame_id}", frame=frame, mono_ns=frame_id * 10**8)


def drive(first: int = 0, last: int = FRAMES) -> Generator[Captured]:
    image = wall()
    for i in range(first, last):
        x = STEP_PX * i
        yield captured(i, np.ascontiguousarray(image[:, x : x + SIZE_HW[1]]))


def survey(
    folder: Path,
    items: Any,
    *,
    setup: Setup = PIPE,
    odometry: str | None = "step://6mm",
    finished: bool = True,
    live: bool = False,
    separate: bool = False,
) -> Survey:
    with (
        Journal(folder, facts(), limits=SMALL, replays=not live) as journal,
        open_odometry(odometry, setup) as where,
    ):
        inspector = Inspector(journal, setup, where, live=live, separate=separate)
        source = Source(items=items, count=None, live=live)
        source = replace(source, items=inspector.unseen(source.items))
        run_loop(source, segment, [inspector], policy="every")
        inspector.close(finished=finished)
    return read_survey(folder)


def places(found: Survey) -> list[tuple[float, float]]:
    return [(round(o.start_m or 0, 3), round(o.end_m or 0, 3)) for o in found.observations]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Return the survey of the whole drive."""
    return survey(tmp_path_factory.mktemp("whole"), drive())


def test_every_crack_once_where_it_is(whole: Survey) -> None:
    found = whole
    assert len(found.observations) == len(CRACKS)
    by_place = sorted(found.observations, key=lambda o: o.start_m or 0)
    for o, (start, end) in zip(by_place, CRACKS, strict=True):
        # A frame's middle lies at the odometer's chainage.
        assert o.start_m == pytest.approx((start[0] - 79.5) * 0.5e-3, abs=0.004)
        assert o.end_m == pytest.approx((end[0] - 79.5) * 0.5e-3, abs=0.004)
        assert (found.folder / "snapshots" / str(o.snapshot)).is_file()
    assert found.progress is not None
    assert found.progress.finished
    assert found.progress.frames == FRAMES
    assert found.gaps == ()


def test_the_stored_mask_is_that_crack_alone(whole: Survey) -> None:
    for o in whole.observations:
        path = whole.folder / "snapshots" / f"{o.seq:06d}.png"
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert (stored > 0).sum() == o.area_px
        x, y, width, height = cv2.boundingRect(stored)
        assert (x, y, x + width, y + height) == o.bbox_xyxy


def killed(folder: Path, at: int) -> None:
    """Leave a survey as SIGKILL does: what was committed, and nothing else."""

    def cut() -> Generator[Captured]:
        yield from drive(0, at)
        raise KeyboardInterrupt

    with (
        Journal(folder, facts(), limits=SMALL, replays=True) as journal,
        open_odometry("step://6mm", PIPE) as where,
    ):
        inspector = Inspector(journal, PIPE, where)
        source = Source(items=inspector.unseen(cut()), count=None)
        with pytest.raises(KeyboardInterrupt):
            run_loop(source, segment, [inspector], policy="every")


@pytest.mark.parametrize(
    ("cuts", "every_s"),  # progress is committed after each frame, or with a crack only
    [((30,), 0.0), ((28, 45), 1e9), ((20, 21, 50), 1e9)],
)
def test_a_survey_that_was_killed_goes_on_as_if_it_had_not_been(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: Survey,
    cuts: Sequence[int],
    every_s: float,
) -> None:
    monkeypatch.setattr("scnet_edge.survey.inspector.COMMIT_EVERY_S", every_s)
    for cut in cuts:
        killed(tmp_path / "cut", cut)
    resumed = survey(tmp_path / "cut", drive())
    assert [o.seq for o in resumed.observations] == [o.seq for o in whole.observations]
    assert places(resumed) == places(whole)
    for one, other in zip(resumed.observations, whole.observations, strict=True):
        assert one == other
    assert resumed.progress == whole.progress


def test_stopped_by_hand_the_crack_in_view_is_left_for_later(tmp_path: Path, whole: Survey) -> None:
    stopped = survey(tmp_path, drive(0, 40), finished=False)
    assert stopped.progress is not None
    assert not stopped.progress.finished
    assert stopped.progress.resume_frame_id < 40
    assert places(survey(tmp_path, drive())) == places(whole)


def test_a_gap_says_from_where_to_where(tmp_path: Path) -> None:
    def items() -> Generator[Any]:
        yield from drive(0, 20)
        gap = replace(event_now("gap", "camera_lost"), from_mono_ns=1)
        yield gap
        yield from drive(30, 40)

    [gap] = survey(tmp_path, items()).gaps
    assert gap.reason == "camera_lost"
    assert (gap.start_m, gap.end_m) == pytest.approx((19 * 0.006, 30 * 0.006))


def test_a_live_survey_goes_on_with_new_numbers(tmp_path: Path) -> None:
    first = survey(tmp_path, drive(0, 30), live=True, finished=False)
    second = survey(tmp_path, drive(0, 30), live=True, finished=False)
    assert len(second.observations) == 2 * len(first.observations) > 0
    frames = [o.best_frame_id for o in second.observations]
    assert max(frames[: len(frames) // 2]) < 30 <= min(frames[len(frames) // 2 :])


def test_photographs_are_places_of_their_own(tmp_path: Path) -> None:
    image = np.ascontiguousarray(wall()[:, 190 : 190 + SIZE_HW[1]])
    tall = np.ascontiguousarray(np.rot90(image))
    shots = [captured(i, frame) for i, frame in enumerate((image, image, tall))]
    found = survey(
        tmp_path, (shot for shot in shots), setup=WALL, odometry=None, separate=True
    ).observations
    assert [o.best_frame_id for o in found] == [0, 0, 1, 1, 2, 2]
    assert all(o.start_m is None and o.width_p95_mm is None for o in found)
    assert [o.bbox_xyxy for o in found[:2]] == [o.bbox_xyxy for o in found[2:4]]


def test_degraded_working_is_said_of_the_cracks_it_saw(tmp_path: Path) -> None:
    def items() -> Generator[Any]:
        yield from drive(0, 12)
        yield event_now("degraded", "hot")
        yield from drive(12, 20)
        yield event_now("recovered")
        yield from drive(20, FRAMES)

    flags = ["degraded" in o.flags for o in survey(tmp_path, items()).observations]
    assert any(flags)
    assert not all(flags)


class Behind:
    """An odometer that began 30 cm before the start."""

    def at(self, captured: Captured) -> Pose:
        return Pose(chainage_m=-0.3 + 0.006 * captured.frame_id)


def test_an_odometer_that_reads_less_than_0_is_said_once(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        inspector = Inspector(journal, PIPE, Behind())  # type: ignore[arg-type]
        run_loop(Source(items=drive(), count=None), segment, [inspector], policy="every")
        inspector.close()
    found = read_survey(tmp_path)
    [alarm] = found.alarms
    assert (alarm.reason, alarm.detail.split(";")[0]) == (
        "odometry",
        "reads -0.30 m: what lies before 0 m is given at 0 m",
    )
    assert all("before_start" in o.flags for o in found.observations if o.start_m == 0)
    assert any(o.start_m == 0 for o in found.observations)


def test_that_a_film_was_deinterlaced_is_kept(tmp_path: Path) -> None:
    detail = "interlaced from 0.0 s on, top field first (as the file says): deinterlaced"

    def items() -> Generator[Any]:
        yield event_now("deinterlaced", detail=detail)
        yield from drive()

    found = survey(tmp_path, items())
    assert [(a.reason, a.detail) for a in found.alarms] == [("deinterlaced", detail)]


def test_a_robot_whose_wheels_spin_is_said_and_flagged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rough = rng.normal(0, 12, (SIZE_HW[0] // 4, wall().shape[1] // 4)).astype(np.float32)
    image = wall() + cv2.resize(rough, wall().shape[1::-1])[..., None]

    def stuck() -> Generator[Captured]:
        for i in range(FRAMES):
            x = STEP_PX * min(i, 12)
            noisy = image[:, x : x + SIZE_HW[1]] + rng.normal(0, 3, (*SIZE_HW, 1))
            yield captured(i, np.clip(noisy, 0, 255).astype(np.uint8))

    found = survey(tmp_path / "stuck", stuck())
    [alarm] = found.alarms
    assert alarm.reason == "odometry"
    assert re.match(
        r"runs from 0\.0\d m to 0\.3[345] m while the picture stands still", alarm.detail
    )
    assert any("odometry_disagrees" in o.flags for o in found.observations)
    sound = survey(tmp_path / "sound", drive())
    assert not sound.alarms
    assert not any("odometry_disagrees" in o.flags for o in sound.observations)
