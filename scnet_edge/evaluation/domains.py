"""One model over many domains: cracks found where there are some, alarms where there are none.

A corpus gives the test images of its domains, each set by its own test split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from scnet_edge.data.blend import MadeSample, paste_samples
from scnet_edge.data.corpus import Corpus, by_domain
from scnet_edge.data.filming import plain_frame
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import Alarms, FrameAlarms, add_alarms, count_alarms, count_areas
from scnet_edge.evaluation.bootstrap import interval
from scnet_edge.evaluation.metrics import Counts, add_up, as_map, count, ods, score_at
from scnet_edge.evaluation.objects import Found, count_objects
from scnet_edge.evaluation.predict import Run, predictions
from scnet_edge.models.cards import PointFigure
from scnet_edge.models.decision import Decision
from scnet_edge.types import Map

PASTED_INTO, PLAIN = "cracks-pasted-into-", "plain-frames"
PLAINS, PLAIN_SEED = 40, 40_000
Track = Callable[[list[Sample], str], Iterable[Sample]]


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


def hold_back(corpus: Corpus) -> dict[str, list[Sample]]:
    """Return the test images by domain, with two kinds that are made of them or drawn.

    `PASTED_INTO` and a domain: its images with a crack pasted in, of the first set that lends; both
    are of test splits. `PLAIN`: frames without any feature.

    Raises:
        ScnetEdgeError: a set cannot be read.
    """
    samples = {
        domain: [sample for each in sets for sample in each.samples("test")]
        for domain, sets in by_domain(corpus.sets).items()
    }
    lender = next((each for each in corpus.sets if each.lends), None)
    if lender:
        cracks = lender.samples("test")
        for domain, sets in by_domain([each for each in corpus.sets if each.takes]).items():
            onto = [sample for each in sets for sample in each.samples("test")]
            samples[PASTED_INTO + domain] = list(paste_samples(cracks, onto))
    samples[PLAIN] = list(plain_samples())
    return samples


def plain_samples() -> list[MadeSample]:
    """Return frames without any feature: black, grey, white, half and half, and `PLAINS` drawn."""
    grey = [np.full((384, 544, 3), tone, np.uint8) for tone in (0, 128, 255)]
    half = grey[0].copy()
    half[:, 272:] = 255
    rng = np.random.default_rng(PLAIN_SEED)
    frames = [*grey, half, *(plain_frame((384, 544), rng) for _ in range(PLAINS))]
    return [
        MadeSample(Path(f"{i}"), Path(f"{i}"), "negative", frame, np.zeros((384, 544), np.bool_))
        for i, frame in enumerate(frames)
    ]


def score_corpus(
    corpus: Corpus,
    run: Run,
    *,
    decisions: Sequence[Decision],
    subject: str,
    engine: str,
    track: Track = lambda samples, domain: samples,
) -> list[DomainScores]:
    """Return what a model scores in each domain of a corpus, by each decision.

    Args:
        corpus: Its test splits are looked at, those of sets without a share included.
        run: The model or bundle.
        decisions: The one that ships, and others to compare.
        subject: What it is, for the record.
        engine: What runs it, for the record.
        track: Wraps the samples of a domain, to show how far it is.

    Raises:
        ScnetEdgeError: a set cannot be read.
    """
    found = {
        domain: score_domain(predictions(run, track(samples, domain)), decisions=decisions)
        for domain, samples in hold_back(corpus).items()
    }
    return [
        DomainScores(
            subject=subject,
            engine=engine,
            threshold=decision.threshold,
            seed=decision.seed,
            domains={domain: scores[i] for domain, scores in found.items()},
        )
        for i, decision in enumerate(decisions)
    ]
