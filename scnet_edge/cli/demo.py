"""`scnet-edge demo`: from the packaged sample to a report, without a camera, a clone or torch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="A folder, new or empty.")] = Path("demo"),
) -> None:
    """Try it: segment, score and inspect the packaged film; each command is shown, then run."""
    from scnet_edge.errors import ConfigError
    from scnet_edge.folders import check_folder
    from scnet_edge.sample import FILM, ODOMETRY, PIPE, TRUTH, sample_file, unpack_bundle

    check_folder(out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: not empty; name another folder by --out")
    bundle, survey = out / "bundle", out / "survey"
    film, truth, pipe = (str(sample_file(name)) for name in (FILM, TRUTH, PIPE))
    unpack_bundle(bundle)
    typer.echo(f"a bundle of the default model, made beforehand: {bundle}")
    for line in (
        ["run", str(bundle), "--source", film, "--truth", truth, "--out", str(out / "run")],
        [
            *("inspect", str(bundle), "--source", film, "--pipe", pipe),
            *("--odometry", ODOMETRY, "--out", str(survey)),
        ],
        ["report", str(survey)],
    ):
        typer.echo(f"\n$ scnet-edge {shlex.join(line)}")
        app(line, standalone_mode=False)
