"""The gate's findings in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scnet_edge.bundle.gate_record import Candidate, GateRecord


def gate_lines(gate: GateRecord) -> list[str]:
    """Return what was tried, what it lost and what ships, a line each."""
    lines = [f"  gate {gate.spec} on {gate.data}, {gate.engine}, threshold {gate.threshold:.2f}:"]
    for rung in gate.rungs:
        lines += _rung_lines(rung)
    if gate.unjudged:
        few = ", ".join(f"{name} ({images} images)" for name, images in gate.unjudged.items())
        lines.append(f"    not judged, too few images or crack pixels: {few}")
    return [*lines, f"  ships {gate.shipped}: {gate.decision}"]


def _rung_lines(rung: Candidate) -> list[str]:
    low, high = rung.lost_ci95
    shift = rung.best_threshold - rung.best_threshold_fp32
    lines = [
        f"    {'pass' if rung.passed else 'FAIL'}  {rung.name}: F1 {rung.f1:.4f}, FP32 "
        f"{rung.f1_fp32:.4f}, lost {rung.lost_f1:+.4f} [{low:+.4f}, {high:+.4f}], "
        f"{rung.mask_agreement:.2%} of the pixels agree, optimum threshold {shift:+.2f}"
    ]
    lines += [
        f"          {s.name}, {s.images} images: F1 {s.f1:.4f}, lost {s.f1_fp32 - s.f1:+.4f}"
        for s in rung.strata
    ]
    return [*lines, *(f"          {reason}" for reason in rung.reasons)]
