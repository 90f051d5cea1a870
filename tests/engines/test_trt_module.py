"""Which GPUs TensorRT-RTX is asked for, and which it is known to refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scnet_edge.engines.tensorrt import builder as trt_build
from scnet_edge.engines.tensorrt import execution as trt
from scnet_edge.engines.tensorrt import library as trt_module
from scnet_edge.engines.tensorrt import network as trt_network
from scnet_edge.engines.tensorrt.library import (
    require_kernels,
    require_made,
    supported_capabilities,
)
from scnet_edge.errors import EngineError


def module(name: str) -> SimpleNamespace:
    named = {"CURRENT": 0, "SM75": 1, "SM86": 2, "SM120": 3}
    return SimpleNamespace(
        __name__=name, __version__="1.7.1", ComputeCapability=SimpleNamespace(__members__=named)
    )


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have a TensorRT-RTX that names a few GPUs."""
    monkeypatch.setattr(trt_module, "tensorrt", lambda: module("tensorrt_rtx"))


def test_rtx_names_its_gpus_and_an_h100_is_none_of_them() -> None:
    pytest.importorskip("tensorrt_rtx", exc_type=ImportError)
    if not (known := supported_capabilities()):
        pytest.skip("a TensorRT is installed beside TensorRT-RTX and comes first")
    assert {"7.5", "8.6", "12.0"} <= set(known)
    require_kernels("8.6")
    with pytest.raises(EngineError, match=r"kernels for compute capability 9\.0, .*another") as e:
        require_kernels("9.0")
    assert "\n" not in str(e.value)


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize("capability", ["7.5", "12.0", "12.1", "13.0"])
def test_what_rtx_names_and_what_is_newer_may_run(capability: str) -> None:
    require_kernels(capability)


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(
    ("capability", "remedy"),
    [
        ("9.0", "pip install tensorrt, or name another engine"),
        ("10.0", "pip install tensorrt, or name another engine"),
        ("7.0", "name another engine"),  # TensorRT has none for it either
    ],
)
def test_what_lies_below_the_newest_is_refused(capability: str, remedy: str) -> None:
    with pytest.raises(EngineError, match=rf"only for 7\.5, 8\.6, 12\.0: {remedy}"):
        require_kernels(capability)


def test_a_full_tensorrt_is_left_to_refuse_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trt_module, "tensorrt", lambda: module("tensorrt"))
    assert supported_capabilities() == ()
    require_kernels("9.0")


@pytest.mark.usefixtures("rtx")
def test_a_gpu_without_kernels_is_refused_before_the_plan_is_built(
    cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[bool] = []
    device = SimpleNamespace(capability="8.7", close=lambda: closed.append(True))
    monkeypatch.setattr(trt, "open_device", lambda: device)
    monkeypatch.setattr(trt, "build_plan", lambda *given: pytest.fail("a plan was built"))
    with pytest.raises(EngineError, match=r"no kernels .* 8\.7, only for "):
        trt.load(cases("batch").graphs["fp32"], threads=None, cache=None)
    assert caplog.text == ""
    assert closed == [True]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    log = SimpleNamespace(errors=["CUDA\ninitialization failure 35"])
    monkeypatch.setattr(trt_module, "engine_log", lambda: log)
    return log


def null(*given: object) -> None:
    """Do what pybind11 does where a class's factory returns none."""
    raise TypeError("pybind11::init(): factory function returned nullptr")


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("make", [null, lambda: None])
def test_what_tensorrt_does_not_make_is_an_error_of_ours(make: Callable[[], Any]) -> None:
    with pytest.raises(EngineError, match="no builder: CUDA initialization failure 35; 'scnet-edg"):
        require_made(make, "builder")


def test_a_wrong_call_is_a_mistake_of_ours_and_no_engine_error() -> None:
    with pytest.raises(TypeError, match="int"):
        require_made(lambda: len(3), "builder")


class Nothing:
    """What makes a builder that makes nothing, up to a call."""

    def __init__(self, *, lacks: str) -> None:
        self.lacks = lacks

    def create_network(self, flags: int) -> Any:
        return None if self.lacks == "network" else SimpleNamespace(num_layers=0)

    def create_builder_config(self) -> None:
        return None


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("lacks", ["builder", "network", "parser", "builder configuration"])
def test_each_thing_that_a_build_makes_is_looked_at(
    lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = SimpleNamespace(parse_from_file=lambda path: True)
    trt = SimpleNamespace(
        Builder=null if lacks == "builder" else lambda log: Nothing(lacks=lacks),
        OnnxParser=null if lacks == "parser" else lambda network, log: parser,
    )
    for module in (trt_build, trt_network):
        monkeypatch.setattr(module, "tensorrt", lambda: trt)
    monkeypatch.setattr(trt_build, "engine_log", trt_module.engine_log)
    monkeypatch.setattr(trt_build, "_network_flags", lambda: 0)
    monkeypatch.setattr(trt_build, "exclude_quantisation", lambda *given: None)
    monkeypatch.setattr(trt_build, "find_quantised", lambda network: [])
    with pytest.raises(EngineError, match=f"TensorRT made no {lacks}: "):
        trt_build._Attempt(tmp_path / "graph.onnx", trt_build.BuildSettings(), ())


@pytest.mark.usefixtures("log")
def test_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trt_module, "tensorrt", lambda: SimpleNamespace(Runtime=null))
    with pytest.raises(EngineError, match="made no runtime"):
        trt_module.deserialise(b"a plan", "build again")


class Logger:
    """The base class of TensorRT's loggers."""


@pytest.mark.parametrize("loads", [True, False])
def test_plugins_that_do_not_load(loads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before TensorRT 10, instance norm is one of them."""
    asked: list[str] = []

    def init(logger: Any, namespace: str) -> bool:
        asked.append(namespace)
        logger.errors.append("libnvinfer_plugin.so: not found")
        return loads

    eight = module("tensorrt")
    eight.ILogger, eight.init_libnvinfer_plugins = Logger, init
    able = SimpleNamespace(plugins=True)
    monkeypatch.setattr(trt_module, "tensorrt", lambda: eight)
    monkeypatch.setattr(trt_module, "capabilities", lambda: able)
    start = trt_module.engine_log.__wrapped__  # past the one logger of this process
    if loads:
        assert start().errors
    else:
        with pytest.raises(EngineError, match=r"its plugins: libnvinfer_plugin\.so: not found; in"):
            start()
    assert asked == [""]


def test_the_types_of_tensors_need_no_function_of_tensorrt() -> None:
    """TensorRT 8.5's `nptype` reads `np.bool`, which NumPy 1.24 has no more."""
    tensor = SimpleNamespace(name="frame", shape=(1, 4, 6, 3), dtype=SimpleNamespace(name="UINT8"))
    network = SimpleNamespace(
        num_inputs=1, get_input=lambda i: tensor, num_outputs=0, get_output=lambda i: tensor
    )
    assert trt_network.tensors_of(network) == {"frame": "1x4x6x3 uint8"}
    tensor.dtype.name = "INT64"
    with pytest.raises(EngineError, match=r"'frame': expected one of FLOAT, .*, found INT64"):
        trt_network.tensors_of(network)
