"""What is installed from a wheel: the same bytes each time, and a demo that needs no clone."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from scnet_edge import config, sample
from scnet_edge.bundle.manifest import GOLDEN, read_manifest
from scnet_edge.bundle.recipe import DEFAULT_MODEL
from scnet_edge.bundle.verify import read_golden
from scnet_edge.cli import app
from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import find_card
from scnet_edge.simulation.clip import write_truth
from scnet_edge.survey.folder import read_survey
from scnet_edge.video.fake_source import drawn_frames

ROOT = Path(__file__).parents[1]
FRAMES = 6
MAX_WHEEL_BYTES = 15_000_000

spec = importlib.util.spec_from_file_location("pack_sample", ROOT / "scripts/pack_sample.py")
assert spec is not None
assert spec.loader is not None
pack_sample = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack_sample)


def built(kind: str, source: Path, out: Path, epoch_s: str) -> Path:
    """Return the distribution that the build backend makes of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    environment = {"SOURCE_DATE_EPOCH": epoch_s, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    [path] = out.iterdir()
    return path


def test_wheel_and_sdist_are_the_same_each_time(tmp_path: Path) -> None:
    sdist = built("sdist", ROOT, tmp_path / "sdist", "1700000000")
    with tarfile.open(sdist) as archive:
        # Python 3.11.3 and older know no filter; the archive is our own.
        only_data = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path / "unpacked", **only_data)
    [unpacked] = (tmp_path / "unpacked").iterdir()
    of_tree = built("wheel", ROOT, tmp_path / "tree", "1700000000")
    of_sdist = built("wheel", unpacked, tmp_path / "again", "1700000000")
    assert of_tree.read_bytes() == of_sdist.read_bytes()
    assert of_tree.stat().st_size < MAX_WHEEL_BYTES
    with zipfile.ZipFile(of_tree) as wheel:
        names = set(wheel.namelist())
    card = find_card(DEFAULT_MODEL)
    riding = {"samples/pipe.mp4", "samples/pipe_truth.npz", "samples/pipe.toml", "py.typed"}
    riding |= {f"weights/{card.file}", f"calibration/{card.name}.toml"}
    assert {f"scnet_edge/{name}" for name in riding} <= names
    assert not [name for name in names if name.startswith("tests") or name.endswith(".pyc")]


@pytest.fixture
def packed(golden_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a hand-made bundle, packed with a film where an installation has its sample."""
    folder = tmp_path / "samples"
    folder.mkdir()
    frames = [*drawn_frames(FRAMES, (64, 96))]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    film = cv2.VideoWriter(str(folder / sample.FILM), codec, 12, (96, 64))
    for frame in frames:
        film.write(frame)
    film.release()
    write_truth(folder / sample.TRUTH, [frame[..., 0] < 128 for frame in frames])
    pack_sample.lighten(golden_bundle, 1_700_000_000)
    pack_sample.pack(golden_bundle, folder / sample.ARCHIVE, 1_700_000_000)
    monkeypatch.setattr(sample, "FOLDERS", (folder, ROOT / "samples"))
    return golden_bundle


def test_a_packed_bundle_comes_out_as_it_went_in(packed: Path, tmp_path: Path) -> None:
    sample.unpack_bundle(tmp_path / "out")
    assert read_manifest(tmp_path / "out") == read_manifest(packed)
    assert len(read_golden(tmp_path / "out" / GOLDEN).frames) == 1
    again = tmp_path / "again.tar.xz"
    pack_sample.pack(packed, again, 1_700_000_000)
    assert again.read_bytes() == sample.sample_file(sample.ARCHIVE).read_bytes()
    assert read_manifest(packed).created == "2023-11-14T22:13:20+00:00"


@pytest.mark.usefixtures("packed")
def test_the_demo_shows_its_commands_and_runs_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.output
    shown = [line.split()[2] for line in done.output.splitlines() if line.startswith("$ ")]
    assert shown == ["run", "inspect", "report"]
    assert (tmp_path / "demo/run/report.html").is_file()
    assert (tmp_path / "demo/survey/report.html").is_file()
    assert read_survey(tmp_path / "demo/survey").progress.frames == FRAMES
    again = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert isinstance(again.exception, ConfigError)
    assert "not empty" in str(again.exception)


def test_without_a_packed_bundle_the_demo_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sample, "FOLDERS", (tmp_path,))
    with pytest.raises(ConfigError, match="make demo"):
        sample.unpack_bundle(tmp_path / "out")
    with pytest.raises(ConfigError, match="install scnet-edge again"):
        sample.sample_file(sample.FILM)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(
    not (ROOT / "samples" / sample.ARCHIVE).exists(), reason="scripts/pack_sample.py was not run"
)
def test_the_packed_bundle_is_of_the_default_model(tmp_path: Path) -> None:
    sample.unpack_bundle(tmp_path / "bundle")
    card, manifest = find_card(DEFAULT_MODEL), read_manifest(tmp_path / "bundle")
    assert manifest.model.sha256 == {card.name: card.sha256}
    assert manifest.precision == "int8"


def test_the_release_refuses_what_is_not_ready() -> None:
    for arguments, said in (([], "expected a version"), (["99.0"], "is not of version 99.0")):
        command = [str(ROOT / "scripts/release"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert said in done.stderr


def test_the_release_names_what_is_not_installed_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/release", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    version = config.tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    bare = tmp_path / "bin/python"
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    command = [str(tmp_path / "scripts/release"), version, "--rehearse"]
    environment = {"PATH": f"{bare.parent}:/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "not installed: build hatchling" in line
    assert "pip install '.[cpu,build,release]'" in line
