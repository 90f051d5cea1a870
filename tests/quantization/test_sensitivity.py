"""The ranking finds the layer that was broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import onnx
import pytest

from scnet_edge.bundle.recipe import DEFAULT_MODEL, Recipe
from scnet_edge.errors import ConfigError, GraphError
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.layer_sensitivity import measure, measure_parts, rank
from scnet_edge.quantization.ranges import CalibrationFile, find_ranges
from scnet_edge.simulation.clip import render_stills

SIZE = (96, 128)
LAYERS = ["scnet.encoder.0.0", "scnet.encoder.2.3", "scnet.decoder.1.0"]


def test_the_broken_layer_comes_first(
    small_fused: onnx.ModelProto,
    walls: list[Annotated],
    calibrated: Callable[[Sequence[np.ndarray]], CalibrationFile],
) -> None:
    good = calibrated([frame for frame, _ in render_stills(8, SIZE, seed=99)])
    bad = msgspec.structs.replace(good, ranges=good.ranges | {LAYERS[2]: 0.001})
    threshold = find_card(DEFAULT_MODEL).threshold
    ranked = rank(small_fused, bad, LAYERS, walls[:4], SIZE, threshold)
    assert ranked[0].name == LAYERS[2]
    assert ranked[0].lost_f1 > 0.05 > ranked[1].lost_f1
    assert {layer.name for layer in ranked} == set(LAYERS)
    (whole,), f1, _ = measure_parts(small_fused, bad, walls[:4], SIZE, threshold, 0.5)
    assert whole.part == "scnet"
    assert whole.prior_flip_rate is None
    assert f1 - whole.f1 == whole.lost_f1 > 0.05
    (rest,), _, _ = measure_parts(
        small_fused, bad, walls[:4], SIZE, threshold, 0.5, exclude=[LAYERS[2]]
    )
    assert rest.lost_f1 < 0.05


def test_what_a_recipe_excludes_is_neither_quantised_nor_ranked() -> None:
    every = list(find_ranges("scnet-tiny", weights_of(find_card("scnet-tiny"))).ranges)
    recipe = Recipe(precision="int8", model="scnet-tiny", size_hw=SIZE, exclude=tuple(every[2:]))
    found = measure(recipe, images=1)
    assert {layer.name for layer in found.layers} == set(every[:2])
    assert set(every[2:]) <= set(found.exclude)
    with pytest.raises(ConfigError, match=r"exclude: names all \d+ convolutions"):
        measure(msgspec.structs.replace(recipe, exclude=tuple(every)))
    with pytest.raises(GraphError, match="no convolution is named nowhere"):
        measure(msgspec.structs.replace(recipe, exclude=("nowhere",)), images=1)
