"""`scnet-edge compile`: a bundle's graphs for this machine, tried before they are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app

if TYPE_CHECKING:
    from scnet_edge.bundle.activate import Activation
    from scnet_edge.engines.compiled import CompiledGraph, FallbackPrecision, PrecisionChoice
    from scnet_edge.engines.tensorrt.build_progress import BuildProgress


@app.command("compile")
def compile_here(
    bundle: Annotated[Path, typer.Argument(help="A bundle, in a folder that can be written to.")],
    engine: Annotated[
        str | None, typer.Option(help="tensorrt or openvino; default: this machine's.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to what was compiled before.")
    ] = False,
) -> None:
    """Compile a bundle for this machine, run its golden frames, then use what came out.

    It is to be run on the robot. What was compiled before is kept for --rollback.
    """
    from rich.console import Console

    from scnet_edge.bundle.activate import compile_bundle, roll_back
    from scnet_edge.cli.progress import show_steps

    with show_steps("starting") as report:
        if rollback:
            report("trying the previous build again")
            done = roll_back(bundle, engine=engine, threads=threads)
        else:
            done = compile_bundle(
                bundle, engine=engine, threads=threads, report=report, progress=_show(report)
            )
    Console().print(_summary(bundle, done, rollback=rollback), highlight=False, soft_wrap=True)


def _show(report: Callable[[str], None]) -> Callable[[BuildProgress], bool]:
    """Return what shows the builder's progress, with the time that is left."""

    def show(progress: BuildProgress) -> bool:
        left = progress.remaining_s
        about = "" if left is None else f", about {left / 60:.0f} min {left % 60:.0f} s left"
        report(f"TensorRT: {progress.phase}, {progress.share:.0%}{about}")
        return True

    return show


def _summary(bundle: Path, done: Activation, *, rollback: bool) -> str:
    parity, record = done.parity, done.record
    made = "tried again" if rollback else f"compiled in {done.compile_s:.1f} s"
    lines = [
        f"{bundle}: {made}, opens in {done.open_s:.1f} s, active as device/{done.name}",
        f"  for {', '.join(f'{key} {value}' for key, value in record.identity.items())}",
        f"  against PyTorch FP32 on {parity.frames} golden frames ({parity.engine}): "
        f"mask F1 {parity.mask_f1:.4f}, "
        f"largest error of the probability {parity.max_abs_error:.2g}",
    ]
    if record.fallback:
        lines.append(f"  {_fallback_line(record.fallback)}")
    if record.choice:
        lines.append(f"  {_choice_line(record.choice)}")
    for graph, compiled in record.graphs.items():
        lines += _compiled_lines(graph, compiled)
    if done.previous:
        again = f"--rollback --engine {record.engine}"
        lines.append(f"  kept: device/{done.previous}; {again} makes it active again")
    return "\n".join(lines)


def _fallback_line(fallback: FallbackPrecision) -> str:
    """Return what computes what is not INT8, and why."""
    if fallback.bf16_time is None:
        return "what is not INT8 is computed in FP32: BF16 misses the golden frames"
    return (
        f"what is not INT8 is computed in {fallback.arithmetic.upper()}: with BF16 a frame takes "
        f"{fallback.bf16_time:.2f} of its time with FP32"
    )


def _choice_line(choice: PrecisionChoice) -> str:
    """Return in which precision a bundle of INT8 and FP16 runs, and why."""
    if choice.int8_time is None:
        return f"runs in INT8; FP16 is out: {choice.refused}"
    if choice.precision == "fp16" and choice.int8_time < 1:
        return (
            "runs in FP16, as quick here and nearer to the reference: in INT8 a frame takes "
            f"{choice.int8_time:.2f} of its time in FP16"
        )
    return (
        f"runs in {choice.precision.upper()}, the quicker one here: in INT8 a frame takes "
        f"{choice.int8_time:.2f} of its time in FP16"
    )


def _compiled_lines(graph: str, compiled: CompiledGraph) -> list[str]:
    """Return what became of one graph's convolutions, as far as the engine told."""
    lines = []
    if kernels := compiled.kernels:
        read = ", ".join(f"{n} read {dtype}" for dtype, n in kernels.convolutions.items())
        lone = f"; {len(kernels.lone_qdq)} only quantise or dequantise" if kernels.lone_qdq else ""
        lost = f"; {len(kernels.missing)} not told apart" if kernels.missing else ""
        wrote = ", ".join(f"{n} write {dtype}" for dtype, n in kernels.int8_writes.items())
        wrote = f"; of those in INT8 {wrote}" if wrote else ""
        lines.append(
            f"  {graph}: {kernels.kernels} kernels{lone}; of the convolutions {read}{wrote}{lost}"
        )
    if compiled.excluded:
        names = ", ".join(compiled.excluded)
        lines.append(f"  {graph}: no INT8 kernel here, so in floating point: {names}")
    return lines
