"""Cracks of one image in another: what they take away of the light is taken away there, too.

No pixel is pasted, so there is no seam: a crack is how much darker it is than the wall beside it,
and that ratio multiplies the other image, whose light, blur and noise stay its own.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Frame, Mask

Light = npt.NDArray[np.float32]  # (H, W), 1 where the light is that of the wall

FAINTEST = 0.85  # mean ratio of a crack that is still blended in
DARKEST, BRIGHTEST = 25, 245  # of the place, in 8-bit luminance: neither a dark mouth nor a glare


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
    frame: Frame, light: Light, mask: Mask, rng: np.random.Generator, *, widest_px: float = 8.0
) -> tuple[Frame, Mask] | None:
    """Return an image with a crack blended in, and its mask; None where no place is fit for it.

    The crack is turned, flipped, scaled and squeezed towards the middle of the image, as a wall
    that runs away from a camera in a pipe squeezes it.

    Args:
        frame: (H, W, 3) uint8, BGR: where it goes.
        light: The `shading` of the crack, of any size.
        mask: The mask of it.
        rng: Draws the place.
        widest_px: About how wide the crack may become.
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
        to_hw = _placement((h, w), mask, width_px, widest_px, rng)
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
    widest_px: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Return the (2, 3) matrix from the crack's image into one of another size."""
    h, w = size_hw
    ys, xs = np.nonzero(mask)
    pick = int(rng.integers(len(ys)))
    angle = rng.uniform(0, 2 * np.pi)  # around the middle of the picture
    radius = rng.uniform(0.3, 0.95)
    x, y = w / 2 + radius * np.cos(angle) * w / 2, h / 2 + radius * np.sin(angle) * h / 2
    scale = rng.uniform(2.0, widest_px) / max(width_px, 1.0) * rng.uniform(0.8, 1.2)
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
