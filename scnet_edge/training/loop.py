"""The training loop: crops in, checkpoints out, resumable to the step."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scnet_edge.data.augment import Augmentation, training_crop
from scnet_edge.data.datasets import Sample
from scnet_edge.data.preprocess import EDGE_THRESHOLD, scnet_input
from scnet_edge.errors import InputError
from scnet_edge.models.scnet import SCNet
from scnet_edge.training.losses import scnet_loss

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how hard to train; the defaults are the `modern` preset."""

    steps: int = 4000
    batch: int = 4
    lr: float = 1e-3
    warmup: int = 100
    weight_decay: float = 1e-4
    ema_decay: float = 0.998
    focal_weight: float = 10.0
    freeze_norm: bool = False  # batch norms use the statistics they came with, as they will ship
    head_bias: float = -2.0  # cracks are rare: start from a low probability
    checkpoint_every: int = 100
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A decoded sample.

    Attributes:
        frame: (H, W, 3) uint8, BGR.
        mask: (H, W) bool, True on cracks.
        edges: (H, W) uint8, the HED probability times 255; None for a model without the prior.
    """

    frame: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    edges: npt.NDArray[np.uint8] | None


def load_images(samples: Sequence[Sample], edge_folder: Path | None) -> list[TrainingImage]:
    """Read all samples into memory, with their HED maps where the model takes the prior.

    Args:
        samples: What to read.
        edge_folder: Holds `NAME.png`, the HED probability times 255, of every sample.

    Raises:
        InputError: an image, mask or map is unreadable, or one is of another size than its frame.
    """
    return [_load_image(sample, edge_folder) for sample in samples]


def _load_image(sample: Sample, edge_folder: Path | None) -> TrainingImage:
    frame, mask, edges = sample.read_frame(), sample.read_mask(), None
    if edge_folder is not None:
        path = edge_folder / f"{sample.name}.png"
        read = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if read is None:
            raise InputError(f"{path}: expected the HED map of {sample.image}; write it first")
        edges = np.asarray(read, np.uint8)
    for found in (mask, edges):
        if found is not None and found.shape != frame.shape[:2]:
            raise InputError(
                f"{sample.image}: expected mask and HED map of its size {frame.shape[:2]}, "
                f"found {found.shape}; replace them"
            )
    return TrainingImage(frame, mask, edges)


def batch_at(
    step: int, images: Sequence[TrainingImage], schedule: Schedule
) -> tuple[Tensor, Tensor]:
    """Return inputs (N, C, crop, crop) and masks (N, 1, crop, crop) of one step.

    They depend on the seed and the step alone, so a resumed run equals an uninterrupted one.
    """
    rng = np.random.default_rng([schedule.seed, step])
    inputs, masks = [], []
    for _ in range(schedule.batch):
        image = images[int(rng.integers(len(images)))]
        frame, mask, edges = training_crop(
            image.frame, image.mask, image.edges, schedule.augmentation, rng
        )
        prior = None if edges is None else edges > EDGE_THRESHOLD * 255
        inputs.append(scnet_input(frame, prior))
        masks.append(mask[None].astype(np.float32))
    x = torch.from_numpy(np.stack(inputs)).contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(np.stack(masks))


def start_heads(model: SCNet, bias: float) -> None:
    """Set the side and fusion biases so that training starts from a low crack probability."""
    with torch.no_grad():
        for head in model.sides:
            nn.init.constant_(head.bias, bias)  # type: ignore[arg-type]
        nn.init.constant_(model.fuse.weight, 1.0 / model.config.levels)
        nn.init.zeros_(model.fuse.bias)  # type: ignore[arg-type]


def train(
    model: SCNet,
    images: Sequence[TrainingImage],
    schedule: Schedule,
    out: Path,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> SCNet:
    """Train in place until `schedule.steps` and return the EMA model.

    Args:
        model: Trained in place.
        images: Where the crops come from.
        schedule: How long and how hard.
        out: A folder; an older `checkpoint.pt` in it is resumed, new ones replace it.
        progress: Told each step and its loss.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    ema_step = get_ema_multi_avg_fn(schedule.ema_decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(model, multi_avg_fn=ema_step, use_buffers=True)
    optimizer = torch.optim.AdamW(
        model.parameters(), schedule.lr, weight_decay=schedule.weight_decay
    )
    step = _resume(out / "checkpoint.pt", model, average, optimizer)
    started, first = time.monotonic(), step
    while step < schedule.steps:
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr * _cosine(step, schedule)
        x, mask = batch_at(step, images, schedule)
        fused, sides = model(x)
        loss = scnet_loss(fused, sides, mask, focal_weight=schedule.focal_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(model)
        step += 1
        if progress:
            progress(step, loss.item())
        if step % schedule.checkpoint_every == 0 or step == schedule.steps:
            _save(out / "checkpoint.pt", step, model, average, optimizer)
            pace = (time.monotonic() - started) / (step - first)
            log.info("step %d loss %.4f, %.2f s a step", step, loss.item(), pace)
    ema: SCNet = average.module  # type: ignore[assignment]
    return ema


def _cosine(step: int, schedule: Schedule) -> float:
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


def _save(
    path: Path, step: int, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _resume(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
