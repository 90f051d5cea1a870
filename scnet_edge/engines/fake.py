"""A backend without an engine, so that users can test their robots: dark pixels are cracks."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.engines.base import Array, TensorSpec, check_feeds
from scnet_edge.errors import EngineError

WHITE = 255.0


class FakeBackend:
    """A `Backend` whose probability is the darkness of a pixel and whose edges are its gradient.

    The same frame always gives the same answer: probability 1 where it is black, 0 where it is
    white, above 0.5 where the grey value is below 127.5; edges 1 at a step from black to white.

    Args:
        frame_hw: Height and width of the frames that come in.
        size_hw: Height and width of the maps; None for those of the frames.
        edges: Also answer `edges`, as a model with the HED prior does.
    """

    name = "fake"

    def __init__(
        self,
        frame_hw: tuple[int, int],
        size_hw: tuple[int, int] | None = None,
        *,
        edges: bool = True,
    ) -> None:
        self._inputs = {"frame": TensorSpec(shape=(1, *frame_hw, 3), dtype=np.dtype(np.uint8))}
        self._size_hw = size_hw or frame_hw
        self._edges = edges
        self._closed = False

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map `frame` (1, H, W, 3) uint8 BGR to `probability` and `edges`, (1, h, w) in [0, 1]."""
        if self._closed:
            raise EngineError("this fake backend is closed; open another")
        check_feeds(feeds, self._inputs)
        h, w = self._size_hw
        grey = cv2.cvtColor(feeds["frame"][0], cv2.COLOR_BGR2GRAY)  # (H, W)
        light = cv2.resize(grey, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / WHITE
        outputs: dict[str, Array] = {"probability": 1 - light[None]}  # (1, h, w)
        if self._edges:
            outputs["edges"] = _steps(light)[None]
        return outputs

    def close(self) -> None:
        """Refuse to run from now on, as a real engine would."""
        self._closed = True


def _steps(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the largest difference within each 3x3 neighbourhood, (h, w) in [0, 1]."""
    window = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(light, window) - cv2.erode(light, window), np.float32)
