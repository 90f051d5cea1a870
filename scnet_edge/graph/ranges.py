"""Calibrated ranges as a file: what was seen, how it was chosen, and what came of it.

A TOML file under `calibration/`. The ranges are stored beside the hashes of the frames and of the
weights, so ranges of other weights are refused rather than used.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import msgspec

from scnet_edge.config import read_toml
from scnet_edge.errors import ConfigError

SCHEMA = 1
PACKAGE = Path(__file__).parents[1]
ROOTS = (PACKAGE, PACKAGE.parent)  # what the wheel carries, then the source checkout
Method = Literal["minmax"]  # the largest magnitude seen


class CalibrationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ranges of one chain and where they came from."""

    schema: int
    model: str
    weights_sha256: dict[str, str]  # model name -> hash of its weight file
    method: Method
    source: str  # what the frames are and how they were chosen
    frames: dict[str, str]  # file name -> SHA-256
    ranges: dict[str, float]  # convolution -> largest magnitude of its input

    @property
    def sha256(self) -> str:
        """Hex digest of the ranges alone."""
        return hashlib.sha256(json.dumps(self.ranges, sort_keys=True).encode()).hexdigest()


def find_ranges(name: str, weights_sha256: dict[str, str]) -> CalibrationFile:
    """Return the ranges `name` of a `calibration/` folder, or at that path, for these weights.

    Raises:
        ConfigError: there is no such file, or its ranges were collected with other weights.
    """
    places = [root / "calibration" / f"{name}.toml" for root in ROOTS]
    path = Path(name) if name.endswith(".toml") else next(filter(Path.is_file, places), None)
    if path is None:
        raise ConfigError(
            f"no INT8 ranges named {name!r} in calibration/; collect them with "
            "'scnet-edge calibrate', or build --fp16"
        )
    calibration = read_ranges(path)
    if calibration.weights_sha256 != weights_sha256:
        raise ConfigError(f"{path}: collected with other weights; run 'scnet-edge calibrate' again")
    return calibration


def read_ranges(path: Path) -> CalibrationFile:
    """Return a calibration file; refuse another schema."""
    calibration = read_toml(path, CalibrationFile)
    if calibration.schema != SCHEMA:
        raise ConfigError(f"{path}: schema {calibration.schema}, this version reads {SCHEMA}")
    return calibration


def write_ranges(path: Path, calibration: CalibrationFile) -> None:
    """Write a calibration file as TOML that a person can read and a diff can show."""
    lines = [
        f"schema = {calibration.schema}",
        f"model = {json.dumps(calibration.model)}",
        f"method = {json.dumps(calibration.method)}",
        f"source = {json.dumps(calibration.source)}",
    ]
    for name in ("weights_sha256", "frames", "ranges"):
        table: dict[str, str | float] = getattr(calibration, name)
        lines += [
            "",
            f"[{name}]",
            *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items()),
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(path)
