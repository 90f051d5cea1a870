"""What is measured, opened: the same calls whatever engine runs it. Lives in the worker process."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.bench.schema import Case, Scope
from scnet_edge.bundle.compile import compile_graphs
from scnet_edge.bundle.device import graph_for
from scnet_edge.bundle.manifest import FUSED, HED, SCNET, Manifest, read_manifest
from scnet_edge.data.frames import resize
from scnet_edge.engines.base import Backend, open_backend
from scnet_edge.engines.compiled import COMPILED, Arithmetic
from scnet_edge.engines.split import SplitBackend, open_both
from scnet_edge.errors import EngineError, install_extra
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.types import Captured, Frame

CAMERA_HEADROOM = 1.25  # the camera offers this many times the frames that the pipeline takes
PACE_FRAMES = 3
JPEG_QUALITY = 90


@dataclass(slots=True, kw_only=True)
class Turn:
    """Frames timed in one go.

    Attributes:
        seconds: From the first frame to the last mask.
        latency_ms: One number a frame.
        stages_ms: Stage -> one number a frame.
    """

    seconds: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, latency_ms: float, stages_ms: Mapping[str, float]) -> None:
        """Count one frame."""
        self.latency_ms.append(latency_ms)
        for stage, ms in stages_ms.items():
            self.stages_ms.setdefault(stage, []).append(ms)


class BenchmarkSubject:
    """A case, loaded.

    Attributes:
        pipeline: What users call.
        backend: What it calls.
        sha256: File -> its hash: the graphs that the engine was given, of PyTorch the weights.
        threads: How many the engine uses; None where it does not tell.
    """

    def __init__(self, case: Case, bundle: Path, threads: int | None, cache: Path) -> None:
        manifest = read_manifest(bundle)
        self.backend = _open(case, manifest, bundle, threads, cache)
        self.pipeline = Pipeline(manifest, self.backend, scale=case.scale)
        self.sha256 = _sha256(case, manifest, bundle)
        self.threads: int | None = getattr(self.backend, "threads", None)
        self.engine_hw = manifest.input.frame_hw
        self.frame_hw = case.frame_hw or self.engine_hw
        self._frame_s: float | None = None  # the quickest frame of the last turn of the pipeline

    def time(self, scope: Scope, frames: Sequence[Frame], *, seconds: float, at_most: int) -> Turn:
        """Return the times of frames one after another, for `seconds` or `at_most` frames."""
        if scope == "camera_to_mask":
            return self._time_loop(frames, seconds, at_most)
        if scope == "engine":
            frames = [resize(frame, self.engine_hw) for frame in frames]
        turn, start_s = Turn(), time.perf_counter()
        while not turn.latency_ms or (turn.seconds < seconds and len(turn.latency_ms) < at_most):
            frame = frames[len(turn.latency_ms) % len(frames)]
            before_s = time.perf_counter()
            stages_ms = self._engine(frame) if scope == "engine" else self.pipeline(frame).timing
            turn.add(1e3 * (time.perf_counter() - before_s), stages_ms)
            turn.seconds = time.perf_counter() - start_s
        if scope == "pipeline":
            self._frame_s = min(turn.latency_ms) / 1e3
        return turn

    def _engine(self, frame: Frame) -> dict[str, float]:
        self.backend.run({"frame": frame[None]})
        return {}

    def _time_loop(self, frames: Sequence[Frame], seconds: float, at_most: int) -> Turn:
        """Return the times of the robot's loop under a camera that is a little too fast for it.

        From the stamp before a JPEG is decoded to the mask; nothing is measured in the mask and
        no sink writes.
        """
        from scnet_edge.runtime.delivery import CallbackSink, FrameResult
        from scnet_edge.runtime.loop import run_loop
        from scnet_edge.video.sources import Source

        if self._frame_s is None:
            self.time("pipeline", frames, seconds=1e9, at_most=PACE_FRAMES)
            assert self._frame_s is not None
        fps = CAMERA_HEADROOM / self._frame_s
        count = max(2, min(at_most, round(seconds / self._frame_s)))
        turn, stamps_s = Turn(), [0.0]

        def note(frame_result: FrameResult) -> None:
            stamps_s.append(time.perf_counter())
            turn.add(frame_result.camera_to_mask_ms or 0.0, frame_result.timing_ms)

        items = _camera(frames, fps, measured_from=stamps_s)
        source = Source(items=items, count=None, fps=fps, live=True)
        run_loop(source, self.pipeline, [CallbackSink(note)], frames=count)
        turn.seconds = stamps_s[-1] - stamps_s[0]
        return turn


def _camera(frames: Sequence[Frame], fps: float, measured_from: list[float]) -> Generator[Captured]:
    """Yield what a USB camera would: JPEG, decoded here, stamped before the decoding."""
    encoded = [cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1] for f in frames]
    measured_from[0] = start_s = time.perf_counter()
    frame_id = 0
    while True:
        time.sleep(max(0.0, start_s + frame_id / fps - time.perf_counter()))
        mono_ns = time.monotonic_ns()
        frame = cv2.imdecode(encoded[frame_id % len(encoded)], cv2.IMREAD_COLOR)
        yield Captured(
            frame_id=frame_id,
            name=f"bench-{frame_id:06d}",
            frame=np.asarray(frame, np.uint8),
            mono_ns=mono_ns,
        )
        frame_id += 1


def _parts(case: Case) -> tuple[str, ...]:
    """Return the graphs of a bundle that a case runs, as `graph_for` knows them."""
    return (FUSED,) if case.schedule == "every" else (SCNET, HED)


def _sha256(case: Case, manifest: Manifest, bundle: Path) -> dict[str, str]:
    if case.engine == "torch":
        return {f"{name}.safetensors": sha for name, sha in manifest.model.sha256.items()}
    names = [graph_for(bundle, manifest, case.engine, part).name for part in _parts(case)]
    return {name: manifest.files[name] for name in names}


def _open(
    case: Case, manifest: Manifest, bundle: Path, threads: int | None, cache: Path
) -> Backend:
    if case.engine == "torch" and case.schedule == "every":
        return _torch(case, threads)
    chosen: Arithmetic | None = "bf16" if "bf16" in (case.precision, case.mode[:4]) else None

    def open_graph(part: str) -> Backend:
        graph = graph_for(bundle, manifest, case.engine, part)
        kept = cache
        if case.engine == "tensorrt":
            kept = _with_plan(cache / graph.stem, graph, threads)
        return open_backend(case.engine, graph, threads=threads, cache=kept, arithmetic=chosen)

    return open_graph(FUSED) if _parts(case) == (FUSED,) else _split(case, manifest, open_graph)


def _with_plan(folder: Path, graph: Path, threads: int | None) -> Path:
    """Return the folder with the plan of a graph, built unless an earlier process left it there."""
    if not (folder / COMPILED).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        compile_graphs(folder, [graph], "tensorrt", threads=threads)
    return folder


def _split(case: Case, manifest: Manifest, opened: Callable[[str], Backend]) -> Backend:
    """Return HED and SCNet as two engines, HED at the rate of the schedule."""
    if manifest.edge_threshold is None or case.engine == "torch":
        raise EngineError(f"schedule {case.schedule!r}: needs an engine and a model with HED")
    return SplitBackend(
        *open_both(lambda: opened(HED), lambda: opened(SCNET)),
        every=case.hed_every,
        hed_frame_hw=manifest.input.frame_hw,
        size_hw=manifest.input.size_hw,
        edge_threshold=manifest.edge_threshold,
    )


def _torch(case: Case, threads: int | None) -> Backend:
    try:
        import torch
    except ModuleNotFoundError as e:
        raise EngineError(f"PyTorch is not installed here; {install_extra('build')}") from e
    from scnet_edge.bundle.recipe import Recipe
    from scnet_edge.bundle.reference import open_chain
    from scnet_edge.engines.torch_eager import TorchBackend
    from scnet_edge.models.cards import find_card

    if case.precision == "int8":
        raise EngineError("PyTorch runs the shipped weights in floating point; leave int8 out")
    if threads is not None:
        torch.set_num_threads(threads)
    chain = open_chain(find_card(case.model), Recipe(precision="fp32", size_hw=case.size_hw))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    compiled = case.mode == "compile"
    return TorchBackend(chain, device=device, precision=case.precision, compiled=compiled)
