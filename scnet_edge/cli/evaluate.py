"""`scnet-edge evaluate`: pixel scores of a model or bundle on annotated images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError, InputError

if TYPE_CHECKING:
    from scnet_edge.data.datasets import Split
    from scnet_edge.evaluation import Evaluation
    from scnet_edge.evaluation.predict import Run


class Subject(NamedTuple):
    """Something to evaluate, opened."""

    run: Run
    engine: str
    threshold: float


@app.command()
def evaluate(
    subject: Annotated[str, typer.Argument(help="A name of 'scnet-edge models', or a bundle.")],
    data: Annotated[
        str, typer.Option(help="deepcrack:DIR, crackforest:DIR, masonry:DIR or folder:DIR.")
    ],
    split: Annotated[str, typer.Option(help="train, test or all.")] = "test",
    engine: Annotated[
        str | None, typer.Option(help="The engine of a bundle; a model runs in PyTorch.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores here as well.")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write a bundle's F1 into its manifest, too.")
    ] = False,
) -> None:
    """Score a model (PyTorch FP32) or a bundle (an engine) against annotated masks."""
    from rich.console import Console
    from rich.progress import Progress

    from scnet_edge.config import write_json
    from scnet_edge.data.datasets import open_dataset
    from scnet_edge.evaluation import evaluate as score
    from scnet_edge.evaluation.predict import predictions

    if json and (json.is_dir() or not json.parent.is_dir()):
        raise ConfigError(f"{json}: expected a file to write in a folder that exists")
    samples = open_dataset(data, _split(split))
    with _opened(subject, engine) as opened, Progress(console=Console(stderr=True)) as progress:
        scores = score(
            predictions(opened.run, progress.track(samples, description=subject)),
            threshold=opened.threshold,
            subject=subject,
            engine=opened.engine,
            data=f"{data.partition(':')[0]} {split}",
        )
    if json:
        write_json(json, scores)
    if record:
        _record(Path(subject), scores)
    print(_summary(scores))


def _split(name: str) -> Split:
    splits: dict[str, Split] = {"train": "train", "test": "test", "all": "all"}
    if name not in splits:
        raise ConfigError(f"split {name!r}: expected one of {', '.join(splits)}")
    return splits[name]


@contextmanager
def _opened(subject: str, engine: str | None) -> Iterator[Subject]:
    """Open a bundle on its engine, or a shipped model in PyTorch."""
    from scnet_edge.models.cards import shipped_models

    if Path(subject).is_dir():
        from scnet_edge.runtime.pipeline import Pipeline

        with Pipeline.open(subject, engine=engine) as pipeline:
            yield Subject(
                lambda frame: pipeline(frame).probability,
                pipeline.engine,
                pipeline.manifest.threshold,
            )
        return
    names = [card.name for card in shipped_models() if card.kind == "scnet"]
    if subject not in names:
        raise InputError(
            f"{subject!r}: expected a bundle folder or a crack model, {', '.join(names)}"
        )
    if engine:
        raise ConfigError("--engine is for bundles; a model runs in PyTorch, so leave it out")
    yield _reference(subject)


def _reference(name: str) -> Subject:
    from scnet_edge.evaluation.predict import reference_run
    from scnet_edge.models.cards import find_card
    from scnet_edge.models.weights import open_hed, open_scnet

    card = find_card(name)
    hed = open_hed() if card.takes_prior else None
    return Subject(reference_run(open_scnet(card), hed), "PyTorch FP32", card.threshold)


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
    shipped, best, tolerant = scores.shipped, scores.best, scores.tolerant
    low, high = scores.shipped_ci95
    best_low, best_high = scores.best_ci95
    return "\n".join(
        (
            f"{scores.subject} on {scores.images} images of {scores.data}, {scores.engine}; "
            "zero tolerance, 95 % intervals over images",
            f"  shipped threshold {shipped.threshold:.2f}: F1 {shipped.f1:.4f} "
            f"[{low:.4f}, {high:.4f}], precision {shipped.precision:.4f}, "
            f"recall {shipped.recall:.4f}, crack IoU {scores.iou:.4f}",
            f"  best threshold {best.threshold:.2f} (ODS): F1 {best.f1:.4f} "
            f"[{best_low:.4f}, {best_high:.4f}], precision {best.precision:.4f}, "
            f"recall {best.recall:.4f}",
            f"  OIS {scores.ois:.4f}, AUPRC {scores.auprc:.4f}, "
            f"F1 at {scores.tolerance_px} px tolerance {tolerant.f1:.4f}",
        )
    )
