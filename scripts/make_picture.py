"""Draw docs/demo.jpg, the picture of the README, from a bundle and the sample clip.

python scripts/make_picture.py demo/bundle docs/demo.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from scnet_edge import Pipeline
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.runtime.sources import open_source
from scnet_edge.simulation.clip import read_truth

FRAMES = (4, 20, 44)
GAP_PX = 4


def main(bundle: str, out: str) -> None:
    truth = list(read_truth(Path("samples/pipe_truth.npz")))
    columns = []
    with Pipeline.open(bundle) as pipeline, open_source("samples/pipe.mp4") as source:
        for index, frame in enumerate(captured.frame for captured in source):
            if index in FRAMES:
                rows = (
                    frame,
                    draw_overlay(frame, pipeline(frame).mask),
                    known(frame, truth[index]),
                )
                columns.append(joined(rows, axis=0))
    picture = joined(columns, axis=1)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(out, picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


def known(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the frame, dimmed, with the known crack in white."""
    return np.where(mask[..., None], np.uint8(255), frame // 3)


def joined(images: object, *, axis: int) -> np.ndarray:
    """Return images side by side (axis 1) or stacked (axis 0), with white between."""
    first, *rest = images  # type: ignore[misc]
    shape = (GAP_PX, first.shape[1], 3) if axis == 0 else (first.shape[0], GAP_PX, 3)
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([first, *(part for image in rest for part in (gap, image))], axis)


if __name__ == "__main__":
    main(*sys.argv[1:])
