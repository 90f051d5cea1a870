"""Training learns a toy, and a resumed run equals an uninterrupted one to the bit."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scnet_edge.data.augment import Augmentation
from scnet_edge.data.datasets import Sample
from scnet_edge.errors import InputError
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.loop import (
    Schedule,
    TrainingImage,
    batch_at,
    load_images,
    start_heads,
    train,
)

CONFIG = SCNetConfig(width=1 / 16, levels=3, norm="batch", edges=False)
SCHEDULE = Schedule(
    steps=6, batch=2, lr=5e-3, warmup=2, checkpoint_every=3, augmentation=Augmentation(crop=32)
)


def toy_images() -> list[TrainingImage]:
    """Return noisy bright walls with a dark line each."""
    images = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        mask = np.zeros((64, 80), np.uint8)
        ends = rng.integers(0, 64, 2)
        cv2.line(mask, (0, int(ends[0])), (79, int(ends[1])), 255, 4)
        frame = np.where(mask[..., None] > 0, 40, 200) + rng.normal(0, 6, (64, 80, 3))
        images.append(TrainingImage(frame.clip(0, 255).astype(np.uint8), mask > 0, None))
    return images


def new_model() -> SCNet:
    torch.manual_seed(0)
    model = SCNet(CONFIG)
    start_heads(model, SCHEDULE.head_bias)
    return model


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    images = toy_images()
    whole = new_model()
    whole_ema = train(whole, images, SCHEDULE, tmp_path / "whole")

    class Interrupted(Exception):
        pass

    def stop_after_four(step: int, loss: float) -> None:
        if step == 4:  # one step beyond the checkpoint, which is lost
            raise Interrupted

    with pytest.raises(Interrupted):
        train(new_model(), images, SCHEDULE, tmp_path / "cut", progress=stop_after_four)
    torch.manual_seed(99)
    resumed, seen = SCNet(CONFIG), []
    resumed_ema = train(
        resumed, images, SCHEDULE, tmp_path / "cut", progress=lambda step, _: seen.append(step)
    )
    assert seen == [4, 5, 6]
    for ours, theirs in ((resumed, whole), (resumed_ema, whole_ema)):
        for key, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[key], value), key


def test_loss_falls_on_a_toy(tmp_path: Path) -> None:
    losses: list[float] = []
    schedule = dataclasses.replace(SCHEDULE, steps=60, batch=4, ema_decay=0.9, checkpoint_every=60)
    model = new_model()
    ema = train(model, toy_images(), schedule, tmp_path, progress=lambda _, x: losses.append(x))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    assert (tmp_path / "checkpoint.pt").is_file()
    assert not (tmp_path / "checkpoint.tmp").exists()

    x, mask = batch_at(1000, toy_images(), schedule)  # crops it has not seen
    with torch.inference_mode():
        p = torch.sigmoid(ema.eval()(x)[0])
    assert p[mask > 0].mean() > p[mask == 0].mean() + 0.2


def test_finished_run_takes_no_more_steps(tmp_path: Path) -> None:
    schedule = dataclasses.replace(SCHEDULE, steps=2)
    train(new_model(), toy_images(), schedule, tmp_path)
    seen: list[int] = []
    train(new_model(), toy_images(), schedule, tmp_path, progress=lambda s, _: seen.append(s))
    assert seen == []


def test_batches_depend_on_seed_and_step_alone() -> None:
    images = toy_images()
    first, again, other = (batch_at(step, images, SCHEDULE) for step in (5, 5, 6))
    assert first[0].shape == (2, 3, 32, 32)
    assert first[1].shape == (2, 1, 32, 32)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert set(first[1].unique().tolist()) <= {0.0, 1.0}


def test_prior_is_binary_in_the_batch() -> None:
    images = [TrainingImage(i.frame, i.mask, i.mask.astype(np.uint8) * 255) for i in toy_images()]
    x, mask = batch_at(0, images, SCHEDULE)
    assert x.shape == (2, 4, 32, 32)
    assert set(x[:, 3].unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(x[:, 3:].bool(), mask.bool())  # the map is the mask here


def test_heads_start_from_a_low_probability() -> None:
    model = new_model()
    for side in model.sides:
        torch.nn.init.zeros_(side.weight)  # type: ignore[arg-type]
    fused, _ = model.eval()(torch.rand(1, 3, 32, 32))
    expected = 1 / (1 + math.exp(-SCHEDULE.head_bias))
    assert torch.sigmoid(fused).mean().item() == pytest.approx(expected, rel=1e-5)


def test_loading_checks_sizes_and_maps(tmp_path: Path) -> None:
    for name, size in (("image", (20, 30, 3)), ("mask", (20, 30)), ("small", (10, 30))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full(size, 200, np.uint8))
    image, mask, small = (tmp_path / f"{name}.png" for name in ("image", "mask", "small"))
    assert load_images([Sample(image, mask)], None)[0].edges is None
    with pytest.raises(InputError, match="expected mask and HED map of its size"):
        load_images([Sample(image, small)], None)
    with pytest.raises(InputError, match="expected the HED map"):
        load_images([Sample(image, mask)], tmp_path / "none")
    maps = tmp_path / "maps"
    maps.mkdir()
    small.rename(maps / "image.png")
    with pytest.raises(InputError, match="expected mask and HED map of its size"):
        load_images([Sample(image, mask)], maps)
