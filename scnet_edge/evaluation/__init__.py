"""Scores of probability maps on annotated images, with their uncertainty.

    samples -> predictions -> tally of counts per image -> scores and intervals

Nothing here needs torch, but for `predict.reference_run` and `explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from scnet_edge.data.classes import check_classes
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import Alarms, FrameAlarms, add_alarms, count_alarms
from scnet_edge.evaluation.bootstrap import interval
from scnet_edge.evaluation.metrics import (
    THRESHOLDS,
    Counts,
    add_up,
    count_levels,
    iou,
    levels,
    mean_iou,
    ods,
    ois,
    score_at,
    threshold_index,
)
from scnet_edge.evaluation.ranking import average_precision
from scnet_edge.evaluation.shapes import count_boundaries, count_patches, count_thin
from scnet_edge.models.cards import CardMetrics
from scnet_edge.types import Map, PixelCounts

TOLERANCES_PX = (0, 2, 5)


class Scores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything at one threshold, zero tolerance but for `tolerance`.

    Attributes:
        ci95: Interval of F1 over images.
        iou: Crack intersection over union.
        miou: Mean of crack IoU and background IoU; not to be compared with `iou`.
        patch_f1: Of 32x32 patches, by the paper's 5 % and 50 % rules.
        thin_recall: Recall on cracks at most 4 px wide.
        tolerance: Tolerance in pixels -> F1.
    """

    threshold: float
    f1: float
    ci95: tuple[float, float]
    precision: float
    recall: float
    iou: float
    miou: float
    patch_f1: float
    thin_recall: float
    tolerance: dict[str, float]


class BestF1(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The best that one threshold gives on these very images (optimal data set scale).

    Attributes:
        ci95: Interval of F1 over images, the threshold chosen anew in each draw.
    """

    f1: float
    threshold: float
    ci95: tuple[float, float]
    precision: float
    recall: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model or bundle scores on one split.

    `shipped` is at the threshold that ships, which held-out training images chose. The figures at
    the top are at thresholds that are best on these very images, as the literature reports them.

    Attributes:
        subject: The model or bundle.
        engine: What ran it.
        data: Data set and split.
        images: How many.
        ods: Best F1 of one threshold for all images.
        ois: Mean of the best F1 of each image with a crack.
        auprc: Area under the precision-recall curve, from every probability.
        iou: Crack intersection over union at the ODS threshold.
        miou: Mean of crack IoU and background IoU there.
        patch_f1: F1 of 32x32 patches there.
        thin_recall: Recall on cracks at most 4 px wide there.
        tolerance: Tolerance in pixels -> best F1 of one threshold.
        boundary_f1: F1 of the outlines within 2 px, at the threshold that ships.
        shipped: Scores at the threshold that ships.
        alarms: What is called crack there on images that show none; None where all show one.
    """

    subject: str
    engine: str
    data: str
    images: int
    ods: BestF1
    ois: float
    auprc: float
    iou: float
    miou: float
    patch_f1: float
    thin_recall: float
    tolerance: dict[str, float]
    boundary_f1: float
    shipped: Scores
    alarms: Alarms | None = None


@dataclass(slots=True)
class Tally:
    """Counts of the images so far; `shipped` is the threshold that the boundaries are taken at.

    Attributes:
        names: Of the images.
        pixels: Per image, zero tolerance.
        tolerant: Tolerance in pixels -> counts of all images.
        crack: The probabilities of the crack pixels of each image.
        beside: Those of its other pixels.
        quiet: The alarms of each image without a crack.
    """

    shipped: float
    names: list[str] = field(default_factory=list)
    pixels: list[Counts] = field(default_factory=list)
    tolerant: dict[int, Counts] = field(default_factory=dict)
    patches: list[Counts] = field(default_factory=list)
    thin: list[Counts] = field(default_factory=list)
    boundary: PixelCounts = field(default_factory=PixelCounts)
    crack: list[Map] = field(default_factory=list)
    beside: list[Map] = field(default_factory=list)
    quiet: list[FrameAlarms] = field(default_factory=list)


def tally(
    predicted: Iterable[tuple[Sample, Map]],
    *,
    threshold: float,
    tolerances_px: Sequence[int] = TOLERANCES_PX,
) -> Tally:
    """Return the counts of predicted maps, each against the mask of its sample.

    Args:
        predicted: Samples with their (h, w) probability, as `predict.predictions` yields them.
        threshold: The one that ships, in whole hundredths.
        tolerances_px: How far a prediction may lie from the crack, each scored apart.

    Raises:
        InputError: no image, no crack or no background, or a mask unreadable or of another size.
        ConfigError: the threshold is not in whole hundredths.
    """
    index = threshold_index(threshold)  # refused now rather than after the last image
    counted = Tally(threshold)
    for sample, probability in predicted:
        truth, ignored = sample.read_truth()
        if truth.shape != probability.shape:
            raise InputError(
                f"{sample.mask}: expected the size of its image, {probability.shape}, "
                f"found {truth.shape}; replace one of them"
            )
        reached = levels(probability, ignored)
        if not truth.any():
            known = probability if ignored is None else probability * ~ignored
            counted.quiet.append(count_alarms(known, threshold))
        counted.names.append(sample.name)
        counted.crack.append(probability[truth])
        counted.beside.append(probability[~truth if ignored is None else ~(truth | ignored)])
        counted.pixels.append(count_levels(reached, truth))
        counted.patches.append(count_patches(reached, truth))
        counted.thin.append(count_thin(reached, truth))
        above = probability >= THRESHOLDS[index]
        counted.boundary += count_boundaries(above, truth, ignored=ignored)
        for px in tolerances_px:
            here = count_levels(reached, truth, tolerance_px=px) if px else counted.pixels[-1]
            counted.tolerant[px] = counted.tolerant[px] + here if px in counted.tolerant else here
    total = add_up(counted.pixels)
    check_classes(total.truth, total.pixels, len(counted.pixels))
    return counted


def summarise(counted: Tally, *, subject: str, engine: str, data: str) -> Evaluation:
    """Return the scores of a tally; the words are for the record."""
    total, best = add_up(counted.pixels), ods(add_up(counted.pixels))
    at_best = _scores(counted, total, best.threshold)
    return Evaluation(
        subject=subject,
        engine=engine,
        data=data,
        images=len(counted.pixels),
        ods=BestF1(
            f1=best.f1,
            threshold=best.threshold,
            ci95=interval(counted.pixels, lambda c: float(c.f1.max())),
            precision=best.precision,
            recall=best.recall,
        ),
        ois=ois(counted.pixels),
        auprc=average_precision(counted.crack, counted.beside),
        iou=at_best.iou,
        miou=at_best.miou,
        patch_f1=at_best.patch_f1,
        thin_recall=at_best.thin_recall,
        tolerance={str(px): ods(counts).f1 for px, counts in counted.tolerant.items()},
        boundary_f1=counted.boundary.f1,
        shipped=_scores(counted, total, counted.shipped),
        alarms=add_alarms(counted.quiet, counted.shipped) if counted.quiet else None,
    )


def evaluate(
    predicted: Iterable[tuple[Sample, Map]],
    *,
    threshold: float,
    subject: str,
    engine: str,
    data: str,
    tolerances_px: Sequence[int] = TOLERANCES_PX,
) -> Evaluation:
    """Return the scores of predicted maps: `tally`, then `summarise`."""
    counted = tally(predicted, threshold=threshold, tolerances_px=tolerances_px)
    return summarise(counted, subject=subject, engine=engine, data=data)


def card_metrics(evaluation: Evaluation) -> CardMetrics:
    """Return what a model card says of an evaluation, rounded to four digits."""
    shipped, (low, high) = evaluation.shipped, evaluation.shipped.ci95
    return CardMetrics(
        data=evaluation.data,
        images=evaluation.images,
        f1=round(shipped.f1, 4),
        ci95=(round(low, 4), round(high, 4)),
        precision=round(shipped.precision, 4),
        recall=round(shipped.recall, 4),
        threshold=shipped.threshold,
    )


def _scores(counted: Tally, total: Counts, threshold: float) -> Scores:
    score, patches = score_at(total, threshold), score_at(add_up(counted.patches), threshold)
    return Scores(
        threshold=threshold,
        f1=score.f1,
        ci95=interval(counted.pixels, lambda c: score_at(c, threshold).f1),
        precision=score.precision,
        recall=score.recall,
        iou=iou(total, threshold),
        miou=mean_iou(total, threshold),
        patch_f1=patches.f1,
        thin_recall=score_at(add_up(counted.thin), threshold).recall,
        tolerance={str(px): score_at(c, threshold).f1 for px, c in counted.tolerant.items()},
    )
