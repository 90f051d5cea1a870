"""Engines on a real GPU: what they compute, and that none of it is left to the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from scnet_edge.backends.base import open_backend
from scnet_edge.backends.cuda import open_device
from scnet_edge.backends.onnx_rt import CUDA, preload_cuda, session_options
from scnet_edge.backends.trt_module import require_kernels
from scnet_edge.bundle.build import golden_frames
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.bundle.verify import measure_parity
from scnet_edge.errors import EngineError
from scnet_edge.graph.half import to_half
from scnet_edge.graph.lower import fp32_graph
from scnet_edge.models.cards import find_card

pytestmark = pytest.mark.gpu
ONNXRUNTIME = pytest.mark.skipif(
    CUDA[0] not in ort.get_available_providers(), reason="needs onnxruntime-gpu"
)
NETWORKS = ("batch", "instance", "chain")
HALF_STEP = 2**-12  # half of what two FP16 numbers in [0.5, 1) are apart


@ONNXRUNTIME
@pytest.mark.parametrize("network", NETWORKS)
def test_fp32_is_what_torch_computes(network: str, cases: Callable[[str], Any]) -> None:
    case = cases(network)
    backend = open_backend("onnxruntime", case.graphs["fp32"])
    assert backend.name == "onnxruntime CUDA"
    found = backend.run({"frame": case.frame})["probability"]
    backend.close()
    assert np.abs(found - case.reference["probability"]).mean() < 1e-5


@ONNXRUNTIME
@pytest.mark.parametrize("name", ["scnet-small", "scnet-small-instance"])
def test_fp16_of_shipped_weights_is_within_the_steps_of_fp16(name: str, tmp_path: Path) -> None:
    """Trained nets: in the random ones FP16 flips pooled maxima, on the CPU as on a GPU.

    A mean pixel is far from the threshold and loses less than rounding its probability once may
    cost; an H100 gave a mean of 0.00001, and 0.0020 for the worst pixel.
    """
    chain = open_chain(find_card(name), Recipe(precision="fp16", size_hw=(384, 544)))
    onnx.save(to_half(fp32_graph(chain)), tmp_path / "fp16.onnx")
    backend = open_backend("onnxruntime", tmp_path / "fp16.onnx")
    found = measure_parity(backend, golden_frames(chain), 0.5, None)
    backend.close()
    assert found.engine == "onnxruntime CUDA"
    assert 0 < found.mean_abs_error < HALF_STEP
    assert found.max_abs_error < 32 * HALF_STEP
    assert found.mask_f1 > 0.99


@ONNXRUNTIME
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_no_node_is_left_to_the_cpu(
    network: str, precision: str, cases: Callable[[str], Any]
) -> None:
    preload_cuda()
    options = session_options(None)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    ort.InferenceSession(str(cases(network).graphs[precision]), options, providers=[CUDA])


@pytest.mark.parametrize(
    ("network", "precision", "mean_error"),
    [("batch", "fp32", 1e-4), ("instance", "fp32", 1e-4), ("batch", "fp16", 0.05)],
)
def test_tensorrt_is_near_torch(
    network: str, precision: str, mean_error: float, cases: Callable[[str], Any], tmp_path: Path
) -> None:
    try:
        device = open_device()
        device.close()
        require_kernels(device.capability)
    except EngineError as e:
        pytest.skip(str(e))
    case = cases(network)
    backend = open_backend("tensorrt", case.graphs[precision], cache=tmp_path)
    for _ in range(3):
        outputs = backend.run({"frame": case.frame})
    backend.close()
    error = np.abs(outputs["probability"] - case.reference["probability"]).mean()
    assert error < mean_error
