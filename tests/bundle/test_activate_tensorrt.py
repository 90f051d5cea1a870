"""A build on the device with TensorRT: its GPU is stood in for, all that is written is real."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scnet_edge.backends import trt_compile
from scnet_edge.backends.slots import check_slot
from scnet_edge.backends.trt_build import Built
from scnet_edge.backends.worker import Opening
from scnet_edge.bundle import compile, device
from scnet_edge.bundle.activate import build_on_device
from scnet_edge.bundle.manifest import GOLDEN, file_sha256, seal_of
from scnet_edge.bundle.verify import Golden, write_golden
from scnet_edge.cli.on_device import _summary
from scnet_edge.errors import EngineError

SIZE_HW = (64, 96)
HERE = {"TensorRT": "tensorrt 10.3.0", "JetPack": "L4T 36.4.3"}
REPORT = json.dumps(
    {
        "Layers": [
            {
                "Name": f"k{i}",
                "LayerType": "gemm",
                "Inputs": [{"Name": "x", "Format/Datatype": dtype}],
                "Outputs": [],
                "Metadata": f"[ONNX Layer: a.{i}]",
            }
            for i, dtype in enumerate(("Int8", "Int8", "Half"))
        ]
    }
)


class Darkness:
    """What the graph computes, and whether a GPU was asked before it was tried."""

    name = "tensorrt Orin"

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"probability": (1 - feeds["frame"].mean(axis=3) / 255).astype(np.float32)}

    def close(self) -> None: ...


@pytest.fixture
def tensorrt_bundle(darkness_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a bundle on a machine with a TensorRT that makes plans of a graph's name."""
    bundle = darkness_bundle(SIZE_HW)
    frames = np.random.default_rng(0).integers(0, 256, (3, *SIZE_HW, 3), np.uint8)
    probability = (1 - frames.mean(axis=3) / 255).astype(np.float32)
    write_golden(bundle / GOLDEN, Golden(frames=frames, probability=probability, edges=None))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][GOLDEN] = file_sha256(bundle / GOLDEN)
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))
    tried: list[Opening] = []

    def opened(opening: Opening) -> Darkness:
        tried.append(opening)
        return Darkness()

    def inspect(plan: bytes, remedy: str) -> str:
        assert tried, "a plan was loaded in the parent before a child had tried it"
        return REPORT

    gpu = SimpleNamespace(
        name="Orin", capability="8.7", free_bytes=lambda: 1 << 30, close=lambda: None
    )
    built = Built(
        plan=b"plan",
        tensors={"frame": "1x64x96x3 uint8"},
        convolutions=("a.0", "a.1", "a.2"),
        excluded=("a.2",),
        timing_cache=b"measured",
    )
    monkeypatch.setattr(trt_compile, "open_device", lambda: gpu)
    monkeypatch.setattr(trt_compile, "require_kernels", lambda capability: None)
    monkeypatch.setattr(trt_compile, "build_plan", lambda graph, settings: built)
    monkeypatch.setattr(trt_compile, "inspect_plan", inspect)
    monkeypatch.setattr(compile, "identity", lambda engine: dict(HERE))
    monkeypatch.setattr(compile, "opened", opened)
    monkeypatch.setattr(device, "identity", lambda engine: dict(HERE))
    return bundle


def test_everything_that_was_written_is_hashed_and_told(tensorrt_bundle: Path) -> None:
    done = build_on_device(tensorrt_bundle, engine="tensorrt")
    folder = tensorrt_bundle / "device" / "tensorrt-1"
    written = {path.name for path in folder.iterdir()}
    assert written == {"slot.json", "fused.plan", "fused.layers.json", "timing.cache"}
    assert check_slot(folder, tensorrt_bundle / "fused.onnx", HERE) == done.slot
    assert set(done.slot.files) == written - {"slot.json"}
    assert done.slot.identity == HERE | {"GPU": "Orin", "compute capability": "8.7"}
    said = _summary(tensorrt_bundle, done, rollback=False)
    assert "fused.onnx: 3 kernels; of the convolutions 1 read FP16, 2 read INT8" in said
    assert "fused.onnx: no INT8 kernel here, so in floating point: a.2" in said


@pytest.mark.parametrize("name", ["fused.plan", "fused.layers.json", "timing.cache"])
def test_none_of_it_may_change(tensorrt_bundle: Path, name: str) -> None:
    build_on_device(tensorrt_bundle, engine="tensorrt")
    path = tensorrt_bundle / "device" / "tensorrt-1" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(EngineError, match=rf"{name}: SHA-256 .*: altered or damaged, not loaded"):
        device.compiled_for(tensorrt_bundle, tensorrt_bundle / "fused.onnx", "tensorrt")
