from __future__ import annotations

import numpy as np

from scnet_edge.runtime.cascade import Cascade
from scnet_edge.types import Frame, Result

SIZE_HW = (32, 32)


def frame(crack_px: int) -> Frame:
    made = np.full((*SIZE_HW, 3), 200, np.uint8)
    made.reshape(-1, 3)[:crack_px] = 100
    return made


def model(threshold: int, calls: list[int]):
    def segment(image: Frame) -> Result:
        calls.append(1)
        mask = image[..., 0] < threshold
        probability = np.where(image[..., 0] < 150, np.float32(0.2), np.float32(0.01))
        return Result(mask=mask, probability=probability, edges=None, timing={"engine": 1.0})

    return segment


def run(crack_pxs: list[int], hold: int = 0) -> tuple[list[Result], int, int]:
    cheap_calls: list[int] = []
    full_calls: list[int] = []
    cheap, full = model(50, cheap_calls), model(150, full_calls)
    gate = Cascade(cheap, full, threshold=0.1, wake_px=20, hold=hold)
    return [gate(frame(px)) for px in crack_pxs], len(cheap_calls), len(full_calls)


def test_the_full_model_runs_where_the_cheap_one_sees_enough() -> None:
    results, cheap, full = run([0, 10, 20, 200, 0])
    assert (cheap, full) == (5, 2)
    assert [int(r.mask.sum()) for r in results] == [0, 0, 20, 200, 0]
    assert [r.flags for r in results] == [("gated",), ("gated",), (), (), ("gated",)]


def test_it_stays_awake_for_a_while() -> None:
    results, _, full = run([0, 200, 10, 10, 10, 0], hold=2)
    assert full == 3
    assert [int(r.mask.sum()) for r in results] == [0, 200, 10, 10, 0, 0]


def test_the_time_of_both_is_told() -> None:
    results, _, _ = run([0, 200])
    assert [list(r.timing) for r in results] == [["gate_engine"], ["gate_engine", "engine"]]
