"""Perceptual hashes: is this the same picture, whatever its size, compression and exposure?

The hash is the signs of the lowest 16x16 cosine coefficients of a 64x64 grey thumbnail against
their median. Different pictures of DeepCrack, CrackForest and the masonry set are at least 78 of
its 255 bits apart; shrinking, JPEG at quality 30 and another exposure moved at most 8.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.config import read_json
from scnet_edge.types import Frame, Map

SAME_PICTURE_BITS = 32
SIDE = 16
EVALUATION_HASHES = Path(__file__).with_name("evaluation_hashes.json")

Bits = npt.NDArray[np.bool_]  # (256,)


class EvaluationHashes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pictures of public test splits, as hashes.

    Attributes:
        splits: Data set and split -> hashes of its images.
        twins: Training images that their own data set repeats in its test split.
    """

    splits: dict[str, list[str]]
    twins: dict[str, str]  # hash -> name


def phash(frame: Frame) -> str:
    """Return the perceptual hash of (h, w, 3) BGR as 64 hex digits."""
    return _hash(_thumbnail(frame))


def _thumbnail(frame: Frame) -> Map:
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)


def _hash(thumbnail: Map) -> str:
    lowest = cv2.dct(thumbnail)[:SIDE, :SIDE].ravel()
    lowest[0] = 0  # brightness
    return np.packbits(lowest > np.median(lowest[1:])).tobytes().hex()


def every_way(frame: Frame) -> list[str]:
    """Return the hashes of a frame as it is, mirrored, upside down, and both.

    The images of the public sets are at least 46 bits from any mirrored one of a test split.
    """
    seen = _thumbnail(frame)
    ways = (seen, seen[:, ::-1], seen[::-1], seen[::-1, ::-1])
    return [_hash(np.ascontiguousarray(way)) for way in ways]


def bits(hashes: list[str]) -> Bits:
    """Return hashes as (n, 256) bool."""
    raw = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8)
    return np.unpackbits(raw).reshape(len(hashes), SIDE * SIDE).astype(np.bool_)


def nearest(one: str, others: Bits) -> tuple[int, int]:
    """Return which of the others, (n, 256), is the nearest, and how many bits it is away."""
    distances = (bits([one]) != others).sum(1)
    return int(distances.argmin()), int(distances.min())


def same_picture(one: str, others: Bits) -> bool:
    """Return whether any of the others, (n, 256), is the same picture."""
    return bool(len(others)) and nearest(one, others)[1] <= SAME_PICTURE_BITS


def is_shown_in(ways: list[str], others: Bits) -> bool:
    """Return whether any of the others, (n, 256), is the picture of `every_way`."""
    return any(same_picture(way, others) for way in ways)


def public_test_splits() -> EvaluationHashes:
    """Return the hashes of the test splits of DeepCrack, CrackForest and the masonry set."""
    return read_json(EVALUATION_HASHES, EvaluationHashes)
