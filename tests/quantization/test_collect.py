"""From frames to a calibration file: all methods tried, the best kept, nothing stale reused."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import weights_of
from scnet_edge.engines.base import cpu_engine
from scnet_edge.models.cards import find_card
from scnet_edge.quantization import histogram_cache
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.collect_ranges import calibrate
from scnet_edge.quantization.frame_candidates import CandidateFrame
from scnet_edge.quantization.histograms import METHODS, Histogram
from scnet_edge.quantization.ranges import key_of

SIZE = (96, 128)


def test_the_best_method_by_f1_is_kept_beside_the_others(
    candidates: Callable[[int], list[CandidateFrame]], walls: list[Annotated], tmp_path: Path
) -> None:
    chosen = [(c, "no crack, dark, soft") for c in candidates(8)]
    found = calibrate(
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
    assert found.weights_sha256 == weights_of(find_card("scnet-small"))
    assert found.key == key_of(found)
    assert list(found.frames) == [c.name for c, _ in chosen]
    assert all(peak > 0 for peak in found.ranges.values())
    assert list(tmp_path.glob("*.npz"))


def test_the_cache_knows_graph_frames_versions_and_damage(
    small_fused: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = histogram_cache.key_of(small_fused, ["a", "b"])
    assert histogram_cache.kept(tmp_path, key) is None
    seen = {"x": Histogram()}
    seen["x"].add(np.array([1.0, 2.0], np.float32), 2.0)
    histogram_cache.keep(tmp_path, key, seen)
    back = histogram_cache.kept(tmp_path, key)
    assert back is not None
    assert (back["x"].peak, back["x"].upper) == (2.0, 2.0)
    assert np.array_equal(back["x"].counts, seen["x"].counts)
    other = onnx.ModelProto()
    other.CopyFrom(small_fused)
    other.graph.initializer[0].raw_data = bytes(len(other.graph.initializer[0].raw_data))
    keys = {
        key,
        histogram_cache.key_of(small_fused, ["a", "c"]),
        histogram_cache.key_of(other, ["a", "b"]),
    }
    changes = [
        (histogram_cache, "version", lambda name: "9.9"),
        (histogram_cache, "BINS", 99),
        (histogram_cache, "SAMPLED", 99),
        (import_module(cpu_engine()), "__version__", "9.9"),
    ]
    for module, name, value in changes:
        with monkeypatch.context() as patched:
            patched.setattr(module, name, value)
            keys.add(histogram_cache.key_of(small_fused, ["a", "b"]))
    assert len(keys) == 7
    path = tmp_path / f"{key}.npz"
    path.write_bytes(path.read_bytes()[:-40])
    assert histogram_cache.kept(tmp_path, key) is None
