"""Flat TOML and JSON read into frozen structs; an unknown key or a wrong type is one clear line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from scnet_edge.errors import ConfigError, ScnetEdgeError
from scnet_edge.files import write_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T", bound=msgspec.Struct)


def read_toml(path: Path, kind: type[T], *, error: type[ScnetEdgeError] = ConfigError) -> T:
    """Return the struct that a TOML file describes."""
    try:
        return msgspec.convert(tomllib.loads(_text(path, error)), kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as e:
        raise error(f"{path}: {e}") from e


def read_json(path: Path, kind: type[T], *, error: type[ScnetEdgeError] = ConfigError) -> T:
    """Return the struct that a JSON file describes."""
    try:
        return msgspec.json.decode(_text(path, error), type=kind)
    except msgspec.MsgspecError as e:
        raise error(f"{path}: {e}") from e


def write_json(path: Path, value: object, *, indent: int = 2) -> None:
    """Write a struct, or anything that JSON can hold, as indented JSON, as `write_file` does."""
    write_file(path, msgspec.json.format(msgspec.json.encode(value), indent=indent) + b"\n")


def _text(path: Path, error: type[ScnetEdgeError]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as e:
        raise error(f"{path}: cannot be read as UTF-8 text ({e})") from e
