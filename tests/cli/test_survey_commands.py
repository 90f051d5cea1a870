"""`inspect`, `report`, `export` and `compare`, one after the other, in fresh interpreters."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_run_command import SIZE_HW, bundle  # noqa: F401

from scnet_edge.survey.folder import read_survey

Run = Callable[..., subprocess.CompletedProcess[str]]
FRAMES, STEP_PX = 30, 8
PIPE = 'mode = "side"\ndiameter_mm = 300\nmm_per_px = 0.5\nroll = "fixed"\nmax_speed_mps = 5\n'
MAIN = "from scnet_edge.cli import main; main()"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of frames past two cracks, with pipe.toml and an odometer that ends early."""
    folder = tmp_path_factory.mktemp("drive")
    wall = np.full((SIZE_HW[0], SIZE_HW[1] + FRAMES * STEP_PX), 200, np.uint8)
    cv2.line(wall, (110, 20), (170, 40), 20, 4)
    cv2.line(wall, (230, 45), (290, 25), 20, 4)
    (folder / "frames").mkdir()
    for i in range(FRAMES):
        view = wall[:, i * STEP_PX : i * STEP_PX + SIZE_HW[1]]
        cv2.imwrite(str(folder / "frames" / f"f {i}';&.png"), view)
    (folder / "pipe.toml").write_text(PIPE, encoding="utf-8")
    rows = [f"{i},{0.004 * i:.4f}" for i in range(FRAMES - 8)]
    (folder / "odometry.csv").write_text("\n".join(["frame_id,chainage_m", *rows]))
    return folder


def inspecting(bundle: Path, drive: Path, out: Path, *more: str) -> list[str]:  # noqa: F811
    return [
        *("inspect", str(bundle), "--source", str(drive / "frames"), "--out", str(out)),
        *("--pipe", str(drive / "pipe.toml"), *more),
    ]


def test_from_frames_to_report_exports_and_comparison(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
) -> None:
    surveys = [tmp_path / "one", tmp_path / "two"]
    done = command_line(*inspecting(bundle, drive, surveys[0], "--odometry", "step://4mm"))
    assert done.returncode == 0, done.stderr
    assert "2 cracks recorded in 30 frames over 0.12 m" in done.stdout
    shutil.copytree(*surveys)
    again = command_line(*inspecting(bundle, drive, surveys[0], "--odometry", "step://4mm"))
    assert again.returncode == 0
    assert "finished before" in again.stdout

    done = command_line("report", str(surveys[0]))
    assert done.returncode == 0, done.stderr
    assert "Strip map" in (surveys[0] / "report.html").read_text(encoding="utf-8")
    done = command_line("report", str(surveys[0]), "--min-confidence", "1")
    assert done.returncode == 0, done.stderr
    page = (surveys[0] / "report.html").read_text(encoding="utf-8")
    assert "What stands aside" in page
    assert "No crack was found" not in page
    assert "2 unsure" in done.stderr
    done = command_line("export", str(surveys[0]), "--format", "csv", "--min-confidence", "1")
    assert done.returncode == 0, done.stderr
    assert "left out: 2 unsure" in done.stderr
    assert len(Path(done.stdout.strip()).read_text(encoding="utf-8").splitlines()) == 1
    done = command_line("export", str(surveys[0]), "--format", "pacp-csv")
    assert done.returncode == 0, done.stderr
    assert [Path(line).is_file() for line in done.stdout.splitlines()] == [True] * 4
    comparison = tmp_path / "comparison.json"
    done = command_line("compare", *map(str, surveys), "--json", str(comparison))
    assert done.returncode == 0, done.stderr
    assert "2 cracks in both, 0 surely grown" in done.stdout
    assert len(json.loads(comparison.read_text())["pairs"]) == 2


def test_an_odometer_that_ends_early_costs_positions_not_cracks(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "survey"
    odometer = str(drive / "odometry.csv")
    done = command_line(*inspecting(bundle, drive, out, "--odometry", odometer))
    assert done.returncode == 0, done.stderr
    found = read_survey(out).observations
    assert len(found) >= 2
    assert found[0].start_m is not None
    lost = [o for o in found if "odometry_lost" in o.flags]
    assert all(o.start_m is None for o in lost)
    assert command_line("report", str(out)).returncode == 0


def test_a_cut_video_is_inspected_to_its_end_and_said_to_be_cut(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
) -> None:
    whole, video = tmp_path / "whole.avi", tmp_path / "cut.avi"
    writer = cv2.VideoWriter(
        str(whole), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, SIZE_HW[::-1]
    )
    for i in range(FRAMES):
        writer.write(cv2.imread(str(drive / "frames" / f"f {i}';&.png")))
    writer.release()
    video.write_bytes(whole.read_bytes()[: int(0.7 * whole.stat().st_size)])
    arguments = inspecting(bundle, drive, tmp_path / "out", "--odometry", "step://4mm")
    arguments[arguments.index("--source") + 1] = str(video)
    done = command_line(*arguments)
    assert done.returncode == 1
    assert f"of about {FRAMES} frames" in done.stderr
    assert "the file is cut" in done.stderr
    assert "recorded in" in done.stdout
    assert "not finished" not in done.stdout
    assert len(read_survey(tmp_path / "out").observations) >= 1


def test_sigterm_leaves_a_survey_that_goes_on(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
    root: Path,
) -> None:
    out = tmp_path / "survey"
    arguments = inspecting(bundle, drive, out, "--odometry", "step://4mm")
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments], cwd=root, stdout=subprocess.PIPE, text=True
    ) as running:
        deadline = time.monotonic() + 60
        while not (out / "survey.db").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    done = command_line(*arguments)
    assert done.returncode == 0, done.stderr
    assert "2 cracks recorded in 30 frames" in done.stdout
    assert [o.seq for o in read_survey(out).observations] == [1, 2]


@pytest.mark.parametrize(
    ("pipe", "expected"),
    [
        ("mode = 'side'\ndiameter_mm = -300\nmm_per_px = 0.5", "diameter_mm"),
        ("mode = 'forward'\ndiameter_mm = 300", "calibration"),
    ],
)
def test_bad_geometry_is_one_line(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
    pipe: str,
    expected: str,
) -> None:
    (tmp_path / "pipe.toml").write_text(pipe)
    arguments = inspecting(bundle, drive, tmp_path / "out")
    arguments[arguments.index("--pipe") + 1] = str(tmp_path / "pipe.toml")
    done = command_line(*arguments)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert expected in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_refused_odometry_leaves_no_survey_behind(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
) -> None:
    """The next call, with another odometry, would be refused as one of another survey."""
    (tmp_path / "odometry.csv").write_text("time_s,chainage_m\n1700000000,0\n1700000009,1\n")
    out = tmp_path / "out"
    done = command_line(
        *inspecting(bundle, drive, out, "--odometry", str(tmp_path / "odometry.csv"))
    )
    assert done.returncode == 1
    assert "the seconds of a calendar" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_folder_that_is_no_survey_is_one_line(
    command_line: Run, tmp_path: Path, command: str
) -> None:
    more = ["--format", "csv"] if command == "export" else []
    done = command_line(command, str(tmp_path), *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"scnet-edge: {tmp_path}: no survey here")


def test_a_folder_of_something_else_is_left_alone(
    command_line: Run,
    bundle: Path,  # noqa: F811
    drive: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = command_line(*inspecting(bundle, drive, tmp_path))
    assert done.returncode == 1
    assert "thesis.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_camera_is_inspected_like_a_file(
    command_line: Run,
    bundle: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    camera = "sim://pipe?size=64x96&frames=12&fps=40"
    out = tmp_path / "survey"
    done = command_line("inspect", str(bundle), "--source", camera, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "recorded in" in done.stdout
    progress = read_survey(out).progress
    assert progress is not None
    assert progress.frames > 0
