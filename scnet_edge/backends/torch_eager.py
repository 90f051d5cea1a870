"""The reference: the chain in PyTorch, FP32, behind the same seam as the engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from scnet_edge.backends.base import Array
from scnet_edge.models.chain import Chain

NAMES = ("probability", "edges", "prior")


class TorchBackend:
    """A `Backend` over a `Chain`; eager on the CPU, which is the reference, unless told otherwise.

    Args:
        chain: The networks; moved to `device` and put in eval mode.
        device: `cpu` or `cuda`. The CUDA path never ran on real hardware here.
        compiled: Let `torch.compile` make code of it, at the first frame.
    """

    def __init__(self, chain: Chain, *, device: str = "cpu", compiled: bool = False) -> None:
        self.chain = chain.eval().to(device)
        self.name = f"torch {device.upper()}"
        self._device = device
        self._run: Callable[[Tensor], tuple[Tensor, ...]] = (
            torch.compile(self.chain, dynamic=False) if compiled else self.chain
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map `frame` (1, H, W, 3) uint8 BGR to `probability`; with a prior also `edges`."""
        frame = torch.from_numpy(np.ascontiguousarray(feeds["frame"]))
        with torch.inference_mode():
            outputs = self._run(frame.to(self._device))
        # A copy to the host waits for the GPU, so that a clock around this is honest.
        return {name: value.cpu().numpy() for name, value in zip(NAMES, outputs, strict=False)}

    def close(self) -> None:
        """Nothing to release."""
