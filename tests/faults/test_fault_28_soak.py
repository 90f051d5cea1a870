"""The soak in a short form: seconds of it, each fault once; the long form is `scnet-edge soak`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scnet_edge.cli import app
from scnet_edge.soak import soak as soak_module
from scnet_edge.soak.faults import FAULTS

SHORT = ("engine_crash", "sink_stuck", "disk_full", "clock_jump", "half_open", "camera_corrupt")


def test_a_run_comes_through_and_leaks_nothing(
    tmp_path: Path,
    darkness_bundle: Callable[[tuple[int, int]], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soak_module, "CALM_S", 0.1)
    for name in SHORT:
        monkeypatch.setitem(FAULTS, name, (FAULTS[name][0], 0.3))
    monkeypatch.setattr(soak_module, "SAMPLE_S", 0.1)
    before = set(Path("/dev/shm").iterdir())
    real_clock = time.time_ns
    path = tmp_path / "soak.json"
    command = ["soak", str(darkness_bundle((96, 128))), "--engine", "onnxruntime", "--threads", "1"]
    options = ["--minutes", "0.15", "--faults", ",".join(SHORT), "--json", str(path)]
    with pytest.raises(SystemExit) as ended:
        app([*command, *options])
    report = json.loads(path.read_text())
    assert (ended.value.code, report["verdict"]) == (0, "pass"), report["reasons"]
    assert report["faults"]["engine_crash"]["recovered"] >= 1
    assert report["dropped"]["engine_crashed"] >= 1
    assert report["captured"] == report["processed"] + sum(report["dropped"].values())
    assert {sink["name"] for sink in report["sinks"]} == {"jsonl", "mcap"}
    assert len(report["samples"]) > 20
    assert time.time_ns is real_clock
    assert set(Path("/dev/shm").iterdir()) == before
