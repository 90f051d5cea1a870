"""What the shipped models ask of a device, counted on their own layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import msgspec
import torch
from torch import Tensor, nn

from scnet_edge.bench.plan import Workload
from scnet_edge.bench.schema import Result
from scnet_edge.models.cards import Card, shipped_models
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.weights import count_macs


def workloads(size_hw: tuple[int, int], results: Sequence[Result]) -> list[Workload]:
    """Return every shipped crack model, with what results of all images or its card say of F1."""
    cards = [card for card in shipped_models() if card.kind == "scnet"]
    return [_workload(card, size_hw, results) for card in cards]


def _workload(card: Card, size_hw: tuple[int, int], results: Sequence[Result]) -> Workload:
    assert card.config is not None
    with torch.device("meta"):  # shapes alone: no weight is read
        networks: list[nn.Module] = [SCNet(SCNetConfig(**msgspec.structs.asdict(card.config)))]
        if card.takes_prior:
            networks.append(HED())
    f1: dict[str, float] = {
        row.precision: row.f1
        for result in results
        for row in result.rows
        if row.model == card.name and row.f1 is not None and row.images >= 237
    }
    if card.metrics:
        f1.setdefault("fp32", card.metrics.f1)
    return Workload(
        model=card.name,
        gflop=sum(2e-9 * count_macs(n, size_hw) for n in networks),
        mega_activations=sum(mega_activations(n, size_hw) for n in networks),
        f1=f1,
    )


def mega_activations(model: nn.Module, size_hw: tuple[int, int]) -> float:
    """Return 1e6 numbers that the convolutions read and write on one image of `size_hw`."""
    numbers = 0

    def add(conv: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal numbers
        numbers += inputs[0].numel() + out.numel()

    shadow = copy.deepcopy(model).to("meta").eval()
    convolutions = [m for m in shadow.modules() if isinstance(m, nn.Conv2d)]
    for conv in convolutions:
        conv.register_forward_hook(add)
    shadow(torch.empty(1, convolutions[0].in_channels, *size_hw, device="meta"))
    return numbers / 1e6
