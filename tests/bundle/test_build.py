"""From shipped weights to a bundle, end to end, on every engine that is installed here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import scnet_edge.cli.run  # noqa: F401  (registers the command)
from scnet_edge import Pipeline, build
from scnet_edge.build import GateRequest, build_bundle
from scnet_edge.bundle.manifest import GateRecord, Precision, read_manifest
from scnet_edge.bundle.recipe import DEFAULT_MODEL, Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.bundle.verify import read_golden, verify_bundle
from scnet_edge.cli import main
from scnet_edge.engines.base import list_engines
from scnet_edge.engines.torch_eager import TorchBackend
from scnet_edge.errors import BundleError, ConfigError, GraphError, ModelError
from scnet_edge.folders import file_sha256
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.onnx_export.fp16 import to_fp16
from scnet_edge.quantization import lowering
from scnet_edge.quantization.gate import Gate
from scnet_edge.quantization.ranges import find_ranges, read_ranges
from scnet_edge.quantization.select_precision import FP16, Buildable
from scnet_edge.simulation.clip import read_truth, render_clip

SIZE = (96, 160)
SAMPLES = Path(__file__).parents[2] / "samples"
PRECISIONS: list[Precision] = ["fp32", "fp16", "int8"]
CPU_ENGINES = [e for e in ("openvino", "onnxruntime") if e in list_engines()]


@pytest.fixture(scope="module", params=PRECISIONS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / request.param
    build_bundle(Recipe(precision=request.param, size_hw=SIZE, min_mask_f1=0.8), out)
    return out


def test_manifest_is_read_back(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.precision == bundle.name
    assert manifest.model.sha256 == {DEFAULT_MODEL: find_card(DEFAULT_MODEL).sha256}
    assert manifest.input.frame_hw == manifest.input.size_hw == SIZE
    assert (manifest.calibration is not None) == (manifest.precision == "int8")
    int8 = manifest.quantised_convolutions
    assert (int8 > 20) == (manifest.precision == "int8")


@pytest.mark.parametrize("engine", CPU_ENGINES)
def test_engines_agree_with_pytorch(bundle: Path, engine: str) -> None:
    manifest, parity = verify_bundle(bundle, engine=engine, threads=1)
    # A rounded value can move a pooled maximum to its neighbour, so single pixels may differ much.
    assert parity.mean_abs_error < {"fp32": 1e-6, "fp16": 1e-3, "int8": 0.02}[bundle.name]
    assert parity.max_abs_error < (1e-4 if manifest.precision == "fp32" else 1)
    assert parity.mask_agreement > {"fp32": 0.9999, "fp16": 0.999, "int8": 0.985}[bundle.name]


@pytest.mark.parametrize("engine", CPU_ENGINES)
def test_pipeline_gives_the_reference_masks(bundle: Path, engine: str) -> None:
    chain = open_chain(find_card(DEFAULT_MODEL), Recipe(precision="fp32", size_hw=SIZE))
    frames = [frame for frame, _ in render_clip(6, SIZE, seed=3)]
    probability = [TorchBackend(chain).run({"frame": f[None]})["probability"][0] for f in frames]
    with Pipeline.open(bundle, engine=engine, threads=1) as pipeline:
        results = [pipeline(frame) for frame in frames]
    assert all(result.edges is None for result in results)
    manifest = pipeline.manifest
    assert all((r.mask == manifest.decision.mask_of(r.probability)).all() for r in results)
    ours = np.stack([result.probability for result in results]) >= manifest.threshold
    reference = np.stack(probability) >= manifest.threshold  # frames so small hold no sure area
    assert reference.any()
    assert (ours == reference).mean() > {"fp32": 0.9999, "fp16": 0.999, "int8": 0.98}[bundle.name]


def test_damaged_bundle_is_not_opened(tmp_path: Path) -> None:
    build_bundle(Recipe(precision="fp32", size_hw=SIZE), tmp_path / "b")
    data = bytearray((tmp_path / "b" / "fused.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b" / "fused.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="altered"):
        Pipeline.open(tmp_path / "b")


def test_parity_below_the_promise_writes_nothing(tmp_path: Path) -> None:
    recipe = Recipe(precision="int8", size_hw=SIZE, min_mask_f1=0.99999)
    with pytest.raises(BundleError, match="expected at least"):
        build_bundle(recipe, tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_a_typed_graph_that_strays_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What TensorRT will be given is held to PyTorch, too, though no engine here runs by it."""

    def strays(graph: onnx.ModelProto) -> onnx.ModelProto:
        half = to_fp16(graph)
        vectors = [i for i in half.graph.initializer if len(i.dims) == 1]
        bias = next(i for i in vectors if i.data_type == onnx.TensorProto.FLOAT16)
        wrong = numpy_helper.to_array(bias) + np.float16(6)
        bias.CopyFrom(numpy_helper.from_array(wrong, bias.name))
        return half

    build_bundle(Recipe(precision="fp32", size_hw=SIZE), tmp_path / "b")
    before = {path.name: file_sha256(path) for path in (tmp_path / "b").iterdir()}
    monkeypatch.setattr(lowering, "to_fp16", strays)
    with pytest.raises(
        BundleError, match=r"typed\.onnx in .*: mask F1 against PyTorch is 0\.\d{4}"
    ):
        build_bundle(Recipe(precision="int8", size_hw=SIZE), tmp_path / "b", overwrite=True)
    assert {path.name: file_sha256(path) for path in (tmp_path / "b").iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "scnet-tremendous"}, ModelError, DEFAULT_MODEL),
        ({"size_hw": (100, 128)}, ModelError, "the next that fits is 128x128"),
        ({"calibration": "nothing"}, ConfigError, "scnet-edge calibrate"),
        (
            {"exclude": ("scnet.nowhere",)},
            GraphError,
            "exclude: no convolution is named scnet.nowhere",
        ),
        (
            {
                "exclude": tuple(
                    find_ranges(DEFAULT_MODEL, weights_of(find_card(DEFAULT_MODEL))).ranges
                )
            },
            ConfigError,
            r"exclude: names all \d+ convolutions",
        ),
        (
            {"split_graphs": True},
            ConfigError,
            f"expected a model behind an HED, found {DEFAULT_MODEL}",
        ),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    recipe = msgspec.structs.replace(Recipe(precision="int8", size_hw=SIZE), **changes)
    with pytest.raises(error, match=message) as raised:
        build_bundle(recipe, tmp_path / "b")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size_are_resized_in_the_graph(tmp_path: Path) -> None:
    recipe = Recipe(precision="fp32", size_hw=SIZE, frame_hw=(150, 210))
    manifest = build_bundle(recipe, tmp_path / "b")
    golden = read_golden(tmp_path / "b" / "golden.npz")
    assert golden.frames.shape[1:] == (150, 210, 3)
    assert golden.probability.shape[1:] == SIZE
    assert manifest.parity.max_abs_error < 1e-4


def test_the_gate_is_asked_and_its_record_kept(tmp_path: Path) -> None:
    recipe = Recipe(precision="int8", size_hw=SIZE)
    request = GateRequest(gate=Gate(max_lost_f1=0.02), elsewhere=True)
    manifest = build_bundle(recipe, tmp_path / "b", gate=request)
    assert manifest.gate is not None
    assert read_manifest(tmp_path / "b").gate == manifest.gate
    assert manifest.gate.spec == "f1:0.02"
    assert "drawn" in manifest.gate.data
    assert [candidate.precision for candidate in manifest.gate.candidates][-1] == "fp16"
    shipped = next(r for r in manifest.gate.candidates if r.name == manifest.gate.shipped)
    assert shipped.passed
    assert manifest.precision == shipped.precision


@pytest.mark.usefixtures("beside_a_gpu")
def test_beside_a_gpu_the_cpu_verifies(tmp_path: Path) -> None:
    manifest = build_bundle(Recipe(precision="int8", size_hw=SIZE), tmp_path / "b")
    assert manifest.parity.engine == "openvino CPU"


def test_a_bundle_carries_its_ranges(tmp_path: Path) -> None:
    manifest = build_bundle(Recipe(precision="int8", size_hw=SIZE), tmp_path / "b")
    carried = read_ranges(tmp_path / "b" / "calibration.toml")
    assert manifest.calibration is not None
    assert carried == find_ranges(DEFAULT_MODEL, weights_of(find_card(DEFAULT_MODEL)))
    assert (manifest.calibration.key, manifest.calibration.sha256) == (carried.key, carried.sha256)


def test_ranges_that_were_judged_stay_beside_another_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So `sensitivity BUNDLE` looks at what failed, and not at the ranges that ship."""
    monkeypatch.setattr(build, "choose_precision", lambda *arguments: (FP16, None))
    request = GateRequest(gate=Gate())
    manifest = build_bundle(Recipe(precision="int8", size_hw=SIZE), tmp_path / "b", gate=request)
    assert manifest.precision == "fp16"
    assert manifest.calibration is None
    assert "calibration.toml" in manifest.files
    assert read_ranges(tmp_path / "b" / "calibration.toml").model == DEFAULT_MODEL


def test_the_full_chain_with_its_halves(tmp_path: Path) -> None:
    """HED and the 29.46 M SCNet in INT8: the edge map crosses quantised, the masks still agree."""
    recipe = Recipe(
        precision="int8", model="scnet", size_hw=(64, 96), split_graphs=True, min_mask_f1=0.5
    )
    manifest = build_bundle(recipe, tmp_path / "b")
    assert set(manifest.files) == {
        "fused.onnx", "hed.onnx", "scnet.onnx", "typed.onnx", "typed-hed.onnx", "typed-scnet.onnx",
        "fp16.onnx", "fp16-hed.onnx", "fp16-scnet.onnx",
        "golden.npz", "calibration.toml",
    }  # fmt: skip
    assert manifest.model.prior == "hed"
    assert set(manifest.model.sha256) == {"scnet", "hed"}
    assert manifest.parity.prior_flip_rate is not None
    assert manifest.parity.prior_flip_rate < 0.02
    assert manifest.parity.mask_agreement > 0.97
    with Pipeline.open(tmp_path / "b") as pipeline:
        result = pipeline(np.full((64, 96, 3), 128, np.uint8))
    assert result.edges is not None
    assert result.edges.shape == result.mask.shape == (64, 96)
    json.loads((tmp_path / "b" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def light_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The light HED and the net behind it, in one FP32 graph."""
    out = tmp_path_factory.mktemp("light") / "fp32"
    build_bundle(Recipe(precision="fp32", model="scnet-small-hed", size_hw=SIZE), out)
    return out


@pytest.mark.parametrize("engine", CPU_ENGINES)
def test_the_light_chain_is_pytorchs_on_every_engine(light_chain: Path, engine: str) -> None:
    manifest, parity = verify_bundle(light_chain, engine=engine, threads=1)
    assert manifest.model.prior == "hed-light"
    assert set(manifest.model.sha256) == {"scnet-small-hed", "hed-light"}
    assert parity.prior_flip_rate is not None
    assert parity.prior_flip_rate < 1e-3
    assert parity.mean_abs_error < 1e-4  # around a pixel of the prior that flips, more
    assert parity.mask_agreement > 0.999


def test_the_light_chain_in_int8_finds_the_cracks_of_the_sample_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: ranges that ship, one graph of both nets, `run` on the film, the truth."""
    bundle, out = tmp_path / "b", tmp_path / "run"
    recipe = Recipe(precision="int8", model="scnet-small-hed", size_hw=(192, 288))
    manifest = build_bundle(recipe, bundle)
    assert manifest.quantised_convolutions == len(
        find_ranges("scnet-small-hed", weights_of(find_card("scnet-small-hed"))).ranges
    )
    film, truth = SAMPLES / "pipe.mp4", read_truth(SAMPLES / "pipe_truth.npz")
    arguments = ["run", bundle, "--source", film, "--out", out]
    monkeypatch.setattr(sys, "argv", ["scnet-edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    video, found = cv2.VideoCapture(str(film)), np.zeros(3)
    with Pipeline.open(bundle) as pipeline:
        for expected in truth[:8]:
            result = pipeline(video.read()[1])
            assert result.edges is not None
            assert 0 < (result.edges > 0.5).mean() < 0.5
            mask = cv2.resize(result.mask.astype(np.uint8), expected.shape[::-1]) > 0
            found += (mask & expected).sum(), mask.sum(), expected.sum()
    assert 2 * found[0] / (found[1] + found[2]) > 0.6


@pytest.mark.parametrize("passed", [True, False])
def test_fp16_rides_beside_int8_unless_the_gate_refuses_it(
    passed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(*arguments: Any) -> tuple[Buildable, GateRecord]:
        record = gated(*arguments)[1]
        *candidates, fp16 = record.candidates
        candidates.append(msgspec.structs.replace(fp16, passed=passed))
        return Buildable(name="INT8", precision="int8"), msgspec.structs.replace(
            record, candidates=tuple(candidates)
        )

    gated = build.choose_precision
    monkeypatch.setattr(build, "choose_precision", judged)
    request = GateRequest(gate=Gate(max_lost_f1=0.5), elsewhere=True)
    recipe = Recipe(precision="int8", model="scnet-tiny", size_hw=SIZE)
    manifest = build_bundle(recipe, tmp_path / "b", gate=request)
    assert ("fp16.onnx" in manifest.files) == passed
    assert manifest.gate is not None
    assert [r.f1 > 0 for r in manifest.gate.candidates if r.precision == "fp16"] == [True]
    if passed:
        graph = onnx.load(tmp_path / "b" / "fp16.onnx")
        kinds = {node.op_type for node in graph.graph.node}
        assert "QuantizeLinear" not in kinds
        assert graph.opset_import[0].version == 17  # so that TensorRT 8.5 reads it as well
        weights = [i for i in graph.graph.initializer if len(i.dims) == 4]
        assert {i.data_type for i in weights} == {onnx.TensorProto.FLOAT16}


def test_an_fp16_graph_that_strays_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bundle_graphs(*arguments: Any, **options: Any) -> dict[str, onnx.ModelProto]:
        graphs = original(*arguments, **options)
        for i in graphs["fp16.onnx"].graph.initializer:
            if len(i.dims) == 4:
                i.raw_data = bytes(len(i.raw_data))
        return graphs

    original = build.bundle_graphs
    monkeypatch.setattr(build, "bundle_graphs", bundle_graphs)
    with pytest.raises(BundleError, match=r"fp16\.onnx in openvino CPU: mask F1"):
        build_bundle(Recipe(precision="int8", size_hw=SIZE), tmp_path / "b")
    assert not (tmp_path / "b").exists()
