"""What the page says: texts and tables, cell by cell; its scripts only set them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from scnet_edge.bench import figures
from scnet_edge.bench.figures import REFERENCES, Key, percent, short
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow, MachineLimits, Precision, Scope

Cell = str | tuple[str, str]  # a text, or a text and what the pointer over it says
Shown = tuple[Key, dict[Scope, BenchmarkRow]]  # a case, and what computed it
SENSORS = {"joules": ("J a frame", 3), "temperature_c": ("°C", 0), "power_mode": ("power mode", 0)}
NARROW = {"onnxruntime fp32": "ORT"}


class Column(msgspec.Struct, frozen=True):
    """The head of a column; `looks` is `text`, `mark`, `strong` or nothing."""

    text: str
    looks: str = ""


class Line(msgspec.Struct, frozen=True):
    """One line; `case` is the place of its case among all, for the filters."""

    cells: list[Cell]
    case: int | None = None


class Group(msgspec.Struct, frozen=True):
    """The lines of one machine, under its name where there are several."""

    title: str
    lines: list[Line]


class Table(msgspec.Struct, frozen=True):
    """A table of the page."""

    columns: list[Column]
    groups: list[Group]


def cases_table(cases: Sequence[Shown], titles: dict[Key, str]) -> Table:
    """Return speed, latency, F1, and shares of every case."""
    sizes = len({figures.size(_widest(case)) for _, case in cases}) > 1
    columns = [
        Column("model", "text"),
        Column("engine", "mark"),
        *([Column("size")] if sizes else []),
        Column("FPS: engine"),
        Column("pipeline"),
        Column("camera", "strong"),
        Column("slowest to fastest round"),
        Column("ms p50 / p95 / p99"),
        Column("F1 [95 %]"),
        *(Column(f"x {NARROW.get(label, name)}") for label, name in REFERENCES.items()),
        Column("of limit"),
    ]

    def cells(case: dict[Scope, BenchmarkRow]) -> list[Cell]:
        widest, engine = _widest(case), case.get("engine")
        return [
            widest.name,
            widest.label,
            *([figures.size(widest)] if sizes else []),
            *(_fps(case.get(scope)) for scope in figures.SCOPES),
            figures.rounds(widest),
            _latency(widest),
            figures.f1(widest),
            *(
                (f"{s[0]:.2f}", f"95 % interval over rounds: {s[1]:.2f} to {s[2]:.2f}")
                if s
                else "-"
                for s in figures.speedups(widest)
            ),
            percent(engine.limit.share) if engine and engine.limit else "-",
        ]

    return Table(columns, _group(cases, titles, cells))


def costs_table(cases: Sequence[Shown], titles: dict[Key, str]) -> Table:
    """Return start, memory, energy and stages of every case."""
    sensed = _sensors(cases)
    columns = [
        Column("model", "text"),
        Column("engine", "mark"),
        Column("file MB"),
        Column("resident MB"),
        Column("first mask ms, cold"),
        Column("warm"),
        Column("loop over engine"),
        *(Column(SENSORS[name][0]) for name in sensed),
        Column("stages, ms", "text"),
    ]

    def cells(case: dict[Scope, BenchmarkRow]) -> list[Cell]:
        widest, engine, loop = _widest(case), case.get("engine"), case.get("camera_to_mask")
        stages = [f"{stage} {ms:.1f}" for stage, ms in widest.stages_ms.items() if ms >= 0.05]
        return [
            widest.name,
            widest.label,
            _digits(widest.file_mb, 1),
            _digits(widest.rss_mb, 0),
            _digits(widest.first_mask_ms.get("cold"), 0),
            _digits(widest.first_mask_ms.get("warm"), 0),
            percent(loop.fps / engine.fps) if loop and engine else "-",
            *(_sensor(widest, name) for name in sensed),
            ", ".join(stages),
        ]

    return Table(columns, _group(cases, titles, cells))


def name_missing_sensors(cases: Sequence[Shown]) -> str:
    """Return which sensors no row has, and why."""
    sensed = _sensors(cases)
    found = dict.fromkeys(
        f"{SENSORS[name][0]} ({why})"
        for name in SENSORS
        if name not in sensed
        for _, case in cases
        if (why := _widest(case).not_measured.get(name))
    )
    return f"Not measured: {', '.join(found)}." if found else ""


def failures_table(results: Iterable[BenchmarkResult], names: Sequence[str]) -> Table:
    """Return what could not be measured."""
    return Table(
        [Column("model", "text"), Column("engine", "text"), Column("why", "text")],
        [
            Group(name, [Line(list(cells)) for cells in figures.group_failures(result)])
            for result, name in zip(results, names, strict=True)
            if result.failures
        ],
    )


def _group(
    cases: Sequence[Shown],
    titles: dict[Key, str],
    cells: Callable[[dict[Scope, BenchmarkRow]], list[Cell]],
) -> list[Group]:
    return [
        Group(title, [Line(cells(case), i) for i, (at, case) in enumerate(cases) if at == key])
        for key, title in titles.items()
    ]


def _widest(case: dict[Scope, BenchmarkRow]) -> BenchmarkRow:
    return list(case.values())[-1]


def _fps(row: BenchmarkRow | None) -> Cell:
    if row is None:
        return "-"
    return short(row.fps), f"{len(row.round_fps)} rounds: {', '.join(map(short, row.round_fps))}"


def _latency(row: BenchmarkRow) -> Cell:
    text = " / ".join(figures.percentiles(row).values())
    few = f" {figures.FEW_FRAMES}" if figures.too_few_frames(row) else ""
    return text, f"of {row.frames} frames.{few}"


def _sensors(cases: Sequence[Shown]) -> list[str]:
    return [
        name
        for name in SENSORS
        if any(getattr(_widest(case), name) is not None for _, case in cases)
    ]


def _sensor(row: BenchmarkRow, name: str) -> Cell:
    value = getattr(row, name)
    if value is None:
        return "not measured", row.not_measured.get(name, "")
    return value if isinstance(value, str) else _digits(value, SENSORS[name][1])


def _digits(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


SORTS = {  # of OpenVINO's layers, in words
    "convolutions": re.compile(r"(Group|De)?[Cc]onvolution"),
    "element-wise layers": re.compile(r"Subgraph|Eltwise|Math|FakeQuantize"),
    "matrix products": re.compile(r"FullyConnected|MatMul"),
    "pooling and resizing": re.compile(r"MaxPool|AvgPool|Pooling|Interpolate"),
    "moving data": re.compile(
        r"Reorder|Concat|VariadicSplit|Split|Slice|Transpose|DepthToSpace|Convert|StridedSlice"
    ),
}
SMALL = 0.005  # a part of a frame's time that is left out


def sort_of(kind: str) -> str:
    """Return in words what a layer does, by the engine's name of its kind."""
    return next((what for what, names in SORTS.items() if names.match(kind)), "other layers")


def parts(row: BenchmarkRow) -> list[tuple[str, float]]:
    """Return the parts of a frame's time in ms, which add up to all of it.

    Empty where the limit or the engine's counters were not read.
    """
    if row.limit is None or row.profile is None:
        return []
    total, ideal = row.latency_ms.p50, row.latency_ms.p50 * row.limit.share
    scale = min(1.0, total / row.profile.total_ms)  # counters cost a little themselves
    sorts: dict[str, float] = {}
    for kind, ms in row.profile.by_kind_ms.items():
        sorts[sort_of(kind)] = sorts.get(sort_of(kind), 0.0) + scale * ms
    slower = max(0.0, sorts.pop("convolutions", 0.0) - ideal)
    found = [
        ("the convolutions at the limit", ideal),
        ("convolutions slower than that", slower),
        *sorted(sorts.items(), key=lambda item: -item[1]),
        ("outside the layers", max(0.0, total - scale * row.profile.total_ms)),
    ]
    return [(what, ms) for what, ms in found if ms >= SMALL * total]


def limit_text(row: BenchmarkRow, engine: str) -> str:
    """Return in a sentence or two how near a row comes to its limit."""
    if row.limit is None:
        return ""
    text = (
        f"{row.gflop:.1f} GFLOP of convolutions a frame would take "
        f"{short(1e3 * row.gflop / row.limit.limit_gops)} ms at {row.limit.limit_gops:.0f} GOP/s, "
        f"the best this machine attained in {row.limit.arithmetic.upper()}; "
        f"the engine takes {short(row.latency_ms.p50)} ms."
    )
    if row.profile is None:
        rest = percent(1 - row.limit.share)
        text += f" Where the other {rest} go is not known: {engine}'s own counters are not read."
    return text


def layers_text(row: BenchmarkRow) -> str:
    """Return what the slowest layers take together, and what INT8 leaves in floating point."""
    if row.profile is None:
        return ""
    total, worst = row.profile.total_ms, row.profile.worst
    text = f"The {len(worst)} slowest layers below take {percent(sum(w.ms for w in worst) / total)}"
    floating = sum(
        ms
        for kind, ms in row.profile.by_kind_ms.items()
        if re.match(r"Convolution.*_(f32|bf16)$", kind)
    )
    if row.precision != "int8" or not floating:
        return f"{text} of the time."
    return (
        f"{text} of the time. {percent(floating / total)} of the time are convolutions that INT8 "
        "leaves in floating point, mostly 1x1."
    )


def layers(row: BenchmarkRow) -> list[list[str]]:
    """Return of each slowest layer: what, ms, share of the time, GOP/s, share of the limit."""
    if row.profile is None:
        return []
    found = []
    for layer in row.profile.worst:
        gops = 1e3 * layer.gflop / layer.ms if layer.gflop else None
        found.append(
            [
                f"{layer.name}, {layer.kind}",
                f"{layer.ms:.2f}",
                percent(layer.ms / row.profile.total_ms),
                f"{gops:.0f}" if gops else "-",
                percent(gops / row.limit.limit_gops) if gops and row.limit else "-",
            ]
        )
    return found


def machine_text(name: str, limits: MachineLimits) -> str:
    """Return what a machine attains at best."""
    best = ", ".join(f"{limits.best_gops(a):.0f} GOP/s in {a.upper()}" for a in arithmetics(limits))
    return (
        f"{name}: six equal 3x3 convolutions in a row attain at best {best}; "
        f"memory copies {limits.bandwidth_gb_s:.0f} GB/s."
    )


def arithmetics(limits: MachineLimits) -> Sequence[Precision]:
    """Return the arithmetics that were measured."""
    return list(dict.fromkeys(rate.arithmetic for rate in limits.rates))


def shapes(limits: MachineLimits) -> list[list[str]]:
    """Return of each shape of layer its rate in every arithmetic."""
    rates: dict[str, dict[str, float]] = {}
    for rate in limits.rates:
        shape = f"{rate.channels[0]} channels, {rate.size_hw[0]}x{rate.size_hw[1]}"
        rates.setdefault(shape, {})[rate.arithmetic] = rate.gops
    return [
        [shape, *(f"{found[a]:.0f}" if a in found else "-" for a in arithmetics(limits))]
        for shape, found in rates.items()
    ]
