"""Tables as data, and one made whole on drawn walls, twice without training again."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import scnet_edge.cli.ablate  # noqa: F401  (registers the command)
from scnet_edge.cli import main
from scnet_edge.config import read_json
from scnet_edge.errors import ConfigError
from scnet_edge.experiments import tables
from scnet_edge.experiments.ablate import Figures, preset_of, slug
from scnet_edge.experiments.presets import PRESETS, Preset
from scnet_edge.experiments.tables import TABLES, Row, Table, find_table


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
    monkeypatch.setattr(sys, "argv", ["scnet-edge", "ablate", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_crossed_table_trains_each_row_once(
    walls: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = Row(name="tiny", config={"levels": 2, "norm": "batch", "edges": False})
    monkeypatch.setitem(tables.TABLES, "V", Table(about="crossed", rows=(tiny,), crossed=True))
    data = [part for wall in walls for part in ("--data", f"folder:{wall}")]
    out = tmp_path / "out"
    (out / "tiny--folder-brick").mkdir(parents=True)  # killed as it began
    options = ("5", *data, "--out", out, "--steps", 2, "--batch", 1, "--width", 1 / 16)
    assert run(monkeypatch, *options) == 0
    made = read_json(out / "table-V.json", Figures)
    assert (made.table, made.steps) == ("V", 2)
    cells = {(f.trained_on, f.tested_on) for f in made.figures}
    names = ("folder-brick", "folder-stone")
    assert cells == {(a, b) for a in names for b in names}
    printed = capsys.readouterr().out
    assert printed == (out / "table-V.md").read_text()
    assert f"{100 * made.figures[0].f1:.2f} [" in printed

    weights = out / "tiny--folder-brick" / "tiny--folder-brick.safetensors"
    before = weights.stat().st_mtime_ns
    assert run(monkeypatch, *options) == 0
    assert weights.stat().st_mtime_ns == before
    assert read_json(out / "table-V.json", Figures) == made


@pytest.mark.parametrize("number", TABLES)
def test_rows_are_presets_that_differ(number: str) -> None:
    presets = [preset_of(row, 0.25, {"steps": 7}) for row in TABLES[number].rows]
    assert all(preset.schedule.steps == 7 for preset in presets)
    assert all(preset.config is None or preset.config.width == 0.25 for preset in presets)
    assert len({repr(preset) for preset in presets}) == len(presets)
    slugs = {slug(row.name) for row in TABLES[number].rows}
    assert len(slugs) == len(presets)


def test_full_table_vii_is_hcnn_up_to_the_whole_net() -> None:
    rows = {row.name: preset_of(row, 1, {}) for row in TABLES["VII"].rows}
    assert rows["baseline"].config == PRESETS["hcnn"].config
    assert rows["all"].config == PRESETS["paper"].config
    assert rows["all, -1 level"].config.levels == 4  # type: ignore[union-attr]


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
