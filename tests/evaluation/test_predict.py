"""Maps come back at the size of the image, whatever the model's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scnet_edge.data.frames import scnet_input
from scnet_edge.data.samples import Sample
from scnet_edge.engines.torch_eager import TorchBackend
from scnet_edge.errors import EngineError, InputError
from scnet_edge.evaluation.predict import backend_run, predictions, reference_run, refined_run
from scnet_edge.models.baselines import DeepCrackLiu, guided_refinement
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNet, SCNetConfig


@pytest.fixture
def scnet() -> SCNet:
    torch.manual_seed(0)
    return SCNet(SCNetConfig(width=1 / 16, levels=3, edges=False)).eval()


def drawn(size_hw: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)


def test_reference_at_the_image_size_is_the_chain(scnet: SCNet) -> None:
    frame = drawn((24, 40))
    chain = Chain(scnet, None, frame_hw=(24, 40), size_hw=(24, 40))
    with torch.inference_mode():
        expected = chain(torch.from_numpy(frame[None]))[0][0].numpy()
    assert np.array_equal(reference_run(scnet, None)(frame), expected)


@pytest.mark.parametrize("size_hw", [(1, 1), (7, 9), (25, 39), (64, 33)])
def test_reference_takes_any_size(scnet: SCNet, size_hw: tuple[int, int]) -> None:
    probability = reference_run(scnet, None)(drawn(size_hw))
    assert probability.shape == size_hw
    assert probability.dtype == np.float32
    assert ((probability >= 0) & (probability <= 1)).all()


def test_backend_of_static_size(scnet: SCNet) -> None:
    backend = TorchBackend(Chain(scnet, None, frame_hw=(24, 40), size_hw=(24, 40)))
    run = backend_run(backend, (24, 40))
    frame = drawn((24, 40))
    assert np.array_equal(run(frame), backend.run({"frame": frame[None]})["probability"][0])
    assert run(drawn((31, 50))).shape == (31, 50)


def test_samples_come_with_their_maps(tmp_path: Path, scnet: SCNet) -> None:
    samples = []
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), drawn((16, 24)))
        samples.append(Sample(tmp_path / f"{name}.png", tmp_path / f"{name}.png"))
    pairs = list(predictions(reference_run(scnet, None), samples))
    assert [sample for sample, _ in pairs] == samples
    assert np.array_equal(pairs[0][1], reference_run(scnet, None)(drawn((16, 24))))


def test_maps_that_are_no_numbers(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), drawn((16, 16)))
    sample = Sample(tmp_path / "a.png", tmp_path / "a.png")
    with pytest.raises(EngineError, match="a: the probability is not finite"):
        list(predictions(lambda frame: np.full((16, 16), np.nan, np.float32), [sample]))


def test_image_that_is_gone(tmp_path: Path, scnet: SCNet) -> None:
    sample = Sample(tmp_path / "gone.png", tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png"):
        list(predictions(reference_run(scnet, None), [sample]))


def test_refined_maps_are_the_filtered_ones() -> None:
    torch.manual_seed(0)
    model = DeepCrackLiu().eval()
    frame = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    x = torch.from_numpy(scnet_input(frame))[None]
    with torch.inference_mode():
        fused, sides = model(x)
        middle = torch.sigmoid(fused).median().item()  # half of the pixels become crack
        expected = guided_refinement(fused, sides[0], threshold=middle)[0, 0].numpy()
    run = refined_run(model, middle)
    assert 0.2 < expected.mean() < 0.8
    np.testing.assert_allclose(run(frame), expected, atol=1e-5)
    assert run(frame[:30, :45]).shape == (30, 45)
