"""A bundle as Triton's model: its configuration, by Triton's own protobuf, against the graph."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format

from scnet_edge.build import build_bundle
from scnet_edge.bundle.manifest import FUSED, read_manifest
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.triton import write_repository
from scnet_edge.errors import ConfigError

KINDS = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that takes two frames at once."""
    folder = tmp_path_factory.mktemp("triton") / "bundle"
    build_bundle(Recipe(precision="fp32", size_hw=(64, 96), batch=2), folder)
    return folder


def model_config() -> ModuleType:
    """Return Triton's own protobuf of a configuration, without gRPC around it."""
    package = pytest.importorskip("tritonclient", reason="pip install tritonclient")
    path = Path(package.__path__[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_triton_reads_what_the_graph_takes_and_gives(bundle: Path, tmp_path: Path) -> None:
    protobuf = model_config()
    model = write_repository(bundle, tmp_path / "models", "cracks")
    config = protobuf.ModelConfig()
    text_format.Parse((model / "config.pbtxt").read_text(), config)
    session = onnxruntime.InferenceSession(str(model / "1" / "model.onnx"))
    for said, graph in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        tensors = {t.name: (protobuf.DataType.Name(t.data_type), list(t.dims)) for t in said}
        assert tensors == {t.name: (KINDS[t.type], t.shape) for t in graph}
    manifest = read_manifest(bundle)
    assert (config.name, config.backend, config.max_batch_size) == ("cracks", "onnxruntime", 0)
    assert float(config.parameters["threshold"].string_value) == np.float32(manifest.threshold)
    assert list(config.model_warmup[0].inputs["frame"].dims) == [2, 64, 96, 3]


def test_the_graph_is_the_bundle_s_and_the_shapes_are_in_the_text(
    bundle: Path, tmp_path: Path
) -> None:
    model = write_repository(bundle, tmp_path / "models")
    assert model.name == read_manifest(bundle).model.name
    assert (model / "1" / "model.onnx").read_bytes() == (bundle / FUSED).read_bytes()
    text = (model / "config.pbtxt").read_text()
    assert re.findall(r"dims: \[ ([\d, ]+) \]", text) == [
        "2, 64, 96, 3",
        "2, 64, 96",
        "2, 64, 96, 3",
    ]
    assert text.count("{") == text.count("}")


def test_nothing_is_overwritten_unasked(bundle: Path, tmp_path: Path) -> None:
    write_repository(bundle, tmp_path)
    with pytest.raises(ConfigError, match="--overwrite"):
        write_repository(bundle, tmp_path)
    model = write_repository(bundle, tmp_path, overwrite=True)
    (model / "2").mkdir()  # a version of somebody else
    with pytest.raises(ConfigError, match="'2', which is not ours"):
        write_repository(bundle, tmp_path, overwrite=True)


@pytest.mark.parametrize("name", ["", "../out", "a/b", 'a"b', "x" * 200])
def test_a_name_that_is_none(bundle: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="expected letters"):
        write_repository(bundle, tmp_path, name or " ")
