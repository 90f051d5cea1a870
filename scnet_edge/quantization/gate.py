"""The gate: may this graph ship instead of FP32? Every reason against it is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scnet_edge.bundle.manifest import Candidate, Precision, StratumScore
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.onnx_export.fp16 import FP16_MAX
from scnet_edge.quantization.annotated_frames import DARK, DRAWN, THIN
from scnet_edge.quantization.choose_frames import MIN_FRAMES, NOISE_SHARPNESS
from scnet_edge.quantization.frame_candidates import find_swapped_colours
from scnet_edge.quantization.graph_scores import (
    GraphScores,
    Traits,
    agreement,
    bound_loss,
    f1_of,
    finds_crack,
)
from scnet_edge.quantization.ranges import CalibrationFile

STRATUM_DROP = 0.02
MIN_AGREEMENT = 0.995
MIN_IMAGES = 8  # an interval over fewer says nothing; over one image it is a point
MIN_STRATUM_IMAGES, MIN_STRATUM_PIXELS = 5, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How much F1 a graph may lose against FP32: `f1:0.005`."""

    max_lost_f1: float = 0.005

    @property
    def spec(self) -> str:
        """The gate as the command line takes it."""
        return f"f1:{self.max_lost_f1:g}"


def parse_gate(text: str) -> Gate:
    """Return the gate of `f1:0.005`.

    Raises:
        ConfigError: another metric, or a loss that is not in [0, 1).
    """
    metric, _, value = text.partition(":")
    try:
        lost = float(value)
    except ValueError:
        lost = -1.0
    if metric != "f1" or not 0 <= lost < 1:
        raise ConfigError(f"gate {text!r}: expected f1:LOSS with a loss in [0, 1), as f1:0.005")
    return Gate(max_lost_f1=lost)


def judge(
    name: str,
    precision: Precision,
    fp16_layers: Sequence[str],
    ours: GraphScores,
    reference: GraphScores,
    kinds: Sequence[Traits],
    gate: Gate,
    objections: Sequence[str] = (),
) -> Candidate:
    """Return the verdict on one candidate.

    Args:
        name: What the candidate is called.
        precision: What most of it computes in.
        fp16_layers: Convolutions that INT8 leaves in FP16.
        ours: Its scores.
        reference: Those of FP32 on the same engine and frames.
        kinds: The traits of the frames.
        gate: What may be lost.
        objections: Reasons against it that were found elsewhere.
    """
    lost_ci95 = bound_loss(ours, reference)
    strata = tuple(stratum_scores(ours, reference, kinds))
    agreed = agreement(ours, reference)
    reasons = [*objections, *_find_worthless(ours, reference)]
    if lost_ci95[1] > gate.max_lost_f1:
        reasons.append(
            f"may lose {lost_ci95[1]:.4f} F1 (upper end of the 95 % interval, "
            f"{reference.f1 - ours.f1:+.4f} measured), at most {gate.max_lost_f1:g} is allowed"
        )
    reasons += [
        f"stratum {s.name!r} falls from {s.f1_fp32:.4f} to {s.f1:.4f} F1 on {s.images} images, "
        f"at most {STRATUM_DROP:g} is allowed"
        for s in strata
        if s.f1_fp32 - s.f1 > STRATUM_DROP
    ]
    if agreed < MIN_AGREEMENT:
        reasons.append(f"{agreed:.2%} of the pixels agree with FP32, expected {MIN_AGREEMENT:.1%}")
    return Candidate(
        name=name,
        precision=precision,
        fp16_layers=tuple(fp16_layers),
        passed=not reasons,
        reasons=tuple(reasons),
        f1=ours.f1,
        f1_fp32=reference.f1,
        lost_f1=reference.f1 - ours.f1,
        lost_ci95=lost_ci95,
        mask_agreement=agreed,
        best_threshold=ours.best_threshold,
        best_threshold_fp32=reference.best_threshold,
        strata=strata,
    )


def _find_worthless(ours: GraphScores, reference: GraphScores) -> list[str]:
    """Return what makes masks worthless whatever they score."""
    reasons = []
    if not ours.finite:
        reasons.append("probabilities are not finite")
    shares = np.array(ours.crack_share)
    if shares.max() == 0 or shares.min() == 1:
        reasons.append(f"every mask is {'empty' if shares.max() == 0 else 'full'}")
    blank = [i for i, s in enumerate(shares) if s == 0 and finds_crack(reference, i)]
    if blank and shares.max() > 0:
        reasons.append(f"{len(blank)} masks are empty where FP32 finds cracks")
    return reasons


def stratum_scores(
    ours: GraphScores, reference: GraphScores, kinds: Sequence[Traits]
) -> list[StratumScore]:
    """Return F1 by stratum, for those with enough images and crack pixels to say anything."""
    scored = []
    for name, members in strata(kinds).items():
        if _says_something(reference, members):
            f1, f1_fp32 = f1_of(ours, members), f1_of(reference, members)
            scored.append(StratumScore(name=name, images=len(members), f1=f1, f1_fp32=f1_fp32))
    return scored


def find_unjudged(reference: GraphScores, kinds: Sequence[Traits]) -> dict[str, int]:
    """Return the strata that are too small to be judged, and how many images they have.

    Raises:
        InputError: one of them is a user's own, who counts on it.
    """
    small = {
        name: len(members)
        for name, members in strata(kinds).items()
        if not _says_something(reference, members)
    }
    if own := sorted(small.keys() & {tag for kind in kinds for tag in kind.tags}):
        raise InputError(
            f"stratum {own[0]!r}: expected {MIN_STRATUM_IMAGES} images with "
            f"{MIN_STRATUM_PIXELS} crack pixels at least, found {small[own[0]]} images that are "
            "too few or show too little; name more in strata.json, or leave it out"
        )
    return small


def _says_something(reference: GraphScores, members: Sequence[int]) -> bool:
    pixels = sum(reference.counts[i].truth for i in members)
    return len(members) >= MIN_STRATUM_IMAGES and pixels >= MIN_STRATUM_PIXELS


def strata(kinds: Sequence[Traits]) -> dict[str, list[int]]:
    """Return the frames of each stratum: data sets, thinnest and darkest quarter, users' tags."""
    groups: dict[str, list[int]] = {}
    widths = [k.width_px for k in kinds if k.width_px]
    thin = float(np.quantile(widths, 0.25)) if widths else 0.0
    dark = float(np.quantile([k.brightness for k in kinds], 0.25))
    for i, kind in enumerate(kinds):
        names = [kind.data, *sorted(kind.tags)]
        names += [THIN] * (0 < kind.width_px <= thin) + [DARK] * (kind.brightness <= dark)
        for name in names:
            groups.setdefault(name, []).append(i)
    return groups


def overflow_objections(calibration: CalibrationFile) -> list[str]:
    """Return which inputs FP16 cannot hold: a CPU computes FP16 graphs in FP32 and sees none of it.

    They concern INT8, too: TensorRT computes in FP16 what INT8 leaves.
    """
    return [
        f"the input of {name} reaches {peak:.0f}, FP16 ends at {FP16_MAX:.0f}"
        for name, peak in calibration.ranges.items()
        if peak > FP16_MAX
    ]


def calibration_objections(calibration: CalibrationFile, kinds: Sequence[Traits]) -> list[str]:
    """Return what is wrong with the frames behind the ranges, whatever they score.

    The order of their colours is compared with that of the gate's frames; drawn walls, all alike
    in their tint, say nothing of it.
    """
    frames = list(calibration.frames.values())
    distinct = len({frame.phash for frame in frames})
    objections = []
    if distinct < MIN_FRAMES:
        objections.append(
            f"calibrated on {distinct} different frames, expected {MIN_FRAMES} at least"
        )
    if float(np.median([f.sharpness for f in frames])) > NOISE_SHARPNESS:
        objections.append("calibrated on noise")
    if max(f.brightness for f in frames) < 2:
        objections.append("calibrated on black frames")
    judging = [kind.red_minus_blue for kind in kinds if kind.data != DRAWN]
    why = find_swapped_colours([frame.red_minus_blue for frame in frames], judging, "the gate")
    if why and not calibration.colours_checked:
        objections.append(f"calibrated on {why}")
    return objections
