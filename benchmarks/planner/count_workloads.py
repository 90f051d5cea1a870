"""Write benchmarks/planner/workloads.json, what the planner knows of every shipped model, anew.

Layers are counted as PyTorch runs them on the meta device; ReLU, sigmoid, a folded batch norm and
HED's subtraction of the mean cost nothing, since engines compute them within a convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.planner.workload import COUNTED, Convolutions, Counted, Counts
from scnet_edge.bundle.recipe import DEFAULT_SIZE_HW
from scnet_edge.config import read_json
from scnet_edge.evaluation.scores import Evaluation
from scnet_edge.models.cards import Card, find_chain, shipped_models
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.sizes import SizeHW

RESULTS = Path(__file__).parents[1] / "results"
MOVING = ("add", "cat", "interpolate", "max_pool2d", "max_unpool2d", "mul", "pixel_shuffle")
INDEXED = "max_pool2d_with_indices"


class Counter(TorchFunctionMode):
    """Adds up what runs inside it.

    Attributes:
        convolutions: [gflop, read, written, normed] by the fewer of a layer's channels.
        moved: Numbers that other layers read and write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: dict[int, list[float]] = {}
        self.moved = 0
        self._last: list[float] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function of PyTorch and count it."""
        out = func(*args, **(kwargs or {}))
        if func.__name__ == "conv2d":
            x, weight = args[:2]
            group = self.convolutions.setdefault(min(weight.shape[:2]), [0.0] * 4)
            counts = (2e-9 * out.numel() * prod(weight.shape[1:]), x.numel(), out.numel(), 0)
            group[:] = [a + b for a, b in zip(group, counts, strict=True)]
            self._last = group
        elif func.__name__ == "instance_norm":
            self._last[3] += out.numel()
        elif func.__name__ in (*MOVING, INDEXED):
            self.moved += _numbers(args) + _numbers(out)
        return out


def count(networks: Sequence[nn.Module], size_hw: SizeHW) -> Counter:
    """Return the counts of networks on one frame."""
    counter = Counter()
    with counter:
        for network in networks:
            inputs = next(m for m in network.modules() if isinstance(m, nn.Conv2d)).in_channels
            network.eval()(torch.empty(1, inputs, *size_hw, device="meta"))
    return counter


def counts() -> Counts:
    """Return what the planner knows of every shipped crack model, HED included."""
    cards = [card for card in shipped_models() if card.kind == "scnet"]
    return Counts(size_hw=DEFAULT_SIZE_HW, models={card.name: _count(card) for card in cards})


def _count(card: Card) -> Counted:
    assert card.config is not None
    with torch.device("meta"):  # shapes alone: no weight is read
        scnet = SCNet(SCNetConfig(**msgspec.structs.asdict(card.config)))
        networks = [scnet, *(HED(width=w) for c in find_chain(card) if (w := c.hed_width))]
    found = count(networks, DEFAULT_SIZE_HW)
    return Counted(
        stride=scnet.config.stride,
        f1_int8=round(read_json(RESULTS / f"{card.name}-int8.json", Evaluation).shipped.f1, 4),
        mega_moved=_mega(found.moved),
        convolutions=tuple(
            Convolutions(channels, round(gflop, 4), *map(_mega, numbers))
            for channels, (gflop, *numbers) in sorted(found.convolutions.items())
        ),
    )


def _numbers(values: Any) -> int:
    if isinstance(values, list | tuple):
        return sum(map(_numbers, values))
    return values.numel() if isinstance(values, Tensor) else 0


def _mega(numbers: float) -> float:
    return round(numbers / 1e6, 3)


if __name__ == "__main__":
    text = msgspec.json.format(msgspec.json.encode(counts()), indent=1)
    COUNTED.write_bytes(text + b"\n")
