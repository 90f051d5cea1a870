"""The preset `paper`, field by field, against what the paper prints and what it leaves open."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.training.presets import PRESETS, new_model

PRINTED = {  # Section V-A and V-B
    "optimizer": "sgd",
    "lr": 1e-4,
    "momentum": 0.9,
    "weight_decay": 2e-4,
    "batch": 4,
    "pixel": "focal",  # alpha 1 and gamma 2: test_losses.py
    "region": "soft-iou",
    "focal_weight": 1.0,  # both losses weigh 1 in Eq. 11
}
CROPS = {  # V-B: rotated by 0 to 90 degrees, flipped, cropped to 256x256; nothing else
    "crop": 256,
    "rotation_deg": 90.0,
    "scale": (1, 1),
    "photometric": "none",
    "crack_bias": 0,
}
CODE_BASE = {  # not printed: of yhlleo/DeepSegmentor, whose recipe the printed one equals
    "steps": 400 * 300 // 4,  # epochs of DeepCrack's training images
    "clip": None,
    "head_bias": 0.0,
    "warmup": 0,
}
NOTHING_ADDED = {
    "rate": "constant",
    "settle_norms": False,
    "ema_decay": 0.0,
    "pipe_share": 0.0,
    "fine_levels": None,
    "keep_start": 0.0,
    "precision": "fp32",
}
WITHOUT_EFFECT = {"decay_share", "distil_weight", "checkpoint_every", "validate_every", "seed"}


def test_paper_schedule_is_the_paper() -> None:
    schedule = dataclasses.asdict(PRESETS["paper"].schedule)
    assert schedule.pop("augmentation") == CROPS
    expected = PRINTED | CODE_BASE | NOTHING_ADDED
    assert {key: schedule[key] for key in schedule if key not in WITHOUT_EFFECT} == expected


def test_paper_net_is_the_paper() -> None:
    preset = PRESETS["paper"]
    assert (preset.model, preset.start, preset.takes_prior) == ("scnet", "paper", True)
    assert preset.config == SCNetConfig(
        levels=5,
        width=1.0,
        norm="instance",
        attention="scale",
        refined_channels=1,
        edges=True,
        pooling="max",
        feed="attended",
        stem="full",
        decoder="unpool",
    )


def test_paper_start_is_xavier_normal_with_gain_one_fiftieth() -> None:
    """The paper says Xavier for weights and biases; its code base draws it so, biases 0."""
    quarter = dataclasses.replace(PRESETS["paper"], config=SCNetConfig(width=0.25))
    layers = [m for m in new_model(quarter).modules() if isinstance(m, nn.Conv2d)]
    assert all(m.bias is None or not m.bias.any() for m in layers)
    gains = []  # of each weight: what is left after Xavier's deviation, sqrt(2 / (in + out))
    for weight in (m.weight.detach() for m in layers):
        fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
        gains.append(weight.flatten().double() * math.sqrt((fan_in + fan_out) / 2))
    gain = torch.cat(gains)
    assert len(gain) > 1.8e6
    assert gain.std().item() == pytest.approx(0.02, rel=0.005)
    assert gain.mean().item() == pytest.approx(0, abs=1e-4)
    assert gain.abs().max() < 6 * 0.02  # no layer is drawn otherwise
    assert (gain**4).mean() / gain.var() ** 2 == pytest.approx(3, rel=0.02)  # 1.8 if uniform
