"""How near an engine comes to what the machine's convolutions attain, and where the rest goes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scnet_edge.bench.figures import percent, short
from scnet_edge.bench.schema import BenchmarkRow, MachineLimits, Precision

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
