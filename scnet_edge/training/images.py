"""Images in memory and the batches drawn from them; a batch depends on seed and step alone."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from scnet_edge.data.augment import training_crop
from scnet_edge.data.blend import Light, blend, shading
from scnet_edge.data.frames import EDGE_THRESHOLD, scnet_input
from scnet_edge.data.masks import check_classes
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.models.scnet import SCNet
from scnet_edge.training.edge_maps import EdgeMap, MapOf
from scnet_edge.training.schedule import Schedule
from scnet_edge.types import Mask

COARSE_PX = 6  # how far a coarse mask may be off
CLEARLY_DARK = 0.75  # of the light of the wall beside


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """A decoded sample.

    Attributes:
        frame: (H, W, 3) uint8, BGR.
        mask: (H, W) bool, True on cracks.
        edges: (H, W) uint8, the HED probability times 255; None where no model sees it.
        ignored: (H, W) bool, True where nothing is learnt; None: all of it is learnt.
        focus: (H, W) bool, where crops are centred when there is no crack; None: anywhere.
        cracks: Of other images, each the light that it takes and its mask: one or two of them are
            blended in before each crop, another way each time.
        share: How often crops are cut from it, relative to the others.
        taught: Whether teachers are asked about it. Of a drawn wall the mask is exact, and of a
            domain that they never saw they know nothing.
    """

    frame: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    edges: EdgeMap | None
    ignored: npt.NDArray[np.bool_] | None = None
    focus: npt.NDArray[np.bool_] | None = None
    cracks: Sequence[tuple[Light, Mask]] = ()
    share: float = 1.0
    taught: bool = True

    def input(self) -> Tensor:
        """Return the whole image as (1, 3 or 4, H, W) float32."""
        return torch.from_numpy(scnet_input(self.frame, binary(self.edges)))[None]


def binary(edges: EdgeMap | None) -> npt.NDArray[np.bool_] | None:
    """Return the binary prior of an edge map in [0, 255]."""
    return None if edges is None else edges > EDGE_THRESHOLD * 255


def input_of(model: nn.Module, x: Tensor) -> Tensor:
    """Return what a model sees of (N, 3 or 4, H, W): without the prior, the colours alone."""
    return x[:, : model.config.in_channels] if isinstance(model, SCNet) else x[:, :3]


def add_edges(hed: nn.Module, x: Tensor) -> Tensor:
    """Return (N, 4, H, W): the colours of a batch and the binary edge map that an HED sees there.

    This is the prior of what a camera films. A map of the whole image, made once, knows neither a
    crack that is blended in afterwards nor the light of a crop.
    """
    with torch.no_grad():
        edges = torch.sigmoid(hed(frames_of(x))[0].float()) > EDGE_THRESHOLD
    return torch.cat([x[:, :3], edges.to(x.dtype)], 1)


def frames_of(x: Tensor) -> Tensor:
    """Return frames (N, 3, H, W) BGR in [0, 255] of (N, 3 or 4, H, W) RGB in [-1, 1]."""
    return (x[:, :3].flip(1) + 1) * 127.5


def share_out(
    images: Sequence[TrainingImage], share: float, *, taught: bool = True
) -> list[TrainingImage]:
    """Return images that together have a share of the crops."""
    each = share / max(1, len(images))
    return [dataclasses.replace(image, share=each, taught=taught) for image in images]


def blend_cracks(image: TrainingImage, rng: np.random.Generator) -> TrainingImage:
    """Return an image with one or two of its `cracks` blended in; as it is where none fits."""
    frame, mask = image.frame, image.mask
    for _ in range(int(rng.integers(1, 3))):
        found = blend(frame, *image.cracks[int(rng.integers(len(image.cracks)))], rng)
        if found is not None:
            frame, mask = found[0], mask | found[1]
    return dataclasses.replace(image, frame=frame, mask=mask, cracks=())


def load_images(samples: Sequence[Sample], map_of: MapOf | None) -> list[TrainingImage]:
    """Read all samples into memory, with their edge maps where one is wanted.

    Args:
        samples: What to read.
        map_of: Gives the edge map of a frame.

    Raises:
        InputError: an image or mask is unreadable, a mask is of another size than its frame, or
            no pixel or every pixel is crack; where all are known to have none, that is right.
    """
    images = [_load_image(sample, map_of) for sample in samples]
    if all(sample.role == "negative" for sample in samples):
        return images
    crack = sum(int(image.mask.sum()) for image in images)
    ignored = sum(int(image.ignored.sum()) for image in images if image.ignored is not None)
    check_classes(crack, sum(image.mask.size for image in images) - ignored, len(images))
    return images


def _load_image(sample: Sample, map_of: MapOf | None) -> TrainingImage:
    frame, (mask, ignored) = sample.read_pair()
    if sample.role == "coarse":
        mask, unsure = believe(frame, mask)
        ignored = unsure if ignored is None else unsure | ignored
        mask = mask & ~ignored
    return TrainingImage(frame, mask, map_of and map_of(frame), ignored)


def believe(
    frame: npt.NDArray[np.uint8], coarse: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return what a coarse mask is believed: where there is a crack, and where nobody knows.

    Inside the mask what is clearly darker than the wall is the crack. The rest of the mask and a
    band of `COARSE_PX` around it may be either. So the mask does not teach its width.
    """
    crack = coarse & (shading(frame, coarse) < CLEARLY_DARK)
    kernel = np.ones((2 * COARSE_PX + 1, 2 * COARSE_PX + 1), np.uint8)
    near = cv2.dilate(coarse.astype(np.uint8), kernel) > 0
    return crack, near & ~crack


class Batch(NamedTuple):
    """The crops of one step.

    Attributes:
        x: (N, 3 or 4, crop, crop) float32, channels last.
        mask: (N, 1, crop, crop) float32, 1 on cracks.
        ignored: (N, 1, crop, crop) bool, where nothing is learnt.
        taught: (N,) bool, whether teachers are asked about a crop.
    """

    x: Tensor
    mask: Tensor
    ignored: Tensor
    taught: Tensor

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
    *,
    share: tuple[int, int] = (0, 1),
    workers: int = 0,
) -> Iterator[Batch]:
    """Yield `batch_at` of each step, cut ahead by `workers` processes, if any.

    Raises:
        InputError: a worker died.
    """
    workers = min(workers, len(steps))
    if workers:
        _start_fork_server()
    loader = DataLoader(
        _Steps(images, schedule, share=share),
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


def _start_fork_server() -> None:
    """Start what forks the workers where no module lies: Python would take it from here first."""
    here = Path.cwd()
    os.chdir("/")
    try:
        forkserver.ensure_running()
    finally:
        os.chdir(here)


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
    *,
    share: tuple[int, int] = (0, 1),
) -> Batch:
    """Return the crops of one step.

    They depend on the seed and the step alone, so a resumed run equals an uninterrupted one, and
    several processes together see what one would.

    Args:
        step: Counted from 0.
        images: What crops are cut from, each by its share.
        schedule: How.
        share: Rank and number of processes: which crops of the batch are ours.
    """
    rank, world = share
    rngs = np.random.default_rng([schedule.seed, step]).spawn(schedule.batch)
    until = np.cumsum([image.share for image in images])
    crops = [_crop(images, until, schedule, rng) for rng in rngs[rank::world]]
    x, mask, ignored, taught = (
        torch.from_numpy(np.stack(parts)) for parts in zip(*crops, strict=True)
    )
    return Batch(x.contiguous(memory_format=torch.channels_last), mask, ignored, taught)


def _crop(
    images: Sequence[TrainingImage],
    until: npt.NDArray[np.float64],
    schedule: Schedule,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_], np.bool_]:
    """Return one input (C, crop, crop), its mask and what of it is ignored, and if it is taught."""
    image = images[int(np.searchsorted(until, rng.random() * until[-1], side="right"))]
    if image.cracks:
        image = blend_cracks(image, rng)
    crop = training_crop(
        image.frame,
        image.mask,
        image.edges,
        schedule.augmentation,
        rng,
        ignored=image.ignored,
        focus=image.focus,
    )
    ignored = np.zeros_like(crop.mask) if crop.ignored is None else crop.ignored
    mask = (crop.mask & ~ignored)[None].astype(np.float32)
    return scnet_input(crop.frame, binary(crop.edges)), mask, ignored[None], np.bool_(image.taught)
