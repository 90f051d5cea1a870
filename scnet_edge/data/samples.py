"""One annotated image: its frame, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from scnet_edge.data.masks import Truth, read_mask
from scnet_edge.data.pictures import read_image, read_size, turn
from scnet_edge.errors import InputError, escape, install_extra
from scnet_edge.types import Frame, Map, Mask

Role = Literal["crack", "coarse", "negative", "image-level"]
MOST_CRACK = 0.75  # of a mask; what has more is inverted. The widest in public sets has 0.24
RING_PX = 9  # beside a crack, how dark it is compared with
CLEARLY_DARKER = 4.0  # grey levels


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated image.

    Attributes:
        role: What is known of it: exact or coarse masks, that it has no crack, or that it has one
            somewhere; the latter two have no mask file, and `mask` is the image.
    """

    image: Path
    mask: Path
    role: Role = "crack"

    @property
    def name(self) -> str:
        """The file name without its ending, as it is shown."""
        return escape(self.image.stem)

    def read_frame(self) -> Frame:
        """Return the image as (H, W, 3) uint8, BGR, upright."""
        return read_image(self.image)

    def read_mask(self) -> Mask:
        """Return (H, W) bool, True on cracks; raises as `read_truth`."""
        return self.read_truth().crack

    def read_truth(self) -> Truth:
        """Return what is known of the image, of its size.

        Raises:
            InputError: the mask is unreadable or no mask, inverted, of another size than its
                image, or not turned as its image is; or nobody knows where the crack is.
        """
        if self.role == "negative":
            return Truth(np.zeros(read_size(self.image)[0], np.bool_))
        if self.role == "image-level":
            raise InputError(
                f"{escape(self.image)}: shows a crack somewhere, but has no mask; leave it out of "
                "what needs masks"
            )
        truth = self._draw()
        size_hw, orientation = read_size(self.image)
        _check_size(self, truth, size_hw, orientation)
        known = truth.crack.size - (0 if truth.ignored is None else int(truth.ignored.sum()))
        crack = int(truth.crack.sum())
        if crack > MOST_CRACK * known:
            raise InputError(
                f"{self.mask_label()}: {100 * crack / known:.0f} % of it is crack, so it looks "
                "inverted; crack is white: invert the masks"
            )
        if orientation > 1 and crack:
            _check_turned(self, truth.crack, orientation)
        return truth

    def read_pair(self) -> tuple[Frame, Truth]:
        """Return the image and what is known of it; raises as `read_frame` and `read_truth`."""
        return self.read_frame(), self.read_truth()

    def _draw(self) -> Truth:
        if self.mask.suffix == ".mat":
            return Truth(_crackforest_mask(self.mask))
        return read_mask(self.mask)

    def mask_label(self) -> str:
        """Return what messages call the mask."""
        return escape(self.mask)


def _check_size(sample: Sample, truth: Truth, size_hw: tuple[int, int], orientation: int) -> None:
    """Refuse a mask of another size than its image."""
    found = truth.crack.shape
    if found == size_hw:
        return
    remedy = "replace one of them"
    if orientation > 4 and found == size_hw[::-1]:
        remedy = (
            f"the image is turned by its EXIF orientation {orientation}, the mask is not; turn the "
            "mask, too, or save both upright"
        )
    raise InputError(
        f"{escape(sample.image)}: expected the size of its mask {sample.mask_label()}, "
        f"{found[1]}x{found[0]} px, found {size_hw[1]}x{size_hw[0]} px; {remedy}"
    )


def _check_turned(sample: Sample, crack: Mask, orientation: int) -> None:
    """Refuse a mask that may have been drawn before its image was turned.

    Where their sizes do not tell, the picture does: a crack is darker than the wall beside it.
    """
    grey = cv2.cvtColor(sample.read_frame(), cv2.COLOR_BGR2GRAY).astype(np.float32)
    as_stored = np.ascontiguousarray(turn(crack, orientation))
    if as_stored.shape != crack.shape or np.array_equal(as_stored, crack):
        return
    upright, stored = _darkness(grey, crack), _darkness(grey, as_stored)
    if upright < stored + CLEARLY_DARKER:
        raise InputError(
            f"{escape(sample.image)}: turned by its EXIF orientation {orientation}, but its mask "
            f"{sample.mask_label()} seems not to be; save both upright, without that orientation"
        )


def _darkness(grey: Map, crack: Mask) -> float:
    """Return how much darker a crack is than what lies beside it, in grey levels."""
    kernel = np.ones((RING_PX, RING_PX), np.uint8)
    ring = (cv2.dilate(crack.astype(np.uint8), kernel) > 0) & ~crack
    return float(grey[ring].mean() - grey[crack].mean()) if ring.any() else 0.0


def _crackforest_mask(path: Path) -> Mask:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as e:
        raise InputError(f"{path}: needs scipy; {install_extra('train')}") from e

    try:
        truth = loadmat(str(path))["groundTruth"][0, 0]["Segmentation"]
    except (MatReadError, LookupError, TypeError, ValueError, OSError) as e:
        raise InputError(
            f"{path}: expected a MATLAB file with groundTruth.Segmentation, found another ({e})"
        ) from e
    return np.asarray(truth == 2)
