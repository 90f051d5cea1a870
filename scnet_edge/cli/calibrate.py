"""`scnet-edge calibrate`: INT8 ranges from frames that are chosen, compared and shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError

if TYPE_CHECKING:
    from scnet_edge.graph.histograms import Method
    from scnet_edge.graph.ranges import CalibrationFile
    from scnet_edge.int8.annotated import Annotated as AnnotatedFrame
    from scnet_edge.int8.candidates import Candidate

VALIDATION_FRAMES = 16


@app.command()
def calibrate(
    data: Annotated[
        list[str],
        typer.Option(
            help="Frames: a folder, a video, or NAME:DIR for a training split; repeatable."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .toml file to write, as calibration/NAME.toml.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[DATA]...", help="More.")] = None,
    frames: Annotated[int, typer.Option(help="How many to choose, 8 at least.")] = 128,
    model: Annotated[str | None, typer.Option(help="A name of 'scnet-edge models'.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the networks, HEIGHTxWIDTH.")] = None,
    validation: Annotated[
        str | None,
        typer.Option(help="NAME:DIR; every tenth image of its training split compares methods."),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        typer.Option(help="NAME:DIR of your own test split, which must not calibrate; repeatable."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="minmax, percentile, mse or entropy; default: the best.")
    ] = None,
    bluish: Annotated[
        bool, typer.Option("--bluish", help="The frames are blue by nature, not RGB for BGR.")
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder for histograms.")] = None,
) -> None:
    """Choose frames, compare the methods on them, write ranges and a contact sheet beside."""
    from rich.console import Console

    from scnet_edge.bundle.recipe import DEFAULT_MODEL, DEFAULT_SIZE_HW, Recipe, parse_size
    from scnet_edge.graph.histograms import METHODS
    from scnet_edge.graph.ranges import write_ranges
    from scnet_edge.int8.cache import default_cache
    from scnet_edge.int8.choose import MIN_FRAMES, refuse_swapped
    from scnet_edge.int8.collect import calibrate as calibrated
    from scnet_edge.int8.sheet import write_sheet

    if frames < MIN_FRAMES:
        raise ConfigError(f"--frames {frames}: expected at least {MIN_FRAMES}")
    if out.suffix != ".toml":
        raise ConfigError(f"{out}: expected a file that ends in .toml")
    recipe = Recipe(
        precision="int8",
        model=model or DEFAULT_MODEL,
        size_hw=parse_size(size) if size else DEFAULT_SIZE_HW,
    )
    methods = METHODS if method is None else (_method(method),)
    console, sources = Console(), [*data, *(more or [])]
    with console.status("reading frames ...") as status:
        chosen, judged, notes = _frames(
            sources, frames, recipe.size_hw, validation, evaluation or []
        )
        if not bluish:
            refuse_swapped(chosen)
        calibration = calibrated(
            recipe,
            chosen,
            source=f"{len(chosen)} of {notes.pop(0)}",
            validation=judged[0],
            validation_name=judged[1],
            bluish=bluish,
            methods=methods,
            cache=cache or default_cache(),
            report=lambda step: status.update(f"{step} ..."),
        )
    write_ranges(out, calibration)
    sheet = out.with_suffix(".png")
    write_sheet(sheet, chosen)
    print("\n".join([*notes, *_summary(out, sheet, calibration)]))


def _method(name: str) -> Method:
    from scnet_edge.graph.histograms import METHODS

    for method in METHODS:
        if method == name:
            return method
    raise ConfigError(f"method {name!r}: expected one of {', '.join(METHODS)}")


def _frames(
    sources: list[str],
    wanted: int,
    size_hw: tuple[int, int],
    validation: str | None,
    evaluation: list[str],
) -> tuple[list[tuple[Candidate, str]], tuple[list[AnnotatedFrame], str], list[str]]:
    """Return the chosen frames, those that compare the methods with their name, and notes."""
    from scnet_edge.int8.annotated import drawn_frames, drawn_name, unannotated, validation_frames
    from scnet_edge.int8.candidates import packaged_detector, read_candidates
    from scnet_edge.int8.choose import (
        choose_frames,
        evenly_spaced,
        refuse_useless,
        without_repeats,
    )
    from scnet_edge.int8.leakage import evaluation_hashes, held_back, refuse_leaks

    judged, name = validation_frames(validation) if validation else ([], "")
    with packaged_detector() as (detect, threshold):
        found = read_candidates(sources, wanted, size_hw, detect, threshold)
    whole, twins = refuse_leaks(found, evaluation_hashes(evaluation))
    distinct = without_repeats(held_back(whole, judged))
    refuse_useless(distinct, len(found))
    chosen = choose_frames(distinct, wanted)
    rest = [c for c in distinct if c.name not in {taken.name for taken, _ in chosen}]
    if not judged and len(rest) >= VALIDATION_FRAMES // 2:
        few = evenly_spaced(rest, VALIDATION_FRAMES)
        judged = unannotated([(c.name, c.frame) for c in few])
        name = f"the masks of FP32 on {len(few)} frames that were not chosen"
    elif not judged:
        judged, name = drawn_frames(size_hw), drawn_name()
    where = ", ".join("/".join(Path(source).parts[-2:]) for source in sources)
    height, width = size_hw
    notes = [
        f"{len(found)} frames of {where} at {height}x{width}, by crack area, light, blur and look",
        f"{len(found)} frames read; left out: {len(whole) - len(held_back(whole, judged))} that "
        f"validate, {len(held_back(whole, judged)) - len(distinct)} that repeat another, "
        f"{len(twins)} that a public data set repeats in its own test split",
    ]
    return chosen, (judged, name), notes


def _summary(out: Path, sheet: Path, calibration: CalibrationFile) -> list[str]:
    lines = [
        f"{out}: {len(calibration.ranges)} ranges, {calibration.method}, from {calibration.source}",
        f"{sheet}: the contact sheet; look at it",
        f"compared on {calibration.validation}, {calibration.engine}:",
    ]
    for trial in calibration.comparison:
        lines.append(
            f"  {'*' if trial.chosen else ' '} {trial.network:6}{trial.method:22}"
            f"F1 {trial.f1:.4f}, FP32 {trial.f1_fp32:.4f}, "
            f"mean error of the probability {trial.mean_abs_error:.2g}"
        )
    return lines
