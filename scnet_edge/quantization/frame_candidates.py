"""Frames that could calibrate, from folders, videos and data sets, with what tells them apart."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.bundle.recipe import DEFAULT_MODEL, DEFAULT_SIZE_HW, Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.frames import resize
from scnet_edge.errors import CutShort, InputError, escape
from scnet_edge.models.cards import find_card
from scnet_edge.models.sizes import SizeHW
from scnet_edge.quantization.lowering import fp32_graph
from scnet_edge.quantization.memory_engine import in_engine
from scnet_edge.quantization.perceptual_hash import every_way, phash
from scnet_edge.runtime.scale import tiles_of
from scnet_edge.types import Frame, Map
from scnet_edge.video.sources import open_source

logger = logging.getLogger(__name__)

PER_WANTED = 4  # candidates for each frame that is wanted, at most, evenly spaced
Probability = Callable[[Frame], Map]
TileScale: TypeAlias = Literal["native", "fit"]
_Tile: TypeAlias = tuple[str, Frame, tuple[str, ...]]  # name, pixels, the whole picture's hashes
WEAK = 2.0  # grey levels; nearer to grey than this, the order of the colours hardly shows
CLEAR = 2.0  # standard errors by which the swapped order must fit better


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFrame:
    """One frame and its figures, as `ChosenFrame` defines them.

    Attributes:
        frame: (h, w, 3) uint8 BGR at the size of the networks.
        ways: Of a tile, the hashes of the whole picture, `every_way`; none of a whole picture.
        look: (n,) float32, a thumbnail of brightness and detail, for diversity.
    """

    name: str
    frame: Frame
    sha256: str
    phash: str
    crack_area: float
    brightness: float
    sharpness: float
    red_minus_blue: float
    look: npt.NDArray[np.float32]
    ways: tuple[str, ...] = ()

    @property
    def picture_ways(self) -> tuple[str, ...]:
        """The hashes of the picture that it shows or is a part of, `every_way`."""
        return self.ways or tuple(every_way(self.frame))


@contextmanager
def open_detector() -> Iterator[tuple[Probability, float]]:
    """Yield the packaged small model at half its size, in FP32, and its threshold.

    It only tells frames with much crack from those with little, so it serves every model.
    """
    card = find_card(DEFAULT_MODEL)
    half = (DEFAULT_SIZE_HW[0] // 2 // 32 * 32, DEFAULT_SIZE_HW[1] // 2 // 32 * 32)
    recipe = Recipe(precision="fp32", size_hw=half)
    with in_engine(fp32_graph(open_chain(card, recipe))) as backend:

        def detect(frame: Frame) -> Map:
            probability: Map = backend.run({"frame": resize(frame, half)[None]})["probability"][0]
            return probability

        yield detect, card.threshold


def read_candidates(
    data: list[str],
    wanted: int,
    size_hw: SizeHW,
    probability: Probability,
    threshold: float,
    scale: TileScale | None = None,
) -> list[CandidateFrame]:
    """Return evenly spaced frames of every source, or their tiles, measured.

    Args:
        data: Folders of images, images, videos, or data sets as NAME:DIR, whose training split is
            taken.
        wanted: How many frames shall be chosen from them.
        size_hw: The size of the networks.
        probability: A crack detector, for the crack area.
        threshold: Where it calls a pixel crack.
        scale: How frames are brought to the networks; None: `native` for pictures, `fit` for
            videos, as `run` has it.

    Raises:
        InputError: a source is missing, empty or cut short, or an image cannot be read.
    """
    limit = max(2, PER_WANTED * wanted // len(data))
    found = []
    for number, source in enumerate(data, 1):
        prefix = f"{number}/" if len(data) > 1 else ""
        with _open(source) as (frames, count, usual):
            step = max(1, -(-(count or 0) // limit))
            kept = _thin(source, frames, limit, step, size_hw, scale or usual)
        for name, tile, ways in kept:
            found.append(_measure(f"{prefix}{name}", tile, ways, probability, threshold))
    return found


def _thin(
    source: str,
    frames: Iterator[tuple[str, Frame]],
    limit: int,
    step: int,
    size_hw: SizeHW,
    scale: TileScale,
) -> list[_Tile]:
    """Return the tiles of every `step`th frame; where they are more than the limit, every other.

    So the memory of a video that does not say how long it is stays bounded.
    """
    kept: list[_Tile] = []
    seen, number, apart = -1, 0, 1
    try:
        for seen, (name, frame) in enumerate(frames):
            if seen % step:
                continue
            tiles = list(tiles_of(frame, size_hw, scale))
            ways = tuple(every_way(frame)) if len(tiles) > 1 else ()
            for turn in range(len(tiles)):
                i = (seen + turn) % len(tiles)  # so that not each frame gives its first
                if number % apart == 0 and len(kept) == limit:
                    kept, apart = kept[::2], 2 * apart
                if number % apart == 0:
                    part = f"{name}, tile {i + 1}" if len(tiles) > 1 else name
                    kept.append((part, tiles[i].copy(), ways))
                number += 1
    except CutShort as e:
        raise InputError(
            f"{source}: ends after {seen + 1} frames, before its time, so it is cut or damaged; "
            "copy it again, or calibrate on a folder of the images that are whole"
        ) from e
    return kept


@contextmanager
def _open(source: str) -> Iterator[tuple[Iterator[tuple[str, Frame]], int | None, TileScale]]:
    """Yield the frames of a source by name, about how many there are, and its usual scale."""
    if ":" in source and not Path(source).exists():
        samples = open_dataset(source, "train")
        yield ((s.name, s.read_frame()) for s in samples), len(samples), "native"
        return
    with open_source(source) as opened:
        if opened.left_out:
            logger.warning("%s: %s", escape(source), opened.left_out)
        usual: TileScale = "native" if opened.fps is None else "fit"
        yield ((shot.name, shot.frame) for shot in opened), opened.count, usual


def _measure(
    name: str, frame: Frame, ways: tuple[str, ...], probability: Probability, threshold: float
) -> CandidateFrame:
    return CandidateFrame(
        name=name,
        frame=frame,
        sha256=hashlib.sha256(frame.tobytes()).hexdigest(),
        phash=phash(frame),
        crack_area=float((probability(frame) >= threshold).mean()),
        brightness=brightness(frame),
        sharpness=sharpness(frame),
        red_minus_blue=red_minus_blue(frame),
        look=_look(frame),
        ways=ways,
    )


def brightness(frame: Frame) -> float:
    """Return the mean grey level, 0 to 255."""
    return float(_grey(frame).mean())


def sharpness(frame: Frame) -> float:
    """Return the variance of the Laplacian over that of the grey levels; 0 for a flat frame."""
    grey = _grey(frame)
    contrast = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / contrast if contrast else 0.0


def red_minus_blue(frame: Frame) -> float:
    """Return the mean of red minus blue, in grey levels."""
    return float(frame[..., 2].mean() - frame[..., 0].mean())


def _grey(frame: Frame) -> Map:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.float32)


def _look(frame: Frame) -> npt.NDArray[np.float32]:
    """Return (128,) float32: an 8x8 thumbnail and the 8x8 mean of its detail, each in [0, 1]."""
    grey = _grey(frame) / 255
    detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 3))
    small = [cv2.resize(m, (8, 8), interpolation=cv2.INTER_AREA).ravel() for m in (grey, detail)]
    return np.concatenate([small[0], small[1] * 8]).astype(np.float32)


def find_swapped_colours(ours: Sequence[float], others: Sequence[float], whose: str) -> str:
    """Return why frames look like RGB for BGR beside others; empty if they do not.

    Args:
        ours: Mean of red minus blue of each frame, in grey levels.
        others: That of frames of the same kind; none, and nothing can be said.
        whose: What the others are called.
    """
    if not (ours and others):
        return ""
    mean, theirs = float(np.mean(ours)), float(np.mean(others))
    weak = min(abs(mean), abs(theirs)) < WEAK
    better = abs(mean - theirs) - abs(mean + theirs)  # by how much the swapped order is nearer
    error = float(np.hypot(*(np.std(tints) / np.sqrt(len(tints)) for tints in (ours, others))))
    if weak or better <= CLEAR * error:
        return ""
    return (
        f"frames that are {_tint(mean)} where those of {whose} are {_tint(theirs)}, as if red and "
        "blue were swapped (if both are right: scnet-edge calibrate --colours-checked)"
    )


def _tint(mean: float) -> str:
    return f"{abs(mean):.1f} grey levels {'redder than blue' if mean > 0 else 'bluer than red'}"
