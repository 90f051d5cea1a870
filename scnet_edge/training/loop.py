"""The training loop: crops in, checkpoints out; resumable to the step; one process or several."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from scnet_edge.errors import InputError
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet
from scnet_edge.training.checkpoint import CHECKPOINT, Training, resume, save
from scnet_edge.training.hardware import (
    CPU,
    Hardware,
    check_batch,
    join,
    own_batch_norms,
    share_batch_norms,
    try_kernels,
)
from scnet_edge.training.images import Batch, TrainingImage, add_edges, batches, frames_of, input_of
from scnet_edge.training.losses import median_frequency, pixel_loss, region_loss, scnet_loss
from scnet_edge.training.schedule import Schedule

Progress = Callable[[int, float], None]
Validate = Callable[[int, nn.Module], None]
SURE = -30.0  # a logit whose loss and gradient are none in float32
Tensors = tuple[Tensor, ...] | list[Tensor]
WHOLE_IMAGES = 90  # enough to settle the statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a run learns from.

    Attributes:
        images: The training images, each with its share of the crops.
        teachers: Models in eval mode whose mean probability is learnt, too.
        hed: In eval mode: it looks at every crop that has no edge map yet, or teaches the HED that
            learns.
    """

    images: Sequence[TrainingImage]
    teachers: Sequence[SCNet] = ()
    hed: nn.Module | None = None

    def input(self, x: Tensor) -> Tensor:
        """Return (N, 3 or 4, H, W) with the edge map that `hed` sees where there is none yet."""
        return add_edges(self.hed, x) if self.hed is not None and x.shape[1] == 3 else x


def train(
    model: nn.Module,
    material: Material,
    schedule: Schedule,
    out: Path,
    *,
    on: Hardware = CPU,
    progress: Progress = lambda step, loss: None,
    validate: Validate = lambda step, model: None,
) -> nn.Module:
    """Train in place until `schedule.steps` and return the averaged model.

    Args:
        model: Trained in place, but for weights that want no gradient; maps (N, C, H, W) to fused
            logits and side logits.
        material: What it learns from.
        schedule: How long and how hard.
        out: A folder; an older `checkpoint.pt` in it is resumed, new ones replace it.
        on: What it computes on.
        progress: Told each step and its loss.
        validate: Given the averaged model with settled norms, every `schedule.validate_every`.

    Raises:
        InputError: the loss is not a number, or a worker died.
        ConfigError: the batch does not divide among the processes, or the checkpoint is foreign.
    """
    rank, world = join(on.device)
    check_batch(schedule.batch, world)
    out.mkdir(parents=True, exist_ok=True)
    if world > 1:
        share_batch_norms(model)
    training = begin(model, schedule, on)
    resume(out / CHECKPOINT, training)
    loss_of = objective(material, schedule, on.device)
    wrapped = DistributedDataParallel(training.model) if world > 1 else training.model
    left = range(training.step, schedule.steps)
    for batch in batches(left, material.images, schedule, share=(rank, world), workers=on.workers):
        if schedule.settle_norms and training.step == schedule.settled_from > 0:
            settle(training, material)
        prepare(training, schedule)
        with try_kernels(on):
            loss = loss_of(wrapped, batch.to(on.device))
            update(training, loss, schedule)
        progress(training.step, mean_over_processes(loss, world))
        last = training.step == schedule.steps
        if rank == 0 and (last or training.step % schedule.validate_every == 0):
            validate(training.step, finish(training, schedule, material))
        # Last, so that a kill during a validation is followed by that validation.
        if rank == 0 and (last or training.step % schedule.checkpoint_every == 0):
            save(out / CHECKPOINT, training)
    return finish(training, schedule, material)


def begin(model: nn.Module, schedule: Schedule, on: Hardware) -> Training:
    """Return a run at step 0."""
    model.to(device=on.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(model, multi_avg_fn=make_average(schedule), use_buffers=True)
    decay = schedule.weight_decay
    optimizer: torch.optim.Optimizer
    if schedule.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            model.parameters(), schedule.lr, schedule.momentum, weight_decay=decay
        )
    else:
        optimizer = torch.optim.AdamW(
            model.parameters(), schedule.lr, weight_decay=decay, fused=on.is_gpu
        )
    if on.compiled:
        torch.compiler.reset()  # of a table's many models, all would count against one limit
        model.compile(dynamic=False)  # after the average was copied from it
    first = copy.deepcopy(average.module.state_dict()) if schedule.keep_start else {}
    return Training(model, average, optimizer, first=first)


def make_average(schedule: Schedule) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Return the step of the weights' average, which forgets the first weights early on.

    After n steps it keeps at most (1 + n) / (10 + n) of what it was, as TensorFlow's
    ExponentialMovingAverage does: a run of some hundred steps does not end on its beginning.
    """

    def step(average: Tensors, current: Tensors, steps: Tensor | int) -> None:
        decay = min(schedule.ema_decay, (1 + int(steps)) / (10 + int(steps)))
        get_ema_multi_avg_fn(decay)(average, current, steps)  # type: ignore[no-untyped-call]

    return step


def objective(
    material: Material, schedule: Schedule, device: str
) -> Callable[[nn.Module, Batch], Tensor]:
    """Return the loss of a model on a batch, as the schedule wants it.

    What is ignored counts as background that was said with certainty: it moves no loss.
    """
    weights = (1.0, 1.0)
    if schedule.pixel == "balanced":
        weights = median_frequency(image.mask for image in material.images)
    pixel, region = pixel_loss(schedule.pixel, weights), region_loss(schedule.region)
    if isinstance(region, nn.Module):
        region.to(device)
    teachers = material.teachers
    cast = torch.autocast(device.partition(":")[0], torch.bfloat16)

    def edge_loss_of(model: nn.Module, batch: Batch) -> Tensor:
        assert material.hed is not None
        frames = frames_of(batch.x)
        with cast if schedule.precision == "bf16" else contextlib.nullcontext():
            with torch.no_grad():
                edges = torch.sigmoid(material.hed(frames)[0].float())
            fused, sides = model(frames)
        return edge_loss([logits.float() for logits in (fused, *sides)], edges)

    def loss_of(model: nn.Module, batch: Batch) -> Tensor:
        if isinstance(_bare(model), HED):
            return edge_loss_of(model, batch)
        x, mask, ignored, taught = batch
        with cast if schedule.precision == "bf16" else contextlib.nullcontext():
            x = material.input(x)
            fused, sides = model(input_of(_bare(model), x))
            soft = taught_mask(teachers, x, mask, taught) if teachers else None
        fused, *sides = (certain(logits.float(), ignored) for logits in (fused, *sides))
        loss = scnet_loss(
            fused,
            sides,
            target_of(model, mask),
            focal_weight=schedule.focal_weight,
            pixel=pixel,
            region=region,
        )
        if soft is None:
            return loss
        # Hinton 2015, temperature 1.
        soft = soft.masked_fill(ignored, 0)
        return loss + schedule.distil_weight * F.binary_cross_entropy_with_logits(fused, soft)

    return loss_of


def edge_loss(logits: Sequence[Tensor], edges: Tensor) -> Tensor:
    """Return the mean cross-entropy of all maps of an HED with the edges (N, 1, H, W) in [0, 1].

    At 0.5 the pupil says what its teacher does, without a class weight to undo.
    """
    return torch.stack([F.binary_cross_entropy_with_logits(each, edges) for each in logits]).mean()


def target_of(model: nn.Module, mask: Tensor) -> Tensor:
    """Return what a model should say of a mask: a classifier of patches has a target of its own."""
    own: Callable[[Tensor], Tensor] | None = getattr(_bare(model), "target", None)
    return mask if own is None else own(mask)


def _bare(model: nn.Module) -> nn.Module:
    return model.module if isinstance(model, DistributedDataParallel) else model


def certain(logits: Tensor, ignored: Tensor) -> Tensor:
    """Return logits (N, 1, H, W) that are sure of background where it is ignored.

    A model of another resolution, such as a classifier of patches, learns all of it.
    """
    return logits.masked_fill(ignored, SURE) if logits.shape == ignored.shape else logits


def taught_mask(teachers: Sequence[SCNet], x: Tensor, mask: Tensor, taught: Tensor) -> Tensor:
    """Return the mask (N, 1, H, W), and of the crops that are taught the teachers' probability."""
    soft = mask.clone()
    if taught.any():
        asked = x[taught].contiguous(memory_format=torch.channels_last)
        soft[taught] = probability(teachers, asked)
    return soft


def probability(teachers: Sequence[SCNet], x: Tensor) -> Tensor:
    """Return the teachers' mean probability (N, 1, H, W), float32."""
    with torch.no_grad():
        logits = [teacher(input_of(teacher, x))[0] for teacher in teachers]
    return torch.sigmoid(torch.stack(logits).float()).mean(0)


def prepare(training: Training, schedule: Schedule) -> None:
    """Set the rate and which layers learn, from the step alone."""
    for group in training.optimizer.param_groups:
        group["lr"] = schedule.rate_at(training.step)
    training.model.train()
    if schedule.settle_norms and training.step >= schedule.settled_from:
        for module in training.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def update(training: Training, loss: Tensor, schedule: Schedule) -> None:
    """Take one step down the gradient."""
    if not math.isfinite(loss.item()):
        raise InputError(
            f"the loss is {loss.item()} after {training.step} steps; begin another --out with "
            "--precision fp32 or a lower --lr, and --start RUN to go on from this run's weights"
        )
    training.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if schedule.clip is not None:
        nn.utils.clip_grad_norm_(training.model.parameters(), schedule.clip)
    training.optimizer.step()
    training.average.update_parameters(training.model)
    training.step += 1


def finish(training: Training, schedule: Schedule, material: Material) -> nn.Module:
    """Return a copy of the averaged model with the norm statistics of whole images.

    Where the schedule keeps some of the first weights, they are averaged once more, with those.
    """
    model: nn.Module = copy.deepcopy(training.average.module)
    own_batch_norms(model)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if training.first and value.is_floating_point():
                value.lerp_(training.first[name], schedule.keep_start)
    if not (schedule.settle_norms and training.step > schedule.settled_from):
        estimate_norms(model, material)
    return model.eval()


def settle(training: Training, material: Material) -> None:
    """Go on from the averaged weights, with the norm statistics of whole images."""
    settled = copy.deepcopy(training.average.module)
    own_batch_norms(settled)
    estimate_norms(settled, material)
    for model in (training.model, training.average.module):
        model.load_state_dict(settled.state_dict())


def mean_over_processes(loss: Tensor, world: int) -> float:
    """Return the loss of the whole batch."""
    value = loss.detach().clone()
    if world > 1:
        torch.distributed.all_reduce(value)
    return value.item() / world


def estimate_norms(model: nn.Module, material: Material) -> None:
    """Set the norm statistics to those of whole images, evenly chosen by their shares."""
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return
    device = next(model.parameters()).device
    update_bn(_whole(model, material, device), model)


def _whole(model: nn.Module, material: Material, device: torch.device) -> Iterator[Tensor]:
    images = material.images
    stride = getattr(model, "config").stride  # noqa: B009  (nn.Module types it as a tensor)
    until = np.cumsum([image.share for image in images])
    count = min(WHOLE_IMAGES, len(images))
    places = until[-1] * (np.arange(count) + 0.5) / count
    for chosen in np.searchsorted(until, places, side="right"):
        x = input_of(model, material.input(images[chosen].input()))
        h, w = (max(stride, side // stride * stride) for side in x.shape[-2:])
        if x.shape[-2] < h or x.shape[-1] < w:
            x = F.interpolate(x, size=(h, w), mode="bilinear", align_corners=False)
        yield x[..., :h, :w].to(device).contiguous(memory_format=torch.channels_last)
