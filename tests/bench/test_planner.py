from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from typer.testing import CliRunner

from benchmarks.planner.__main__ import app
from benchmarks.planner.devices import ANCHORS, DEVICES, is_device
from benchmarks.planner.options import Option, choose, options, options_here
from benchmarks.planner.paces import paces
from benchmarks.planner.workload import Convolutions, Workload, workloads
from scnet_edge.errors import ConfigError

SIZE = (384, 544)
SMALL = Workload(
    model="small",
    convolutions=(Convolutions(64, 20.0, 5.0, 5.0),),
    mega_moved=0.0,
    f1={"fp32": 0.80, "int8": 0.799},
)
LARGE = Workload(
    model="large",
    convolutions=(Convolutions(64, 400.0, 50.0, 50.0),),
    mega_moved=0.0,
    f1={"fp32": 0.85, "int8": 0.84},
)


def option(fps: float, f1: float | None, *, low: float | None = None) -> Option:
    return Option(
        model="net", precision="int8", fps=fps, low=low or fps, high=fps, f1=f1, f1_of="int8",
        measured=True, basis="",
    )  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
def test_an_estimate_stays_below_the_roofline(device: str) -> None:
    _, found = options(device, [SMALL, LARGE], [], SIZE)
    assert {o.precision for o in found} == set(DEVICES[device].tops)
    for o in found:
        work = {"small": SMALL, "large": LARGE}[o.model]
        assert not o.measured
        assert "%" in o.basis
        assert "engine alone" in o.basis
        assert o.low < 0.97 * o.fps
        assert 1.03 * o.fps < o.high < 1e3 * DEVICES[device].tops[o.precision] / work.gflop


def test_an_anchor_of_the_workload_itself_gives_its_own_time() -> None:
    vgg = next(a for a in ANCHORS if a.device == "nano")
    conv = Convolutions(64, vgg.gflop, 0.1, 0.1)
    work = Workload(model="vgg", convolutions=[conv], mega_moved=0.0, f1={})
    (found,) = options("nano", [work], [], SIZE)[1]
    assert found.fps == pytest.approx(1e3 / vgg.ms)
    assert found.low < found.fps < found.high


def test_memory_alone_can_be_the_limit() -> None:
    conv = Convolutions(64, 1e-3, 256.0, 256.0)
    work = Workload(model="wide", convolutions=[conv], mega_moved=0.0, f1={})
    (found,) = options("nano", [work], [], SIZE)[1]
    fixed = [pace.fixed_ms for pace in paces("fp16") if pace.device == "nano"]
    memory_ms = 1e3 * 1024e6 / (25.6e9 * 0.7)
    assert 1e3 / found.fps == pytest.approx(memory_ms + sorted(fixed)[1])


def test_instance_norm_costs_time_on_every_device() -> None:
    shipped = workloads(SIZE, [])
    for device in DEVICES:
        fps = {(o.model, o.precision): o.fps for o in options(device, shipped, [], SIZE)[1]}
        for model in ("scnet-small", "scnet-tiny"):
            for precision in DEVICES[device].tops:
                assert fps[f"{model}-instance", precision] < 0.97 * fps[model, precision]


def test_int8_is_no_slower_than_fp16_for_the_chain() -> None:
    (chain,) = (w for w in workloads(SIZE, []) if w.model == "scnet")
    for device in DEVICES:
        if "int8" in DEVICES[device].tops:
            fps = {o.precision: o.fps for o in options(device, [chain], [], SIZE)[1]}
            assert fps["int8"] > fps["fp16"]


@pytest.mark.parametrize(
    ("machine", "memory_gb", "mode", "devices"),
    [
        ("NVIDIA Jetson Nano Developer Kit", 4.2, "MAXN", ["nano"]),
        ("NVIDIA Jetson Xavier NX Developer Kit", 8.0, "20W", ["xavier-nx"]),
        ("NVIDIA Orin Nano Developer Kit", 7.9, "15W", ["orin-nano"]),
        ("NVIDIA Orin Nano Developer Kit", 3.9, None, ["orin-nano-4gb"]),
        ("NVIDIA Orin Nano Developer Kit", 3.9, "MAXN_SUPER", ["orin-nano-4gb-super"]),
        (
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            *(7.9, "MAXN_SUPER", ["orin-nano-super"]),
        ),
        ("NVIDIA Orin NX Developer Kit", 16.4, "25W", ["orin-nx"]),
        ("NVIDIA Orin NX Developer Kit", 7.9, "25W", ["orin-nx-8gb"]),
        ("NVIDIA Orin NX Developer Kit", 7.9, "MAXN_SUPER", ["orin-nx-8gb-super"]),
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


def test_a_few_images_say_no_f1(row: Callable, result: Callable) -> None:
    """Beside estimates of 237 images; what a score of all of them says of the model stands."""
    few = {"model": "small", "engine": "tensorrt", "images": 4, "f1": 0.5}
    made = result(row(precision="fp16", **few), row(precision="int8", **few))
    board = "NVIDIA Orin Nano Developer Kit"
    of_board = msgspec.structs.replace(made.environment, machine=board)
    measured = msgspec.structs.replace(made, environment=of_board)
    _, found = options("orin-nano", [SMALL], [measured], SIZE)
    assert {o.precision: o.f1 for o in found if o.measured} == {
        "fp16": None,
        "int8": SMALL.f1["int8"],
    }
    strangers = msgspec.structs.replace(measured, rows=(row(**few | {"model": "mine"}),))
    assert [o.f1 for o in options("orin-nano", [SMALL], [strangers], SIZE)[1] if o.measured] == [
        None
    ]


def test_here_is_this_machine_alone(row: Callable, result: Callable) -> None:
    made = result(row(model="small"))
    this = made.environment
    name, found = options_here(this, [made], SIZE)
    assert (name, [o.measured for o in found]) == ("2 cores of Some CPU, x86_64", [True])
    other = msgspec.structs.replace(this, gpu="NVIDIA H100", cores=16)
    elsewhere = msgspec.structs.replace(made, environment=other)
    said = (
        "this machine is 2 cores of Some CPU, x86_64, a result is of NVIDIA H100, 16 cores of "
        "Some CPU, x86_64; leave that out"
    )
    for given in ([made, elsewhere], [elsewhere]):
        with pytest.raises(ConfigError, match=said):
            options_here(this, given, SIZE)
    with pytest.raises(ConfigError, match="needs results"):
        options_here(this, [], SIZE)
    with pytest.raises(ConfigError, match="no result is of 192x256; name a --size"):
        options_here(this, [made], (192, 256))


def test_another_size_is_still_estimated(row: Callable, result: Callable) -> None:
    made = result(row(model="small", precision="fp16", engine="tensorrt"))
    board = "NVIDIA Orin Nano Developer Kit"
    of_board = msgspec.structs.replace(made.environment, machine=board)
    measured = msgspec.structs.replace(made, environment=of_board)
    _, found = options("orin-nano", [SMALL], [measured], (192, 256))
    assert [o.measured for o in found] == [False, False]


def test_the_best_f1_that_reaches_the_target_is_named() -> None:
    _, found = options("orin-nano", [SMALL, LARGE], [], SIZE)
    assert choose(found, 1.0).model == "large"
    assert choose(found, 25.0).model == "small"
    assert choose(found, 1e6) is None


def test_of_equal_f1_the_faster_wins() -> None:
    exact, fast, worse = option(69, 0.8715), option(138, 0.8707), option(159, 0.8650)
    assert choose([worse, fast, exact], 30) == fast
    assert choose([worse, fast, exact], 150) == worse
    assert choose([option(50, None), exact], 30) == exact
    assert choose([option(60, 0.9, low=20), option(40, 0.8)], 30).fps == 40


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected here or one of nano"):
        options("toaster", [SMALL], [], SIZE)


def test_the_command_marks_what_it_estimates() -> None:
    done = CliRunner().invoke(app, ["--target-fps", "30", "--device", "orin-nano"])
    assert done.exit_code == 0, done.output
    assert "estimates are of the engine alone" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("scnet")]
    assert all(" to " in row for row in rows)  # 80 columns hold a row
    assert "nothing of ours ran on this device" in done.stdout
    none = CliRunner().invoke(app, ["--target-fps", "90000", "--device", "nano"])
    assert "none reaches 90000 FPS on Jetson Nano 4GB; the fastest is scnet-" in none.stdout
    assert none.exit_code == 1
