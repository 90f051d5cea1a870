"""What holds for the source checkout: sizes, exports, links, and files that must not rot."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import scnet_edge
import scnet_edge.cli
from scnet_edge.bench.schema import read_result
from scnet_edge.bundle.manifest import GateRecord
from scnet_edge.bundle.recipe import read_recipe
from scnet_edge.config import read_json
from scnet_edge.models.cards import Card, find_card, read_card, shipped_models
from scnet_edge.quantization.ranges import read_ranges
from scripts.long_sentences import MOST_SHARE, documents, long_share
from scripts.write_docs import make_documents

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MAX_LINES = 400
MAX_WEIGHT_BYTES = 200 * 2**20
MAX_PACKAGED_BYTES = 14 * 2**20
WRITTEN = ("*.py", "*.md", "*.toml", "*.yml", "*.html", "Makefile", "check", "run")
OURS = ("scnet_edge", "tests", "scripts", "export", "calibration", "benchmarks", "docs", ".ci", ".")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def written_files() -> Iterator[Path]:
    """Yield the text files of the project, without what tools leave behind."""
    for folder in OURS:
        for pattern in WRITTEN:
            walk = (ROOT / folder).glob if folder == "." else (ROOT / folder).rglob
            yield from (path for path in walk(pattern) if path.is_file())


def under(folder: str, pattern: str) -> list[Path]:
    """Return the files of a folder, each a test; an empty list skips the test."""
    return sorted((ROOT / folder).rglob(pattern))


def name_of(path: Path) -> str:
    """Return a path as the test's name."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", under("scnet_edge", "*.py"), ids=name_of)
def test_a_file_fits_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_every_room_is_named_where_a_newcomer_looks() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "scnet_edge").glob("*/__init__.py")]
    assert [room for room in rooms if f"`{room}/`" not in text] == []


def test_exports_are_sorted_and_exist() -> None:
    names = scnet_edge.__all__
    assert names == sorted(names)
    assert all(getattr(scnet_edge, name) for name in names)
    public = {name for name, value in vars(scnet_edge).items() if isinstance(value, type)}
    assert public <= set(names)


def test_the_version_is_stated_once() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', pyproject, re.M)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_weights_stay_small() -> None:
    packaged, full = under("scnet_edge/weights", "*"), under("weights", "*")
    assert sum(path.stat().st_size for path in packaged) < MAX_PACKAGED_BYTES
    assert sum(path.stat().st_size for path in packaged + full) < MAX_WEIGHT_BYTES


def test_no_pickle_is_shipped() -> None:
    assert {p.suffix for p in under("scnet_edge/weights", "*.*") + under("weights", "*.*")} <= {
        ".json",
        ".md",
        ".safetensors",
    }


@pytest.mark.parametrize(
    "path", under("scnet_edge/weights", "*.json") + under("weights", "*.json"), ids=name_of
)
def test_every_card_loads_and_has_its_weights(path: Path) -> None:
    assert path.with_name(read_card(path).file).is_file()


@pytest.mark.parametrize("path", under("export", "*.toml"), ids=name_of)
def test_every_recipe_loads_and_names_a_shipped_model(path: Path) -> None:
    assert find_card(read_recipe(path).model).kind == "scnet"


@pytest.mark.parametrize("path", under("calibration", "*.toml"), ids=name_of)
def test_every_calibration_is_of_the_shipped_weights(path: Path) -> None:
    calibration = read_ranges(path)
    shipped = {name: find_card(name).sha256 for name in calibration.weights_sha256}
    assert calibration.weights_sha256 == shipped
    assert all(largest > 0 for largest in calibration.ranges.values())


@pytest.mark.parametrize(
    "card", [c for c in shipped_models() if c.kind == "scnet"], ids=lambda c: c.name
)
def test_the_gate_judged_what_ships(card: Card) -> None:
    gate = read_json(ROOT / f"calibration/gates/{card.name}.json", GateRecord)
    ranges = read_ranges(ROOT / f"calibration/{card.name}.toml")
    assert gate.calibration_key == ranges.key
    assert gate.weights_sha256 == {name: find_card(name).sha256 for name in ranges.weights_sha256}
    assert card.name in gate.weights_sha256
    assert (gate.shipped, gate.candidates[0].name, gate.candidates[0].passed) == (
        "INT8",
        "INT8",
        True,
    )
    assert not gate.loss_allowed
    lost = {s.name: s.f1_fp32 - s.f1 for s in gate.candidates[0].strata}
    most = {"deepcrack": 0.005, "crackforest": 0.01, "masonry": 0.01}
    assert all(lost[name] <= allowed for name, allowed in most.items())


def test_there_are_gates_of_shipped_models_only() -> None:
    gated = {path.stem for path in under("calibration/gates", "*.json")}
    assert gated == {card.name for card in shipped_models() if card.kind == "scnet"}


@pytest.mark.parametrize("path", under("benchmarks/results/speed", "*.json"), ids=name_of)
def test_every_speed_result_loads_and_is_whole(path: Path) -> None:
    assert read_result(path).complete


def test_the_made_documents_are_up_to_date() -> None:
    stale = [
        name_of(path)
        for path, text in make_documents().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run: python -m scripts.write_docs"


def test_the_documents_have_short_sentences() -> None:
    share, long = long_share(documents())
    assert share <= MOST_SHARE, long


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 700


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("*.md"), *under("docs", "*.md"), *documents()}), ids=name_of
)
def test_links_point_to_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (path.parent / link).exists()] == []


def readme_commands() -> list[str]:
    """Return the `scnet-edge ...` lines of the README's code blocks, continued lines joined."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.M | re.S)
    return re.findall(r"^(?:\$ )?(scnet-edge [a-z].+)$", "\n".join(blocks), re.M)


@pytest.mark.parametrize("line", readme_commands())
def test_commands_of_the_readme_parse(line: str) -> None:
    _, *arguments = shlex.split(line, comments=True)
    group = typer.main.get_command(scnet_edge.cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    with group.make_context("scnet-edge", arguments, resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, arguments)
    assert command is not None, f"no command {name}"
    if "--help" not in rest:
        command.make_context(name, rest).close()  # an unknown option or a missing argument raises


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z]+)\b", README.read_text(encoding="utf-8")))
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.M))


@pytest.mark.parametrize("script", ["scripts/check", ".ci/run"])
def test_scripts_are_executable_bash(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", ROOT / script], timeout=60).returncode == 0
