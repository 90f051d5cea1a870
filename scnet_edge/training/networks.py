"""The networks of a run: the one that learns, with its first weights, and its teachers."""

from __future__ import annotations

import torch

from scnet_edge.errors import ConfigError
from scnet_edge.models.baselines import CrackNet
from scnet_edge.models.cards import find_card
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.weights import open_scnet
from scnet_edge.training.hardware import Hardware
from scnet_edge.training.presets import Preset, new_model
from scnet_edge.training.start import fit_state, hold_coarse


def first_model(preset: Preset, start: str | None) -> CrackNet:
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
        model.load_state_dict(fit_state(open_scnet(card).state_dict(), model.state_dict()))
    if learning := preset.schedule.fine_levels:
        hold_coarse(model, learning)
        if not start:
            raise ConfigError("--fine-levels needs a --start: what it holds stays as it begins")
    return model


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
