"""Recipes: flat TOML, nothing unknown, nothing out of range."""

from __future__ import annotations

from pathlib import Path

import pytest

from scnet_edge.bundle.recipe import Recipe, read_recipe
from scnet_edge.config import parse_size
from scnet_edge.errors import ConfigError


def test_defaults(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('precision = "fp16"\n')
    assert read_recipe(tmp_path / "r.toml") == Recipe(precision="fp16")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "precision"),
        ('precision = "int4"', "int4"),
        ('precision = "int8"\nthreshhold = 0.5', "threshhold"),
        ('precision = "int8"\nsize_hw = [384]', "size_hw"),
        ('precision = "int8"\nsize_hw = [8, 544]', "size_hw"),
        ('precision = "int8"\nthreshold = 1.5', "threshold"),
        ("precision = ", "r.toml"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        read_recipe(tmp_path / "r.toml")
    assert "\n" not in str(error.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_recipe(tmp_path / "r.toml")


def test_size() -> None:
    assert parse_size("384x544") == (384, 544)
    for text in (
        "0x0",
        "32x32",
        "384x63",
        "8193x384",
        "9" * 5000 + "x384",
        "",
        "384",
        "384x",
        "x",
        "-1x5",
        "384x544x3",
        "wide",
    ):
        with pytest.raises(ConfigError, match="HEIGHTxWIDTH"):
            parse_size(text)
