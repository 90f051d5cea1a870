"""Small chains with fixed random weights, and ONNX Runtime as a plain executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from scnet_edge.models.chain import Chain
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.quantization.histograms import NETWORKS, Load, collect, ranges_by
from scnet_edge.quantization.qdq import quantisable, quantise

FRAME_HW = (48, 64)


def small_chain(*, frame_hw: tuple[int, int] = FRAME_HW, **config: object) -> Chain:
    """Return a chain with levels 3 and a width of 1/16 whose norms and heads are not trivial."""
    torch.manual_seed(0)
    settings = SCNetConfig(**({"levels": 3, "width": 1 / 16, "norm": "batch"} | config))
    chain = Chain(
        SCNet(settings), HED() if settings.edges else None, frame_hw=frame_hw, size_hw=(48, 64)
    )
    for module in chain.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return chain.eval()


@pytest.fixture
def frame() -> np.ndarray:
    """One (1, H, W, 3) uint8 frame with flat areas, so that pooling meets ties."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (1, 12, 16, 3), dtype=np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


def reference(chain: Chain, frame: np.ndarray) -> list[np.ndarray]:
    """Return what eager PyTorch makes of a frame."""
    with torch.inference_mode():
        return [o.numpy() for o in chain(torch.from_numpy(frame))]


def session(model: onnx.ModelProto) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Return feeds -> named outputs; no optimisation, so that Q/DQ is exact arithmetic."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    loaded = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [o.name for o in loaded.get_outputs()]
    return lambda feeds: dict(zip(names, loaded.run(names, feeds), strict=True))


def minmax_ranges(
    model: onnx.ModelProto, frames: Sequence[np.ndarray], load: Load
) -> dict[str, float]:
    """Return the peak of every quantisable convolution's input over (H, W, 3) uint8 BGR frames.

    HED comes first: SCNet's peaks are those behind the edge map of the quantised HED.
    """
    ranges: dict[str, float] = {}
    for network in NETWORKS:
        members = [name for name in quantisable(model) if name.startswith(f"{network}.")]
        if members:
            ranges |= ranges_by("minmax", collect(quantise(model, ranges), members, frames, load))
    return ranges
