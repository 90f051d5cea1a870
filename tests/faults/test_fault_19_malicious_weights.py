"""Fault 19: weights that run code, or claim to be larger than memory, are refused at once."""

from __future__ import annotations

import json
import pickle
import resource
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from scnet_edge.errors import ConfigError, ModelError, ScnetEdgeError
from scnet_edge.models import weights
from scnet_edge.models.weights import load_state
from scnet_edge.training.checkpoint import read_checkpoint

GROWTH_KIB = 300 * 1024
SECONDS = 5.0  # far above what it takes, far below what a gigabyte takes on a slow board


class Canary:
    """Unpickled, this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that must not exist afterwards, and bounds on memory and time."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    yield tmp_path / "pwned"
    assert not (tmp_path / "pwned").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_KIB
    assert time.monotonic() - started < SECONDS


def refused(read: Callable[[Path], object], path: Path, line: str) -> None:
    with pytest.raises(ScnetEdgeError, match=line) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_do_not_run(tmp_path: Path, canary: Path, name: str, zipped: bool) -> None:
    path = tmp_path / name
    torch.save({"model": Canary(canary)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError):
        load_state(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_do_not_run_code(tmp_path: Path, canary: Path, zipped: bool) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"step": Canary(canary)}, path, _use_new_zipfile_serialization=zipped)
    refused(read_checkpoint, path, "expected a checkpoint of ours")


def test_plain_pickle_as_a_checkpoint(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(pickle.dumps(Canary(canary), protocol=2))
    refused(read_checkpoint, path, "expected a checkpoint of ours")


def test_checkpoint_that_is_a_zip_of_something_else(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    refused(read_checkpoint, path, "expected a checkpoint of ours")


def safetensors(path: Path, header: bytes, length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header)
    return path


@pytest.mark.parametrize("length", [2**62, 2**40, 2**31, 200 * 2**20])
def test_header_that_claims_to_be_huge(tmp_path: Path, canary: Path, length: int) -> None:
    path = safetensors(tmp_path / "weights.safetensors", b"{}", length)
    refused(load_state, path, "not whole safetensors")


@pytest.mark.parametrize("shape", [[2**40], [2**31, 2**31], [2**62, 4]])
def test_tensor_that_claims_to_be_huge(tmp_path: Path, canary: Path, shape: list[int]) -> None:
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 2**42]}
    header = json.dumps({"fuse.weight": entry}).encode()
    refused(load_state, safetensors(tmp_path / "w.safetensors", header), "not whole safetensors")


def test_a_header_of_many_empty_tensors(tmp_path: Path, canary: Path) -> None:
    """Its parser takes minutes; the file is small."""
    entry = b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = b"{" + b",".join(entry % i for i in range(30_000)) + b"}"
    refused(load_state, safetensors(tmp_path / "w.safetensors", header), "header too large")


def test_many_tensors_that_are_not_there(tmp_path: Path, canary: Path) -> None:
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    header = json.dumps({f"t{i}": entry for i in range(50_000)}).encode()
    refused(load_state, safetensors(tmp_path / "w.safetensors", header), "not whole safetensors")


def test_file_that_is_huge_is_not_read(
    tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    with path.open("wb") as file:
        file.truncate(weights.MAX_BYTES + 1)  # sparse: it takes no room
    refused(load_state, path, "larger than 1024 MiB")


def test_checkpoint_truncated_anywhere(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"step": 1, "model": {"a": torch.ones(9)}}, path)
    whole = path.read_bytes()
    assert read_checkpoint(path)["step"] == 1
    for kept in (0, 1, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(ConfigError, match="expected a checkpoint of ours"):
            read_checkpoint(path)
