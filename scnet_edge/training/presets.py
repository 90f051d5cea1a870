"""What `scnet-edge train PRESET` trains: a model, how it starts, its teachers, and a schedule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from scnet_edge.data.augment import PAPER_AUGMENTATION, Augmentation
from scnet_edge.errors import ConfigError
from scnet_edge.models.baselines import COMPARED, CrackNet
from scnet_edge.models.blocks import Norm
from scnet_edge.models.cards import find_card
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.weights import open_hed, open_scnet
from scnet_edge.training.hardware import Hardware
from scnet_edge.training.schedule import Schedule
from scnet_edge.training.start import (
    draw_xavier,
    encoder_from_hed,
    fit_state,
    hold_coarse,
    new_hed,
    start_heads,
)

STRONG = Augmentation(scale=(0.7, 1.5), photometric="strong")
FIELD = Augmentation(crop=288, scale=(0.6, 1.5), photometric="field")  # as a robot films


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One way to train one model.

    Attributes:
        about: One line for people.
        model: The kind of a card: scnet, a model it is compared with, or an HED that learns the
            edge map of another.
        config: What shapes an SCNet; None for the others.
        hed_width: What multiplies the channels of an HED.
        prior: The HED whose edge map an SCNet sees, or an HED learns.
        schedule: How long and how hard.
        start: Xavier with gain 1, Xavier as the paper (gain 0.02), or the encoder from HED.
    """

    about: str
    schedule: Schedule
    model: Literal["scnet", "hed", "deepcrack-liu", "deepcrack-zou", "patchnet"] = "scnet"
    config: SCNetConfig | None = None
    hed_width: float | None = None
    prior: str = "hed"
    start: Literal["xavier", "paper", "hed"] = "xavier"

    @property
    def takes_prior(self) -> bool:
        """Whether the model sees an edge map."""
        return self.config is not None and self.config.edges


# SGD at 1e-4 on means of pixels is slow: the paper does not say for how long it ran. This is
# 400 epochs of 300 images at batch 4, the first stage of the code that its recipe comes from
# (yhlleo/DeepSegmentor). Neither the paper nor that code clips gradients, so this does not.
PAPER_SCHEDULE = Schedule(
    steps=30_000,
    batch=4,
    optimizer="sgd",
    lr=1e-4,
    momentum=0.9,
    weight_decay=2e-4,
    rate="constant",
    warmup=0,
    clip=None,
    focal_weight=1.0,
    head_bias=0.0,
    ema_decay=0.0,  # the weights themselves
    augmentation=PAPER_AUGMENTATION,
)
MODERN_SCHEDULE = Schedule(steps=20_000, batch=8, lr=5e-4, weight_decay=1e-3, augmentation=STRONG)
EDGE_SCHEDULE = Schedule(
    steps=12_000,
    batch=8,
    lr=1.5e-3,
    rate="stable",
    settle_norms=True,
    weight_decay=1e-3,
    ema_decay=0.995,
    region="pooled-iou",
    pipe_share=0.25,
    augmentation=STRONG,
)


INSTANCE_SCHEDULE = dataclasses.replace(
    EDGE_SCHEDULE, steps=2000, lr=1e-3, decay_share=0.6, settle_norms=False
)


# For a corpus: more steps, fewer and larger crops, what a robot's camera does to them.
FIELD_SCHEDULE = dataclasses.replace(
    INSTANCE_SCHEDULE,
    steps=4000,
    batch=6,
    precision="bf16",
    pipe_share=0.0,
    validate_every=1000,
    augmentation=FIELD,
)


# A few images of one place: a short, careful run, so that the net stays good at all others.
REVIEW_SCHEDULE = dataclasses.replace(
    FIELD_SCHEDULE, steps=400, lr=5e-4, validate_every=400, keep_start=0.5
)


# An HED that learns from another one: on the crops of a corpus, and no crack has a say.
LIGHT_HED_SCHEDULE = dataclasses.replace(
    FIELD_SCHEDULE,
    steps=1200,
    batch=4,
    lr=2e-3,
    rate="cosine",
    weight_decay=1e-4,
    clip=1.0,
    validate_every=1200,
    augmentation=dataclasses.replace(FIELD, crop=192),
)


def edge_config(
    width: float, *, levels: int = 5, norm: Norm = "batch", edges: bool = False
) -> SCNetConfig:
    """Return an SCNet of the edge family: half resolution, skips, a prior only where asked for."""
    return SCNetConfig(
        levels=levels,
        width=width,
        norm=norm,
        edges=edges,
        stem="half",
        decoder="skip",
        refined_channels=4,
    )


PRESETS = {
    "paper": Preset(
        about="SCNet as published: instance norm, HED prior, SGD, Xavier, focal + soft-IoU",
        config=SCNetConfig(),
        schedule=PAPER_SCHEDULE,
        start="paper",
    ),
    "modern": Preset(
        about="SCNet with the encoder from HED, AdamW, cosine, averaged weights; for a GPU",
        config=SCNetConfig(),
        schedule=MODERN_SCHEDULE,
        start="hed",
    ),
    "quarter": Preset(
        about="SCNet at a quarter of the width: what a CPU can train; `widened` goes on",
        config=SCNetConfig(width=0.25),
        schedule=INSTANCE_SCHEDULE,
    ),
    "widened": Preset(
        about="SCNet at full width, from a run of `quarter` on: for a CPU",
        config=SCNetConfig(),
        schedule=dataclasses.replace(
            INSTANCE_SCHEDULE,
            steps=300,
            batch=4,
            lr=2e-4,
            decay_share=1.0,
            warmup=20,
            ema_decay=0.98,
        ),
    ),
    "small": Preset(
        about="1.85 M parameters from half resolution on, batch norm: the quickest",
        config=edge_config(0.25),
        schedule=EDGE_SCHEDULE,
    ),
    "small-instance": Preset(
        about="`small` with instance norm: slower, more accurate",
        config=edge_config(0.25, norm="instance"),
        schedule=INSTANCE_SCHEDULE,
    ),
    "small-field": Preset(
        about="`small-instance` for a corpus, as a robot films: how the default net is trained",
        config=edge_config(0.25, norm="instance"),
        schedule=FIELD_SCHEDULE,
    ),
    "small-review": Preset(
        about="`small-field` for what a review confirmed: it keeps what `--start` could",
        config=edge_config(0.25, norm="instance"),
        schedule=REVIEW_SCHEDULE,
    ),
    "small-hed": Preset(
        about="`small-field` behind the light HED: frames go through both nets",
        config=edge_config(0.25, norm="instance", edges=True),
        schedule=FIELD_SCHEDULE,
        prior="hed-light",
    ),
    "hed-light": Preset(
        about="an HED of an eighth of the width that learns the edge maps of the published one",
        model="hed",
        hed_width=0.125,
        schedule=LIGHT_HED_SCHEDULE,
    ),
    "tiny": Preset(
        about="0.54 M parameters from half resolution on: for two CPU cores",
        config=edge_config(0.1875, levels=4),
        schedule=dataclasses.replace(EDGE_SCHEDULE, lr=2e-3),
    ),
    "tiny-instance": Preset(
        about="`tiny` with instance norm: slower, more accurate",
        config=edge_config(0.1875, levels=4, norm="instance"),
        schedule=INSTANCE_SCHEDULE,
    ),
    "tiny-field": Preset(
        about="`tiny-instance` for a corpus",
        config=edge_config(0.1875, levels=4, norm="instance"),
        schedule=FIELD_SCHEDULE,
    ),
    "hcnn": Preset(
        about="HCNN (Zhu 2019), the paper's baseline: no attention, no prior, balanced CE",
        config=SCNetConfig(attention="none", edges=False),
        schedule=dataclasses.replace(MODERN_SCHEDULE, pixel="balanced", region="none"),
    ),
    "deepcrack-liu": Preset(
        about="DeepCrack (Liu 2019), DC-1; evaluate --refine adds its guided filter",
        model="deepcrack-liu",
        schedule=dataclasses.replace(MODERN_SCHEDULE, region="none"),
    ),
    "deepcrack-zou": Preset(
        about="DeepCrack (Zou 2019), DC-2: a SegNet with fused scales, cross-entropy",
        model="deepcrack-zou",
        schedule=dataclasses.replace(MODERN_SCHEDULE, pixel="cross-entropy", region="none"),
    ),
    "patchnet": Preset(
        about="a classifier of 32x32 patches, for Table IV",
        model="patchnet",
        schedule=dataclasses.replace(MODERN_SCHEDULE, pixel="cross-entropy", region="none"),
    ),
}


def find_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def new_model(preset: Preset) -> CrackNet | HED:
    """Return the model of a preset with its first weights; the schedule's seed fixes them."""
    torch.manual_seed(preset.schedule.seed)
    if preset.hed_width is not None:
        return new_hed(preset.hed_width)
    if preset.config is None:
        other = COMPARED[preset.model]()
        draw_xavier(other)
        return other
    model = SCNet(preset.config)
    draw_xavier(model, 0.02 if preset.start == "paper" else 1.0)
    if preset.start == "hed":
        encoder_from_hed(model, open_hed())
    if preset.start != "paper":
        start_heads(model, preset.schedule.head_bias)
    return model


def first_model(preset: Preset, start: str | None) -> CrackNet | HED:
    """Return the model of a preset, begun from the weights of `start` where there is one.

    Raises:
        ConfigError: `start` is of another kind of model, or levels are held without it.
        ModelError: there is no such model.
    """
    model = new_model(preset)
    if start:
        card = find_card(start)
        if card.kind != preset.model:
            raise ConfigError(
                f"--start {start}: expected weights of kind {preset.model}, found {card.kind}; "
                "name another model or run, or leave it out"
            )
        begun = open_hed(start) if card.kind == "hed" else open_scnet(card)
        model.load_state_dict(fit_state(begun.state_dict(), model.state_dict()))
    if learning := preset.schedule.fine_levels:
        hold_coarse(model, learning)
        if not start:
            raise ConfigError("--fine-levels needs a --start: what it holds stays as it begins")
    return model


def find_prior(preset: Preset, teachers: Sequence[str]) -> str | None:
    """Return the HED whose edge map a model or its teachers see or learn; None where none does.

    Raises:
        ConfigError: they see those of several.
        ModelError: there is no such teacher.
    """
    seen = {preset.prior} if preset.takes_prior or preset.model == "hed" else set()
    seen |= {prior for name in teachers if (prior := find_card(name).prior)}
    if len(seen) > 1:
        raise ConfigError(
            "expected a model and teachers that see the edge map of one HED, found "
            f"{' and '.join(sorted(seen))}; leave a teacher out"
        )
    return next(iter(seen), None)


def open_teacher(name: str, on: Hardware) -> SCNet:
    """Return a teacher in eval mode on the device.

    Raises:
        ConfigError: it is no SCNet.
        ModelError: there is no such model.
    """
    card = find_card(name)
    teacher = open_scnet(card)
    if not isinstance(teacher, SCNet):
        raise ConfigError(f"teacher {card.name}: expected an SCNet, found {card.kind}")
    teacher.to(device=on.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return teacher
