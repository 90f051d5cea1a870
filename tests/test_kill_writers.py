"""Whoever adds a command that writes adds it to those that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import scnet_edge.cli
from scripts.kill_writers import commands, material


def leaves(group: Any, name: str = "") -> Iterator[str]:
    for word, command in group.commands.items():
        full = f"{name} {word}".strip()
        yield from leaves(command, full) if hasattr(command, "commands") else [full]


def test_every_command_is_killed_or_has_a_reason(monkeypatch: Any, tmp_path: Path) -> None:
    for name in ("_call", "shutil"):
        monkeypatch.setattr(commands, name, Nothing())
    monkeypatch.setattr(commands, "material", Nothing())
    killed = commands.commands(tmp_path, Path("bundle"))
    known = set(leaves(typer.main.get_command(scnet_edge.cli.app)))
    begun = {name for name in known if any(f"{k} ".startswith(f"{name} ") for k in killed)}
    assert begun | {*commands.NOT_KILLED} == known
    assert not begun & {*commands.NOT_KILLED}
    for command in killed.values():
        assert command.arguments[0] in {name.split()[0] for name in known}


class Nothing:
    """What makes the inputs, not called."""

    CODING, SUITE = material.CODING, material.SUITE

    def __call__(self, *arguments: object) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: arguments[0]
