"""Results as Markdown, for the terminal and the README."""

from __future__ import annotations

from collections.abc import Sequence

from scnet_edge.bench import figures
from scnet_edge.bench.figures import FEW_FRAMES, REFERENCES, short
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow, Scope

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


def document(results: Sequence[BenchmarkResult]) -> str:
    """Return for each machine where it was measured, its table, and what could not be measured."""
    return "\n\n".join(
        "\n\n".join(
            [
                provenance(result),
                table(result),
                *([FEW_FRAMES] if any(map(figures.too_few_frames, result.rows)) else []),
                *(f"Not measured: {line}." for line in failure_lines(result)),
            ]
        )
        for result in results
    )


def table(result: BenchmarkResult) -> str:
    """Return one line a case; the three scopes side by side, latency of the widest one."""
    lines = [HEAD, ["---"] * len(HEAD), *map(_cells, figures.by_case(result.rows))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def provenance(result: BenchmarkResult) -> str:
    """Return where and when a result was measured, and by which command, in one sentence."""
    e = result.environment
    return (
        f"{e.cores} cores of {e.cpu} ({', '.join(e.cpu_flags) or 'no SIMD known'}), "
        f"{e.gpu or 'no GPU'}, {e.started[:10]}, commit {e.commit or 'unknown'}, "
        f"F1 on {figures.images(result.rows)}: `{result.command}`"
    )


def failure_lines(result: BenchmarkResult) -> list[str]:
    """Return why cases failed, a line for each model and reason."""
    return [f"{name} {labels}: {why}" for name, labels, why in figures.group_failures(result)]


def _cells(case: dict[Scope, BenchmarkRow]) -> list[str]:
    widest, engine = list(case.values())[-1], case.get("engine")
    return [
        widest.name,
        widest.label,
        figures.size(widest),
        *(short(case[scope].fps) if scope in case else "-" for scope in figures.SCOPES),
        figures.rounds(widest),
        " / ".join(figures.percentiles(widest).values()),
        figures.f1(widest),
        *(f"{faster[0]:.2f}" if faster else "-" for faster in figures.speedups(widest)),
        figures.percent(engine.limit.share) if engine and engine.limit else "-",
        f"{widest.rss_mb:.0f}",
    ]
