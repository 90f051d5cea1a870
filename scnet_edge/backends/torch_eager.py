"""The reference: the chain in eager PyTorch, FP32, behind the same seam as the engines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from scnet_edge.backends.base import Array
from scnet_edge.models.chain import Chain


class TorchBackend:
    """A `Backend` over a `Chain`."""

    name = "torch CPU"

    def __init__(self, chain: Chain) -> None:
        self.chain = chain.eval()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map `frame` (1, H, W, 3) uint8 BGR to `probability`; with a prior also `edges`."""
        with torch.inference_mode():
            outputs = self.chain(torch.from_numpy(np.ascontiguousarray(feeds["frame"])))
        names = ("probability", "edges", "prior")
        return {name: value.numpy() for name, value in zip(names, outputs, strict=False)}

    def close(self) -> None:
        """Nothing to release."""
