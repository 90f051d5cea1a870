"""PyTorch behind the seam: what autocast changes, and that FP32 on a GPU is FP32."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.engines.torch_eager import Autocast, TorchBackend
from scnet_edge.models.cards import find_card
from scnet_edge.models.chain import Chain

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU")


def small_chain() -> Chain:
    return open_chain(find_card("scnet-tiny"), Recipe(precision="fp32", size_hw=(64, 64)))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_stays_near_fp32_and_is_not_fp32(
    precision: Autocast, frame: np.ndarray[Any, Any]
) -> None:
    chain = small_chain()
    exact = TorchBackend(chain).run({"frame": frame})["probability"]
    found = TorchBackend(chain, precision=precision).run({"frame": frame})["probability"]
    assert found.dtype == np.float32
    assert np.ptp(exact) > 0.01  # a flat map would agree with anything
    assert 0 < np.abs(found - exact).max() < 0.05


@pytest.mark.gpu
@GPU
@pytest.mark.filterwarnings("default")  # torch.compile advises TF32
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compile"])
@pytest.mark.parametrize("precision", get_args(Autocast))
def test_on_a_gpu(precision: Autocast, compiled: bool, frame: np.ndarray[Any, Any]) -> None:
    chain = small_chain()
    exact = TorchBackend(chain).run({"frame": frame})["probability"]
    backend = TorchBackend(chain, device="cuda", precision=precision, compiled=compiled)
    found = backend.run({"frame": frame})["probability"]
    assert backend.name == "torch CUDA"
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-4 if precision == "fp32" else 0.05)


class Spy(torch.nn.Module):
    """Notes what a frame is computed with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, frame: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.seen.append(tf32())
        return (frame[0, :, :, :1].permute(2, 0, 1) / 255,)


def tf32() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def test_fp32_is_not_tf32_and_a_training_beside_it_keeps_its_own(
    frame: np.ndarray[Any, Any],
) -> None:
    before, spy = tf32(), Spy()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        TorchBackend(spy).run({"frame": frame})
        assert tf32() == (True, True)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    assert spy.seen == [(False, False)]
