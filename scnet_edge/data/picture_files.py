"""What lies in a folder of pictures: which files are pictures, and which are passed over and why.

Subfolders are searched, too. What computers leave behind, `._NAME`, `Thumbs.db` and hidden files,
is no picture of anybody's and goes without a word.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from scnet_edge.errors import InputError, escape

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib"}
    | {".jp2", ".j2k", ".jpf", ".jpx", ".avif", ".heic", ".heif", ".hif", ".pgm", ".ppm", ".pnm"}
)
# Of these DNG alone is read. Each other is counted as a picture that could not be.
RAW_SUFFIXES = frozenset(
    {".dng", ".arw", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"}
    | {".rw2", ".srw", ".x3f", ".iiq", ".3fr"}
)
FOREIGN_SUFFIXES = frozenset(
    {".gif", ".psd", ".exr", ".hdr", ".jxl", ".jxr", ".heics", ".ico", ".svg", ".emf", ".wmf"}
)
VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".3gp", ".asf"}
    | {".flv", ".m2ts", ".mts", ".vob", ".wmv"}
)
LEFT_BEHIND = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
LEFT_BEHIND_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "#recycle"})
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The files of a folder, in natural order of their paths.

    Attributes:
        folder: Where they are.
        pictures: By suffix; whether they can be read is not known yet.
        others: What is no picture, such as notes and videos.
    """

    folder: Path
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]

    def relative(self, path: Path) -> str:
        """Return a file's path below the folder, as it is shown."""
        return escape(path.relative_to(self.folder))

    def describe_left_out(self) -> str:
        """Return one line that counts and names what is no picture; empty where all are."""
        if not self.others:
            return ""
        videos = [path for path in self.others if path.suffix.lower() in VIDEO_SUFFIXES]
        rest = [path for path in self.others if path not in videos]
        parts = []
        if videos:
            parts.append(f"{_count(len(videos), 'video')} ({self._name_all(videos)}; one a call)")
        if rest:
            parts.append(f"{_count(len(rest), 'file')} of other kinds ({self._name_all(rest)})")
        return f"passed over: {' and '.join(parts)}"

    def _name_all(self, paths: list[Path]) -> str:
        names = [self.relative(path) for path in paths[:MOST_NAMED]]
        return ", ".join([*names, *(["..."] if len(paths) > MOST_NAMED else [])])


def find_pictures(folder: Path, *, below: bool = True) -> PictureFiles:
    """Return the pictures and other files of a folder.

    A raw file beside a picture of the same name is the camera's second copy of it, and no picture
    of its own.

    Args:
        folder: Where to look.
        below: In its subfolders, too.

    Raises:
        InputError: a folder cannot be listed.
    """
    found = sorted(_files(folder, below=below), key=lambda p: natural_key(p.relative_to(folder)))
    stems = {path.with_suffix("") for path in found if path.suffix.lower() in PICTURE_SUFFIXES}

    def is_picture(path: Path) -> bool:
        suffix = path.suffix.lower()
        alone = suffix in RAW_SUFFIXES and path.with_suffix("") not in stems
        return suffix in PICTURE_SUFFIXES or suffix in FOREIGN_SUFFIXES or alone

    pictures = tuple(path for path in found if is_picture(path))
    return PictureFiles(folder, pictures, tuple(path for path in found if not is_picture(path)))


def unread_reason(path: Path) -> str:
    """Return why a picture of this kind is not read; empty for one that is."""
    if path.suffix.lower() in RAW_SUFFIXES - {".dng"}:
        return "a camera's raw file is not read; export it as DNG, JPEG or TIFF"
    if path.suffix.lower() in FOREIGN_SUFFIXES:
        return "pictures of this kind are not read; export it as JPEG, PNG or TIFF"
    return ""


def names_of(files: PictureFiles) -> list[str]:
    """Return a name for each picture, unique and safe as a file name: `day2-IMG_0005`.

    It has no ending, unless two would be called the same.
    """
    paths = [path.relative_to(files.folder) for path in files.pictures]
    whole = [escape(path).replace("/", "-") for path in paths]
    stems = [escape(path.with_suffix("")).replace("/", "-") for path in paths]
    alike = Counter(stems)
    names = [stem if alike[stem] == 1 else name for stem, name in zip(stems, whole, strict=True)]
    taken = Counter(names)
    return [n if taken[n] == 1 else f"{n}-{i}" for i, n in enumerate(names)]


def natural_key(path: Path) -> list[list[str | int]]:
    """Return a sort key by which `frame-9` comes before `frame-10`, folder by folder."""
    parts = [re.split(r"(\d+)", part.lower()) for part in path.parts]
    return [[int(word) if i % 2 else word for i, word in enumerate(part)] for part in parts]


def _files(folder: Path, *, below: bool) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"{escape(error.filename)}: cannot be listed ({error.strerror})"
        ) from error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if below and not _is_left_behind(name)]
        here = [Path(place) / name for name in names if not _is_left_behind(name)]
        found += [path for path in here if path.is_file()]
    return found


def _is_left_behind(name: str) -> bool:
    lowered = name.lower()
    return name.startswith(".") or lowered in LEFT_BEHIND or lowered in LEFT_BEHIND_FOLDERS


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
