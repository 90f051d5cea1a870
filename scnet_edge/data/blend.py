"""Cracks of one image in another: what they take away of the light is taken away there, too.

No pixel is pasted, so there is no seam: a crack is how much darker it is than the wall beside it,
and that ratio multiplies the other image, whose light, blur and noise stay its own.

To test what was trained on such images, cracks are pasted by the equation of Poisson instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.masks import Truth
from scnet_edge.data.samples import Sample
from scnet_edge.types import Frame, Mask

Light = npt.NDArray[np.float32]  # (H, W), 1 where the light is that of the wall

FAINTEST = 0.85  # mean ratio of a crack that is still blended in
DARKEST, BRIGHTEST = 25, 245  # of the place, in 8-bit luminance: neither a dark mouth nor a glare
PASTED = 120  # how many images are made
SEED = 30_000
AROUND_PX = 6  # of the crack's own wall that comes along
WIDTH_PX = (3.0, 8.0)  # of the pasted crack
WIDEST_PX = 8.0  # about, of a crack that is blended in
LEAST_DARKER = 0.12  # than the wall beside it, or nobody would see it


def shading(frame: Frame, mask: Mask) -> Light:
    """Return how bright each pixel of a crack is beside its wall, (H, W) float32, 1 elsewhere.

    Args:
        frame: (H, W, 3) uint8, BGR.
        mask: (H, W) bool, True on the crack.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    wall = 1.0 - near.astype(np.float32)
    sigma = max(8.0, 0.04 * max(mask.shape))
    weight = cv2.GaussianBlur(wall, (0, 0), sigma) + 1e-3
    beside = cv2.GaussianBlur(grey * wall, (0, 0), sigma) / weight
    ratio = np.clip(grey / np.maximum(beside, 8), 0.1, 1.2)
    soft = cv2.GaussianBlur(near.astype(np.float32), (0, 0), 1.5)
    return np.asarray(1 + soft * (ratio - 1), np.float32)


def blend(
    frame: Frame, light: Light, mask: Mask, rng: np.random.Generator
) -> tuple[Frame, Mask] | None:
    """Return an image with a crack blended in, and its mask; None where no place is fit for it.

    The crack is turned, flipped, scaled and squeezed towards the middle of the image, as a wall
    that runs away from a camera in a pipe squeezes it.

    Args:
        frame: (H, W, 3) uint8, BGR: where it goes.
        light: The `shading` of the crack, of any size.
        mask: The mask of it.
        rng: Draws the place.
    """
    if not mask.any() or float(light[mask].mean()) > FAINTEST:
        return None
    h, w = frame.shape[:2]
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    saturated = frame.max(2).astype(np.int16) - frame.min(2) > 200  # text and boxes
    fit = (grey > DARKEST) & (grey < BRIGHTEST) & ~saturated
    width_px = 2 * float(
        np.quantile(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)[mask], 0.9)
    )
    for _ in range(6):
        to_hw = _placement((h, w), mask, width_px, rng)
        there = (
            cv2.warpAffine(mask.astype(np.uint8) * 255, to_hw, (w, h), flags=cv2.INTER_AREA) > 100
        )
        if there.sum() < 60 or fit[there].mean() < 0.9:
            continue
        shaded = cv2.warpAffine(light, to_hw, (w, h), flags=cv2.INTER_LINEAR, borderValue=1.0)
        shaded = cv2.GaussianBlur(shaded, (0, 0), float(rng.uniform(0.4, 1.1)))
        shaded = shaded ** np.float32(rng.uniform(0.7, 1.4))
        if float(shaded[there].mean()) > FAINTEST:
            continue
        out = np.clip(frame * shaded[..., None], 0, 255).round().astype(np.uint8)
        return out, there
    return None


def _placement(
    size_hw: tuple[int, int],
    mask: Mask,
    width_px: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Return the (2, 3) matrix from the crack's image into one of another size."""
    h, w = size_hw
    ys, xs = np.nonzero(mask)
    pick = int(rng.integers(len(ys)))
    angle = rng.uniform(0, 2 * np.pi)  # around the middle of the picture
    radius = rng.uniform(0.3, 0.95)
    x, y = w / 2 + radius * np.cos(angle) * w / 2, h / 2 + radius * np.sin(angle) * h / 2
    scale = rng.uniform(2.0, WIDEST_PX) / max(width_px, 1.0) * rng.uniform(0.8, 1.2)
    scale = float(np.clip(scale, 0.3, 1.6))
    squeeze = rng.uniform(0.5, 1.0)
    turned = _rotation(rng.uniform(0, 2 * np.pi)) @ np.diag([rng.choice([-1.0, 1.0]), 1.0])
    radial = _rotation(angle) @ np.diag([squeeze, 1.0]) @ _rotation(-angle)
    linear = scale * radial @ turned
    shift = np.array([x, y]) - linear @ np.array([xs[pick], ys[pick]], np.float64)
    return np.column_stack([linear, shift])


def _rotation(angle: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


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
