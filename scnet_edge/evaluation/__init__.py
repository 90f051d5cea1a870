"""Scores of a model or bundle on annotated images, with their uncertainty.

    samples -> predictions -> counts per image -> scores and intervals

Nothing here needs torch, but for `predict.reference_run`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from scnet_edge.data.datasets import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.bootstrap import interval
from scnet_edge.evaluation.metrics import (
    Counts,
    Score,
    add_up,
    auprc,
    count,
    iou,
    ods,
    ois,
    score_at,
    threshold_index,
)
from scnet_edge.models.cards import CardMetrics
from scnet_edge.types import Map

TOLERANCE_PX = 2


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model or bundle scores on one split.

    Attributes:
        subject: The model or bundle.
        engine: What ran it.
        data: Data set and split.
        images: How many.
        shipped: Scores at the threshold that ships.
        shipped_ci95: Interval of its F1 over images.
        best: Scores at the threshold that is best on these very images (ODS).
        best_ci95: Interval of its F1, the threshold chosen anew in each draw.
        iou: Crack intersection over union at the shipped threshold.
        ois: Mean of each image's best F1.
        auprc: Area under the precision-recall curve.
        tolerant: Scores at the shipped threshold, `tolerance_px` off allowed.
    """

    subject: str
    engine: str
    data: str
    images: int
    shipped: Score
    shipped_ci95: tuple[float, float]
    best: Score
    best_ci95: tuple[float, float]
    iou: float
    ois: float
    auprc: float
    tolerant: Score
    tolerance_px: int = TOLERANCE_PX


def evaluate(
    predicted: Iterable[tuple[Sample, Map]],
    *,
    threshold: float,
    subject: str,
    engine: str,
    data: str,
) -> Evaluation:
    """Return the scores of predicted maps, each against the mask of its sample.

    Args:
        predicted: Samples with their (h, w) probability, as `predict.predictions` yields them.
        threshold: The one that ships, in whole hundredths.
        subject: The model or bundle, for the record.
        engine: What ran it, for the record.
        data: Data set and split, for the record.

    Raises:
        InputError: there are no images, or a mask is unreadable or of another size.
        ConfigError: the threshold is not in whole hundredths.
    """
    threshold_index(threshold)  # refused now rather than after the last image
    counts: list[Counts] = []
    tolerant: list[Counts] = []
    for sample, probability in predicted:
        truth = sample.read_mask()
        if truth.shape != probability.shape:
            raise InputError(
                f"{sample.mask}: expected the size of its image, {probability.shape}, "
                f"found {truth.shape}; replace one of them"
            )
        counts.append(count(probability, truth))
        tolerant.append(count(probability, truth, tolerance_px=TOLERANCE_PX))
    total = add_up(counts)
    return Evaluation(
        subject=subject,
        engine=engine,
        data=data,
        images=len(counts),
        shipped=score_at(total, threshold),
        shipped_ci95=interval(counts, lambda c: score_at(c, threshold).f1),
        best=ods(total),
        best_ci95=interval(counts, lambda c: ods(c).f1),
        iou=iou(total, threshold),
        ois=ois(counts),
        auprc=auprc(total),
        tolerant=score_at(add_up(tolerant), threshold),
    )


def card_metrics(evaluation: Evaluation) -> CardMetrics:
    """Return what a model card says of an evaluation, rounded to four digits."""
    shipped, (low, high) = evaluation.shipped, evaluation.shipped_ci95
    return CardMetrics(
        data=evaluation.data,
        images=evaluation.images,
        f1=round(shipped.f1, 4),
        ci95=(round(low, 4), round(high, 4)),
        precision=round(shipped.precision, 4),
        recall=round(shipped.recall, 4),
        threshold=shipped.threshold,
    )
