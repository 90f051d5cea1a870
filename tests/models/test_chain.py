"""The chain against its own parts, put together by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scnet_edge.data.frames import scnet_input
from scnet_edge.errors import ModelError
from scnet_edge.models.chain import Chain
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.sizes import check_size


def nets(*, edges: bool) -> tuple[SCNet, HED | None]:
    torch.manual_seed(3)
    scnet = SCNet(SCNetConfig(width=1 / 16, edges=edges)).eval()
    return scnet, HED().eval() if edges else None


def drawn_frame(size_hw: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)


@pytest.mark.parametrize("edges", [True, False])
def test_equals_training_preprocessing_and_nets_by_hand(edges: bool) -> None:
    scnet, hed = nets(edges=edges)
    frame, prior = drawn_frame((64, 64)), None
    if hed is not None:
        bgr = torch.from_numpy(frame.transpose(2, 0, 1)[None].astype(np.float32))
        prior = (torch.sigmoid(hed(bgr)[0])[0, 0] > 0.5).numpy()
    x = torch.from_numpy(scnet_input(frame, prior)[None])
    expected = torch.sigmoid(scnet(x)[0])[:, 0]

    chain = Chain(scnet, hed, frame_hw=(64, 64), size_hw=(64, 64))
    with torch.inference_mode():
        outputs = chain(torch.from_numpy(frame[None]))
    torch.testing.assert_close(outputs[0], expected)
    assert len(outputs) == (3 if edges else 1)
    if prior is not None:
        assert np.array_equal(outputs[2][0, 0].numpy() > 0, prior)


def test_resizes_frames_inside() -> None:
    scnet, _ = nets(edges=False)
    chain = Chain(scnet, None, frame_hw=(50, 70), size_hw=(64, 96))
    (probability,) = chain(torch.from_numpy(drawn_frame((50, 70))[None]))
    assert probability.shape == (1, 64, 96)


def test_prior_and_hed_must_agree() -> None:
    with_prior, hed = nets(edges=True)
    without, _ = nets(edges=False)
    with pytest.raises(ModelError, match="needs the HED prior"):
        Chain(with_prior, None, frame_hw=(64, 64), size_hw=(64, 64))
    with pytest.raises(ModelError, match="takes no prior"):
        Chain(without, hed, frame_hw=(64, 64), size_hw=(64, 64))


@pytest.mark.parametrize("size_hw", [(63, 64), (64, 65), (0, 64), (-32, 64)])
def test_sizes_that_do_not_fit_name_one_that_does(size_hw: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match="next that fits is") as caught:
        check_size(size_hw, 32)
    fit = str(caught.value).rpartition(" ")[2]
    h, w = map(int, fit.split("x"))
    check_size((h, w), 32)
