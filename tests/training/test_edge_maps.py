"""Kept edge maps are HED's own, made once, and stand where an HED stands in a chain."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scnet_edge.errors import InputError
from scnet_edge.evaluation.predict import reference_run
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.edge_maps import KeptHED, agreement
from scnet_edge.training.start import new_hed

torch.manual_seed(0)
HED = new_hed(1 / 16).eval()


def frame(seed: int, size_hw: tuple[int, int] = (64, 96)) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)


def test_map_is_the_probability_in_eight_bits(tmp_path: Path) -> None:
    x = torch.from_numpy(frame(0).transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        expected = torch.sigmoid(HED(x)[0])[0, 0].numpy() * 255
    assert np.abs(KeptHED(HED, tmp_path).map_of(frame(0)) - expected).max() < 0.51


@pytest.mark.parametrize("size_hw", [(64, 96), (50, 90)])  # the second one is resized by the chain
def test_chain_says_the_same_with_kept_maps(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    torch.manual_seed(1)
    net = SCNet(SCNetConfig(levels=3, width=1 / 16, norm="batch")).eval()
    kept, shown = KeptHED(HED, tmp_path), frame(2, size_hw)
    for _ in range(2):  # made, then read
        np.testing.assert_array_equal(
            reference_run(net, kept)(shown), reference_run(net, HED)(shown)
        )
    assert len(list(tmp_path.iterdir())) == 1


def test_each_image_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = KeptHED(HED, tmp_path).map_of(frame(3))
    later = KeptHED(new_hed(1 / 16), tmp_path)
    monkeypatch.setattr(later.hed, "forward", None)
    assert np.array_equal(later.map_of(frame(3)), first)
    with pytest.raises(TypeError):
        later.map_of(frame(4))


def test_maps_are_fp32_proper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map made on a GPU serves later runs on a CPU, so TF32 is off while it is made."""
    kept, seen = KeptHED(new_hed(1 / 16), tmp_path), []
    forward = kept.hed.forward

    def noted(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(torch.backends.cudnn.allow_tf32)
        return forward(x)

    monkeypatch.setattr(kept.hed, "forward", noted)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    kept.map_of(frame(6))
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32


def test_a_spoilt_map_is_named(tmp_path: Path) -> None:
    kept = KeptHED(HED, tmp_path)
    kept.map_of(frame(5))
    next(tmp_path.iterdir()).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"[0-9a-f]{24}\.png: the edge map cannot be read"):
        kept.map_of(frame(5))


def test_agreement_is_f1_of_binary_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    hed = new_hed(1 / 16).eval()
    own, theirs = torch.full((1, 1, 16, 32), -1.0), np.zeros((16, 32), np.uint8)
    own[..., :10], own[..., 20:] = 0.1, 0.0  # just above one half; one half is no edge
    theirs[:, :5], theirs[:, 10:] = 128, 127  # the same of 255
    monkeypatch.setattr(hed, "forward", lambda image: (own, []))
    seen = np.zeros((16, 32, 3), np.uint8)
    assert agreement(hed, lambda frame: theirs, [seen, seen]) == pytest.approx(2 * 5 / (10 + 5))
