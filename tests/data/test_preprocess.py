"""What the networks eat, pixel by pixel."""

from __future__ import annotations

import numpy as np

from scnet_edge.data.preprocess import scnet_input


def test_colours_become_rgb_in_minus_one_to_one() -> None:
    frame = np.array([[[0, 255, 51]]], np.uint8)  # one BGR pixel
    x = scnet_input(frame)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0, 0], [51 / 127.5 - 1, 1.0, -1.0], atol=1e-6)


def test_edges_are_the_fourth_channel() -> None:
    frame, edges = np.zeros((2, 3, 3), np.uint8), np.array([[True, False, True], [False] * 3])
    x = scnet_input(frame, edges)
    assert x.shape == (4, 2, 3)
    assert np.array_equal(x[3], [[1, 0, 1], [0, 0, 0]])
