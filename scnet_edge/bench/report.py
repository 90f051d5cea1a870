"""Results as one HTML file: nothing outside it is asked for, so it can be mailed and archived.

What it says is written here; its scripts draw, filter and answer the pointer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from scnet_edge.bench import explained, figures, report_plot, report_tables
from scnet_edge.bench.comparable import comparable
from scnet_edge.bench.figures import by_case, percent, short
from scnet_edge.bench.machines import Key, machine_names, on_card
from scnet_edge.bench.report_tables import Shown
from scnet_edge.bench.schema import Result

FOLDER = Path(__file__).parent
SCRIPTS = ("report_plot.js", "report.js", "report_limits.js")  # one script, in this order
ENGINES = {
    "openvino": "OpenVINO",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "tensorrt": "TensorRT",
}


def page(results: Sequence[Result]) -> str:
    """Return the page of one or more results; F1 that can be compared share a plot."""
    data = msgspec.json.encode(contents(results)).decode().replace("<", "\\u003c")
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    template = (FOLDER / "report.html").read_text(encoding="utf-8")
    return template.replace("@SCRIPT@", script).replace("@DATA@", data)


def contents(results: Sequence[Result]) -> dict[str, Any]:
    """Return everything that the page says."""
    machines = machine_names(results)
    cases: list[Shown] = [
        ((at, on_card(result, next(iter(case.values())))), case)
        for at, result in enumerate(results)
        for case in by_case(result.rows)
    ]
    names = [machines[at, result.environment.gpu is not None] for at, result in enumerate(results)]
    titles = {
        key: f"{machines[key]}, F1 on {figures.images(results[key[0]].rows)}"
        for key in dict.fromkeys(key for key, _ in cases)
    }
    groups = comparable(results)
    return {
        "words": {"scope": figures.SCOPES, "engine": ENGINES},
        "subtitle": _subtitle(cases, titles),
        "cases": report_plot.drawn(cases, machines),
        "points": report_plot.points(cases, machines, groups),
        "panels": report_plot.panels(groups, {key: machines[key] for key in titles}),
        "reading": report_plot.reading(results, len(groups)),
        "every": report_tables.cases_table(cases, titles),
        "few_frames": figures.FEW_FRAMES * any(figures.too_few_frames(r) for r in _rows(cases)),
        "costs": report_tables.costs_table(cases, titles),
        "unsensed": report_tables.unsensed(cases),
        "failures": report_tables.failures_table(results, names),
        "limits": [_limits(r, machines[at, False]) for at, r in enumerate(results) if r.limits],
        "shares": [_share(i, key, cases, machines) for i, key in _limited(cases)],
        "environments": [_environment(r, n) for r, n in zip(results, names, strict=True)],
    }


def _rows(cases: Sequence[Shown]) -> list[Any]:
    return [row for _, case in cases for row in case.values()]


def _subtitle(cases: Sequence[Shown], titles: dict[Key, str]) -> str:
    sizes = dict.fromkeys(figures.size(row) for row in _rows(cases))
    count = f"{len(cases)} case{'s' * (len(cases) != 1)}"
    return f"{count}, frames of {', '.join(sizes)}. {'; '.join(titles.values())}." if cases else ""


def _limited(cases: Sequence[Shown]) -> list[tuple[int, Key]]:
    return [
        (i, key)
        for i, (key, case) in enumerate(cases)
        if "engine" in case and (case["engine"].limit or case["engine"].profile)
    ]


def _share(i: int, key: Key, cases: Sequence[Shown], machines: dict[Key, str]) -> dict[str, Any]:
    row = cases[i][1]["engine"]
    total = row.latency_ms.p50
    several = len({key for key, _ in cases}) > 1
    return {
        "case": i,
        "title": f"{row.name}, {row.label}{f', {machines[key]}' * several}",
        "share": row.limit.share if row.limit else 0.0,
        "percent": percent(row.limit.share) if row.limit else "-",
        "limit": explained.limit_text(row, ENGINES[row.engine]),
        "parts": [
            (what, ms, f"{what} {short(ms)} ms ({percent(ms / total)})")
            for what, ms in explained.parts(row)
        ],
        "brief": [f"{what} {percent(ms / total)}" for what, ms in explained.parts(row)[1:4]],
        "worst": explained.layers_text(row),
        "layers": explained.layers(row),
    }


def _limits(result: Result, name: str) -> dict[str, Any]:
    assert result.limits
    head = [f"{a.upper()} GOP/s" for a in explained.arithmetics(result.limits)]
    columns = [report_tables.Column("layer", "text"), *map(report_tables.Column, head)]
    lines = [report_tables.Line(list(cells)) for cells in explained.shapes(result.limits)]
    return {
        "text": explained.machine_text(name, result.limits),
        "table": report_tables.Table(columns, [report_tables.Group("", lines)]),
    }


def _environment(result: Result, name: str) -> dict[str, Any]:
    e = result.environment
    threads = dict.fromkeys(r.threads or "left to each engine" for r in result.rows)
    return {
        "command": result.command,
        "facts": {
            "Called here": name,
            "Machine": f"{e.machine}, {e.cores} cores, {e.cpu}",
            "CPU features": ", ".join(e.cpu_flags),
            "GPU": e.gpu or "none",
            "JetPack": e.jetpack or "not a Jetson",
            "Memory": f"{e.memory_gb} GB",
            "System": f"{e.system}, Python {e.python}",
            "Packages": ", ".join(f"{k} {v}" for k, v in e.packages.items()),
            "Commit": e.commit or "unknown",
            "Threads": ", ".join(map(str, threads)),
            "Power mode": e.power_mode or "none",
            "Sensors": ", ".join(f"{k}: {'yes' if v else 'no'}" for k, v in e.sensors.items()),
            "Load before": f"{e.load_before} runnable processes",
            "Date": e.started,
            "Suite": f"{result.suite}, {'complete' if result.complete else 'cut short'}",
        },
    }
