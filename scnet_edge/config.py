"""Flat TOML and JSON read into frozen structs; an unknown key or a wrong type is one clear line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from scnet_edge.errors import ConfigError, ScnetEdgeError
from scnet_edge.files import read_file, write_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIDES_PX = (64, 8192)  # of what a network is built for
PointName: TypeAlias = Literal["sensitive", "balanced", "strict", "own"]  # of operating points
T = TypeVar("T", bound=msgspec.Struct)

MAX_BYTES = 32 * 2**20  # of a TOML or JSON file of ours
# What a decoder raises at bytes that are no UTF-8, no JSON, no such struct, or nested without end.
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# A key in so many parts costs the square of it in memory.
LONG_KEY = re.compile(r"""(?:(?:"[^"\n]*"|'[^'\n]*'|[\w-]+)[ \t]*\.[ \t]*){50}""")


class NotToml(ValueError):
    """A text is not TOML; the message says where."""


def read_toml(path: Path, kind: type[T]) -> T:
    """Return the struct that a TOML file describes."""
    try:
        return msgspec.convert(parse_toml(read_text(path)), kind)
    except (NotToml, msgspec.ValidationError) as e:
        raise ConfigError(f"{path}: {e}") from e


def read_json(path: Path, kind: type[T], *, error: type[ScnetEdgeError] = ConfigError) -> T:
    """Return the struct that a JSON file describes."""
    try:
        return msgspec.json.decode(read_text(path, error), type=kind)
    except NOT_JSON as e:
        raise error(f"{path}: {e}") from e


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


def parse_toml(text: str) -> dict[str, Any]:
    """Return what TOML holds; raises NotToml alone, whatever the text is."""
    if long := LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        raise NotToml(f"A key in more than 50 parts (at line {line}, column 1)")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise NotToml("Nested too deeply") from None
    except ValueError as e:  # TOMLDecodeError, or a number of thousands of digits
        raise NotToml(str(e)) from None


def read_text(path: Path, error: type[ScnetEdgeError] = ConfigError) -> str:
    """Return the text of a file, UTF-8 with or without a byte order mark.

    Raises:
        ScnetEdgeError: `error`: no such file, not UTF-8, or too large.
    """
    try:
        return read_file(path, MAX_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except ConfigError as e:
        raise error(str(e)) from None
    except (OSError, UnicodeDecodeError) as e:
        raise error(f"{path}: cannot be read as UTF-8 text ({e})") from e


def write_json(path: Path, value: object, *, indent: int = 2) -> None:
    """Write a struct, or anything that JSON can hold, as indented JSON, as `write_file` does."""
    write_file(path, msgspec.json.format(msgspec.json.encode(value), indent=indent) + b"\n")
