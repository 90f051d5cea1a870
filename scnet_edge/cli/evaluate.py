"""`scnet-edge evaluate`: pixel scores of a model, run or bundle on annotated images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from scnet_edge.cli import app
from scnet_edge.cli.models import Subject, open_subject
from scnet_edge.errors import ConfigError
from scnet_edge.folders import check_file, check_folder

if TYPE_CHECKING:
    from scnet_edge.data.datasets import Split
    from scnet_edge.data.samples import Sample
    from scnet_edge.evaluation.alarms import Alarms
    from scnet_edge.evaluation.domains import DomainScore, DomainScores
    from scnet_edge.evaluation.scores import Evaluation, Tally

MAX_TOLERANCE_PX = 50


class ManyNumbers(TyperCommand):
    """A command whose options may be followed by several whole numbers.

    `--tolerance 0 2 5` is read as `--tolerance 0 --tolerance 2 --tolerance 5`, for options that are
    declared as lists.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further number."""
        lists = {o for p in self.params if getattr(p, "multiple", False) for o in p.opts}
        spread: list[str] = []
        option = None
        for arg in args:
            if option and arg.isdecimal() and spread[-1] != option:
                spread.append(option)
            elif arg in lists or not arg.isdecimal():
                option = arg if arg in lists else None
            spread.append(arg)
        return super().parse_args(ctx, spread)


@app.command(cls=ManyNumbers)
def evaluate(
    subject: Annotated[
        str, typer.Argument(help="A name of 'scnet-edge models', a training run, or a bundle.")
    ],
    data: Annotated[
        str | None, typer.Option(help="NAME:DIR, such as deepcrack:DIR or negative:DIR.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="A TOML file of data sets: score every domain, instead of --data."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "test",
    tolerance: Annotated[
        list[int] | None,
        typer.Option(help="Pixels a prediction may be off, as 0 2 5, which is the default."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="The engine of a bundle; a model runs in PyTorch.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of a model: auto, cpu, cuda or cuda:N.")] = "cpu",
    scale: Annotated[
        Literal["native", "fit", "auto"] | None,
        typer.Option(help="How a bundle takes images of another size than its model's, see 'run'."),
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="The guided filter of DeepCrack-Liu.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the scores here as well.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option(help="Write the precision-recall curve and telling images to this folder."),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write a bundle's F1 into its manifest, too.")
    ] = False,
) -> None:
    """Score a model (PyTorch FP32) or a bundle (an engine) against annotated masks.

    Images without a crack, and a corpus, are scored by false alarms and cracks found as well.
    """
    from rich.console import Console
    from rich.progress import Progress

    from scnet_edge.cli.progress import show_progress
    from scnet_edge.config import write_json
    from scnet_edge.data.datasets import open_dataset
    from scnet_edge.evaluation.predict import predictions
    from scnet_edge.evaluation.scores import TOLERANCES_PX, summarise, tally

    if json:
        check_file(json)
    if plots:
        check_folder(plots)
    if (data is None) == (corpus is None):
        raise ConfigError("expected --data or --corpus, found both or none; give one of the two")
    tolerances = _tolerances(tolerance or TOLERANCES_PX)
    samples = open_dataset(data, parse_split(split)) if data else []
    bare = all(sample.role in ("negative", "image-level") for sample in samples)  # or a corpus
    if bare and (plots or record):
        raise ConfigError("--plots and --record are for one data set with masks; leave them out")
    with open_subject(subject, engine, refine=refine, device=device, scale=scale) as scored:
        if bare:
            domains = (
                over_corpus(corpus, scored, subject)
                if corpus
                else without_masks(samples, scored, subject, f"{_kind(data)} {split}")
            )
            if json:
                write_json(json, domains)
            print_domains(domains)
            return
        with show_progress(Progress(console=Console(stderr=True))) as progress:
            counted = tally(
                predictions(scored.run, progress.track(samples, description=subject)),
                decision=scored.decision,
                tolerances_px=tolerances,
            )
        scores = summarise(
            counted,
            subject=subject,
            engine=scored.engine,
            data=f"{_kind(data)} {split}",
        )
        if plots:
            _plot(plots, scored, samples, counted, subject)
    if json:
        write_json(json, scores)
    if record:
        _record(Path(subject), scores)
    print(_summary(scores))


def _kind(data: str | None) -> str:
    """Return the NAME of NAME:DIR."""
    return (data or "").partition(":")[0]


def parse_split(name: str) -> Split:
    """Return a split by its name."""
    splits: dict[str, Split] = {"train": "train", "test": "test", "all": "all"}
    if name not in splits:
        raise ConfigError(f"split {name!r}: expected one of {', '.join(splits)}")
    return splits[name]


def _tolerances(pixels: list[int] | tuple[int, ...]) -> list[int]:
    for px in pixels:
        if not 0 <= px <= MAX_TOLERANCE_PX:
            raise ConfigError(f"tolerance {px}: expected 0 to {MAX_TOLERANCE_PX} pixels")
    return sorted({0, *pixels})


def _plot(out: Path, subject: Subject, samples: list[Sample], counted: Tally, label: str) -> None:
    """Write the curve, and panels of the best, median, worst and thinnest images."""
    from scnet_edge.evaluation import plots

    out.mkdir(parents=True, exist_ok=True)
    plots.draw_curves(out / "precision-recall.png", {label: plots.total(counted)})
    named = {sample.name: sample for sample in samples}
    for kind, names in plots.pick_images(counted).items():
        for name in names:
            frame, truth = named[name].read_frame(), named[name].read_mask()
            mask = subject.decision.mask_of(subject.run(frame))
            plots.write_panel(out / kind / f"{name}.png", frame, mask, truth)


def _record(bundle: Path, scores: Evaluation) -> None:
    """Write the F1 into the manifest beside that of PyTorch in FP32, which the card holds."""
    from scnet_edge.bundle.manifest import Accuracy, read_manifest, record_accuracy
    from scnet_edge.models.cards import find_card

    manifest = read_manifest(bundle)
    name, threshold = manifest.model.name, scores.shipped.threshold
    known = find_card(name).metrics
    if known is None or (known.data, known.images, known.threshold) != (
        scores.data,
        scores.images,
        threshold,
    ):
        raise ConfigError(
            f"--record: the card of {name} has no score on {scores.data} at {threshold} to set "
            "beside it; leave --record out"
        )
    accuracy = Accuracy(
        data=scores.data,
        images=scores.images,
        f1=scores.shipped.f1,
        f1_reference=known.f1,
        engine=scores.engine,
    )
    record_accuracy(bundle, manifest, accuracy)


def _summary(scores: Evaluation) -> str:
    from scnet_edge.models.decision import Decision

    shipped, best = scores.shipped, scores.ods
    decision = Decision(threshold=shipped.threshold, seed=shipped.seed)
    low, high = shipped.ci95
    best_low, best_high = best.ci95
    tolerant = ", ".join(f"{f1:.4f} at {px} px" for px, f1 in scores.tolerance.items())
    return "\n".join(
        [
            f"{scores.subject} on {scores.images} images of {scores.data}, {scores.engine}; "
            "zero tolerance, 95 % intervals over images",
            f"  shipped, at {decision}: F1 {shipped.f1:.4f} "
            f"[{low:.4f}, {high:.4f}], precision {shipped.precision:.4f}, "
            f"recall {shipped.recall:.4f}, crack IoU {shipped.iou:.4f}",
            f"  best threshold {best.threshold:.2f} (ODS): F1 {best.f1:.4f} "
            f"[{best_low:.4f}, {best_high:.4f}], precision {best.precision:.4f}, "
            f"recall {best.recall:.4f}",
            f"  there crack IoU {scores.iou:.4f}, mean IoU {scores.miou:.4f}, "
            f"32x32 patch F1 {scores.patch_f1:.4f}, thin-crack recall {scores.thin_recall:.4f}",
            f"  OIS {scores.ois:.4f}, AUPRC {scores.auprc:.4f}, boundary F1 "
            f"{scores.boundary_f1:.4f}; best F1 by tolerance: {tolerant}",
            *([f"  {alarms_line(scores.alarms)}"] if scores.alarms else []),
        ]
    )


def over_corpus(path: Path, subject: Subject, name: str) -> DomainScores:
    """Return the scores on the test splits of a corpus, with a progress line."""
    from rich.console import Console
    from rich.progress import Progress

    from scnet_edge.cli.progress import show_progress
    from scnet_edge.data.corpus import read_corpus
    from scnet_edge.evaluation.domains import score_corpus

    corpus = read_corpus(path)
    with show_progress(Progress(console=Console(stderr=True))) as progress:

        def track(samples: list[Sample], domain: str) -> Iterable[Sample]:
            return progress.track(samples, description=domain)

        (scores,) = score_corpus(
            corpus,
            subject.run,
            decisions=[subject.decision],
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
    (score,) = score_domain(predictions(subject.run, tracked), decisions=[subject.decision])
    return DomainScores(
        subject=name,
        engine=subject.engine,
        threshold=subject.decision.threshold,
        seed=subject.decision.seed,
        domains={domain: score},
    )


def print_domains(scores: DomainScores) -> None:
    """Print a line for each domain."""
    from scnet_edge.models.decision import Decision

    decision = Decision(threshold=scores.threshold, seed=scores.seed)
    print(f"{scores.subject} at {decision}, {scores.engine}; test splits, 95 % intervals")
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
