"""Two results of one machine: what became worse beyond the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scnet_edge.bench.comparable import (
    F1_LOSS,
    Ratio,
    another_network,
    other_weights,
    ratio_of_medians,
    same_images,
)
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow
from scnet_edge.errors import ConfigError

SLOWER = 0.05  # runs of one program differ by some per cent, whatever their rounds say
RSS_GROWTH = 0.10
GAUGES = ("onnxruntime fp32", "torch fp32 eager")  # other people's engines, the steadier first
TOGETHER = 0.8  # of the rows slower at all: the machine is, and a gauge's own speed says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row in both results.

    Attributes:
        speed: FPS after over FPS before.
        gauge: The engine beside which the row ran in both results; None where none did.
        relative: The same of the FPS over the gauge's, round by round; None without a gauge and
            for the gauge itself.
        f1: After minus before; None where either is missing or of other images.
        rss: Resident memory after over before.
        weights: Whether other weights or graphs ran; None where a row does not say.
        worse: What became worse beyond the noise; empty when nothing did.
    """

    row: BenchmarkRow
    speed: Ratio
    gauge: str | None
    relative: Ratio | None
    f1: float | None
    rss: float
    weights: bool | None
    worse: tuple[str, ...]


def compare_results(before: BenchmarkResult, after: BenchmarkResult) -> list[RowChange]:
    """Return what changed, row by row, in the order of `before`.

    A machine that is slower today is no regression: a row is held to the gauge that took turns
    with it. Without a gauge its own speed counts, and the gauge's own unless most rows are slower.

    Raises:
        ConfigError: they are of two machines, or have no row in common.
    """
    if before.environment.identity != after.environment.identity:
        names = [f"{r.environment.cores} cores of {r.environment.cpu}" for r in (before, after)]
        raise ConfigError(
            f"results of two machines cannot be compared: {names[0]} and {names[1]}; "
            "'bench report' shows both"
        )
    pairs = _pairs(before, after)
    if not pairs:
        raise ConfigError("the two results have no row in common; run the same suite twice")
    speeds = [ratio_of_medians(b.round_fps, a.round_fps) for a, b in pairs]
    machine = sum(median < 1 for median, *_ in speeds) >= TOGETHER * len(speeds)
    return [
        _change(before, after, pair, speed, machine=machine)
        for pair, speed in zip(pairs, speeds, strict=True)
    ]


def _pairs(
    before: BenchmarkResult, after: BenchmarkResult
) -> list[tuple[BenchmarkRow, BenchmarkRow]]:
    later = {row.key: row for row in after.rows}
    return [(row, later[row.key]) for row in before.rows if row.key in later]


def find_missing(before: BenchmarkResult, after: BenchmarkResult) -> list[BenchmarkRow]:
    """Return the rows that only `before` has."""
    later = {row.key for row in after.rows}
    return [row for row in before.rows if row.key not in later]


def differences(before: BenchmarkResult, after: BenchmarkResult) -> list[str]:
    """Return what else differs between the runs, and may be why figures do."""
    a, b = before.environment, after.environment
    packages = [
        f"{name} {a.packages.get(name, 'none')} and {b.packages.get(name, 'none')}"
        for name in sorted(a.packages.keys() | b.packages.keys())
        if a.packages.get(name) != b.packages.get(name)
    ]
    stated = {
        "suite": (_suite(before), _suite(after)),
        "commit": (a.commit, b.commit),
        "power mode": (a.power_mode, b.power_mode),
        "system": (a.system, b.system),
        "Python": (a.python, b.python),
        "scored images": (_images_text(before), _images_text(after)),
    }
    pairs = _pairs(before, after)
    others = dict.fromkeys(f"{r.name} {r.label}" for r, new in pairs if other_weights(r, new))
    unlike = dict.fromkeys(
        r.name
        for r, new in pairs
        if other_weights(r, new) is None
        and same_images(before, r, after, new)
        and another_network(r, new)
    )
    gflop = dict.fromkeys(
        f"{r.name}, {r.gflop:g} and {new.gflop:g} GFLOP" for r, new in pairs if r.gflop != new.gflop
    )
    return [
        *([f"packages: {', '.join(packages)}"] if packages else []),
        *(f"{what}: {x or 'none'} and {y or 'none'}" for what, (x, y) in stated.items() if x != y),
        *([f"other weights or graphs: {', '.join(others)}"] if others else []),
        *([f"weights or masks, as F1 in FP32 shows: {', '.join(unlike)}"] if unlike else []),
        *([f"other networks: {'; '.join(gflop)}"] if gflop else []),
    ]


def absolute(changes: Sequence[RowChange]) -> str:
    """Return in a line how the rows moved whose own speed was judged; empty where none was."""
    own = [c for c in changes if c.relative is None]
    slower = sum(c.speed[0] < 1 for c in changes)
    if not any(_slower(c.speed) for c in own):
        return ""
    return (
        f"machine slower or code slower: {slower} of {len(changes)} rows moved together; "
        f"{len(own)} have no other engine to be held to"
    )


def _change(
    before: BenchmarkResult,
    after: BenchmarkResult,
    pair: tuple[BenchmarkRow, BenchmarkRow],
    speed: Ratio,
    *,
    machine: bool,
) -> RowChange:
    old, new = pair
    gauges = _gauges(before, after, old, new)
    relative = None
    if gauges and gauges[0].label != old.label:
        relative = ratio_of_medians(
            np.divide(new.round_fps, gauges[1].round_fps),
            np.divide(old.round_fps, gauges[0].round_fps),
        )
    excused = machine and gauges is not None and relative is None
    f1 = None
    if old.f1 is not None and new.f1 is not None and same_images(before, old, after, new):
        f1 = new.f1 - old.f1
    rss = new.rss_mb / old.rss_mb
    found = {
        "slower": _slower(relative or speed) and not excused,
        "less accurate": f1 is not None and f1 < -F1_LOSS,
        "larger in memory": rss > 1 + RSS_GROWTH,
    }
    return RowChange(
        row=new,
        speed=speed,
        gauge=gauges[0].label if gauges else None,
        relative=relative,
        f1=f1,
        rss=rss,
        weights=other_weights(old, new),
        worse=tuple(name for name, is_so in found.items() if is_so),
    )


def _slower(ratio: Ratio) -> bool:
    return ratio[2] < 1 - SLOWER


def _gauges(
    before: BenchmarkResult, after: BenchmarkResult, old: BenchmarkRow, new: BenchmarkRow
) -> tuple[BenchmarkRow, BenchmarkRow] | None:
    """Return the rows of the first gauge of the same version that took turns with both.

    Those of the engine alone where there are such: of wider scopes, our own code is a part.
    """
    for label in GAUGES:
        a, b = (_beside(result, row, label) for result, row in ((before, old), (after, new)))
        if a and b and a.scope == b.scope and _versions(before, a) == _versions(after, b):
            return a, b
    return None


def _beside(result: BenchmarkResult, row: BenchmarkRow, label: str) -> BenchmarkRow | None:
    found = {
        other.scope: other
        for other in result.rows
        if (other.model, other.size_hw, other.label) == (row.model, row.size_hw, label)
        and len(other.round_fps) == len(row.round_fps)
    }
    return found.get("engine", found.get(row.scope))


def _versions(result: BenchmarkResult, row: BenchmarkRow) -> dict[str, str]:
    packages = result.environment.packages
    return {name: version for name, version in packages.items() if name.startswith(row.engine)}


def _suite(result: BenchmarkResult) -> str:
    return f"{result.suite} ({result.suite_sha256[:8]})"


def _images_text(result: BenchmarkResult) -> str:
    scored = dict.fromkeys(f"{r.images} of {r.data}" for r in result.rows if r.images)
    return ", ".join(scored) + (f" ({result.scored.sha256[:8]})" if result.scored else "")
