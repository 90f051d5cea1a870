"""`scnet-edge models` and `explain`; how a command opens a model, a training run or a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from scnet_edge.cli import app
from scnet_edge.cli.train import device_of
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.folders import check_folder

if TYPE_CHECKING:
    from scnet_edge.evaluation.predict import Run
    from scnet_edge.models.cards import Card
    from scnet_edge.models.decision import Decision


@app.command()
def models(
    json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
) -> None:
    """List the shipped models."""
    import msgspec

    from scnet_edge.models.cards import shipped_models

    cards = shipped_models()
    if json:
        listed = [msgspec.to_builtins(card) | {"path": str(card.path)} for card in cards]
        print(msgspec.json.format(msgspec.json.encode(listed)).decode())
        return
    print("\n".join(line for card in cards for line in _describe(card)))


def _describe(card: Card) -> list[str]:
    height, width = card.size_hw
    score = card.metrics
    f1 = f"{score.f1:.3f} [{score.ci95[0]:.3f}, {score.ci95[1]:.3f}]" if score else "-"
    return [
        f"{card.name}: {card.parameters / 1e6:.2f} M parameters, "
        f"{card.gmac:.1f} GMAC at {height}x{width}",
        f"   F1       {f1}",
        f"   licence  {card.licence}",
        f"   weights  {_near(card.path)}, SHA-256 {card.sha256[:12]}",
    ]


def _near(path: Path) -> str:
    """Return the path from here where it lies below, else in full."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class Subject(NamedTuple):
    """Something to evaluate, opened."""

    run: Run
    engine: str
    decision: Decision


@contextmanager
def open_subject(
    subject: str,
    engine: str | None,
    *,
    refine: bool = False,
    device: str = "cpu",
    scale: str | None = None,
) -> Iterator[Subject]:
    """Open a bundle on its engine, or a model or training run in PyTorch.

    Raises:
        InputError: it is none of them.
        ConfigError: an engine or a scale was chosen for a model, refinement for one without, or a
            device for what has no choice of it.
    """
    from scnet_edge.models.cards import is_run

    chosen = device not in ("auto", "cpu")
    if Path(subject).is_dir() and not is_run(Path(subject)):
        if refine:
            raise ConfigError("--refine is for runs of deepcrack-liu; leave it out for a bundle")
        if chosen:
            raise ConfigError("--device is for models; a bundle runs on its --engine")
        from scnet_edge.runtime.pipeline import Pipeline
        from scnet_edge.runtime.scale import check_scale

        chosen_scale = check_scale(scale or "native")
        with Pipeline.open(subject, engine=engine, scale=chosen_scale) as pipeline:
            yield Subject(
                lambda frame: pipeline(frame).probability,
                pipeline.engine,
                pipeline.manifest.decision,
            )
        return
    card = crack_model(subject)
    if engine:
        raise ConfigError("--engine is for bundles; a model runs in PyTorch, so leave it out")
    if scale:
        raise ConfigError(
            "--scale is for bundles; a model takes images as they are, so leave it out"
        )
    if refine and chosen:
        raise ConfigError("--refine runs on the CPU; leave --device out")
    yield _refine(card) if refine else _reference(card, device_of(device))


def crack_model(name: str) -> Card:
    """Return the card of a crack model: a shipped one by name, or a training run by its folder.

    Raises:
        InputError: there is none.
    """
    from scnet_edge.models.cards import find_card, is_run, shipped_models

    names = [card.name for card in shipped_models() if card.kind == "scnet"]
    if name not in names and not is_run(Path(name)):
        raise InputError(
            f"{name!r}: expected a bundle folder, a training run or a crack model, "
            f"{', '.join(names)}"
        )
    return find_card(name)


def _reference(card: Card, device: str) -> Subject:
    from scnet_edge.evaluation.predict import reference_run
    from scnet_edge.models.weights import open_prior, open_scnet

    hed = open_prior(card)
    run = reference_run(open_scnet(card), hed, device=device)
    engine = "PyTorch FP32" if device == "cpu" else f"PyTorch FP32 on {device}"
    return Subject(run, engine, card.decision)


def _refine(card: Card) -> Subject:
    from scnet_edge.evaluation.predict import REFINED_THRESHOLD, refined_run
    from scnet_edge.models.baselines import DeepCrackLiu
    from scnet_edge.models.decision import Decision
    from scnet_edge.models.weights import open_scnet

    model = open_scnet(card)
    if not isinstance(model, DeepCrackLiu):
        raise ConfigError(f"--refine is for runs of deepcrack-liu; {card.name} is {card.kind}")
    run = refined_run(model, card.threshold)
    refined = Decision(threshold=REFINED_THRESHOLD)
    return Subject(run, "PyTorch FP32, guided filter", refined)


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="A name of 'scnet-edge models', or a run.")],
    image: Annotated[Path, typer.Argument(help="One image.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.", show_default=False)],
) -> None:
    """Draw the maps of every scale, the attention maps and Grad-CAM of one image."""
    from scnet_edge.cli.models import crack_model
    from scnet_edge.data.pictures import read_image
    from scnet_edge.evaluation.explain import explain_frame, write_explanation
    from scnet_edge.models.weights import open_prior, open_scnet

    check_folder(out)
    card, frame = crack_model(model), read_image(image)
    hed = open_prior(card)
    found = explain_frame(open_scnet(card), hed, frame, threshold=card.threshold)
    paths = write_explanation(out, frame, found)
    sheets = [path.name for path in paths if path.name.startswith("sheet-")]
    print(f"{out}: {len(paths)} pictures; {', '.join(sheets)} show them together")
