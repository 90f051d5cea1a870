"""What a suite can ask for beside the plain row, measured at 64x96 px in real processes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from scnet_edge.bench.figures import size
from scnet_edge.bench.runner import run_suite
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow
from scnet_edge.bench.suite import Contender, Suite
from scnet_edge.bundle.manifest import read_manifest, write_manifest
from scnet_edge.models.cards import find_card

SIZE_HW = (64, 96)
OF_OURS, PEER = "scnet-tiny", "peer/"
CONTENDERS = (
    Contender(engine="torch", precision="fp32", mode="eager", models=(OF_OURS,)),
    Contender(engine="openvino", precision="int8", mode="bf16-rest"),
    Contender(engine="openvino", precision="fp32", schedule="hed/4", models=(PEER,)),
)


def half(name: str, outputs: dict[str, tuple[int, ...]], prior: tuple[str, ...]) -> onnx.ModelProto:
    """Return a graph that says "no crack" of a frame, and takes the prior where it is one's."""
    value, size = helper.make_tensor_value_info, (1, *SIZE_HW)
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["float"], ["grey"], axes=[3], keepdims=0),
        helper.make_node("Mul", ["grey", "zero"], ["map"]),
        *(helper.make_node("Reshape", ["map", f"{o}_shape"], [o]) for o in outputs),
    ]
    if prior:
        nodes[-1] = helper.make_node("Mul", ["map", "gate"], [*outputs])
        nodes.insert(-1, helper.make_node("ReduceMax", ["prior"], ["gate"], axes=[1], keepdims=0))
    graph = helper.make_graph(
        nodes,
        name,
        [value("frame", TensorProto.UINT8, (*size, 3))]
        + [value(p, TensorProto.FLOAT, (1, *size)) for p in prior],
        [value(o, TensorProto.FLOAT, shape) for o, shape in outputs.items()],
        [helper.make_tensor("zero", TensorProto.FLOAT, (), [0.0])]
        + [
            helper.make_tensor(f"{o}_shape", TensorProto.INT64, (len(shape),), shape)
            for o, shape in outputs.items()
        ],
    )
    opset, size = helper.make_opsetid("", 17), "x" * 40_000  # so that its file is seen in `file_mb`
    return helper.make_model(graph, opset_imports=[opset], ir_version=8, doc_string=size)


def write_peer(folder: Path, darkness: Path) -> None:
    """Make `fp32`, HED and SCNet apart too, and `int8`, of a network that is not ours."""
    size = (1, *SIZE_HW)
    parts = {
        "hed.onnx": half("hed", {"edges": size, "prior": (1, *size)}, ()),
        "scnet.onnx": half("scnet", {"probability": size}, ("prior",)),
    }
    for precision in ("fp32", "int8"):
        bundle = folder / precision
        bundle.mkdir(parents=True)
        (bundle / "fused.onnx").write_bytes((darkness / "fused.onnx").read_bytes())
        for name, graph in parts.items():
            onnx.save(graph, bundle / name)
        files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in bundle.iterdir()}
        manifest = msgspec.structs.replace(
            read_manifest(darkness), precision=precision, edge_threshold=0.5, files=files
        )
        write_manifest(bundle, manifest)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, darkness_bundle: Callable) -> BenchmarkResult:
    """The result of a suite of our smallest net and a peer, in turns."""
    folder = tmp_path_factory.mktemp("rows")
    write_peer(folder / PEER, darkness_bundle(SIZE_HW))
    suite = Suite(
        models=(OF_OURS, PEER),
        sizes_hw=(SIZE_HW,),
        contenders=CONTENDERS,
        together=True,
        rounds=2,
        round_s=0.05,
        frames=8,
        warm_up=1,
        limits=False,
        profile=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_suite(suite, "some", folder / "result.json", data=None, command="none")


def row_of(result: BenchmarkResult, model: str, label: str) -> BenchmarkRow:
    (row,) = [
        r for r in result.rows if (r.model, r.label, r.scope) == (model, label, "camera_to_mask")
    ]
    return row


def test_every_case_was_measured_in_every_scope(result: BenchmarkResult) -> None:
    assert not result.failures
    assert len(result.rows) == 3 * 4
    assert all(row.fps > 0 for row in result.rows)


def test_a_peer_runs_in_int8_with_bf16_for_the_rest(result: BenchmarkResult) -> None:
    ours, peer = (row_of(result, model, "openvino int8 bf16-rest") for model in (OF_OURS, PEER))
    assert peer.device == ours.device == "openvino CPU, BF16 for FP32"
    assert peer.relative is not None
    assert peer.relative[0] == pytest.approx(
        sum(a / b for a, b in zip(peer.round_fps, ours.round_fps, strict=True)) / 2, abs=0.01
    )
    assert ours.relative == (1, 1, 1)


def test_a_row_names_the_files_that_ran(result: BenchmarkResult) -> None:
    torch = row_of(result, OF_OURS, "torch fp32 eager")
    assert torch.sha256 == {"scnet-tiny.safetensors": find_card(OF_OURS).sha256}
    assert torch.engine_threads
    assert torch.file_mb is None
    split = row_of(result, PEER, "openvino fp32 hed/4")
    assert split.sha256
    assert split.sha256.keys() == {"scnet.onnx", "hed.onnx"}
    assert split.file_mb == 0.08
    assert split.engine_threads
    assert split.gflop == 0


def test_a_larger_frame_is_measured_at_each_scale(
    tmp_path: Path, darkness_bundle: Callable
) -> None:
    shutil.copytree(darkness_bundle(SIZE_HW), tmp_path / "dark" / "fp32")
    suite = Suite(
        models=(f"{tmp_path}/dark",),
        sizes_hw=(SIZE_HW,),
        frame_hw=(160, 240),
        contenders=tuple(
            Contender(engine="openvino", precision="fp32", scale=scale)
            for scale in ("native", "fit")
        ),
        scopes=("engine", "pipeline"),
        rounds=1,
        round_s=0.05,
        frames=4,
        warm_up=1,
        limits=False,
        profile=False,
    )
    result = run_suite(suite, "some", tmp_path / "result.json", data=None, command="none")
    assert not result.failures
    assert [(r.scope, r.label, size(r)) for r in result.rows] == [
        (scope, f"openvino fp32{scale}", "64x96 of 160x240")
        for scale in ("", " fit")
        for scope in ("engine", "pipeline")
    ]
