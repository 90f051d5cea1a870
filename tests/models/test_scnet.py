"""SCNet against the sizes and equations the paper prints, and every switch of its configuration."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scnet_edge.errors import ModelError
from scnet_edge.models.blocks import Attention, PoolWithIndices, Unpool
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


def plain_scnet(state: Mapping[str, Tensor], x: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
    """Return fused and side logits, finest first, from the weights by Eq. 1 to 5 alone."""

    def conv(name: str, x: Tensor) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def block(name: str, x: Tensor) -> Tensor:  # VGG's, each convolution normalised by itself
        convolutions = sorted(int(k.split(".")[2]) for k in state if k.startswith(f"{name}."))
        for i in convolutions:
            x = F.relu(F.instance_norm(conv(f"{name}.{i}", x)))
        return x

    def attention(name: str, f: Tensor) -> tuple[Tensor, Tensor]:  # Eq. 1: F_a and F_r
        if f"{name}.attend.weight" in state:
            f = torch.sigmoid(conv(f"{name}.attend", f)) * f
        elif f"{name}.weight" in state:  # Table VII: one scalar in place of the filter
            f = state[f"{name}.weight"] * f
        return f, conv(f"{name}.refine", f)

    f_e: list[Tensor] = []
    indices = []
    for i in range(levels):
        x, f_r = attention(f"encoder_attention.{i}", block(f"encoder.{i}", x))
        f_e.append(torch.cat([F.max_pool2d(f_e[-1], 2), f_r], 1) if i else f_r)
        x, where = F.max_pool2d(x, 2, return_indices=True)
        indices.append(where)
    f_ed: list[Tensor] = []
    for i in reversed(range(levels)):
        x = F.max_unpool2d(x, indices[i], 2)
        x, f_d = attention(f"decoder_attention.{i}", block(f"decoder.{i}", x))
        side = conv(f"sides.{i}", torch.cat([f_e[i], f_d], 1))  # Eq. 2
        f_ed.insert(0, F.interpolate(side, scale_factor=2.0**i, mode="bilinear"))
    return conv("fuse", torch.cat(f_ed, 1)), f_ed  # Eq. 4; Eq. 3 and 5 are their sigmoids


@pytest.mark.parametrize("levels", [5, 4])
@pytest.mark.parametrize("attention", ["scale", "scalar", "none"])
def test_forward_is_the_equations(attention: Attention, levels: int) -> None:
    torch.manual_seed(0)
    config = SCNetConfig(width=1 / 16, levels=levels, attention=attention)
    model = SCNet(config).double()
    with torch.no_grad():
        for p in model.parameters():  # no scalar stays at 1, and every gate and head matters
            p.mul_(2).add_(torch.rand_like(p), alpha=0.2)
        x = torch.rand(2, 4, 64, 96, dtype=torch.double) * 2 - 1
        fused, sides = model(x)
        expected, expected_sides = plain_scnet(model.state_dict(), x, levels)
    assert len(sides) == levels
    for ours, plain in zip([fused, *sides], [expected, *expected_sides], strict=True):
        assert ours.std() > 0.05
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-5)


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
    config = SCNetConfig(width=1 / 16, **switch)
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
        SCNetConfig(**wrong)


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
