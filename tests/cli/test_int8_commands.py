"""`calibrate`, `build --int8` and `sensitivity` as a user calls them, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.cli import main
from scnet_edge.config import read_json
from scnet_edge.quantization.layer_sensitivity import Sensitivity
from scnet_edge.quantization.ranges import read_ranges
from scnet_edge.simulation.clip import render_stills

Run = Callable[..., subprocess.CompletedProcess[str]]
Refused = Callable[..., str]
SIZE, TEXT = (96, 160), "96x160"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Return a function that runs a command here, and gives what it said as it was refused."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["scnet-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr().err
        assert ended.value.code == 1, said
        return said

    return run


def write_frames(folder: Path, count: int, seed: int = 21) -> Path:
    folder.mkdir()
    for i, (frame, _) in enumerate(render_stills(count, SIZE, seed=seed)):
        cv2.imwrite(str(folder / f"{i:02}.png"), frame)
    return folder


def test_from_frames_to_a_bundle_to_a_ranking(command_line: Run, tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", 12)
    ranges, bundle = tmp_path / "mine.toml", tmp_path / "bundle"
    calibrate = ("calibrate", "--data", str(frames), "--size", TEXT, "--method", "mse")
    cache = ("--cache", str(tmp_path / "cache"))
    done = command_line(*calibrate, *cache, "--frames", "10", "--out", str(ranges))
    assert done.returncode == 0, done.stderr
    assert "contact sheet" in done.stdout
    counts = "12 frames read; left out: 0 that validate, 0 that repeat another, 0 that"
    assert counts in done.stdout
    assert "drawn pipe walls" in done.stdout  # what the methods were compared on
    calibration = read_ranges(ranges)
    assert len(calibration.frames) == 10
    assert cv2.imread(str(tmp_path / "mine.png")) is not None

    build = ("build", "--int8", "--calibration", str(ranges), "--size", TEXT, "--elsewhere")
    done = command_line(*build, "--gate", "f1:0.02", "--out", str(bundle))
    assert done.returncode == 0, done.stderr
    assert "gate f1:0.02 on 24 drawn pipe walls" in done.stdout
    manifest = read_manifest(bundle)
    assert manifest.gate is not None
    assert f"ships {manifest.gate.shipped}" in done.stdout
    dark = next(s for s in manifest.gate.candidates[0].strata if s.name == "dark")
    lost = f"lost {dark.f1_fp32 - dark.f1:+.4f}"
    assert f"dark, {dark.images} images: F1 {dark.f1:.4f}, {lost}" in done.stdout

    done = command_line(
        "calibrate", "--negatives", str(frames), "--bundle", str(bundle), "--alarmed", "0.5"
    )
    assert done.returncode == 0, done.stderr
    shipped = manifest.operating_points
    *others, own = read_manifest(bundle).operating_points
    assert (tuple(others), own.name) == (shipped, "own")
    assert f"own: {manifest.threshold:.2f}, " in done.stdout
    assert own.threshold == manifest.threshold
    assert own.domains["12 own frames"].alarmed <= 0.5

    ranking = tmp_path / "layers.json"
    done = command_line("sensitivity", str(bundle), "--images", "1", "--json", str(ranking))
    assert done.returncode == 0, done.stderr
    found = read_json(ranking, Sensitivity)
    assert calibration.method.startswith("mse")  # biases are corrected where that pays
    how = f"{calibration.method}, key {calibration.key}"
    assert found.ranges == f"{bundle / 'calibration.toml'}, {how}"
    assert f"ranges: {found.ranges}" in done.stdout
    assert {layer.name for layer in found.layers} == set(calibration.ranges)
    lost = [layer.lost_f1 for layer in found.layers]
    assert lost == sorted(lost, reverse=True)
    assert all(name in done.stdout for name in calibration.ranges)
    words = "exclude = [" if found.exclude else "no layer is worth excluding"
    assert done.stdout.splitlines()[-1].startswith(words)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: [p.unlink() for p in sorted(f.iterdir())[3:]], "at least 8 different frames"),
        (lambda f: [p.write_bytes((f / "00.png").read_bytes()) for p in f.iterdir()], "found 1"),
        (lambda f: (f / "04.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more"), "04.png"),
        (lambda f: (f / "04.png").write_bytes(b""), "empty file"),
        (
            lambda f: [
                cv2.imwrite(
                    str(p), np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
                )
                for i, p in enumerate(sorted(f.iterdir()))
            ],
            "noise",
        ),
        (
            lambda f: [cv2.imwrite(str(p), np.zeros((*SIZE, 3), np.uint8)) for p in f.iterdir()],
            "found 1 among 9",
        ),
    ],
)
def test_bad_frames_are_refused_in_one_line(
    spoil: Callable[[Path], object], message: str, refused: Refused, tmp_path: Path
) -> None:
    frames = write_frames(tmp_path / "frames", 9)
    spoil(frames)
    out = tmp_path / "out.toml"
    said = refused("calibrate", "--data", str(frames), "--size", TEXT, "--out", str(out))
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["calibrate", "--data", "{tmp}/none", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}"],
        ["calibrate", "--negatives", "{tmp}"],
        ["calibrate", "--negatives", "{tmp}", "--bundle", "{tmp}/none"],
        ["calibrate", "--data", "{tmp}", "--out", "{tmp}/o.json"],
        ["calibrate", "--data", "{tmp}", "--method", "guess", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}", "--frames", "7", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}", "--size", "0x0", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}", "--size", "32x32", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}", "--size", "9999x9999", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}", "--size", "", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}", "--cache", "pyproject.toml", "--out", "{tmp}/o.toml"],
        ["calibrate", "--data", "{tmp}/none", "--out", "pyproject.toml/o.toml"],
        ["build", "--int8", "--gate", "", "--out", "{tmp}/b"],
        ["build", "--int8", "--gate", "map:1", "--out", "{tmp}/b"],
        ["build", "--int8", "--calibration", "{tmp}/none.toml", "--out", "{tmp}/b"],
        ["build", "--fp16", "--gate", "f1:0.1", "--out", "{tmp}/b"],
        ["build", "--fp16", "--data", "folder:/no/such", "--out", "{tmp}/b"],
        ["build", "--fp32", "--calibration", "nonsense", "--out", "{tmp}/b"],
        ["build", "--fp16", "--allow-loss", "--out", "{tmp}/b"],
        ["build", "--fp16", "--elsewhere", "--out", "{tmp}/b"],
        ["compile", "{tmp}/none"],
        ["compile", "{tmp}"],
        ["compile", "{tmp}", "--rollback"],
        ["sensitivity", "{tmp}/none.toml"],
        ["sensitivity", "{tmp}"],
    ],
)
def test_mistakes_are_one_line(arguments: list[str], refused: Refused, tmp_path: Path) -> None:
    assert refused(*(a.format(tmp=tmp_path) for a in arguments)).count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_mistyped_source_is_said_to_be_missing(command_line: Run) -> None:
    done = command_line("calibrate", "--data", "no_such_folder", "--out", "never.toml")
    assert done.returncode == 1
    assert "no_such_folder: " in done.stderr
    assert "whose images are read" not in done.stderr


def test_the_contact_sheet_never_lands_among_the_frames_or_on_a_picture(
    command_line: Run, tmp_path: Path
) -> None:
    frames = write_frames(tmp_path / "frames", 9)
    before = {path: path.read_bytes() for path in frames.iterdir()}
    (tmp_path / "mine.png").write_bytes(before[frames / "03.png"])
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "recipe.toml").write_text('model = "scnet-tiny"\n')
    for out, message in (
        (frames / "05.toml", "whose images are read"),
        (frames / "deeper" / "05.toml", "whose images are read"),
        (tmp_path / "mine.toml", "mine.png: is in the way"),
        (tmp_path / "recipe.toml", "recipe.toml: is in the way"),
        (tmp_path / "folder.toml", "expected a file to write"),
    ):
        done = command_line("calibrate", "--data", str(frames), "--size", TEXT, "--out", str(out))
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in frames.iterdir()} == before
    assert (tmp_path / "mine.png").read_bytes() == before[frames / "03.png"]
    assert (tmp_path / "recipe.toml").read_text() == 'model = "scnet-tiny"\n'


def test_nothing_passes_is_status_2_and_the_older_bundle_stays(
    command_line: Run, tmp_path: Path
) -> None:
    data = tmp_path / "flat"
    for part, value in (("images", 128), ("masks", 0)):
        (data / "test" / part).mkdir(parents=True)
        for i in range(8):
            step = 2 * i if part == "images" else 0
            flat = np.full(SIZE, value + step, np.uint8)
            cv2.imwrite(str(data / "test" / part / f"{i}.png"), flat)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text(json.dumps({"older": True}))
    build = ("build", "--int8", "--size", TEXT, "--data", f"folder:{data}", "--overwrite")
    done = command_line(*build, "--out", str(bundle))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing passes the gate" in done.stderr
    assert done.stderr.count("\n") == 1
    assert json.loads((bundle / "manifest.json").read_text()) == {"older": True}
