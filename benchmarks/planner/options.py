"""Which bundle for which device: measured where it was measured, estimated and marked elsewhere.

An estimate is of the engine alone and rests on what others timed (`paces`); a measurement is from
camera to mask. Nothing of ours ran on the devices that are estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.planner.devices import DEVICES, GpuPrecision, is_device
from benchmarks.planner.paces import MEMORY_EFFICIENCY, Reached, find_pace, frame_ms
from benchmarks.planner.workload import Workload, of_test_split
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow, Environment
from scnet_edge.errors import ConfigError

HERE = "here"
TIE_F1 = 0.002  # a difference in F1 that nobody waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One bundle on the device.

    Attributes:
        fps: The middle; of a measurement the median.
        low, high: The range of the estimate, or the slowest and fastest measured round.
        f1: At this precision, or in FP32 where `f1_of` says so; None where neither was measured.
        basis: `camera to mask` and what ran, or `engine alone` and what the estimate rests on.
    """

    model: str
    precision: str
    fps: float
    low: float
    high: float
    f1: float | None
    f1_of: str
    measured: bool
    basis: str


def options(
    device: str,
    workloads: Sequence[Workload],
    results: Sequence[BenchmarkResult],
    size_hw: tuple[int, int],
) -> tuple[str, list[Option]]:
    """Return the device's full name and every bundle's speed on it, the fastest first.

    Args:
        device: A name of `DEVICES`.
        workloads: What each model asks.
        results: Measurements; those of this device at this size are used as they are.
        size_hw: Of the networks.

    Raises:
        ConfigError: an unknown device.
    """
    if device not in DEVICES:
        raise ConfigError(f"device {device!r}: expected {HERE} or one of {', '.join(DEVICES)}")
    scores = {(w.model, precision): f1 for w in workloads for precision, f1 in w.f1.items()}
    found = [
        option if of_test_split(row) else replace(option, f1=scores.get((row.model, row.precision)))
        for row, option in _find_measured([r for r in results if _is_of(r, device)], size_hw)
    ]
    known = {(o.model, o.precision) for o in found}
    found += [
        _estimate(w, precision, device)
        for w in workloads
        for precision in DEVICES[device].tops
        if (w.model, precision) not in known
    ]
    return DEVICES[device].name, sorted(found, key=lambda o: -o.fps)


def options_here(
    this: Environment, results: Sequence[BenchmarkResult], size_hw: tuple[int, int]
) -> tuple[str, list[Option]]:
    """Return this machine's name and every bundle measured on it, the fastest first.

    Raises:
        ConfigError: no results, one of another machine, or none at this size.
    """
    if not results:
        raise ConfigError("--device here needs results: run 'scnet-edge bench' and pass --results")
    for result in results:
        if result.environment.identity != this.identity:
            raise ConfigError(
                f"--device here: this machine is {_describe(this)}, a result is of "
                f"{_describe(result.environment)}; leave that out, 'bench report' shows it"
            )
    found = [option for _, option in _find_measured(results, size_hw)]
    if not found:
        height, width = size_hw
        raise ConfigError(
            f"--device here: no result is of {height}x{width}; name a --size that was measured, or "
            "measure this one"
        )
    return _describe(this), sorted(found, key=lambda o: -o.fps)


def choose(found: Sequence[Option], target_fps: float) -> Option | None:
    """Return the fastest bundle of the best F1, less `TIE_F1`, that reaches the target at its low.

    Where none does, the one whose middle reaches it; None where no middle does either.
    """
    for reaching in (
        [o for o in found if o.low >= target_fps],
        [o for o in found if o.fps >= target_fps],
    ):
        if reaching:
            best = max(o.f1 or 0.0 for o in reaching)
            return max((o for o in reaching if (o.f1 or 0.0) >= best - TIE_F1), key=lambda o: o.fps)
    return None


def _describe(machine: Environment) -> str:
    """Return a machine in words that tell it from another, its GPU first where it has one."""
    cpu = f"{machine.cores} cores of {machine.cpu}"
    return ", ".join(filter(None, (machine.gpu, cpu, machine.machine)))


def _is_of(result: BenchmarkResult, device: str) -> bool:
    here = result.environment
    return is_device(device, here.machine, here.memory_gb, here.power_mode)


def _find_measured(
    results: Sequence[BenchmarkResult], size_hw: tuple[int, int]
) -> list[tuple[BenchmarkRow, Option]]:
    return [
        (row, _option(row))
        for result in results
        for row in result.rows
        if row.scope == "camera_to_mask" and row.size_hw == size_hw
    ]


def _option(row: BenchmarkRow) -> Option:
    return Option(
        model=row.model,
        precision=row.precision,
        fps=row.fps,
        low=min(row.round_fps),
        high=max(row.round_fps),
        f1=row.f1,
        f1_of=row.precision,
        measured=True,
        basis=f"camera to mask, {row.label}",
    )


def _estimate(w: Workload, precision: GpuPrecision, device: str) -> Option:
    known = find_pace(device, precision)
    ms = [frame_ms(w, device, precision, pace) for pace in known.middle]
    spread = [(frame_ms(w, device, precision, pace), pace.miss) for pace in known.spread]
    f1_of = precision if precision in w.f1 else "fp32"
    return Option(
        model=w.model,
        precision=precision,
        fps=1e3 / float(np.median(ms)),
        low=1e3 / max(each * (1 + miss) for each, miss in spread),
        high=1e3 / min(each * (1 - miss) for each, miss in spread),
        f1=w.f1.get(f1_of),
        f1_of=f1_of,
        measured=False,
        basis=_basis(known, precision),
    )


def _basis(known: Reached, precision: GpuPrecision) -> str:
    named = {DEVICES[p.device].name: None for p in known.spread}
    miss = max(p.miss for p in known.spread)
    return (
        f"engine alone: {_range([p.fixed_ms for p in known.spread], 1)} ms a frame and "
        f"{_range([100 * p.share for p in known.spread], 0)} % of the dense {precision.upper()} "
        f"rate, less in narrow layers, as other networks on {', '.join(named)} ({known.whose}), "
        f"whose times that tells within {100 * miss:.0f} %; memory at "
        f"{100 * MEMORY_EFFICIENCY:.0f} %"
    )


def _range(values: Sequence[float], digits: int) -> str:
    low, high = (f"{v:.{digits}f}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
