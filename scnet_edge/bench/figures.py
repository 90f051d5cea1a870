"""Figures and machines as people read them: Markdown for the terminal, texts for the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow, Case, Environment, Scope

REFERENCES = {"torch fp32 eager": "PyTorch", "onnxruntime fp32": "ONNX Runtime"}
SCOPES: dict[Scope, str] = {
    "engine": "engine alone",
    "pipeline": "frame to mask",
    "camera_to_mask": "camera to mask",
}
FRAMES_FOR = {"p50": 1, "p95": 20, "p99": 100}  # fewer, and the percentile is the slowest frame
FEW_FRAMES = (
    f"Latency: p95 is of {FRAMES_FOR['p95']} frames or more, p99 of {FRAMES_FOR['p99']}; "
    "- where a row has fewer."
)
HEAD = (
    "model",
    "engine",
    "size",
    "FPS: engine",
    "pipeline",
    "camera to mask",
    "its slowest to fastest round",
    "its ms p50 / p95 / p99",
    "F1",
    *(f"x {name}" for name in REFERENCES.values()),
    "of limit",
    "MB",
)


def by_case(rows: Iterable[BenchmarkRow]) -> list[dict[Scope, BenchmarkRow]]:
    """Return the rows of each case by scope, the widest scope last."""
    cases: dict[tuple[object, ...], dict[Scope, BenchmarkRow]] = {}
    for row in rows:
        cases.setdefault(row.case_key, {})[row.scope] = row
    return [{s: found[s] for s in SCOPES if s in found} for found in cases.values()]


def short(value: float) -> str:
    """Return three digits, or two behind the point of what is small."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def percent(share: float) -> str:
    """Return a share as `32 %`."""
    return f"{100 * share:.0f} %"


def size(case: Case) -> str:
    """Return height and width, `384x544`; of other frames both, `384x544 of 1080x1920`."""
    network = "{}x{}".format(*case.size_hw)
    return f"{network} of {'x'.join(map(str, case.frame_hw))}" if case.frame_hw else network


def rounds(row: BenchmarkRow) -> str:
    """Return the FPS of the slowest and of the fastest round."""
    return f"{short(min(row.round_fps))} to {short(max(row.round_fps))}"


def percentiles(row: BenchmarkRow) -> dict[str, str]:
    """Return p50, p95 and p99 in ms; `-` for which there are too few frames."""
    return {
        name: short(getattr(row.latency_ms, name)) if row.frames >= needed else "-"
        for name, needed in FRAMES_FOR.items()
    }


def too_few_frames(row: BenchmarkRow) -> bool:
    """Return whether a percentile of the row cannot be told."""
    return row.frames < max(FRAMES_FOR.values())


def f1(row: BenchmarkRow) -> str:
    """Return F1 with its interval."""
    if row.f1 is None:
        return "not measured"
    interval = " [{:.3f}, {:.3f}]".format(*row.f1_ci95) if row.f1_ci95 else ""
    return f"{row.f1:.4f}{interval}"


def images(rows: Iterable[BenchmarkRow]) -> str:
    """Return what F1 is of: `32 images of deepcrack test`."""
    scored = dict.fromkeys(f"{r.images} images of {r.data}" for r in rows if r.images)
    return " and ".join(scored) or "no images"


def group_failures(result: BenchmarkResult) -> list[tuple[str, str, str]]:
    """Return model, cases and reason of what failed, the cases of one reason together."""
    cases: dict[tuple[str, str], list[str]] = {}
    for failure in result.failures:
        cases.setdefault((failure.name, failure.error), []).append(failure.label)
    return [(name, ", ".join(labels), error) for (name, error), labels in cases.items()]


def speedups(row: BenchmarkRow) -> Sequence[tuple[float, float, float] | None]:
    """Return how many times as fast as each reference, and the interval over rounds."""
    return [row.speedup.get(reference) for reference in REFERENCES]


Key = tuple[int, bool]  # which result, and whether its graphics card computed
NOISE = re.compile(r"\(R\)|\(TM\)|\d+-Core|Processor|CPU|@.*")


def on_card(result: BenchmarkResult, row: BenchmarkRow) -> bool:
    """Return whether the machine's graphics card computed a row."""
    return result.environment.gpu is not None and "CPU" not in row.device


def machine_names(results: Sequence[BenchmarkResult]) -> dict[Key, str]:
    """Return the shortest names that tell apart what computed: card or processor, then the date."""
    keys = [(at, on_card(result, row)) for at, result in enumerate(results) for row in result.rows]
    keys += [(at, result.environment.gpu is not None) for at, result in enumerate(results)]
    keys += [(at, False) for at, result in enumerate(results) if result.limits]  # the processor's
    for spelling in (_short, _full, _name_with_date):
        names = {key: spelling(results[key[0]].environment, card=key[1]) for key in keys}
        if len(set(names.values())) == len(names):
            return names
    return {key: f"{name}, file {key[0] + 1}" for key, name in names.items()}


def _short(e: Environment, *, card: bool) -> str:
    if card and e.gpu:
        return re.sub(r"^NVIDIA |\s\d+ ?GB.*", "", e.gpu)
    return _full(e, card=False)


def _full(e: Environment, *, card: bool) -> str:
    if card and e.gpu:
        return e.gpu
    return f"{e.cores}-core {' '.join(NOISE.sub('', e.cpu).split())}"


def _name_with_date(e: Environment, *, card: bool) -> str:
    return f"{_full(e, card=card)}, {e.started[:10]}"


def document(results: Sequence[BenchmarkResult]) -> str:
    """Return for each machine where it was measured, its table, and what could not be measured."""
    return "\n\n".join(
        "\n\n".join(
            [
                provenance(result),
                table(result),
                *([FEW_FRAMES] if any(map(too_few_frames, result.rows)) else []),
                *(f"Not measured: {line}." for line in failure_lines(result)),
            ]
        )
        for result in results
    )


def table(result: BenchmarkResult) -> str:
    """Return one line a case; the three scopes side by side, latency of the widest one."""
    lines = [HEAD, ["---"] * len(HEAD), *map(_cells, by_case(result.rows))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def provenance(result: BenchmarkResult) -> str:
    """Return where and when a result was measured, and by which command, in one sentence."""
    e = result.environment
    return (
        f"{e.cores} cores of {e.cpu} ({', '.join(e.cpu_flags) or 'no SIMD known'}), "
        f"{e.gpu or 'no GPU'}, {e.started[:10]}, commit {e.commit or 'unknown'}, "
        f"F1 on {images(result.rows)}: `{result.command}`"
    )


def failure_lines(result: BenchmarkResult) -> list[str]:
    """Return why cases failed, a line for each model and reason."""
    return [f"{name} {labels}: {why}" for name, labels, why in group_failures(result)]


def _cells(case: dict[Scope, BenchmarkRow]) -> list[str]:
    widest, engine = list(case.values())[-1], case.get("engine")
    return [
        widest.name,
        widest.label,
        size(widest),
        *(short(case[scope].fps) if scope in case else "-" for scope in SCOPES),
        rounds(widest),
        " / ".join(percentiles(widest).values()),
        f1(widest),
        *(f"{faster[0]:.2f}" if faster else "-" for faster in speedups(widest)),
        percent(engine.limit.share) if engine and engine.limit else "-",
        f"{widest.rss_mb:.0f}",
    ]
