"""`scnet-edge calibrate`: INT8 ranges from frames that are chosen, compared and shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError
from scnet_edge.folders import check_folder

if TYPE_CHECKING:
    from scnet_edge.quantization.gather_frames import Gathered
    from scnet_edge.quantization.histograms import Method
    from scnet_edge.quantization.ranges import CalibrationFile


@app.command()
def calibrate(
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Frames: a folder, a video, or NAME:DIR for a training split; repeatable."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The .toml file to write, as calibration/NAME.toml.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="[DATA]...", help="More.")] = None,
    frames: Annotated[int, typer.Option(help="How many to choose, 8 at least.")] = 128,
    model: Annotated[str | None, typer.Option(help="A name of 'scnet-edge models'.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the networks, HEIGHTxWIDTH.")] = None,
    scale: Annotated[
        Literal["native", "fit"] | None,
        typer.Option(help="Frames in tiles or whole; default, as 'run': native for pictures."),
    ] = None,
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
    colours_checked: Annotated[
        bool,
        typer.Option("--colours-checked", help="Red and blue are in order; do not compare tints."),
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Keep histograms here, for the next.")] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(help="A folder of frames without a crack: find a seed for --bundle."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Gets that seed as operating point 'own'.")
    ] = None,
    alarmed: Annotated[
        float, typer.Option(min=0, max=1, help="The share of them that may be alarmed.")
    ] = 0.05,
) -> None:
    """Choose frames, compare the methods on them, write ranges and a contact sheet beside.

    With --negatives: find how sure a bundle must be so that alarms stay rare on your own walls.
    """
    if negatives or bundle:
        if not (negatives and bundle) or data or out:
            raise ConfigError(
                "--negatives and --bundle: expected both, without --data and --out; give the two"
            )
        return find_own_point(negatives, bundle, alarmed)
    if not data or not out:
        raise ConfigError("expected --data and --out, or --negatives and --bundle; give two")
    from scnet_edge.bundle.recipe import make_recipe
    from scnet_edge.cli.progress import show_steps
    from scnet_edge.config import parse_size
    from scnet_edge.quantization.choose_frames import MIN_FRAMES, write_sheet
    from scnet_edge.quantization.collect_ranges import calibrate_ranges
    from scnet_edge.quantization.gather_frames import gather
    from scnet_edge.quantization.histograms import METHODS
    from scnet_edge.quantization.ranges import write_ranges

    if frames < MIN_FRAMES:
        raise ConfigError(f"--frames {frames}: expected at least {MIN_FRAMES}")
    given = {"model": model, "size_hw": None if size is None else parse_size(size)}
    recipe = make_recipe(
        precision="int8", **{name: value for name, value in given.items() if value is not None}
    )
    methods = METHODS if method is None else (_method(method),)
    sources = [*data, *(more or [])]
    _check_places(out, sources)
    if cache:
        check_folder(cache)
    with show_steps("reading frames") as report:
        gathered = gather(
            sources,
            frames,
            recipe.size_hw,
            validation=validation,
            evaluation=evaluation or [],
            colours_checked=colours_checked,
            scale=scale,
        )
        calibration = calibrate_ranges(
            recipe,
            gathered.chosen,
            source=gathered.source,
            validation=gathered.judged,
            validation_name=gathered.judged_name,
            colours_checked=colours_checked,
            methods=methods,
            cache=cache,
            report=report,
        )
    write_ranges(out, calibration)
    sheet = out.with_suffix(".png")
    write_sheet(sheet, gathered.chosen)
    print("\n".join([_counts(gathered), *_summary(out, sheet, calibration)]))


def find_own_point(negatives: Path, bundle: Path, alarmed: float) -> None:
    """Find the operating point `own` on frames without a crack, and write it into the bundle."""
    from rich.console import Console
    from rich.progress import track

    from scnet_edge.bundle.manifest import record_operating_point
    from scnet_edge.data.datasets import open_dataset
    from scnet_edge.evaluation.alarms import add_alarms, count_alarms
    from scnet_edge.evaluation.operating import quiet_point
    from scnet_edge.evaluation.predict import predictions
    from scnet_edge.models.decision import Decision
    from scnet_edge.runtime.pipeline import Pipeline

    samples = open_dataset(f"negative:{negatives}", "all")
    with Pipeline.open(bundle) as pipeline:
        tracked = track(samples, "frames", console=Console(stderr=True))
        maps = [p for _, p in predictions(lambda frame: pipeline(frame).probability, tracked)]
        manifest = pipeline.manifest
    point = quiet_point(maps, threshold=manifest.threshold, alarmed=alarmed)
    record_operating_point(bundle, manifest, point)
    own = Decision(threshold=point.threshold, seed=point.seed)
    for name, decision in (("ships", manifest.decision), ("own", own)):
        found = add_alarms((count_alarms(decision.mask_of(p)) for p in maps), decision)
        print(
            f"{name}: {decision}, {found.alarmed:.1%} of {found.frames} frames alarmed, "
            f"{found.per_frame:.2f} alarms a frame"
        )
    print(f"{bundle}: has it now; scnet-edge run {bundle} --operating-point own")


def _method(name: str) -> Method:
    from scnet_edge.quantization.histograms import METHODS

    for method in METHODS:
        if method == name:
            return method
    raise ConfigError(f"method {name!r}: expected one of {', '.join(METHODS)}")


def _check_places(out: Path, sources: list[str]) -> None:
    """Refuse places that cannot be written or where what is written would be read as a frame."""
    from scnet_edge.quantization.ranges import is_ranges

    if out.suffix != ".toml" or out.is_dir():
        raise ConfigError(f"{out}: expected a file to write that ends in .toml")
    check_folder(out.parent)
    for source in sources:
        given = Path(source if Path(source).exists() else source.partition(":")[2] or source)
        if given.is_dir() and out.resolve().is_relative_to(given.resolve()):
            raise ConfigError(
                f"{out}: lies in {given}, whose images are read; the contact sheet would be one of "
                "them, so write elsewhere"
            )
    for path in (out, out.with_suffix(".png")):
        if path.exists() and not (out.is_file() and is_ranges(out)):
            raise ConfigError(
                f"{path}: is in the way, and {out} is no earlier calibration; name another --out"
            )


def _counts(gathered: Gathered) -> str:
    return (
        f"{gathered.read} frames read; left out: {gathered.validating} that validate, "
        f"{gathered.repeats} that repeat another, {gathered.twins} that a public data set repeats "
        "in its own test split"
    )


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
