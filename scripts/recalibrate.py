"""Calibrate the shipped models anew and pass each through the gate on three test splits.

    SCNET_EDGE_DATA=... python scripts/recalibrate.py       # every model, after new weights
    SCNET_EDGE_DATA=... python scripts/recalibrate.py scnet-small
    SCNET_EDGE_DATA=... python scripts/recalibrate.py scnet --keep  # gate the ranges that are there

Writes calibration/NAME.toml and, with what each candidate scored, calibration/gates/NAME.json, and
prints the row of docs/int8.md, which a test holds to that file. Contact sheets stay under runs/,
for they show pictures of a data set.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from scnet_edge.bundle.manifest import GateRecord, read_manifest
from scnet_edge.config import write_json
from scnet_edge.models.cards import shipped_models

SETS = ("deepcrack", "crackforest", "masonry")
COLUMNS = (*SETS, "thin", "dark")
# Ranges are of the frames that they come from: a net on open data is calibrated on open data.
DEEPCRACK = (("deepcrack", "deepcrack"),)
OPEN = (("folder", "field/concrete800_mit"), ("folder", "field/uav_wall_cc0"))
CALIBRATED_ON = {"scnet-small-open": OPEN, "scnet-small-hed": OPEN, "scnet-tiny-open": OPEN}
RUNS = Path("runs/int8")
CALIBRATIONS = Path("calibration")


def scnet_edge(*arguments: str) -> None:
    print("scnet-edge", *arguments, flush=True)
    code = "from scnet_edge.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def calibrate(name: str, on: list[str], frames: int) -> None:
    fresh = RUNS / f"{name}.toml"
    data = [part for spec in on for part in ("--data", spec)]
    scnet_edge(
        "calibrate", *data, "--validation", on[0], "--frames", str(frames),
        "--model", name, "--colours-checked", "--out", str(fresh),
    )  # fmt: skip
    (CALIBRATIONS / f"{name}.toml").write_bytes(fresh.read_bytes())


def run_gate(name: str, calibration: Path, sets: list[str]) -> GateRecord:
    bundle = RUNS / name
    data = [part for spec in sets for part in ("--data", spec)]
    scnet_edge(
        "build", "--int8", "--elsewhere", "--model", name, "--calibration", str(calibration),
        "--gate", "f1:0.005", *data, "--out", str(bundle), "--overwrite",
    )  # fmt: skip
    record = read_manifest(bundle).gate
    assert record is not None
    return record


def row_of(name: str, record: GateRecord) -> str:
    """Return what INT8 costs a model as a row of the table in docs/int8.md."""
    int8 = record.candidates[0]
    lost = {stratum.name: stratum.f1_fp32 - stratum.f1 for stratum in int8.strata}
    low, high = int8.lost_ci95
    cells = [f"{lost[column]:.4f}" for column in COLUMNS]
    return " | ".join(
        [
            f"| `{name}`",
            *cells,
            f"{int8.lost_f1:.4f} [{low:.4f}, {high:.4f}]",
            record.shipped + " |",
        ]
    )


def main() -> None:
    names = sorted(card.name for card in shipped_models() if card.kind == "scnet")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *names], default=names)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--keep", action="store_true", help="gate the ranges that are there")
    options = parser.parse_args()
    root = Path(os.environ["SCNET_EDGE_DATA"])
    sets = [f"{name}:{root / name}" for name in SETS]
    (CALIBRATIONS / "gates").mkdir(exist_ok=True)
    for name in options.name:
        if not options.keep:
            from_sets = CALIBRATED_ON.get(name, DEEPCRACK)
            on = [f"{kind}:{root / folder}" for kind, folder in from_sets]
            calibrate(name, on, options.frames)
        record = run_gate(name, CALIBRATIONS / f"{name}.toml", sets)
        # Times on a machine that is busy with this say nothing.
        candidates = tuple(
            msgspec.structs.replace(candidate, latency_ms=None) for candidate in record.candidates
        )
        report = msgspec.structs.replace(record, candidates=candidates)
        write_json(CALIBRATIONS / "gates" / f"{name}.json", report)
        print(row_of(name, report))


if __name__ == "__main__":
    main()
