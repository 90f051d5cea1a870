"""Pixel scores of crack maps from one histogram pass per image.

A pixel is predicted at a threshold when its probability is at least (>=) the threshold. Counts are
added over images before anything is divided, as the crack literature does for its ODS scores;
only `ois` is a mean of per-image scores.

With a tolerance of r pixels a predicted pixel is right when a crack pixel lies within the Euclidean
distance r, and a crack pixel is found when a predicted pixel does. That is dilation by a disc, with
no one-to-one matching, so it is kinder than the BSDS edge benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.types import Map, Mask

# float32, so that a pixel compares with them exactly as it does with the threshold of a pipeline
THRESHOLDS = (np.arange(101) / 100).astype(np.float32)
BINS = len(THRESHOLDS) + 1

PerThreshold = npt.NDArray[np.int64]  # (101,)
Rates = npt.NDArray[np.float64]  # (101,)
Levels = npt.NDArray[np.uint8]  # (h, w): how many of `THRESHOLDS` a pixel reaches, 0 to 101
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pixels at each of `THRESHOLDS`; add those of all images, then divide.

    Attributes:
        predicted: pixels called crack.
        right: those of them with a crack pixel within the tolerance.
        found: crack pixels with a predicted pixel within the tolerance.
        truth: crack pixels.
    """

    predicted: PerThreshold
    right: PerThreshold
    found: PerThreshold
    truth: int

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both together."""
        return Counts(
            predicted=self.predicted + other.predicted,
            right=self.right + other.right,
            found=self.found + other.found,
            truth=self.truth + other.truth,
        )

    @property
    def pixels(self) -> int:
        """All pixels: every probability is at least 0, the first threshold."""
        return int(self.predicted[0])

    @property
    def precision(self) -> Rates:
        """Share of the predicted pixels that is right; 1 where nothing is predicted."""
        return _ratio(self.right, self.predicted)

    @property
    def recall(self) -> Rates:
        """Share of the crack pixels that is found; 1 where there are none."""
        return _ratio(self.found, np.full_like(self.found, self.truth))

    @property
    def f1(self) -> Rates:
        """Harmonic mean of precision and recall; 0 where both are."""
        both = self.precision + self.recall
        product = 2 * self.precision * self.recall
        return np.divide(product, both, out=np.zeros_like(both), where=both > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Precision, recall and F1, each in [0, 1], at one threshold."""

    threshold: float
    precision: float
    recall: float
    f1: float


def count(
    probability: Map, truth: Mask, *, ignored: Mask | None = None, tolerance_px: int = 0
) -> Counts:
    """Return one image's counts at every threshold.

    Args:
        probability: (h, w) float32 in [0, 1].
        truth: (h, w) bool, True on cracks.
        ignored: (h, w) bool, True where nobody knows; None: all is known.
        tolerance_px: How far a prediction may lie from the crack.

    Raises:
        InputError: the two differ in size.
    """
    if probability.shape != truth.shape:
        raise InputError(
            f"expected a mask of the image's size {probability.shape}, found {truth.shape}; "
            "replace the image or its mask"
        )
    return count_levels(levels(probability, ignored), truth, tolerance_px=tolerance_px)


def levels(probability: Map, ignored: Mask | None = None) -> Levels:
    """Return how many thresholds each pixel reaches; all counts are histograms of these.

    Bit-equal to comparing the float32 probability with each threshold, at a tenth of the cost.
    What is ignored reaches none, not even 0, so that no count has it.
    """
    bounded = np.clip(probability, 0, 1)
    guess = (bounded * np.float32(100)).astype(np.uint8)  # off by at most one, by rounding
    above = np.append(THRESHOLDS, np.float32(np.inf))[guess + 1] <= bounded
    below = THRESHOLDS[guess] > bounded
    reached = guess + 1 + above.astype(np.uint8) - below.astype(np.uint8)
    counts = probability >= 0 if ignored is None else (probability >= 0) & ~ignored
    return np.where(counts, reached, 0).astype(np.uint8)


def as_map(mask: Mask) -> Map:
    """Return a mask as a map of 0 and 1, to count it: the same at every threshold above 0."""
    return mask.astype(np.float32)


def count_levels(reached: Levels, truth: Mask, *, tolerance_px: int = 0) -> Counts:
    """Return one image's counts from its `levels`, as `count` does."""
    if not tolerance_px:
        both = np.bincount((reached + np.uint16(256) * truth).ravel(), minlength=512)
        right = at_least(both[256 : 256 + BINS])
        return Counts(
            predicted=at_least(both[:BINS]) + right,
            right=right,
            found=right,
            truth=int(both[256:].sum()),
        )
    kernel = disc(tolerance_px)
    near_truth = cv2.dilate(truth.view(np.uint8), kernel) > 0
    reach = np.asarray(cv2.dilate(reached, kernel), np.uint8)
    return Counts(
        predicted=at_least(_histogram(reached)),
        right=at_least(_histogram(reached[near_truth])),
        found=at_least(_histogram(reach[truth])),
        truth=int(truth.sum()),
    )


def add_up(counts: Sequence[Counts]) -> Counts:
    """Return the counts of all images together.

    Raises:
        InputError: there are none.
    """
    if not counts:
        raise InputError("expected at least one image to score, found none")
    return sum(counts[1:], start=counts[0])


def score_at(counts: Counts, threshold: float) -> Score:
    """Return the score at one threshold.

    Raises:
        ConfigError: it is not one of `THRESHOLDS`.
    """
    return _score(counts, threshold_index(threshold))


def threshold_index(threshold: float) -> int:
    """Return the place of a threshold among `THRESHOLDS`.

    Raises:
        ConfigError: it is none of them.
    """
    index = round(threshold * 100)
    if not (0 <= index <= 100 and np.isclose(threshold, index / 100)):
        raise ConfigError(f"threshold {threshold}: expected whole hundredths from 0.00 to 1.00")
    return index


def ods(counts: Counts) -> Score:
    """Return the best score that one threshold gives on all images (optimal data set scale)."""
    return _score(counts, int(np.argmax(counts.f1)))


def ois(counts: Sequence[Counts]) -> float:
    """Return the mean of each image's own best F1 (optimal image scale).

    An image without a crack has none: where nothing is predicted it would score 1.

    Raises:
        InputError: no image has a crack.
    """
    best = [each.f1.max() for each in counts if each.truth]
    if not best:
        raise InputError("expected at least one image with a crack to score, found none")
    return float(np.mean(best))


def iou(counts: Counts, threshold: float) -> float:
    """Return intersection over union of the crack class, for counts at zero tolerance.

    Raises:
        ConfigError: the threshold is not one of `THRESHOLDS`.
    """
    f1 = score_at(counts, threshold).f1
    return f1 / (2 - f1)


def mean_iou(counts: Counts, threshold: float) -> float:
    """Return the mean of crack IoU and background IoU, for counts at zero tolerance.

    On images that are nearly all background it is far above the crack IoU, by which it must not
    be compared.

    Raises:
        ConfigError: the threshold is not one of `THRESHOLDS`.
    """
    index = threshold_index(threshold)
    union = int(counts.predicted[index]) + counts.truth - int(counts.right[index])
    background, wrong = counts.pixels - union, union - int(counts.right[index])
    background_iou = background / (background + wrong) if background + wrong else 1.0
    return (iou(counts, threshold) + background_iou) / 2


def disc(radius_px: int) -> npt.NDArray[np.uint8]:
    """Return the Euclidean disc as a (2 r + 1, 2 r + 1) kernel of 0 and 1."""
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return np.asarray(x * x + y * y <= radius_px * radius_px, np.uint8)


def at_least(histogram: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return how many values reach each threshold, from the (..., 102) histogram of levels."""
    reached = histogram[..., ::-1].cumsum(-1)[..., ::-1]
    return np.asarray(reached[..., 1:], np.int64)


def _score(counts: Counts, index: int) -> Score:
    return Score(
        threshold=index / 100,
        precision=float(counts.precision[index]),
        recall=float(counts.recall[index]),
        f1=float(counts.f1[index]),
    )


def _histogram(reached: Levels) -> PerThreshold:
    return np.asarray(np.bincount(reached.ravel(), minlength=BINS), np.int64)


def _ratio(part: PerThreshold, whole: PerThreshold) -> Rates:
    return np.divide(part, whole, out=np.ones(len(whole)), where=whole > 0)


def average_precision(crack: Sequence[Probabilities], beside: Sequence[Probabilities]) -> float:
    """Return the mean precision over the crack pixels, each at its own probability.

    That is the sum of recall steps times precision (Davis and Goadrich 2006), all pixels of one
    probability being one step, as scikit-learn's `average_precision_score` has it.

    Args:
        crack: The probabilities of the crack pixels, image by image.
        beside: Those of all others.

    Raises:
        InputError: no pixel is crack.
    """
    true = np.sort(np.concatenate([*crack, np.zeros(0, np.float32)]))
    false = np.sort(np.concatenate([*beside, np.zeros(0, np.float32)]))
    if not len(true):
        raise InputError("expected crack pixels to rank, found none")
    right = len(true) - np.searchsorted(true, true)  # crack pixels of at least its probability
    wrong = len(false) - np.searchsorted(false, true)
    return float(np.mean(right / (right + wrong)))
