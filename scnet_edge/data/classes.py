"""Whether masks tell crack from background: with one of the two alone every score is perfect."""

from __future__ import annotations

import logging

from scnet_edge.errors import InputError

MOST_CRACK = 0.5  # of all pixels; data sets of cracks have a few hundredths

logger = logging.getLogger(__name__)


def check_classes(crack: int, pixels: int, images: int) -> None:
    """Refuse masks of one class, and warn of those that seem inverted.

    Args:
        crack: Crack pixels of all masks.
        pixels: All pixels of them.
        images: How many masks there are.

    Raises:
        InputError: no pixel is crack, or every one is.
    """
    if not crack:
        raise InputError(
            f"expected cracks in the masks of {images} images, found none; crack is white, "
            "and images without any are negative:DIR"
        )
    if crack == pixels:
        raise InputError(
            f"expected background in the masks of {images} images, found crack in every pixel; "
            "crack is white, so invert them if they are inverted"
        )
    if crack > MOST_CRACK * pixels:
        logger.warning(
            "the masks of %d images call %.0f %% of the pixels crack; crack is white, so they may "
            "be inverted",
            images,
            100 * crack / pixels,
        )
