"""Crack data sets as lists of image and mask pairs.

deepcrack:DIR    Liu et al. 2019, the official 300/237 split
crackforest:DIR  Shi et al. 2016; crack is label 2 alone, 3 and 4 are enclosed background
masonry:DIR      Dais et al. 2021
metu:DIR         Ozgenel 2019, rgb/ and BW/; masks are JPEG
kolektorsdd2:DIR Bozic et al. 2021, train/ and test/ with NAME.png and NAME_GT.png
codebrim:DIR     Mundt et al. 2019, with masks of your own (none are public) in images/ and masks/
folder:DIR       DIR/images and DIR/masks, same stems (or NAME_mask, as MVTec has them), or images
                 with NAME_mask.png beside them (Roboflow); or either in DIR/train, valid and test
coco:FILE        a COCO file as CVAT, Label Studio, Roboflow and others write it; the images where
                 they put them. Of several categories name yours: coco:FILE?categories=crack,gap
labelme:DIR      labelme's NAME.json beside NAME.jpg; the same `?categories=`
yolo:DIR         Ultralytics YOLO with outlines, as Ultralytics and Roboflow lay it out; the same
                 `?categories=` with numbers
voc:DIR          coloured masks as CVAT exports them ("Segmentation mask"); the same `?categories=`
coarse:DIR       as folder, with masks that are ragged or displaced by a few pixels
negative:DIR     DIR/images, or DIR itself: images without any crack, and without masks
image-level:DIR  the same, but each image shows a crack somewhere; it is not known where

Masks are read as `data.masks` says. Sets without an official split keep a shuffled fifth of the
images for the test, always the same. Where there is no `test`, `valid` is; else it trains. What is
passed over is said once, in one line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl

import numpy as np

from scnet_edge.data.coco import read_coco
from scnet_edge.data.labelme import read_labelme
from scnet_edge.data.picture_files import find_pictures
from scnet_edge.data.samples import Sample
from scnet_edge.data.voc import read_splits, read_voc
from scnet_edge.data.yolo import VALIDATION, read_yolo, yolo_parts
from scnet_edge.errors import InputError, escape

Split = Literal["train", "test", "all"]
Layout: TypeAlias = Callable[[Path, Split], list[Sample]]
Outlines: TypeAlias = Callable[[Path, frozenset[str], Split], list[Sample]]
HOLDOUT, HOLDOUT_SEED = 5, 0  # without a split of its own a shuffled fifth of a set is test
MOST_NAMED = 5
_EXPECTED = "; expected images/ and masks/ in it, with the same names"

logger = logging.getLogger(__name__)


def open_dataset(spec: str, split: Split = "test") -> list[Sample]:
    """Return the samples of `NAME:DIR`, sorted by name.

    Raises:
        InputError: the name is unknown, the folder is missing or empty, an image has no mask, or
            too few are there for a test split.
    """
    name, _, place = spec.partition(":")
    if name not in {**LAYOUTS, **OUTLINES} or not place:
        known = ", ".join({**LAYOUTS, **OUTLINES})
        raise InputError(f"data set {escape(spec)!r}: expected NAME:DIR with NAME one of {known}")
    root, categories = _root(place) if name in OUTLINES else (Path(place), frozenset[str]())
    kind = "file" if name == "coco" else "folder"
    if not (root.is_file() if name == "coco" else root.is_dir()):
        raise InputError(f"data set {escape(spec)!r}: no such {kind} {escape(root)}")
    if name in OUTLINES:
        samples = OUTLINES[name](root, categories, split)
    else:
        samples = LAYOUTS[name](root, split)
    if not samples:
        raise InputError(
            f"data set {escape(spec)!r}: no images for split {split!r} in {escape(root)}"
            f"{_EXPECTED if name in ('folder', 'coarse') else ''}"
        )
    for sample in samples:
        if not sample.mask.is_file():
            raise InputError(f"{escape(sample.image)}: no mask, expected {escape(sample.mask)}")
    return samples


def _root(place: str) -> tuple[Path, frozenset[str]]:
    """Return the file or folder of `FILE?categories=a,b`, and the categories."""
    path, mark, query = place.rpartition("?")
    if not mark or Path(place).exists():
        return Path(place), frozenset()
    options = dict(parse_qsl(query, keep_blank_values=True))
    if options.keys() != {"categories"} or not options["categories"]:
        raise InputError(f"data set {place!r}: expected ?categories=NAME,NAME after the file")
    return Path(path), frozenset(options["categories"].split(","))


def _images(folder: Path) -> list[Path]:
    """Return the pictures in a folder, if it is one, and say once what else lies there."""
    if not folder.is_dir():
        return []
    files = find_pictures(folder)
    here = [path for path in files.pictures if path.parent == folder]
    below = [path for path in files.pictures if path.parent != folder]
    if line := files.describe_left_out():
        _say(f"{escape(folder)}: {line}")
    if below:
        _say(f"{escape(folder)}: {len(below)} pictures in subfolders passed over: {_some(below)}")
    return here


def _some(paths: list[Path]) -> str:
    names = [escape(path.name) for path in paths[:MOST_NAMED]]
    return ", ".join([*names, *(["..."] if len(paths) > MOST_NAMED else [])])


@cache  # once, however often a data set is opened
def _say(line: str) -> None:
    logger.warning("%s", line)


def _deepcrack(root: Path, split: Split) -> list[Sample]:
    parts = ["train", "test"] if split == "all" else [split]
    return [
        Sample(image, root / f"{part}_lab" / f"{image.stem}.png")
        for part in parts
        for image in _images(root / f"{part}_img")
    ]


def _crackforest(root: Path, split: Split) -> list[Sample]:
    pairs = [Sample(i, root / "groundTruth" / f"{i.stem}.mat") for i in _images(root / "image")]
    return _hold_out(pairs, split)


def _masonry(root: Path, split: Split) -> list[Sample]:
    return _hold_out(_with_masks(root), split)


def _metu(root: Path, split: Split) -> list[Sample]:
    pairs = [Sample(i, root / "BW" / i.name) for i in _images(root / "rgb")]
    return _hold_out(pairs, split)


def _kolektorsdd2(root: Path, split: Split) -> list[Sample]:
    parts = ["train", "test"] if split == "all" else [split]
    return [
        Sample(image, image.with_name(f"{image.stem}_GT{image.suffix}"))
        for part in parts
        for image in _images(root / part)
        if not image.stem.endswith("_GT")
    ]


def _folder(root: Path, split: Split) -> list[Sample]:
    parts = {name: _with_masks(root / name) for name in ("train", *VALIDATION, "test")}
    parts = {name: samples for name, samples in parts.items() if samples}
    return _choose(parts or {"": _with_masks(root)}, split)


def _choose(parts: dict[str, list[Sample]], split: Split) -> list[Sample]:
    """Return the samples of a split, given those of each part as it is called; "" is no split."""
    if "" in parts:
        return _hold_out(parts[""], split)
    test = next((name for name in ("test", *VALIDATION) if name in parts), None)
    return [
        sample
        for name, samples in parts.items()
        if split == "all" or (name == test) == (split == "test")
        for sample in samples
    ]


def _coco(path: Path, categories: frozenset[str], split: Split) -> list[Sample]:
    return _hold_out(list(read_coco(path, categories)), split)


def _labelme(root: Path, categories: frozenset[str], split: Split) -> list[Sample]:
    return _hold_out(list(read_labelme(root, categories)), split)


def _yolo(root: Path, categories: frozenset[str], split: Split) -> list[Sample]:
    images = [
        (part, image, labels / f"{image.stem}.txt")
        for part, (folder, labels) in yolo_parts(root).items()
        for image in _images(folder)
    ]
    samples = read_yolo(root, [(image, labels) for _, image, labels in images], categories)
    parts: dict[str, list[Sample]] = {part: [] for part, _, _ in images}
    for (part, _, _), sample in zip(images, samples, strict=True):
        parts[part].append(sample)
    return _choose(parts, split)


def _voc(root: Path, categories: frozenset[str], split: Split) -> list[Sample]:
    samples = read_voc(root, _images(root / "JPEGImages"), categories)
    splits = read_splits(root)
    parts: dict[str, list[Sample]] = {}
    for sample in samples:
        parts.setdefault(splits.get(sample.image.stem, ""), []).append(sample)
    if len(parts) > 1 and "" in parts:
        unlisted = [sample.image for sample in parts[""]]
        raise InputError(
            f"{escape(root)}: {len(unlisted)} images are in no list of ImageSets/Segmentation: "
            f"{_some(unlisted)}; add them, or remove the lists"
        )
    return _choose(parts, split)


def _coarse(root: Path, split: Split) -> list[Sample]:
    return [replace(sample, role="coarse") for sample in _folder(root, split)]


def _negative(root: Path, split: Split) -> list[Sample]:
    return _hold_out([Sample(i, i, "negative") for i in _bare(root)], split)


def _image_level(root: Path, split: Split) -> list[Sample]:
    return _hold_out([Sample(i, i, "image-level") for i in _bare(root)], split)


def _bare(root: Path) -> list[Path]:
    return _images(root / "images" if (root / "images").is_dir() else root)


def _with_masks(root: Path) -> list[Sample]:
    if not (root / "images").is_dir():
        return _beside(root)
    images = _images(root / "images")
    stems = {path.stem for path in images}
    masks = {
        path.stem if path.stem in stems else path.stem.removesuffix("_mask"): path
        for path in _images(root / "masks")
    }
    if alone := [path for stem, path in masks.items() if stem not in stems]:
        _say(f"{escape(root / 'masks')}: {len(alone)} masks without an image: {_some(alone)}")
    return [Sample(i, masks.get(i.stem, root / "masks" / f"{i.stem}.png")) for i in images]


def _beside(root: Path) -> list[Sample]:
    """Return the images that have NAME_mask.png beside them, where there is any."""
    pictures = _images(root) if any(root.glob("*_mask.png")) else []
    masks = {path.stem: path for path in pictures if path.stem.endswith("_mask")}
    images = [path for path in pictures if path.stem not in masks]
    return [Sample(i, masks.get(f"{i.stem}_mask", root / f"{i.stem}_mask.png")) for i in images]


def _hold_out(samples: list[Sample], split: Split) -> list[Sample]:
    """Split off every shuffled fifth sample, the same ones each time.

    They are counted by plain name, "10" before "2", however they are listed: what was published
    and what was trained on is of that split.
    """
    if split == "all" or not samples:
        return samples
    if split == "test" and len(samples) < HOLDOUT:
        raise InputError(
            f"{escape(samples[0].image.parent)}: expected at least {HOLDOUT} images, a fifth of "
            f"which is the test split, found {len(samples)}; add some, or evaluate --split all"
        )
    order = np.random.default_rng(HOLDOUT_SEED).permutation(len(samples))
    by_name = sorted(range(len(samples)), key=lambda i: samples[i].image)
    test = {by_name[i] for i in order[: len(samples) // HOLDOUT]}
    return [s for i, s in enumerate(samples) if (i in test) == (split == "test")]


LAYOUTS: dict[str, Layout] = {
    "deepcrack": _deepcrack,
    "crackforest": _crackforest,
    "masonry": _masonry,
    "metu": _metu,
    "kolektorsdd2": _kolektorsdd2,
    "codebrim": _masonry,
    "folder": _folder,
    "coarse": _coarse,
    "negative": _negative,
    "image-level": _image_level,
}
OUTLINES: dict[str, Outlines] = {"coco": _coco, "labelme": _labelme, "yolo": _yolo, "voc": _voc}
