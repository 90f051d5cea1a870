"""Workers, the compiler, kernels and held levels change the pace of a training, not what it is."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from toys import CONFIG, SCHEDULE, Interrupted, new_model, stop_after_four, toy_images

from scnet_edge.cli.train import device_of, hardware_of
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.models.scnet import SCNet
from scnet_edge.training import hardware, images, loop
from scnet_edge.training.checkpoint import Training, resume, save
from scnet_edge.training.hardware import Hardware, check_batch, usual_workers
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


TRAIN = """
import sys
from pathlib import Path
import torch
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.loop import Material, train
from scnet_edge.training.schedule import Schedule
from scnet_edge.training.hardware import leave
from scnet_edge.data.augment import Augmentation
from tests.training.toys import toy_images

torch.set_num_threads(1)
torch.manual_seed(0)
model = SCNet(SCNetConfig(width=1 / 16, levels=3, norm="batch", edges=False))
schedule = Schedule(
    steps=3, batch=4, optimizer="sgd", lr=0.05, warmup=0, region=sys.argv[2],
    augmentation=Augmentation(crop=32)
)
losses = []
train(model, Material(images=toy_images()), schedule, Path(sys.argv[1]),
      progress=lambda step, loss: losses.append(loss))
print(*losses)
leave()
"""


CLAIM = """
import sys
import time
from collections import Counter
from pathlib import Path
import torch
from scnet_edge.data.augment import Augmentation
from scnet_edge.errors import ConfigError
from scnet_edge.training import run_folder as folder, run as train
from scnet_edge.training.presets import Preset
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.training.start import new_hed
from scnet_edge.training.schedule import Schedule
from scnet_edge.training.hardware import join, leave

torch.set_num_threads(1)
rank, _ = join("cpu")
out, claim = Path(sys.argv[1]), folder.claim

def late(*arguments, **options):
    time.sleep(2)  # long enough for the other to make OUT/edges, if it did not wait
    claim(*arguments, **options)

folder.claim = late
train.open_hed = lambda name: new_hed(1 / 16).eval()
how = Schedule(steps=1, batch=2, warmup=0, augmentation=Augmentation(crop=32))
toy = Preset(about="", config=SCNetConfig(width=1 / 16, levels=2, norm="batch"), schedule=how)
wanted = train.Request(name="toy", preset=toy, data=(sys.argv[2],))
train.train_run(wanted, out, writes=not rank)
try:
    train.train_run(wanted, out, writes=not rank)
except ConfigError as e:
    print(e)
leave()
print(*Counter(Path(task, "comm").read_text() for task in Path("/proc/self/task").iterdir()))
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def printed(code: str, arguments: list[str], world: int, root: Path) -> list[str]:
    """Return what each of `world` processes prints; all must end well."""
    port, processes = free_port(), []
    for rank in range(world):
        group = {"WORLD_SIZE": world, "RANK": rank, "MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
        environment = os.environ | {k: str(v) for k, v in group.items()} | {"PYTHONPATH": str(root)}
        command = [sys.executable, "-c", code, *arguments]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=root)
        )
    outputs = [p.communicate(timeout=120)[0] for p in processes]
    assert [p.returncode for p in processes] == [0] * world
    return outputs


def trained(
    folder: Path, world: int, region: str, root: Path
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Return the losses and the weights of a run on `world` processes."""
    outputs = printed(TRAIN, [str(folder), region], world, root)
    losses = [float(x) for x in outputs[0].split()]
    return losses, torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


@pytest.mark.parametrize("region", ["soft-iou", "pooled-iou"])
def test_two_processes_train_as_one(tmp_path: Path, root: Path, region: str) -> None:
    alone, weights = trained(tmp_path / "one", 1, region, root)
    both, shared = trained(tmp_path / "two", 2, region, root)
    assert both == pytest.approx(alone, rel=5e-5)
    for key, value in weights.items():
        torch.testing.assert_close(shared[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_nothing_is_written_before_the_first_process_has_the_folder(
    tmp_path: Path, root: Path
) -> None:
    """HED's maps among it, which every process makes; a folder that is taken ends all of them."""
    for i, image in enumerate(toy_images()):
        for kind, pixels in (("images", image.frame), ("masks", image.mask * np.uint8(255))):
            (tmp_path / "walls" / "train" / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "walls" / "train" / kind / f"{i}.png"), pixels)
    out = tmp_path / "run"
    first, second = printed(CLAIM, [str(out), f"folder:{tmp_path / 'walls'}"], 2, root)
    assert (out / "run.safetensors").is_file()
    assert list((out / "edges").glob("*.png"))
    assert "holds a run" in first
    assert "the first of the processes ended" in second
    for threads in (first, second):  # of the group none is left, which would abort Python's end
        assert "python" in threads
        assert "gloo" not in threads


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda:1", "nccl")])
def test_processes_talk_as_their_device_asks(
    monkeypatch: pytest.MonkeyPatch, device: str, backend: str
) -> None:
    """A machine with GPUs, as far as torch is asked; none of this ran on hardware."""
    chosen: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(hardware.dist, "init_process_group", chosen.append)
    monkeypatch.setattr(hardware.dist, "get_rank", lambda: 1)
    assert hardware.join(device) == (1, 2)
    assert chosen == [d for d in (device, backend) if d != "cpu"]


def test_each_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_of(name) for name in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [device_of(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(ConfigError, match="'cuda:0': each process takes its own"):
        device_of("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match="process 3 of this machine has no GPU, found 2"):
        device_of("auto")


@pytest.mark.parametrize("name", ["cuda:1", "cuda:x", "cuda:", "cpu:x", "tpu"])
def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    line = f"device '{name}': expected auto, cpu, cuda, cuda:0, found 1 GPU$"
    with pytest.raises(ConfigError, match=line):
        device_of(name)


def test_several_processes_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not hardware_of("cpu", None, False).compiled
    with pytest.raises(ConfigError, match="--compile: expected one process, found 2; leave it out"):
        hardware_of("cpu", None, True)


def test_a_gpu_has_workers_and_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert [usual_workers(device) for device in ("cpu", "cuda", "cuda:1")] == [0, 8, 8]
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # the other four are on another machine
    assert usual_workers("cuda:3") == 4


def test_batch_must_divide() -> None:
    check_batch(8, 2)
    with pytest.raises(ConfigError, match="multiple of the 3 processes"):
        check_batch(8, 3)
