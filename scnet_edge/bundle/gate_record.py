"""What the gate found, as the manifest keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

RungPrecision = Literal["int8", "fp16", "fp32"]


class StratumScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """F1 on one kind of frame."""

    name: str
    images: int
    f1: float
    f1_fp32: float


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of the ladder, judged.

    Attributes:
        name: `INT8`, `INT8 with the 4 worst layers in FP16`, `FP16` or `FP32`.
        half: Convolutions that INT8 leaves in FP16.
        reasons: Why it does not pass; empty when it does.
        lost_f1: F1 in FP32 less F1 here, at the threshold that ships.
        lost_ci95: Its interval over frames, paired.
        mask_agreement: Share of pixels whose masks equal those of FP32.
        best_threshold: What would have been best here, for the record; the one that ships stays.
        latency_ms: Of the engine on this machine; None where it did not matter.
    """

    name: str
    precision: RungPrecision
    half: tuple[str, ...]
    passed: bool
    reasons: tuple[str, ...]
    f1: float
    f1_fp32: float
    lost_f1: float
    lost_ci95: tuple[float, float]
    mask_agreement: float
    best_threshold: float
    best_threshold_fp32: float
    strata: tuple[StratumScore, ...]
    latency_ms: float | None = None


class GateRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a bundle came by its precision.

    Attributes:
        spec: The gate as it was asked for, `f1:0.005`.
        data: What it was scored on, and how many images.
        threshold: The threshold that ships, at which everything was scored.
        rungs: What was tried, in order.
        shipped: The name of the rung in the bundle.
        decision: Why that one, in a sentence.
        loss_allowed: It failed the gate and ships all the same, because that was asked for.
        elsewhere: Speed on this machine did not count.
        calibration_key: Of the ranges that were judged.
        weights_sha256: Model name -> hash of the weight file that was judged.
        unjudged: Strata too small to be judged -> how many images they have.
    """

    spec: str
    data: str
    images: int
    engine: str
    threshold: float
    rungs: tuple[Candidate, ...]
    shipped: str
    decision: str
    loss_allowed: bool
    elsewhere: bool
    calibration_key: str
    weights_sha256: dict[str, str]
    unjudged: dict[str, int]
