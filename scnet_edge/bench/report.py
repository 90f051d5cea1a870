"""Results as one HTML file: nothing outside it is asked for, so it can be mailed and archived."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from scnet_edge.bench.schema import Result

FOLDER = Path(__file__).parent
SCRIPTS = ("report_plot.js", "report.js", "report_limits.js")  # one script, in this order


def page(results: Sequence[Result]) -> str:
    """Return the page of one or more results; those of several machines share one plot."""
    data = msgspec.json.encode(list(results)).decode().replace("<", "\\u003c")
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    template = (FOLDER / "report.html").read_text(encoding="utf-8")
    return template.replace("@SCRIPT@", script).replace("@DATA@", data)
