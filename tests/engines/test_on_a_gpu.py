"""Engines on a real GPU: what they compute, and that none of it is left to the CPU.

A build on the device is played through twice: on a GPU that TensorRT supports, where there is one,
and with the Orin of `conftest.py`, which stands in for TensorRT and its GPU.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from scnet_edge.build import build_bundle, golden_frames
from scnet_edge.bundle.activate import compile_bundle, roll_back
from scnet_edge.bundle.device import find_compiled, graphs_for
from scnet_edge.bundle.manifest import Precision, read_manifest
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.bundle.verify import measure_parity, verify_bundle
from scnet_edge.engines.base import open_backend
from scnet_edge.engines.compiled import check_compiled, identity
from scnet_edge.engines.onnx_runtime import CUDA, preload_cuda, session_options
from scnet_edge.engines.tensorrt.cuda import open_device
from scnet_edge.engines.tensorrt.library import capabilities, require_kernels
from scnet_edge.engines.tensorrt.plan_layers import layers_from_json
from scnet_edge.errors import EngineError
from scnet_edge.models.cards import find_card
from scnet_edge.onnx_export.fp16 import to_fp16
from scnet_edge.quantization.lowering import fp32_graph

LACKS_CUDA = CUDA[0] not in ort.get_available_providers()


def needs_onnxruntime_gpu(test: Any) -> Any:
    """Mark a test that ONNX Runtime's CUDA build is asked in."""
    return pytest.mark.gpu(pytest.mark.skipif(LACKS_CUDA, reason="needs onnxruntime-gpu")(test))


NETWORKS = ("batch", "instance", "chain")
HALF_STEP = 2**-12  # half of what two FP16 numbers in [0.5, 1) are apart


@needs_onnxruntime_gpu
@pytest.mark.parametrize("network", NETWORKS)
def test_fp32_is_what_torch_computes(network: str, cases: Callable[[str], Any]) -> None:
    case = cases(network)
    backend = open_backend("onnxruntime", case.graphs["fp32"])
    assert backend.name == "onnxruntime CUDA"
    first, mirrored, again = (
        backend.run({"frame": frame})["probability"]
        for frame in (case.frame, np.ascontiguousarray(case.frame[:, ::-1]), case.frame)
    )
    backend.close()
    assert np.abs(first - case.reference["probability"]).mean() < 1e-5
    assert np.array_equal(first, again)  # recorded, and replayed
    assert not np.array_equal(first, mirrored)  # both would be views of the memory that is bound


@needs_onnxruntime_gpu
@pytest.mark.parametrize("name", ["scnet-small", "scnet-small-instance"])
def test_fp16_of_shipped_weights_is_within_the_steps_of_fp16(name: str, tmp_path: Path) -> None:
    """Trained nets: in the random ones FP16 flips pooled maxima, on the CPU as on a GPU.

    A mean pixel is far from the threshold and loses less than rounding its probability once may
    cost; an H100 gave a mean of 0.00001, and 0.0020 for the worst pixel.
    """
    chain = open_chain(find_card(name), Recipe(precision="fp16", size_hw=(384, 544)))
    onnx.save(to_fp16(fp32_graph(chain)), tmp_path / "fp16.onnx")
    backend = open_backend("onnxruntime", tmp_path / "fp16.onnx")
    found = measure_parity(backend, golden_frames(chain), 0.5, None)
    backend.close()
    assert found.engine == "onnxruntime CUDA"
    assert 0 < found.mean_abs_error < HALF_STEP
    assert found.max_abs_error < 32 * HALF_STEP
    assert found.mask_f1 > 0.99


@needs_onnxruntime_gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_no_node_is_left_to_the_cpu(
    network: str, precision: str, cases: Callable[[str], Any]
) -> None:
    preload_cuda()
    options = session_options(None)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    ort.InferenceSession(str(cases(network).graphs[precision]), options, providers=[CUDA])


def needs_tensorrt() -> None:
    """Skip where there is no GPU that this machine's TensorRT has kernels for."""
    try:
        device = open_device()
        device.close()
        require_kernels(device.capability)
    except EngineError as e:
        pytest.skip(str(e))


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("network", "precision", "mean_error"),
    [
        ("batch", "fp32", 1e-4),
        ("instance", "fp32", 1e-4),
        ("batch", "fp16", 0.05),
        ("batch", "int8", 0.15),  # CPU engines are 0.08 to 0.095 away, a constant map 0.28
        ("batch", "typed", 0.15),
        ("instance", "typed", 0.15),
    ],
)
def test_tensorrt_is_near_torch(
    network: str, precision: str, mean_error: float, cases: Callable[[str], Any], tmp_path: Path
) -> None:
    needs_tensorrt()
    case = cases(network)
    backend = open_backend("tensorrt", case.graphs[precision], cache=tmp_path)
    for _ in range(3):
        outputs = backend.run({"frame": case.frame})
    backend.close()
    error = np.abs(outputs["probability"] - case.reference["probability"]).mean()
    assert error < mean_error


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def here(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return what compiled code depends on, on a machine that TensorRT builds on."""
    if request.param == "stand-in":
        return dict(request.getfixturevalue("orin").identity)
    needs_tensorrt()
    return identity("tensorrt")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Precision], Path]:
    """Return what builds the bundle of a precision on first use."""
    made: dict[Precision, Path] = {}

    def bundle(precision: Precision) -> Path:
        if precision not in made:
            made[precision] = tmp_path_factory.mktemp("bundles") / precision
            recipe = Recipe(precision=precision, model="scnet-tiny", size_hw=(96, 128))
            build_bundle(recipe, made[precision])
        return made[precision]

    return bundle


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_build_on_the_device_is_kept_verified_and_gone_back_to(
    precision: Precision,
    here: dict[str, str],
    bundles: Callable[[Precision], Path],
    tmp_path: Path,
) -> None:
    bundle = Path(shutil.copytree(bundles(precision), tmp_path / "bundle"))
    manifest = read_manifest(bundle)
    candidates = graphs_for(bundle, manifest, "tensorrt")
    first = compile_bundle(bundle, engine="tensorrt")
    assert first.parity.mask_f1 >= manifest.min_mask_f1
    assert (first.record.choice is not None) == (
        precision == "int8"
    )  # it alone carries FP16 as well
    (name,) = first.record.graphs
    assert bundle / name in candidates
    folder = bundle / "device" / first.name
    assert check_compiled(folder, bundle / name, here) == first.record

    account = (folder / f"{Path(name).stem}.layers.json").read_text(encoding="utf-8")
    assert len(layers_from_json(account)) > 0
    kernels = first.record.graphs[name].kernels
    assert kernels is not None
    assert kernels.kernels > 0
    assert ("timing.cache" in first.record.files) == (not ahead_of_time(here))

    again, parity = verify_bundle(bundle, engine="tensorrt")
    assert again == manifest
    assert parity.mask_f1 == pytest.approx(first.parity.mask_f1, abs=1e-3)

    second = compile_bundle(bundle, engine="tensorrt")
    assert (second.name, second.previous) == ("tensorrt-2", "tensorrt-1")
    assert roll_back(bundle, engine="tensorrt").name == "tensorrt-1"
    assert find_compiled(bundle, candidates, "tensorrt") == folder
    assert verify_bundle(bundle, engine="tensorrt")[1].mask_f1 >= manifest.min_mask_f1


def ahead_of_time(here: dict[str, str]) -> bool:
    """Return whether plans are built as TensorRT-RTX builds them, without a timing cache."""
    return here["TensorRT"].startswith("tensorrt_rtx") and capabilities().ahead_of_time


def test_what_was_measured_is_handed_to_the_next_build(
    here: dict[str, str], bundles: Callable[[Precision], Path], tmp_path: Path
) -> None:
    if ahead_of_time(here):
        pytest.skip("TensorRT-RTX measures nothing")
    bundle = Path(shutil.copytree(bundles("fp16"), tmp_path / "bundle"))
    caches = []
    for _ in range(2):
        done = compile_bundle(bundle, engine="tensorrt")
        caches.append((bundle / "device" / done.name / "timing.cache").read_bytes())
    assert 0 < len(caches[0]) <= len(caches[1])  # what was known, and what is new
