"""Masks of one class are refused, and those that are inverted."""

from __future__ import annotations

import pytest

from scnet_edge.data.classes import check_classes
from scnet_edge.errors import InputError


@pytest.mark.parametrize(
    ("crack", "line"),
    [(0, "expected cracks in the masks of 3 images, found none"), (100, "invert them")],
)
def test_one_class_alone_is_refused(crack: int, line: str) -> None:
    with pytest.raises(InputError, match=line):
        check_classes(crack, 100, 3)


def test_mostly_crack_is_refused() -> None:
    check_classes(1, 100, 3)
    check_classes(50, 100, 3)
    with pytest.raises(InputError, match=r"51 % of the pixels of 3 images are crack, .*inverted"):
        check_classes(51, 100, 3)
