"""A soak runs what a run would: the code that was compiled and activated on this device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scnet_edge.bundle.device import Builds, State, write_state
from scnet_edge.bundle.made_here import seal
from scnet_edge.engines.compiled import COMPILED
from scnet_edge.errors import EngineError
from scnet_edge.soak.soak import run_soak


def test_compiled_code_that_is_damaged_is_refused_as_by_a_run(
    darkness_bundle: Callable[[tuple[int, int]], Path],
) -> None:
    bundle = darkness_bundle((96, 128))
    folder = bundle / "device" / "onnxruntime-1"
    folder.mkdir(parents=True)
    (folder / COMPILED).write_text("{}")
    seal(folder)
    builds = {"onnxruntime": Builds(active="onnxruntime-1")}
    write_state(bundle, State(engines=builds))
    with pytest.raises(EngineError, match="onnxruntime-1"):
        run_soak(bundle, minutes=0.05, faults=[], engine="onnxruntime")
