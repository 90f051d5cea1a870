"""`scnet-edge service`, as far as it goes without a systemd that runs."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scnet_edge.cli import service

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bundle(darkness_bundle: Callable[[tuple[int, int]], Path]) -> Path:
    return darkness_bundle((64, 96))


def test_a_dry_run_prints_the_unit_and_writes_nothing(command_line: Run, bundle: Path) -> None:
    done = command_line(
        *("service", "install", str(bundle), "--source", "v4l2:///dev/video0", "--user"),
        *("--live", "127.0.0.1:8765", "--sink", "jsonl:a b.jsonl", "--option=--threads=2"),
        "--dry-run",
    )
    assert done.returncode == 0, done.stderr
    [command] = [line for line in done.stdout.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith(
        f"-m scnet_edge run {bundle} --source v4l2:///dev/video0 --live 127.0.0.1:8765 "
        '--sink "jsonl:a b.jsonl" --threads=2'
    )
    assert not (Path.home() / ".config/systemd/user/scnet-edge.service").exists()


def test_the_unit_is_for_its_owner_alone(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(service, "_start", lambda path, *, user: None)  # needs systemd
    service.install(bundle, source="rtsp://a:secret@camera/1", user=True)
    [unit] = tmp_path.rglob("*.service")
    assert "rtsp://a:secret@camera/1" in unit.read_text()
    assert stat.S_IMODE(unit.stat().st_mode) == 0o600


def test_a_folder_that_is_no_bundle_is_refused(command_line: Run, tmp_path: Path) -> None:
    done = command_line("service", "install", str(tmp_path), "--source", "v4l2:///dev/video0")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "manifest.json" in done.stderr


def test_the_status_is_one_for_programs_too(command_line: Run) -> None:
    done = command_line("service", "status", "--json")
    state = json.loads(done.stdout)
    assert done.returncode == (state["active"] != "active")
    assert state["unit"] == "/etc/systemd/system/scnet-edge.service"
