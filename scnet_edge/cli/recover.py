"""`scnet-edge recover`: a file that a power cut left torn, made whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app


@app.command()
def recover(
    file: Annotated[Path, typer.Argument(help="A .jsonl or .mcap file of a run.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: NAME-recovered beside it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Copy every whole record of a torn file into a new one, and say how much was lost."""
    import msgspec

    from scnet_edge.sinks.recover import recover as recover_file

    target = out or file.with_name(f"{file.stem}-recovered{file.suffix}")
    done = recover_file(file, target)
    if json:
        typer.echo(msgspec.json.encode(done).decode())
    else:
        typer.echo(f"{done.out}: {done.records} records; {done.lost_bytes} bytes could not be used")
