"""Try on this machine what a robot needs: imports, doctor, manifest, one frame, a journal.

    python scripts/check_machine.py BUNDLE OUT                    # needs neither torch nor onnx
    python scripts/check_machine.py BUNDLE OUT --against OTHER    # compare with another machine's

`scripts/aarch64` runs it on x86 and on emulated ARM.
"""

from __future__ import annotations

import argparse
import pkgutil
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

import scnet_edge
from scnet_edge.bundle.manifest import GOLDEN, read_manifest
from scnet_edge.bundle.verify import read_golden, require_parity, verify_bundle
from scnet_edge.cli import app
from scnet_edge.doctor.checks import can_run, checks
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.survey.folder import read_survey

ENGINES = ("openvino", "onnxruntime")
MIN_SAME_PIXELS = 0.999  # of the masks, from one machine to the other
NOT_ON_A_ROBOT = ("torch", "onnx", "safetensors", "scipy", "matplotlib", "pyarrow", "lxml")


@contextmanager
def time_lines(what: str) -> Iterator[None]:
    start_s = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - start_s:.1f} s", flush=True)


def import_all() -> None:
    """Import every module but those of building, training and archives: no robot needs them."""
    found = pkgutil.walk_packages(scnet_edge.__path__, "scnet_edge.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    imported = 0
    for name in names:
        try:
            import_module(name)
            imported += 1
        except ModuleNotFoundError as e:
            if (e.name or "").partition(".")[0] not in NOT_ON_A_ROBOT or find_spec("torch"):
                raise
    print(f"{imported} of {len(names)} modules")


def segment(bundle: Path, engine: str) -> np.ndarray:
    """Return the probability of the first golden frame, (h, w) float32."""
    frame = read_golden(bundle / GOLDEN).frames[0]
    with Pipeline.open(bundle, engine=engine) as pipeline:
        return pipeline(frame).probability


def compare(here: np.ndarray, there: np.ndarray, threshold: float, what: str) -> None:
    """Raise SystemExit where two machines' masks differ by more than `MIN_SAME_PIXELS` allows."""
    same = float(((here >= threshold) == (there >= threshold)).mean())
    error = float(np.abs(here - there).max())
    print(f"{what}: {100 * same:.3f} % of the mask's pixels the same, largest error {error:.5f}")
    if same < MIN_SAME_PIXELS:
        raise SystemExit(f"{what}: expected at least {100 * MIN_SAME_PIXELS} %")


def inspect(bundle: Path, out: Path) -> None:
    """Inspect the golden frames as a drive and read the journal again."""
    frames = out / "frames"
    frames.mkdir(exist_ok=True)
    for i, frame in enumerate(read_golden(bundle / GOLDEN).frames):
        cv2.imwrite(str(frames / f"{i}.png"), frame)
    survey = out / f"survey-{time.time_ns()}"
    command = ["inspect", str(bundle), "--source", str(frames), "--odometry", "step://4mm"]
    app([*command, "--out", str(survey)], standalone_mode=False)
    progress = read_survey(survey).progress
    if progress is None or not progress.finished:
        raise SystemExit(f"{survey}: the journal says {progress}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"Python {platform.python_version()}, {platform.machine()}, {sys.platform}")
    with time_lines("imports"):
        import_all()
    with time_lines("doctor"):
        found = checks()
        if not can_run(found):
            raise SystemExit("\n".join(map(str, found)))
    with time_lines("manifest"):
        manifest = read_manifest(options.bundle)
    for engine in ENGINES:
        with time_lines(f"{engine}, one frame"):
            probability = segment(options.bundle, engine)
        np.save(options.out / f"{engine}.npy", probability)
        with time_lines(f"{engine}, parity with PyTorch"):
            parity = verify_bundle(options.bundle, engine=engine)[1]
            require_parity(parity, manifest.min_mask_f1)
        print(f"mask F1 against PyTorch {parity.mask_f1:.4f}")
        if options.against:
            there = np.load(options.against / f"{engine}.npy")
            compare(probability, there, manifest.threshold, engine)
    with time_lines("journal"):
        inspect(options.bundle, options.out)


if __name__ == "__main__":
    main()
