"""What a bundle says of itself, and the check that every file is what it says.

    BUNDLE/
      manifest.json       this file's `Manifest`
      fused.onnx          frame -> probability and edges, the graph that runs
      typed.onnx          the same for a strongly typed TensorRT: INT8, and FP16 around it
      fp16.onnx           the same in FP16, beside INT8: a GPU on which INT8 is not quicker runs it
      hed.onnx scnet.onnx HED and SCNet apart, for HED at another rate (where the recipe asks),
                          and their typed-hed.onnx, fp16-hed.onnx and so on
      calibration.toml    where INT8 was asked for, and the gate may have chosen another precision:
                          the ranges, the frames' hashes, how the methods compared
      golden.npz          frames with the PyTorch reference's outputs, for `scnet-edge verify`

Graph inputs and outputs, static shapes:

    frame        (N, H, W, 3) uint8, BGR          in:  fused, hed, scnet
    prior        (N, 1, h, w) float32, {0, 1}     in:  scnet of a model with the prior; out: hed
    edges        (N, h, w) float32 in [0, 1]      out: fused and hed of a model with the prior
    probability  (N, h, w) float32 in [0, 1]      out: fused, scnet

N is `input.batch`; (H, W) is `input.frame_hw`; (h, w) is `input.size_hw`. The two differ when the
graph resizes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from scnet_edge.config import read_json, read_text, write_json
from scnet_edge.errors import BundleError, ConfigError
from scnet_edge.folders import file_sha256
from scnet_edge.models.cards import OperatingPoint
from scnet_edge.models.decision import Decision
from scnet_edge.types import Parity

Precision = Literal["fp32", "fp16", "int8"]
SCHEMA = 5
MANIFEST, GOLDEN, CALIBRATION = "manifest.json", "golden.npz", "calibration.toml"
FUSED, HED, SCNET = "fused.onnx", "hed.onnx", "scnet.onnx"


class StratumScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """F1 on one kind of frame."""

    name: str
    images: int
    f1: float
    f1_fp32: float


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of the context, judged.

    Attributes:
        name: `INT8`, `INT8 with the 4 worst layers in FP16`, `FP16` or `FP32`.
        fp16_layers: Convolutions that INT8 leaves in FP16.
        reasons: Why it does not pass; empty when it does.
        lost_f1: F1 in FP32 less F1 here, at the threshold that ships.
        lost_ci95: Its interval over frames, paired.
        mask_agreement: Share of pixels whose masks equal those of FP32.
        best_threshold: What would have been best here, for the record; the one that ships stays.
        latency_ms: Of the engine on this machine; None where it did not matter.
    """

    name: str
    precision: Precision
    fp16_layers: tuple[str, ...]
    passed: bool
    reasons: tuple[str, ...]
    f1: float
    f1_fp32: float
    lost_f1: float
    lost_ci95: tuple[float, float]
    mask_agreement: float
    best_threshold: float
    best_threshold_fp32: float
    strata: tuple[StratumScore, ...]
    latency_ms: float | None = None


class GateRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a bundle came by its precision.

    Attributes:
        spec: The gate as it was asked for, `f1:0.005`.
        data: What it was scored on, and how many images.
        threshold: The threshold that ships, at which everything was scored.
        candidates: What was tried, in order.
        shipped: The name of the candidate in the bundle.
        decision: Why that one, in a sentence.
        loss_allowed: It failed the gate and ships all the same, because that was asked for.
        elsewhere: Speed on this machine did not count.
        calibration_key: Of the ranges that were judged.
        weights_sha256: Model name -> hash of the weight file that was judged.
        unjudged: Strata too small to be judged -> how many images they have.
    """

    spec: str
    data: str
    images: int
    engine: str
    threshold: float
    candidates: tuple[Candidate, ...]
    shipped: str
    decision: str
    loss_allowed: bool
    elsewhere: bool
    calibration_key: str
    weights_sha256: dict[str, str]
    unjudged: dict[str, int]


FP16 = {FUSED: "fp16.onnx", HED: "fp16-hed.onnx", SCNET: "fp16-scnet.onnx"}
TYPED = {FUSED: "typed.onnx", HED: "typed-hed.onnx", SCNET: "typed-scnet.onnx"}
MAX_FILE_BYTES = 2**30


class InputContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the graph takes: `batch` uint8 BGR frames of `frame_hw`, resized inside to `size_hw`."""

    frame_hw: tuple[int, int]
    size_hw: tuple[int, int]
    colour: Literal["bgr"] = "bgr"
    dtype: Literal["uint8"] = "uint8"
    batch: int = 1


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which weights the graphs were made from."""

    name: str
    prior: str  # name of the HED whose edges the net sees, or none
    sha256: dict[str, str]  # weight file -> hash
    licence: str


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the INT8 ranges came from."""

    source: str
    method: str
    frames: int
    sha256: str  # of the ranges
    key: str  # of the calibration file, all of it


class Accuracy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pixel F1 at zero tolerance and the shipped threshold, on annotated images."""

    data: str  # data set and split
    images: int
    f1: float  # of this bundle
    f1_reference: float  # of PyTorch in FP32 on the same images
    engine: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle, described."""

    schema: int
    model: ModelIdentity
    input: InputContract
    threshold: float  # crack where the probability is at least this, ...
    seed: float = 0.0  # ... in an area that is sure of it, see `Decision`
    edge_threshold: float | None = None  # prior where the HED probability is above this
    precision: Precision
    calibration: Calibration | None
    parity: Parity
    min_mask_f1: float  # the bundle's own tolerance, which `verify` holds every engine to
    operating_points: tuple[OperatingPoint, ...] = ()  # of the model, to choose from at a run
    accuracy: Accuracy | None = None
    gate: GateRecord | None = None  # how INT8 was judged; None where it was not
    quantised_convolutions: int
    files: dict[str, str]  # name -> sha256
    tools: dict[str, str]  # package -> version
    created: str  # ISO 8601, UTC
    seal: str = ""  # SHA-256 of all the other fields, as `write_manifest` leaves it

    @property
    def decision(self) -> Decision:
        """What is called a crack."""
        return Decision(threshold=self.threshold, seed=self.seed)


class _Head(msgspec.Struct, frozen=True):
    """The one field that a manifest of any schema has."""

    schema: int


def read_manifest(bundle: Path) -> Manifest:
    """Return the manifest after checking every file's hash; no parser has seen a file before this.

    Raises:
        BundleError: not a bundle, another schema, a manifest that was edited, or a file that is
            missing, foreign or altered.
    """
    if not bundle.is_dir():
        raise BundleError(
            f"{bundle}: expected a bundle folder; make one with 'scnet-edge build --out {bundle}'"
        )
    schema = read_json(bundle / MANIFEST, _Head, error=BundleError).schema
    if schema != SCHEMA:
        raise BundleError(f"{bundle}: schema {schema}, this version reads {SCHEMA}; build it again")
    manifest = read_json(bundle / MANIFEST, Manifest, error=BundleError)
    if manifest.seal != seal_of(msgspec.json.decode(read_text(bundle / MANIFEST))):
        raise BundleError(
            f"{bundle / MANIFEST}: was edited after it was written, its seal does not match; what "
            "it says is decided by 'scnet-edge build', build the bundle again"
        )
    for name, expected in manifest.files.items():
        _check_file(bundle, name, expected)
    if FUSED not in manifest.files:
        raise BundleError(f"{bundle}: the manifest lists no {FUSED}; build it again")
    return manifest


def write_manifest(bundle: Path, manifest: Manifest) -> None:
    """Write a manifest with its seal, whole or not at all.

    The seal finds edits and damage; it is no signature, for whoever can compute it can forge it.
    """
    sealed = msgspec.structs.replace(manifest, seal=seal_of(msgspec.to_builtins(manifest)))
    write_json(bundle / MANIFEST, sealed)


def seal_of(fields: dict[str, Any]) -> str:
    """Return the hex SHA-256 of a manifest's fields but the seal itself."""
    rest = {name: value for name, value in fields.items() if name != "seal"}
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def at_operating_point(manifest: Manifest, name: str | None) -> Manifest:
    """Return a manifest with the decision of an operating point; None leaves the shipped one.

    Raises:
        ConfigError: the bundle has no such point.
    """
    if name is None:
        return manifest
    for point in manifest.operating_points:
        if point.name == name:
            return msgspec.structs.replace(manifest, threshold=point.threshold, seed=point.seed)
    known = ", ".join(point.name for point in manifest.operating_points) or "none"
    raise ConfigError(
        f"operating point {name!r}: expected one that the bundle of {manifest.model.name} has, "
        f"found {known}; leave it out for the threshold {manifest.decision}"
    )


def record_operating_point(bundle: Path, manifest: Manifest, point: OperatingPoint) -> None:
    """Write an operating point into a manifest, over one of its name."""
    others = tuple(each for each in manifest.operating_points if each.name != point.name)
    changed = msgspec.structs.replace(manifest, operating_points=(*others, point))
    write_manifest(bundle, changed)


def record_accuracy(bundle: Path, manifest: Manifest, accuracy: Accuracy) -> None:
    """Write what a bundle scored into its manifest, as `read_manifest` gave it."""
    write_manifest(bundle, msgspec.structs.replace(manifest, accuracy=accuracy))


def _check_file(bundle: Path, name: str, expected: str) -> None:
    path = bundle / name
    if Path(name).name != name or path.is_symlink():
        raise BundleError(f"{bundle}: file name {name!r} is not a plain name inside the bundle")
    if not path.is_file():
        raise BundleError(f"{bundle}: {name} is missing; build the bundle again")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BundleError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    found = file_sha256(path)
    if found != expected:
        raise BundleError(
            f"{path}: SHA-256 is {found[:12]}..., the manifest says {expected[:12]}...; "
            "the file was altered or damaged, build or copy the bundle again"
        )
