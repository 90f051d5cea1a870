"""What was measured of whole surveys with a model is what the page states, with machine and day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks/results/survey").glob("*.json"))


def test_there_is_one_of_each_view() -> None:
    modes = [json.loads(path.read_text(encoding="utf-8"))["plan"]["mode"] for path in RESULTS]
    assert sorted(modes) == ["forward", "side"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_page_states_what_was_measured(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert {"machine", "date", "version", "bundle", "engine", "frames"} <= result.keys()
    mode, plan = result["plan"]["mode"], result["plan"]
    cells = (
        f"{result['found']} of {result['cracks']}",
        str(result["found_in_pieces"]),
        f"{result['false_alarms']} ({result['false_alarms_in_one_frame']})",
        f"{100 * result['false_alarms'] / plan['metres']:.0f}",
        f"{100 * result['length_error_share_abs_median']:.1f} %",
        f"{result['width_error_mm_abs_median']:.2f} mm",
    )
    sure = [result, *result["at_least_as_sure"]]
    page = (ROOT / "docs/measurement.md").read_text(encoding="utf-8")
    for row in (cells, [f"{one['found']}, {one['false_alarms']}" for one in sure]):
        assert f"| {mode} | " + " | ".join(row) + " |" in page
