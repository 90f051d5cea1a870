"""`doctor --deep`: a bundle tried on this machine by every engine, as one file for an issue.

Each graph of the bundle is built, held to its golden frames and timed, in a process of its own, so
that a crash is a line of the report. For an engine that compiles, `compile` is tried as well, on a
copy. Nothing is written into the bundle.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from scnet_edge import __version__
from scnet_edge.bundle.activate import compile_bundle
from scnet_edge.bundle.compile import COMPILING
from scnet_edge.bundle.device import graphs_for
from scnet_edge.bundle.manifest import FP16, FUSED, GOLDEN, Manifest, read_manifest
from scnet_edge.bundle.verify import Golden, measure_parity, read_golden
from scnet_edge.doctor.checks import can_run, checks
from scnet_edge.doctor.machine_checks import Check
from scnet_edge.engines.base import list_engines
from scnet_edge.engines.compiled import CompiledEngine
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.errors import ScnetEdgeError
from scnet_edge.machine.description import Machine, read_cuda, read_machine
from scnet_edge.machine.telemetry import Telemetry, read_sensors
from scnet_edge.types import Captured, Parity
from scnet_edge.video.sources import open_source

PACKAGES = (
    *("numpy", "opencv-python-headless", "openvino", "onnxruntime", "onnxruntime-gpu"),
    *("tensorrt", "tensorrt-rtx", "cuda-bindings", "pycuda"),
)
LATENCY_S = 3.0  # of each trial, or `MIN_RUNS` where that is longer
MIN_RUNS = 5
CAMERA_S = 10.0
Report = Callable[[str], object]


class EngineTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One graph by one engine.

    Attributes:
        open_s: from the start of a process to an engine that is built and loaded.
        parity: on the golden frames, to PyTorch in FP32; None where it failed before.
        holds: whether that is what the bundle promises.
        latency_ms: (p50, p95) of the engine alone, its process included.
        error: why there is no more; empty where all went well.
    """

    engine: str
    graph: str
    open_s: float | None = None
    parity: Parity | None = None
    holds: bool = False
    latency_ms: tuple[float, float] | None = None
    error: str = ""


class Compilation(msgspec.Struct, frozen=True, kw_only=True):
    """`compile` on a copy of the bundle; `record` is what it would have kept."""

    engine: str
    compile_s: float | None = None
    record: CompiledEngine | None = None
    error: str = ""


class CameraTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One camera: the size of its first picture, or why there was none."""

    source: str
    size_hw: tuple[int, int] | None = None
    error: str = ""


class DeepReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found; without host name, serial numbers, user name or pictures."""

    version: str
    created: str
    runs_bundles: bool
    checks: list[Check]
    machine: Machine
    packages: dict[str, str]
    bundle: str
    model: str
    precision: str
    min_mask_f1: float
    telemetry_before: Telemetry
    telemetry_after: Telemetry
    trials: list[EngineTrial]
    compilations: list[Compilation]
    cameras: list[CameraTrial]


def examine(
    bundle: Path,
    *,
    engines: Sequence[str] | None = None,
    threads: int | None = None,
    report: Report = lambda step: None,
) -> DeepReport:
    """Return what this machine makes of a bundle; it takes a minute, with TensorRT longer.

    Args:
        bundle: A bundle folder; nothing is written to it.
        engines: What to try; None for all that are installed.
        threads: CPU threads.
        report: Told each step as it begins.

    Raises:
        BundleError: not a bundle, incomplete or altered.
    """
    manifest, golden = read_manifest(bundle), read_golden(bundle / GOLDEN)
    report("looking at the machine")
    found, before = checks(), read_sensors()
    trials, compilations = [], []
    for engine in list_engines() if engines is None else engines:
        for graph in _graphs(bundle, manifest, engine):
            report(f"{engine}: building, checking and timing {graph.name}")
            trials.append(_try(engine, graph, manifest, golden, threads))
        if engine in COMPILING:
            report(f"{engine}: compile, on a copy of the bundle")
            compilations.append(_compile(engine, bundle, threads))
    after = read_sensors()
    report("looking for cameras")
    return DeepReport(
        version=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        runs_bundles=can_run(found),
        checks=found,
        machine=read_machine(read_cuda()),
        packages={name: known for name in PACKAGES if (known := _version(name))},
        bundle=bundle.name,
        model=manifest.model.name,
        precision=manifest.precision,
        min_mask_f1=manifest.min_mask_f1,
        telemetry_before=before,
        telemetry_after=after,
        trials=trials,
        compilations=compilations,
        cameras=[_look(source) for source in _cameras()],
    )


def encode_report(report: DeepReport) -> bytes:
    """Return a report as indented JSON, the user's home folder as `~`."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=1)
    home = str(Path.home()).encode()
    return (text.replace(home, b"~") if len(home) > 1 else text) + b"\n"


def _graphs(bundle: Path, manifest: Manifest, engine: str) -> list[Path]:
    """Return the graphs that the engine may run, and FP16 beside INT8 for comparison."""
    try:
        graphs = graphs_for(bundle, manifest, engine)
    except ScnetEdgeError:  # TensorRT that does not import: the trial says so
        graphs = [bundle / FUSED]
    if FP16[FUSED] in manifest.files:
        graphs.append(bundle / FP16[FUSED])
    return list(dict.fromkeys(graphs))


def _try(
    engine: str, graph: Path, manifest: Manifest, golden: Golden, threads: int | None
) -> EngineTrial:
    start_s = time.monotonic()
    trial = EngineTrial(engine=engine, graph=graph.name)
    try:
        opening = Opening(engine=engine, graph=str(graph), threads=threads)
        with closing(IsolatedBackend([opening], max_restarts=0)) as backend:
            trial = msgspec.structs.replace(trial, open_s=round(time.monotonic() - start_s, 2))
            parity = measure_parity(backend, golden, manifest.threshold, manifest.edge_threshold)
            holds = parity.mask_f1 >= manifest.min_mask_f1 and parity.max_abs_error <= 1
            trial = msgspec.structs.replace(trial, parity=parity, holds=holds)
            return msgspec.structs.replace(trial, latency_ms=_latency_ms(backend, golden))
    except ScnetEdgeError as e:
        return msgspec.structs.replace(trial, error=str(e))


def _latency_ms(backend: IsolatedBackend, golden: Golden) -> tuple[float, float]:
    took_ms: list[float] = []
    end_s = time.monotonic() + LATENCY_S
    while len(took_ms) < MIN_RUNS or time.monotonic() < end_s:
        frame = golden.frames[len(took_ms) % len(golden.frames)]
        start_s = time.perf_counter()
        backend.run({"frame": frame[None]})
        took_ms.append(1e3 * (time.perf_counter() - start_s))
    p50, p95 = np.percentile(took_ms, (50, 95))
    return round(float(p50), 2), round(float(p95), 2)


def _compile(engine: str, bundle: Path, threads: int | None) -> Compilation:
    with tempfile.TemporaryDirectory(prefix="scnet-edge-doctor-") as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("device"))
        try:
            done = compile_bundle(copy, engine=engine, threads=threads)
        except ScnetEdgeError as e:
            return Compilation(engine=engine, error=str(e).replace(str(copy), bundle.name))
    return Compilation(engine=engine, compile_s=round(done.compile_s, 2), record=done.record)


def _cameras() -> list[str]:
    devices = sorted(Path("/dev").glob("video*"), key=lambda path: (len(path.name), path.name))
    sources = [f"v4l2://{device}" for device in devices]
    jetson = Path("/etc/nv_tegra_release").exists() and shutil.which("gst-launch-1.0")
    return [*sources, *(["csi://0"] if jetson else [])]


def _look(source: str) -> CameraTrial:
    """Return what a camera gives first: a picture, or what is wrong."""
    try:
        with open_source(source, open_s=CAMERA_S, frame_s=CAMERA_S) as opened:
            for item in opened.items:
                if isinstance(item, Captured):
                    height_px, width_px = item.frame.shape[:2]
                    return CameraTrial(source=source, size_hw=(height_px, width_px))
                if item.kind == "camera_waiting":
                    return CameraTrial(source=source, error=f"{item.reason} {item.detail}".strip())
    except ScnetEdgeError as e:
        return CameraTrial(source=source, error=str(e))
    return CameraTrial(source=source, error="no picture")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
