"""Results as Markdown, for the terminal and the README."""

from __future__ import annotations

from collections.abc import Sequence

from scnet_edge.bench.schema import Result, Row

HEAD = (
    "model",
    "engine",
    "size",
    "FPS engine / pipeline / camera",
    "ms p50 / p95 / p99",
    "F1",
    "MB",
)


def table(results: Sequence[Result]) -> str:
    """Return one line a case; the three scopes side by side, latency of the widest one."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for result in results:
        cases: dict[tuple[object, ...], list[Row]] = {}
        for row in result.rows:
            cases.setdefault(row.case_key, []).append(row)
        lines += [_line(_cells(rows)) for rows in cases.values()]
    return "\n".join(lines)


def provenance(result: Result) -> str:
    """Return where and when a result was measured, in one sentence."""
    e = result.environment
    return (
        f"{e.cores} cores of {e.cpu} ({', '.join(e.cpu_flags) or 'no SIMD known'}), "
        f"{e.gpu or 'no GPU'}, {e.started[:10]}, commit {e.commit or 'unknown'}: `{result.command}`"
    )


def _cells(rows: list[Row]) -> list[str]:
    by_scope = {row.scope: row for row in rows}
    last = rows[-1]
    fps = [
        f"{by_scope[scope].fps:.1f}" if scope in by_scope else "-"
        for scope in ("engine", "pipeline", "camera_to_mask")
    ]
    latency = last.latency_ms
    f1 = "not measured" if last.f1 is None else f"{last.f1:.4f}"
    if last.f1_ci95:
        f1 += " [{:.3f}, {:.3f}]".format(*last.f1_ci95)
    return [
        last.model,
        last.label,
        f"{last.size_hw[1]}x{last.size_hw[0]}",
        " / ".join(fps),
        f"{latency.p50:.1f} / {latency.p95:.1f} / {latency.p99:.1f}",
        f1,
        f"{last.rss_mb:.0f}",
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
