"""How rare cracks are in a data set (Table II): whole images, and crops as training draws them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from scnet_edge.data.augment import Augmentation, training_crop
from scnet_edge.data.masks import check_classes
from scnet_edge.data.samples import Sample

CROPS_PER_IMAGE = 4


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """One row of Table II; percentages of pixels.

    Attributes:
        cracked: Images that show a crack.
        sizes: `HxW` -> images of that size.
        crack_percent: Over all whole images, without what is ignored.
        ignored_percent: What masks say that nobody knows, and what neither trains nor counts.
        crop_crack_percent: Over random crops that show a crack, as the paper seems to count.
    """

    images: int
    cracked: int
    sizes: dict[str, int]
    crack_percent: float
    background_percent: float
    ignored_percent: float = 0.0
    crop_crack_percent: float


def count_samples(
    samples: Sequence[Sample], *, how: Augmentation, one_class: bool = False
) -> Statistics:
    """Return what a data set is made of.

    Of images that show a crack somewhere, without a mask, all are cracked and no pixel is counted.

    Args:
        samples: Of any split.
        how: Crops are drawn; the paper's augmentation for Table II.
        one_class: Masks without any crack are right, as in a set of a corpus.

    Raises:
        InputError: no mask shows a crack and some should, masks are inverted, or a file is
            unreadable or misfits.
    """
    rng = np.random.default_rng(0)
    sizes: dict[str, int] = {}
    pixels = crack = cracked = ignored = 0
    crops: list[float] = []
    for sample in samples:
        if sample.role == "image-level":
            size = "x".join(map(str, sample.read_frame().shape[:2]))
            sizes[size], cracked = sizes.get(size, 0) + 1, cracked + 1
            continue
        frame, (mask, unknown) = sample.read_pair()
        size = "x".join(map(str, mask.shape))
        sizes[size] = sizes.get(size, 0) + 1
        ignored += 0 if unknown is None else int(unknown.sum())
        pixels, crack, cracked = (
            pixels + mask.size,
            crack + int(mask.sum()),
            cracked + int(mask.any()),
        )
        shares = [
            training_crop(frame, mask, None, how, rng).mask.mean() for _ in range(CROPS_PER_IMAGE)
        ]
        crops += [float(share) for share in shares if share]
    known = pixels - ignored
    if not one_class and any(sample.role in ("crack", "coarse") for sample in samples):
        check_classes(crack, known, len(samples))
    percent = 100 * crack / known if known else 0.0
    return Statistics(
        images=len(samples),
        cracked=cracked,
        sizes=sizes,
        crack_percent=percent,
        background_percent=100 - percent,
        ignored_percent=100 * ignored / pixels if pixels else 0.0,
        crop_crack_percent=100 * float(np.mean(crops)) if crops else 0.0,
    )
