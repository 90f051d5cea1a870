"""Weights there and back, and every file that must be refused, each by one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import safetensors.torch
import torch

from scnet_edge.errors import ModelError
from scnet_edge.models import cards
from scnet_edge.models.cards import Card, CardConfig, find_card, write_card
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.weights import (
    State,
    load_into,
    load_state,
    measure_card,
    open_scnet,
    save_weights,
)

TINY = SCNetConfig(width=1 / 16, levels=3, norm="batch", edges=False)


@pytest.fixture
def tiny() -> SCNet:
    torch.manual_seed(1)
    return SCNet(TINY)


@pytest.fixture
def saved(tiny: SCNet, tmp_path: Path) -> Path:
    save_weights(tiny, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def tiny_card(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    """A card beside its weights in a package folder of its own."""
    monkeypatch.setattr(cards, "PACKAGE", tmp_path / "package")
    folder = tmp_path / "package" / "weights"
    folder.mkdir(parents=True)
    config = CardConfig(**{f: getattr(TINY, f) for f in CardConfig.__struct_fields__})
    card = msgspec.structs.replace(
        find_card("hed"),
        name="tiny",
        kind="scnet",
        file="tiny.safetensors",
        config=config,
        hed_width=None,
    )
    path = saved.rename(folder / "tiny.safetensors")
    card = measure_card(card, path)
    write_card(folder / "tiny.json", card)
    return find_card("tiny")


def test_weights_there_and_back(tiny: SCNet, saved: Path) -> None:
    state, own = load_state(saved), tiny.state_dict()
    assert state.keys() == own.keys()
    for key, value in state.items():
        assert value.dtype == own[key].dtype, key
        assert torch.equal(value, own[key].half().to(own[key].dtype)), key


def test_file_is_half_precision(saved: Path) -> None:
    on_disk = safetensors.torch.load_file(saved)
    assert {v.dtype for v in on_disk.values() if v.is_floating_point()} == {torch.float16}


def test_channels_last_weights_are_saved(tiny: SCNet, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny.to(memory_format=torch.channels_last), path)
    load_into(SCNet(TINY), load_state(path), "there")


def test_opens_by_its_card(tiny: SCNet, tiny_card: Card) -> None:
    opened = open_scnet(tiny_card)
    assert not opened.training
    assert opened.config == TINY
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(opened(x)[0], tiny.eval()(x)[0], atol=2e-2, rtol=2e-2)


def test_overflow_is_refused(tiny: SCNet, tmp_path: Path) -> None:
    with torch.no_grad():
        tiny.fuse.weight[0] = 1e6
    with pytest.raises(ModelError, match=r"fuse\.weight"):
        save_weights(tiny, tmp_path / "tiny.safetensors")
    assert not (tmp_path / "tiny.safetensors").exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".bin"])
def test_pickles_are_never_opened(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps(_Bomb(tmp_path / "exploded")))
    with pytest.raises(ModelError, match=r"expected a \.safetensors file.*save_weights"):
        load_state(path)
    assert not (tmp_path / "exploded").exists()


class _Bomb:
    """Unpickled, this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickle_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    torch.save({"a": torch.ones(3)}, path)
    with pytest.raises(ModelError, match="not whole safetensors"):
        load_state(path)


@pytest.mark.parametrize("kept", [0, 4, 8, 300, -1])
def test_truncated(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(ModelError, match="not whole safetensors"):
        load_state(saved)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    for path in (tmp_path / "none.safetensors", folder):
        with pytest.raises(ModelError, match="no such weight file"):
            load_state(path)


def _without_fusion(state: State) -> None:
    del state["fuse.weight"]


def _with_foreign(state: State) -> None:
    state["classifier.weight"] = torch.ones(1)


def _with_wrong_shape(state: State) -> None:
    state["fuse.weight"] = torch.ones(1, 9, 1, 1)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (_without_fusion, r"'fuse\.weight' is missing"),
        (_with_foreign, r"'classifier\.weight' is not in this model"),
        (_with_wrong_shape, r"'fuse\.weight' has shape \(1, 9, 1, 1\), expected \(1, 3, 1, 1\)"),
    ],
)
def test_foreign_weights_name_the_key(
    tiny: SCNet, spoil: Callable[[State], None], line: str
) -> None:
    state = dict(tiny.state_dict())
    spoil(state)
    with pytest.raises(ModelError, match=line) as caught:
        load_into(tiny, state, "weights")
    assert "\n" not in str(caught.value)


def test_altered_weights_fail_by_their_hash(tiny_card: Card) -> None:
    data = bytearray(tiny_card.path.read_bytes())
    data[-1] ^= 1
    tiny_card.path.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        open_scnet(tiny_card)


def test_hed_is_no_scnet() -> None:
    with pytest.raises(ModelError, match="expected an SCNet"):
        open_scnet(find_card("hed"))
