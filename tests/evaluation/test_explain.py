"""Explanations show what the model computes, and Grad-CAM is its formula."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scnet_edge.evaluation.explain import explain_frame, grad_cam, write_explanation
from scnet_edge.evaluation.predict import reference_run
from scnet_edge.models.baselines import DeepCrackLiu
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig

SMALL = {"width": 1 / 16, "levels": 3, "norm": "batch"}


def frame_of(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)


@pytest.mark.parametrize(
    ("config", "levels"),
    [
        (SCNetConfig(**SMALL, edges=False), 3),
        (SCNetConfig(**SMALL, edges=False, stem="half", decoder="skip"), 3),
        (SCNetConfig(**SMALL, edges=True), 3),
    ],
)
def test_maps_are_those_of_the_model(config: SCNetConfig, levels: int) -> None:
    torch.manual_seed(0)
    model, frame = SCNet(config).eval(), frame_of(48, 64)
    hed = HED().eval() if config.edges else None
    explained = explain_frame(model, hed, frame, threshold=0.5)
    expected = reference_run(model, hed)(frame)
    np.testing.assert_allclose(explained.fused, expected, atol=1e-5)
    assert len(explained.scales) == levels
    assert len(explained.attention) == len(explained.cam) == 2 * levels
    for values in explained.maps().values():
        assert values.shape == (48, 64)
        assert values.min() >= 0
        assert values.max() <= 1
    sides = torch.stack([torch.from_numpy(x).logit() for x in explained.scales.values()])
    weight = model.fuse.weight.detach().view(-1, 1, 1)
    fused = torch.sigmoid((weight * sides).sum(0) + model.fuse.bias.detach())
    np.testing.assert_allclose(fused, explained.fused, atol=1e-4)


def test_attention_is_the_gate(tmp_path: Path) -> None:
    model = SCNet(SCNetConfig(**SMALL, edges=False)).eval()
    with torch.no_grad():
        for attention in model.encoder_attention:
            attention.attend.weight.zero_()
            attention.attend.bias.fill_(2.0)
    explained = explain_frame(model, None, frame_of(32, 32), threshold=0.5)
    gate = explained.attention["attention-encoder-2"]
    np.testing.assert_allclose(gate, 1 / (1 + np.exp(-2)), rtol=1e-5)


def test_grad_cam_is_its_formula() -> None:
    torch.manual_seed(0)
    feature = torch.rand(1, 4, 6, 8, requires_grad=True)
    weight = torch.randn(1, 4, 1, 1)
    fused = F.conv2d(feature, weight)
    cam = grad_cam(fused, {"x": feature}, 0.5)["x"]
    crack = (fused >= 0).double()
    gradient: Tensor = weight * crack / crack.sum()  # of the mean over crack pixels
    alpha = gradient.mean((2, 3), keepdim=True)
    expected = F.relu((alpha * feature.double()).sum(1, keepdim=True))
    torch.testing.assert_close(cam.double(), expected / expected.max(), rtol=1e-4, atol=1e-6)


def test_model_without_attention_has_scales_and_cams() -> None:
    explained = explain_frame(DeepCrackLiu().eval(), None, frame_of(40, 50), threshold=0.5)
    assert len(explained.scales) == len(explained.cam) == 5
    assert explained.attention == {}


def test_pictures(tmp_path: Path) -> None:
    model, frame = SCNet(SCNetConfig(**SMALL, edges=False)).eval(), frame_of(40, 56)
    paths = write_explanation(tmp_path, frame, explain_frame(model, None, frame, threshold=0.5))
    assert {"sheet-scales", "sheet-attention", "sheet-grad-cam", "fused"} <= {p.stem for p in paths}
    for path in paths:
        assert cv2.imread(str(path)) is not None
    assert cv2.imread(str(tmp_path / "scale-1.png")).shape == frame.shape
