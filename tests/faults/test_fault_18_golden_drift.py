"""Compiled code that drifts from the reference, or kills its process, is never made active."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from scnet_edge.build import build_bundle
from scnet_edge.bundle import activate, compile
from scnet_edge.bundle.activate import compile_bundle
from scnet_edge.bundle.device import Builds, read_state
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.errors import BundleError, EngineError

pytest.importorskip("openvino", reason="OpenVINO is not installed: nothing to compile with")


class Drifted:
    """An engine whose probability is noise: no crash, no NaN, only wrong."""

    name = "drifted"

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        shape = feeds["frame"].shape[:3]
        return {"probability": np.random.default_rng(0).random(shape, np.float32)}

    def close(self) -> None: ...


def open_drifted() -> Drifted:
    """Return one, in the child process."""
    return Drifted()


def open_dying() -> Drifted:
    """Abort as native code does."""
    import os

    os.abort()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = tmp_path_factory.mktemp("drift") / "bundle"
    build_bundle(Recipe(precision="fp32", size_hw=(64, 96)), bundle)
    compile_bundle(bundle, engine="openvino", threads=1)
    return bundle


@pytest.fixture
def bundle(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a bundle with a good build whose next one can be made to go wrong."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return Path(shutil.copytree(built, tmp_path / "bundle"))


def break_second_opening(monkeypatch: pytest.MonkeyPatch, factory: str) -> None:
    """Let the compiling process be real and the one that tries the result be `factory`."""
    opened, count = compile.open_in_child, iter(range(9))

    def instead(opening: Opening) -> Any:
        broken = Opening(factory=f"test_fault_18_golden_drift:{factory}")
        return opened(broken if next(count) else opening)

    monkeypatch.setattr(compile, "open_in_child", instead)


def test_drift_is_refused_with_its_number(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_second_opening(monkeypatch, "open_drifted")
    with pytest.raises(BundleError, match=r"mask F1 against PyTorch is 0\.\d{4}.*at least 0\.999"):
        compile_bundle(bundle, engine="openvino", threads=1)
    check_untouched(bundle, "mask F1 against PyTorch is")


def test_a_first_load_that_aborts_spares_the_parent(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 17, the plan's half: the child dies, the plan is marked bad, the old one stays."""
    break_second_opening(monkeypatch, "open_dying")
    with pytest.raises(EngineError, match="process died"):
        compile_bundle(bundle, engine="openvino", threads=1)
    check_untouched(bundle, "process died")


def check_untouched(bundle: Path, reason: str) -> None:
    """Check that the older build is active and whole, and the new one gone and marked bad."""
    state = read_state(bundle)
    assert state.of("openvino") == Builds(active="openvino-1")
    assert reason in state.bad["openvino-2"]
    left = {p.name for p in (bundle / "device").iterdir()}
    assert left == {".lock", "openvino-1", "state.json"}
    assert (
        activate._new_name(bundle, "openvino", state) == "openvino-3"
    )  # never the same name again
    assert msgspec.json.decode((bundle / "device" / "state.json").read_bytes())["bad"]
