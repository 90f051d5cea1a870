"""Broken frames of every kind: dropped and counted by reason, never shown to the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from misbehaving import picture

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import CallbackSink, FrameResult
from scnet_edge.runtime.loop import run_loop
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import fake_source
from scnet_edge.video.frame_checks import watch_frames
from scnet_edge.video.sources import open_source

GOOD = [frame for frame, _ in render_clip(6, (96, 128), seed=4)]
BROKEN = {
    "all black": (np.zeros_like(GOOD[0]), "black"),
    "green": (np.full_like(GOOD[0], (0, 135, 0)), "corrupt"),
    "NaN float": (np.full(GOOD[0].shape, np.nan, np.float32), "geometry"),
    "float": (GOOD[0].astype(np.float64), "geometry"),
    "two channels": (GOOD[0][..., :2], "geometry"),
    "one row": (GOOD[0][:1], "geometry"),
    "empty": (GOOD[0][:0], "geometry"),
    "another size": (np.ascontiguousarray(GOOD[0][:64]), "geometry"),
}


def careful(frame: Frame) -> Result:
    assert frame.dtype == np.uint8
    assert frame.shape == GOOD[0].shape
    assert frame.any()
    mask = frame[..., 0] < 60
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_among_good_ones(name: str) -> None:
    broken, reason = BROKEN[name]
    frames = [*GOOD[:3], broken, *GOOD[3:]]
    counters = run_loop(watch_frames(fake_source(frames, live=False)), careful, [])
    assert (counters.captured, counters.processed) == (7, 6)
    assert counters.dropped == counters.faults == {reason: 1}


def test_a_new_size_that_stays_is_taken_on() -> None:
    smaller = [np.ascontiguousarray(frame[:64, :96]) for frame in GOOD]
    sizes: list[tuple[int, ...]] = []

    def segment(frame: Frame) -> Result:
        sizes.append(frame.shape)
        mask = frame[..., 0] < 60
        return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

    counters = run_loop(watch_frames(fake_source([*GOOD, *smaller], live=False)), segment, [])
    assert sizes == [GOOD[0].shape] * 6 + [smaller[0].shape] * 4
    assert counters.dropped == {"geometry": 2}


@pytest.mark.usefixtures("impatient")
def test_broken_pictures_in_a_real_stream(mjpeg_camera: Callable[..., Any]) -> None:
    cut = picture(80)[:-200]
    black = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    parts = [picture(70), cut, b"", b"no picture", black, picture(71, (64, 96)), picture(72)]

    def send_all(send: Callable[[bytes], None], number: int) -> None:
        for part in parts if number == 0 else [picture(75 + i) for i in range(50)]:
            send(part)
            time.sleep(0.01)

    seen: list[FrameResult] = []
    events: list[Event] = []
    with open_source(mjpeg_camera(send_all).uri) as source:
        sink = CallbackSink(seen.append, events.append)
        counters = run_loop(watch_frames(source), small_only, [sink], frames=4, policy="every")
    by_fault = {reason: n for reason, n in counters.dropped.items() if reason != "stopped"}
    assert by_fault == {"corrupt": 3, "black": 1, "geometry": 1}
    assert counters.in_flight == 0
    assert all(frame_result.captured.faults == () for frame_result in seen)


def small_only(frame: Frame) -> Result:
    assert frame.shape == (48, 64, 3)
    mask = np.zeros((48, 64), bool)
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)
