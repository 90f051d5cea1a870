"""Whether masks tell crack from background: with one of the two alone every score is perfect."""

from __future__ import annotations

from scnet_edge.errors import InputError

MOST_CRACK = 0.5  # of all pixels; data sets of cracks have a few hundredths


def check_classes(crack: int, pixels: int, images: int) -> None:
    """Refuse masks of one class, and those that are inverted.

    Args:
        crack: Crack pixels of all masks.
        pixels: All pixels of them that are known.
        images: How many masks there are.

    Raises:
        InputError: no pixel is crack, or more than half of them.
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
        raise InputError(
            f"{100 * crack / pixels:.0f} % of the pixels of {images} images are crack, so their "
            "masks are inverted; crack is white: invert them"
        )
