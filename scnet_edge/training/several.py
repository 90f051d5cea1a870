"""Training on several processes: what one batch norm sees, all of them see."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from scnet_edge.errors import ConfigError


def join() -> tuple[int, int]:
    """Join the group that `torchrun` describes and return rank and number of processes."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), world


def leave() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def check_batch(batch: int, world: int) -> None:
    """Raise ConfigError unless every process gets as many crops."""
    if batch % world:
        raise ConfigError(f"batch {batch}: expected a multiple of the {world} processes")


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
        mean, square = all_reduce(sums) / n  # type: ignore[no-untyped-call]
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
