"""One palette and one base for all pages, whoever writes or serves them."""

import re
from pathlib import Path

import pytest

import scnet_edge
from scnet_edge.pages import page_template

PACKAGE = Path(scnet_edge.__file__).parent
BASE = PACKAGE / "web/base.css"
SHEETS = [p for kind in ("css", "html") for p in PACKAGE.rglob(f"*.{kind}")]
COLOURS = re.compile(r"--(\w[\w-]*):")


def test_only_one_sheet_has_the_colours_of_all_pages() -> None:
    shared = set(COLOURS.findall(BASE.read_text()))
    assert {"ground", "card", "ink", "soft", "line", "crack"} <= shared
    others = [p for p in SHEETS if p != BASE]
    assert len(others) > 8
    assert not [p.name for p in others if shared & set(COLOURS.findall(p.read_text()))]


@pytest.mark.parametrize("paper", [False, True])
def test_a_page_has_the_style_of_all_and_its_own_script_alone(
    tmp_path: Path, *, paper: bool
) -> None:
    for name, text in {
        "p.html": '{% extends "base.html" %}{% set paper = '
        + str(paper).lower()
        + " %}{% block title %}{{ data }}{% endblock %}{% block main %}<p>{% endblock %}",
        "p.css": "p { color: var(--ink); }",
        "p.js": "go();",
    }.items():
        (tmp_path / name).write_text(text)
    template = page_template(
        tmp_path / "p.html", style=tmp_path / "p.css", scripts=[tmp_path / "p.js"]
    )
    page = template.render(data="</script><b>")
    assert page.startswith("<!doctype html>")
    assert page.index(BASE.read_text()) < page.index("p { color: var(--ink); }")
    assert ('class="paper"' in page) is paper
    assert "<b>" not in page
    assert page.count("<script>go();</script>") == 1
    assert "script-src 'unsafe-inline'" not in page
