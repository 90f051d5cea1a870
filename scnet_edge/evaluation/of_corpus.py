"""A corpus as the test images of its domains, each set by its own test split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from scnet_edge.data.corpus import Corpus, by_domain
from scnet_edge.data.filming import plain_frame
from scnet_edge.data.pasted import MadeSample, paste_samples
from scnet_edge.data.samples import Sample
from scnet_edge.evaluation.domains import DomainScores, score_domain
from scnet_edge.evaluation.predict import Run, predictions
from scnet_edge.models.decision import Decision

PASTED_INTO, PLAIN = "cracks-pasted-into-", "plain-frames"
PLAINS, PLAIN_SEED = 40, 40_000
Track = Callable[[list[Sample], str], Iterable[Sample]]


def held_back(corpus: Corpus) -> dict[str, list[Sample]]:
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
        for domain, samples in held_back(corpus).items()
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
