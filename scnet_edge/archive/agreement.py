"""A whole archive held against its human coding: per film, in sum, and what to train on.

What two have seen is true enough to train on: our records that the human coding confirms.

    train/, test/     frames whose records are all confirmed by the coding, or reviewed
    missed/           photographs by operators of cracks that we did not find; they only score
    corpus.toml       both, for `train --corpus`
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as replaced

from scnet_edge.archive.compare import Pairing, compare, scores
from scnet_edge.archive.folder import SURVEY, film_folder, read_archive, read_cracks
from scnet_edge.archive.likeness import Tolerances
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow
from scnet_edge.archive.media import Media
from scnet_edge.config import write_json
from scnet_edge.errors import InputError
from scnet_edge.files import make_subfolder, read_file, write_file
from scnet_edge.survey.exchange.training import write_corpus, write_frames
from scnet_edge.survey.folder import Survey, read_survey

MISSED = "missed"
MAX_FILE_BYTES = 64 * 2**20  # of a photograph
TEST_EVERY = 5  # films: frames of one film show the same pipe


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
            pairings = compare(read_cracks(archive, film), film.inspection, tolerances)
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


def write_confirmed(
    folder: Path, archive: Path, agreements: list[FilmAgreement]
) -> tuple[int, int]:
    """Write a data set and a corpus, and return how many frames and missed cracks there are.

    Raises:
        InputError: no frame is confirmed.
        SurveyError: a film's survey is damaged.
    """
    job, manifest, _ = read_archive(archive)
    media, root = pictures_of(manifest), os.fsencode(job.root)
    frames, missed = 0, 0
    for i, agreement in enumerate(agreements):
        survey = read_survey(film_folder(archive, agreement.film) / SURVEY)
        tests = i % TEST_EVERY == TEST_EVERY - 1
        frames += write_frames(_confirm(survey, agreement), folder, test_share=float(tests))
        for pairing in agreement.pairings:
            photo = human_picture(agreement, pairing, media)
            if pairing.verdict == "only theirs" and photo is not None:
                missed += 1
                path = Path(os.fsdecode(os.path.join(root, photo)))  # noqa: PTH118
                name = f"{agreement.film.film_id}-{missed:06d}{path.suffix.lower()}"
                write_file(_make_missed(folder) / name, read_file(path, MAX_FILE_BYTES))
    if not frames:
        raise InputError(
            f"{archive}: no frame whose records the human coding confirms; widen --distance, or "
            "review the surveys"
        )
    write_corpus(folder, missed=_make_missed(folder) if missed else None)
    return frames, missed


def _confirm(survey: Survey, agreement: FilmAgreement) -> Survey:
    """Return a survey in which what the coding confirms is accepted."""
    both = {p.ours.seq for p in agreement.pairings if p.ours and p.verdict in ("agrees", "part")}
    records = tuple(
        replaced(one, review="accepted")
        if one.seq in both and one.review == "needs_review"
        else one
        for one in survey.observations
    )
    return replace(survey, observations=records)


def _make_missed(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return make_subfolder(folder, MISSED)
