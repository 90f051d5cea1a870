"""A bundle, opened on an engine: a frame goes in, a crack mask comes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scnet_edge.bundle.device import open_engine
from scnet_edge.bundle.manifest import Manifest, at_operating_point, read_manifest
from scnet_edge.data.frames import as_bgr, resize
from scnet_edge.engines.base import Array, Backend, run_all
from scnet_edge.engines.isolated.parent import RUN_TIMEOUT_S
from scnet_edge.errors import EngineError
from scnet_edge.runtime.ignore import Ignore
from scnet_edge.runtime.scale import ModelScale, Rows, check_scale, look, look_in_strips
from scnet_edge.runtime.tiles import Maps
from scnet_edge.types import Frame, Map, Result

Batch: TypeAlias = npt.NDArray[np.float32]  # (N, k, H, W)


class Pipeline:
    """A loaded bundle; call it on a frame. Threads may share it: their calls wait for each other.

    Args:
        manifest: What the bundle says of itself.
        backend: The engine.
        scale: How a frame of another size than the model's is brought to it, see `scale.look`.
        ignore: Where not to look; None for everywhere.

    Attributes:
        manifest, backend, scale, ignore: As given.
    """

    def __init__(
        self,
        manifest: Manifest,
        backend: Backend,
        *,
        scale: ModelScale = "native",
        ignore: Ignore | None = None,
    ) -> None:
        self.manifest = manifest
        self.scale = check_scale(scale)
        self.ignore = ignore or Ignore()
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
        scale: ModelScale = "native",
        ignore: Ignore | None = None,
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
                the decision that it ships with.
            timeout_s: How long an isolated engine may take over a frame before it is replaced.
            scale: How a frame of another size than the model's is brought to it: `native`, at its
                own scale, in overlapping tiles; `fit`, whole; `auto`, in tiles where the whole
                frame, made smaller, shows that something may be.
            ignore: Where not to look; None for everywhere.

        Raises:
            BundleError: not a bundle, incomplete or altered.
            EngineError: no such engine here, it refuses the graph, or the compiled code is altered
                or not for this machine.
        """
        manifest = at_operating_point(read_manifest(Path(bundle)), operating_point)
        check_scale(scale)
        backend = open_engine(
            Path(bundle),
            manifest,
            engine=engine,
            fallback=fallback,
            isolate=isolate,
            threads=threads,
            cache=cache,
            timeout_s=timeout_s,
        )
        return cls(manifest, backend, scale=scale, ignore=ignore)

    def __call__(self, frame_bgr: Frame) -> Result:
        """Return mask and maps of the frame's own size; `timing` has engine and mask.

        Args:
            frame_bgr: (h, w, 3) uint8 BGR of any size; grey, BGRA and 16 bit as `as_bgr` says.

        Raises:
            InputError: not an image, or one too small or too large.
            ConfigError: what to ignore does not fit the frame, or is all of it.
            EngineError: the engine fails, or its output is not finite.
        """
        frame = as_bgr(frame_bgr)
        tile_hw, threshold = self.manifest.input.frame_hw, self.manifest.threshold
        with self._one_call:  # an engine has one place for its input and its output
            begun_s = perf_counter()
            ignored = self.ignore(frame)
            looked = look(
                frame, self._run, tile_hw, self.scale, threshold=threshold, ignored=ignored
            )
            done_s = perf_counter()
        probability, *edges = looked.maps  # (h, w) float32
        if ignored is not None:
            probability[ignored] = 0
        mask = self.manifest.decision.mask_of(probability)
        timing = {"engine": 1e3 * (done_s - begun_s), "mask": 1e3 * (perf_counter() - done_s)}
        return Result(
            mask=mask,
            probability=probability,
            edges=edges[0] if edges else None,
            timing=timing,
            scale=looked.scale,
            tiles=looked.tiles,
            ignored=ignored,
        )

    def strips(self, frame_hw: tuple[int, int], rows: Rows, *, begin: int = 0) -> Generator[Map]:
        """Yield the probability of a picture too large to hold; arguments as `look_in_strips`.

        Other calls, `close` too, wait until the last strip was taken or the generator is closed.

        Raises:
            EngineError: the engine fails, or its output is not finite.
        """
        with self._one_call:
            yield from look_in_strips(
                frame_hw, rows, self._run, self.manifest.input.frame_hw, begin=begin
            )

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

    def _run(self, tiles: Iterable[Frame]) -> Iterator[Maps]:
        """Yield the maps (k, H, W) of tiles (H, W, 3), as many at a time as the graph takes."""
        batch = self.manifest.input.batch
        counts: deque[int] = deque()

        def feeds() -> Iterator[Mapping[str, Array]]:
            waiting = iter(tiles)
            while some := list(islice(waiting, batch)):
                counts.append(len(some))
                some += [np.zeros_like(some[0])] * (batch - len(some))
                yield {"frame": np.stack(some)}  # (N, H, W, 3) uint8

        for outputs in run_all(self.backend, feeds()):
            yield from self._maps(outputs)[: counts.popleft()]

    def _maps(self, outputs: Mapping[str, Array]) -> Batch:
        """Return the maps of N tiles, (N, k, H, W) float32, checked."""
        contract = self.manifest.input
        names = ["probability", *(["edges"] if "edges" in outputs else [])]
        expected = (contract.batch, *contract.size_hw)
        for name in names:
            if name not in outputs or outputs[name].shape != expected:
                found = {key: value.shape for key, value in outputs.items()}
                raise EngineError(
                    f"{self.engine}: expected output {name} {expected}, found {found}"
                )
            if not np.isfinite(outputs[name]).all():
                raise EngineError(
                    f"{self.engine}: {name} is not finite; run 'scnet-edge verify' on the bundle, "
                    "or use a bundle of higher precision"
                )
        apart = [outputs[name][:, None].astype(np.float32, copy=False) for name in names]
        maps = apart[0] if len(apart) == 1 else np.concatenate(apart, axis=1)  # (N, k, h, w)
        if contract.size_hw == contract.frame_hw:
            return maps
        return np.stack([[resize(m, contract.frame_hw) for m in each] for each in maps])
