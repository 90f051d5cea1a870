"""`scnet-edge run` on cameras, and what it says of mistakes, without starting an engine twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scnet_edge.cli import app
from scnet_edge.errors import ScnetEdgeError

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SIZE_HW = (64, 96)


def test_a_simulated_ride_with_a_config_and_a_sink(
    command_line: Run, darkness_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    config, log = tmp_path / "robot.toml", tmp_path / "run.jsonl"
    config.write_text(
        'source = "sim://pipe?size=64x96&fps=100"\n'
        f'sinks = ["jsonl:{log}"]\n'
        'policy = "every"\nmm_per_px = 0.5\nskip = []\n'
    )
    bundle = str(darkness_bundle(SIZE_HW))
    done = command_line("run", bundle, "--config", str(config), "--frames", "6")
    assert done.returncode == 0, done.stderr
    assert "camera to mask" in done.stdout
    records = [json.loads(line) for line in log.read_text().splitlines()]
    frames = [record for record in records if record["kind"] == "frame"]
    assert [record["frame_id"] for record in frames] == list(range(6))
    cracks = [crack for record in frames for crack in record["cracks"]]
    assert cracks
    for crack in cracks:
        assert crack["length_mm"] == pytest.approx(0.5 * crack["length_px"])
    assert records[0]["facts"]["Source"] == "sim://pipe?size=64x96&fps=100"
    assert records[-1]["event"] == "run_closed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "source: expected a camera or files; pass --source or set it in --config"),
        (["--source", "ftp://joe:s3cret@h/"], "ftp://***@h/: unknown kind of source"),
        (["--source", "csi://front"], "csi://front: expected a sensor's number"),
        (["--source", "sim://pipe", "--sink", "tape:x"], "sink 'tape:x': unknown kind"),
        (["--source", "sim://pipe", "--truth", "t.npz"], "--truth: "),
        (["--source", "none.mp4"], "none.mp4: no such file or folder"),
        (["--config", "none.toml"], "none.toml: no such file"),
    ],
)
def test_a_mistake_is_one_line(
    darkness_bundle: Callable[..., Path], arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(app, ["run", str(darkness_bundle(SIZE_HW)), *arguments])
    assert isinstance(result.exception, ScnetEdgeError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert "s3cret" not in str(result.exception)


def test_live_takes_an_address_or_none(darkness_bundle: Callable[..., Path]) -> None:
    bundle, source = str(darkness_bundle(SIZE_HW)), ["--source", "none.mp4"]
    for live in (["--live", *source], [*source, "--live"], ["--live", "127.0.0.1:0", *source]):
        result = CliRunner().invoke(app, ["run", bundle, *live])
        assert "none.mp4: no such file" in str(result.exception)
