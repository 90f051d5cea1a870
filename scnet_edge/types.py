"""Values that everybody may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8]  # (h, w, 3), BGR
Mask: TypeAlias = npt.NDArray[np.bool_]  # (h, w)
Map: TypeAlias = npt.NDArray[np.float32]  # (h, w) in [0, 1]
Ranges: TypeAlias = Mapping[str, float]  # tensor name -> largest magnitude to represent


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one frame gives; the maps have the size of the frame.

    Attributes:
        mask: (h, w) bool, True where a crack is.
        probability: (h, w) float32 in [0, 1].
        edges: (h, w) float32 in [0, 1], the HED map; None for a model without the prior.
        timing: milliseconds by stage, in the order they ran.
    """

    mask: Mask
    probability: Map
    edges: Map | None
    timing: Mapping[str, float] = field(default_factory=dict)
