"""What is known of TensorRT versions and boards, as `doctor` says it."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from scnet_edge.doctor import checks
from scnet_edge.doctor.checks import (
    RTX_CAPABILITIES,
    can_run,
    check_tensorrt,
    find_note,
    find_trouble,
)
from scnet_edge.doctor.machine_checks import check_power_mode, check_swap
from scnet_edge.engines.tensorrt.library import supported_capabilities
from scnet_edge.machine.description import Cuda, Gpu, Machine, read_machine


def orin(**values: object) -> Machine:
    """Return this machine as a Jetson Orin."""
    gpu = Gpu(name="Orin", capability="8.7")
    board = {"l4t": (36, 4, 3), "cuda": Cuda(status=0, version="12.6", gpus=(gpu,))}
    return msgspec.structs.replace(read_machine(), **(board | values))


@pytest.mark.parametrize(
    ("module", "version", "capability", "said"),
    [
        ("tensorrt", "10.2.0.19", "8.9", "10.2.0"),
        ("tensorrt", "10.3.0", "8.7", ""),
        ("tensorrt", "10.3.0", "8.9", ""),
        ("tensorrt", "10.13.3.9", "8.7", "no kernels for Orin"),
        ("tensorrt", "10.13.3.9", "11.0", ""),
        ("tensorrt", "10.16.0", "8.7", ""),
        ("tensorrt", "10.7.0", "7.2", "compute capability 7.2"),
        ("tensorrt", "8.5.2.2", "7.2", ""),
        ("tensorrt", "11.4.0.106", "8.7", "JetPack"),
        ("tensorrt", "11.4.1", "8.7", ""),
        ("tensorrt_rtx", "1.7.1.116", "8.7", "no kernels for compute capability 8.7"),
        ("tensorrt_rtx", "1.7.1.116", "12.0", ""),
        ("tensorrt_rtx", "1.7.1.116", "13.0", ""),
    ],
)
def test_known_trouble(module: str, version: str, capability: str, said: str) -> None:
    found = find_trouble(module, version, capability)
    assert said in found
    assert bool(found) == bool(said)


def test_what_is_known_of_rtx_is_what_it_says_itself() -> None:
    pytest.importorskip("tensorrt_rtx", exc_type=ImportError)
    if not (named := supported_capabilities()):
        pytest.skip("a TensorRT is installed beside TensorRT-RTX and comes first")
    assert named == RTX_CAPABILITIES


def test_a_note_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT 10.3 on Orin is JetPack 6's own: a bundle runs there."""
    assert "TensorRT#4797" in find_note("tensorrt", "10.3.0.30", "8.7")
    assert find_note("tensorrt", "10.3.0", "8.9") == find_note("tensorrt", "10.30.0", "8.7") == ""
    monkeypatch.setattr(checks, "find_spec", lambda name: name != "tensorrt_rtx")
    module = SimpleNamespace(__version__="10.3.0")
    monkeypatch.setattr(checks, "import_module", lambda name: module)
    check = check_tensorrt(orin())
    assert (check.verdict, check.remedy) == ("ok", "")
    assert "bundles use none" in check.found
    assert can_run([check])


@pytest.mark.parametrize(
    ("mode", "verdict"), [(None, "ok"), ("MAXN", "ok"), ("MAXN_SUPER", "ok"), ("15W", "warn")]
)
def test_power_mode(mode: str | None, verdict: str) -> None:
    assert check_power_mode(mode).verdict == verdict


def test_swap_counts_on_a_small_jetson_alone() -> None:
    small = orin(memory_bytes=4029172 * 1024, swap_bytes=2014580 * 1024)
    assert check_swap(small).verdict == "warn"
    assert check_swap(msgspec.structs.replace(small, l4t=None)).verdict == "ok"
    assert check_swap(orin(memory_bytes=16_000_000 * 1024, swap_bytes=0)).verdict == "ok"


def test_tensorrt_without_a_gpu_runs_nothing() -> None:
    assert check_tensorrt(read_machine()).verdict in ("warn", "missing")


@pytest.mark.parametrize(
    ("l4t", "said"), [((35, 4, 1), "Python 3.8"), ((36, 4, 3), "python3-libnvinfer")]
)
def test_jetpack_5_has_no_bindings_for_our_python(
    l4t: tuple[int, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    check = check_tensorrt(orin(l4t=l4t))
    assert (check.verdict, check.found) == ("missing", "not installed")
    assert said in check.remedy
