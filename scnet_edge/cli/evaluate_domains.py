"""`scnet-edge evaluate` over domains: a corpus, or images that have no masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from scnet_edge.cli.subjects import Subject

if TYPE_CHECKING:
    from scnet_edge.data.samples import Sample
    from scnet_edge.evaluation.alarms import Alarms
    from scnet_edge.evaluation.domains import DomainScore, DomainScores


def over_corpus(path: Path, subject: Subject, name: str) -> DomainScores:
    """Return the scores on the test splits of a corpus, with a progress line."""
    from rich.console import Console
    from rich.progress import Progress

    from scnet_edge.cli.progress import show_progress
    from scnet_edge.data.corpus import read_corpus
    from scnet_edge.evaluation.of_corpus import score_corpus

    corpus = read_corpus(path)
    with show_progress(Progress(console=Console(stderr=True))) as progress:

        def track(samples: list[Sample], domain: str) -> Iterable[Sample]:
            return progress.track(samples, description=domain)

        (scores,) = score_corpus(
            corpus,
            subject.run,
            thresholds=[subject.threshold],
            subject=name,
            engine=subject.engine,
            track=track,
        )
    return scores


def without_masks(samples: list[Sample], subject: Subject, name: str, domain: str) -> DomainScores:
    """Return the scores on images without a crack, or with one somewhere."""
    from rich.console import Console
    from rich.progress import track

    from scnet_edge.evaluation.domains import DomainScores, score_domain
    from scnet_edge.evaluation.predict import predictions

    tracked = track(samples, domain, console=Console(stderr=True))
    (score,) = score_domain(predictions(subject.run, tracked), thresholds=[subject.threshold])
    return DomainScores(
        subject=name, engine=subject.engine, threshold=subject.threshold, domains={domain: score}
    )


def print_domains(scores: DomainScores) -> None:
    """Print a line for each domain."""
    print(
        f"{scores.subject} at {scores.threshold:.2f}, {scores.engine}; test splits, 95 % intervals"
    )
    for domain, score in scores.domains.items():
        for line in _lines(score):
            print(f"  {domain}: {line}")


def alarms_line(alarms: Alarms) -> str:
    """Return what is called crack in frames without any, in words."""
    low, high = alarms.alarmed_ci95
    return (
        f"{alarms.alarmed:.1%} [{low:.1%}, {high:.1%}] of {alarms.frames} frames without a crack "
        f"alarmed, {alarms.per_frame:.2f} alarms a frame, {alarms.pixels:.3%} of the pixels"
    )


def _lines(score: DomainScore) -> list[str]:
    lines = []
    if (cracks := score.cracks) is not None:
        low, high = cracks.ci95
        lines.append(
            f"F1 {cracks.f1:.4f} [{low:.4f}, {high:.4f}] on {cracks.images} images, best "
            f"{cracks.best_f1:.4f} at {cracks.best_threshold:.2f}; {cracks.crack_recall:.1%} of "
            f"{cracks.cracks} cracks found"
        )
    if score.alarms is not None:
        lines.append(alarms_line(score.alarms))
    if (shown := score.image_level) is not None:
        lines.append(f"{shown.flagged:.1%} of {shown.images} images with a crack flagged")
    return lines
