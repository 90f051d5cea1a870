"""The state of a run, written so that a kill leaves the old checkpoint or the new one, whole."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from scnet_edge.errors import ConfigError
from scnet_edge.files import new_file

CHECKPOINT = "checkpoint.pt"


@dataclass(slots=True)
class Training:
    """The state of a run: what a checkpoint holds, and what it began from.

    Attributes:
        first: The weights before the first step, where the schedule keeps some of them.
    """

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    first: dict[str, Tensor] = field(default_factory=dict)


def save(path: Path, training: Training) -> None:
    """Write a checkpoint; a kill leaves the old one or the new one, whole."""
    state = {
        "step": training.step,
        "model": training.model.state_dict(),
        "average": training.average.state_dict(),
        "optimizer": training.optimizer.state_dict(),
    }
    with new_file(path) as f:
        torch.save(state, f)


def resume(path: Path, training: Training) -> None:
    """Go on from a checkpoint, where there is one.

    Raises:
        ConfigError: it is of another model or optimiser.
    """
    if not path.exists():
        return
    state = read_checkpoint(path, device=next(training.model.parameters()).device)
    try:
        _keep_fused(state["optimizer"], training.optimizer)
        training.model.load_state_dict(state["model"])
        training.average.load_state_dict(state["average"])
        training.optimizer.load_state_dict(state["optimizer"])
        training.step = int(state["step"])
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as e:
        raise ConfigError(f"{path}: of another model or preset; name another --out") from e


def _keep_fused(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Let the state keep this device's choice of a fused step: loading sets that of the other's."""
    for group, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
        group["fused"] = own["fused"]


def read_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what `save` wrote; tensors and numbers alone are read, never code.

    Raises:
        ConfigError: it is no checkpoint of ours.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, OSError) as e:
        raise ConfigError(f"{path}: expected a checkpoint of ours, found another file") from e
    if not isinstance(state, dict):
        raise ConfigError(f"{path}: expected a checkpoint of ours, found another file")
    return state
