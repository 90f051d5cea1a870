"""Readings from files, sockets, a serial line and a speed, asked for at the time of a frame."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.inspection import live_odometry
from scnet_edge.inspection.live_odometry import LiveOdometry, lines_of_udp, parse_line
from scnet_edge.inspection.odometry import Odometry, moves, open_odometry
from scnet_edge.inspection.readings import KEPT, Pose, Readings
from scnet_edge.inspection.setup import Setup
from scnet_edge.types import Captured

SETUP = Setup(mode="wall")


def frame_at(t_s: float, *, frame_id: int = 0, utc_ns: int | None = None) -> Captured:
    frame = np.zeros((8, 8, 3), np.uint8)
    mono_ns = round(t_s * 1e9)
    return Captured(frame_id=frame_id, name="f", frame=frame, mono_ns=mono_ns, utc_ns=utc_ns)


def test_a_file_is_interpolated_from_the_first_frame_on(tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    path.write_text("time_s,chainage_m,roll_deg\n0,10.0,0\n1,10.2,4\n2,10.6,-2\n")
    with open_odometry(str(path), SETUP) as odometry:
        poses = [odometry.at(frame_at(500 + t)) for t in (0, 0.5, 1.25, 2)]
    assert [p.chainage_m for p in poses] == pytest.approx([10.0, 10.1, 10.3, 10.6])
    assert [p.roll_deg for p in poses] == pytest.approx([0, 2, 2.5, -2])
    assert all(p.flags == () and p.segment == 0 for p in poses)


def test_the_clock_of_a_file_is_its_column(tmp_path: Path) -> None:
    path = tmp_path / "survey.jsonl"
    path.write_text('{"frame_id": 0, "chainage_m": 0}\n{"frame_id": 10, "chainage_m": 1}\n')
    with open_odometry(str(path), SETUP) as odometry:
        assert odometry.at(frame_at(0, frame_id=5)).chainage_m == pytest.approx(0.5)
    path.write_text('{"utc_ns": 5000000000, "chainage_m": 1}\n{"utc_ns": 6e9, "chainage_m": 2}\n')
    with open_odometry(str(path), SETUP) as odometry:
        late = frame_at(0, utc_ns=5_500_000_000)
        assert odometry.at(late).chainage_m == pytest.approx(1.5)
        assert odometry.at(frame_at(0)).flags == ("odometry_lost",)


def test_a_file_that_ends_early_says_so_and_gives_no_chainage(tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    path.write_text("time_s,chainage_m\n0,0\n1,0.2\n")
    with open_odometry(str(path), SETUP) as odometry:
        odometry.at(frame_at(0))
        soon, late = odometry.at(frame_at(1.2)), odometry.at(frame_at(9))
    assert soon.chainage_m == pytest.approx(0.2)
    assert soon.sigma_m is not None
    assert soon.sigma_m > 0.05
    assert (late.chainage_m, late.flags) == (None, ("odometry_lost",))


def test_a_long_file_keeps_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    rows = [f"{i},{i / 100}" for i in range(2 * KEPT + 10)]
    path.write_text("\n".join(["frame_id,chainage_m", *rows]))
    with open_odometry(str(path), SETUP) as odometry:
        first = odometry.at(frame_at(0, frame_id=7))
    assert (first.chainage_m, first.flags) == (0.07, ())


def test_a_camera_ahead_of_the_wheel_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    path.write_text("time_s,chainage_m\n0,5\n2,5.5\n3,0\n4,0.2\n")
    setup = Setup(mode="wall", camera_ahead_m=0.3)
    with open_odometry(str(path), setup) as odometry:
        poses = [odometry.at(frame_at(time_s)) for time_s in (0, 1, 3, 4)]
    assert [pose.chainage_m for pose in poses] == pytest.approx([5.3, 5.55, 0.3, 0.5])
    assert [pose.flags for pose in poses[2:]] == [("odometry_reset",), ()]


def test_a_live_odometer_forgets_what_is_long_past() -> None:
    readings = Readings(max_speed_mps=1.0, sigma_share=0.01)
    for i in range(2 * KEPT + 10):
        readings.add(float(i), i / 100)
        readings.forget()
    assert readings.at(7.0).flags == ("odometry_lost",)
    assert readings.at(2.0 * KEPT).chainage_m == 2 * KEPT / 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no reading"),
        ("time_s,chainage_m\n", "no reading"),
        ("time_s,metres\n0,1\n", "no column chainage_m, found time_s, metres"),
        ("seconds,chainage_m\n0,1\n", "no column of time"),
        ("time_s,chainage_m\n0,1\n1,far\n", "line 3: chainage_m is 'far'"),
        ("time_s,chainage_m\n0,1\n,2\n", "line 3: no time_s"),
        ("time_s,chainage_m\n0,1\n2,2\n1,3\n", "line 4: time_s does not go up"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "survey.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said), open_odometry(str(path), SETUP):
        pass


@pytest.mark.parametrize(
    "uri",
    [
        "speed://fast",
        "speed://0mps",
        "speed://2m",
        "step://50mps",
        "udp://127.0.0.1",
        "udp://host:99999999",
        "serial:///dev/null",
        "serial:///no/such/line",
        "serial:///dev/null?baud=7",
        "ros://odom",
        "/no/such.csv",
    ],
)
def test_bad_uris_are_one_line(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"expected|cannot|no such|serial|baud|port|Port"):  # noqa: SIM117
        with open_odometry(uri, SETUP):
            pass


def test_a_constant_speed_and_a_constant_step() -> None:
    with open_odometry("speed://0.2mps", SETUP) as odometry:
        assert odometry.at(frame_at(100)).chainage_m == 0
        assert odometry.at(frame_at(105)).chainage_m == pytest.approx(1.0)
    with open_odometry("step://50mm", SETUP) as odometry:
        assert odometry.at(frame_at(0, frame_id=30)).chainage_m == pytest.approx(1.5)


def test_datagrams_are_readings() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        open_odometry(f"udp://127.0.0.1:{port}", SETUP) as odometry,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot,
    ):
        silent = moves(odometry, frame_at(0.0))
        robot.sendto(b"1.25,3", ("127.0.0.1", port))
        heard(odometry, lambda pose: pose.roll_deg == 3)
        standing = moves(odometry, frame_at(0.0))
        robot.sendto(b'{"chainage_m": 1.26, "roll_deg": 3.5}', ("127.0.0.1", port))
        pose = heard(odometry, lambda pose: pose.roll_deg == 3.5)
        driving = moves(odometry, frame_at(0.0))
    assert pose.chainage_m == pytest.approx(1.26)
    assert (silent, standing, driving) == (None, False, True)


def test_a_flood_of_datagrams_is_one_reading_at_a_time() -> None:
    """What lies in the socket is of one time, the newest counts, and none of it waits there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        lines_of_udp(f"udp://127.0.0.1:{port}") as receive,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot,
    ):
        for i in range(50):
            robot.sendto(b"" if i % 2 else b"%d\n%d.5" % (i, i), ("127.0.0.1", port))
        lines = receive(1.0)
        assert receive(0.0) == []
    assert (len(lines), lines[-1]) == (50, b"48.5")

    came = [[b"%d" % i for i in range(100_000)], [b"7"]]

    class Counted(Readings):
        added = 0

        def add(self, t_s: float, chainage_m: float, roll_deg: float | None = None) -> None:
            self.added += 1
            super().add(t_s, chainage_m, roll_deg)
            if chainage_m == 7:
                done.set()

    readings, done = Counted(max_speed_mps=1.0, sigma_share=0.01), Event()
    with LiveOdometry(lambda wait_s: came.pop(0) if came else [], readings):
        assert done.wait(30)
    assert readings.added == 2


@pytest.mark.parametrize("value", [1e308, -1e308, 1e7, math.inf, math.nan])
def test_what_is_no_place_in_a_pipe_is_no_reading(value: float) -> None:
    readings = Readings(max_speed_mps=1.0, sigma_share=0.01)
    for i, chainage_m in enumerate([1.0, value, 1.2]):
        readings.add(float(i), chainage_m)
    poses = [readings.at(t_s) for t_s in (1.0, 2.0)]
    assert [pose.chainage_m for pose in poses] == [1.0, 1.2]
    assert [pose.flags for pose in poses] == [("odometry_nan",)] * 2


def test_a_stamp_of_the_future_is_left_out_once_the_next_comes() -> None:
    readings = Readings(max_speed_mps=1.0, sigma_share=0.01)
    for t_s, chainage_m in [(0, 0.0), (1, 0.5), (1e300, 0.5), (2, 1.0), (3, 1.5), (-9, 7.0)]:
        readings.add(float(t_s), chainage_m)
    poses = [readings.at(t_s) for t_s in (1.5, 2.5)]
    assert [pose.chainage_m for pose in poses] == pytest.approx([0.75, 1.25])
    assert {pose.segment for pose in poses} == {0}


def test_a_serial_line_is_read_by_the_line() -> None:
    robot, line = os.openpty()
    try:
        with open_odometry(f"serial://{os.ttyname(line)}?baud=57600", SETUP) as odometry:
            os.write(robot, b"7.5,1\r\n7.5")
            pose = heard(odometry, lambda pose: pose.chainage_m is not None)
    finally:
        os.close(robot)
        os.close(line)
    assert (pose.chainage_m, pose.roll_deg) == (7.5, 1)


def test_a_serial_line_may_be_unplugged_and_plugged_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_odometry, "_RETRY_S", 0.05)
    plug = tmp_path / "ttyUSB0"

    def plugged_in() -> int:
        robot, line = os.openpty()
        plug.unlink(missing_ok=True)
        plug.symlink_to(os.ttyname(line))
        os.close(line)
        return robot

    robot = plugged_in()
    with live_odometry.lines_of_serial(f"serial://{plug}") as receive:
        os.write(robot, b"1.5\n1.")
        assert receive(1.0) == [b"1.5"]
        os.close(robot)
        start_s = time.monotonic()
        assert [receive(0.02) for _ in range(6)] == [[]] * 6
        assert time.monotonic() - start_s >= 5 * 0.02  # it waits, and does not spin
        robot = plugged_in()
        deadline_s = time.monotonic() + 5
        while not (lines := receive(0.01)) and time.monotonic() < deadline_s:
            os.write(robot, b"2.5\n")
        os.close(robot)
    assert b"2.5" in lines


@pytest.mark.parametrize("line", [b"", b"nan", b"\xff\xfe", b"{", b'{"x": 1}', b"1.2.3", b"a,b"])
def test_noise_on_the_line_is_no_reading(line: bytes) -> None:
    chainage_m, _ = parse_line(line)
    assert chainage_m != chainage_m


def heard(odometry: Odometry, until: Callable[[Pose], bool]) -> Pose:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pose = odometry.at(frame_at(time.monotonic()))
        if until(pose):
            return pose
        time.sleep(0.01)
    raise AssertionError("nothing was heard")
