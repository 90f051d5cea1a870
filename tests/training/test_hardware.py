"""Workers, the compiler, kernels and held levels change the pace of a training, not what it is."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from toys import CONFIG, SCHEDULE, Interrupted, new_model, stop_after_four, toy_images

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.models.scnet import SCNet
from scnet_edge.training import images, loop
from scnet_edge.training.checkpoint import Training, resume, save
from scnet_edge.training.hardware import Hardware, usual_workers
from scnet_edge.training.images import batches
from scnet_edge.training.loop import Material, begin, train, update
from scnet_edge.training.start import hold_coarse

KILLED = """
import multiprocessing, sys, time
from pathlib import Path
from toys import SCHEDULE, new_model, toy_images
from scnet_edge.training.hardware import Hardware
from scnet_edge.training.loop import Material, train

def wait(step, loss):
    print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
    time.sleep(600)

material = Material(images=toy_images())
train(new_model(), material, SCHEDULE, Path(sys.argv[1]), on=Hardware(workers=1), progress=wait)
"""


@pytest.fixture(autouse=True)
def no_handler_stays() -> Iterator[None]:
    """Undo PyTorch's handler of SIGCHLD, which its loader leaves behind.

    A child that ends while it is set, in a process that ran all other tests, too, is a SIGSEGV.
    """
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of workers of each loader that was made."""
    numbers: list[int] = []

    def noted(*of: Any, **how: Any) -> DataLoader[Any]:
        numbers.append(how["num_workers"])
        return DataLoader(*of, **how)

    monkeypatch.setattr(images, "DataLoader", noted)
    return numbers


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


def test_crops_cut_ahead_are_the_same(tmp_path: Path, asked: list[int]) -> None:
    material, on = Material(images=toy_images()), Hardware(workers=2)
    at_once = train(new_model(), material, SCHEDULE, tmp_path / "at-once")
    ahead = train(new_model(), material, SCHEDULE, tmp_path / "ahead", on=on)
    assert asked == [0, 2]
    assert_same(ahead, at_once)

    with pytest.raises(Interrupted):
        train(new_model(), material, SCHEDULE, tmp_path / "cut", on=on, progress=stop_after_four)
    assert_same(train(new_model(), material, SCHEDULE, tmp_path / "cut", on=on), at_once)
    assert asked == [0, 2, 2, 2]


def test_no_more_workers_than_steps(asked: list[int]) -> None:
    assert list(batches([], toy_images(), SCHEDULE, workers=2)) == []
    assert len(list(batches([5], toy_images(), SCHEDULE, workers=2))) == 1
    assert asked == [0, 1]


def test_a_worker_that_dies_is_one_line() -> None:
    cut = batches(range(100), toy_images(), SCHEDULE, workers=1)
    next(cut)
    for worker in multiprocessing.active_children():
        worker.kill()
    with pytest.raises(InputError, match=r"a worker .* died; .* /dev/shm: .* or pass --workers 0"):
        list(cut)


def test_a_worker_does_not_outlive_a_killed_trainer(tmp_path: Path, root: Path) -> None:
    paths = os.pathsep.join([str(root), str(Path(__file__).parent)])
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
    ) as trainer:
        assert trainer.stdout
        (worker,) = map(int, trainer.stdout.readline().split())
        handle = os.pidfd_open(worker)
        trainer.kill()
    try:
        assert select.select([handle], [], [], 60)[0], f"worker {worker} goes on"
    finally:
        os.close(handle)


def test_a_compiled_model_learns_what_another_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inductor = torch.compile

    calls = []

    def captured(*of: Any, **how: Any) -> Any:
        calls.append(how)
        return inductor(*of, **how, backend="aot_eager")  # the graph is taken, no code is made

    monkeypatch.setattr(torch, "compile", captured)
    losses: dict[bool, list[float]] = {False: [], True: []}
    for compiled, seen in losses.items():
        train(
            new_model(),
            Material(images=toy_images()),
            SCHEDULE,
            tmp_path / str(compiled),
            on=Hardware(compiled=compiled),
            progress=lambda _, loss, seen=seen: seen.append(loss),
        )
        assert len(calls) == compiled
    assert np.allclose(losses[True], losses[False], rtol=1e-3)


def test_each_of_many_models_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    inductor, graphs = torch.compile, []

    def counted(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f, **how: inductor(f, **how, backend=counted))
    made = []
    with torch._dynamo.config.patch(recompile_limit=1):  # 8 otherwise, and a table has more rows
        for levels in (2, 3, 4):
            model = SCNet(dataclasses.replace(CONFIG, levels=levels))
            begin(model, SCHEDULE, Hardware(compiled=True))
            model(torch.rand(2, 3, 32, 32))
            made.append(len(graphs))
    assert 0 < made[0] < made[1] < made[2]


def test_kernels_are_tried_for_the_steps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, validations = set(), set()

    def noted(*of: Any) -> None:
        steps.add(torch.backends.cudnn.benchmark)
        update(*of)

    monkeypatch.setattr(loop, "update", noted)
    monkeypatch.setattr(Hardware, "is_gpu", True)
    train(
        new_model(),
        Material(images=toy_images()),
        SCHEDULE,
        tmp_path,
        validate=lambda step, model: validations.add(torch.backends.cudnn.benchmark),
    )
    assert (steps, validations) == ({True}, {False})


@pytest.mark.parametrize("fused", [True, False])
def test_a_resumed_run_steps_as_its_own_device_does(tmp_path: Path, fused: bool) -> None:
    runs = []
    for choice in (not fused, fused):
        model = new_model()
        optimizer = torch.optim.AdamW(model.parameters(), fused=choice)
        runs.append(Training(model, AveragedModel(model), optimizer))
    before, resumed = runs
    update(before, before.model(torch.rand(2, 3, 32, 32))[0].mean(), SCHEDULE)
    save(tmp_path / "checkpoint.pt", before)
    resume(tmp_path / "checkpoint.pt", resumed)
    assert (resumed.step, resumed.optimizer.param_groups[0]["fused"]) == (1, fused)
    update(resumed, resumed.model(torch.rand(2, 3, 32, 32))[0].mean(), SCHEDULE)


def test_only_the_finest_levels_learn(tmp_path: Path) -> None:
    model, before = new_model(), new_model().state_dict()
    hold_coarse(model, 2)
    averaged = train(model, Material(images=toy_images()), SCHEDULE, tmp_path)
    held = {key for key, _ in model.named_parameters() if key.split(".")[1] == "2"}
    assert {"encoder.2.0.weight", "decoder_attention.2.refine.bias", "sides.2.weight"} < held
    for state in (model.state_dict(), averaged.state_dict()):
        same = {key for key in before if torch.equal(state[key], before[key])}
        assert held <= same
        assert "encoder.1.0.weight" not in same
        assert "fuse.weight" not in same


def test_levels_to_hold_are_checked() -> None:
    with pytest.raises(ConfigError, match="--fine-levels 3: expected fewer than the model's 3"):
        hold_coarse(new_model(), 3)
    with pytest.raises(ConfigError, match="expected an SCNet, found Conv2d; leave it out"):
        hold_coarse(torch.nn.Conv2d(3, 1, 1), 1)


def test_a_gpu_has_workers_and_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert [usual_workers(device) for device in ("cpu", "cuda", "cuda:1")] == [0, 8, 8]
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # the other four are on another machine
    assert usual_workers("cuda:3") == 4
