"""SECURITY.md says what a test holds, and the limits that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import typer

import scnet_edge.cli
from scnet_edge import state
from scnet_edge.bundle import made_here
from scnet_edge.live.app import MAX_WATCHERS
from scnet_edge.web.accept import ANSWER_S, MAX_CONNECTIONS, REQUEST_S

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
TEXT = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
TEST = re.compile(r"`((?:[a-z0-9_]+/)*(?:fault_\d\d|test_[a-z0-9_]+|[a-z0-9_]+/))`")


def test_every_test_that_is_named_is_there() -> None:
    names = set(TEST.findall(TEXT)) - {"device/", "tests/"}
    assert len(names) > 25
    for name in names:
        folder, _, stem = name.rpartition("/")
        pattern = f"test_{stem}_*.py" if stem.startswith("fault_") else f"{stem or 'test_*'}.py"
        found = [*(TESTS / folder).glob(pattern), *(TESTS / "faults" / folder).glob(pattern)]
        assert found, name


def test_every_line_of_the_threat_model_names_a_test() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 15
    for line in lines:
        if " | nothing | " not in line or "`" in line:
            assert TEST.search(line), line


def test_figures_are_those_of_the_code() -> None:
    assert f"At most {MAX_CONNECTIONS} connections are open" in TEXT
    assert f"each with {REQUEST_S:g} s for its request and {ANSWER_S:g} s for its answer" in TEXT
    assert f"streams are at most {MAX_WATCHERS}" in TEXT
    assert f"~/.local/state/{state.NAME}/{made_here.KEY}" in TEXT


def test_what_listens_is_all_that_can() -> None:
    """Every command with an address of its own to serve on is named."""
    program = typer.main.get_command(scnet_edge.cli.app)
    assert isinstance(program, typer.core.TyperGroup)
    serving = {
        name
        for name, command in program.commands.items()
        for option in command.params
        if {"--live", "--serve"} & set(option.opts)
    }
    assert serving == {"run", "inspect", "review"}
    for name in ("`run --live`", "`inspect --live`", "`review --serve`"):
        assert name in TEXT
