"""`scnet-edge doctor`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

Run = Callable[..., subprocess.CompletedProcess[str]]

NO_ENGINE = """\
import sys
for name in ("openvino", "onnxruntime", "tensorrt", "tensorrt_rtx"):
    sys.modules[name] = None
from importlib import util
find_spec = util.find_spec
util.find_spec = lambda name: None if sys.modules.get(name, name) is None else find_spec(name)
from scnet_edge.cli import main
main()
"""


def test_report_for_people(command_line: Run) -> None:
    done = command_line("doctor")
    assert done.returncode == 0, done.stderr
    assert "openvino" in done.stdout
    assert "This machine can run bundles." in done.stdout


def test_report_for_programs(command_line: Run) -> None:
    done = command_line("doctor", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["runs_bundles"] is True
    assert {"name", "verdict", "found", "remedy"} == set(report["checks"][0])
    assert {check["verdict"] for check in report["checks"]} <= {"ok", "warn", "missing"}


def test_a_machine_without_engines(python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = python(NO_ENGINE, ["doctor", "--json"])
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    verdicts = {check["name"]: check["verdict"] for check in report["checks"]}
    assert report["runs_bundles"] is False
    assert verdicts["openvino"] == verdicts["tensorrt"] == verdicts["default engine"] == "missing"
    assert "Traceback" not in done.stderr


def test_needs_no_torch(python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    code = (
        "import sys; from scnet_edge.doctor.checks import checks; checks(); "
        "print([m for m in ('torch', 'onnx') if m in sys.modules])"
    )
    done = python(code, [])
    assert done.stdout.strip() == "[]", done.stderr
    assert sys.version_info >= (3, 10)
