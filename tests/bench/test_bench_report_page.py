"""The report in a real browser: the plots, a filter, the pointer, and no complaint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from browser import Browser, browsing, needs_browser

from scnet_edge.bench.report import page as document
from scnet_edge.bench.schema import BenchmarkResult, read_result

SPEED = Path(__file__).parents[2] / "benchmarks/results/speed"
BUTTON = "[...document.querySelectorAll('#filters button')].find(b => b.textContent === {!r})"


def shown(browser: Browser, page: Path) -> None:
    browser.call("Page.navigate", url=page.as_uri())
    browser.wait_for("document.readyState === 'complete' && document.querySelectorAll('td').length")


def count(browser: Browser, selector: str) -> int:
    found: int = browser.value(f"document.querySelectorAll({selector!r}).length")
    return found


def text(browser: Browser, selector: str) -> str:
    found: str = browser.value(f"document.querySelector({selector!r}).innerText")
    return found


@needs_browser
def test_a_filter_and_the_pointer(row: Callable, result: Callable, tmp_path: Path) -> None:
    here = result(
        row(round_fps=(24.0, 30.0, 36.0)),
        row(engine="torch", precision="fp32", mode="compile", fps=10.0, frames=12),
        row(model="runs/theirs", f1=0.7),
        row(schedule="hed/4", f1=None, not_measured={"f1": "<b>frames</b> that move"}),
    )
    other = msgspec.structs.replace(here.environment, cpu="Other CPU")
    page = tmp_path / "page.html"
    page.write_text(document([here, result(row(images=24), environment=other)]))
    with browsing(tmp_path / "profile") as browser:
        shown(browser, page)
        assert (count(browser, "figure.panel"), count(browser, "g.point")) == (2, 4)
        assert (count(browser, ".point.theirs"), count(browser, ".point .dot")) == (1, 1)
        assert (
            text(browser, "#unplotted") == "Not on the plot, for want of F1: net, openvino int8 "
            "hed/4 on 2-core Some: <b>frames</b> that move."
        )
        assert count(browser, "#cases tr.machine") == 2

        found = "document.querySelector('.point[aria-label*=\"24.0 to 36.0\"]')"
        box = f"{found}.getBoundingClientRect()"
        x, y = (
            browser.value(f"{box}.{a} + {box}.{b} / 2")
            for a, b in (("x", "width"), ("y", "height"))
        )
        browser.point_at(x, y, until="!document.getElementById('tip').hidden")
        tip = text(browser, "#tip")
        assert "net, openvino int8\n30.0 FPS, camera to mask, at 384x544" in tip
        assert "3 rounds, 24.0 to 36.0 FPS" in tip
        assert count(browser, ".range") == 1
        browser.point_at(2, 2, until="document.getElementById('tip').hidden")
        assert count(browser, ".range") == 0

        browser.value(f"{BUTTON.format('FP32')}.click()")
        assert count(browser, "g.point") == 3
        assert "torch fp32 compile" not in text(browser, "#cases")
        browser.value(f"{BUTTON.format('2-core Some')}.click()")
        assert (count(browser, "figure.panel"), count(browser, "g.point")) == (1, 1)
        assert text(browser, "figcaption") == "F1 on 24 images of deepcrack test: 2-core Other"
        assert "2-core Some" not in text(browser, "#cases")
        assert text(browser, "#unplotted") == ""
        assert browser.complaints == []


def alike(at: int, result: BenchmarkResult) -> BenchmarkResult:
    """Return a result as if scored on images that all have in common, by networks of its own."""
    replace = msgspec.structs.replace
    rows = [replace(row, model=f"{row.model}{at}", images=row.images and 1) for row in result.rows]
    return replace(result, rows=tuple(rows), scored=None)


@needs_browser
def test_the_committed_results_are_readable_together(tmp_path: Path) -> None:
    """Every line has its name, each set of images its front, and no table hides a column.

    Even on one plot, were they of the same images.
    """
    page, crowded = tmp_path / "page.html", tmp_path / "crowded.html"
    results = [read_result(path) for path in sorted(SPEED.glob("*.json"))]
    page.write_text(document(results))
    crowded.write_text(document([alike(at, result) for at, result in enumerate(results)]))
    with browsing(tmp_path / "profile") as browser:
        shown(browser, page)
        assert count(browser, "figure.panel") == count(browser, "path.front") > 1
        assert count(browser, "text.name") == count(browser, "path.series") > 6
        hidden = (
            "(t => t.scrollWidth - t.parentElement.clientWidth)(document.getElementById('cases'))"
        )
        assert browser.value(hidden) <= 0
        names = count(browser, "text.name")
        shown(browser, crowded)
        assert (count(browser, "figure.panel"), count(browser, "text.name")) == (1, names)
        assert browser.complaints == []
