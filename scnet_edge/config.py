"""Flat TOML and JSON read into frozen structs; an unknown key or a wrong type is one clear line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from scnet_edge.errors import ConfigError, ScnetEdgeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIDES_PX = (64, 8192)  # of what a network is built for
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


def write_json(path: Path, value: msgspec.Struct) -> None:
    """Write a struct as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def replace_json(path: Path, value: msgspec.Struct) -> None:
    """Write a struct as indented JSON over what was there, whole or not at all, a power cut or not.

    Without the fsync, what a power cut leaves under the name may be an empty file.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    write_json(temporary, value)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def parse_size(text: str, sides_px: tuple[int, int] = SIDES_PX) -> tuple[int, int]:
    """Return (height, width) of `384x544`.

    Raises:
        ConfigError: not two whole numbers of pixels within `sides_px`.
    """
    height, _, width = text.lower().partition("x")
    sides = [int(s) if s.isdecimal() and len(s) < 6 else 0 for s in (height, width)]
    least, most = sides_px
    if not all(least <= side <= most for side in sides):
        raise ConfigError(
            f"size {text!r}: expected HEIGHTxWIDTH, each {least} to {most} pixels, such as 384x544"
        )
    return sides[0], sides[1]


def _text(path: Path, error: type[ScnetEdgeError]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as e:
        raise error(f"{path}: cannot be read as UTF-8 text ({e})") from e
