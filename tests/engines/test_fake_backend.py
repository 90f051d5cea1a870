from __future__ import annotations

import cv2
import numpy as np
import pytest

from scnet_edge.engines.base import Backend
from scnet_edge.engines.fake import FakeBackend
from scnet_edge.errors import EngineError


def drawn_crack() -> tuple[np.ndarray, np.ndarray]:
    frame = np.full((48, 64, 3), 220, np.uint8)
    cv2.line(frame, (5, 5), (60, 40), (10, 10, 10), 3)
    return frame, frame[..., 0] < 100


def test_the_drawn_crack_is_found() -> None:
    frame, crack = drawn_crack()
    backend: Backend = FakeBackend((48, 64))
    outputs = backend.run({"frame": frame[None]})
    probability, edges = outputs["probability"], outputs["edges"]
    assert probability.shape == edges.shape == (1, 48, 64)
    assert probability.dtype == edges.dtype == np.float32
    np.testing.assert_array_equal(probability[0] > 0.5, crack)
    around = cv2.dilate(crack.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert not (edges[0] > 0.5)[~around].any()
    assert (edges[0] > 0.5)[around & ~crack].all()


def test_black_is_one_and_white_is_zero() -> None:
    backend = FakeBackend((8, 8))
    for grey, probability in ((0, 1.0), (255, 0.0)):
        outputs = backend.run({"frame": np.full((1, 8, 8, 3), grey, np.uint8)})
        np.testing.assert_allclose(outputs["probability"], probability, atol=1e-6)
        np.testing.assert_array_equal(outputs["edges"], 0)


def test_maps_have_the_size_of_the_model() -> None:
    frame, _ = drawn_crack()
    outputs = FakeBackend((48, 64), (24, 32), edges=False).run({"frame": frame[None]})
    assert {name: v.shape for name, v in outputs.items()} == {"probability": (1, 24, 32)}


def test_errors_are_those_of_an_engine() -> None:
    backend = FakeBackend((48, 64))
    with pytest.raises(EngineError, match="expected"):
        backend.run({"frame": np.zeros((1, 48, 65, 3), np.uint8)})
    backend.close()
    backend.close()
    with pytest.raises(EngineError, match="closed"):
        backend.run({"frame": drawn_crack()[0][None]})
