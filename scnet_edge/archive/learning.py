"""What two have seen is true enough to train on: our records that the human coding confirms.

train/, test/     frames whose records are all confirmed by the coding, or reviewed
missed/           operators' photographs of cracks that we did not find; they only score
corpus.toml       both, for `train --corpus`
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from msgspec.structs import replace as replaced

from scnet_edge.archive.agreement import FilmAgreement, human_picture, pictures_of
from scnet_edge.archive.folder import SURVEY, film_folder, read_archive
from scnet_edge.errors import InputError
from scnet_edge.files import make_subfolder, write_file
from scnet_edge.survey.exchange.training import write_corpus, write_frames
from scnet_edge.survey.folder import Survey, read_survey

MISSED = "missed"
TEST_EVERY = 5  # films: frames of one film show the same pipe


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
        frames += write_frames(_confirmed(survey, agreement), folder, test_share=float(tests))
        for pairing in agreement.pairings:
            photo = human_picture(agreement, pairing, media)
            if pairing.verdict == "only theirs" and photo is not None:
                missed += 1
                path = Path(os.fsdecode(os.path.join(root, photo)))  # noqa: PTH118
                name = f"{agreement.film.film_id}-{missed:06d}{path.suffix.lower()}"
                write_file(_missed(folder) / name, path.read_bytes())
    if not frames:
        raise InputError(
            f"{archive}: no frame whose records the human coding confirms; widen --distance, or "
            "review the surveys"
        )
    write_corpus(folder, missed=_missed(folder) if missed else None)
    return frames, missed


def _confirmed(survey: Survey, agreement: FilmAgreement) -> Survey:
    """Return a survey in which what the coding confirms is accepted."""
    both = {p.ours.seq for p in agreement.pairings if p.ours and p.verdict in ("agrees", "part")}
    records = tuple(
        replaced(one, review="accepted")
        if one.seq in both and one.review == "needs_review"
        else one
        for one in survey.observations
    )
    return replace(survey, observations=records)


def _missed(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return make_subfolder(folder, MISSED)
