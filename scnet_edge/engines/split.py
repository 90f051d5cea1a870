"""HED and SCNet as two engines, so that HED may run less often, or smaller, than SCNet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from scnet_edge.data.frames import resize
from scnet_edge.engines.base import Array, Backend
from scnet_edge.errors import EngineError


def open_both(
    open_hed: Callable[[], Backend], open_scnet: Callable[[], Backend]
) -> tuple[Backend, Backend]:
    """Open HED and SCNet for a `SplitBackend`, or neither."""
    hed = open_hed()
    try:
        return hed, open_scnet()
    except BaseException:
        hed.close()
        raise


class SplitBackend:
    """A `Backend` with the inputs and outputs of a fused graph, over HED and SCNet apart.

    Args:
        hed: `frame` (N, H, W, 3) uint8 -> `edges` (N, h, w) and `prior` (N, 1, h, w).
        scnet: `frame` and `prior` -> `probability`.
        every: HED runs on the first frame and every so many; in between its edges are reused.
        hed_frame_hw: Size of the frames HED takes.
        size_hw: Size of the prior that SCNet takes; HED's edges are scaled to it.
        edge_threshold: Prior where the scaled edges are above this.
    """

    def __init__(
        self,
        hed: Backend,
        scnet: Backend,
        *,
        every: int,
        hed_frame_hw: tuple[int, int],
        size_hw: tuple[int, int],
        edge_threshold: float,
    ) -> None:
        self._hed = hed
        self._scnet = scnet
        self._every = every
        self._hed_frame_hw = hed_frame_hw
        self._size_hw = size_hw
        self._edge_threshold = edge_threshold
        self._age = 0  # frames since HED ran
        self._edges: Array | None = None
        self._prior: Array | None = None

    @property
    def name(self) -> str:
        """Both engines, for people."""
        return self._scnet.name

    @property
    def threads(self) -> int | None:
        """How many SCNet's engine computes with; None where it does not tell."""
        return getattr(self._scnet, "threads", None)

    @property
    def reused(self) -> bool:
        """Whether the last frame was given the edges of an earlier one."""
        return self._age > 0

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map `frame` to `probability` and `edges`, both (N, h, w)."""
        self._age = (self._age + 1) % self._every if self._edges is not None else 0
        if self._edges is None or not self.reused:
            self._edges, self._prior = self._look(feeds["frame"])
        assert self._prior is not None
        outputs = self._scnet.run({"frame": feeds["frame"], "prior": self._prior})
        return {"probability": outputs["probability"], "edges": self._edges}

    def close(self) -> None:
        """Release both engines."""
        self._hed.close()
        self._scnet.close()

    def _look(self, frames: Array) -> tuple[Array, Array]:
        """Return edges (N, h, w) and prior (N, 1, h, w) at SCNet's size."""
        fed = np.stack([resize(frame, self._hed_frame_hw) for frame in frames])  # (N, H, W, 3)
        outputs = self._hed.run({"frame": fed})
        edges, prior = outputs["edges"], outputs["prior"]
        if edges.ndim != 3 or not np.isfinite(edges).all():
            raise EngineError(f"{self._hed.name}: expected finite edges (1, h, w), {edges.shape}")
        if edges.shape[1:] == self._size_hw:
            return edges, prior.astype(np.float32, copy=False)  # TensorRT's comes as FP16
        whole = edges.astype(np.float32, copy=False)
        scaled = np.stack([resize(each, self._size_hw) for each in whole])  # (N, h, w)
        return scaled, (scaled[:, None] > self._edge_threshold).astype(np.float32)  # (N, 1, h, w)
