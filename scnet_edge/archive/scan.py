"""What lies in an archive and what belongs together: a walk, headers, databases, references.

Nothing is decoded and nothing is written into the archive. Links are named and not followed: what
they lead to is either in the archive anyway, or is none of its business.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.archive.headers import container_of
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow, order
from scnet_edge.archive.match import Claim, choose, claims_of
from scnet_edge.archive.media import Media, decode_path, is_film, is_picture
from scnet_edge.archive.readers import NO_READER, is_database, read_inspections
from scnet_edge.errors import InputError


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
