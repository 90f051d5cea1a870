"""Scores of probability maps on annotated images, with their uncertainty.

    samples -> predictions -> tally of counts per image -> scores and intervals

Nothing here needs torch, but for `predict.reference_run` and `explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from scnet_edge.data.masks import check_classes
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import Alarms, FrameAlarms, add_alarms, count_alarms
from scnet_edge.evaluation.bootstrap import interval
from scnet_edge.evaluation.metrics import (
    Counts,
    Levels,
    add_up,
    as_map,
    average_precision,
    count_levels,
    iou,
    levels,
    mean_iou,
    ods,
    ois,
    score_at,
)
from scnet_edge.evaluation.objects import count_boundaries, count_patches, count_thin
from scnet_edge.models.cards import CardMetrics
from scnet_edge.models.decision import Decision
from scnet_edge.types import Map, Mask, PixelCounts

TOLERANCES_PX = (0, 2, 5)


class Scores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything by one decision, zero tolerance but for `tolerance`.

    Attributes:
        threshold, seed: The decision.
        ci95: Interval of F1 over images.
        iou: Crack intersection over union.
        miou: Mean of crack IoU and background IoU; not to be compared with `iou`.
        patch_f1: Of 32x32 patches, by the paper's 5 % and 50 % rules.
        thin_recall: Recall on cracks at most 4 px wide.
        tolerance: Tolerance in pixels -> F1.
    """

    threshold: float
    seed: float = 0.0
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

    `shipped` is of the masks by the decision that ships, which held-out images chose. The figures
    at the top are at thresholds that are best on these very images, of pixels alone, as the
    literature reports them.

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
        boundary_f1: F1 of the outlines within 2 px, by the decision that ships.
        shipped: Scores by the decision that ships.
        alarms: What is called crack then on images that show none; None where all show one.
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
class PixelTally:
    """Counts of maps, or of masks, at every threshold.

    Attributes:
        pixels: Per image, zero tolerance.
        tolerant: Tolerance in pixels -> counts of all images.
        patches: Per image, of 32x32 pixels.
        thin: Per image, on cracks at most 4 px wide.
    """

    pixels: list[Counts] = field(default_factory=list)
    tolerant: dict[int, Counts] = field(default_factory=dict)
    patches: list[Counts] = field(default_factory=list)
    thin: list[Counts] = field(default_factory=list)

    def add(self, reached: Levels, truth: Mask, tolerances_px: Sequence[int]) -> None:
        """Count one image by its `levels`."""
        self.pixels.append(count_levels(reached, truth))
        self.patches.append(count_patches(reached, truth))
        self.thin.append(count_thin(reached, truth))
        for px in tolerances_px:
            here = count_levels(reached, truth, tolerance_px=px) if px else self.pixels[-1]
            self.tolerant[px] = self.tolerant[px] + here if px in self.tolerant else here


@dataclass(slots=True)
class Tally:
    """Counts of the images so far.

    Attributes:
        decision: What ships.
        names: Of the images.
        swept: At every threshold, of pixels alone.
        decided: Of the masks that the decision gives, the same at every threshold above 0.
        boundary: Of these masks.
        crack: The probabilities of the crack pixels of each image.
        beside: Those of its other pixels.
        quiet: The alarms of each image without a crack.
    """

    decision: Decision
    names: list[str] = field(default_factory=list)
    swept: PixelTally = field(default_factory=PixelTally)
    decided: PixelTally = field(default_factory=PixelTally)
    boundary: PixelCounts = field(default_factory=PixelCounts)
    crack: list[Map] = field(default_factory=list)
    beside: list[Map] = field(default_factory=list)
    quiet: list[FrameAlarms] = field(default_factory=list)


def tally(
    predicted: Iterable[tuple[Sample, Map]],
    *,
    decision: Decision,
    tolerances_px: Sequence[int] = TOLERANCES_PX,
) -> Tally:
    """Return the counts of predicted maps, each against the mask of its sample.

    Args:
        predicted: Samples with their (h, w) probability, as `predict.predictions` yields them.
        decision: The one that ships.
        tolerances_px: How far a prediction may lie from the crack, each scored apart.

    Raises:
        InputError: no image, no crack or no background, or a mask unreadable or of another size.
    """
    counted = Tally(decision)
    for sample, probability in predicted:
        truth, ignored = sample.read_truth()
        if truth.shape != probability.shape:
            raise InputError(
                f"{sample.mask}: expected the size of its image, {probability.shape}, "
                f"found {truth.shape}; replace one of them"
            )
        mask = decision.mask_of(probability)
        if not truth.any():
            counted.quiet.append(count_alarms(mask if ignored is None else mask & ~ignored))
        counted.names.append(sample.name)
        counted.crack.append(probability[truth])
        counted.beside.append(probability[~truth if ignored is None else ~(truth | ignored)])
        counted.swept.add(levels(probability, ignored), truth, tolerances_px)
        counted.decided.add(levels(as_map(mask), ignored), truth, tolerances_px)
        counted.boundary += count_boundaries(mask, truth, ignored=ignored)
    total = add_up(counted.swept.pixels)
    check_classes(total.truth, total.pixels, len(counted.names))
    return counted


def summarise(counted: Tally, *, subject: str, engine: str, data: str) -> Evaluation:
    """Return the scores of a tally; the words are for the record."""
    swept = counted.swept
    best = ods(add_up(swept.pixels))
    at_best = _scores(swept, best.threshold, Decision(threshold=best.threshold))
    return Evaluation(
        subject=subject,
        engine=engine,
        data=data,
        images=len(counted.names),
        ods=BestF1(
            f1=best.f1,
            threshold=best.threshold,
            ci95=interval(swept.pixels, lambda c: float(c.f1.max())),
            precision=best.precision,
            recall=best.recall,
        ),
        ois=ois(swept.pixels),
        auprc=average_precision(counted.crack, counted.beside),
        iou=at_best.iou,
        miou=at_best.miou,
        patch_f1=at_best.patch_f1,
        thin_recall=at_best.thin_recall,
        tolerance={str(px): ods(counts).f1 for px, counts in swept.tolerant.items()},
        boundary_f1=counted.boundary.f1,
        shipped=_scores(counted.decided, 1, counted.decision),
        alarms=add_alarms(counted.quiet, counted.decision) if counted.quiet else None,
    )


def evaluate(
    predicted: Iterable[tuple[Sample, Map]],
    *,
    decision: Decision,
    subject: str,
    engine: str,
    data: str,
    tolerances_px: Sequence[int] = TOLERANCES_PX,
) -> Evaluation:
    """Return the scores of predicted maps: `tally`, then `summarise`."""
    counted = tally(predicted, decision=decision, tolerances_px=tolerances_px)
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


def _scores(counted: PixelTally, at: float, decision: Decision) -> Scores:
    """Return the scores of counts at one threshold, under the name of a decision."""
    total = add_up(counted.pixels)
    score = score_at(total, at)
    return Scores(
        threshold=decision.threshold,
        seed=decision.seed,
        f1=score.f1,
        ci95=interval(counted.pixels, lambda c: score_at(c, at).f1),
        precision=score.precision,
        recall=score.recall,
        iou=iou(total, at),
        miou=mean_iou(total, at),
        patch_f1=score_at(add_up(counted.patches), at).f1,
        thin_recall=score_at(add_up(counted.thin), at).recall,
        tolerance={str(px): score_at(c, at).f1 for px, c in counted.tolerant.items()},
    )
