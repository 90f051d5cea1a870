"""Crack data sets as lists of image and mask pairs.

deepcrack:DIR    Liu et al. 2019, the official 300/237 split
crackforest:DIR  Shi et al. 2016; crack is label 2 alone, 3 and 4 are enclosed background
masonry:DIR      Dais et al. 2021
metu:DIR         Ozgenel 2019, rgb/ and BW/; masks are JPEG
kolektorsdd2:DIR Bozic et al. 2021, train/ and test/ with NAME.png and NAME_GT.png
codebrim:DIR     Mundt et al. 2019, with masks of your own (none are public) in images/ and masks/
folder:DIR       DIR/images and DIR/masks, same stems, or these two in DIR/train and DIR/test;
                 crack is above 127
coco:FILE        a COCO file, images beside it or in images/; every annotation is crack
coarse:DIR       as folder, with masks that are ragged or displaced by a few pixels
negative:DIR     DIR/images, or DIR itself: images without any crack, and without masks
image-level:DIR  the same, but each image shows a crack somewhere; it is not known where

Sets without an official split keep a shuffled fifth of the images for the test, always the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError

Split = Literal["train", "test", "all"]
Role = Literal["crack", "coarse", "negative", "image-level"]
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
HOLDOUT, HOLDOUT_SEED = 5, 0  # without a split of its own a shuffled fifth of a set is test


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
        """The file name without its ending."""
        return self.image.stem

    def read_frame(self) -> npt.NDArray[np.uint8]:
        """Return the image as (H, W, 3) uint8, BGR."""
        return read_image(self.image)

    def read_mask(self) -> npt.NDArray[np.bool_]:
        """Return (H, W) bool, True on cracks.

        Raises:
            InputError: it is unreadable or no mask, or nobody knows where the crack is.
        """
        if self.role == "negative":
            return np.zeros(self.read_frame().shape[:2], np.bool_)
        if self.role == "image-level":
            raise InputError(
                f"{self.image}: shows a crack somewhere, but has no mask; leave it out of what "
                "needs masks"
            )
        if self.mask.suffix == ".mat":
            return _crackforest_mask(self.mask)
        mask = cv2.imread(str(self.mask), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise InputError(
                f"{self.mask}: expected a mask image, found something unreadable; replace it"
            )
        _check_binary(np.asarray(mask), self.mask)
        return np.asarray(mask) > 127

    def read_pair(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Return the image and the mask, as `read_frame` and `read_mask` do.

        Raises:
            InputError: one of them is unreadable, or the mask is of another size.
        """
        frame, mask = self.read_frame(), self.read_mask()
        if mask.shape != frame.shape[:2]:
            raise InputError(
                f"{self.mask}: expected size {frame.shape[:2]}, that of its image, found "
                f"{mask.shape}; replace it"
            )
        return frame, mask


def _check_binary(mask: npt.NDArray[np.uint8], path: Path) -> None:
    """Refuse what a threshold at 127 would misread: label numbers, photos, soft maps."""
    top = int(mask.max())
    if 0 < top <= 127:
        raise InputError(
            f"{path}: expected 0 and 255, found nothing above {top}, which would be no crack at "
            "all; write 255 where crack is"
        )
    grey, light = int(((mask > 32) & (mask < 224)).sum()), int((mask >= 224).sum())
    if grey > max(light, mask.size // 100):
        raise InputError(
            f"{path}: expected a mask of 0 and 255, found mostly grey; it looks like a photo or a "
            "probability"
        )


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8, BGR.

    Raises:
        InputError: it is missing or no image.
    """
    frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if frame is None:
        raise InputError(
            f"{path}: expected an image, found something unreadable; replace or remove it"
        )
    return np.asarray(frame, np.uint8)


def _crackforest_mask(path: Path) -> npt.NDArray[np.bool_]:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as e:
        raise InputError(f"{path}: needs scipy; pip install 'scnet-edge[train]'") from e

    try:
        truth = loadmat(str(path))["groundTruth"][0, 0]["Segmentation"]
    except (MatReadError, LookupError, TypeError, ValueError, OSError) as e:
        raise InputError(
            f"{path}: expected a MATLAB file with groundTruth.Segmentation, found another ({e})"
        ) from e
    return np.asarray(truth == 2)


def open_dataset(spec: str, split: Split = "test") -> list[Sample]:
    """Return the samples of `NAME:DIR`, sorted by name.

    Raises:
        InputError: the name is unknown, the folder is missing or empty, an image has no mask, or
            too few are there for a test split.
    """
    name, _, folder = spec.partition(":")
    layouts = {
        "deepcrack": _deepcrack,
        "crackforest": _crackforest,
        "masonry": _masonry,
        "metu": _metu,
        "kolektorsdd2": _kolektorsdd2,
        "codebrim": _masonry,
        "folder": _folder,
        "coco": _coco,
        "coarse": _coarse,
        "negative": _negative,
        "image-level": _image_level,
    }
    if name not in layouts or not folder:
        raise InputError(
            f"data set {spec!r}: expected NAME:DIR with NAME one of {', '.join(layouts)}"
        )
    root = Path(folder)
    kind = "file" if name == "coco" else "folder"
    if not (root.is_file() if name == "coco" else root.is_dir()):
        raise InputError(f"data set {spec!r}: no such {kind} {root}")
    samples = layouts[name](root, split)
    if not samples:
        raise InputError(f"data set {spec!r}: no images for split {split!r} in {root}")
    for sample in samples:
        if not sample.mask.is_file():
            raise InputError(f"{sample.image}: no mask, expected {sample.mask}")
    return samples


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGES)


def _deepcrack(root: Path, split: Split) -> list[Sample]:
    parts = ["train", "test"] if split == "all" else [split]
    return [
        Sample(image, root / f"{part}_lab" / f"{image.stem}.png")
        for part in parts
        for image in _images(root / f"{part}_img")
    ]


def _crackforest(root: Path, split: Split) -> list[Sample]:
    pairs = [Sample(i, root / "groundTruth" / f"{i.stem}.mat") for i in _images(root / "image")]
    return _held_out(pairs, split)


def _masonry(root: Path, split: Split) -> list[Sample]:
    return _held_out(_with_masks(root), split)


def _metu(root: Path, split: Split) -> list[Sample]:
    pairs = [Sample(i, root / "BW" / i.name) for i in _images(root / "rgb")]
    return _held_out(pairs, split)


def _kolektorsdd2(root: Path, split: Split) -> list[Sample]:
    parts = ["train", "test"] if split == "all" else [split]
    return [
        Sample(image, image.with_name(f"{image.stem}_GT{image.suffix}"))
        for part in parts
        for image in _images(root / part)
        if not image.stem.endswith("_GT")
    ]


def _folder(root: Path, split: Split) -> list[Sample]:
    parts = [p for p in ("train", "test") if (root / p / "images").is_dir()]
    if not parts:
        return _held_out(_with_masks(root), split)
    return [s for p in parts if split in ("all", p) for s in _with_masks(root / p)]


def _coarse(root: Path, split: Split) -> list[Sample]:
    return [replace(sample, role="coarse") for sample in _folder(root, split)]


def _negative(root: Path, split: Split) -> list[Sample]:
    return _held_out([Sample(i, i, "negative") for i in _bare(root)], split)


def _image_level(root: Path, split: Split) -> list[Sample]:
    return _held_out([Sample(i, i, "image-level") for i in _bare(root)], split)


def _bare(root: Path) -> list[Path]:
    return _images(root / "images" if (root / "images").is_dir() else root)


def _coco(path: Path, split: Split) -> list[Sample]:
    from scnet_edge.data.coco import read_coco

    return _held_out(list(read_coco(path)), split)


def _with_masks(root: Path) -> list[Sample]:
    masks = {p.stem: p for p in _images(root / "masks")}
    return [
        Sample(i, masks.get(i.stem, root / "masks" / f"{i.stem}.png"))
        for i in _images(root / "images")
    ]


def _held_out(samples: list[Sample], split: Split) -> list[Sample]:
    """Split off every shuffled fifth sample, the same ones each time."""
    if split == "all" or not samples:
        return samples
    if split == "test" and len(samples) < HOLDOUT:
        raise InputError(
            f"{samples[0].image.parent}: expected at least {HOLDOUT} images, a fifth of which is "
            f"the test split, found {len(samples)}; add some, or evaluate --split all"
        )
    order = np.random.default_rng(HOLDOUT_SEED).permutation(len(samples))
    test = set(order[: len(samples) // HOLDOUT].tolist())
    return [s for i, s in enumerate(samples) if (i in test) == (split == "test")]
