"""The chain in PyTorch behind the same seam as the engines: the reference, in FP32 on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scnet_edge.engines.base import Array
from scnet_edge.models.chain import Chain

NAMES = ("probability", "edges", "prior")
Autocast = Literal["fp32", "bf16", "fp16"]
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """A `Backend` over a `Chain`; eager on the CPU, which is the reference, unless told otherwise.

    Args:
        chain: The networks; moved to `device` and put in eval mode.
        device: `cpu` or `cuda`.
        precision: What autocast lets convolutions and matrix products compute in.
        compiled: Let `torch.compile` make code of it, at the first frame.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        device: str = "cpu",
        precision: Autocast = "fp32",
        compiled: bool = False,
    ) -> None:
        self.chain = chain.eval().to(device)
        self.name = f"torch {device.upper()}"
        self._device, self._half = device, HALVES.get(precision)
        self._run: Callable[[Tensor], tuple[Tensor, ...]] = (
            torch.compile(self.chain, dynamic=False) if compiled else self.chain
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map `frame` (1, H, W, 3) uint8 BGR to `probability`; with a prior also `edges`."""
        frame = torch.from_numpy(np.ascontiguousarray(feeds["frame"]))
        with torch.inference_mode(), without_tf32(), self._autocast():
            outputs = self._run(frame.to(self._device))
        # A copy to the host waits for the GPU, so that a clock around this is honest. NumPy has no
        # BF16, so it goes after the copy, which is the smaller for it.
        hosts = [value.cpu().to(torch.float32) for value in outputs]
        return {name: host.numpy() for name, host in zip(NAMES, hosts, strict=False)}

    @property
    def threads(self) -> int | None:
        """How many PyTorch computes with on the CPU."""
        return torch.get_num_threads() if self._device == "cpu" else None

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self._half is None:
            return contextlib.nullcontext()
        return torch.autocast(self._device.partition(":")[0], self._half)

    def close(self) -> None:
        """Nothing to release."""


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """Compute FP32 as FP32: TF32, PyTorch's default for convolutions on a GPU, has 10 bits of it.

    Put back afterwards, for a training in the same process.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    try:
        cudnn.allow_tf32 = matmul.allow_tf32 = False
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
