"""A folder of somebody else's holds modules of Python's names: none of them is ever run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAP = "open({mark!r}, 'a').write(__name__ + '\\n'); raise SystemExit(66)\n"
MAIN = "import sys; sys.path.insert(1, {root!r}); from scnet_edge.cli import main; main()"
OTHERS = ("numpy", "cv2", "msgspec", "torch", "onnxruntime", "openvino", "scnet_edge", "pyarrow")
TRAINING = """
import sys; sys.path[1:1] = {paths}
from toys import SCHEDULE, toy_images
from scnet_edge.training.images import batches

if __name__ == "__main__":
    print(len(list(batches([5], toy_images(), SCHEDULE, workers=1))))
"""


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """Return a folder in which every module that anybody could want is a trap."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    text = TRAP.format(mark=str(tmp_path / "sprung"))
    for name in {*sys.stdlib_module_names, *OTHERS}:
        (folder / f"{name}.py").write_text(text)
    return folder


def call(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command there as the installed `scnet-edge` does, from a file elsewhere."""
    program = folder.parent / "program.py"
    program.write_text(MAIN.format(root=str(ROOT)))
    command = [sys.executable, program, *arguments]
    return subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=240
    )


def require_unsprung(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert not (folder.parent / "sprung").exists(), (folder.parent / "sprung").read_text()
    assert done.returncode == 0, done.stderr


def test_an_isolated_engine_and_a_camera(
    darkness_bundle: Callable[[tuple[int, int]], Path], trapped: Path
) -> None:
    source = "sim://pipe?size=96x128&frames=3&fps=100"
    run = ("run", darkness_bundle((64, 96)), "--source", source, "--engine", "onnxruntime")
    require_unsprung(call(trapped, *run, "--isolate"), trapped)


def test_workers_of_an_archive(
    darkness_bundle: Callable[[tuple[int, int]], Path], trapped: Path
) -> None:
    films = trapped.parent / "films"
    films.mkdir()
    (films / "a.mp4").symlink_to(ROOT / "samples" / "pipe.mp4")
    (films / "b.mp4").write_bytes((ROOT / "samples" / "pipe.mp4").read_bytes())
    require_unsprung(call(trapped, "archive", "scan", films, "--out", "../a.parquet"), trapped)
    run = ("archive", "run", "../a.parquet", "--bundle", darkness_bundle((64, 96)))
    require_unsprung(call(trapped, *run, "--out", "../results", "--workers", "1"), trapped)


def test_workers_of_a_training(trapped: Path) -> None:
    program = trapped.parent / "program.py"
    program.write_text(TRAINING.format(paths=[str(ROOT / "tests" / "training"), str(ROOT)]))
    command = [sys.executable, str(program)]
    done = subprocess.run(command, cwd=trapped, capture_output=True, text=True, timeout=240)
    require_unsprung(done, trapped)
    assert done.stdout == "1\n"


def test_workers_of_a_benchmark(trapped: Path) -> None:
    suite = trapped.parent / "suite.toml"
    suite.write_text(
        'models = ["scnet-tiny"]\nsizes_hw = [[64, 96]]\nrounds = 1\nround_s = 0.1\nframes = 2\n'
        "images = 1\nlimits = false\n"
        'contenders = [{ engine = "onnxruntime", precision = "fp32" }]\n'
    )
    require_unsprung(call(trapped, "bench", "run", suite, "--out", "../result.json"), trapped)
