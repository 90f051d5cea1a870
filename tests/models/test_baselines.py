"""The compared models against their published sizes, and Liu's refinement against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from scnet_edge.models.baselines import (
    COMPARED,
    DeepCrackLiu,
    DeepCrackZou,
    PatchNet,
    guided_filter,
    guided_refinement,
)
from scnet_edge.models.chain import Chain
from scnet_edge.models.weights import count_macs, count_parameters


def test_liu_has_the_published_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(DeepCrackLiu()) == 14_720_389


def test_zou_has_the_published_parameters_and_convolves_before_upsampling() -> None:
    with torch.device("meta"):
        model = DeepCrackZou(norm="none")
    assert f"{count_parameters(model) / 1e6:.2f}" == "30.91"
    assert f"{count_macs(model, (512, 512)) / 1e9:.1f}" == "202.4"  # 549.8 the other way round


@pytest.mark.parametrize("name", COMPARED)
def test_run_in_the_chain_on_frames(name: str) -> None:
    torch.manual_seed(0)
    model = COMPARED[name]().eval()
    chain = Chain(model, None, frame_hw=(50, 70), size_hw=(64, 96))
    with torch.inference_mode():
        (probability,) = chain(torch.randint(0, 256, (1, 50, 70, 3), dtype=torch.uint8))
    assert probability.shape == (1, 64, 96)
    assert 0 <= probability.min() <= probability.max() <= 1


def test_liu_fuses_its_sides_linearly() -> None:
    model = DeepCrackLiu().eval()
    with torch.inference_mode():
        fused, sides = model(torch.rand(1, 3, 32, 48))
    weights = model.fuse.weight.view(5, 1, 1, 1)
    expected = (weights * torch.cat(sides)).sum(0)[None]
    torch.testing.assert_close(fused, expected)


def test_patches_are_constant_and_their_target_is_five_percent() -> None:
    model = PatchNet().eval()
    with torch.inference_mode():
        logits, sides = model(torch.rand(1, 3, 64, 96))
    assert sides == []
    assert len(logits.unique()) <= 6
    mask = torch.zeros(1, 1, 32, 96)
    mask[..., :2, 32:58] = 1  # 52 pixels of 1024: just above 5 %
    mask[..., :1, 64:96] = 1  # 32 pixels: below
    assert PatchNet.target(mask)[0, 0, 0, ::32].tolist() == [0, 1, 0]


def test_guided_filter_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    guide, source = rng.random((30, 40)), (rng.random((30, 40)) > 0.7).astype(float)

    def box(x: np.ndarray) -> np.ndarray:
        ones = uniform_filter(np.ones_like(x), 7, mode="constant")
        return np.asarray(uniform_filter(x, 7, mode="constant") / ones)

    slope = (box(guide * source) - box(guide) * box(source)) / (
        box(guide**2) - box(guide) ** 2 + 0.065
    )
    expected = box(slope) * guide + box(box(source) - slope * box(guide))
    tensors = (torch.from_numpy(x)[None, None] for x in (guide, source))
    ours = guided_filter(*tensors, radius_px=3, eps=0.065)
    np.testing.assert_allclose(ours[0, 0].numpy(), expected, atol=1e-9)


def test_refinement_is_that_of_8_bit_maps() -> None:
    """The smallest step of the guide counts: the authors' eps is far below its square."""
    torch.manual_seed(0)
    fused = torch.randn(1, 1, 30, 40)
    finest = torch.full_like(fused, -6.0)
    finest[..., 15:, :] = -5.0  # 1 of 255 to 2 of 255
    guide = torch.full_like(fused, 1.0).double()
    guide[..., 15:, :] = 2.0
    source = (fused.sigmoid() > 0.31).double()
    expected = guided_filter(guide, source, radius_px=5, eps=0.01).clamp(0, 1)
    torch.testing.assert_close(guided_refinement(fused, finest), expected.float())


def test_refinement_follows_the_edges_of_the_guide() -> None:
    finest = torch.full((1, 1, 40, 40), -6.0)
    finest[..., 18:22, :] = 6  # where the fine map sees the crack
    fused = torch.full((1, 1, 40, 40), -6.0)
    fused[..., 14:26, :] = 6  # the fused map is too wide
    refined = guided_refinement(fused, finest)
    assert refined[0, 0, 20, 20] > 0.8
    assert refined[0, 0, 15, 20] < refined[0, 0, 20, 20] - 0.2
