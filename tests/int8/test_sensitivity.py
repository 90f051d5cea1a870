"""The ranking finds the layer that was broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import onnx

from scnet_edge.graph.ranges import CalibrationFile
from scnet_edge.int8.annotated import Annotated
from scnet_edge.int8.sensitivity import chain_entries, rank
from scnet_edge.models.cards import find_card
from scnet_edge.simulation.stills import render_stills

SIZE = (96, 128)
LAYERS = ["scnet.encoder.0.0", "scnet.encoder.2.3", "scnet.decoder.1.0"]


def test_the_broken_layer_comes_first(
    small_fused: onnx.ModelProto,
    walls: list[Annotated],
    calibrated: Callable[[Sequence[np.ndarray]], CalibrationFile],
) -> None:
    good = calibrated([frame for frame, _ in render_stills(8, SIZE, seed=99)])
    bad = msgspec.structs.replace(good, ranges=good.ranges | {LAYERS[1]: 0.01})
    threshold = find_card("scnet-small").threshold
    ranked = rank(small_fused, bad, LAYERS, walls[:4], SIZE, threshold)
    assert ranked[0].name == LAYERS[1]
    assert ranked[0].lost_f1 > 0.05 > ranked[1].lost_f1
    assert {layer.name for layer in ranked} == set(LAYERS)
    (whole,), f1, _ = chain_entries(small_fused, bad, walls[:4], SIZE, threshold, 0.5)
    assert whole.part == "scnet"
    assert whole.prior_flip_rate is None
    assert f1 - whole.f1 == whole.lost_f1 > 0.05
