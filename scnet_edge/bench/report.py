"""Results as one HTML file: nothing outside it is asked for, so it can be mailed and archived.

What it says is written here; its scripts draw, filter and answer the pointer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from scnet_edge.bench import figures, report_tables
from scnet_edge.bench.comparable import Basis, basis_of, comparable
from scnet_edge.bench.figures import (
    REFERENCES,
    Key,
    by_case,
    machine_names,
    on_card,
    percent,
    short,
)
from scnet_edge.bench.report_tables import Shown
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow, Environment, Scope
from scnet_edge.pages import page_template

FOLDER = Path(__file__).parent
SCRIPTS = ("report_plot.js", "report.js", "report_limits.js")  # one script, in this order
ENGINES = {
    "openvino": "OpenVINO",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "tensorrt": "TensorRT",
}
PLAIN_MODES = ("default", "eager")
MODES = {
    "bf16-rest": "where INT8 leaves a layer in floating point, it runs in BF16 instead of FP32",
    "compile": "torch.compile",
}


def page(results: Sequence[BenchmarkResult]) -> str:
    """Return the page of one or more results; F1 that can be compared share a plot."""
    template = page_template(
        FOLDER / "report.html",
        style=FOLDER / "report.css",
        scripts=[FOLDER / name for name in SCRIPTS],
    )
    return template.render(data=contents(results))


def contents(results: Sequence[BenchmarkResult]) -> dict[str, Any]:
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
        "cases": cases_to_draw(cases, machines),
        "points": points(cases, machines, groups),
        "panels": panels(groups, {key: machines[key] for key in titles}),
        "reading": explain_plot(results, len(groups)),
        "every": report_tables.cases_table(cases, titles),
        "few_frames": figures.FEW_FRAMES * any(figures.too_few_frames(r) for r in _rows(cases)),
        "costs": report_tables.costs_table(cases, titles),
        "unsensed": report_tables.name_missing_sensors(cases),
        "failures": report_tables.failures_table(results, names),
        "limits": [_limits(r, machines[at, False]) for at, r in enumerate(results) if r.limits],
        "shares": [_share(i, key, cases, machines) for i, key in _cases_with_limits(cases)],
        "environments": [_environment(r, n) for r, n in zip(results, names, strict=True)],
    }


def _rows(cases: Sequence[Shown]) -> list[Any]:
    return [row for _, case in cases for row in case.values()]


def _subtitle(cases: Sequence[Shown], titles: dict[Key, str]) -> str:
    sizes = dict.fromkeys(figures.size(row) for row in _rows(cases))
    count = f"{len(cases)} case{'s' * (len(cases) != 1)}"
    return f"{count}, frames of {', '.join(sizes)}. {'; '.join(titles.values())}." if cases else ""


def _cases_with_limits(cases: Sequence[Shown]) -> list[tuple[int, Key]]:
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
        "limit": report_tables.limit_text(row, ENGINES[row.engine]),
        "parts": [
            (what, ms, f"{what} {short(ms)} ms ({percent(ms / total)})")
            for what, ms in report_tables.parts(row)
        ],
        "brief": [f"{what} {percent(ms / total)}" for what, ms in report_tables.parts(row)[1:4]],
        "worst": report_tables.layers_text(row),
        "layers": report_tables.layers(row),
    }


def _limits(result: BenchmarkResult, name: str) -> dict[str, Any]:
    assert result.limits
    head = [f"{a.upper()} GOP/s" for a in report_tables.arithmetics(result.limits)]
    columns = [report_tables.Column("layer", "text"), *map(report_tables.Column, head)]
    lines = [report_tables.Line(list(cells)) for cells in report_tables.shapes(result.limits)]
    return {
        "text": report_tables.machine_text(name, result.limits),
        "table": report_tables.Table(columns, [report_tables.Group("", lines)]),
    }


def _environment(result: BenchmarkResult, name: str) -> dict[str, Any]:
    e = result.environment
    threads = dict.fromkeys(r.threads or "left to each engine" for r in result.rows)
    return {
        "command": result.command,
        "facts": {
            "Called here": name,
            "Machine": f"{e.machine}, {e.cores} cores, {e.cpu}",
            "CPU features": ", ".join(e.cpu_flags),
            "GPU": _gpu(e),
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


class DrawnCase(msgspec.Struct, frozen=True):
    """A case, as the filters and marks of the page tell cases apart."""

    model: str
    engine: str
    precision: str
    mode: str
    machine: str
    theirs: bool  # a network that scnet-edge does not ship
    name: str  # of its line, where all on a plot are of one machine
    series: str  # of its line else


class Point(msgspec.Struct, frozen=True):
    """A row: in a panel where it has an F1, else with the reason why not."""

    case: int
    scope: Scope
    fps: float
    rounds: tuple[float, float]
    f1: float | None
    f1_ci95: tuple[float, float] | None
    panel: int | None
    why: str
    tip: list[str]


def _gpu(e: Environment) -> str:
    if e.gpu is None:
        return "none"
    return f"{e.gpu} (compute capability {e.compute_capability}); driver for CUDA {e.cuda}"


def cases_to_draw(cases: Sequence[Shown], machines: dict[Key, str]) -> list[DrawnCase]:
    """Return the cases; their names say the size where there are several."""
    rows = [(machines[key], next(iter(case.values()))) for key, case in cases]
    sizes = len({(row.size_hw, row.frame_hw) for _, row in rows}) > 1
    names = [f"{row.name} {figures.size(row)}" if sizes else row.name for _, row in rows]
    return [
        DrawnCase(
            model=row.name,
            engine=row.engine,
            precision=row.precision,
            mode="plain" if row.mode in PLAIN_MODES else row.mode,
            machine=machine,
            theirs=row.is_folder,
            name=name,
            series=f"{name} on {machine}",
        )
        for name, (machine, row) in zip(names, rows, strict=True)
    ]


def panels(groups: Sequence[Sequence[Basis]], machines: dict[Key, str]) -> list[str]:
    """Return what each panel's F1 is of, and the machines on it."""
    titles: list[str] = []
    for group in groups:
        images = f"F1 on {group[0].images} images of {group[0].data}"
        again = ", other weights than above" if any(t.startswith(images) for t in titles) else ""
        at = {basis.at for basis in group}
        names = dict.fromkeys(name for key, name in machines.items() if key[0] in at)
        titles.append(f"{images}{again}: {', '.join(names)}")
    return titles


def points(
    cases: Sequence[Shown], machines: dict[Key, str], groups: Sequence[Sequence[Basis]]
) -> list[Point]:
    """Return every row of every case."""
    home = {basis: i for i, group in enumerate(groups) for basis in group}
    return [
        _point(i, row, home.get(basis_of(key[0], row)), machines[key])
        for i, (key, case) in enumerate(cases)
        for row in case.values()
    ]


def explain_plot(results: Sequence[BenchmarkResult], panels: int) -> list[str]:
    """Return how to read the plot, as far as these results need it."""
    rows = [row for result in results for row in result.rows]
    several = (
        "F1 on other images, or of other weights, cannot be compared: each has a plot and a "
        "dashed line of its own. "
    )
    theirs = "Hollow marks are networks that scnet-edge does not ship. "
    names = sorted({row.mode for row in rows} - set(PLAIN_MODES))
    modes = [f"{name}: {MODES.get(name, 'as the suite says')}" for name in names]
    dots = f"A dot in a mark is a mode of its engine. {'; '.join(modes)}. "
    return [
        "Up and to the right is better. A line joins the cases of one model, the dashed one those "
        "that nothing beats in both. " + several * (panels > 1),
        "The upright bar is the 95 % interval of F1 over images, of a model's fastest case and of "
        "the one under the pointer; the level bar, under the pointer, goes from the slowest to the "
        "fastest round. ",
        theirs * any(row.is_folder for row in rows)
        + dots * bool(modes)
        + "Camera to mask is the robot's loop under a camera a quarter faster than the pipeline: "
        "from before a JPEG frame is decoded to its mask.",
    ]


def _point(case: int, row: BenchmarkRow, panel: int | None, machine: str) -> Point:
    return Point(
        case=case,
        scope=row.scope,
        fps=row.fps,
        rounds=(min(row.round_fps), max(row.round_fps)),
        f1=row.f1,
        f1_ci95=row.f1_ci95,
        panel=None if row.f1 is None else panel,
        why=row.not_measured.get("f1", "F1 was not measured") if row.f1 is None else "",
        tip=_tip(row, machine),
    )


def _tip(row: BenchmarkRow, machine: str) -> list[str]:
    known = [f"{name} {ms}" for name, ms in figures.percentiles(row).items() if ms != "-"]
    scored = f" on {row.images} images" if row.f1 is not None else ""
    return [
        f"{row.name}, {row.label}",
        f"{short(row.fps)} FPS, {figures.SCOPES[row.scope]}, at {figures.size(row)}",
        f"{len(row.round_fps)} rounds, {figures.rounds(row)} FPS",
        f"{', '.join(known)} ms, of {row.frames} frames",
        f"F1 {figures.f1(row)}{scored}",
        *(
            f"{s[0]:.2f} times as fast as {name} [{s[1]:.2f}, {s[2]:.2f}]"
            for name, s in zip(REFERENCES.values(), figures.speedups(row), strict=True)
            if s
        ),
        f"{row.rss_mb:.0f} MB resident, {row.gflop:.1f} GFLOP a frame",
        machine,
    ]
