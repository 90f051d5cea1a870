"""Which precision ships, with good ranges and with deliberately broken ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

from scnet_edge.bundle.manifest import GateRecord
from scnet_edge.bundle.recipe import DEFAULT_MODEL
from scnet_edge.data.masks import Truth
from scnet_edge.errors import GateError, InputError
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.gate import Gate
from scnet_edge.quantization.ranges import CalibrationFile, key_of
from scnet_edge.quantization.select_precision import Buildable, GateContext, select_precision
from scnet_edge.simulation.clip import render_stills

SIZE = (96, 128)
Calibrated = Callable[[Sequence[np.ndarray]], CalibrationFile]


def good_frames() -> list[np.ndarray]:
    return [frame for frame, _ in render_stills(10, SIZE, seed=99)]


def noise() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (10, *SIZE, 3), dtype=np.uint8))


BROKEN = {
    "white noise": noise,
    "one black frame": lambda: [np.zeros((*SIZE, 3), np.uint8)],
    "wrong colour order": lambda: [np.ascontiguousarray(f[..., ::-1]) for f in good_frames()],
}


@pytest.fixture
def select(
    small_fused: onnx.ModelProto, walls: list[Annotated]
) -> Callable[..., tuple[Buildable, GateRecord]]:
    def down(
        calibration: CalibrationFile,
        *,
        frames: Sequence[Annotated] = walls,
        excluded: tuple[str, ...] = (),
        gate: Gate = Gate(max_lost_f1=0.02),  # noqa: B008
        allow_loss: bool = False,
        elsewhere: bool = True,
    ) -> tuple[Buildable, GateRecord]:
        given = GateContext(
            fused=small_fused,
            calibration=calibration,
            excluded=excluded,
            threshold=find_card(DEFAULT_MODEL).threshold,
            frame_hw=SIZE,
            frames=frames,
            data="drawn",
            gate=gate,
            report=lambda step: None,
        )
        return select_precision(given, allow_loss=allow_loss, elsewhere=elsewhere)

    return down


def test_good_ranges_ship_int8_and_fp16_was_judged_too(select, calibrated: Calibrated) -> None:
    step, record = select(calibrated(good_frames()))
    assert step.precision == "int8"
    assert [candidate.name for candidate in record.candidates] == ["INT8", "FP16"]
    assert all(candidate.passed for candidate in record.candidates)
    assert record.shipped == "INT8"
    assert not record.loss_allowed
    assert record.calibration_key == calibrated(good_frames()).key
    assert record.weights_sha256 == weights_of(find_card(DEFAULT_MODEL))
    assert record.unjudged == {"thin": 3, "dark": 3}


@pytest.mark.usefixtures("beside_a_gpu")
def test_beside_a_gpu_the_cpu_judges_and_its_speed_does_not_count(
    select, calibrated: Calibrated
) -> None:
    step, record = select(calibrated(good_frames()), elsewhere=False)
    assert step.precision == "int8"
    assert record.engine == "openvino CPU"
    assert "does not count where TensorRT runs it" in record.decision
    assert all(candidate.latency_ms is None for candidate in record.candidates)


@pytest.mark.parametrize(
    ("int8_ms", "fp16_ms", "shipped", "said"),
    [
        (10.0, 20.0, "INT8", "is 2.00 times as fast here: 10.0 ms against 20.0 ms for FP16"),
        (20.0, 10.0, "FP16", "not faster on this machine: 20.0 ms against 10.0 ms for FP16; see"),
        (9.9, 10.0, "FP16", "not faster on this machine"),  # a tie goes to what loses less
    ],
)
def test_int8_that_passes_ships_where_it_is_faster_too(
    int8_ms: float,
    fp16_ms: float,
    shipped: str,
    said: str,
    select,
    calibrated: Calibrated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: list[tuple[str, str]] = []

    def quickest_ms(one: Any, other: Any, feeds: Any) -> tuple[float, float]:
        assert feeds[0]["frame"].shape == (1, *SIZE, 3)
        timed.append((one.name, other.name))
        return int8_ms, fp16_ms

    monkeypatch.setattr(f"{select_precision.__module__}.quickest_ms", quickest_ms)
    step, record = select(calibrated(good_frames()), elsewhere=False)
    assert timed == [("openvino CPU", "openvino CPU")]
    assert step.name == record.shipped == shipped
    assert said in record.decision
    assert [candidate.latency_ms for candidate in record.candidates] == [int8_ms, fp16_ms]
    assert all(candidate.passed for candidate in record.candidates)


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_calibration_never_ships(how: str, select, calibrated: Calibrated) -> None:
    step, record = select(calibrated(BROKEN[how]()))
    assert step.precision == "fp16"
    assert not record.candidates[0].passed
    assert record.candidates[0].reasons
    assert "INT8 fails" in record.decision


def test_loss_ships_only_when_it_is_allowed_and_is_recorded(select, calibrated: Calibrated) -> None:
    step, record = select(calibrated(BROKEN["one black frame"]()), allow_loss=True)
    assert step.precision == "int8"
    assert record.loss_allowed
    assert "--allow-loss" in record.decision


def test_the_worst_layers_go_to_fp16_when_that_is_enough(select, calibrated: Calibrated) -> None:
    good = calibrated(good_frames())
    worst, *rest = list(good.ranges)[1::5]
    others = tuple(name for name in good.ranges if name not in (worst, *rest))
    blank = msgspec.structs.replace(good, ranges=good.ranges | {worst: good.ranges[worst] / 50})
    step, record = select(msgspec.structs.replace(blank, key=key_of(blank)), excluded=others)
    assert step.name == "INT8 with the worst layer in FP16"
    assert step.fp16_layers == (worst,)
    assert [candidate.passed for candidate in record.candidates] == [False, True, True]


def test_what_fp16_cannot_hold_ships_in_fp32(select, calibrated: Calibrated) -> None:
    """No score shows it: OpenVINO computes FP16 graphs in FP32, as it does what INT8 leaves."""
    good = calibrated(good_frames())
    name = list(good.ranges)[3]
    wide = msgspec.structs.replace(good, ranges=good.ranges | {name: 1e5})
    step, record = select(msgspec.structs.replace(wide, key=key_of(wide)), excluded=(name,))
    assert step.precision == "fp32"
    reason = f"the input of {name} reaches 100000, FP16 ends at 65504"
    assert [candidate.reasons for candidate in record.candidates] == [(reason,), (reason,), ()]


def test_frames_without_a_crack_let_nothing_pass(select, calibrated: Calibrated) -> None:
    flat = np.full((*SIZE, 3), 128, np.uint8)
    blank = [
        Annotated(data="b", name=str(i), read=lambda: (flat, Truth(np.zeros(SIZE, bool))))
        for i in range(8)
    ]
    with pytest.raises(GateError, match="nothing passes"):
        select(calibrated(good_frames()), frames=blank)
    with pytest.raises(InputError, match=r"needs 8 images at least .*, found 7 in drawn"):
        select(calibrated(good_frames()), frames=blank[:7])
