"""Calibrated ranges as a file: what was seen, how it was chosen, and what came of it.

A TOML file under `calibration/`. Its key covers everything else in it, so a file that was edited is
refused, as is one of other weights or another edge threshold. The size is for the record: ranges
serve graphs of any size, and the gate judges them there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from scnet_edge.config import read_toml
from scnet_edge.errors import ConfigError
from scnet_edge.files import write_file
from scnet_edge.quantization.histograms import Method

SCHEMA = 3
PACKAGE = Path(__file__).parents[1]
ROOTS = (PACKAGE, PACKAGE.parent)  # what the wheel carries, then the source checkout


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a frame went through before the networks saw it."""

    size_hw: tuple[int, int]
    edge_threshold: float | None = None  # None for a model without the prior
    colour: Literal["bgr"] = "bgr"


class ChosenFrame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One calibration frame; all figures are of the frame at the size of the networks.

    Attributes:
        sha256: Of its (h, w, 3) uint8 BGR bytes.
        phash: Perceptual hash of the whole picture, 64 hex digits.
        crack_area: Share of pixels that the packaged small model calls crack.
        brightness: Mean grey level, 0 to 255.
        sharpness: Variance of the Laplacian over the variance of the grey levels; noise has 20.
        red_minus_blue: Mean of red minus blue, in grey levels.
        why: The cell of the selection it stands for.
    """

    sha256: str
    phash: str
    crack_area: float
    brightness: float
    sharpness: float
    red_minus_blue: float
    why: str


class MethodTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one way to quantise scored on the validation frames, all before it as chosen."""

    network: str
    method: str
    f1: float
    f1_fp32: float
    mean_abs_error: float  # of the probability, against FP32
    chosen: bool


class _Schema(msgspec.Struct):
    schema: int


class _AnySchema(_Schema):
    frames: dict[str, Any]
    ranges: dict[str, float]


class CalibrationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ranges of one chain and where they came from."""

    schema: int
    model: str
    weights_sha256: dict[str, str]  # model name -> hash of its weight file
    preprocessing: Preprocessing
    methods: dict[str, Method]  # network -> how its ranges were read from the histograms
    equalised: bool  # weights equalised across layers first
    colours_checked: bool  # somebody vouches that red and blue are not swapped
    source: str  # what the frames are and how they were chosen
    validation: str  # what the comparison was scored on
    engine: str  # what ran the graphs
    key: str
    frames: dict[str, ChosenFrame]
    comparison: tuple[MethodTrial, ...]
    ranges: dict[str, float]  # convolution -> largest magnitude of its input
    bias_shifts: dict[str, list[float]] = {}  # convolution -> what to take off its bias

    @property
    def sha256(self) -> str:
        """Hex digest of what the ranges do to a graph."""
        return _digest([self.ranges, self.bias_shifts, self.equalised])

    @property
    def method(self) -> str:
        """The methods in words."""
        words = {f"{m}" for m in self.methods.values()}
        by_network = ", ".join(f"{m} ({n})" for n, m in self.methods.items())
        extras = [" equalised"] * self.equalised + [" bias-corrected"] * bool(self.bias_shifts)
        return (words.pop() if len(words) == 1 else by_network) + "".join(extras)


def key_of(calibration: CalibrationFile) -> str:
    """Return the key that a whole and unedited calibration carries."""
    return _digest(msgspec.to_builtins(msgspec.structs.replace(calibration, key="")))


def find_ranges(
    name: str, weights_sha256: dict[str, str], edge_threshold: float | None = None
) -> CalibrationFile:
    """Return the ranges `name` of a `calibration/` folder, or at that path, for these weights.

    Raises:
        ConfigError: there is no such file, it was edited, or its ranges were collected with other
            weights or behind another edge map.
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
    behind = calibration.preprocessing.edge_threshold
    if edge_threshold is not None and behind != edge_threshold:
        raise ConfigError(
            f"{path}: collected behind an edge map cut at {behind}, this recipe cuts at "
            f"{edge_threshold}; run 'scnet-edge calibrate' again"
        )
    return calibration


def read_ranges(path: Path) -> CalibrationFile:
    """Return a calibration file; refuse another schema and one that was edited."""
    calibration = _check_schema(path)
    if calibration.key != key_of(calibration):
        raise ConfigError(
            f"{path}: its key does not fit its contents, so it was edited or damaged; "
            "run 'scnet-edge calibrate' again"
        )
    return calibration


def is_ranges(path: Path) -> bool:
    """Return whether a file is a calibration file, of whatever schema."""
    try:
        read_toml(path, _AnySchema)
    except ConfigError:
        return False
    return True


def write_ranges(path: Path, calibration: CalibrationFile) -> None:
    """Write a calibration file as TOML that a person can read and a diff can show."""
    plain: dict[str, Any] = msgspec.to_builtins(calibration)
    tables = {k: v for k, v in plain.items() if k in ("weights_sha256", "frames", "ranges")}
    tables["bias_shifts"] = plain["bias_shifts"]
    lines = [f"{k} = {_toml(v)}" for k, v in plain.items() if k not in (*tables, "comparison")]
    lines += ["comparison = [", *(f"  {_toml(trial)}," for trial in plain["comparison"]), "]"]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(f"{_toml(k)} = {_toml(v)}" for k, v in table.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, ("\n".join(lines) + "\n").encode())


def _check_schema(path: Path) -> CalibrationFile:
    found = read_toml(path, _Schema).schema
    if found != SCHEMA:
        raise ConfigError(
            f"{path}: schema {found}, this version reads {SCHEMA}; run 'scnet-edge calibrate' again"
        )
    return read_toml(path, CalibrationFile)


def _toml(value: object) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")  # JSON leaves it bare


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
