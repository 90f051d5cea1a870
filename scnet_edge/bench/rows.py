"""From what was measured to the rows that are filed."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.bench.bundles import gflop
from scnet_edge.bench.group import Measured, Timed, median
from scnet_edge.bench.schema import Case, Latency, Limits, Row, Scope, Share
from scnet_edge.bundle.manifest import FUSED
from scnet_edge.runtime.telemetry import Telemetry

RESAMPLES, SEED = 1000, 0
REFERENCES = ("torch fp32 eager", "torch fp32 compile", "onnxruntime fp32", "openvino fp32")


def rows_of(
    measured: list[Measured], limits: Limits | None, *, threads: int | None, why_no_f1: str
) -> list[Row]:
    """Return one row for each case and scope, speed-ups within the group included."""
    return [
        _row(m, scope, measured, limits, threads, why_no_f1) for m in measured for scope in m.timed
    ]


def paired_ratio(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> tuple[float, float, float]:
    """Return the median of the ratio of paired rounds and its 95 % interval over rounds."""
    ratio = np.asarray(ours, float) / np.asarray(theirs, float)
    draws = np.random.default_rng(SEED).integers(0, len(ratio), (RESAMPLES, len(ratio)))
    low, high = np.percentile(np.median(ratio[draws], axis=1), (2.5, 97.5))
    return round(float(np.median(ratio)), 3), round(float(low), 3), round(float(high), 3)


def _row(
    m: Measured,
    scope: Scope,
    group: list[Measured],
    limits: Limits | None,
    threads: int | None,
    why_no_f1: str,
) -> Row:
    timed, case = m.timed[scope], m.case
    operations = gflop(case, m.bundle)
    p50, p95, p99 = np.percentile(timed.latency_ms, (50, 95, 99)).round(3).tolist()
    fps = round(float(np.median(timed.round_fps)), 3)
    watts = [] if _card_idles(m, timed) else _watts(timed)
    hottest = [t.hottest_c for t in timed.telemetry if t.hottest_c is not None]
    last = timed.telemetry[-1] if timed.telemetry else Telemetry()
    share = _share(m, operations, limits) if scope == "engine" else None
    score = m.score or {"f1": None, "f1_ci95": None, "images": 0, "data": None}
    row = Row(
        **msgspec.structs.asdict(case),
        scope=scope,
        fps=fps,
        latency_ms=Latency(p50=p50, p95=p95, p99=p99),
        f1=score["f1"],
        f1_ci95=score["f1_ci95"],
        images=score["images"],
        data=score["data"],
        rss_mb=m.rss_mb,
        file_mb=_file_mb(m),
        device=m.device,
        threads=threads,
        gflop=operations,
        frames=len(timed.latency_ms),
        round_fps=tuple(round(f, 3) for f in timed.round_fps),
        stages_ms={stage: median(values) for stage, values in timed.stages_ms.items()},
        first_mask_ms={state: round(ms, 1) for state, ms in m.first_mask_ms.items()},
        speedup=_speedups(case, timed, scope, group),
        limit=share,
        profile=m.profile if scope == "engine" else None,
        joules=round(float(np.mean(watts)) / fps, 4) if watts else None,
        temperature_c=max(hottest, default=None),
        clocks_mhz=last.clocks_mhz or None,
        power_mode=last.power_mode,
        not_measured={},
    )
    return _with_reasons(row, why_no_f1, card_idles=_card_idles(m, timed))


def _with_reasons(row: Row, why_no_f1: str, *, card_idles: bool) -> Row:
    """Return the row with the reason for every figure that it lacks."""
    if row.schedule != "every":
        why_no_f1 = "still images do not show what a kept edge map costs on moving ones"
    short = "or its turns were too short to read it"
    once = "stated once, in the row of the engine scope"
    no_power = f"this machine has no power sensor that we can read, {short}"
    if card_idles:
        no_power = "only the graphics card has a power sensor, and this engine runs on the CPU"
    reasons = {
        "f1": why_no_f1,
        "f1_ci95": why_no_f1,
        "data": why_no_f1,
        "file_mb": "PyTorch runs the weights, not a bundle",
        "limit": once if row.scope != "engine" else "no limit was measured for this engine",
        "profile": once if row.scope != "engine" else "this engine's counters are not read",
        "joules": no_power,
        "temperature_c": f"this machine has no temperature sensor that we can read, {short}",
        "clocks_mhz": f"this machine does not tell its clocks, {short}",
        "power_mode": f"this machine has no power modes, {short}",
        "threads": "left to the engine",
    }
    lacking = {name: why for name, why in reasons.items() if getattr(row, name) is None}
    return msgspec.structs.replace(row, not_measured=lacking)


def _watts(timed: Timed) -> list[float]:
    return [t.total_mw / 1e3 for t in timed.telemetry if t.total_mw is not None]


def _card_idles(m: Measured, timed: Timed) -> bool:
    """Return whether the only power known is that of a graphics card which has nothing to do."""
    card_alone = any(t.source == "nvml" and list(t.power_mw) == ["gpu"] for t in timed.telemetry)
    return card_alone and "CPU" in m.device


def _file_mb(m: Measured) -> float | None:
    if m.case.engine == "torch":
        return None
    return round((m.bundle / FUSED).stat().st_size / 1e6, 2)


def _speedups(
    case: Case, timed: Timed, scope: Scope, group: list[Measured]
) -> dict[str, tuple[float, float, float]]:
    return {
        other.case.label: paired_ratio(timed.round_fps, other.timed[scope].round_fps)
        for other in group
        if other.case.label in REFERENCES and other.case.label != case.label
    }


def _share(m: Measured, operations: float, limits: Limits | None) -> Share | None:
    """Return how near the engine comes to the convolutions' own time at the best measured rate."""
    best = limits.best_gops(m.case.precision) if limits and "CPU" in m.device else None
    if best is None:
        return None
    fps = median(m.timed["engine"].round_fps)
    return Share(
        arithmetic=m.case.precision, limit_gops=best, share=round(operations * fps / best, 4)
    )
