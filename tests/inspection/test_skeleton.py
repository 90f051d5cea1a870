"""The thinning against scikit-image, and the paths of drawn figures."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt
from skimage.measure import euler_number, label
from skimage.morphology import skeletonize

from scnet_edge.inspection.skeleton import Edge, arc_length, longest_route, thin, trace

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))


@given(mask=masks)
@settings(max_examples=150, deadline=None)
def test_thinning_keeps_components_and_holes(mask: npt.NDArray[np.bool_]) -> None:
    skeleton = thin(mask)
    assert not (skeleton & ~mask).any()
    assert label(skeleton, connectivity=2).max() == label(mask, connectivity=2).max()
    assert euler_number(skeleton, connectivity=2) == euler_number(mask, connectivity=2)


@given(mask=masks)
@settings(max_examples=50, deadline=None)
def test_thinning_twice_changes_nothing(mask: npt.NDArray[np.bool_]) -> None:
    skeleton = thin(mask)
    assert (thin(skeleton) == skeleton).all()


@pytest.mark.parametrize("thickness_px", [1, 3, 6, 11])
def test_skeleton_lies_where_scikit_image_has_it(thickness_px: int) -> None:
    mask = np.zeros((120, 160), np.uint8)
    corners = np.array([[12, 15], [60, 40], [90, 100], [148, 70]])
    cv2.polylines(mask, [corners], False, 1, thickness_px)
    ours, theirs = thin(mask > 0), skeletonize(mask > 0)
    assert distance_transform_edt(~theirs)[ours].max() <= 2.5
    assert distance_transform_edt(~ours)[theirs].max() <= 2.5
    assert abs(int(ours.sum()) - int(theirs.sum())) <= 0.05 * theirs.sum() + 2


def test_solid_and_empty_masks_are_thinned() -> None:
    assert thin(np.ones((50, 80), bool)).sum() < 80
    assert not thin(np.zeros((5, 7), bool)).any()


def test_ring_is_two_halves_between_the_same_nodes() -> None:
    ring = np.zeros((60, 60), np.uint8)
    cv2.circle(ring, (30, 30), 20, 1, 1)
    one, other = _paths(ring > 0)
    assert one.nodes == other.nodes[::-1]
    assert arc_length(one.points) == pytest.approx(arc_length(other.points), rel=0.03)


def test_component_inside_a_ring_is_traced_too() -> None:
    image = np.zeros((60, 60), np.uint8)
    cv2.circle(image, (30, 30), 20, 1, 1)
    image[30, 22:38] = 1
    assert len(_paths(image > 0)) == 3


def test_longest_route_of_a_tree_leaves_its_short_branch_out() -> None:
    legs = [((0, 9), 5.0), ((9, 1), 7.0), ((9, 2), 1.0)]
    start, end, length_px = longest_route([Edge(nodes=n, length_px=d) for n, d in legs])
    assert {start, end} == {0, 1}
    assert length_px == 12


def _paths(mask: npt.NDArray[np.bool_]) -> list:
    return trace(thin(mask), distance_transform_edt(mask).astype(np.float32))
