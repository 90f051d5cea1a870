"""Coloured masks in the layout of Pascal VOC, as CVAT exports them ("Segmentation mask 1.1").

JPEGImages/NAME.jpg             the images; CVAT adds them where it is asked to
SegmentationClass/NAME.png      the masks: each label has its colour
ImageSets/Segmentation/*.txt    the names of each split; CVAT's Train.txt, or default.txt of all
labelmap.txt                    a line for each label, `crack:250,50,83::`; without a colour it is
                                the one that Pascal VOC gives this line
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scnet_edge.config import read_text
from scnet_edge.data.masks import Truth
from scnet_edge.data.outlines import choose_categories
from scnet_edge.data.pictures import read_picture
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError, escape

BACKGROUND = "background"
VOID = 0xE0E0C0  # what VOC draws around objects: nobody knows


@dataclass(frozen=True, slots=True)
class ColouredSample(Sample):
    """An image whose mask has a colour for each label.

    Attributes:
        crack: The colours of crack, as 0xRRGGBB.
        known: Those of all labels.
    """

    crack: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset()

    def _draw(self) -> Truth:
        picture = read_picture(self.mask)
        rgb = np.asarray(picture.image.convert("RGB")).astype(np.int64)
        colours = rgb @ np.array([1 << 16, 1 << 8, 1])
        if strange := sorted(set(np.unique(colours).tolist()) - self.known - {VOID}):
            red, green, blue = strange[0].to_bytes(3, "big")
            raise InputError(
                f"{picture.where}: the colour {red},{green},{blue} is no label of labelmap.txt"
            )
        void = colours == VOID
        return Truth(np.isin(colours, list(self.crack)), void if void.any() else None)


def read_voc(root: Path, images: list[Path], categories: frozenset[str]) -> list[ColouredSample]:
    """Return images with their coloured masks.

    Args:
        root: The data set.
        images: Of it.
        categories: The labels that are crack; empty where there is but one.

    Raises:
        InputError: labelmap.txt is missing or damaged, or labels are to be chosen.
    """
    labels = _read_labels(root / "labelmap.txt")
    crack = choose_categories(root, labels.keys() - {BACKGROUND}, categories, "voc")
    colours = frozenset(labels[name] for name in crack)
    known = frozenset({0, *labels.values()})
    masks = root / "SegmentationClass"
    return [
        ColouredSample(image, masks / f"{image.stem}.png", crack=colours, known=known)
        for image in images
    ]


def read_splits(root: Path) -> dict[str, str]:
    """Return the split of each image that a list names: `train`, `val`, `valid` or `test`."""
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    parts = [path for path in lists if path.stem.lower() in ("train", "val", "valid", "test")]
    return {
        Path(name).name: path.stem.lower()
        for path in parts
        for name in read_text(path, InputError).splitlines()
        if name.strip()
    }


def _read_labels(path: Path) -> dict[str, int]:
    """Return the colour of each label, as 0xRRGGBB."""
    if not path.is_file():
        raise InputError(f"{escape(path)}: missing; CVAT writes it: label:R,G,B::")
    labels: dict[str, int] = {}
    for number, line in enumerate(read_text(path, InputError).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        stated = rest.partition(":")[0]
        try:
            red, green, blue = (
                bytes(map(int, stated.split(","))) if stated else _voc_colour(len(labels))
            )
        except ValueError as e:
            raise InputError(f"{escape(path)}, line {number}: expected label:R,G,B::") from e
        labels[name] = red << 16 | green << 8 | blue
    return labels


def _voc_colour(number: int) -> bytes:
    """Return the colour that Pascal VOC gives a label by its number: three bits of it at a time."""
    bits = [(number >> 3 * place & 7, 7 - place) for place in range(8)]
    return bytes(sum((low >> channel & 1) << high for low, high in bits) for channel in range(3))
