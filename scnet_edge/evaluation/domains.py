"""One model over many domains: F1 and cracks found where there are some, alarms where there are
none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import Alarms, FrameAlarms, add_alarms, count_alarms, count_areas
from scnet_edge.evaluation.bootstrap import interval
from scnet_edge.evaluation.metrics import Counts, add_up, as_map, count, ods, score_at
from scnet_edge.evaluation.objects import Found, count_objects
from scnet_edge.models.cards import PointFigure
from scnet_edge.models.decision import Decision
from scnet_edge.types import Map


class CrackScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images with masks.

    Attributes:
        f1: Of the mask, by the decision that ships.
        ci95: Its interval over images.
        best_f1: At the threshold that is best for this very domain, of pixels alone.
        cracks: How many there are.
        crack_recall: Share of them that is found, by half of their length, by the decision that
            ships.
    """

    images: int
    f1: float
    ci95: tuple[float, float]
    precision: float
    recall: float
    best_f1: float
    best_threshold: float
    cracks: int
    crack_recall: float


class ImageScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images that show a crack somewhere: share of them where anything is called one."""

    images: int
    flagged: float


class DomainScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one domain gives; each part is None where the domain has no such images."""

    cracks: CrackScore | None = None
    alarms: Alarms | None = None
    image_level: ImageScore | None = None


class DomainScores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model or bundle scores over a corpus, domain by domain, on test splits alone."""

    subject: str
    engine: str
    threshold: float
    seed: float = 0.0
    domains: dict[str, DomainScore]


@dataclass(slots=True)
class DomainTally:
    """The counts of one domain by one decision.

    Attributes:
        swept: Of each image, at every threshold, of pixels alone.
        decided: Of its mask, the same at every threshold above 0.
    """

    decision: Decision
    swept: list[Counts] = field(default_factory=list)
    decided: list[Counts] = field(default_factory=list)
    found: Found = field(default_factory=Found)
    quiet: list[FrameAlarms] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)

    def add(self, sample: Sample, probability: Map) -> None:
        """Count one image, as what it is: with a mask, without a crack, or with one somewhere.

        Raises:
            InputError: the mask is unreadable or of another size.
        """
        mask = self.decision.mask_of(probability)
        if sample.role == "image-level":
            self.flagged.append(count_areas(mask) > 0)
            return
        truth, ignored = sample.read_truth()
        if ignored is not None:
            mask, probability = mask & ~ignored, probability * ~ignored
        if not truth.any():
            self.quiet.append(count_alarms(mask))
        if sample.role != "negative":
            self.swept.append(count(probability, truth, ignored=ignored))
            self.decided.append(count(as_map(mask), truth, ignored=ignored))
            self.found = self.found.plus(count_objects(mask, truth))

    def score(self) -> DomainScore:
        """Return the figures.

        Raises:
            InputError: no image was added.
        """
        if not (self.swept or self.quiet or self.flagged):
            raise InputError("expected at least one image to score, found none")
        flagged = None
        if self.flagged:
            share = sum(self.flagged) / len(self.flagged)
            flagged = ImageScore(images=len(self.flagged), flagged=share)
        return DomainScore(
            cracks=self._cracks(),
            alarms=add_alarms(self.quiet, self.decision) if self.quiet else None,
            image_level=flagged,
        )

    def _cracks(self) -> CrackScore | None:
        if not self.found.cracks:
            return None
        shipped, best = score_at(add_up(self.decided), 1), ods(add_up(self.swept))
        return CrackScore(
            images=len(self.decided),
            f1=shipped.f1,
            ci95=interval(self.decided, lambda c: score_at(c, 1).f1),
            precision=shipped.precision,
            recall=shipped.recall,
            best_f1=best.f1,
            best_threshold=best.threshold,
            cracks=self.found.cracks,
            crack_recall=self.found.recall,
        )


def point_figures(score: DomainScore) -> PointFigure:
    """Return what a card says of a domain at an operating point, rounded to four digits."""
    cracks, alarms = score.cracks, score.alarms
    return PointFigure(
        recall=round(cracks.recall, 4) if cracks else None,
        found=round(cracks.crack_recall, 4) if cracks else None,
        alarmed=round(alarms.alarmed, 4) if alarms else None,
        per_frame=round(alarms.per_frame, 4) if alarms else None,
    )


def score_domain(
    predicted: Iterable[tuple[Sample, Map]], *, decisions: Sequence[Decision]
) -> list[DomainScore]:
    """Return what predictions on the images of one domain give, by each decision.

    Raises:
        InputError: no image, or a mask that is unreadable or of another size.
    """
    tallies = [DomainTally(decision) for decision in decisions]
    for sample, probability in predicted:
        for tally in tallies:
            tally.add(sample, probability)
    return [tally.score() for tally in tallies]
