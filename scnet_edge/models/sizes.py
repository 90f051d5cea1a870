"""Sizes: those that a network can run at, and a crack patch (paper, Section V-C); without torch."""

from __future__ import annotations

from scnet_edge.errors import ModelError

SizeHW = tuple[int, int]
PATCH_PX = 32
CRACKED_SHARE = 0.05  # of its pixels; a patch with fewer is not a crack patch


def fit_size(size_hw: SizeHW, stride: int) -> SizeHW:
    """Return the smallest positive multiples of `stride` that are no less than a size."""
    h, w = size_hw
    return max(1, -(-h // stride)) * stride, max(1, -(-w // stride)) * stride


def check_size(size_hw: SizeHW, stride: int) -> None:
    """Raise ModelError unless both sides are positive multiples of `stride`."""
    h, w = size_hw
    if min(h, w) <= 0 or h % stride or w % stride:
        fit = "x".join(map(str, fit_size(size_hw, stride)))
        raise ModelError(
            f"size {h}x{w}: height and width must be multiples of {stride} for this model; "
            f"the next that fits is {fit}"
        )
