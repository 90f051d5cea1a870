"""Observations, facts and pictures made by hand."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from scnet_edge.inspection.records import Figure, Gap, Observation
from scnet_edge.survey.facts import BundleIdentity, Facts, Site
from scnet_edge.types import Frame, Mask

HOSTILE = "<script>alert(1)</script>&\"'; =cmd()|../../\u202e"


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "survey_id": "5f1c0de5",
        "created": "2026-11-20T08:30:00+00:00",
        "source": "pipe.mp4",
        "mode": "side",
        "bundle": BundleIdentity(
            model="scnet-small", precision="int8", threshold=0.5, sha256="ab" * 32
        ),
        "engine": "fake",
        "machine": "test",
        "version": "0",
        "site": Site(pipe_id="Section 12", from_node="MH 1", to_node="MH 2", place="Main St"),
        "geometry": {"diameter_mm": 300.0},
        "fps": 25.0,
    }
    return Facts(**{**values, **changes})


def observation(seq: int = 1, **changes: Any) -> Observation:
    values: dict[str, Any] = {
        "seq": seq,
        "segment": 0,
        "kind": "longitudinal",
        "first_frame_id": 10 * seq,
        "last_frame_id": 10 * seq + 8,
        "best_frame_id": 10 * seq + 4,
        "bbox_xyxy": (10, 40, 150, 80),
        "sightings": 9,
        "mono_ns": 400_000_000 * seq,
        "utc_ns": 1_795_000_000_000_000_000 + 400_000_000 * seq,
        "time_s": (10 * seq + 4) / 25.0,
        "clock_synced": True,
        "start_m": 1.0 * seq,
        "end_m": 1.0 * seq + 0.4,
        "start_sigma_m": 0.02,
        "clock_from": 2.0,
        "clock_to": 2.5,
        "outline_m_h": ((1.0 * seq, 2.0), (1.0 * seq + 0.2, 2.4), (1.0 * seq + 0.4, 2.5)),
        "angle_deg": 3.0,
        "branches": 0,
        "tortuosity": 1.1,
        "confidence": 0.9,
        "length_px": 80.0,
        "width_mean_px": 4.0,
        "width_p95_px": 5.0,
        "width_max_px": 6.0,
        "area_px": 320,
        "mm_per_px": 0.2,
        "length_mm": Figure(400.0, 4.0),
        "width_mean_mm": Figure(0.8, 0.08),
        "width_p95_mm": Figure(1.0, 0.08),
        "width_max_mm": Figure(1.2, 0.08),
        "area_mm2": Figure(320.0, 30.0),
        "width_profile_mm": tuple((40.0 * i, 0.6 + 0.05 * i) for i in range(11)),
        "flags": (),
        "snapshot": None,
    }
    return Observation(**{**values, **changes})


def unscaled(seq: int = 1, **changes: Any) -> Observation:
    """Return what a camera without calibration or odometry gives."""
    nothing = ("start_m", "end_m", "start_sigma_m", "clock_from", "clock_to", "mm_per_px")
    sizes = ("length_mm", "width_mean_mm", "width_p95_mm", "width_max_mm", "area_mm2")
    values = {**dict.fromkeys((*nothing, *sizes)), "outline_m_h": (), "width_profile_mm": ()}
    return observation(seq, **{**values, "flags": ("no_scale",), **changes})


def gap(**changes: Any) -> Gap:
    values: dict[str, Any] = {
        "reason": "camera_lost",
        "segment": 0,
        "first_frame_id": 60,
        "last_frame_id": 90,
        "start_m": 6.0,
        "end_m": 7.5,
        "mono_from_ns": 10**9,
        "mono_to_ns": 2 * 10**9,
    }
    return Gap(**{**values, **changes})


def picture(seq: int = 1, size_hw: tuple[int, int] = (120, 160)) -> tuple[Frame, Mask]:
    """Return a grey wall with a dark crack across it, and the crack's mask."""
    height_px, width_px = size_hw
    drawn = np.zeros(size_hw, np.uint8)
    low, high = height_px // 3, 2 * height_px // 3
    points = [(10, low + 3 * seq % 20), (width_px // 2, high), (width_px - 10, low)]
    cv2.polylines(drawn, [np.array(points, np.int32)], False, 255, 4)
    frame = np.full((*size_hw, 3), 170, np.uint8)
    frame += np.random.default_rng(seq).integers(0, 20, frame.shape, np.uint8)
    frame[drawn > 0] = 40
    return frame, drawn > 0
