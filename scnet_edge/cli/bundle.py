"""`scnet-edge bundle`: signatures, for robots that run their maker's bundles; and for servers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app

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
