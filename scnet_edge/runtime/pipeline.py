"""A bundle, opened on an engine: a frame goes in, a crack mask comes out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np

from scnet_edge.bundle.device import opening_for
from scnet_edge.bundle.manifest import Manifest, at_operating_point, read_manifest
from scnet_edge.data.frames import as_bgr
from scnet_edge.data.preprocess import resized
from scnet_edge.engines.base import Array, Backend, default_engine
from scnet_edge.engines.isolated.parent import RUN_TIMEOUT_S, IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening, open_one
from scnet_edge.errors import EngineError
from scnet_edge.types import Frame, Map, Result


class Pipeline:
    """A loaded bundle; call it on a frame. Threads may share it: their calls wait for each other.

    Attributes:
        manifest: What the bundle says of itself.
        backend: The engine.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self.backend = backend
        self._one_call = Lock()

    @property
    def engine(self) -> str:
        """What runs it, for people: `openvino CPU`; another one after an isolated fallback."""
        return self.backend.name

    @classmethod
    def open(
        cls,
        bundle: str | Path,
        *,
        engine: str | None = None,
        threads: int | None = None,
        cache: Path | None = None,
        isolate: bool = False,
        fallback: str | None = None,
        operating_point: str | None = None,
        timeout_s: float = RUN_TIMEOUT_S,
    ) -> Pipeline:
        """Open a bundle folder, every file of it checked against its hash first.

        Args:
            bundle: A folder that `scnet-edge build` wrote.
            engine: `openvino`, `onnxruntime` or `tensorrt`; None for `default_engine`.
            threads: CPU threads; None leaves it to the engine.
            cache: A folder for what the engine compiles; None for what `compile` made
                and activated, if anything.
            isolate: Run the engine in a process of its own, where a crash of native code costs one
                frame (`EngineCrash`) and not this process; see `IsolatedBackend`.
            fallback: Another engine for when the first one keeps crashing; implies `isolate`.
            operating_point: One that the bundle has: `sensitive`, `balanced` or `strict`; None for
                the threshold that it ships with.
            timeout_s: How long an isolated engine may take over a frame before it is replaced.

        Raises:
            BundleError: not a bundle, incomplete or altered.
            EngineError: no such engine here, it refuses the graph, or the compiled code is altered
                or not for this machine.
        """
        manifest = at_operating_point(read_manifest(Path(bundle)), operating_point)

        def opening(engine: str) -> Opening:
            return opening_for(Path(bundle), manifest, engine, threads=threads, cache=cache)

        first = opening(engine or default_engine())
        if isolate or fallback:
            others = [opening(fallback)] if fallback else []
            return cls(manifest, IsolatedBackend([first, *others], run_timeout_s=timeout_s))
        return cls(manifest, open_one(first))

    def __call__(self, frame_bgr: Frame) -> Result:
        """Return mask and maps of the frame's own size; `timing` has resize, engine and mask.

        Args:
            frame_bgr: (h, w, 3) uint8 BGR of any size; grey, BGRA and 16 bit as `as_bgr` says.

        Raises:
            InputError: not an image, or one too small or too large.
            EngineError: the engine fails, or its output is not finite.
        """
        frame = as_bgr(frame_bgr)
        frame_hw = (frame.shape[0], frame.shape[1])
        start_s = perf_counter()
        fed = resized(frame, self.manifest.input.frame_hw)
        resized_s = perf_counter()
        with self._one_call:  # an engine has one place for its input and its output
            begun_s = perf_counter()
            outputs = self.backend.run({"frame": fed[None]})  # (1, H, W, 3) uint8
            done_s = perf_counter()
        probability = self._map(outputs, "probability", frame_hw)
        edges = self._map(outputs, "edges", frame_hw) if "edges" in outputs else None
        mask = probability >= self.manifest.threshold
        timing = {
            "resize": 1e3 * (resized_s - start_s),
            "engine": 1e3 * (done_s - begun_s),
            "mask": 1e3 * (perf_counter() - done_s),
        }
        return Result(mask=mask, probability=probability, edges=edges, timing=timing)

    def close(self) -> None:
        """Release the engine; calling it twice is harmless."""
        with self._one_call:
            self.backend.close()

    def __enter__(self) -> Pipeline:
        """Return itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Release the engine."""
        self.close()

    def _map(self, outputs: Mapping[str, Array], name: str, frame_hw: tuple[int, int]) -> Map:
        """Return one output as (h, w) float32 of the frame's size."""
        expected = (1, *self.manifest.input.size_hw)
        if name not in outputs or outputs[name].shape != expected:
            found = {key: value.shape for key, value in outputs.items()}
            raise EngineError(f"{self.engine}: expected output {name} {expected}, found {found}")
        values = outputs[name][0].astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise EngineError(
                f"{self.engine}: {name} is not finite; run 'scnet-edge verify' on the bundle, "
                "or use a bundle of higher precision"
            )
        return resized(values, frame_hw)
