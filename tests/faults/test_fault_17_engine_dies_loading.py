"""An engine whose own code aborts while it loads: another takes over, or exit 78, and no loop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

# A package that is found in place of the real one, and dies as native code dies.
ABORTING = """
import os, pathlib
with (pathlib.Path(__file__).parent / "starts").open("ab") as f:
    f.write(b".")
os.abort()
"""


@pytest.fixture
def run(
    tmp_path: Path, darkness_bundle: Callable[[tuple[int, int]], Path]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command line where OpenVINO aborts as it loads."""
    broken = tmp_path / "broken" / "openvino"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(ABORTING)
    images, bundle = tmp_path / "images", darkness_bundle((64, 96))
    images.mkdir()
    frame = np.full((64, 96, 3), 200, np.uint8)
    frame[20:24, 10:70] = 20
    for i in range(3):
        cv2.imwrite(str(images / f"wall-{i}.png"), frame)
    paths = os.pathsep.join([str(broken.parent), *filter(None, sys.path)])

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        arguments = ["run", str(bundle), "--source", str(images), "--engine", "openvino"]
        command = [sys.executable, "-m", "scnet_edge", *arguments, "--isolate", *options]
        environment = {**os.environ, "PYTHONPATH": paths}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120
        )

    return run


def starts(tmp_path: Path) -> int:
    return (tmp_path / "broken" / "openvino" / "starts").stat().st_size


def test_another_engine_takes_over(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run("--fallback", "onnxruntime", "--sink", f"jsonl:{tmp_path / 'run.jsonl'}")
    assert done.returncode == 0, done.stderr
    assert "falling back to onnxruntime" in done.stderr
    assert starts(tmp_path) == 6  # once, and five times more
    assert (tmp_path / "run.jsonl").read_text().count('"kind":"frame"') == 3


def test_without_another_the_exit_status_keeps_systemd_from_trying_again(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run()
    assert done.returncode == os.EX_CONFIG == 78
    assert "died 6 times within 60 s" in done.stderr
    assert "Traceback" not in done.stderr
    assert starts(tmp_path) == 6
