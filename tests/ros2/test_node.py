"""The node's work, messages in and messages out, every answer through CDR and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from wire import START_NS, camera_info, header, image, odometry

from scnet_edge.errors import ConfigError, EngineError, InputError
from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.ros2.node import OUTPUTS, CrackNode
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.sinks.ros_results import make_message, types
from scnet_edge.types import Frame, Result

SIZE_HW = (64, 96)
CRACK = np.s_[20:26, 10:80]


def wall() -> np.ndarray:
    frame = np.full((*SIZE_HW, 3), 200, np.uint8)
    frame[CRACK] = 20
    return frame


def dark(frame: Frame) -> Result:
    darkness = 1 - frame.mean(axis=2, dtype=np.float32) / 255
    return Result(mask=darkness >= 0.5, probability=darkness, edges=None, flags=("degraded",))


def node(**options: Any) -> CrackNode:
    return CrackNode(dark, make_message, facts={"model": "dark"}, **options)


def over_the_wire(kind: str, message: Any) -> Any:
    """Return what a peer reads of the bytes that rosbags makes of a message."""
    return types().deserialize_cdr(types().serialize_cdr(message, kind), kind)


def answers(of: CrackNode, message: Any) -> dict[str, Any]:
    return {name: over_the_wire(OUTPUTS[name], m) for name, m in of.image(message)}


def values(of: CrackNode) -> tuple[int, str, dict[str, str]]:
    kind = "diagnostic_msgs/msg/DiagnosticArray"
    [status] = over_the_wire(kind, of.diagnostics(header())).status
    return status.level, status.message, {v.key: v.value for v in status.values}


def test_a_mask_with_the_header_of_its_image(
    darkness_bundle: Callable[[tuple[int, int]], Path],
) -> None:
    with Pipeline.open(darkness_bundle(SIZE_HW)) as pipeline:
        core = CrackNode(pipeline, make_message, facts={})
        found = answers(core, image(wall()))
    mask = found["mask"]
    assert (mask.encoding, mask.height, mask.width, mask.step) == ("mono8", 64, 96, 96)
    expected = np.zeros(SIZE_HW, np.uint8)
    expected[CRACK] = 255
    np.testing.assert_array_equal(mask.data.reshape(SIZE_HW), expected)
    assert {str(m.header) for m in found.values()} == {str(header())}
    overlay = cv2.imdecode(found["overlay"].data, cv2.IMREAD_COLOR)
    assert overlay.shape == (*SIZE_HW, 3)
    assert np.abs(overlay[40:].astype(int) - 200).max() < 12
    assert np.abs(overlay[CRACK].astype(int) - 20).mean() > 20  # it is drawn upon


def test_cracks_are_those_that_are_measured() -> None:
    core = node()
    found = answers(core, image(wall()))
    [measured] = measure_cracks(dark(wall()).mask, frame=wall())
    [crack] = found["cracks"].cracks
    assert (crack.x_min, crack.y_min, crack.x_max, crack.y_max) == measured.bbox_xyxy
    assert crack.length_px == pytest.approx(measured.length_px)
    assert crack.width_mean_px == pytest.approx(measured.width_mean_px)
    assert crack.area_px == 6 * 70
    assert found["cracks"].flags == ["degraded"]
    unknown = (crack.length_mm, found["cracks"].mm_per_px, found["cracks"].chainage_m)
    assert all(map(math.isnan, unknown))
    [box] = found["detections"].detections
    assert (box.bbox.center.position.x, box.bbox.center.position.y) == (45, 23)
    assert (box.bbox.size_x, box.bbox.size_y) == (70, 6)
    assert box.results[0].hypothesis.class_id == "crack"


def test_scale_and_chainage_come_with_camera_info_and_odometry() -> None:
    core = node(distance_m=0.5)
    core.camera_info(camera_info(0.0, 96))  # not calibrated
    assert math.isnan(answers(core, image(wall()))["cracks"].mm_per_px)
    core.camera_info(camera_info(1000.0, 192))  # of an image twice as wide: 500 px here
    for i in range(5):
        core.odometry(odometry(START_NS + i * 10**8, 0.3 * i, 0.4 * i))
    core.odometry(odometry(START_NS - 10**8, 99.0))  # late
    core.odometry(odometry(START_NS + 10**9, math.nan))
    found = answers(core, image(wall(), START_NS + 250_000_000))["cracks"]
    assert found.mm_per_px == pytest.approx(1.0)
    assert found.chainage_m == pytest.approx(0.5 * 2.5)
    [crack] = found.cracks
    assert crack.length_mm == pytest.approx(crack.length_px)
    assert crack.length_mm_sigma > 0
    before, long_after = START_NS - 1, START_NS + 3 * 10**9
    for at_ns in (before, long_after):
        assert math.isnan(answers(core, image(wall(), at_ns))["cracks"].chainage_m)
    just_after = answers(core, image(wall(), START_NS + 900_000_000))["cracks"]
    assert just_after.chainage_m == pytest.approx(2.0)


def test_only_what_somebody_wants_is_made_and_the_mask_comes_first() -> None:
    core, made = node(), []

    def make(kind: str, /, **fields: Any) -> Any:
        made.append(kind)
        return make_message(kind, **fields)

    core = CrackNode(dark, make, facts={})
    assert [name for name, _ in core.image(image(wall()), ["mask"])] == ["mask"]
    assert made == ["sensor_msgs/msg/Image"]
    assert list(core.image(image(wall()), [])) == []
    assert next(core.image(image(wall())))[0] == "mask"


def test_diagnostics_say_what_is_missing_and_what_failed() -> None:
    core = node(distance_m=1.0)
    assert values(core)[:2] == (1, "no image yet")
    answers(core, image(wall()))
    level, said, facts = values(core)
    assert (level, said) == (1, "no calibrated camera info yet: sizes are in pixels alone")
    core.camera_info(camera_info(100.0, 96))
    core.drop(2)
    with pytest.raises(InputError, match="encoding '64FC1'"):
        list(core.image(image(wall(), encoding="64FC1")))
    level, said, facts = values(core)
    assert level == 2
    assert "64FC1" in said
    assert facts["images received"] == "4"
    assert facts["images dropped, for lack of time"] == "2"
    assert facts["images refused"] == "1"
    assert (facts["camera info"], facts["odometry"]) == ("yes", "no")
    assert float(facts["segment, ms, median"]) >= 0
    answers(core, image(wall()))
    assert values(core)[:2] == (0, "segmenting")


def test_an_engine_that_fails_costs_one_image() -> None:
    def failing(frame: Frame) -> Result:
        raise EngineError("out of memory")

    core = CrackNode(failing, make_message, facts={})
    with pytest.raises(EngineError):
        list(core.image(image(wall())))
    assert values(core)[:2] == (2, "out of memory")


@pytest.mark.parametrize("distance_m", [0.0, -1.0, math.inf, math.nan])
def test_a_distance_must_be_one(distance_m: float) -> None:
    with pytest.raises(ConfigError, match="distance_m"):
        node(distance_m=distance_m)
