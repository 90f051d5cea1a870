"""From what was measured to the rows that are filed."""

from __future__ import annotations

import msgspec
import numpy as np

from scnet_edge.bench.comparable import Ratio, paired_ratio
from scnet_edge.bench.group import Measured, Timed, median
from scnet_edge.bench.schema import BenchmarkRow, LatencyMs, MachineLimits, Scope, Share
from scnet_edge.bench.suite import Suite
from scnet_edge.machine.telemetry import Telemetry

REFERENCES = ("torch fp32 eager", "torch fp32 compile", "onnxruntime fp32", "openvino fp32")


def rows_of(
    measured: list[Measured], suite: Suite, limits: MachineLimits | None, *, why_no_f1: str
) -> list[BenchmarkRow]:
    """Return one row for each case and scope of a group, with its ratios to others of the group."""
    return [
        _row(m, scope, measured, suite, limits, why_no_f1) for m in measured for scope in m.timed
    ]


def _row(
    m: Measured,
    scope: Scope,
    group: list[Measured],
    suite: Suite,
    limits: MachineLimits | None,
    why_no_f1: str,
) -> BenchmarkRow:
    timed = m.timed[scope]
    p50, p95, p99 = np.percentile(timed.latency_ms, (50, 95, 99)).round(3).tolist()
    fps = round(float(np.median(timed.round_fps)), 3)
    watts = [] if _card_idles(m, timed) else _watts(timed)
    hottest = [t.hottest_c for t in timed.telemetry if t.hottest_c is not None]
    last = timed.telemetry[-1] if timed.telemetry else Telemetry()
    share, relative = _share(m, scope, suite, limits), _relative(m, scope, group, suite)
    score = m.score or {"f1": None, "f1_ci95": None, "images": 0, "data": None}
    row = BenchmarkRow(
        **msgspec.structs.asdict(m.case),
        scope=scope,
        fps=fps,
        latency_ms=LatencyMs(p50=p50, p95=p95, p99=p99),
        f1=score["f1"],
        f1_ci95=score["f1_ci95"],
        images=score["images"],
        data=score["data"],
        rss_mb=m.rss_mb,
        file_mb=_file_mb(m),
        device=m.device,
        threads=suite.threads,
        gflop=m.gflop,
        frames=len(timed.latency_ms),
        round_fps=tuple(round(f, 3) for f in timed.round_fps),
        stages_ms={stage: median(values) for stage, values in timed.stages_ms.items()},
        first_mask_ms={state: round(ms, 1) for state, ms in m.first_mask_ms.items()},
        speedup=_speedups(m, timed, scope, group),
        limit=share if scope == "engine" and isinstance(share, Share) else None,
        profile=m.profile if scope == "engine" else None,
        joules=round(float(np.mean(watts)) / fps, 4) if watts else None,
        temperature_c=max(hottest, default=None),
        clocks_mhz=last.clocks_mhz or None,
        power_mode=last.power_mode,
        relative=None if isinstance(relative, str) else relative,
        sha256=m.sha256,
        engine_threads=m.engine_threads,
        others_cpu=round(float(np.median(timed.others_cpu)), 4) if timed.others_cpu else None,
        not_measured={},
    )
    why = {"f1": why_no_f1, "limit": str(share), "relative": str(relative)} | m.why_not
    if scope != "engine":
        why |= dict.fromkeys(("limit", "profile"), "stated once, in the row of the engine scope")
    return _with_reasons(row, why, card_idles=_card_idles(m, timed))


def _with_reasons(row: BenchmarkRow, why: dict[str, str], *, card_idles: bool) -> BenchmarkRow:
    """Return the row with the reason for every figure that it lacks."""
    short = "or its turns were too short to read it"
    no_power = f"this machine has no power sensor that we can read, {short}"
    if card_idles:
        no_power = "only the graphics card has a power sensor, and this engine runs on the CPU"
    reasons = why | {
        "f1_ci95": why["f1"],
        "data": why["f1"],
        "file_mb": "PyTorch runs the weights, not a bundle",
        "joules": no_power,
        "temperature_c": f"this machine has no temperature sensor that we can read, {short}",
        "clocks_mhz": f"this machine does not tell its clocks, {short}",
        "power_mode": f"this machine has no power modes, {short}",
        "threads": "left to the engine",
        "engine_threads": "this engine does not tell",
        "others_cpu": f"this machine does not tell what its processor did, {short}",
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
    """Return the size of the graphs that ran."""
    if m.case.engine == "torch":
        return None
    return round(sum((m.bundle / name).stat().st_size for name in m.sha256) / 1e6, 2)


def _speedups(m: Measured, timed: Timed, scope: Scope, group: list[Measured]) -> dict[str, Ratio]:
    return {
        other.case.label: paired_ratio(timed.round_fps, other.timed[scope].round_fps)
        for other in group
        if other.case.model == m.case.model
        and other.case.label in REFERENCES
        and other.case.label != m.case.label
    }


def _relative(m: Measured, scope: Scope, group: list[Measured], suite: Suite) -> Ratio | str:
    """Return the FPS over that of the suite's first model in the same engine, or why not."""
    if not suite.together:
        return "models took no turns: the suite does not say together = true"
    for other in group:
        if (other.case.model, other.case.label) == (suite.first_model, m.case.label):
            return paired_ratio(m.timed[scope].round_fps, other.timed[scope].round_fps)
    return f"{suite.first_model} has no row of {m.case.label}"


def _share(m: Measured, scope: Scope, suite: Suite, limits: MachineLimits | None) -> Share | str:
    """Return how near the engine comes to the convolutions' own time, or why that is not known."""
    if limits is None:
        none = "OpenVINO, which measures it, is not installed here or failed"
        return none if suite.limits else "the suite says limits = false"
    if "CPU" not in m.device:
        return "the limit is that of the CPU, and this ran elsewhere"
    best = limits.best_gops(m.case.precision)
    if best is None:
        return f"no limit is measured in {m.case.precision}"
    fps = median(m.timed[scope].round_fps)
    share = round(m.gflop * fps / best, 4)
    return Share(arithmetic=m.case.precision, limit_gops=best, share=share)
