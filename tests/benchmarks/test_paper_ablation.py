"""Tables as data, and one made whole on drawn walls, twice without training again."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import benchmarks.paper_ablation
from benchmarks import paper_tables as tables
from benchmarks.ablate import app
from benchmarks.paper_ablation import Figures, find_printed, preset_of, slug
from benchmarks.paper_tables import TABLES, Row, Table, find_table
from scnet_edge.cli import main
from scnet_edge.config import read_json
from scnet_edge.errors import ConfigError
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.training.presets import PRESETS, Preset
from scnet_edge.training.run_folder import Settings


@pytest.fixture
def walls(tmp_path: Path) -> list[Path]:
    """Two folders of image and mask pairs, of which one is the test split."""
    for name in ("brick", "stone"):
        for i in range(5):
            mask = np.zeros((64, 64), np.uint8)
            cv2.line(mask, (0, 10 + 9 * i), (63, 50 - 9 * i), 255, 4)
            for kind, image in (("images", np.where(mask > 0, 30, 190)), ("masks", mask)):
                (tmp_path / name / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / name / kind / f"{i}.png"), image.astype(np.uint8))
    return [tmp_path / "brick", tmp_path / "stone"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ablate", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main(app)
    return int(left.value.code or 0)


def test_crossed_table_trains_each_row_once(
    walls: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = Row(name="tiny", config={"levels": 2, "norm": "batch", "edges": False})
    monkeypatch.setitem(tables.TABLES, "V", Table(about="crossed", rows=(tiny,), crossed={}))
    data = [part for wall in walls for part in ("--data", f"folder:{wall}")]
    out = tmp_path / "out"
    (out / "tiny--folder-brick").mkdir(parents=True)  # killed as it began
    options = ("5", *data, "--out", out, "--steps", 2, "--batch", 1, "--width", 1 / 16)
    assert run(monkeypatch, *options) == 0
    made = read_json(out / "table-V.json", Figures)
    assert (made.table, made.schedule.steps) == ("V", 2)
    cells = {(f.trained_on, f.tested_on) for f in made.figures}
    names = ("folder-brick", "folder-stone")
    assert cells == {(a, b) for a in names for b in names}
    printed = capsys.readouterr().out
    assert printed == (out / "table-V.md").read_text()
    assert f"{100 * made.figures[0].scores.ods.f1:.2f} [" in printed

    weights = out / "tiny--folder-brick" / "tiny--folder-brick.safetensors"
    before = weights.stat().st_mtime_ns
    assert run(monkeypatch, *options) == 0
    assert weights.stat().st_mtime_ns == before
    assert read_json(out / "table-V.json", Figures) == made


def test_a_row_begins_as_the_net_of_the_other_data_set(
    walls: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = Row(name="SCNet", config={"levels": 2, "norm": "batch", "edges": False})
    moved = dataclasses.replace(tiny, name="moved", transferred=True)
    monkeypatch.setattr(benchmarks.paper_ablation, "SCNET", tiny)
    monkeypatch.setitem(tables.TABLES, "IX", Table(about="first weights", rows=(tiny, moved)))
    brick, stone = [("--data", f"folder:{wall}") for wall in walls]
    options = ("--out", tmp_path / "out", "--steps", 1, "--batch", 1, "--width", 1 / 16)
    assert run(monkeypatch, "IX", *brick, *options) == 0
    assert "moved: left out, it begins from a second --data" in capsys.readouterr().err
    assert run(monkeypatch, "IX", *brick, *stone, *options) == 0
    out = tmp_path / "out"
    moved_run = out / "moved--folder-brick--from-scnet--folder-stone"
    assert read_json(moved_run / "settings.json", Settings).start == str(
        out / "scnet--folder-stone"
    )
    made = read_json(tmp_path / "out/table-IX.json", Figures)
    assert [f.row for f in made.figures] == ["SCNet", "moved"] * 2
    capsys.readouterr()
    assert run(monkeypatch, "IX", *stone, *brick, *options) == 0
    assert "0%" not in capsys.readouterr().err  # nothing is trained again, so no bar stands still


def test_sets_of_one_name_are_refused_before_anything_is_trained(
    walls: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "out"
    twice = [part for _ in range(2) for part in ("--data", f"folder:{walls[0]}")]
    assert run(monkeypatch, "IX", *twice, "--out", out, "--steps", 1) == 1
    assert "expected sets of different names, found folder-brick, folder" in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_what_the_paper_printed_is_of_the_same_cell() -> None:
    crossed, own = TABLES["V"], TABLES["X"]
    assert find_printed(crossed, crossed.rows[0], "deepcrack", "crackforest") == 63.59
    assert find_printed(crossed, crossed.rows[0], "crackforest", "deepcrack") == 64.89
    assert find_printed(crossed, crossed.rows[0], "masonry", "deepcrack") is None
    assert find_printed(own, own.rows[1], "deepcrack", "deepcrack") == 90.53


@pytest.mark.parametrize("number", TABLES)
def test_rows_are_presets_that_differ(number: str) -> None:
    rows = [row for row in TABLES[number].rows if not row.transferred]
    presets = [preset_of(row, 0.25, {"steps": 7}) for row in rows]
    assert all(preset.schedule.steps == 7 for preset in presets)
    assert all(preset.config is None or preset.config.width == 0.25 for preset in presets)
    assert len({repr(preset) for preset in presets}) == len(presets)
    slugs = {slug(row.name) for row in TABLES[number].rows}
    assert len(slugs) == len(TABLES[number].rows)


def test_a_row_s_folder_says_its_name() -> None:
    assert [slug(name) for name in ("DC-1", "all, -1 level", "+ attention + focal")] == [
        "dc-1",
        "all-minus-one-level",
        "attention-focal",
    ]


def test_full_table_vii_is_hcnn_up_to_the_whole_net() -> None:
    rows = {row.name: preset_of(row, 1, {}) for row in TABLES["VII"].rows}
    baseline = rows["baseline"]  # no attention, no edges, balanced cross-entropy alone
    assert baseline.config == SCNetConfig(attention="none", edges=False)
    assert (baseline.schedule.pixel, baseline.schedule.region) == ("balanced", "none")
    assert baseline.start == rows["all"].start == "xavier"
    assert rows["all"].config == PRESETS["paper"].config
    assert rows["all, -1 level"].config.levels == 4


def test_rows_that_share_a_run_are_the_same_run() -> None:
    rows = [row for table in TABLES.values() for row in table.rows]
    presets: dict[str, list[Preset]] = {}
    for row in rows:
        made = dataclasses.replace(preset_of(row, 0.5, {"seed": 3}), about="")
        presets.setdefault(slug(row.run or row.name), []).append(made)
    assert all(len({repr(p) for p in shared}) == 1 for shared in presets.values())
    assert len(presets["scnet"]) == len(TABLES)


def test_tables_by_either_number() -> None:
    assert find_table("7") == find_table("vii") == ("VII", TABLES["VII"])
    with pytest.raises(ConfigError, match="expected one of III, IV"):
        find_table("II")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file"
    assert run(monkeypatch, "VII", "--data", f"folder:{tmp_path}", "--out", place) == 1
    assert "expected a folder to write" in capsys.readouterr().err
