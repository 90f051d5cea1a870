"""Render the sample clip and its truth: samples/pipe.mp4 and samples/pipe_truth.npz.

python scripts/make_clip.py
"""

from __future__ import annotations

from pathlib import Path

import cv2

from scnet_edge.simulation.clip import render_clip, write_truth

SEED, FRAMES, SIZE_HW, FPS = 26, 48, (384, 544), 12
SAMPLES = Path(__file__).parents[1] / "samples"


def main() -> None:
    h, w = SIZE_HW
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(SAMPLES / "pipe.mp4"), codec, FPS, (w, h))
    masks = []
    for frame, mask in render_clip(FRAMES, SIZE_HW, seed=SEED):
        video.write(frame)
        masks.append(mask)
    video.release()
    write_truth(SAMPLES / "pipe_truth.npz", masks)


if __name__ == "__main__":
    main()
