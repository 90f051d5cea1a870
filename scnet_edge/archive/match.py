"""Which film an inspection means: by its references, or else by its name."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.archive.media import Media, decode_path

_PREFIX = re.compile(r"^[lh]_{1,2}", re.IGNORECASE)  # of IBAK's films
_NUMBER = re.compile(r"[ _-]+\d{1,3}$")  # of the first, second, ... film of a pipe


@dataclass(frozen=True, slots=True)
class Claim:
    """An inspection that says a film is its own."""

    database: bytes
    inspection: CodedInspection
    how: str


def claims_of(
    inspected: list[tuple[bytes, CodedInspection]], media: Media
) -> tuple[dict[bytes, list[Claim]], list[ManifestRow]]:
    """Return the claims on every film, and rows for what no film was found for."""
    claims = defaultdict[bytes, list[Claim]](list)
    lost: list[ManifestRow] = []
    by_pipe = _by_pipe(media)
    for database, inspection in inspected:
        missing, found = [], set[bytes]()
        for reference in inspection.films:
            films = media.find(reference, database)
            if len(films) == 1:
                found.add(films[0])
            else:
                missing.append((reference, films))
        how = "by its reference"
        if not found and not missing:
            films = sorted(set().union(*(by_pipe.get(name, ()) for name in _names(inspection))))
            found, how = set(films), "by its name"
        for film in found:
            claims[film].append(Claim(database, inspection, how))
        lost += [_row_without_film(database, inspection, *m) for m in missing]
        if not found and not missing:
            lost.append(_without_film(database, inspection))
    return claims, lost


def choose(claims: list[Claim]) -> tuple[Claim, list[Claim]]:
    """Return the claim that holds, and all of them where they are of different inspections.

    Two databases often hold the same inspection; the one with more conditions is taken. A
    reference counts before a likeness of names.
    """
    referred = [claim for claim in claims if claim.how == "by its reference"] or claims
    ranked = sorted(referred, key=lambda c: (-len(c.inspection.conditions), c.database))
    best = ranked[0]
    rivals = [c for c in ranked if not same_inspection(c.inspection, best.inspection)]
    return best, ranked if rivals else []


def same_inspection(one: CodedInspection, other: CodedInspection) -> bool:
    """Return whether two databases speak of one inspection: the pipe, the day and the way agree."""
    pipe = one.pipe.casefold() == other.pipe.casefold()
    nodes = (one.from_node, one.to_node) == (other.from_node, other.to_node) != ("", "")
    date = one.date == other.date or not (one.date and other.date)
    way = one.direction == other.direction or None in (one.direction, other.direction)
    return (pipe or nodes) and date and way


def _by_pipe(media: Media) -> dict[str, set[bytes]]:
    """Return films by what their names may say of a pipe."""
    films = defaultdict[str, set[bytes]](set)
    for stem, paths in media.by_stem.items():
        bare = _PREFIX.sub("", stem)
        for name in {stem, bare, _NUMBER.sub("", stem), _NUMBER.sub("", bare)}:
            films[_plain(name)].update(paths)
    return films


def _names(inspection: CodedInspection) -> set[str]:
    nodes = f"{inspection.from_node}-{inspection.to_node}"
    return {_plain(name) for name in (inspection.pipe, nodes)} - {"", "-"}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.casefold()).strip("-")


def _row_without_film(
    database: bytes, inspection: CodedInspection, reference: str, films: list[bytes]
) -> ManifestRow:
    reason = "named by the database, not in the archive"
    if films:
        reason = f"{len(films)} films of this name are equally near to the database"
    return ManifestRow(
        path_bytes=reference.encode("utf-8", "surrogateescape"),
        kind="film",
        state="missing",
        reason=reason,
        database=decode_path(database),
        inspection=inspection,
    )


def _without_film(database: bytes, inspection: CodedInspection) -> ManifestRow:
    return ManifestRow(
        path_bytes=inspection.pipe.encode("utf-8", "surrogateescape"),
        kind="inspection",
        state="missing",
        reason="the database names no film, and no film is called like the pipe",
        database=decode_path(database),
        inspection=inspection,
    )
