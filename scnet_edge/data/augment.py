"""Random crops for training: one affine warp makes rotation, scale, flip and crop at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.filming import film
from scnet_edge.types import Mask

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How training crops are drawn; each is flipped either way with probability 1/2.

    The defaults are no preset's: `paper` has `PAPER_AUGMENTATION`, all others have
    `training.presets.STRONG`.
    """

    crop: int = 256  # pixels, square
    rotation_deg: float = 90.0  # 0 to this, as the paper
    scale: tuple[float, float] = (0.75, 1.4)  # drawn evenly in its logarithm
    photometric: Literal["none", "mild", "strong", "field"] = "mild"  # field: filmed by a robot
    crack_bias: float = 0.7  # share of crops centred near a crack pixel


PAPER_AUGMENTATION = Augmentation(scale=(1, 1), photometric="none", crack_bias=0)  # Section V-B


class Crop(NamedTuple):
    """Squares of `Augmentation.crop` pixels, aligned.

    Attributes:
        frame: (crop, crop, 3) uint8, BGR.
        mask: (crop, crop) bool, True on cracks.
        edges: (crop, crop) uint8, the HED probability times 255, if there is one.
        ignored: (crop, crop) bool, True where nobody knows; None: it is known everywhere.
    """

    frame: Frame
    mask: Mask
    edges: Frame | None
    ignored: Mask | None


def training_crop(
    frame: Frame,
    mask: Mask,
    edges: Frame | None,
    how: Augmentation,
    rng: np.random.Generator,
    *,
    ignored: Mask | None = None,
    focus: Mask | None = None,
) -> Crop:
    """Return one random crop of frame (H, W, 3) BGR and what belongs to it, each (H, W).

    `focus` takes the place of the crack where crops are centred near it and there is none.
    """
    near = mask if focus is None or mask.any() else focus
    warp = _random_affine(_crop_centre(near, how, rng), how, rng)
    size = (how.crop, how.crop)

    def warp_image(image: npt.NDArray[np.uint8]) -> Frame:
        return np.asarray(
            cv2.warpAffine(
                image, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            ),
            np.uint8,
        )

    def warp_mask(of: Mask) -> Mask:
        return warp_image(of.astype(np.uint8) * 255) > 127

    crop, crop_mask = warp_image(frame), warp_mask(mask)
    match how.photometric:
        case "mild":
            crop = _photometric(crop, rng)
        case "strong":
            crop = _strong_photometric(crop, rng)
        case "field":
            crop, crop_mask = film(_strong_photometric(crop, rng), crop_mask, rng)
    return Crop(
        crop,
        crop_mask,
        None if edges is None else warp_image(edges),
        None if ignored is None else warp_mask(ignored),
    )


def _crop_centre(
    mask: npt.NDArray[np.bool_], how: Augmentation, rng: np.random.Generator
) -> tuple[float, float]:
    h, w = mask.shape
    if rng.random() < how.crack_bias and mask.any():
        ys, xs = np.nonzero(mask)
        pick = rng.integers(len(ys))
        x = xs[pick] + rng.uniform(-0.4, 0.4) * how.crop
        y = ys[pick] + rng.uniform(-0.4, 0.4) * how.crop
    else:
        x, y = rng.uniform(0, w), rng.uniform(0, h)
    half = how.crop / 2
    return float(np.clip(x, min(half, w / 2), max(w - half, w / 2))), float(
        np.clip(y, min(half, h / 2), max(h - half, h / 2))
    )


def _random_affine(
    centre: tuple[float, float], how: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the (2, 3) matrix from image to crop coordinates."""
    angle, scale = rng.uniform(0, how.rotation_deg), float(np.exp(rng.uniform(*np.log(how.scale))))
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle, scale), np.float64)
    flip_x, flip_y = rng.random(2) < 0.5
    matrix[:, 2] += how.crop / 2 - np.asarray(centre)
    if flip_x:
        matrix[0] = [0, 0, how.crop - 1] - matrix[0]
    if flip_y:
        matrix[1] = [0, 0, how.crop - 1] - matrix[1]
    return matrix


def _photometric(crop: Frame, rng: np.random.Generator) -> Frame:
    """Change gain, offset, gamma, colour balance, sharpness and noise, each a little."""
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
    out = _tone(crop, gain, np.exp(rng.uniform(-0.3, 0.3)), rng.uniform(-0.1, 0.1))
    if rng.random() < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    return _noisy(out, rng, share=0.3, deviation=(2, 8))


def _strong_photometric(crop: Frame, rng: np.random.Generator) -> Frame:
    """Change tone widely, the light unevenly, sharpness both ways, and take colour away at times.

    The statistics of single images differ far more than those of a batch of crops; a norm with
    fixed statistics has to have seen that.
    """
    if rng.random() < 0.1:
        crop = np.repeat(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[..., None], 3, 2).astype(np.uint8)
    gain = rng.uniform(0.55, 1.4) * rng.uniform(0.9, 1.1, 3)
    out = _tone(crop, gain, np.exp(rng.uniform(-0.45, 0.45)), rng.uniform(-0.15, 0.15))
    if rng.random() < 0.25:
        out = _unevenly_lit(out, rng)
    sharpness = rng.random()
    if sharpness < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.3)), np.uint8)
    elif sharpness < 0.3:
        soft = cv2.GaussianBlur(out, (0, 0), 1.2)
        out = np.asarray(cv2.addWeighted(out, 1.7, soft, -0.7, 0), np.uint8)
    return _noisy(out, rng, share=0.25, deviation=(2, 9))


def _tone(crop: Frame, gain: npt.NDArray[np.float64], gamma: float, offset: float) -> Frame:
    x = (np.arange(256) / 255.0) ** gamma
    tables = np.clip((x[:, None] - 0.5) * gain + 0.5 + offset, 0, 1) * 255
    return np.asarray(cv2.LUT(crop, tables.round().astype(np.uint8)[None]), np.uint8)


def _unevenly_lit(crop: Frame, rng: np.random.Generator) -> Frame:
    """Return the crop under a light that varies smoothly over it."""
    h, w = crop.shape[:2]
    coarse = rng.uniform(0.55, 1.25, (3, 3)).astype(np.float32)
    light = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(crop * light[..., None], 0, 255), np.uint8)


def _noisy(
    crop: Frame, rng: np.random.Generator, *, share: float, deviation: tuple[float, float]
) -> Frame:
    """Return the crop with Gaussian noise, at times."""
    if rng.random() >= share:
        return crop
    noise = rng.normal(0, rng.uniform(*deviation), crop.shape)
    return np.clip(crop + noise, 0, 255).astype(np.uint8)
