"""The annotated images that F1 is of: the same for every case, and named in the result."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from scnet_edge.data.samples import Sample


class Scored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What F1 is of.

    Attributes:
        data: Data set and split.
        sha256: Of the hashes of these images and masks, in their order.
    """

    data: str
    images: int
    sha256: str


def choose_samples(data: str, images: int) -> list[Sample]:
    """Return annotated images of `NAME:DIR`, evenly spaced; all where `images` is 0.

    Raises:
        InputError: there is no such data set.
    """
    import numpy as np

    from scnet_edge.data.datasets import open_dataset

    samples = open_dataset(data, "test")
    if not images:
        return samples
    places = np.linspace(0, len(samples) - 1, min(images, len(samples))).round().astype(int)
    return [samples[i] for i in dict.fromkeys(places.tolist())]


def identify_images(data: str, images: int) -> Scored:
    """Return what identifies the images that `choose_samples` gives.

    Raises:
        InputError: there is no such data set, a mask is unreadable, or no pixel or every pixel is
            crack, on which F1 says nothing.
    """
    from scnet_edge.data.masks import check_classes
    from scnet_edge.folders import file_sha256

    samples = choose_samples(data, images)
    truths = [sample.read_truth() for sample in samples]
    known = sum(t.crack.size - (0 if t.ignored is None else int(t.ignored.sum())) for t in truths)
    check_classes(sum(int(t.crack.sum()) for t in truths), known, len(truths))
    digest = hashlib.sha256()
    for sample in samples:
        for path in (sample.image, sample.mask):
            digest.update(bytes.fromhex(file_sha256(path)))
    return Scored(
        data=f"{data.partition(':')[0]} test", images=len(samples), sha256=digest.hexdigest()
    )
