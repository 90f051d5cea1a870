"""What lies in an archive and what belongs together: a walk, headers, databases, references.

Nothing is decoded and nothing is written into the archive: a film's first bytes say its container,
or why it cannot be one. Links are named and not followed: what they lead to is either in the
archive anyway, or is none of its business.
"""

from __future__ import annotations

import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow, order
from scnet_edge.archive.match import Claim, choose, claims_of
from scnet_edge.archive.media import Media, decode_path, is_film, is_picture
from scnet_edge.archive.readers import NO_READER, is_database, read_inspections
from scnet_edge.errors import InputError

_HEAD_BYTES = 4096
_MOST_BOXES = 4096  # of an MP4 file at its top level
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x00\x00\x01\xba", "mpeg-ps"),
    (0, b"\x00\x00\x01\xb3", "mpeg-video"),
    (0, _ASF, "asf"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x1f\x07\x00", "dv"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (4, b"ftyp", "mp4"),
    (4, b"moov", "mp4"),
    (4, b"mdat", "mp4"),
    (4, b"wide", "mp4"),
    (4, b"free", "mp4"),
    (4, b"skip", "mp4"),
)
_PACKETS = ((0, 188), (4, 192))  # where a transport stream's sync bytes lie, without and with times


def scan(root: Path) -> ArchiveManifest:
    """Return the manifest of a folder.

    Raises:
        InputError: it is no folder, or cannot be listed.
    """
    if not root.is_dir():
        raise InputError(f"{root}: expected a folder with films and databases, found none")
    base = os.fsencode(root.absolute())
    found, others = [], 0
    for row in _walk(base):
        others += row.state == "other"
        if row.state != "other":
            found.append(row)
    if len(found) == 1 and found[0].path_bytes == b"" and found[0].kind == "folder":
        raise InputError(f"{root}: {found[0].reason}")
    films = [_with_header(base, row) for row in found if row.kind == "film"]
    pictures = [row for row in found if row.kind == "picture"]
    databases = [_read(base, row) for row in found if row.kind == "database"]
    rest = [row for row in found if row.kind in ("folder", "link")]
    inspected = [(row.path_bytes, i) for row, inspections in databases for i in inspections]
    media = Media.of(row.path_bytes for row in films)
    claims, lost = claims_of(inspected, media)
    seen = _pictures_seen(inspected, Media.of(row.path_bytes for row in pictures))
    rows = [
        *rest,
        *(_match(row, claims.get(row.path_bytes, [])) for row in films),
        *(_picture(row, seen.get(row.path_bytes)) for row in pictures),
        *(row for row, _ in databases),
        *lost,
    ]
    return ArchiveManifest(root=root.absolute(), rows=order(rows), others=others)


def summary(manifest: ArchiveManifest) -> dict[str, int]:
    """Return how many rows there are of each kind and state, such as `film matched`."""
    counts = Counter(f"{row.kind} {row.state}" for row in manifest.rows)
    return dict(sorted(counts.items())) | {"other files": manifest.others}


def _walk(base: bytes) -> Iterator[ManifestRow]:
    """Yield a row for every file, link and unreadable folder; without recursion, however deep."""
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(base, folder)) as entries:  # noqa: PTH118
                for entry in entries:
                    path = folder + b"/" + entry.name if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    else:
                        yield _file(path, entry)
        except OSError as e:
            reason = f"cannot be listed ({e.strerror})"
            yield ManifestRow(path_bytes=folder, kind="folder", state="unreadable", reason=reason)


def _file(path: bytes, entry: os.DirEntry[bytes]) -> ManifestRow:
    name = decode_path(entry.name)
    if entry.is_symlink():
        target = decode_path(os.readlink(entry.path))  # noqa: PTH115
        return ManifestRow(path_bytes=path, kind="link", state="alone", reason=f"leads to {target}")
    about = entry.stat(follow_symlinks=False)
    known = ManifestRow(
        path_bytes=path,
        kind="film" if is_film(name) else "picture" if is_picture(name) else "database",
        state="alone",
        size_bytes=about.st_size,
        modified_ns=about.st_mtime_ns,
    )
    if known.kind == "database":
        reason = NO_READER.get(Path(name).suffix.lower())
        if reason is not None:
            return replace(known, state="unreadable", reason=reason)
        if not is_database(name):
            return replace(known, state="other")
    if not stat.S_ISREG(about.st_mode):
        return replace(known, state="unreadable", reason="not a regular file")
    return known


def _with_header(base: bytes, row: ManifestRow) -> ManifestRow:
    if row.state == "unreadable":
        return row
    try:
        kind = container_of(os.path.join(base, row.path_bytes))  # noqa: PTH118
    except InputError as e:
        return replace(row, state="unreadable", reason=str(e))
    return replace(row, container=kind)


def _read(base: bytes, row: ManifestRow) -> tuple[ManifestRow, list[CodedInspection]]:
    if row.state == "unreadable":
        return row, []
    try:
        path = Path(os.fsdecode(os.path.join(base, row.path_bytes)))  # noqa: PTH118
        inspections = read_inspections(path)
    except InputError as e:
        return replace(row, state="unreadable", reason=str(e)), []
    if inspections is None:
        return replace(row, reason="XML of something else"), []
    systems = ", ".join(sorted({i.system for i in inspections}))
    reason = f"{systems}: {len(inspections)} inspections" if inspections else "no inspection in it"
    return replace(row, state="matched", reason=reason), inspections


def _match(row: ManifestRow, claims: list[Claim]) -> ManifestRow:
    if row.state == "unreadable" or not claims:
        return row
    best, rivals = choose(claims)
    if rivals:
        names = sorted({f"{c.inspection.pipe} ({c.inspection.date})" for c in rivals})
        return replace(row, state="claimed", reason=f"claimed by {' and by '.join(names)}")
    return replace(
        row,
        state="matched",
        reason=best.how,
        database=decode_path(best.database),
        inspection=best.inspection,
    )


def _pictures_seen(
    inspected: list[tuple[bytes, CodedInspection]], media: Media
) -> dict[bytes, bytes]:
    """Return which database speaks of which picture."""
    seen: dict[bytes, bytes] = {}
    for database, inspection in inspected:
        for condition in inspection.conditions:
            for reference in condition.pictures:
                found = media.find(reference, database)
                if len(found) == 1:
                    seen.setdefault(found[0], database)
    return seen


def _picture(row: ManifestRow, database: bytes | None) -> ManifestRow:
    if row.state == "unreadable":
        return row
    if not row.size_bytes:
        return replace(row, state="unreadable", reason="an empty file")
    return (
        row if database is None else replace(row, state="matched", database=decode_path(database))
    )


def container_of(path: bytes) -> str:
    """Return the container of a film.

    Raises:
        InputError: empty, of no known kind, without its index, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(descriptor, "rb") as f:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError("not a regular file")
            size_bytes = os.fstat(descriptor).st_size
            kind = _kind(f.read(_HEAD_BYTES))
            if kind == "mp4" and not _has_index(f, size_bytes):
                raise InputError("an MP4 file without its index: the recording was cut off")
    except OSError as e:
        raise InputError(f"cannot be read ({e.strerror})") from e
    return kind


def _kind(head: bytes) -> str:
    if not head:
        raise InputError("an empty file")
    for start, sign, kind in _SIGNS:
        if head[start : start + len(sign)] == sign:
            return kind
    for start, step in _PACKETS:
        syncs = head[start::step][:3]
        if len(syncs) == 3 and set(syncs) == {0x47}:
            return "mpeg-ts"
    raise InputError(f"no film: it begins with {head[:8].hex(' ')}")


def _has_index(f: BinaryIO, size_bytes: int) -> bool:
    """Return whether the boxes of an MP4 file lead to its `moov`."""
    at = 0
    for _ in range(_MOST_BOXES):
        f.seek(at)
        head = f.read(16)
        if len(head) < 8:
            return False
        length, name = struct.unpack(">I4s", head[:8])
        if name == b"moov":
            return bool(at + length <= size_bytes)
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        at += length
        if length < 8 or at >= size_bytes:
            return False
    return False
