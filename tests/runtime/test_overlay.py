import numpy as np
import pytest

from scnet_edge.runtime.overlay import CRACK_BGR, TRUTH_BGR, draw_overlay, fill_layer, outline_layer

FRAME = np.full((96, 128, 3), 128, np.uint8)
MASK = np.zeros((96, 128), bool)
MASK[20:40, 30:60] = True


def test_only_the_crack_changes() -> None:
    before = FRAME.copy()
    drawn = draw_overlay(FRAME, MASK)
    np.testing.assert_array_equal(FRAME, before)
    np.testing.assert_array_equal((drawn != FRAME).any(axis=2), MASK)
    np.testing.assert_array_equal(drawn[20, 30], CRACK_BGR)  # the contour, opaque
    assert drawn[30, 45, 2] > drawn[30, 45, 0]  # the fill, red over grey


def test_without_cracks_the_frame_is_unchanged() -> None:
    np.testing.assert_array_equal(draw_overlay(FRAME, np.zeros_like(MASK)), FRAME)


def test_caption_and_inset_stay_in_their_corners() -> None:
    edges = np.ones(MASK.shape, np.float32)
    drawn = draw_overlay(FRAME, np.zeros_like(MASK), caption="frame 1   2 cracks", edges=edges)
    changed = (drawn != FRAME).any(axis=2)
    assert changed[-1].all()
    assert changed[10, 110]
    assert not changed[:70, :90].any()


@pytest.mark.parametrize("size_hw", [(16, 16), (16, 900), (700, 20), (544, 384)])
def test_any_size_takes_a_long_caption(size_hw: tuple[int, int]) -> None:
    frame, mask = np.zeros((*size_hw, 3), np.uint8), np.ones(size_hw, bool)
    edges = np.zeros(size_hw, np.float32)
    assert draw_overlay(frame, mask, caption="frame 1234567 " * 6, edges=edges).shape == frame.shape


def test_layers_are_clear_where_there_is_no_crack() -> None:
    fill, outline = fill_layer(MASK), outline_layer(MASK)
    np.testing.assert_array_equal(fill[..., 3] > 0, MASK)
    assert tuple(outline[20, 30]) == (*TRUTH_BGR, 255)
    assert outline[30, 45, 3] == 0
