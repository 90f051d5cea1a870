"""What was measured of loop and schedule is what the page states, with machine and day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks/results/robot").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_page_states_what_was_measured(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert {"machine", "date", "version", "bundle", "engine"} <= result.keys()
    page = (ROOT / "docs/robot.md").read_text(encoding="utf-8")
    for row in result.get("rows", {}).values():
        cells = (row["crack_recall"], row["pixel_recall"], row["pixel_precision"])
        stated = " | ".join(f"{value:.4f}" for value in cells)
        assert f"| {stated} | {row['time_of_full']:.3f}" in page
    for key in ("engine_on_this_machine", "engine_elsewhere"):
        if key in result:
            assert f"{result[key]['ratio']:.3f}" in page
