"""`scnet-edge measure` as a user runs it: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.cli import main


@pytest.fixture
def mask_path(tmp_path: Path) -> Path:
    mask = np.zeros((64, 128), np.uint8)
    mask[30:36, 14:114] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    return tmp_path / "mask.png"


def measure(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["scnet-edge", "measure", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_table_and_json(mask_path, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "cracks.json"
    scale = ("--mm-per-px", 0.1, "--mm-per-px-sigma", 0.002)
    assert measure(monkeypatch, mask_path, *scale, "--json", out) == 0
    shown = capsys.readouterr().out
    assert "0.60 ± 0.04" in shown
    assert max(map(len, shown.splitlines())) <= 80
    [crack] = json.loads(out.read_text())["cracks"]
    assert crack["length_px"] == pytest.approx(100, rel=0.03)
    assert crack["width_mean_mm"] == pytest.approx(0.6, abs=0.05)
    assert crack["width_mean_mm_sigma"] > 0
    assert crack["bbox_xyxy"] == [14, 30, 114, 36]
    assert crack["area_px"] == 600


def test_zero_and_one_is_the_same_mask(mask_path, tmp_path, monkeypatch) -> None:
    ones = tmp_path / "ones.png"
    cv2.imwrite(str(ones), cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) // 255)
    found = []
    for path in (mask_path, ones):
        assert measure(monkeypatch, path, "--json", tmp_path / "out.json") == 0
        found.append((tmp_path / "out.json").read_text())
    assert found[0] == found[1]


def test_image_refines_the_width(mask_path, tmp_path, monkeypatch) -> None:
    wall = np.full((64, 128, 3), 200, np.uint8)
    wall[31:35, 14:114] = 40
    cv2.imwrite(str(tmp_path / "wall.png"), wall)
    out = tmp_path / "out.json"
    assert measure(monkeypatch, mask_path, "--image", tmp_path / "wall.png", "--json", out) == 0
    [crack] = json.loads(out.read_text())["cracks"]
    assert crack["width_source"] == "image"
    assert crack["width_mean_px"] == pytest.approx(4, abs=0.3)
    assert crack["length_mm"] is None


def test_empty_mask_is_no_error(tmp_path, monkeypatch, capsys) -> None:
    cv2.imwrite(str(tmp_path / "none.png"), np.zeros((32, 32), np.uint8))
    out = tmp_path / "out.json"
    assert measure(monkeypatch, tmp_path / "none.png", "--json", out) == 0
    assert json.loads(out.read_text()) == {"cracks": []}
    assert "no crack" in capsys.readouterr().out.replace("\n", " ")


def write_text(folder: Path) -> Path:
    (folder / "mask.txt").write_text("not an image")
    return folder / "mask.txt"


def write_grey(folder: Path) -> Path:
    cv2.imwrite(str(folder / "grey.png"), np.arange(1024, dtype=np.uint8).reshape(32, 32))
    return folder / "grey.png"


def write_colour(folder: Path) -> Path:
    colours = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    cv2.imwrite(str(folder / "colour.png"), colours)
    return folder / "colour.png"


def write_inverted(folder: Path) -> Path:
    cv2.imwrite(str(folder / "inverted.png"), ~(np.eye(32, dtype=np.uint8) * 255))
    return folder / "inverted.png"


def write_truncated(folder: Path) -> Path:
    whole = cv2.imencode(".png", np.eye(64, dtype=np.uint8) * 255)[1].tobytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.png"


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda folder: folder / "absent.png", "No such file"),
        (write_text, "image"),
        (write_grey, "256 values (0, 1, 2, 3, 4, ...)"),
        (write_inverted, "inverted"),
        (write_colour, "colour"),
        (write_truncated, "cut.png"),
        (lambda folder: folder, "expected a plain file"),
    ],
)
def test_bad_masks_are_one_line(write, says, tmp_path, monkeypatch, capfd) -> None:
    out = tmp_path / "out.json"
    assert measure(monkeypatch, write(tmp_path), "--json", out) == 1
    error = capfd.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--mm-per-px", "0"), "above 0"),
        (("--mm-per-px", "-0.1"), "above 0"),
        (("--mm-per-px-sigma", "0.1"), "needs --mm-per-px"),
        (("--mm-per-px", "1", "--mm-per-px-sigma", "-1"), "sigma"),
        (("--json", "/nowhere/out.json"), "cannot be written"),
    ],
)
def test_bad_options_are_one_line(options, says, mask_path, monkeypatch, capfd) -> None:
    assert measure(monkeypatch, mask_path, *options) == 1
    error = capfd.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_image_of_another_size(mask_path, tmp_path, monkeypatch, capfd) -> None:
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((64, 127, 3), np.uint8))
    assert measure(monkeypatch, mask_path, "--image", tmp_path / "other.png") == 1
    assert "127x64 px, expected 128x64 px" in capfd.readouterr().err
