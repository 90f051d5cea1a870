"""Draw docs/predictions.jpg: drawn pipe walls, what is known, what a model gets right and wrong.

    python scripts/make_panels.py scnet-small docs/predictions.jpg

Drawn walls, for pictures of the data sets may not be published here. For real images:
`scnet-edge evaluate MODEL --data deepcrack:DIR --plots FOLDER`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.data.datasets import open_dataset
from scnet_edge.evaluation import plots
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.evaluation.scores import tally
from scnet_edge.models.cards import find_card
from scnet_edge.models.weights import open_scnet
from scnet_edge.simulation.clip import render_clip

SEED, WALLS, FRAMES, SIZE_HW = 500, 12, 3, (384, 544)  # none of them trains or is the sample clip
WIDTH_PX = 1000


def draw_walls(folder: Path) -> None:
    """Write the frames and masks of a few walls as a data set."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for wall in range(WALLS):
        for i, (frame, mask) in enumerate(render_clip(FRAMES, SIZE_HW, seed=SEED + wall)):
            cv2.imwrite(str(folder / "images" / f"{wall:02}-{i}.png"), frame)
            cv2.imwrite(str(folder / "masks" / f"{wall:02}-{i}.png"), mask.astype(np.uint8) * 255)


def main(model: str, out: str) -> None:
    card = find_card(model)
    run = reference_run(open_scnet(card), None)
    with tempfile.TemporaryDirectory() as temporary:
        draw_walls(Path(temporary))
        samples = {sample.name: sample for sample in open_dataset(f"folder:{temporary}", "all")}
        counted = tally(predictions(run, samples.values()), decision=card.decision)
        rows = []
        for kind in ("good", "thin", "failed"):
            for name in plots.pick_images(counted)[kind][:2]:
                frame = samples[name].read_frame()
                mask = card.decision.mask_of(run(frame))
                rows.append(add_title(kind, plots.panel(frame, mask, samples[name].read_mask())))
    sheet = np.concatenate(rows)
    scale = WIDTH_PX / sheet.shape[1]
    small = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(out, small, [cv2.IMWRITE_JPEG_QUALITY, 85])


def add_title(kind: str, picture: np.ndarray) -> np.ndarray:
    """Return a panel with its kind in the corner and a white line below."""
    cv2.putText(picture, kind, (8, 30), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 6)
    cv2.putText(picture, kind, (8, 30), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2)
    line = np.full((plots.GAP_PX, picture.shape[1], 3), 255, np.uint8)
    return np.concatenate([picture, line])


if __name__ == "__main__":
    main(*sys.argv[1:])
