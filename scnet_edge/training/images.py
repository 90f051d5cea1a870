"""Images in memory and the batches drawn from them; a batch depends on seed and step alone."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from scnet_edge.data.augment import training_crop
from scnet_edge.data.classes import check_classes
from scnet_edge.data.preprocess import EDGE_THRESHOLD, scnet_input
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.models.scnet import SCNet
from scnet_edge.training.edge_maps import EdgeMap, MapOf
from scnet_edge.training.schedule import Schedule


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A decoded sample.

    Attributes:
        frame: (H, W, 3) uint8, BGR.
        mask: (H, W) bool, True on cracks.
        edges: (H, W) uint8, the HED probability times 255; None where no model sees it.
        ignored: (H, W) bool, True where nothing is learnt; None: all of it is learnt.
    """

    frame: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    edges: EdgeMap | None
    ignored: npt.NDArray[np.bool_] | None = None

    def input(self) -> Tensor:
        """Return the whole image as (1, 3 or 4, H, W) float32."""
        return torch.from_numpy(scnet_input(self.frame, binary(self.edges)))[None]


def binary(edges: EdgeMap | None) -> npt.NDArray[np.bool_] | None:
    """Return the binary prior of an edge map in [0, 255]."""
    return None if edges is None else edges > EDGE_THRESHOLD * 255


def seen_by(model: nn.Module, x: Tensor) -> Tensor:
    """Return what a model sees of (N, 3 or 4, H, W): without the prior, the colours alone."""
    return x[:, : model.config.in_channels] if isinstance(model, SCNet) else x[:, :3]


def load_images(samples: Sequence[Sample], map_of: MapOf | None) -> list[TrainingImage]:
    """Read all samples into memory, with their edge maps where one is wanted.

    Args:
        samples: What to read.
        map_of: Gives the edge map of a frame.

    Raises:
        InputError: an image or mask is unreadable, a mask is of another size than its frame, or
            no pixel or every pixel is crack.
    """
    images = [_load_image(sample, map_of) for sample in samples]
    crack = sum(int(image.mask.sum()) for image in images)
    ignored = sum(int(image.ignored.sum()) for image in images if image.ignored is not None)
    check_classes(crack, sum(image.mask.size for image in images) - ignored, len(images))
    return images


def _load_image(sample: Sample, map_of: MapOf | None) -> TrainingImage:
    frame, (mask, ignored) = sample.read_pair()
    return TrainingImage(frame, mask, map_of and map_of(frame), ignored)


class Batch(NamedTuple):
    """The crops of one step.

    Attributes:
        x: (N, 3 or 4, crop, crop) float32, channels last.
        mask: (N, 1, crop, crop) float32, 1 on cracks.
        drawn: (N, 1, 1, 1) bool, whether a crop is of a drawn wall.
        ignored: (N, 1, crop, crop) bool, where nothing is learnt.
    """

    x: Tensor
    mask: Tensor
    drawn: Tensor
    ignored: Tensor

    def to(self, device: str) -> Batch:
        """Return it on a device."""
        return Batch(*(part.to(device) for part in self))


class _Steps(Dataset[Batch]):
    """The batch of each step, where PyTorch's loader wants to find it."""

    def __init__(self, *of: Any, share: tuple[int, int]) -> None:
        self.of, self.share = of, share

    def __getitem__(self, step: int) -> Batch:
        return batch_at(step, *self.of, share=self.share)


def batches(
    steps: Sequence[int],
    images: Sequence[TrainingImage],
    schedule: Schedule,
    pipes: Sequence[TrainingImage] = (),
    *,
    share: tuple[int, int] = (0, 1),
    workers: int = 0,
) -> Iterator[Batch]:
    """Yield `batch_at` of each step, cut ahead by `workers` processes, if any.

    Raises:
        InputError: a worker died.
    """
    workers = min(workers, len(steps))
    loader = DataLoader(
        _Steps(images, schedule, pipes, share=share),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        worker_init_fn=_begin_worker if workers else None,
        # A fork of a process whose OpenCV has threads hangs.
        multiprocessing_context="forkserver" if workers else None,
    )
    try:
        yield from loader
    except (RuntimeError, ConnectionError, EOFError) as e:  # the latter two while it is dying
        if isinstance(e, RuntimeError) and "exited unexpectedly" not in str(e):
            raise
        raise InputError(
            "a worker that cuts crops died; each holds the images again and needs /dev/shm: give "
            "more memory, in Docker --shm-size 1g, or pass --workers 0"
        ) from e


def _begin_worker(worker: int) -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_trainer, daemon=True).start()


def _end_with_trainer() -> None:
    """End this worker when the trainer has ended, killed or not.

    PyTorch's own watch looks at the parent of the process, which is the fork server: it outlives
    the trainer, and waits for its workers.
    """
    trainer = multiprocessing.parent_process()
    assert trainer is not None
    trainer.join()
    os._exit(1)


def batch_at(
    step: int,
    images: Sequence[TrainingImage],
    schedule: Schedule,
    pipes: Sequence[TrainingImage] = (),
    *,
    share: tuple[int, int] = (0, 1),
) -> Batch:
    """Return the crops of one step.

    They depend on the seed and the step alone, so a resumed run equals an uninterrupted one, and
    several processes together see what one would.

    Args:
        step: Counted from 0.
        images: What crops are cut from.
        schedule: How.
        pipes: Drawn walls, which `schedule.pipe_share` of the crops are cut from.
        share: Rank and number of processes: which crops of the batch are ours.
    """
    rank, world = share
    rngs = np.random.default_rng([schedule.seed, step]).spawn(schedule.batch)
    crops = [_crop(images, pipes, schedule, rng) for rng in rngs[rank::world]]
    x, mask, drawn, ignored = (
        torch.from_numpy(np.stack(parts)) for parts in zip(*crops, strict=True)
    )
    x = x.contiguous(memory_format=torch.channels_last)
    return Batch(x, mask, drawn[:, None, None, None], ignored)


def _crop(
    images: Sequence[TrainingImage],
    pipes: Sequence[TrainingImage],
    schedule: Schedule,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], np.bool_, npt.NDArray[np.bool_]]:
    """Return one input (C, crop, crop), its mask, whether it is drawn, and what is ignored."""
    drawn = bool(pipes) and rng.random() < schedule.pipe_share
    source = pipes if drawn else images
    image = source[int(rng.integers(len(source)))]
    crop = training_crop(
        image.frame, image.mask, image.edges, schedule.augmentation, rng, ignored=image.ignored
    )
    ignored = np.zeros_like(crop.mask) if crop.ignored is None else crop.ignored
    mask = (crop.mask & ~ignored)[None].astype(np.float32)
    return scnet_input(crop.frame, binary(crop.edges)), mask, np.bool_(drawn), ignored[None]
