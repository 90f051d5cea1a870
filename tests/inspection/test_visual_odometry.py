"""A window that moves over a wall by known steps, and what its frames say of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.types import Captured

SIZE_HW = (240, 320)


def wall() -> np.ndarray:
    """A rough wall, (400, 1600, 3), with one crack of 300 px across its middle."""
    random = np.random.default_rng(4)
    grey = sum(
        cv2.GaussianBlur(random.normal(0, 14 * size, (400, 1600)), (0, 0), size)
        for size in (1, 3, 9)
    )
    grey = 130 + grey
    cv2.line(grey, (500, 210), (800, 190), 20.0, 7)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def captured(frame_id: int, x: int, y: int) -> Captured:
    random = np.random.default_rng(frame_id)
    frame = WALL[y : y + SIZE_HW[0], x : x + SIZE_HW[1]].astype(float)
    light = np.linspace(0.7, 1.0, SIZE_HW[1])[None, :, None]  # moves with the camera
    noisy = np.clip(frame * light + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
    return Captured(frame_id=frame_id, name=f"{frame_id}", frame=noisy, mono_ns=frame_id * 10**8)


WALL = wall()
WAY = [(20 + 14 * i, 80 + round(30 * np.sin(i / 6))) for i in range(70)]


def poses(setup: Setup) -> list[Pose]:
    with open_odometry("visual://", setup) as odometry:
        return [odometry.at(captured(i, x, y)) for i, (x, y) in enumerate(WAY)]


def test_the_way_adds_up_along_and_across() -> None:
    found = poses(Setup(mode="wall", mm_per_px=0.5))
    for pose, (x, y) in zip(found, WAY, strict=True):
        assert pose.flags == ("visual_odometry",)
        assert pose.chainage_m == pytest.approx((x - WAY[0][0]) * 0.0005, abs=0.01)
        assert pose.across_m == pytest.approx(-(y - WAY[0][1]) * 0.0005, abs=0.004)
    assert found[-1].sigma_m is not None
    assert abs((found[-1].chainage_m or 0) - 69 * 14 * 0.0005) < 2 * found[-1].sigma_m


def test_without_a_scale_it_is_in_pixels() -> None:
    last = poses(Setup(mode="wall"))[-1]
    assert last.chainage_m is None
    assert last.film_from_frame is not None
    (a, b, x), (_, _, y) = last.film_from_frame
    assert (a, b) == pytest.approx((1, 0), abs=0.03)
    assert (x, y) == pytest.approx((69 * 14, WAY[-1][1] - WAY[0][1]), abs=20)


@pytest.mark.parametrize("mm_per_px", [None, 0.5])
def test_a_crack_in_a_hand_held_video_is_one(mm_per_px: float | None) -> None:
    setup = Setup(mode="wall", mm_per_px=mm_per_px)
    geometry = geometry_of(setup, SIZE_HW)
    follower, found = Follower(setup, geometry), []
    truth = np.zeros((400, 1600), np.uint8)
    cv2.line(truth, (500, 210), (800, 190), 1, 7)
    with open_odometry("visual://", setup) as odometry:
        for i, (x, y) in enumerate(WAY):
            now = captured(i, x, y)
            pose = odometry.at(now)
            mask = truth[y : y + SIZE_HW[0], x : x + SIZE_HW[1]] > 0
            placed = place(i, trace_cracks(mask), None, geometry, pose)
            found += follower.see(now, placed, pose)
    [one] = found + follower.finish()
    assert "visual_odometry" in one.flags
    assert "no_odometry" not in one.flags
    assert ("no_scale" in one.flags) == (mm_per_px is None)
    if mm_per_px:
        assert one.length_mm is not None
        assert one.length_mm.value == pytest.approx(0.5 * 307, rel=0.04)


def turned(frame_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a view of a hand that shakes, turns and comes nearer, and its crack in two pieces."""
    turn_deg, zoom = 12 * np.sin(frame_id / 9), 1 + 0.25 * np.sin(frame_id / 14)
    middle = (650 + 60 * np.sin(frame_id / 5), 200 + 40 * np.cos(frame_id / 7))
    matrix = cv2.getRotationMatrix2D(middle, turn_deg, zoom)
    matrix[:, 2] += np.array([SIZE_HW[1] / 2, SIZE_HW[0] / 2]) - middle
    truth = np.zeros(WALL.shape[:2], np.uint8)
    cv2.line(truth, (560, 206), (740, 194), 1, 5)
    if frame_id % 3:  # the net loses a part of it, now and then
        cv2.line(truth, (640, 230), (660, 170), 0, 9)
    view = [
        cv2.warpAffine(image, matrix, SIZE_HW[::-1], flags=flags)
        for image, flags in ((WALL, cv2.INTER_LINEAR), (truth, cv2.INTER_NEAREST))
    ]
    return view[0], view[1] > 0


def test_a_crack_before_a_hand_that_turns_and_comes_nearer_is_one() -> None:
    setup = Setup(mode="wall")
    follower, found = Follower(setup, geometry_of(setup, SIZE_HW)), []
    with open_odometry("visual://", setup) as odometry:
        for i in range(60):
            frame, mask = turned(i)
            now = Captured(frame_id=i, name=f"{i}", frame=frame, mono_ns=i * 10**8)
            pose = odometry.at(now)
            assert "odometry_lost" not in pose.flags
            placed = place(i, trace_cracks(mask), None, follower.geometry, pose)
            found += follower.see(now, placed, pose)
    [one] = found + follower.finish()
    assert (one.first_frame_id, one.last_frame_id) == (0, 59)
    assert "short" not in one.flags


def test_a_speck_is_flagged_as_short() -> None:
    setup = Setup(mode="wall")
    follower = Follower(setup, geometry_of(setup, SIZE_HW))
    mask = np.zeros(SIZE_HW, bool)
    mask[100:104, 50:65] = True
    now = captured(0, 20, 80)
    follower.see(now, place(0, trace_cracks(mask), None, follower.geometry, Pose()), Pose())
    [speck] = follower.finish()
    assert "short" in speck.flags


def test_a_view_that_shares_nothing_with_the_last_begins_a_segment() -> None:
    with open_odometry("visual://", Setup(mode="wall", mm_per_px=0.5)) as odometry:
        odometry.at(captured(0, 20, 80))
        pose = odometry.at(captured(1, 1200, 80))
    assert (pose.segment, pose.chainage_m) == (1, 0)
    assert "odometry_lost" in pose.flags


def test_a_camera_that_looks_ahead_sees_no_wall_pass() -> None:
    setup = Setup(
        mode="forward", diameter_mm=300, fx=200, fy=200, cx=160, cy=120, width_px=320, height_px=240
    )
    with pytest.raises(ConfigError, match="forward"), open_odometry("visual://", setup):
        pass
