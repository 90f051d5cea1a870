"""Which GPUs TensorRT-RTX is asked for, and which it is known to refuse."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from scnet_edge.backends import trt, trt_module
from scnet_edge.backends.trt_module import require_kernels, supported_capabilities
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
