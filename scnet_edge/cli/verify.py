"""`scnet-edge verify`: is this bundle whole, and does this machine's engine agree with PyTorch?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app


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
