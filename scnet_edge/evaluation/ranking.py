"""The area under the precision-recall curve, from every probability that was given, not from steps.

A hundred thresholds move it by points where a model's probabilities crowd near 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError

Probabilities = npt.NDArray[np.float32]


def average_precision(crack: Sequence[Probabilities], beside: Sequence[Probabilities]) -> float:
    """Return the mean precision over the crack pixels, each at its own probability.

    That is the sum of recall steps times precision (Davis and Goadrich 2006), all pixels of one
    probability being one step, as scikit-learn's `average_precision_score` has it.

    Args:
        crack: The probabilities of the crack pixels, image by image.
        beside: Those of all others.

    Raises:
        InputError: no pixel is crack.
    """
    true = np.sort(np.concatenate([*crack, np.zeros(0, np.float32)]))
    false = np.sort(np.concatenate([*beside, np.zeros(0, np.float32)]))
    if not len(true):
        raise InputError("expected crack pixels to rank, found none")
    right = len(true) - np.searchsorted(true, true)  # crack pixels of at least its probability
    wrong = len(false) - np.searchsorted(false, true)
    return float(np.mean(right / (right + wrong)))
