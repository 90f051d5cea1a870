"""`scnet-edge bundle`: keys and signatures, for robots that run their maker's bundles alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app

bundle_app = typer.Typer(help="Sign bundles, so that a robot runs those of its maker alone.")
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
