"""The contact sheet: every calibration frame at a glance, with what it was chosen for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.files import write_image
from scnet_edge.quantization.frame_candidates import CandidateFrame
from scnet_edge.types import Frame

COLUMNS, TILE_WIDTH_PX, CAPTION_PX, GAP_PX = 8, 200, 46, 6
PAPER, INK, FAINT = (250, 250, 250), (30, 30, 30), (110, 110, 110)


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
    edges = ((GAP_PX, GAP_PX), (GAP_PX, GAP_PX), (0, 0))
    framed = [np.pad(tile[..., c], edges[:2], constant_values=PAPER[c]) for c in range(3)]
    return np.stack(framed, -1)
