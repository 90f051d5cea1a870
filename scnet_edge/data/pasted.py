"""Cracks pasted by Poisson's equation, to test what was trained on cracks blended another way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.masks import Truth
from scnet_edge.data.samples import Sample
from scnet_edge.types import Frame, Mask

PASTED = 120  # how many images are made
SEED = 30_000
AROUND_PX = 6  # of the crack's own wall that comes along
WIDTH_PX = (3.0, 8.0)  # of the pasted crack
LEAST_DARKER = 0.12  # than the wall beside it, or nobody would see it


@dataclass(frozen=True, slots=True)
class MadeSample(Sample):
    """An image in memory; `image` is what a crack was pasted into, `mask` what lent it."""

    frame: Frame = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    truth: Mask = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    def read_frame(self) -> Frame:
        """Return the image as (H, W, 3) uint8, BGR."""
        return self.frame

    def read_truth(self) -> Truth:
        """Return where the crack is."""
        return Truth(self.truth)


def paste_samples(
    cracks: Sequence[Sample], onto: Sequence[Sample], *, count: int = PASTED
) -> list[MadeSample]:
    """Return images of `onto`, each with one crack of `cracks`; the same ones each time.

    Gradients of the crack and of `AROUND_PX` beside it take the place of those of the image
    (Perez 2003). A crack is `WIDTH_PX` wide there. Where it cannot be seen, it is not used.
    """
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(cracks))
    samples: list[MadeSample] = []
    for attempt in range(4 * count):
        if len(samples) == count:
            break
        place, lender = onto[attempt % len(onto)], cracks[int(order[attempt % len(order)])]
        made = _paste(place.read_frame(), lender.read_frame(), lender.read_mask(), rng)
        if made is not None:
            samples.append(MadeSample(place.image, lender.image, frame=made[0], truth=made[1]))
    return samples


def _paste(
    frame: Frame, lent: Frame, mask: Mask, rng: np.random.Generator
) -> tuple[Frame, Mask] | None:
    if not mask.any():
        return None
    h, w = frame.shape[:2]
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    width_px = 2 * float(np.quantile(depth[mask], 0.9))
    scale = float(np.clip(rng.uniform(*WIDTH_PX) / width_px, 0.25, 2.0))
    ys, xs = np.nonzero(mask)
    pick = int(rng.integers(len(ys)))
    warp = cv2.getRotationMatrix2D(
        (float(xs[pick]), float(ys[pick])), float(rng.uniform(0, 360)), scale
    )
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 0.8)
    target = (w / 2 * (1 + radius * np.cos(angle)), h / 2 * (1 + radius * np.sin(angle)))
    warp[:, 2] += np.array(target) - (xs[pick], ys[pick])
    there = cv2.warpAffine(mask.astype(np.uint8) * 255, warp, (w, h)) > 127
    source = cv2.warpAffine(lent, warp, (w, h), borderMode=cv2.BORDER_REFLECT_101)
    kernel = np.ones((2 * AROUND_PX + 1, 2 * AROUND_PX + 1), np.uint8)
    region = cv2.dilate(there.astype(np.uint8), kernel)
    region[:2], region[-2:], region[:, :2], region[:, -2:] = 0, 0, 0, 0
    there &= region > 0
    saturated = frame.max(2).astype(np.int16) - frame.min(2) > 200  # text and boxes
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    if there.sum() < 150 or saturated[region > 0].mean() > 0.02 or grey[there].mean() < 40:
        return None
    x, y, wide, high = cv2.boundingRect(region)
    centre = (x + wide // 2, y + high // 2)
    cloned = cv2.seamlessClone(source, frame, region * 255, centre, cv2.NORMAL_CLONE)
    out = np.asarray(cloned, np.uint8)
    return (out, there) if _is_seen(out, there, region > 0) else None


def _is_seen(frame: Frame, there: Mask, region: Mask) -> bool:
    grey: npt.NDArray[np.uint8] = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
    beside = float(grey[region & ~there].mean())
    return float(grey[there].mean()) < (1 - LEAST_DARKER) * beside
