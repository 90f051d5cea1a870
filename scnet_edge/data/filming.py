"""What filming adds to a wall: compression, combed fields, text, boxes, borders, a lamp; and frames
that show nothing at all."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Frame, Mask

TEXTS = ("12.45 m", "DN300", "2026-03-11", "10:42:07", "MH 12 > MH 13", "+003.5", "REC", "Pipe 7")
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX)


def film(frame: Frame, mask: Mask, rng: np.random.Generator) -> tuple[Frame, Mask]:
    """Return a crop as a camera on a robot films it, each change at times.

    Args:
        frame: (H, W, 3) uint8, BGR.
        mask: (H, W) bool; what is drawn over a crack hides it.
        rng: Draws the changes.
    """
    if rng.random() < 0.12:
        frame = _lamp(frame, rng)
    if rng.random() < 0.08:
        frame = _comb(frame, rng)
    if rng.random() < 0.12:
        frame, mask = _write_text(frame, mask, rng)
    if rng.random() < 0.08:
        frame, mask = _add_borders(frame, mask, rng)
    if rng.random() < 0.2:
        quality = int(rng.integers(25, 80))
        packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        frame = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return frame, mask


def plain_frame(size_hw: tuple[int, int], rng: np.random.Generator) -> Frame:
    """Return a frame (H, W, 3) uint8 without any crack: of one tone, two, a gradient, a glow."""
    h, w = size_hw
    tone = rng.choice([0.0, 255.0, float(rng.uniform(0, 255))])
    frame = np.full((h, w, 3), tone, np.float32)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    slope = rng.normal(size=2)
    along = (x - rng.uniform(0, w)) * slope[0] + (y - rng.uniform(0, h)) * slope[1]
    along /= np.linalg.norm(slope)
    match int(rng.integers(6)):
        case 1:  # two tones, with an edge between them, at times soft
            other, soft = rng.choice([0.0, 255.0, float(rng.uniform(0, 255))]), rng.uniform(0.5, 40)
            upright = (x - w * rng.uniform(0.2, 0.8)) if rng.random() < 0.5 else (y - h / 2)
            across = along if rng.random() < 0.5 else upright
            share = np.clip(across / (soft if rng.random() < 0.5 else 0.5) + 0.5, 0, 1)
            frame += ((other - tone) * share)[..., None]
        case 2:
            frame += (along / max(h, w) * rng.uniform(-200, 200))[..., None]
        case 3:  # the light of a lamp, or the mouth of a pipe
            r = np.hypot(x - rng.uniform(0, w), (y - rng.uniform(0, h)) * rng.uniform(0.7, 1.4))
            frame += (np.exp(-((r / rng.uniform(30, max(h, w))) ** 2)) * rng.uniform(-255, 255))[
                ..., None
            ]
        case 4:  # flat colour
            frame[:] = rng.uniform(0, 255, 3)
    if rng.random() < 0.5:
        frame += rng.normal(0, rng.uniform(0.3, 6), frame.shape)
    out = np.clip(frame, 0, 255).astype(np.uint8)
    nothing = np.zeros((h, w), np.bool_)
    if rng.random() < 0.3:
        out, _ = _add_borders(out, nothing, rng)
    if rng.random() < 0.3:
        out, _ = _write_text(out, nothing, rng)
    return out


def _lamp(frame: Frame, rng: np.random.Generator) -> Frame:
    """Light the middle and leave the rest dark, or burn a spot out."""
    h, w = frame.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    r2 = ((x - rng.uniform(0, w)) / w) ** 2 + ((y - rng.uniform(0, h)) / h) ** 2
    light = np.exp(-r2 / rng.uniform(0.1, 1.0))
    lit = frame * (rng.uniform(0.2, 0.7) + light * rng.uniform(0.6, 1.6))[..., None]
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _comb(frame: Frame, rng: np.random.Generator) -> Frame:
    """Shift every other line, as the second field of a moving camera is."""
    out = frame.copy()
    out[1::2] = np.roll(frame, int(rng.integers(-4, 5)), 1)[1::2]
    return out


def _write_text(frame: Frame, mask: Mask, rng: np.random.Generator) -> tuple[Frame, Mask]:
    """Write on-screen text, or put the boxes that hide some."""
    h, w = frame.shape[:2]
    over, hidden = frame.copy(), np.zeros((h, w), np.uint8)
    box = rng.random() < 0.4
    colour = tuple(map(float, rng.choice([[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]])))
    for _ in range(int(rng.integers(1, 4))):
        x, y = int(rng.integers(-20, w)), int(rng.integers(0, h))
        if box:
            far = (x + int(rng.integers(15, 140)), y + int(rng.integers(8, 40)))
            for image, value in ((over, colour), (hidden, (1.0,))):
                cv2.rectangle(image, (x, y), far, value, -1)
            continue
        text, font = str(rng.choice(TEXTS)), int(rng.choice(FONTS))
        scale, thick = float(rng.uniform(0.4, 1.2)), int(rng.integers(1, 3))
        for image, value in ((over, colour), (hidden, (1.0,))):
            cv2.putText(image, text, (x, y), font, scale, value, thick, cv2.LINE_AA)
    return over, mask & (hidden == 0)


def _add_borders(frame: Frame, mask: Mask, rng: np.random.Generator) -> tuple[Frame, Mask]:
    """Lay black bars on one or two sides."""
    frame, mask = frame.copy(), mask.copy()
    deep = int(rng.integers(2, max(3, min(frame.shape[:2]) // 4)))
    sides: npt.NDArray[np.int64] = rng.permutation(4)[: int(rng.integers(1, 3))]
    for side in sides.tolist():
        where = [np.s_[:deep], np.s_[-deep:], np.s_[:, :deep], np.s_[:, -deep:]][side]
        frame[where] = int(rng.integers(0, 24))
        mask[where] = False
    return frame, mask
