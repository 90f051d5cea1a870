"""The packaged small model at a small size, drawn walls, and ranges made for both."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import onnx
import pytest
from small_chains import frame, minmax_ranges

from scnet_edge.bundle.recipe import DEFAULT_MODEL, Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.data.masks import Truth
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.frame_candidates import (
    CandidateFrame,
    brightness,
    red_minus_blue,
    sharpness,
)
from scnet_edge.quantization.lowering import fp32_graph
from scnet_edge.quantization.memory_engine import open_loader
from scnet_edge.quantization.perceptual_hash import phash
from scnet_edge.quantization.ranges import CalibrationFile, ChosenFrame, find_ranges, key_of
from scnet_edge.simulation.clip import render_stills

__all__ = ["frame"]
SIZE = (96, 128)
Calibrated = Callable[[Sequence[np.ndarray]], CalibrationFile]


@pytest.fixture(scope="session")
def small_fused() -> onnx.ModelProto:
    card = find_card(DEFAULT_MODEL)
    return fp32_graph(open_chain(card, Recipe(precision="fp32", size_hw=SIZE)))


@pytest.fixture(scope="session")
def walls() -> list[Annotated]:
    """Return twelve drawn walls with their truth."""
    stills = list(render_stills(12, SIZE, seed=1))
    return [
        Annotated(data="walls", name=str(i), read=lambda f=f, m=m: (f, Truth(m)))
        for i, (f, m) in enumerate(stills)
    ]


@pytest.fixture(scope="session")
def calibrated(small_fused: onnx.ModelProto) -> Calibrated:
    """Return a function from frames to min-max ranges of the small model."""
    card = find_card(DEFAULT_MODEL)
    shipped = find_ranges(DEFAULT_MODEL, weights_of(card))

    def calibrate(frames: Sequence[np.ndarray]) -> CalibrationFile:
        with open_loader() as load:
            ranges = minmax_ranges(small_fused, frames, load)
        blank = msgspec.structs.replace(
            shipped,
            methods={"scnet": "minmax"},
            frames={str(i): chosen(frame) for i, frame in enumerate(frames)},
            ranges=ranges,
            bias_shifts={},
            colours_checked=False,
        )
        return msgspec.structs.replace(blank, key=key_of(blank))

    return calibrate


def chosen(frame: np.ndarray) -> ChosenFrame:
    return ChosenFrame(
        sha256=hashlib.sha256(frame.tobytes()).hexdigest(),
        phash=phash(frame),
        crack_area=0.02,
        brightness=brightness(frame),
        sharpness=sharpness(frame),
        red_minus_blue=red_minus_blue(frame),
        why="a test",
    )


@pytest.fixture
def candidate() -> CandidateFrame:
    """Return one candidate to make others from."""
    frame, _ = next(render_stills(1, SIZE, seed=5))
    return CandidateFrame(
        name="a", frame=frame, sha256="00", phash=phash(frame), crack_area=0.02, brightness=120.0,
        sharpness=0.5, red_minus_blue=3.0, look=np.zeros(128, np.float32),
    )  # fmt: skip


@pytest.fixture
def candidates(candidate: CandidateFrame) -> Callable[[int], list[CandidateFrame]]:
    """Return a function that makes n candidates of different walls."""

    def make(count: int) -> list[CandidateFrame]:
        rng = np.random.default_rng(0)
        return [
            dataclasses.replace(
                candidate, name=f"wall-{i}", frame=frame, phash=phash(frame),
                sha256=hashlib.sha256(frame.tobytes()).hexdigest(), brightness=brightness(frame),
                sharpness=sharpness(frame), crack_area=float(mask.mean()),
                look=rng.random(128, np.float32),
            )
            for i, (frame, mask) in enumerate(render_stills(count, SIZE, seed=11))
        ]  # fmt: skip

    return make
