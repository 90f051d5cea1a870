import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from scnet_edge.bundle.manifest import (
    SCHEMA,
    InputContract,
    Manifest,
    ModelIdentity,
    write_manifest,
)
from scnet_edge.engines.fake import FakeBackend
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.errors import BundleError, ConfigError, EngineCrash, EngineError, InputError
from scnet_edge.models.cards import OperatingPoint
from scnet_edge.models.decision import Decision
from scnet_edge.runtime.ignore import Ignore
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.runtime.scale import ModelScale
from scnet_edge.types import Parity

SIZE_HW = (48, 64)
THRESHOLD = 0.6
PARITY = Parity(
    engine="none",
    frames=1,
    max_abs_error=0,
    mean_abs_error=0,
    mask_agreement=1,
    mask_f1=1,
    prior_flip_rate=None,
)
MANIFEST = Manifest(
    schema=SCHEMA,
    model=ModelIdentity(name="darkness", prior="none", sha256={}, licence="Apache-2.0"),
    input=InputContract(frame_hw=SIZE_HW, size_hw=SIZE_HW),
    threshold=THRESHOLD,
    precision="fp32",
    calibration=None,
    parity=PARITY,
    min_mask_f1=1,
    quantised_convolutions=0,
    files={},
    tools={},
    created="2026-01-01T00:00:00Z",
)


def write_bundle(folder: Path) -> Path:
    """Write a bundle whose probability is the darkness of a pixel: 1 - mean(B, G, R) / 255."""
    height, width = SIZE_HW
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["grey"], axes=[3], keepdims=0),
            helper.make_node("Mul", ["grey", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "one"], ["probability"]),
        ],
        "darkness",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, (1, height, width, 3))],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, (1, height, width))],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, (), [-1 / 255]),
            helper.make_tensor("one", TensorProto.FLOAT, (), [1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    onnx.save(model, folder / "fused.onnx")
    digest = hashlib.sha256((folder / "fused.onnx").read_bytes()).hexdigest()
    write_manifest(folder, msgspec.structs.replace(MANIFEST, files={"fused.onnx": digest}))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_bundle_on_a_real_engine(bundle: Path, engine: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8)
    with Pipeline.open(bundle, engine=engine, threads=1) as pipeline:
        result = pipeline(frame)
        assert pipeline.manifest.model.name == "darkness"
        assert "cpu" in pipeline.engine.lower()
    expected = 1 - frame.mean(axis=2) / 255
    np.testing.assert_allclose(result.probability, expected, atol=1e-6)
    clear = np.abs(expected - THRESHOLD) > 1e-5
    np.testing.assert_array_equal(result.mask[clear], (expected >= THRESHOLD)[clear])
    assert (result.mask.dtype, result.probability.dtype, result.edges) == (bool, np.float32, None)
    assert list(result.timing) == ["engine", "mask"]
    assert all(type(ms) is float and ms >= 0 for ms in result.timing.values())


def test_an_operating_point_is_another_decision(bundle: Path) -> None:
    digest = {"fused.onnx": hashlib.sha256((bundle / "fused.onnx").read_bytes()).hexdigest()}
    points = (
        OperatingPoint(name="sensitive", threshold=0.2, domains={}),
        OperatingPoint(name="strict", threshold=0.2, seed=0.9, domains={}),
    )
    made = msgspec.structs.replace(MANIFEST, files=digest, operating_points=points)
    write_manifest(bundle, made)
    frame = np.repeat(np.arange(256, dtype=np.uint8)[: 64 * 4 : 4], 48 * 3).reshape(64, 48, 3)
    frame = np.ascontiguousarray(frame.transpose(1, 0, 2))
    for name, threshold, seed in (
        ("sensitive", 0.2, 0),
        (None, THRESHOLD, 0),
        ("strict", 0.2, 0.9),
    ):
        with Pipeline.open(bundle, engine="onnxruntime", operating_point=name) as pipeline:
            result = pipeline(frame)
            decision = Decision(threshold=threshold, seed=seed)
            assert pipeline.manifest.decision == decision
            np.testing.assert_array_equal(result.mask, decision.mask_of(result.probability))
    with pytest.raises(ConfigError, match="has, found sensitive, strict; leave it out"):
        Pipeline.open(bundle, operating_point="balanced")
    write_manifest(bundle, msgspec.structs.replace(MANIFEST, files=digest))
    with pytest.raises(ConfigError, match="found none; leave it out for the threshold"):
        Pipeline.open(bundle, operating_point="strict")


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_maps_have_the_size_of_the_frame(factor: float) -> None:
    """A black disc on white keeps its place and area, whatever the camera's size."""
    height, width = (round(side * factor) for side in SIZE_HW)
    frame = np.full((height, width, 3), 255, np.uint8)
    cv2.circle(frame, (round(20 * factor), round(24 * factor)), round(12 * factor), (0, 0, 0), -1)
    result = Pipeline(MANIFEST, FakeBackend(SIZE_HW))(frame)
    truth = frame[..., 0] == 0
    assert result.edges is not None
    assert result.mask.shape == result.probability.shape == result.edges.shape == truth.shape
    assert 0 <= result.probability.min() <= result.probability.max() <= 1
    assert (result.mask & truth).sum() / (result.mask | truth).sum() > 0.9


def test_grey_and_alpha_frames_are_taken() -> None:
    bgr = np.random.default_rng(1).integers(0, 256, (*SIZE_HW, 1), np.uint8).repeat(3, axis=2)
    pipeline = Pipeline(MANIFEST, FakeBackend(SIZE_HW))
    expected = pipeline(bgr).mask
    np.testing.assert_array_equal(pipeline(bgr[..., 0]).mask, expected)
    np.testing.assert_array_equal(pipeline(np.dstack([bgr, bgr[..., 0]])).mask, expected)


def test_what_is_no_frame_is_refused() -> None:
    pipeline = Pipeline(MANIFEST, FakeBackend(SIZE_HW))
    for frame in (np.zeros((1, 1, 3), np.uint8), np.zeros((*SIZE_HW, 3), np.float32)):
        with pytest.raises(InputError, match="frame: "):
            pipeline(frame)


@pytest.mark.parametrize("scale", ["native", "fit", "auto"])
@pytest.mark.parametrize("frame_hw", [(1, 1), (1, 20_000), (20_000, 15)])
def test_a_frame_with_a_side_of_a_few_pixels_is_refused(
    bundle: Path, scale: ModelScale, frame_hw: tuple[int, int]
) -> None:
    size = f"{frame_hw[1]}x{frame_hw[0]}"
    with (
        Pipeline.open(bundle, engine="onnxruntime", scale=scale) as pipeline,
        pytest.raises(InputError, match=f"^frame: {size} px, expected sides of at least 16 px$"),
    ):
        pipeline(np.zeros((*frame_hw, 3), np.uint8))


def test_an_unknown_scale_is_refused(bundle: Path) -> None:
    with pytest.raises(ConfigError, match=r"^scale 'tiled': expected one of native, fit, auto$"):
        Pipeline.open(bundle, scale="tiled")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", ["native", "fit", "auto"])
def test_an_ignore_in_pixels_that_covers_a_frame_is_refused(
    bundle: Path, scale: ModelScale
) -> None:
    """Which it does is known when the frame comes; a larger frame is inspected beside it."""
    square = ((0.0, 0.0), (300.0, 0.0), (300.0, 200.0), (0.0, 200.0))
    with Pipeline.open(
        bundle, engine="onnxruntime", scale=scale, ignore=Ignore([square])
    ) as pipeline:
        with pytest.raises(ConfigError, match=r"^ignore: covers the whole frame, .*draw less$"):
            pipeline(np.zeros((200, 300, 3), np.uint8))
        assert pipeline(np.zeros((200, 400, 3), np.uint8)).mask[:, 310:].all()


class Answering:
    """A backend that gives what it was told to."""

    name = "answering"

    def __init__(self, **outputs: np.ndarray) -> None:
        self.outputs = outputs
        self.closed = 0

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        return self.outputs

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("output", ["probability", "edges"])
def test_an_output_that_is_not_finite_is_an_error(output: str, value: float) -> None:
    outputs = {
        "probability": np.zeros((1, *SIZE_HW), np.float32),
        "edges": np.zeros((1, *SIZE_HW), np.float32),
    }
    outputs[output][0, 3, 4] = value
    with pytest.raises(EngineError, match=f"{output} is not finite"):
        Pipeline(MANIFEST, Answering(**outputs))(np.zeros((*SIZE_HW, 3), np.uint8))


def test_an_output_of_another_name_or_shape_is_an_error() -> None:
    for outputs in ({"mask": np.zeros((1, *SIZE_HW))}, {"probability": np.zeros((1, 1, *SIZE_HW))}):
        with pytest.raises(EngineError, match="expected output probability"):
            Pipeline(MANIFEST, Answering(**outputs))(np.zeros((*SIZE_HW, 3), np.uint8))


def test_the_threshold_itself_is_crack() -> None:
    probability = np.full((1, *SIZE_HW), 0.5, np.float32)
    manifest = msgspec.structs.replace(MANIFEST, threshold=0.5)
    assert Pipeline(manifest, Answering(probability=probability))(
        np.zeros((*SIZE_HW, 3), np.uint8)
    ).mask.all()


def test_what_is_ignored_is_no_crack_and_its_tiles_are_not_looked_at() -> None:
    frame = np.zeros((4 * SIZE_HW[0], 4 * SIZE_HW[1], 3), np.uint8)
    everything = Pipeline(MANIFEST, FakeBackend(SIZE_HW))(frame)
    left = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    some = Pipeline(MANIFEST, FakeBackend(SIZE_HW), ignore=Ignore([left]))(frame)
    assert everything.mask.all()
    assert everything.ignored is None
    assert some.ignored is not None
    np.testing.assert_array_equal(some.mask, ~some.ignored)
    assert not some.probability[some.ignored].any()
    assert some.tiles < everything.tiles


def test_leaving_closes_the_engine() -> None:
    backend = Answering()
    with pytest.raises(ZeroDivisionError), Pipeline(MANIFEST, backend):
        raise ZeroDivisionError
    assert backend.closed == 1


def test_a_bundle_is_checked_before_it_is_parsed(bundle: Path) -> None:
    with (bundle / "fused.onnx").open("ab") as f:
        f.write(b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        Pipeline.open(bundle)


def test_a_graph_the_manifest_does_not_vouch_for_is_refused(bundle: Path) -> None:
    write_manifest(bundle, MANIFEST)
    with pytest.raises(BundleError, match=r"no fused\.onnx"):
        Pipeline.open(bundle)


def test_an_unknown_engine_is_refused(bundle: Path) -> None:
    with pytest.raises(EngineError, match="expected one of"):
        Pipeline.open(bundle, engine="tensorflow")


def test_an_isolated_engine_gives_the_same_and_survives_its_crash(bundle: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    with Pipeline.open(bundle, engine="onnxruntime", threads=1) as pipeline:
        expected = pipeline(frame)
    graph = str(bundle / "fused.onnx")
    backend = IsolatedBackend([Opening(engine="onnxruntime", graph=graph, threads=1)])
    with Pipeline(MANIFEST, backend) as pipeline:
        assert pipeline.engine == "onnxruntime CPU"
        np.testing.assert_array_equal(pipeline(frame).probability, expected.probability)
        assert backend.pid
        os.kill(backend.pid, signal.SIGABRT)
        with pytest.raises(EngineCrash, match="SIGABRT"):
            pipeline(frame)
        np.testing.assert_array_equal(pipeline(frame).probability, expected.probability)
    with Pipeline.open(bundle, engine="onnxruntime", threads=1, isolate=True) as pipeline:
        np.testing.assert_array_equal(pipeline(frame).mask, expected.mask)


def test_without_an_engine_named_the_default_runs(bundle: Path) -> None:
    with Pipeline.open(str(bundle)) as pipeline:
        assert pipeline(np.zeros((*SIZE_HW, 3), np.uint8)).mask.all()


def test_the_package_itself_is_light(
    python: Callable[[str, list[str]], subprocess.CompletedProcess[str]],
) -> None:
    code = """
import sys, scnet_edge
assert scnet_edge.__all__ == sorted(scnet_edge.__all__)
print(*({"numpy", "cv2", "torch", "onnx"} & set(sys.modules)), sep=",")
from scnet_edge import Pipeline, Result
print(*({"torch", "onnx"} & set(sys.modules)), sep=",")
try:
    scnet_edge.missing
except AttributeError:
    print("no such name")
"""
    done = python(code, [])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["", "", "no such name"]


@pytest.fixture
def isolated_fake() -> Callable[[], IsolatedBackend]:
    """Return a function that opens a fake engine in a process of its own."""
    arguments = {"frame_hw": SIZE_HW, "edges": False}
    opening = Opening(factory="scnet_edge.engines.fake:FakeBackend", arguments=arguments)
    return lambda: IsolatedBackend([opening])


class OnePlace:
    """An engine as they are: it writes every answer to one place, and takes its time."""

    name = "one place"

    def __init__(self) -> None:
        self.place = np.zeros((1, *SIZE_HW), np.float32)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.place[...] = feeds["frame"][..., 0] / np.float32(255)
        time.sleep(0.002)
        return {"probability": self.place.copy()}

    def close(self) -> None: ...


@pytest.mark.parametrize("make", [OnePlace, None], ids=["in this process", "isolated"])
def test_threads_that_share_a_pipeline_get_their_own_masks(
    make: Callable[[], OnePlace] | None, isolated_fake: Callable[[], IsolatedBackend]
) -> None:
    with Pipeline(MANIFEST, make() if make else isolated_fake()) as pipeline:

        def wrong(value: int) -> int:
            frame = np.full((*SIZE_HW, 3), value, np.uint8)
            truth = pipeline(frame).probability
            expected = value / 255 if make else 1 - value / 255
            assert np.allclose(truth, expected, atol=0.01)
            return sum(not np.array_equal(pipeline(frame).probability, truth) for _ in range(25))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(wrong, (0, 80, 160, 250))) == [0, 0, 0, 0]
