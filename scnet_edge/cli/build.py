"""`scnet-edge build`: from trained weights to a verified bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError

if TYPE_CHECKING:
    from scnet_edge.bundle.manifest import Candidate, GateRecord, Manifest, Precision
    from scnet_edge.bundle.recipe import Recipe


DEFAULT_GATE = "f1:0.005"


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.", show_default=False)],
    int8: Annotated[bool, typer.Option("--int8", help="INT8 by Q/DQ nodes.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="FP16 by casts.")] = False,
    fp32: Annotated[bool, typer.Option("--fp32", help="FP32, the reference.")] = False,
    model: Annotated[str | None, typer.Option(help="A name of 'scnet-edge models'.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the networks, HEIGHTxWIDTH.")] = None,
    frame_size: Annotated[
        str | None, typer.Option(help="Size of the camera frames, resized in the graph.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Frames, or tiles of one, that the graph takes at once."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe of export/; options override it.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="INT8 ranges: a name in calibration/, or a .toml file.")
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(help=f"How much F1 INT8 may lose against FP32; default: {DEFAULT_GATE}."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="NAME:DIR whose test split the gate scores; default: drawn frames."),
    ] = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Ship INT8 although it fails the gate.")
    ] = False,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="For another machine: do not time INT8 on this one.")
    ] = False,
    split_graphs: Annotated[
        bool, typer.Option("--split-graphs", help="Write HED and SCNet apart as well.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an old bundle.")] = False,
) -> None:
    """Build a bundle: trace to ONNX, lower the precision, verify against PyTorch.

    INT8 has to pass the gate and to be faster here; else the bundle gets the next precision that
    passes, and the manifest says why. Exit status 2 when nothing passes.
    """
    from scnet_edge.build import GateRequest, build_bundle
    from scnet_edge.cli.progress import show_steps
    from scnet_edge.config import parse_size
    from scnet_edge.quantization.gate import parse_gate

    chosen = _recipe(
        recipe,
        _precision({"int8": int8, "fp16": fp16, "fp32": fp32}),
        {
            "model": model,
            "size_hw": parse_size(size) if size is not None else None,
            "frame_hw": parse_size(frame_size) if frame_size is not None else None,
            "batch": batch,
            "calibration": calibration,
            "split_graphs": split_graphs or None,
        },
    )
    if chosen.precision != "int8":
        _refuse(
            {
                "--calibration": calibration,
                "--gate": gate,
                "--data": data,
                "--allow-loss": allow_loss,
                "--elsewhere": elsewhere,
            },
            f"only for INT8, which alone is judged; give --int8 in place of {chosen.precision}, "
            "or leave it out",
        )
    request = GateRequest(
        gate=parse_gate(DEFAULT_GATE if gate is None else gate),
        data=tuple(data or ()),
        allow_loss=allow_loss,
        elsewhere=elsewhere,
    )
    with show_steps("starting") as report:
        manifest = build_bundle(
            chosen,
            out,
            gate=request,
            overwrite=overwrite,
            report=report,
        )
    print(_summary(out, manifest))


def _refuse(options: Mapping[str, object], why: str) -> None:
    """Raise ConfigError when one of the options was given: it would do nothing."""
    given = [name for name, value in options.items() if value not in (None, False, [])]
    if given:
        raise ConfigError(f"{', '.join(given)}: {why}")


def _precision(flags: dict[Precision, bool]) -> Precision | None:
    given = [name for name, on in flags.items() if on]
    if len(given) > 1:
        raise ConfigError(f"one precision, please; found --{' and --'.join(given)}")
    return given[0] if given else None


def _recipe(path: Path | None, precision: Precision | None, options: dict[str, object]) -> Recipe:
    """Return the recipe file, or the defaults, with the options that were given on top."""
    import msgspec

    from scnet_edge.bundle.recipe import make_recipe, read_recipe

    base = msgspec.to_builtins(read_recipe(path)) if path else {}
    given = {key: value for key, value in options.items() if value is not None}
    if precision:
        given["precision"] = precision
    merged: dict[str, Any] = base | given
    if "precision" not in merged:
        raise ConfigError("no precision: expected --int8, --fp16 or --fp32, or a --recipe")
    return make_recipe(**merged)


def _summary(out: Path, manifest: Manifest) -> str:
    parity, size = manifest.parity, "x".join(map(str, manifest.input.size_hw))
    lines = [
        f"{out}: {manifest.model.name}, {manifest.precision}, {size}, prior {manifest.model.prior}",
        f"  against PyTorch FP32 on {parity.frames} golden frames ({parity.engine}): "
        f"mask F1 {parity.mask_f1:.4f} (at least {manifest.min_mask_f1}), "
        f"largest error of the probability {parity.max_abs_error:.2g}",
    ]
    if manifest.calibration:
        ranges = manifest.calibration
        lines.append(
            f"  {manifest.quantised_convolutions} convolutions in INT8; "
            f"{ranges.method} ranges of {ranges.source}"
        )
    if manifest.gate:
        lines += gate_lines(manifest.gate)
    lines.append(
        f"  next: scnet-edge compile {out} on the robot, scnet-edge run {out} --source ..."
    )
    return "\n".join(lines)


def gate_lines(gate: GateRecord) -> list[str]:
    """Return what was tried, what it lost and what ships, a line each."""
    lines = [f"  gate {gate.spec} on {gate.data}, {gate.engine}, threshold {gate.threshold:.2f}:"]
    for candidate in gate.candidates:
        lines += _candidate_lines(candidate)
    if gate.unjudged:
        few = ", ".join(f"{name} ({images} images)" for name, images in gate.unjudged.items())
        lines.append(f"    not judged, too few images or crack pixels: {few}")
    return [*lines, f"  ships {gate.shipped}: {gate.decision}"]


def _candidate_lines(candidate: Candidate) -> list[str]:
    low, high = candidate.lost_ci95
    shift = candidate.best_threshold - candidate.best_threshold_fp32
    lines = [
        f"    {'pass' if candidate.passed else 'FAIL'}  {candidate.name}: F1 {candidate.f1:.4f}, "
        f"FP32 {candidate.f1_fp32:.4f}, lost {candidate.lost_f1:+.4f} [{low:+.4f}, {high:+.4f}], "
        f"{candidate.mask_agreement:.2%} of the pixels agree, best threshold {shift:+.2f}"
    ]
    lines += [
        f"          {s.name}, {s.images} images: F1 {s.f1:.4f}, lost {s.f1_fp32 - s.f1:+.4f}"
        for s in candidate.strata
    ]
    return [*lines, *(f"          {reason}" for reason in candidate.reasons)]
