"""Short films of a drive past drawn cracks, whose place is known."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

SIZE_HW = (64, 96)
FPS, STEP_PX = 10, 8
CRACKS_X = (110, 230)


def film(path: bytes | Path, *, frames: int = 30, suffix: str = ".avi") -> bytes:
    """Write a film of two cracks that pass from right to left; the path may be any bytes."""
    wall = np.full((SIZE_HW[0], SIZE_HW[1] + frames * STEP_PX), 200, np.uint8)
    for x in CRACKS_X:
        cv2.line(wall, (x, 20), (x + 60, 40), 20, 4)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / f"film{suffix}"
        writer = cv2.VideoWriter(
            str(plain), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), FPS, SIZE_HW[::-1]
        )
        for i in range(frames):
            view = wall[:, i * STEP_PX : i * STEP_PX + SIZE_HW[1]]
            writer.write(cv2.cvtColor(view, cv2.COLOR_GRAY2BGR))
        writer.release()
        data = plain.read_bytes()
    with open(path, "wb") as f:  # noqa: PTH123
        f.write(data)
    return os.fsencode(path)
