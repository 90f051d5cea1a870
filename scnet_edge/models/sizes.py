"""Sizes that a network can run at; read without torch."""

from __future__ import annotations

from scnet_edge.errors import ModelError

SizeHW = tuple[int, int]


def check_size(size_hw: SizeHW, stride: int) -> None:
    """Raise ModelError unless both sides are positive multiples of `stride`."""
    h, w = size_hw
    if min(h, w) <= 0 or h % stride or w % stride:
        fit = f"{max(1, -(-h // stride)) * stride}x{max(1, -(-w // stride)) * stride}"
        raise ModelError(
            f"size {h}x{w}: height and width must be multiples of {stride} for this model; "
            f"the next that fits is {fit}"
        )
