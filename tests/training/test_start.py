"""What a training begins with: the weights of another net, fitted to this one."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from toys import CONFIG, SCHEDULE, new_model

from scnet_edge.models.blocks import Norm
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.start import draw_xavier, encoder_from_hed, fit_state


def test_heads_start_from_a_low_probability() -> None:
    model = new_model()
    for side in model.sides:
        torch.nn.init.zeros_(side.weight)
    fused, _ = model.eval()(torch.rand(1, 3, 32, 32))
    expected = 1 / (1 + math.exp(-SCHEDULE.head_bias))
    assert torch.sigmoid(fused).mean().item() == pytest.approx(expected, rel=1e-5)


def test_smaller_model_starts_from_a_larger_one() -> None:
    model = new_model()
    smaller = SCNet(dataclasses.replace(CONFIG, levels=2, width=0.75 * CONFIG.width))
    smaller.load_state_dict(fit_state(model.state_dict(), smaller.state_dict()))
    theirs, ours = model.encoder[0][0].weight, smaller.encoder[0][0].weight
    assert torch.equal(ours, theirs[: len(ours), : ours.shape[1]])


@pytest.mark.parametrize(("theirs", "ours"), [(4, 5), (5, 4)])
def test_fusion_of_another_depth_keeps_the_common_levels(theirs: int, ours: int) -> None:
    torch.manual_seed(0)
    other, model = (SCNet(dataclasses.replace(CONFIG, levels=n)) for n in (theirs, ours))
    own = model.fuse.weight.detach().clone()
    model.load_state_dict(fit_state(other.state_dict(), model.state_dict()))
    assert torch.equal(model.fuse.weight[:, :4], other.fuse.weight[:, :4])
    assert torch.equal(model.fuse.weight[:, 4:], own[:, 4:])


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_wider_model_with_the_prior_starts_as_the_narrower_without(norm: Norm) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, norm=norm)
    narrow = SCNet(config)
    wide = SCNet(dataclasses.replace(config, width=2 * CONFIG.width, edges=True))
    wide.load_state_dict(fit_state(narrow.state_dict(), wide.state_dict()))
    x = torch.rand(2, 4, 32, 32) * 2 - 1
    with torch.no_grad():
        theirs, ours = narrow.eval()(x[:, :3])[0], wide.eval()(x)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_narrowing_takes_widening_back() -> None:
    narrow, wide = new_model(), SCNet(dataclasses.replace(CONFIG, width=4 * CONFIG.width))
    wide.load_state_dict(fit_state(narrow.state_dict(), wide.state_dict()))
    again = fit_state(wide.state_dict(), narrow.state_dict())
    for key, value in narrow.state_dict().items():
        torch.testing.assert_close(again[key], value, rtol=1e-4, atol=1e-6)


def test_copies_of_a_channel_learn_different_things() -> None:
    narrow, wide = new_model(), SCNet(dataclasses.replace(CONFIG, width=2 * CONFIG.width))
    wide.load_state_dict(fit_state(narrow.state_dict(), wide.state_dict()))
    wide(torch.rand(2, 3, 32, 32))[0].square().mean().backward()
    weight = wide.encoder[1][0].weight
    assert not torch.allclose(weight.grad[0], weight.grad[1], rtol=1e-3)


def test_half_resolution_stem_starts_as_the_mean_of_cells() -> None:
    model = new_model()
    half = SCNet(dataclasses.replace(CONFIG, stem="half", decoder="skip", refined_channels=4))
    half.load_state_dict(fit_state(model.state_dict(), half.state_dict()))
    x = torch.rand(1, 3, 32, 32)
    ours = half.encoder[0][0](x)
    theirs = model.encoder[0][0](torch.nn.functional.avg_pool2d(x, 2))
    torch.testing.assert_close(ours, theirs)


def test_encoder_starts_as_hed() -> None:
    hed, model = HED(), SCNet(SCNetConfig(norm="none"))
    draw_xavier(model)
    encoder_from_hed(model, hed)
    rgb = torch.rand(1, 3, 16, 16) * 2 - 1
    x = torch.cat([rgb, torch.zeros(1, 1, 16, 16)], 1)
    theirs = hed.blocks[0][0](60 * rgb.flip(1)) - hed.blocks[0][0].bias[:, None, None]
    torch.testing.assert_close(model.encoder[0][0](x), theirs)
    assert torch.equal(model.encoder[4][6].weight, hed.blocks[4][4].weight)


def test_narrower_encoder_starts_as_the_first_channels_of_hed() -> None:
    hed, model = HED(), SCNet(SCNetConfig(width=0.25, levels=2))
    encoder_from_hed(model, hed)
    theirs = hed.blocks[1][0].weight[:32, :16]
    assert torch.equal(model.encoder[1][0].weight, theirs)
    assert not model.encoder[0][0].weight[:, 3].any()  # the edge map
