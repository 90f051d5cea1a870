"""What a run computes on, one device or several: that sets the pace, not the figures.

Figures differ by rounding alone: what a batch norm or a loss of regions sees, all processes see.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from scnet_edge.errors import ConfigError

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


def world_size() -> int:
    """Return the number of processes that `torchrun` started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_gpu() -> str:
    """Return the GPU of this process, one of several on this machine.

    Raises:
        ConfigError: there are fewer GPUs than processes.
    """
    local, found = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= found:
        raise ConfigError(
            f"process {local + 1} of this machine has no GPU, found {found}; lower "
            "--nproc-per-node, or pass --device cpu"
        )
    return f"cuda:{local}"


def join(device: str) -> tuple[int, int]:
    """Join the group that `torchrun` describes and return rank and number of processes.

    Args:
        device: Of this process; GPUs talk by NCCL, CPUs by gloo.
    """
    world = world_size()
    if world == 1:
        return 0, 1
    if not dist.is_initialized():
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return dist.get_rank(), world


def leave() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()  # else the group's threads may outlive it, and abort a process that ends


def first_alone(act: Callable[[], None]) -> None:
    """Let the first process act while the others wait for it; where it fails, all of them end.

    Raises:
        ConfigError: in the others, the first one failed.
    """
    if not dist.is_initialized():
        act()
        return
    well, all_well = False, [False] * dist.get_world_size()
    try:
        if dist.get_rank() == 0:
            act()
        well = True
    finally:
        dist.all_gather_object(all_well, well)
    if not all(all_well):
        raise ConfigError("the first of the processes ended; what it expected is in its own line")


def check_batch(batch: int, world: int) -> None:
    """Raise ConfigError unless every process gets as many crops."""
    if batch % world:
        raise ConfigError(f"batch {batch}: expected a multiple of the {world} processes")


def sum_over_processes(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; gradients flow back to each."""
    if not dist.is_initialized():
        return value
    total: Tensor = all_reduce(value)  # type: ignore[no-untyped-call]
    return total


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of the crops of all processes.

    `nn.SyncBatchNorm` does this on GPUs alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        if not self.training:
            return super().forward(x)
        world, kind = dist.get_world_size(), x.dtype
        x = x.float()  # gloo does not add up bfloat16
        sums = torch.stack([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))])  # (2, C)
        n = world * x.numel() // x.shape[1]
        mean, square = sum_over_processes(sums) / n
        variance = (square - mean * mean).clamp(min=0)
        self._remember(mean.detach(), variance.detach() * n / (n - 1))
        scale = self.weight / torch.sqrt(variance + self.eps)
        shift = self.bias - mean * scale
        normed: Tensor = x * scale[:, None, None] + shift[:, None, None]
        return normed.to(kind)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        rate = self.momentum or 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance, rate)


def share_batch_norms(model: nn.Module) -> None:
    """Replace every batch norm by one that is shared, with the same weights, in place."""
    _exchange(model, nn.BatchNorm2d, SharedBatchNorm2d)


def own_batch_norms(model: nn.Module) -> None:
    """Undo `share_batch_norms`: the model no longer needs the other processes."""
    _exchange(model, SharedBatchNorm2d, nn.BatchNorm2d)


def _exchange(model: nn.Module, old: type[nn.BatchNorm2d], new: type[nn.BatchNorm2d]) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is old:
                norm = new(child.num_features, child.eps, child.momentum)
                norm.to(child.weight.device).load_state_dict(child.state_dict())
                setattr(parent, name, norm)
