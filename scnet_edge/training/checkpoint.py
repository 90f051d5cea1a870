"""The state of a run, written so that a kill leaves the old checkpoint or the new one, whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from scnet_edge.errors import ConfigError

CHECKPOINT = "checkpoint.pt"


@dataclass(slots=True)
class Training:
    """The state of a run: what a checkpoint holds."""

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0


def save(path: Path, training: Training) -> None:
    """Write a checkpoint; a kill leaves the old one or the new one, whole."""
    state = {
        "step": training.step,
        "model": training.model.state_dict(),
        "average": training.average.state_dict(),
        "optimizer": training.optimizer.state_dict(),
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def resume(path: Path, training: Training) -> None:
    """Go on from a checkpoint, where there is one.

    Raises:
        ConfigError: it is of another model or optimiser.
    """
    if not path.exists():
        return
    device = next(training.model.parameters()).device
    state = torch.load(path, weights_only=True, map_location=device)
    try:
        training.model.load_state_dict(state["model"])
        training.average.load_state_dict(state["average"])
        training.optimizer.load_state_dict(state["optimizer"])
        training.step = int(state["step"])
    except (RuntimeError, KeyError, ValueError) as e:
        raise ConfigError(f"{path}: of another model or preset; name another --out") from e
