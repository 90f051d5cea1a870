"""Which files are films and pictures, and which file a reference in a database means.

A reference was written on another machine: `C:\\Jobs\\12\\Video\\1_2.mpg`. What is left of it is
the name and perhaps the last folders; the letters' case, the encoding and the suffix may differ.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TypeVar

T = TypeVar("T")
FILMS = {
    *(
        ".mpg",
        ".mpeg",
        ".mp2",
        ".m2v",
        ".m2p",
        ".vob",
        ".ts",
        ".mts",
        ".m2ts",
        ".mp4",
        ".m4v",
        ".mov",
    ),
    *(".mp4", ".m4v", ".mov", ".avi", ".wmv", ".asf", ".mkv", ".webm", ".dv", ".3gp", ".flv"),
}
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}


def is_film(name: str) -> bool:
    """Return whether a file's name is one of a film."""
    return _suffix(name) in FILMS


def is_picture(name: str) -> bool:
    """Return whether a file's name is one of a picture."""
    return _suffix(name) in PICTURES


def decode_path(path: bytes) -> str:
    """Return a path as text: each name in UTF-8, or else the code page of western Europe.

    The folders of an archive come from different disks, and so does the way to write their names.
    """
    return "/".join(map(_decode_name, path.split(b"/")))


def _decode_name(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp1252", errors="replace")


def parts_of(reference: str) -> list[str]:
    """Return the folders and the name of a reference, alike for every way to write them."""
    text = unicodedata.normalize("NFC", reference.replace("\\", "/")).casefold()
    return [part for part in text.split("/") if part not in ("", ".", "..") and part[-1] != ":"]


@dataclass
class Media:
    """The files of an archive, found by what a database calls them."""

    by_name: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    by_stem: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, paths: Iterable[bytes]) -> Media:
        """Index these paths."""
        media = cls()
        for path in paths:
            name = parts_of(decode_path(path))[-1]
            media.by_name[name].append(path)
            media.by_stem[PurePosixPath(name).stem].append(path)
        return media

    def find(self, reference: str, database: bytes) -> list[bytes]:
        """Return the file that is meant: none, one, or several that are equally likely.

        Args:
            reference: as it stands in a database.
            database: the path of that database; of two files the one nearer to it is meant.
        """
        parts = parts_of(reference)
        if not parts:
            return []
        found = self.by_name.get(parts[-1], [])
        if not found and _suffix(parts[-1]) in FILMS:  # converted to another container since
            found = self.by_stem.get(PurePosixPath(parts[-1]).stem, [])
        return _best(found, lambda path: (_alike(parts, path), _count_shared(database, path)))


def _best(paths: list[bytes], score: Callable[[bytes], tuple[int, int]]) -> list[bytes]:
    if len(paths) < 2:
        return list(paths)
    scores = {path: score(path) for path in paths}
    most = max(scores.values())
    return [path for path in paths if scores[path] == most]


def _alike(parts: list[str], path: bytes) -> int:
    """Return how many folders before the name are the same."""
    return _count_leading(parts[-2::-1], parts_of(decode_path(path))[-2::-1])


def _count_shared(database: bytes, path: bytes) -> int:
    """Return how many leading folders a database and a file share."""
    return _count_leading(decode_path(database).split("/")[:-1], decode_path(path).split("/")[:-1])


def _count_leading(one: Sequence[T], other: Sequence[T]) -> int:
    """Return how many items at the start of two sequences are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _suffix(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()
