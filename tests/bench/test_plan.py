from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from torch import nn

from scnet_edge.bench.devices import ANCHORS, DEVICES, is_device
from scnet_edge.bench.plan import Workload, choose, options, paces
from scnet_edge.bench.workload import mega_activations, workloads
from scnet_edge.errors import ConfigError

SIZE = (384, 544)
SMALL = Workload(model="small", gflop=20.0, mega_activations=10.0, f1={"fp32": 0.80})
LARGE = Workload(model="large", gflop=400.0, mega_activations=100.0, f1={"fp32": 0.85})


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_nothing_beats_its_own_device(precision) -> None:
    for pace in paces(precision):
        assert 0 < pace.share < 1
        assert 1 < pace.fixed_ms < 5


@pytest.mark.parametrize("anchor", ANCHORS, ids=lambda a: f"{a.device} {a.precision} {a.what}")
def test_the_paces_give_back_what_they_come_from(anchor) -> None:
    tops = DEVICES[anchor.device].tops[anchor.precision]
    for pace in paces(anchor.precision):
        if pace.device == anchor.device:
            ms = pace.fixed_ms + anchor.gflop / (tops * pace.share)
            assert ms == pytest.approx(anchor.ms, rel=0.1)


@pytest.mark.parametrize("device", DEVICES)
def test_an_estimate_stays_below_the_roofline(device: str) -> None:
    _, found = options(device, [SMALL, LARGE], [], SIZE)
    assert {o.precision for o in found} == set(DEVICES[device].tops)
    for o in found:
        work = {"small": SMALL, "large": LARGE}[o.model]
        assert not o.measured
        assert "%" in o.basis
        assert o.low <= o.fps <= o.high < 1e3 * DEVICES[device].tops[o.precision] / work.gflop


def test_an_anchor_of_the_workload_itself_gives_its_own_time() -> None:
    vgg = next(a for a in ANCHORS if a.device == "nano")
    work = Workload(model="vgg", gflop=vgg.gflop, mega_activations=0.1, f1={})
    (option,) = options("nano", [work], [], SIZE)[1]
    assert (option.low, option.high) == pytest.approx((1e3 / vgg.ms, 1e3 / vgg.ms))


def test_memory_alone_can_be_the_limit() -> None:
    work = Workload(model="wide", gflop=1e-3, mega_activations=512.0, f1={})
    (option,) = options("nano", [work], [], SIZE)[1]
    fixed = [pace.fixed_ms for pace in paces("fp16") if pace.device == "nano"]
    memory_ms = 1e3 * 1024e6 / (25.6e9 * 0.7)
    assert 1e3 / option.high == pytest.approx(memory_ms + min(fixed))


@pytest.mark.parametrize(
    ("machine", "memory_gb", "mode", "devices"),
    [
        ("NVIDIA Jetson Nano Developer Kit", 4.2, "MAXN", ["nano"]),
        ("NVIDIA Jetson Xavier NX Developer Kit", 8.0, "20W", ["xavier-nx"]),
        ("NVIDIA Orin Nano Developer Kit", 7.9, "15W", ["orin-nano"]),
        ("NVIDIA Orin Nano Developer Kit", 3.9, None, ["orin-nano-4gb"]),
        (
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            *(7.9, "MAXN_SUPER", ["orin-nano-super"]),
        ),
        ("NVIDIA Orin NX Developer Kit", 16.4, "25W", ["orin-nx"]),
        ("NVIDIA Orin NX Developer Kit", 7.9, "25W", ["orin-nx-8gb"]),
        ("NVIDIA Orin NX Developer Kit", 16.4, "MAXN_SUPER", ["orin-nx-super"]),
        ("NVIDIA Jetson AGX Orin Developer Kit", 65.9, "MAXN", ["agx-orin"]),
        ("NVIDIA Jetson AGX Orin Developer Kit", 31.4, "MAXN", ["agx-orin-32gb"]),
        ("NVIDIA Jetson AGX Thor Developer Kit", 131.9, "MAXN", ["thor"]),
        ("x86_64", 8.0, None, []),
    ],
)
def test_a_board_is_known_by_what_its_device_tree_says(
    machine: str, memory_gb: float, mode: str | None, devices: list[str]
) -> None:
    assert [d for d in DEVICES if is_device(d, machine, memory_gb, mode)] == devices


def test_what_was_measured_replaces_the_estimate(row: Callable, result: Callable) -> None:
    made = result(row(model="small", precision="fp16", engine="tensorrt"))
    board = "NVIDIA Orin Nano Developer Kit"
    of_board = msgspec.structs.replace(made.environment, machine=board)
    measured = msgspec.structs.replace(made, environment=of_board)
    _, found = options("orin-nano", [SMALL], [measured], SIZE)
    assert [(o.measured, o.fps) for o in found if o.precision == "fp16"] == [(True, 30.0)]
    assert not any(o.measured for o in options("orin-nano", [SMALL], [made], SIZE)[1])
    name, here = options("here", [], [made], SIZE)
    assert [o.measured for o in here] == [True]
    assert name == made.environment.cpu
    gpu = msgspec.structs.replace(made.environment, gpu="NVIDIA H100")
    beside = msgspec.structs.replace(made, environment=gpu)
    assert options("here", [], [beside], SIZE)[0] == f"NVIDIA H100, {name}"


def test_another_size_is_still_estimated(row: Callable, result: Callable) -> None:
    made = result(row(model="small", precision="fp16", engine="tensorrt"))
    board = "NVIDIA Orin Nano Developer Kit"
    of_board = msgspec.structs.replace(made.environment, machine=board)
    measured = msgspec.structs.replace(made, environment=of_board)
    _, found = options("orin-nano", [SMALL], [measured], (192, 256))
    assert [o.measured for o in found] == [False, False]
    with pytest.raises(ConfigError, match="no result is of 192x256; name a --size"):
        options("here", [], [made], (192, 256))


def test_the_best_f1_that_reaches_the_target_is_named() -> None:
    _, found = options("orin-nano", [SMALL, LARGE], [], SIZE)
    assert choose(found, 1.0).model == "large"
    assert choose(found, 25.0).model == "small"
    assert choose(found, 1e6) is None


def test_int8_is_counted_on_for_what_the_gate_leaves() -> None:
    _, found = options("orin-nano", [SMALL], [], SIZE)
    fast, exact = (next(o for o in found if o.precision == p) for p in ("int8", "fp16"))
    assert (fast.f1, fast.f1_of, fast.least_f1) == (0.80, "fp32", pytest.approx(0.795))
    assert choose(found, 1.0) == exact
    assert choose(found, (exact.fps + fast.low) / 2) == fast


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected here or one of nano"):
        options("toaster", [SMALL], [], SIZE)
    with pytest.raises(ConfigError, match="needs results"):
        options("here", [], [], SIZE)


def test_activations_are_counted_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    assert mega_activations(net, (10, 20)) == (3 + 8 + 8 + 2) * 200 / 1e6


def test_every_shipped_model_is_a_workload() -> None:
    found = {w.model: w for w in workloads((384, 544), [])}
    assert found["scnet-small"].f1["fp32"] > 0.7
    assert found["scnet"].gflop == pytest.approx(399, rel=0.02)
