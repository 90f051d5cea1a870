"""Little memory, few descriptors, no home, folders that vanish: one line, and no more is lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hand_made import facts, observation, picture
from sink_frames import frame_result, recorder

from scnet_edge.cli import process_limits
from scnet_edge.errors import ConfigError, SurveyError
from scnet_edge.quantization.histograms import Histogram, read_cached, write_cached
from scnet_edge.sinks.json_lines import JsonLines
from scnet_edge.sinks.mcap_file import McapFile
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=64 * 1024)


@pytest.mark.parametrize(
    ("limit", "named"),
    [("-v 400000", "memory is limited to 390 MiB here (ulimit -v)"),
     ("-v 600000", "memory is limited to 585 MiB here (ulimit -v)"),
     ("-n 12", "only 12 open files are allowed here (ulimit -n)")],
)  # fmt: skip
def test_a_limit_is_named_in_one_line(
    darkness_bundle: Callable[[tuple[int, int]], Path], limit: str, named: str
) -> None:
    bundle = darkness_bundle((64, 96))
    call = f"ulimit {limit}; exec {sys.executable} -m scnet_edge run {bundle} --source sim://pipe"
    done = subprocess.run(["/bin/bash", "-c", call], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


def test_a_limit_of_file_sizes_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b'{"a": 1}\n' * 2000 + b'{"x')
    out = tmp_path / "whole.jsonl"
    call = f"ulimit -f 2; exec {sys.executable} -m scnet_edge recover {torn} --out {out}"
    command = ["/bin/bash", "-c", call]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{out}: File too large" in done.stderr
    assert "files are limited to 2 KiB here (ulimit -f)" in done.stderr
    assert list(tmp_path.iterdir()) == [torn]


@pytest.mark.parametrize("error", ['RuntimeError("can\'t start new thread")', "MemoryError()"])
def test_what_the_system_refuses_is_one_line(error: str) -> None:
    code = f"""
import resource, typer
from scnet_edge.cli import main
program = typer.Typer()
@program.command()
def ask() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    raise {error}
main(program)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(("scnet-edge: can't start", "scnet-edge: no memory is left"))
    assert "memory is limited to 1024 MiB here" in done.stderr


def test_a_limit_of_processes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has none, and tests may run as root: the system's answer is made."""
    allowed = {resource.RLIMIT_NPROC: 6, resource.RLIMIT_NOFILE: 1024}

    def limit(kind: int) -> tuple[int, int]:
        return (allowed.get(kind, resource.RLIM_INFINITY),) * 2

    monkeypatch.setattr(process_limits.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(process_limits.resource, "getrlimit", limit)
    with pytest.raises(
        ConfigError, match=r"only 6 processes and threads .*\(ulimit -u\), expected 32"
    ):
        process_limits.require_limits()
    allowed[resource.RLIMIT_NPROC] = 40
    process_limits.require_limits()
    hint = process_limits.limits_hint(RuntimeError(process_limits.NO_THREAD))
    assert hint == "; 40 processes and threads are allowed here (ulimit -u)"
    monkeypatch.setattr(process_limits.os, "geteuid", lambda: 0)
    assert process_limits.limits_hint(RuntimeError(process_limits.NO_THREAD)) == ""


def test_help_is_there_whatever_the_limit() -> None:
    call = f"ulimit -n 12; exec {sys.executable} -m scnet_edge --help"
    done = subprocess.run(["/bin/bash", "-c", call], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0


def test_a_jsonl_sink_whose_folder_is_removed_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "run" / "run.jsonl"
    sink = JsonLines(path, recorder())
    sink.put(sink.prepare(frame_result(0)))
    shutil.rmtree(path.parent)
    with pytest.raises(OSError, match="removed"):
        sink.put(sink.prepare(frame_result(1)))
    sink.put(sink.prepare(frame_result(2)))
    sink.close()
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds == ["run", "frame"]


def test_an_mcap_sink_whose_file_is_removed_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    sink = McapFile(path, recorder(), room_bytes=0)
    sink.put(sink.prepare(frame_result(0)))
    path.unlink()
    with pytest.raises(OSError, match="removed"):
        sink.flush()
    sink.put(sink.prepare(frame_result(1)))
    sink.close()
    assert path.is_file()


def test_a_survey_whose_folder_is_removed_ends_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    journal = Journal(folder, facts(), limits=SMALL)
    record(journal, observation(1), *picture(1))
    shutil.rmtree(folder)
    with pytest.raises(SurveyError, match="was removed while it was written"):
        record(journal, observation(2), *picture(2))
    with pytest.raises(SurveyError, match="was removed while it was written"):
        journal.commit(observations=[observation(2)])
    with pytest.raises(SurveyError, match="was removed while it was written"):
        journal.close()
    assert not folder.exists()


@pytest.mark.parametrize("place", ["/proc/nope", "file"])
def test_a_cache_that_cannot_be_costs_the_cache(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "file" / "x" if place == "file" else Path(place)
    (tmp_path / "file").touch()
    found = {"a": Histogram(peak=1.0, upper=2.0, counts=np.arange(4))}
    write_cached(cache, "key", found)
    assert "not kept for another time" in caplog.text
    assert read_cached(cache, "key") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes a user without an entry")
def test_a_user_without_home_and_entry_has_no_folders() -> None:
    code = "import os\nfrom scnet_edge.state import state_folders\n"
    code += "os.setgid(54321)\nos.setuid(54321)\nprint(state_folders())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        cwd="/",
        timeout=60,
    )
    assert done.stdout.strip() == "[]", done.stderr
