"""Single pictures of pipe walls, each of another wall, and where its cracks are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scnet_edge.simulation.clip import MARGIN_PX
from scnet_edge.simulation.cracks import truth_mask
from scnet_edge.simulation.pipe import JOINT_PX, make_section
from scnet_edge.simulation.side_camera import Pose, expose, look, ring_light
from scnet_edge.types import Frame, Mask

GAIN, DIM_GAIN = 1.15, 0.45  # the exposure of a clip, and that of a lamp too weak
CRACKS = (1, 2, 3)


def render_stills(
    count: int, size_hw: tuple[int, int], *, seed: int
) -> Iterator[tuple[Frame, Mask]]:
    """Yield `count` walls with one to three cracks each, every third of them underexposed.

    A frame is (h, w, 3) uint8 BGR, its mask (h, w) bool. The seed fixes every byte.
    """
    h, w = size_hw
    light = ring_light(size_hw)
    for i, rng in enumerate(np.random.default_rng(seed).spawn(count)):
        size = (h + 2 * MARGIN_PX, w + 2 * MARGIN_PX + 2 * JOINT_PX)
        waterline = rng.uniform(0.62, 0.85)
        section = make_section(rng, size, cracks=CRACKS[i % len(CRACKS)], waterline=waterline)
        pose = Pose(
            x_px=MARGIN_PX + rng.uniform(1, 2) * JOINT_PX,
            y_px=float(MARGIN_PX),
            roll_rad=rng.normal(0, 0.006),
        )
        view, coverage = look(section.wall, pose, size_hw), look(section.coverage, pose, size_hw)
        gain = GAIN if i % 3 else DIM_GAIN
        frame = expose(view, light, gain=gain, smear_px=rng.uniform(0, 2), rng=rng)
        yield frame, truth_mask(coverage)
