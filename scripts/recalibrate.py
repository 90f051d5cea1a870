"""Calibrate the shipped models anew and pass each through the gate on three test splits.

    SCNET_EDGE_DATA=... python scripts/recalibrate.py       # every model, after new weights
    SCNET_EDGE_DATA=... python scripts/recalibrate.py scnet-small

Writes calibration/NAME.toml and, with what each rung scored, calibration/gates/NAME.json. Contact
sheets stay under runs/, for they show pictures of a data set.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from scnet_edge.bundle.gate import GateRecord
from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.config import write_json
from scnet_edge.models.cards import shipped_models

SETS = ("deepcrack", "crackforest", "masonry")
RUNS = Path("runs/int8")
CALIBRATIONS = Path("calibration")


def scnet_edge(*arguments: str) -> None:
    print("scnet-edge", *arguments, flush=True)
    code = "from scnet_edge.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def calibrate(name: str, deepcrack: str, frames: int) -> Path:
    fresh = RUNS / f"{name}.toml"
    scnet_edge(
        "calibrate", "--data", deepcrack, "--validation", deepcrack, "--frames", str(frames),
        "--model", name, "--out", str(fresh),
    )  # fmt: skip
    kept = CALIBRATIONS / f"{name}.toml"
    kept.write_bytes(fresh.read_bytes())
    return kept


def gated(name: str, calibration: Path, sets: list[str]) -> GateRecord:
    bundle = RUNS / name
    data = [part for spec in sets for part in ("--data", spec)]
    scnet_edge(
        "build", "--int8", "--elsewhere", "--model", name, "--calibration", str(calibration),
        "--gate", "f1:0.005", *data, "--out", str(bundle), "--overwrite",
    )  # fmt: skip
    record = read_manifest(bundle).gate
    assert record is not None
    return record


def main() -> None:
    names = sorted(card.name for card in shipped_models() if card.kind == "scnet")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *names], default=names)
    parser.add_argument("--frames", type=int, default=128)
    options = parser.parse_args()
    root = Path(os.environ["SCNET_EDGE_DATA"])
    sets = [f"{name}:{root / name}" for name in SETS]
    (CALIBRATIONS / "gates").mkdir(exist_ok=True)
    for name in options.name:
        record = gated(name, calibrate(name, sets[0], options.frames), sets)
        # Times on a machine that is busy with this say nothing.
        rungs = tuple(msgspec.structs.replace(rung, latency_ms=None) for rung in record.rungs)
        report = msgspec.structs.replace(record, rungs=rungs)
        write_json(CALIBRATIONS / "gates" / f"{name}.json", report)


if __name__ == "__main__":
    main()
