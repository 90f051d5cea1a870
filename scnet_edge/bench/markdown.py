"""Results as Markdown, for the terminal and the README."""

from __future__ import annotations

from collections.abc import Sequence

from scnet_edge.bench.schema import Result, Row

HEAD = (
    "model",
    "engine",
    "size",
    "FPS: engine",
    "pipeline",
    "camera to mask",
    "its ms p50 / p95 / p99",
    "F1",
    "x PyTorch",
    "x ONNX Runtime",
    "of limit",
    "MB",
)
REFERENCES = ("torch fp32 eager", "onnxruntime fp32")


def document(results: Sequence[Result]) -> str:
    """Return for each machine where it was measured, its table, and what could not be measured."""
    return "\n\n".join(
        "\n\n".join(
            [
                provenance(result),
                table(result),
                *(f"Not measured: {line}." for line in not_measured(result)),
            ]
        )
        for result in results
    )


def table(result: Result) -> str:
    """Return one line a case; the three scopes side by side, latency of the widest one."""
    cases: dict[tuple[object, ...], list[Row]] = {}
    for row in result.rows:
        cases.setdefault(row.case_key, []).append(row)
    lines = [HEAD, ["---"] * len(HEAD), *map(_cells, cases.values())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def provenance(result: Result) -> str:
    """Return where and when a result was measured, and by which command, in one sentence."""
    e = result.environment
    scored = dict.fromkeys(f"{r.images} images of {r.data}" for r in result.rows if r.images)
    return (
        f"{e.cores} cores of {e.cpu} ({', '.join(e.cpu_flags) or 'no SIMD known'}), "
        f"{e.gpu or 'no GPU'}, {e.started[:10]}, commit {e.commit or 'unknown'}, "
        f"F1 on {' and '.join(scored) or 'no images'}: `{result.command}`"
    )


def not_measured(result: Result) -> list[str]:
    """Return why cases failed, a line for each model and reason."""
    cases: dict[tuple[str, str], list[str]] = {}
    for failure in result.failures:
        cases.setdefault((failure.name, failure.error), []).append(failure.label)
    return [f"{name} {', '.join(labels)}: {error}" for (name, error), labels in cases.items()]


def _cells(rows: Sequence[Row]) -> list[str]:
    by_scope = {row.scope: row for row in rows}
    last, engine = rows[-1], by_scope.get("engine")
    latency, f1 = last.latency_ms, "not measured" if last.f1 is None else f"{last.f1:.4f}"
    if last.f1_ci95:
        f1 += " [{:.3f}, {:.3f}]".format(*last.f1_ci95)
    return [
        last.name,
        last.label,
        f"{last.size_hw[1]}x{last.size_hw[0]}",
        *(
            _short(by_scope[scope].fps) if scope in by_scope else "-"
            for scope in ("engine", "pipeline", "camera_to_mask")
        ),
        " / ".join(map(_short, (latency.p50, latency.p95, latency.p99))),
        f1,
        *(f"{last.speedup[r][0]:.2f}" if r in last.speedup else "-" for r in REFERENCES),
        f"{100 * engine.limit.share:.0f} %" if engine and engine.limit else "-",
        f"{last.rss_mb:.0f}",
    ]


def _short(value: float) -> str:
    """Return three digits, or two behind the point of what is small."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
