"""Two processes train as one does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scnet_edge.errors import ConfigError
from scnet_edge.training.several import check_batch

TRAIN = """
import sys
from pathlib import Path
import torch
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.loop import Material, train
from scnet_edge.training.schedule import Schedule
from scnet_edge.training.several import leave
from scnet_edge.data.augment import Augmentation
from tests.training.test_training_loop import toy_images

torch.set_num_threads(1)
torch.manual_seed(0)
model = SCNet(SCNetConfig(width=1 / 16, levels=3, norm=sys.argv[2], edges=False))
schedule = Schedule(
    steps=4, batch=4, optimizer="sgd", lr=0.05, warmup=0, augmentation=Augmentation(crop=32)
)
losses = []
train(model, Material(images=toy_images()), schedule, Path(sys.argv[1]),
      progress=lambda step, loss: losses.append(loss))
print(*losses)
leave()
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def trained(
    folder: Path, world: int, norm: str, root: Path
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Return the losses and the weights of a run on `world` processes."""
    port, processes = free_port(), []
    for rank in range(world):
        group = {"WORLD_SIZE": world, "RANK": rank, "MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
        environment = os.environ | {k: str(v) for k, v in group.items()} | {"PYTHONPATH": str(root)}
        command = [sys.executable, "-c", TRAIN, str(folder), norm]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=root)
        )
    outputs = [p.communicate(timeout=120)[0] for p in processes]
    assert [p.returncode for p in processes] == [0] * world
    losses = [float(x) for x in outputs[0].split()]
    return losses, torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


@pytest.mark.parametrize("norm", ["batch"])
def test_two_processes_train_as_one(tmp_path: Path, root: Path, norm: str) -> None:
    alone, weights = trained(tmp_path / "one", 1, norm, root)
    both, shared = trained(tmp_path / "two", 2, norm, root)
    assert both == pytest.approx(alone, rel=1e-4)
    for key, value in weights.items():
        torch.testing.assert_close(shared[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_batch_must_divide() -> None:
    check_batch(8, 2)
    with pytest.raises(ConfigError, match="multiple of the 3 processes"):
        check_batch(8, 3)
