"""The soak in a short form: seconds of it, each fault once; the long form is `scnet-edge soak`.

In a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

SHORT = ("engine_crash", "sink_stuck", "disk_full", "clock_jump", "half_open", "page_flood")
HURRIED = f"""\
import sys, time
from scnet_edge.cli import main
from scnet_edge.soak import soak
from scnet_edge.soak.faults import FAULTS

real_clock = time.time_ns
soak.CALM_S = soak.SAMPLE_S = 0.1
FAULTS.update({{name: (FAULTS[name][0], 0.3) for name in {SHORT}}})
try:
    main()
finally:
    assert time.time_ns is real_clock
"""


def test_a_run_comes_through_and_leaks_nothing(
    tmp_path: Path,
    darkness_bundle: Callable[[tuple[int, int]], Path],
    python: Callable[[str, list[str]], subprocess.CompletedProcess[str]],
) -> None:
    path = tmp_path / "soak.json"
    command = ["soak", str(darkness_bundle((96, 128))), "--engine", "onnxruntime", "--threads", "1"]
    options = ["--minutes", "0.15", "--faults", ",".join(SHORT), "--json", str(path)]
    ended = python(HURRIED, [*command, *options])
    assert path.is_file(), ended.stderr
    report = json.loads(path.read_text())
    assert (ended.returncode, report["verdict"]) == (0, "pass"), report["reasons"]
    assert report["faults"]["engine_crash"]["recovered"] >= 1
    assert report["dropped"]["engine_crashed"] >= 1
    assert report["captured"] == report["processed"] + sum(report["dropped"].values())
    assert {sink["name"].split(":")[0] for sink in report["sinks"]} == {"jsonl", "mcap"}
    assert len(report["samples"]) > 20
