"""What several tests need: a clean process to run code or the command line in, and a bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from scnet_edge.bundle import compile, device, verify
from scnet_edge.bundle.manifest import GOLDEN, SCHEMA, read_manifest, seal_of, write_manifest
from scnet_edge.bundle.verify import Golden, read_golden, write_golden
from scnet_edge.engines import base
from scnet_edge.engines.compiled import check_compiled
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.engines.tensorrt import plans as trt_compile
from scnet_edge.engines.tensorrt.builder import BuildSettings, Built
from scnet_edge.folders import file_sha256
from scnet_edge.video import camera
from scnet_edge.video.fake_source import drawn_frames

ROOT = Path(__file__).parents[1]
MAIN = "from scnet_edge.cli import main; main()"


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep keys and tokens that tests make out of the user's own folder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def root() -> Path:
    """Return the source checkout."""
    return ROOT


@pytest.fixture
def python() -> Callable[[str, list[str]], subprocess.CompletedProcess[str]]:
    """Return a function that runs code with arguments in a fresh interpreter, in the checkout."""

    def run(code: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)

    return run


@pytest.fixture
def command_line(
    python: Callable[[str, list[str]], subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `scnet-edge ARGUMENTS` in a fresh interpreter."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python(MAIN, list(arguments))

    return run


@pytest.fixture
def beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have an NVIDIA GPU with TensorRT, as far as choosing an engine asks."""
    there = {"tensorrt", "cuda"}
    monkeypatch.setattr(base, "GPU_DEVICES", ("/",))
    monkeypatch.setattr(base, "find_spec", lambda name: name in there or find_spec(name))


class Memorised:
    """An engine on a GPU that is not there: it knows the golden frames of its bundle by heart."""

    name = "tensorrt Orin"

    def __init__(self, graph: Path) -> None:
        self.golden = read_golden(graph.parent / GOLDEN)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        i = next(i for i, f in enumerate(self.golden.frames) if (f == feeds["frame"][0]).all())
        return {"probability": self.golden.probability[i : i + 1]}

    def close(self) -> None: ...


class Orin:
    """What stands in for TensorRT and its GPU; all that is written is real.

    Attributes:
        identity: What compiled code depends on here, as far as no GPU is asked.
        built: The graphs that plans were built of, with what the builder was given.
        opened: What was opened in a child, or for `verify`.
    """

    identity: ClassVar = {"TensorRT": "tensorrt 10.3.0", "JetPack": "L4T 36.4.3"}
    name, capability = "Orin", "8.7"

    def __init__(self) -> None:
        self.built: list[tuple[str, BuildSettings]] = []
        self.opened: list[Opening] = []

    def free_bytes(self) -> int:
        return 1 << 30

    def close(self) -> None: ...

    def build_plan(self, graph: Path, settings: BuildSettings) -> Built:
        self.built.append((graph.name, settings))
        return Built(
            plan=b"plan of " + graph.name.encode(),
            tensors={"frame": "1x64x96x3 uint8"},
            convolutions=("a.0", "a.1", "a.2"),
            excluded=("a.2",),
            timing_cache=settings.timing_cache + b"measured",
        )

    def inspect_plan(self, plan: bytes, remedy: str) -> str:
        assert self.opened, "a plan was loaded in the parent before a child had tried it"
        kernels = [
            {
                "Name": f"k{i}",
                "LayerType": "gemm",
                "Inputs": [{"Name": "x", "Format/Datatype": dtype}],
                "Outputs": [],
                "Metadata": f"[ONNX Layer: a.{i}]",
            }
            for i, dtype in enumerate(("Int8", "Int8", "Half"))
        ]
        return json.dumps({"Layers": kernels})

    def open(self, opening: Opening) -> Memorised:
        self.opened.append(opening)
        check_compiled(Path(str(opening.cache)), Path(opening.graph), self.identity)
        return Memorised(Path(opening.graph))


@pytest.fixture
def orin(monkeypatch: pytest.MonkeyPatch) -> Orin:
    """Let this machine be an Orin, up to running anything but golden frames."""
    orin = Orin()
    monkeypatch.setattr(trt_compile, "open_device", lambda: orin)
    monkeypatch.setattr(trt_compile, "require_kernels", lambda capability: None)
    monkeypatch.setattr(trt_compile, "build_plan", orin.build_plan)
    monkeypatch.setattr(trt_compile, "inspect_plan", orin.inspect_plan)
    monkeypatch.setattr(base, "TIMED_S", 0)
    monkeypatch.setattr(compile, "open_in_child", orin.open)
    monkeypatch.setattr(verify, "open_one", orin.open)
    for module in (compile, device):
        monkeypatch.setattr(module, "identity", lambda engine: dict(orin.identity))
    return orin


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a lost camera be tried again at once instead of after a second."""
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(camera, "POLL_S", 0.02)


@pytest.fixture(scope="session")
def darkness_bundle(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[tuple[int, int]], Path]:
    """Return a function that makes a bundle whose probability is the darkness of a pixel."""

    def make(size_hw: tuple[int, int]) -> Path:
        folder = tmp_path_factory.mktemp("bundle")
        _write_darkness(folder, size_hw)
        return folder

    return make


@pytest.fixture
def golden_bundle(darkness_bundle: Callable[[tuple[int, int]], Path], tmp_path: Path) -> Path:
    """Return a bundle of one's own, 64x96, that knows the darkness of three golden frames."""
    bundle = Path(shutil.copytree(darkness_bundle((64, 96)), tmp_path / "golden bundle"))
    frames = np.stack([*drawn_frames(3, (64, 96))])
    darkness = 1 - frames.mean(axis=3, dtype=np.float32) / 255
    write_golden(bundle / GOLDEN, Golden(frames=frames, probability=darkness, edges=None))
    manifest = read_manifest(bundle)
    files = {**manifest.files, GOLDEN: file_sha256(bundle / GOLDEN)}
    write_manifest(bundle, msgspec.structs.replace(manifest, files=files))
    return bundle


def _write_darkness(folder: Path, size_hw: tuple[int, int]) -> None:
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["grey"], axes=[3], keepdims=0),
        helper.make_node("Mul", ["grey", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "one"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "darkness",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, (1, *size_hw, 3))],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, (1, *size_hw))],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, (), [-1 / 255]),
            helper.make_tensor("one", TensorProto.FLOAT, (), [1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "fused.onnx")
    manifest = {
        "schema": SCHEMA,
        "model": {"name": "darkness", "prior": "none", "sha256": {}, "licence": "Apache-2.0"},
        "input": {"frame_hw": size_hw, "size_hw": size_hw},
        "threshold": 0.5,
        "precision": "fp32",
        "calibration": None,
        "parity": {
            "engine": "none",
            "frames": 1,
            "max_abs_error": 0,
            "mean_abs_error": 0,
            "mask_agreement": 1,
            "mask_f1": 1,
            "prior_flip_rate": None,
        },
        "min_mask_f1": 1,
        "quantised_convolutions": 0,
        "files": {"fused.onnx": hashlib.sha256((folder / "fused.onnx").read_bytes()).hexdigest()},
        "tools": {},
        "created": "2026-01-01T00:00:00Z",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))
