"""`scnet-edge models`: what is shipped, how large, how good, under which licence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app

if TYPE_CHECKING:
    from scnet_edge.models.cards import Card


@app.command()
def models(
    json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
) -> None:
    """List the shipped models."""
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from scnet_edge.models.cards import shipped_models

    cards = shipped_models()
    if json:
        listed = [msgspec.to_builtins(card) | {"path": str(card.path)} for card in cards]
        print(msgspec.json.format(msgspec.json.encode(listed)).decode())
        return
    table = Table()
    for title in ("name", "parameters", "GMAC", "F1 [95 %]", "licence", "SHA-256", "where"):
        table.add_column(title, no_wrap=title in ("name", "SHA-256"), overflow="fold")
    for card in cards:
        table.add_row(*_row(card))
    Console().print(table)


def _row(card: Card) -> list[str]:
    height, width = card.size_hw
    score = card.metrics
    return [
        card.name,
        f"{card.parameters / 1e6:.2f} M",
        f"{card.gmac:.1f} at {height}x{width}",
        f"{score.f1:.3f} [{score.ci95[0]:.3f}, {score.ci95[1]:.3f}]" if score else "-",
        card.licence,
        card.sha256[:12],
        _near(card.path.parent),
    ]


def _near(folder: Path) -> str:
    """Return the folder from here where it lies below, else in full."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
