"""A table in Markdown, and where the results lie that fill it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scnet_edge.models.cards import shipped_models

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
SETS = ("deepcrack", "crackforest", "masonry")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def edge_models() -> list[str]:
    """Return the names of the crack nets that ship."""
    return [card.name for card in shipped_models() if card.kind == "scnet"]


def read_any(path: Path) -> Any:
    """Return what a JSON file holds, for results without a schema."""
    return json.loads(path.read_text(encoding="utf-8"))
