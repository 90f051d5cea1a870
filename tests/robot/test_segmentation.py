"""The schedule opened from keys, over hand-made bundles on a real engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from scnet_edge.bundle.activate import compile_bundle
from scnet_edge.bundle.device import read_state
from scnet_edge.bundle.manifest import GOLDEN, seal_of
from scnet_edge.bundle.verify import Golden, verify_bundle, write_golden
from scnet_edge.errors import BundleError, ConfigError, EngineError
from scnet_edge.events import Event
from scnet_edge.folders import file_sha256
from scnet_edge.inspection.setup import read_setup
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.robot.segmentation import open_segmentation
from scnet_edge.types import Captured, Frame, Result

SIZE_HW = (64, 96)
HALF, TENTH = np.float32(0.5).tobytes(), np.float32(0.1).tobytes()  # the threshold in HED's graph


def frame(crack_px: int) -> Frame:
    made = np.full((*SIZE_HW, 3), 200, np.uint8)
    made.reshape(-1, 3)[:crack_px] = 20
    return made


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
) -> onnx.ModelProto:
    def values(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(
                name, TensorProto.UINT8 if name == "frame" else TensorProto.FLOAT, shape
            )
            for name, shape in shapes.items()
        ]

    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, (), [-1 / 255]),
        helper.make_tensor("one", TensorProto.FLOAT, (), [1.0]),
        helper.make_tensor("half", TensorProto.FLOAT, (), [0.5]),
        helper.make_tensor("axis", TensorProto.INT64, (1,), [1]),
    ]
    graph = helper.make_graph(nodes, "part", values(inputs), values(outputs), constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def darkness(output: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["grey"], axes=[3], keepdims=0),
        helper.make_node("Mul", ["grey", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "one"], [output]),
    ]


@pytest.fixture
def halved(darkness_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    """Return a bundle whose HED sees darkness and whose SCNet repeats the prior it is given."""
    folder = darkness_bundle(SIZE_HW)
    flat, deep = (1, *SIZE_HW), (1, 1, *SIZE_HW)
    hed = [
        *darkness("edges"),
        helper.make_node("Greater", ["edges", "half"], ["above"]),
        helper.make_node("Cast", ["above"], ["bits"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["bits", "axis"], ["prior"]),
    ]
    scnet = [
        *darkness("unused"),
        helper.make_node("Mul", ["unused", "scale"], ["little"]),
        helper.make_node("Mul", ["little", "scale"], ["less"]),
        helper.make_node("Squeeze", ["prior", "axis"], ["given"]),
        helper.make_node("Add", ["given", "less"], ["probability"]),
    ]
    frames = {"frame": (1, *SIZE_HW, 3)}
    onnx.save(model(hed, frames, {"edges": flat, "prior": deep}), folder / "hed.onnx")
    onnx.save(model(scnet, {**frames, "prior": deep}, {"probability": flat}), folder / "scnet.onnx")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["model"]["prior"], manifest["edge_threshold"] = "hed", 0.5
    for name in ("hed.onnx", "scnet.onnx"):
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))
    return folder


def results(bundle: Path, robot: Robot, crack_pxs: list[int]) -> list[Result]:
    event_queue: SimpleQueue[Event] = SimpleQueue()
    with open_segmentation(bundle, robot, event_queue=event_queue) as opened:
        return [opened.segment(frame(px)) for px in crack_pxs]


def test_hed_every_second_frame(halved: Path) -> None:
    found = results(halved, Robot(hed_every=2), [300, 0, 0, 300, 0])
    assert [int(r.mask.sum()) for r in found] == [300, 300, 0, 0, 0]
    assert [r.flags for r in found] == [(), ("prior_reused",), (), ("prior_reused",), ()]
    assert all(r.edges is not None for r in found)


def test_tiles_and_reused_edges_do_not_go_together(halved: Path) -> None:
    with pytest.raises(ConfigError, match="needs scale"):
        results(halved, Robot(hed_every=2, scale="native"), [])


@pytest.mark.parametrize(("scale", "tiles"), [("native", 9), ("fit", 1), (None, 9)])
def test_the_scale_is_what_the_robot_says(
    darkness_bundle: Callable[..., Path], scale: Literal["native", "fit"] | None, tiles: int
) -> None:
    bundle, large = darkness_bundle(SIZE_HW), np.full((130, 200, 3), 200, np.uint8)
    large[70:72, 30:170] = 20
    robot = Robot(scale=scale)
    with open_segmentation(bundle, robot, event_queue=SimpleQueue()) as opened:
        found = opened.segment(large)
    assert (found.scale, found.tiles) == (scale or "native", tiles)
    if tiles > 1:
        np.testing.assert_array_equal(found.mask, large[..., 0] == 20)


def test_regions_of_the_robot_and_of_its_pipe_are_both_left_out(
    darkness_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "pipe.toml").write_text(
        'mode = "wall"\nignore = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]\n'
    )
    setup = read_setup(tmp_path / "pipe.toml")
    corner = ((80.0, 0.0), (96.0, 0.0), (96.0, 64.0), (80.0, 64.0))
    robot = Robot(ignore=(corner,))
    with open_segmentation(
        darkness_bundle(SIZE_HW), robot, setup=setup, event_queue=SimpleQueue()
    ) as opened:
        found = opened.segment(np.zeros((*SIZE_HW, 3), np.uint8))
    assert found.mask[:, 50:79].all()
    assert not found.mask[:, :48].any()
    assert not found.mask[:, 81:].any()


def with_golden(bundle: Path) -> Path:
    """Add golden frames, which three graphs of darkness answer alike, and seal the bundle again."""
    frames = np.stack([frame(px) for px in (0, 200, 5000)])
    darkness = (1 - frames.mean(axis=3) / 255).astype(np.float32)
    golden = Golden(frames=frames, probability=darkness, edges=None)
    write_golden(bundle / GOLDEN, golden)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][GOLDEN] = file_sha256(bundle / GOLDEN)
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))
    return bundle


def test_halves_run_as_they_were_compiled_on_the_device(halved: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: nothing to compile with")
    bundle = with_golden(halved)
    built = compile_bundle(bundle, engine="openvino", threads=1)
    assert set(built.record.graphs) == {"fused.onnx", "hed.onnx", "scnet.onnx"}
    code = {path: path.stat().st_mtime_ns for path in (bundle / "device").rglob("*.blob")}
    assert len(code) == 3
    robot = Robot(engine="openvino", threads=1, hed_every=2)
    assert [int(r.mask.sum()) for r in results(bundle, robot, [300, 0, 0])] == [300, 300, 0]
    # They were read, not compiled again: no other file, and none written anew.
    assert {p: p.stat().st_mtime_ns for p in (bundle / "device").rglob("*.blob")} == code
    for path in code:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        EngineError, match=r"altered or damaged, not loaded; run 'scnet-edge compile"
    ):
        results(bundle, robot, [300])


def test_halves_that_stray_are_not_made_active(halved: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: nothing to compile with")
    bundle = with_golden(halved)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "hed.onnx").write_bytes((bundle / "hed.onnx").read_bytes().replace(HALF, TENTH))
    manifest["files"]["hed.onnx"] = file_sha256(bundle / "hed.onnx")
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))
    with pytest.raises(BundleError, match=r"hed\.onnx and scnet\.onnx in .*: mask F1 against"):
        compile_bundle(bundle, engine="openvino", threads=1)
    assert read_state(bundle).engines == {}
    with pytest.raises(BundleError, match=r"hed\.onnx and scnet\.onnx in .*: mask F1 against"):
        verify_bundle(bundle, engine="openvino", threads=1)


def test_hed_of_another_bundle(halved: Path) -> None:
    found = results(halved, Robot(hed_bundle=str(halved)), [300, 0])
    assert [int(r.mask.sum()) for r in found] == [300, 0]


def test_a_gate_and_the_full_model(darkness_bundle: Callable[..., Path]) -> None:
    bundle = darkness_bundle(SIZE_HW)
    robot = Robot(gate_bundle=str(bundle), gate_threshold=0.5, gate_wake_px=100)
    found = results(bundle, robot, [50, 150])
    assert [int(r.mask.sum()) for r in found] == [0, 150]
    assert [r.flags for r in found] == [("gated",), ()]


def test_skip_is_what_the_robot_says(darkness_bundle: Callable[..., Path]) -> None:
    robot = Robot(skip=("blurred",), late_ms=1e4, degrade_every=2)
    with open_segmentation(darkness_bundle(SIZE_HW), robot, event_queue=SimpleQueue()) as opened:
        for faults, expected in ((("black",), None), (("black", "blurred"), "blurred")):
            captured = Captured(frame_id=0, name="", frame=frame(0), mono_ns=0, faults=faults)
            assert opened.skip(captured) == expected


@pytest.mark.parametrize(
    ("robot", "error", "message"),
    [
        (Robot(hed_every=2), BundleError, "build it with --split-graphs"),
        (Robot(late_ms=100), ConfigError, "need degrade_every above 1 or a degrade_bundle"),
        (Robot(degrade_every=3), ConfigError, "need late_ms or hot_c above 0"),
        (Robot(gate_bundle="nowhere"), BundleError, "nowhere"),
        (Robot(operating_point="strict"), ConfigError, "operating point 'strict': expected one"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    darkness_bundle: Callable[..., Path], robot: Robot, error: type[Exception], message: str
) -> None:
    with (
        pytest.raises(error, match=message) as caught,
        open_segmentation(darkness_bundle(SIZE_HW), robot, event_queue=SimpleQueue()),
    ):
        pass
    assert "\n" not in str(caught.value)
