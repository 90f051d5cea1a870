from __future__ import annotations

import time
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from scnet_edge.events import Event
from scnet_edge.runtime.schedule import WINDOW, Cascade, Degradation, DegradationStep, Rule
from scnet_edge.types import Captured, Frame, Result

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


FRAME = np.zeros((32, 32, 3), np.uint8)


@dataclass
class Machine:
    """A governor over three steps, run at 10 FPS of its own clock."""

    rule: Rule
    temperature_c: float = 50.0
    behind_ms: float = 0.0  # how old frames are when they come
    now_s: float = 1000.0
    frame_id: int = 0
    events: SimpleQueue[Event] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        steps = [
            DegradationStep(name="full", segment=self.segment),
            DegradationStep(name="half", segment=self.segment, every=2),
            DegradationStep(name="small", segment=self.segment, every=2),
        ]
        self.governor = Degradation(
            steps,
            self.rule,
            temperature_c=lambda: self.temperature_c,
            event_queue=self.events,
            clock_s=lambda: self.now_s,
        )

    def segment(self, frame: Frame) -> Result:
        mask = np.zeros(frame.shape[:2], bool)
        return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

    def run(self, seconds: float, *faults: str) -> list[tuple[str, ...] | str]:
        """Return, for every frame, the flags of its result or why it was skipped."""
        told: list[tuple[str, ...] | str] = []
        for _ in range(round(10 * seconds)):
            captured = Captured(
                frame_id=self.frame_id,
                name="",
                frame=FRAME,
                mono_ns=time.monotonic_ns() - round(1e6 * self.behind_ms),
                faults=faults,
            )
            skipped = self.governor.skip(captured)
            told.append(skipped or self.governor.segment(FRAME).flags)
            self.now_s += 0.1
            self.frame_id += 1
        return told

    def log(self) -> list[tuple[str, str, str]]:
        events = []
        while not self.events.empty():
            event = self.events.get()
            events.append((event.kind, event.reason, event.detail))
        return events


def test_all_well_changes_nothing() -> None:
    machine = Machine(Rule(late_ms=500, hot_c=80))
    assert machine.run(60) == [()] * 600
    assert machine.log() == []


def test_hot_steps_down_one_by_one_and_cool_steps_up_again() -> None:
    machine = Machine(Rule(hot_c=80, settle_s=5, recover_s=20), temperature_c=85)
    told = machine.run(12)
    assert set(told) == {(), ("degraded",), "rate"}
    assert told.count("rate") >= 30
    assert machine.log() == [
        ("degraded", "hot", "full -> half"),
        ("degraded", "hot", "half -> small"),
    ]
    machine.temperature_c = 78  # within the margin: still hot
    machine.run(60)
    assert machine.log() == []
    machine.temperature_c = 70
    machine.run(15)
    assert machine.log() == []
    machine.run(35)
    assert machine.log() == [
        ("recovered", "well", "small -> half"),
        ("recovered", "well", "half -> full"),
    ]
    assert machine.run(1) == [()] * 10


def test_late_is_the_median_over_a_window() -> None:
    machine = Machine(Rule(late_ms=100, settle_s=1))
    machine.run(2)
    machine.behind_ms = 400
    machine.run((WINDOW // 2 - 2) / 10)
    machine.behind_ms = 0
    machine.run(3)
    assert machine.log() == []  # a hiccup
    machine.behind_ms = 400
    machine.run(3)
    assert machine.log()[0] == ("degraded", "late", "full -> half")


def test_a_step_up_taken_back_waits_longer_the_next_time() -> None:
    machine = Machine(Rule(hot_c=80, settle_s=1, recover_s=10), temperature_c=85)
    waits = []
    for _ in range(3):
        machine.temperature_c = 85
        machine.run(2)
        assert machine.governor.step.name != "full"
        machine.temperature_c = 50
        before_s = machine.now_s
        while machine.governor.step.name != "full" and machine.now_s < before_s + 500:
            machine.run(0.2)
        waits.append(machine.now_s - before_s)
    assert waits[0] < 0.75 * waits[1] < 0.75**2 * waits[2]


def test_a_step_up_taken_back_shortens_no_long_wait() -> None:
    machine = Machine(Rule(hot_c=80, settle_s=1, recover_s=700), temperature_c=85)
    machine.run(2)
    machine.temperature_c = 50
    machine.run(800)
    assert machine.governor.step.name == "full"
    machine.temperature_c = 85
    machine.run(2)
    machine.temperature_c = 50
    machine.log()
    machine.run(690)
    assert machine.log() == []


def test_faulty_frames_are_skipped_as_ever() -> None:
    assert Machine(Rule()).run(0.3, "black") == ["black"] * 3
