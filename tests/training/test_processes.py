"""A training by several processes: as one, and each on a device of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from toys import learn, toy_images

from scnet_edge.cli.train import device_of, hardware_of
from scnet_edge.errors import ConfigError
from scnet_edge.training import hardware
from scnet_edge.training.hardware import check_batch

REGIONS = ("soft-iou", "pooled-iou")
TRAIN = """
import sys
from pathlib import Path
import torch
from scnet_edge.training.hardware import leave
from tests.training.toys import learn

torch.set_num_threads(1)
for region in sys.argv[2:]:
    print(*learn(Path(sys.argv[1], region), region))
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
    outputs = [p.communicate(timeout=500)[0] for p in processes]
    assert [p.returncode for p in processes] == [0] * world
    return outputs


def test_two_processes_train_as_one(tmp_path: Path, root: Path) -> None:
    first, _ = printed(TRAIN, [str(tmp_path / "two"), *REGIONS], 2, root)
    for region, line in zip(REGIONS, first.splitlines(), strict=True):
        alone = learn(tmp_path / "one" / region, region)
        assert [float(loss) for loss in line.split()] == pytest.approx(alone, rel=5e-5), region
        shared, weights = (
            torch.load(tmp_path / run / region / "checkpoint.pt", weights_only=True)["model"]
            for run in ("two", "one")
        )
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


def test_batch_must_divide() -> None:
    check_batch(8, 2)
    with pytest.raises(ConfigError, match="multiple of the 3 processes"):
        check_batch(8, 3)
