"""SCNet against the sizes the paper prints, and every switch of its configuration."""

from __future__ import annotations

import pytest
import torch

from scnet_edge.errors import ModelError
from scnet_edge.models.blocks import PoolWithIndices, Unpool
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.weights import count_macs, count_parameters


@pytest.mark.parametrize(
    ("levels", "parameters", "printed"), [(5, 29_461_683, "29.46"), (4, 15_303_847, "15.30")]
)
def test_parameters_of_table_vii(levels: int, parameters: int, printed: str) -> None:
    with torch.device("meta"):
        model = SCNet(SCNetConfig(levels=levels))
    assert count_parameters(model) == parameters
    assert f"{parameters / 1e6:.2f}" == printed


@pytest.mark.parametrize(
    "switch",
    [
        {},
        {"levels": 2},
        {"levels": 4},
        {"norm": "batch"},
        {"norm": "none"},
        {"attention": "scalar"},
        {"attention": "none"},
        {"refined_channels": 3},
        {"edges": False},
        {"pooling": "dilated"},
        {"feed": "raw"},
    ],
    ids=str,
)
def test_forward_and_backward(switch: dict[str, object]) -> None:
    torch.manual_seed(0)
    config = SCNetConfig(width=1 / 16, **switch)  # type: ignore[arg-type]
    model = SCNet(config)
    fused, sides = model(torch.randn(2, config.in_channels, 64, 96))
    assert fused.shape == (2, 1, 64, 96)
    assert [side.shape for side in sides] == [(2, 1, 64, 96)] * config.levels

    (fused.sum() + sum(side.square().sum() for side in sides)).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_stride_is_what_pooling_needs() -> None:
    assert SCNetConfig().stride == 32
    assert SCNetConfig(levels=3).stride == 8
    assert SCNetConfig(pooling="dilated").stride == 1


def test_dilated_net_takes_any_size() -> None:
    model = SCNet(SCNetConfig(width=1 / 16, pooling="dilated", levels=3))
    assert model(torch.randn(1, 4, 17, 23))[0].shape == (1, 1, 17, 23)


@pytest.mark.parametrize("wrong", [{"levels": 1}, {"levels": 6}, {"width": 0}, {"width": 2.5}])
def test_impossible_shapes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        SCNetConfig(**wrong)  # type: ignore[arg-type]


def test_prior_reaches_the_output() -> None:
    torch.manual_seed(0)
    model = SCNet(SCNetConfig(width=1 / 16)).eval()
    x = torch.randn(1, 4, 64, 64)
    edges_on = x.clone()
    edges_on[:, 3, 20:40, 30] = 5.0
    assert not torch.equal(model(x)[0], model(edges_on)[0])


def test_unpooling_puts_maxima_back_where_they_were() -> None:
    x = torch.randperm(64, generator=torch.Generator().manual_seed(0)).float().view(1, 1, 8, 8)
    pooled, memory = PoolWithIndices()(x)
    restored = Unpool()(pooled, memory)
    assert torch.equal(restored[restored > 0].sort().values, pooled[pooled > 0].sort().values)
    assert torch.equal(restored[restored > 0], x[restored > 0])


def test_macs_of_one_convolution_by_hand() -> None:
    conv = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
    # 16 x 24 outputs, 8 channels, 3 x 3 x 3 products each
    assert count_macs(torch.nn.Sequential(conv), (32, 48)) == 16 * 24 * 8 * 27


def test_macs_grow_with_the_area() -> None:
    model = SCNet(SCNetConfig(width=0.125))
    assert count_macs(model, (128, 192)) == 6 * count_macs(model, (64, 64))


@pytest.mark.parametrize("levels", [3, 5])
def test_edge_family_starts_at_half_resolution(levels: int) -> None:
    config = SCNetConfig(
        width=1 / 16,
        levels=levels,
        norm="batch",
        edges=False,
        stem="half",
        decoder="skip",
        refined_channels=4,
    )
    model = SCNet(config).eval()
    assert config.stride == 2**levels
    h, w = 2 * config.stride, 3 * config.stride
    with torch.inference_mode():
        fused, sides = model(torch.rand(1, 3, h, w))
        coarse, _, _ = model._encode(torch.rand(1, 3, h, w))
    assert fused.shape == (1, 1, h, w)
    assert [side.shape for side in sides] == [(1, 1, h, w)] * levels
    assert coarse[0].shape == (1, 4, h // 2, w // 2)


def test_every_pixel_has_its_own_logit_at_half_resolution() -> None:
    config = SCNetConfig(
        width=1 / 16, levels=3, norm="none", edges=False, stem="half", decoder="skip"
    )
    torch.manual_seed(0)
    model, x = SCNet(config).eval(), torch.rand(1, 3, 32, 32)
    fused = model(x)[0]
    assert len(fused.unique()) > 0.9 * fused.numel()


def test_skip_decoder_needs_pooling() -> None:
    with pytest.raises(ModelError, match="must be 'max'"):
        SCNetConfig(decoder="skip", pooling="dilated")
