"""The reference pages that are made from the code: commands, robot.toml, pipe.toml, the API."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import typer

import scnet_edge
import scnet_edge.cli
from scnet_edge.inspection.setup import Setup, Site
from scnet_edge.robot.robot_toml import Robot, describe_type
from scripts.tables import table

MADE = "<!-- Made by `python -m scripts.write_docs`. Do not edit. -->\n"


def cli() -> str:
    """Return every command with its arguments and options."""
    group: Any = typer.main.get_command(scnet_edge.cli.app)
    parts = [MADE, "# Commands\n", *_command_parts("scnet-edge", group)]
    return "\n".join(parts).rstrip() + "\n"


def _command_parts(path: str, command: Any) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    if path != "scnet-edge":
        yield f"## {path}\n"
        yield f"{_one_line(command.help or '')}\n"
        rows = [_option_row(p) for p in command.params if p.name not in ("help",)]
        if rows:
            yield table(("argument or option", "meaning", "default"), rows) + "\n"
    for name, sub in subcommands.items():
        yield from _command_parts(f"{path} {name}", sub)


def _option_row(param: Any) -> tuple[str, str, str]:
    if param.param_type_name == "argument":
        names = param.name.upper()
    else:
        names = ", ".join([*param.opts, *param.secondary_opts])
        names += "".join(f" {choices}" for choices in [_choices(param)] if choices)
    default = param.default
    shown = "" if default in (None, False, (), []) or callable(default) else f"{default}"
    needed = "required" if param.required else shown
    return f"`{names}`", _one_line(getattr(param, "help", "") or ""), needed


def _choices(param: Any) -> str:
    """Return the words that an option takes, if it takes only some: `native|fit|auto`."""
    hint = param.type_descriptor.annotation
    return "|".join(map(str, get_args(hint))) if get_origin(hint) is Literal else ""


def robot_toml() -> str:
    """Return the keys of robot.toml."""
    intro = (
        "# robot.toml\n\n"
        "`run` and `inspect` read this file with `--config robot.toml`. Options of the command "
        "line override it.\nAn unknown key or a wrong value ends the command with one line that "
        "names the key.\nA source can hold a password: `chmod 600 robot.toml`.\n"
    )
    return f"{MADE}\n{intro}\n{_struct_table(Robot)}\n"


def pipe_toml() -> str:
    """Return the keys of pipe.toml."""
    intro = (
        "# pipe.toml\n\n"
        "`inspect --pipe pipe.toml` reads this file. It says what is inspected and how the camera "
        "sees it.\n[Inspect a pipe](../how-to/inspect-a-pipe.md) has examples.\n"
    )
    camera = "## Camera and geometry\n\n" + _struct_table(Setup, without=Site.__struct_fields__)
    site = "## What is inspected\n\n" + _struct_table(Site)
    return f"{MADE}\n{intro}\n{camera}\n\n{site}\n"


def _struct_table(kind: type[msgspec.Struct], without: tuple[str, ...] = ()) -> str:
    hints = get_type_hints(kind, include_extras=True)
    meaning = dict(_attributes(kind.__doc__ or ""))
    rows = []
    for field in msgspec.structs.fields(kind):
        if field.name in without:
            continue
        default = field.default if field.default is not msgspec.NODEFAULT else "required"
        shown = "" if default in (None, (), "") else f"{default}"
        if isinstance(default, bool):
            shown = str(default).lower()
        if isinstance(default, tuple):
            shown = ", ".join(map(str, default))
        rows.append(
            [f"`{field.name}`", describe_type(hints[field.name]), shown, meaning[field.name]]
        )
    return table(("key", "value", "default", "meaning"), rows)


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """Yield each name of a docstring's section "Attributes" with its text."""
    section = inspect.cleandoc(doc).partition("Attributes:\n")[2]
    entries = re.findall(r"^    ([a-z][\w, ]*): (.*(?:\n        .*)*)", section, re.M)
    for names, text in entries:
        for name in names.split(", "):
            yield name, _one_line(text)


def api() -> str:
    """Return the public names with their signatures and docstrings."""
    parts = [
        MADE,
        "# Python API\n",
        "These names are the public API. A minor version before 1.0 may change them; the "
        "changelog says so.\n",
        "```python\nimport scnet_edge\n```\n",
    ]
    for name in scnet_edge.__all__:
        value = getattr(scnet_edge, name)
        if name.startswith("__"):
            continue
        parts.append(f"## {name}\n")
        parts.append(_describe(name, value))
        if inspect.isclass(value) and not issubclass(value, Exception):
            parts += [
                f"### {name}.{method}\n\n{_describe(method, getattr(value, method))}"
                for method, member in vars(value).items()
                if not method.startswith("_") and (inspect.isroutine(member) or _is_class(member))
            ]
    return "\n".join(parts).rstrip() + "\n"


def _is_class(member: object) -> bool:
    return isinstance(member, classmethod)


def _describe(name: str, value: Any) -> str:
    doc = inspect.getdoc(value) or ""
    if inspect.isclass(value) and issubclass(value, Exception):
        return f"{doc}\n"
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(value)))
    signature = re.sub(r"<[^,)]* at 0x[0-9a-f]+>", "...", signature)
    return f"```python\n{name}{signature}\n```\n\n```text\n{doc}\n```\n"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {
    "docs/reference/cli.md": cli,
    "docs/reference/robot-toml.md": robot_toml,
    "docs/reference/pipe-toml.md": pipe_toml,
    "docs/reference/api.md": api,
}
