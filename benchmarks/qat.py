"""Quantisation-aware fine-tuning: the last resort where calibrated INT8 loses too much.

Every quantisable convolution sees its input and weights as INT8 will: rounded and clipped to the
same scales that `graph.qdq` writes, straight-through in the backward pass. Input ranges are those
of the calibration and stay; weight scales follow the weights. What comes out are weights whose
INT8 graph, with the same ranges, is the net that was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from scnet_edge.models.scnet import SCNet
from scnet_edge.training.images import TrainingImage, batch_at
from scnet_edge.training.loop import certain
from scnet_edge.training.losses import scnet_loss
from scnet_edge.training.schedule import Schedule

INT8_MAX = 127
SMALLEST_SCALE = 2.0**-24


class FakeQuantised(nn.Module):
    """A convolution between fake-quantised input and weights."""

    def __init__(self, convolution: nn.Conv2d, peak: float) -> None:
        super().__init__()
        self.convolution = convolution
        self.scale = max(peak / INT8_MAX, SMALLEST_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the quantised convolution does."""
        conv = self.convolution
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, 0, -INT8_MAX - 1, INT8_MAX)
        weight = fake_quantised_weight(conv.weight)
        return nn.functional.conv2d(
            x, weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


def fake_quantised_weight(weight: Tensor) -> Tensor:
    """Return (O, I, kH, kW) rounded to INT8, one scale an output channel, as `graph.qdq` does."""
    peak = weight.detach().abs().amax((1, 2, 3))
    scale = (peak / INT8_MAX).clamp(min=SMALLEST_SCALE)
    zero = torch.zeros(len(weight), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -INT8_MAX, INT8_MAX)


def with_fake_quantisation(scnet: SCNet, ranges: Mapping[str, float]) -> SCNet:
    """Wrap the convolutions that have a range, in place, batch norms folded before; return the net.

    Args:
        scnet: A net whose norms are folded into its convolutions.
        ranges: `scnet.encoder.0.0` and so on -> largest magnitude of the input.
    """
    for name, peak in ranges.items():
        network, _, path = name.partition(".")
        if network == "scnet":
            parent, _, leaf = path.rpartition(".")
            convolution = scnet.get_submodule(path)
            assert isinstance(convolution, nn.Conv2d)
            setattr(scnet.get_submodule(parent), leaf, FakeQuantised(convolution, peak))
    return scnet


def without_fake_quantisation(scnet: SCNet) -> SCNet:
    """Put the bare convolutions, as trained, back in place; return the net."""
    for parent in list(scnet.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FakeQuantised):
                setattr(parent, name, child.convolution)
    return scnet


def finetune(
    scnet: SCNet,
    ranges: Mapping[str, float],
    images: Sequence[TrainingImage],
    schedule: Schedule,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> SCNet:
    """Train a net with folded norms under fake quantisation, in place, and return it bare again.

    The rate falls from `schedule.lr` to zero along a cosine; the loss is that of the training.
    """
    model = with_fake_quantisation(scnet, ranges).train()
    optimizer = torch.optim.AdamW(model.parameters(), schedule.lr, weight_decay=0.0)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
    for step in range(schedule.steps):
        x, mask, ignored = batch_at(step, images, schedule)[:3]
        fused, sides = model(x)
        fused, *sides = (certain(logits, ignored) for logits in (fused, *sides))
        loss = scnet_loss(fused, sides, mask, focal_weight=schedule.focal_weight)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        progress(step + 1, loss.item())
    return without_fake_quantisation(model).eval()
