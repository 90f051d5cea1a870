"""`scnet-edge compile`, `verify` and `bundle`: what one does with a bundle that is there."""

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

bundle_app = typer.Typer(help="Sign bundles, and write them for other servers.")
app.add_typer(bundle_app, name="bundle")


@bundle_app.command("new-key")
def new_key(
    private: Annotated[Path, typer.Argument(help="The private key to write, such as maker.pem.")],
) -> None:
    """Make a pair of keys: the private one stays here, the public one goes to the robots."""
    from scnet_edge.bundle import signing

    public = signing.new_key(private)
    typer.echo(f"private  {private}")
    typer.echo(f" public  {public}")


@bundle_app.command("sign")
def sign(
    bundle: Annotated[Path, typer.Argument(help="A folder made by 'scnet-edge build'.")],
    key: Annotated[Path, typer.Option(help="The private key, as 'new-key' writes it.")],
) -> None:
    """Sign a bundle; what changes its manifest, such as 'evaluate', asks for a new signature."""
    from scnet_edge.bundle import signing

    typer.echo(signing.sign_bundle(bundle, key))


@bundle_app.command("export")
def export(
    bundle: Annotated[Path, typer.Argument(help="A folder made by 'scnet-edge build'.")],
    triton: Annotated[
        Path, typer.Option(help="The model repository of Triton Inference Server to write into.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Of the model there; default: the network's.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of this name.")
    ] = False,
) -> None:
    """Write a bundle as a model of Triton Inference Server: its graph and config.pbtxt."""
    from scnet_edge.bundle.triton import write_repository

    typer.echo(write_repository(bundle, triton, name, overwrite=overwrite))


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


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A folder made by 'scnet-edge build'.")],
    engine: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or tensorrt; default: the best here.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="A public key that the bundle must be signed with.")
    ] = None,
) -> None:
    """Check a bundle's hashes and its parity with the PyTorch reference on its golden frames."""
    from rich.console import Console
    from rich.table import Table

    from scnet_edge.bundle.verify import require_parity, verify_bundle
    from scnet_edge.cli.progress import show_steps

    if key is not None:
        from scnet_edge.bundle.signing import require_signature

        require_signature(bundle, key)
    with show_steps("running the golden frames"):
        manifest, here = verify_bundle(bundle, engine=engine, threads=threads)
    table = Table(title=f"{bundle}: {manifest.model.name}, {manifest.precision}")
    for column in ("golden frames against PyTorch FP32", "when built", "here"):
        table.add_column(column)
    built = manifest.parity
    flips = [p.prior_flip_rate for p in (built, here)]
    rows = {
        "engine": [built.engine, here.engine],
        f"mask F1 (at least {manifest.min_mask_f1})": [f"{p.mask_f1:.5f}" for p in (built, here)],
        "equal mask pixels": [f"{p.mask_agreement:.5%}" for p in (built, here)],
        "largest error of the probability": [f"{p.max_abs_error:.2e}" for p in (built, here)],
        "mean error of the probability": [f"{p.mean_abs_error:.2e}" for p in (built, here)],
        "flipped prior pixels": ["-" if f is None else f"{f:.4%}" for f in flips],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    Console().print(table)
    require_parity(here, manifest.min_mask_f1)
    signed = f", signed by the owner of {key}" if key is not None else ""
    Console().print(f"{len(manifest.files)} files whole, parity holds{signed}")
