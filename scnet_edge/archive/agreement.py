"""A whole archive held against its human coding: per film, and in sum."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from scnet_edge.archive.compare import Pairing, Tolerances, compare, scores
from scnet_edge.archive.folder import SURVEY, film_folder, read_archive
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow
from scnet_edge.archive.media import Media
from scnet_edge.config import write_json
from scnet_edge.survey.evidence import SNAPSHOTS
from scnet_edge.survey.folder import read_survey


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmAgreement:
    """One film and what is the same in both codings."""

    film: ManifestRow
    pairings: list[Pairing]

    @property
    def counts(self) -> Counter[str]:
        """How many pairings there are of each verdict."""
        return Counter(p.verdict for p in self.pairings)


def compare_archive(
    archive: Path, tolerances: Tolerances
) -> tuple[list[FilmAgreement], dict[str, int]]:
    """Return the films that can be compared, and how many cannot, by reason.

    Raises:
        InputError: no archive there, or a damaged one.
        SurveyError: a film's survey is damaged.
    """
    _, manifest, done = read_archive(archive)
    found, left = list[FilmAgreement](), Counter[str]()
    for film in manifest.films:
        state = done.get(film.film_id)
        if state is None or state.state == "failed":
            left["not inspected"] += 1
        elif film.state == "claimed":
            left["claimed by several inspections"] += 1
        elif film.inspection is None:
            left["without human coding"] += 1
        elif state.length_m is None:
            left["without a chainage"] += 1
        else:
            survey = read_survey(film_folder(archive, film) / SURVEY)
            pairings = compare(survey, film.inspection, tolerances)
            found.append(FilmAgreement(film=film, pairings=pairings))
    return found, dict(left)


def totals(agreements: list[FilmAgreement]) -> tuple[Counter[str], dict[str, float | None]]:
    """Return the verdicts of all films together, and precision and recall over them."""
    counts = sum((a.counts for a in agreements), Counter[str]())
    return counts, scores([p for a in agreements for p in a.pairings])


def write_pairings(path: Path, agreements: list[FilmAgreement], tolerances: Tolerances) -> None:
    """Write every pairing as JSON, with the tolerances that it was made with."""
    _, score = totals(agreements)
    document = {
        "tolerances": tolerances,
        **score,
        "films": [
            {"film": a.film.path, "inspection": a.film.inspection, "pairings": a.pairings}
            for a in agreements
        ],
    }
    write_json(path, document, indent=1)


def pictures_of(manifest: ArchiveManifest) -> Media:
    """Return the pictures of an archive, to find what a database refers to."""
    return Media.of(r.path_bytes for r in manifest.rows if r.kind == "picture" and r.size_bytes)


def human_picture(agreement: FilmAgreement, pairing: Pairing, media: Media) -> bytes | None:
    """Return the operator's photograph of a condition, relative to the archive's root."""
    database = agreement.film.database.encode("utf-8", "surrogateescape")
    references = () if pairing.theirs is None else pairing.theirs.pictures
    found = (media.find(reference, database) for reference in references)
    return next((paths[0] for paths in found if len(paths) == 1), None)


def our_picture(archive: Path, agreement: FilmAgreement, pairing: Pairing) -> Path | None:
    """Return our snapshot of a record."""
    if pairing.ours is None or pairing.ours.snapshot is None:
        return None
    place = film_folder(archive, agreement.film) / SURVEY / SNAPSHOTS
    return (place / pairing.ours.snapshot).absolute()
