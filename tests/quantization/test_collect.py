"""From frames to a calibration file: all methods tried, the best kept, nothing stale reused."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_chains import minmax_ranges

from scnet_edge.bundle.recipe import DEFAULT_MODEL, Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.engines.base import cpu_engine
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.quantization import histograms
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.collect_ranges import calibrate_ranges
from scnet_edge.quantization.frame_candidates import CandidateFrame
from scnet_edge.quantization.histograms import METHODS, Histogram, collect, ranges_by
from scnet_edge.quantization.lowering import fp32_graph
from scnet_edge.quantization.memory_engine import open_loader
from scnet_edge.quantization.ranges import key_of

SIZE = (96, 128)


def test_the_best_method_by_f1_is_kept_beside_the_others(
    candidates: Callable[[int], list[CandidateFrame]], walls: list[Annotated], tmp_path: Path
) -> None:
    chosen = [(c, "no crack, dark, soft") for c in candidates(8)]
    found = calibrate_ranges(
        Recipe(precision="int8", size_hw=SIZE),
        chosen,
        source="drawn",
        validation=walls[:4],
        validation_name="4 walls",
        cache=tmp_path,
    )
    plain = [trial for trial in found.comparison if trial.method in METHODS]
    assert [trial.method for trial in plain] == list(METHODS)
    best = next(trial for trial in plain if trial.method == found.methods["scnet"])
    assert best.f1 >= max(trial.f1 for trial in plain) - 1e-4
    repairs = [trial for trial in found.comparison if trial.method not in METHODS]
    assert bool(repairs) == (best.f1_fp32 - best.f1 >= 0.001)
    assert found.weights_sha256 == weights_of(find_card(DEFAULT_MODEL))
    assert found.key == key_of(found)
    assert list(found.frames) == [c.name for c, _ in chosen]
    assert all(peak > 0 for peak in found.ranges.values())
    assert list(tmp_path.glob("*.npz"))


def test_scnet_is_calibrated_behind_the_quantised_hed(
    candidates: Callable[[int], list[CandidateFrame]], walls: list[Annotated]
) -> None:
    recipe = Recipe(precision="int8", model="scnet", size_hw=SIZE)
    chosen = [(candidate, "") for candidate in candidates(2)]
    found = calibrate_ranges(
        recipe, chosen, source="", validation=walls[:1], validation_name="", methods=["minmax"]
    )
    assert not found.equalised
    fused = fp32_graph(open_chain(find_card("scnet"), recipe))
    with open_loader() as load:
        expected = minmax_ranges(fused, [candidate.frame for candidate, _ in chosen], load)
        exact = collect(fused, list(expected), [c.frame for c, _ in chosen], load)
    assert found.ranges == pytest.approx(expected, rel=1e-3)
    assert {name.split(".")[0] for name in expected} == {"hed", "scnet"}
    first = next(name for name in expected if name.startswith("scnet."))
    assert ranges_by("minmax", exact)[first] == pytest.approx(expected[first], rel=0.2)


def test_the_cache_knows_graph_frames_versions_and_damage(
    small_fused: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = histograms.cache_key(small_fused, ["a", "b"])
    assert histograms.read_cached(tmp_path, key) is None
    seen = {"x": Histogram()}
    seen["x"].add(np.array([1.0, 2.0], np.float32), 2.0)
    histograms.write_cached(tmp_path, key, seen)
    back = histograms.read_cached(tmp_path, key)
    assert back is not None
    assert (back["x"].peak, back["x"].upper) == (2.0, 2.0)
    assert np.array_equal(back["x"].counts, seen["x"].counts)
    other = onnx.ModelProto()
    other.CopyFrom(small_fused)
    other.graph.initializer[0].raw_data = bytes(len(other.graph.initializer[0].raw_data))
    keys = {
        key,
        histograms.cache_key(small_fused, ["a", "c"]),
        histograms.cache_key(other, ["a", "b"]),
    }
    changes = [
        (histograms, "version", lambda name: "9.9"),
        (histograms, "BINS", 99),
        (histograms, "SAMPLED", 99),
        (import_module(cpu_engine()), "__version__", "9.9"),
    ]
    for module, name, value in changes:
        with monkeypatch.context() as patched:
            patched.setattr(module, name, value)
            keys.add(histograms.cache_key(small_fused, ["a", "b"]))
    assert len(keys) == 7
    path = tmp_path / f"{key}.npz"
    path.write_bytes(path.read_bytes()[:-40])
    assert histograms.read_cached(tmp_path, key) is None
