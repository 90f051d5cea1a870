"""HED against its published layout: VGG-16 without its head, five sides, one fusion."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scnet_edge.models.hed import HED, MEAN_BGR
from scnet_edge.models.weights import count_parameters, open_hed

VGG16_CONVOLUTIONS = 14_714_688  # Simonyan and Zisserman 2015, configuration D, thirteen layers


def test_published_layout() -> None:
    hed = HED()
    convolutions = [m for m in hed.blocks.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [
        *(64, 64),
        *(128, 128),
        *(256, 256, 256),
        *(512, 512, 512),
        *(512, 512, 512),
    ]
    assert {c.kernel_size for c in convolutions} == {(3, 3)}
    assert [tuple(side.weight.shape) for side in hed.sides] == [
        (1, c, 1, 1) for c in (64, 128, 256, 512, 512)
    ]
    sides_and_fusion = (64 + 128 + 256 + 512 + 512 + 5) + (5 + 1)
    assert count_parameters(hed) == VGG16_CONVOLUTIONS + sides_and_fusion


@pytest.mark.parametrize("size_hw", [(16, 16), (33, 47), (64, 96)])
def test_maps_have_the_size_of_the_frame(size_hw: tuple[int, int]) -> None:
    fused, sides = HED().eval()(torch.rand(1, 3, *size_hw) * 255)
    assert fused.shape == (1, 1, *size_hw)
    assert [side.shape for side in sides] == [(1, 1, *size_hw)] * 5


def test_first_side_by_hand() -> None:
    hed = HED().eval()
    frame = torch.rand(1, 3, 24, 24) * 255
    first, second = (m for m in hed.blocks[0] if isinstance(m, torch.nn.Conv2d))
    x = frame - torch.tensor(MEAN_BGR).view(1, 3, 1, 1)
    x = F.relu(F.conv2d(x, first.weight, first.bias, padding=1))
    x = F.relu(F.conv2d(x, second.weight, second.bias, padding=1))
    side = hed.sides[0]
    assert isinstance(side, torch.nn.Conv2d)
    torch.testing.assert_close(hed(frame)[1][0], F.conv2d(x, side.weight, side.bias))


def test_shipped_weights_see_a_drawn_edge() -> None:
    hed, frame = open_hed(), torch.full((1, 3, 96, 96), 60.0)
    frame[..., 48:] = 190.0  # a vertical edge between columns 47 and 48
    with torch.inference_mode():
        edges = torch.sigmoid(hed(frame)[0])[0, 0, 24:72]
    assert edges[:, 46:50].amax(1).min() > 0.5
    assert edges[:, 10:30].max() < 0.2
    assert edges[:, 66:86].max() < 0.2


def test_width_scales_the_channels_and_nothing_else() -> None:
    full, light = HED(), HED(width=0.25)
    assert HED(width=1).state_dict().keys() == full.state_dict().keys() == light.state_dict().keys()
    for (name, theirs), ours in zip(full.named_parameters(), light.parameters(), strict=True):
        fused = name.startswith("fuse")
        scaled = [n // 4 if n >= 64 and not fused else n for n in theirs.shape]
        assert list(ours.shape) == scaled, name


def test_light_maps_have_the_size_of_the_frame() -> None:
    fused, sides = HED(width=0.25).eval()(torch.rand(1, 3, 33, 47) * 255)
    assert [fused.shape, *(side.shape for side in sides)] == [(1, 1, 33, 47)] * 6


def test_width_one_is_the_published_net() -> None:
    torch.manual_seed(0)
    full, frame = HED().eval(), torch.rand(1, 3, 32, 48) * 255
    same = HED(width=1).eval()
    same.load_state_dict(full.state_dict())
    torch.testing.assert_close(same(frame), full(frame), rtol=0, atol=0)
