"""Choosing calibration frames: every kind of frame there is, no picture twice, none that judges.

Leaks between the frames that calibrate and those that judge are found by perceptual hash. A picture
is known again when it is mirrored, and by a tile that we cut out of it; not when somebody else cut
it out of a larger one or turned it by a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.files import write_image
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.frame_candidates import CandidateFrame
from scnet_edge.quantization.perceptual_hash import (
    Bits,
    bits,
    every_way,
    is_shown_in,
    public_test_splits,
    same_picture,
)
from scnet_edge.quantization.ranges import CalibrationFile
from scnet_edge.types import Frame

MIN_FRAMES = 8
NOISE_SHARPNESS = 13.0  # white noise has 20, made smaller 14; fine plaster 12, concrete under 3
Cell = tuple[str, str, str]
T = TypeVar("T")
COLUMNS, TILE_WIDTH_PX, CAPTION_PX, GAP_PX = 8, 200, 46, 6
PAPER, INK, FAINT = (250, 250, 250), (30, 30, 30), (110, 110, 110)


def without_repeats(candidates: Sequence[CandidateFrame]) -> list[CandidateFrame]:
    """Return the candidates without those that repeat an earlier picture."""
    kept: list[CandidateFrame] = []
    table: Bits = np.zeros((0, 256), np.bool_)
    for candidate in candidates:
        if not same_picture(candidate.phash, table):
            kept.append(candidate)
            table = np.concatenate([table, bits([candidate.phash])])
    return kept


def refuse_useless(distinct: Sequence[CandidateFrame], seen: int) -> None:
    """Raise InputError when there are too few different frames, or they are no photographs."""
    if len(distinct) < MIN_FRAMES:
        raise InputError(
            f"expected at least {MIN_FRAMES} different frames to calibrate on, found "
            f"{len(distinct)} among {seen}; record more of what the camera will see"
        )
    if float(np.median([c.sharpness for c in distinct])) > NOISE_SHARPNESS:
        raise InputError(
            "the frames are noise, their neighbouring pixels are unrelated; "
            "calibrate on frames as the camera delivers them"
        )
    if max(c.brightness for c in distinct) < 2 or min(c.brightness for c in distinct) > 253:
        raise InputError("every frame is black or white; calibrate on frames that show something")


def choose_frames(
    candidates: Sequence[CandidateFrame], wanted: int
) -> list[tuple[CandidateFrame, str]]:
    """Return up to `wanted` candidates, each with the cell it stands for.

    Candidates fall into cells by crack area, brightness and sharpness. The cells take turns, so
    that rare kinds are not drowned by common ones, and each gives the frame that looks the least
    like those chosen before.
    """
    cells = _cells(candidates)
    groups: dict[Cell, list[int]] = {cell: [] for cell in sorted(set(cells))}
    for i, cell in enumerate(cells):
        groups[cell].append(i)
    looks = np.stack([c.look for c in candidates])
    apart = np.full(len(candidates), np.inf)  # squared distance to the nearest chosen look
    chosen: list[tuple[CandidateFrame, str]] = []
    while len(chosen) < wanted and any(groups.values()):
        for cell, members in groups.items():
            if not members or len(chosen) == wanted:
                continue
            pick = members.pop(_farthest(members, apart, looks))
            apart = np.minimum(apart, ((looks - looks[pick]) ** 2).sum(1))
            chosen.append((candidates[pick], ", ".join(cell)))
    return chosen


def evenly_spaced(items: Sequence[T], wanted: int) -> list[T]:
    """Return up to `wanted` items, from the first to the last at equal distances."""
    places = np.linspace(0, len(items) - 1, min(wanted, len(items)))
    return [items[round(place)] for place in places]


def _farthest(
    members: list[int], apart: npt.NDArray[np.float64], looks: npt.NDArray[np.float32]
) -> int:
    """Return the place among the members of the one farthest from what was chosen."""
    if np.isinf(apart[members]).all():  # nothing chosen yet: the most typical of the cell
        return int(((looks[members] - looks[members].mean(0)) ** 2).sum(1).argmin())
    return int(apart[members].argmax())


def _cells(candidates: Sequence[CandidateFrame]) -> list[Cell]:
    areas = np.array([c.crack_area for c in candidates])
    area = _third(areas, ("thin or few cracks", "some crack", "much crack"), among=areas[areas > 0])
    light = _third(np.array([c.brightness for c in candidates]), ("dark", "medium light", "bright"))
    blur = _third(np.array([c.sharpness for c in candidates]), ("soft", "sharp"))
    return [
        (a if x > 0 else "no crack", b, c)
        for x, a, b, c in zip(areas, area, light, blur, strict=True)
    ]


def _third(
    values: npt.NDArray[np.float64],
    names: tuple[str, ...],
    among: npt.NDArray[np.float64] | None = None,
) -> list[str]:
    """Return the name of the quantile, of as many as there are names, that each value lies in."""
    pool = values if among is None else among
    if not len(pool):
        return [names[0]] * len(values)
    cuts = np.quantile(pool, np.arange(1, len(names)) / len(names))
    return [names[int(i)] for i in np.searchsorted(cuts, values, side="right")]


def write_sheet(path: Path, chosen: Sequence[tuple[CandidateFrame, str]]) -> None:
    """Write the chosen frames as one PNG, kinds side by side."""
    ordered = sorted(chosen, key=lambda pair: pair[1])
    tiles = [_tile(candidate, why) for candidate, why in ordered]
    tiles += [np.full_like(tiles[0], PAPER)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    write_image(path, np.vstack(rows))


def _tile(candidate: CandidateFrame, why: str) -> Frame:
    h, w = candidate.frame.shape[:2]
    size_wh = (TILE_WIDTH_PX, round(TILE_WIDTH_PX * h / w))
    picture = cv2.resize(candidate.frame, size_wh, interpolation=cv2.INTER_AREA)
    tile = np.full((size_wh[1] + CAPTION_PX, TILE_WIDTH_PX, 3), PAPER, np.uint8)
    tile[: size_wh[1]] = picture
    lines = (
        (candidate.name[-30:], INK),
        (why, FAINT),
        (f"crack {candidate.crack_area:.1%}  light {candidate.brightness:.0f}", FAINT),
    )
    for i, (text, colour) in enumerate(lines):
        at = (2, size_wh[1] + 13 + 14 * i)
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, 1, cv2.LINE_AA)
    h, w = tile.shape[:2]
    framed = np.full((h + 2 * GAP_PX, w + 2 * GAP_PX, 3), PAPER, np.uint8)
    framed[GAP_PX:-GAP_PX, GAP_PX:-GAP_PX] = tile
    return framed


def refuse_leaks(
    candidates: Sequence[CandidateFrame], evaluation: dict[str, list[str]]
) -> tuple[list[CandidateFrame], list[str]]:
    """Return the candidates without twins, and the names of those; refuse frames of a test split.

    Args:
        candidates: Frames that could calibrate.
        evaluation: More splits, as hashes, beside those of the public data sets.

    Raises:
        InputError: a frame is a picture of an evaluation split.
    """
    public = public_test_splits()
    known = bits(list(public.twins))
    rest, twins = list[CandidateFrame](), list[str]()
    for c in candidates:
        if same_picture(c.picture_ways[0], known):
            twins.append(c.name)
        else:
            rest.append(c)
    ways = [list(c.picture_ways) for c in rest]
    for split, hashes in (public.splits | evaluation).items():
        table = bits(hashes)
        leaked = [c.name for c, way in zip(rest, ways, strict=True) if is_shown_in(way, table)]
        if leaked:
            raise InputError(
                f"{len(leaked)} of {len(candidates)} frames are of the evaluation split {split!r} "
                f"({', '.join(leaked[:3])}{', ...' if len(leaked) > 3 else ''}); scores on it "
                "would be worthless, so take them out"
            )
    return rest, twins


def without_validation(
    candidates: Sequence[CandidateFrame], validation: Sequence[Frame]
) -> list[CandidateFrame]:
    """Return the candidates without the pictures that validation keeps for itself."""
    table = bits([way for frame in validation for way in every_way(frame)])
    return [c for c in candidates if not same_picture(c.picture_ways[0], table)]


def refuse_calibration_frames(frames: Sequence[Annotated], calibration: CalibrationFile) -> None:
    """Raise InputError when the gate would judge on pictures that the ranges come from."""
    table = bits([frame.phash for frame in calibration.frames.values()])
    seen = [a.name for a in frames if is_shown_in(every_way(a.read()[0]), table)]
    if seen:
        raise InputError(
            f"{len(seen)} of {len(frames)} frames of the gate calibrated the ranges "
            f"({', '.join(seen[:3])}{', ...' if len(seen) > 3 else ''}); gate on others"
        )
