"""Random crops for training: one affine warp makes rotation, scale, flip and crop at once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How training crops are drawn; the defaults are the `modern` preset."""

    crop: int = 256  # pixels, square
    rotation_deg: float = 90.0  # 0 to this, as the paper
    scale: tuple[float, float] = (0.75, 1.4)
    photometric: bool = True
    crack_bias: float = 0.7  # share of crops centred near a crack pixel


def training_crop(
    frame: Frame,
    mask: npt.NDArray[np.bool_],
    edges: Frame | None,
    how: Augmentation,
    rng: np.random.Generator,
) -> tuple[Frame, npt.NDArray[np.bool_], Frame | None]:
    """Return one random crop of frame (H, W, 3) BGR, mask and edge probability (H, W), aligned."""
    warp = _random_affine(_crop_centre(mask, how, rng), how, rng)
    size = (how.crop, how.crop)

    def warped(image: npt.NDArray[np.uint8]) -> Frame:
        return np.asarray(
            cv2.warpAffine(
                image, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            ),
            np.uint8,
        )

    crop = warped(frame)
    if how.photometric:
        crop = _photometric(crop, rng)
    crop_mask = warped(mask.astype(np.uint8) * 255) > 127
    return crop, crop_mask, None if edges is None else warped(edges)


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
    gamma = np.exp(rng.uniform(-0.3, 0.3))
    x = (np.arange(256) / 255.0) ** gamma
    offset = rng.uniform(-0.1, 0.1)
    tables = np.clip((x[:, None] - 0.5) * gain + 0.5 + offset, 0, 1) * 255
    out = np.asarray(cv2.LUT(crop, tables.round().astype(np.uint8)[None]), np.uint8)
    if rng.random() < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 8), out.shape)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    return out
