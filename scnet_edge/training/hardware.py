"""What a run computes on: it sets the pace, and the figures only by rounding."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch

MOST_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Where a run computes.

    Attributes:
        device: cpu, cuda or cuda:N, this process's own.
        workers: Processes that cut crops ahead of the steps; with 0 they are cut in between.
        compiled: Let `torch.compile` make code of the model, at the first step, which takes a
            minute.
    """

    device: str = "cpu"
    workers: int = 0
    compiled: bool = False

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a CUDA GPU."""
        return self.device.startswith("cuda")


CPU = Hardware()


def usual_workers(device: str) -> int:
    """Return how many workers keep a device busy: none for a CPU, which they would take it from."""
    if not device.startswith("cuda"):
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # of torchrun's processes
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) // here)


@contextlib.contextmanager
def try_kernels(on: Hardware) -> Iterator[None]:
    """Let cuDNN try its kernels on a GPU: it pays for crops of one size, not for whole images."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    try:
        cudnn.benchmark = on.is_gpu
        yield
    finally:
        cudnn.benchmark = before
