"""What a benchmark says: one JSON file a machine and a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from scnet_edge.bench.scoring import Scored
from scnet_edge.config import read_json, write_json
from scnet_edge.errors import ConfigError
from scnet_edge.runtime.scale import ModelScale

SCHEMA = 2


class LayerTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One layer as the engine ran it."""

    name: str
    kind: str
    ms: float
    gflop: float | None  # of a convolution, two a multiply-accumulate


class EngineProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the engine's time goes, by its own counters."""

    total_ms: float
    by_kind_ms: dict[str, float]
    worst: tuple[LayerTime, ...]  # the ten that take longest


Scope = Literal["engine", "pipeline", "camera_to_mask"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Schedule = Literal["every", "hed/2", "hed/4", "hed/8"]
Engine = Literal["torch", "openvino", "onnxruntime", "tensorrt"]


class LatencyMs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Milliseconds a frame, over all timed frames."""

    p50: float
    p95: float
    p99: float


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to measure, in a process of its own.

    Attributes:
        model: A shipped model by its name, or, with a `/` in it, a folder of bundles: `FOLDER/int8`
            and the like, or one bundle itself.
        mode: How the engine runs it, where there is a choice: `eager` or `compile` in PyTorch,
            `bf16-rest` for BF16 where an INT8 graph leaves layers in floating point.
        schedule: `every`: all networks on every frame; `hed/4`: HED on every fourth, its edges
            kept in between.
        size_hw: Height and width of the network.
        frame_hw: Of the camera's frames; None: those of the network.
        scale: How such a frame is brought to the network, see `Pipeline.open`.
    """

    model: str
    precision: Precision
    engine: Engine
    mode: str = "default"
    size_hw: tuple[int, int]
    schedule: Schedule = "every"
    frame_hw: tuple[int, int] | None = None
    scale: ModelScale = "native"

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder of bundles, not one that is shipped."""
        return "/" in self.model

    @property
    def hed_every(self) -> int:
        """HED runs on every so many frames."""
        return 1 if self.schedule == "every" else int(self.schedule.removeprefix("hed/"))

    @property
    def name(self) -> str:
        """The model for people: of a folder its own name alone."""
        return self.model.rstrip("/").rpartition("/")[2]

    @property
    def label(self) -> str:
        """The case for people, without its model and sizes: `openvino int8 bf16-rest`."""
        mode = "" if self.mode == "default" else f" {self.mode}"
        schedule = "" if self.schedule == "every" else f" {self.schedule}"
        scale = "" if self.scale == "native" else f" {self.scale}"
        return f"{self.engine} {self.precision}{mode}{schedule}{scale}"

    @property
    def case_key(self) -> tuple[object, ...]:
        """What identifies the case."""
        how = (self.precision, self.engine, self.mode, self.schedule)
        return (self.model, *how, self.size_hw, self.frame_hw, self.scale)


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What part of the time the convolutions alone would take at the machine's measured rate."""

    arithmetic: Precision  # whose limit it is held to
    limit_gops: float
    share: float


class BenchmarkRow(Case, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case, measured in one scope. What could not be measured is None, with the reason.

    Attributes:
        fps: Frames a second, the median over the rounds.
        device: What ran it: `openvino CPU`.
        f1: Pixel F1 at zero tolerance and the shipped threshold, on `images` images of `data`.
        rss_mb: Largest resident memory of the process, before scoring.
        round_fps: Frames a second in each round; the cases of one group take turns.
        stages_ms: Median milliseconds by stage.
        first_mask_ms: From process start to the first mask, by state of the cache: cold, warm.
        speedup: Case -> how many times as fast as that case, median and 95 % interval of the
            ratio of paired rounds.
        relative: Its FPS over that of the suite's first model in the same engine, precision, mode
            and round, where models took turns: median and 95 % interval.
        sha256: File -> its hash: the graphs that ran, of PyTorch the weights.
        engine_threads: How many the engine says it uses; `threads` is what the suite asked for.
        others_cpu: Share of all cores that other processes used, the median over turns.
        not_measured: Field -> why it is None.
    """

    scope: Scope
    fps: float
    latency_ms: LatencyMs
    f1: float | None
    f1_ci95: tuple[float, float] | None
    images: int
    data: str | None
    rss_mb: float
    file_mb: float | None
    device: str
    threads: int | None
    gflop: float
    frames: int
    round_fps: Annotated[tuple[float, ...], msgspec.Meta(min_length=1)]
    stages_ms: dict[str, float]
    first_mask_ms: dict[str, float]
    speedup: dict[str, tuple[float, float, float]]
    limit: Share | None
    profile: EngineProfile | None
    joules: float | None  # a frame
    temperature_c: float | None
    clocks_mhz: dict[str, float] | None
    power_mode: str | None
    relative: tuple[float, float, float] | None = None  # this and the next: not in older files
    sha256: dict[str, str] | None = None
    engine_threads: int | None = None
    others_cpu: float | None = None
    not_measured: dict[str, str]

    @property
    def key(self) -> tuple[object, ...]:
        """What two rows of the same thing have in common."""
        return (*self.case_key, self.scope)


class Failure(Case, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case that could not be measured, and why, in one line."""

    error: str


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the engine attains on one shape of convolution, alone."""

    arithmetic: Precision
    channels: tuple[int, int]  # in, out
    size_hw: tuple[int, int]
    gops: float  # 1e9 operations a second, two a multiply-accumulate


class MachineLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this machine can do at best, measured in the same run."""

    rates: tuple[Rate, ...]
    bandwidth_gb_s: float  # of a copy larger than any cache, read and write counted

    def best_gops(self, arithmetic: Precision) -> float | None:
        """Return the highest rate of an arithmetic; None where it was not measured."""
        return max((r.gops for r in self.rates if r.arithmetic == arithmetic), default=None)


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the figures depend on."""

    machine: str
    cpu: str
    cpu_flags: tuple[str, ...]
    cores: int
    gpu: str | None
    compute_capability: str | None  # of the first GPU
    cuda: str | None  # the newest that the driver runs
    jetpack: int | None
    memory_gb: float
    system: str
    python: str
    packages: dict[str, str]
    commit: str | None
    power_mode: str | None
    sensors: dict[str, bool]  # power, temperature, clocks: whether there is one
    load_before: float  # runnable processes of others, the mean of one minute
    started: str  # ISO 8601, UTC

    @property
    def identity(self) -> tuple[object, ...]:
        """What must be equal for two runs to be of one machine; a driver may be updated."""
        memory_gb = round(self.memory_gb)
        return (self.machine, self.cpu, self.cpu_flags, self.cores, memory_gb, self.gpu)


class BenchmarkResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of a suite, whole or as far as it got.

    Attributes:
        asked: What the suite says, key by key; None in older files, as is `scored`.
        scored: What F1 is of; None where nothing is scored.
    """

    schema: int
    environment: Environment
    rows: tuple[BenchmarkRow, ...]
    failures: tuple[Failure, ...] = ()
    limits: MachineLimits | None = None
    suite: str
    suite_sha256: str
    command: str
    complete: bool
    asked: dict[str, Any] | None = None
    scored: Scored | None = None


def read_result(path: Path) -> BenchmarkResult:
    """Return a result file.

    Raises:
        ConfigError: no such file, another schema, or not a result.
    """
    schema = read_json(path, _Versioned).schema
    if schema != SCHEMA:
        raise ConfigError(
            f"{path}: result schema {schema}, this version reads {SCHEMA}; measure it again"
        )
    return read_json(path, BenchmarkResult)


def write_result(path: Path, result: BenchmarkResult) -> None:
    """Write a result so that the file is whole at every moment.

    Raises:
        ConfigError: the disk is full, or the folder not ours to write in.
    """
    try:
        write_json(path, result, indent=1)
    except OSError as e:
        raise ConfigError(f"{path}: cannot be written ({e}); make room, then start again") from e


class _Versioned(msgspec.Struct):
    schema: int
