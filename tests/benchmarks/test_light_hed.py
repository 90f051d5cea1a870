"""A light HED learns the edges that the full one sees: crops are aligned, the loss falls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.light_hed import (
    Distillation,
    distil_hed,
    distillation_loss,
    edge_crops,
    new_light_hed,
)
from scnet_edge.errors import ConfigError
from scnet_edge.training.images import TrainingImage

HOW = Distillation(steps=120, batch=2, crop=32, warmup=5, lr=5e-3)


def stripes(seed: int) -> TrainingImage:
    """Return an image of dark and light stripes whose teacher marks where they meet."""
    rng = np.random.default_rng(seed)
    frame = np.full((48, 64, 3), 60, np.uint8)
    edges = np.zeros((48, 64), np.uint8)
    for x in rng.choice(np.arange(6, 58, 8), 3, replace=False):
        frame[:, x:] = 255 - frame[:, x:]
        edges[:, x - 1 : x + 1] = 230
    return TrainingImage(frame, np.zeros((48, 64), bool), edges)


def test_crops_of_frame_and_map_are_the_same_place() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    image = TrainingImage(noise, np.zeros((48, 64), bool), noise[..., 1].copy())
    seen = set()
    for step in range(8):
        frames, target = edge_crops(step, [image], HOW)
        assert frames.shape == (2, 3, 32, 32)
        torch.testing.assert_close(frames[:, 1:2] / 255, target, rtol=0, atol=1e-7)
        seen |= {frame.numpy().tobytes() for frame in frames}
    assert len(seen) == 16
    again = edge_crops(3, [image], HOW)
    torch.testing.assert_close(again, edge_crops(3, [image], HOW), rtol=0, atol=0)


def test_distillation_finds_the_edges_of_images_it_never_saw() -> None:
    hed = new_light_hed(1 / 8, seed=0)
    unseen = edge_crops(0, [stripes(seed) for seed in range(100, 104)], HOW)
    with torch.no_grad():
        before = distillation_loss(hed, *unseen).item()
    losses: list[float] = []
    distil_hed(hed, [stripes(s) for s in range(8)], HOW, lambda step, loss: losses.append(loss))
    with torch.no_grad():
        after = distillation_loss(hed, *unseen).item()
        edges, true = torch.sigmoid(hed(unseen[0])[0]) > 0.5, unseen[1] > 0.5
    assert len(losses) == HOW.steps
    assert after < before / 2
    assert 2 * (edges & true).sum() / (edges.sum() + true.sum()) > 0.8
    assert not hed.training


def test_soft_targets_are_the_least_loss() -> None:
    """At a map of probability 0.3 the best logit is that of 0.3, for no class weighs more."""
    target = torch.full((1, 1, 16, 16), 0.3)

    class Flat(torch.nn.Module):
        def __init__(self, p: float) -> None:
            super().__init__()
            self.map = torch.full((1, 1, 16, 16), p).logit()

        def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
            return self.map, [self.map] * 5

    loss = {p: distillation_loss(Flat(p), target, target).item() for p in (0.2, 0.3, 0.4)}
    assert min(loss, key=loss.__getitem__) == 0.3
    entropy = -(0.3 * np.log(0.3) + 0.7 * np.log(0.7))
    assert loss[0.3] == pytest.approx(entropy, rel=1e-5)


def test_rate_rises_then_falls_to_nothing() -> None:
    rates = [HOW.rate_at(step) for step in range(HOW.steps)]
    assert rates[0] == pytest.approx(HOW.lr / 5)
    assert rates[4] == rates[5] == pytest.approx(HOW.lr)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < HOW.lr / 100


def test_mistakes() -> None:
    image = stripes(0)
    with pytest.raises(ConfigError, match="crop 64: expected at most the image's 48x64"):
        edge_crops(0, [image], Distillation(crop=64))
    with pytest.raises(ConfigError, match="map of every image, found none"):
        edge_crops(0, [TrainingImage(image.frame, image.mask, None)], HOW)
