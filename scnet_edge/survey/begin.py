"""How a survey begins, or goes on: its facts, that it is the same survey, and what it has seen.

Pictures of a folder are known by their names when a survey goes on: the folder may have grown.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from scnet_edge.bundle.manifest import FUSED, Manifest
from scnet_edge.errors import SurveyError
from scnet_edge.events import Event
from scnet_edge.folders import LOCK
from scnet_edge.inspection.setup import Setup, Site
from scnet_edge.survey.facts import BundleIdentity, Facts, SeenPicture
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.types import Captured


def facts_of(
    manifest: Manifest,
    setup: Setup,
    *,
    source: str,
    odometry: str | None,
    engine: str,
    machine: str,
    version: str,
    fps: float | None,
) -> Facts:
    """Return the facts of a survey that begins now; `source` without user name and password."""
    given = msgspec.json.decode(msgspec.json.encode(setup))
    known = {name: value for name, value in given.items() if value not in (None, "", [])}
    return Facts(
        survey_id=uuid.uuid4().hex[:12],
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source=source,
        mode=setup.mode,
        bundle=identity_of(manifest),
        engine=engine,
        machine=machine,
        version=version,
        site=Site(**{name: getattr(setup, name) for name in Site.__struct_fields__}),
        geometry={n: value for n, value in known.items() if n not in Site.__struct_fields__},
        odometry=odometry,
        fps=fps,
        simulated=setup.simulated or source.startswith("sim:"),
    )


def identity_of(manifest: Manifest) -> BundleIdentity:
    """Return which bundle it is, and what is known of its accuracy."""
    accuracy = manifest.accuracy
    return BundleIdentity(
        model=manifest.model.name,
        precision=manifest.precision,
        threshold=manifest.threshold,
        seed=manifest.seed,
        sha256=manifest.files[FUSED],
        f1=None if accuracy is None else accuracy.f1,
        f1_data=None if accuracy is None else accuracy.data,
    )


def open_survey(folder: Path, facts: Facts, *, live: bool) -> Journal:
    """Return the journal of a new survey, or of the same one to go on with.

    Raises:
        SurveyError: the folder holds something else, or a survey of another source or bundle.
    """
    if folder.exists() and not folder.is_dir():
        raise SurveyError(f"{folder}: expected a folder for the survey, found a file")
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    if present and not present & {JOURNAL, LOCK}:
        raise SurveyError(
            f"{folder}: holds {min(present)!r} and no survey; choose a new or an empty folder"
        )
    journal = Journal(folder, facts, replays=not live)
    if difference := _difference(journal.facts, facts):
        journal.close()
        raise SurveyError(f"{folder}: holds a survey of {difference}; choose another folder")
    return journal


def _difference(old: Facts, new: Facts) -> str:
    for what, before, now in (
        ("the source", old.source, new.source),
        ("the odometry", old.odometry, new.odometry),
        ("the bundle", old.bundle.sha256[:12], new.bundle.sha256[:12]),
        ("the geometry", old.geometry, new.geometry),
    ):
        if before != now:
            return f"{what} {before}, expected {now}"
    return ""


def pictures_in(captured: Captured) -> list[SeenPicture]:
    """Return what is to be recorded of a frame that was looked at: its picture, if it is of one."""
    photograph = captured.photograph
    if photograph is None:
        return []
    return [SeenPicture(file=photograph.file, frame_id=captured.frame_id)]


def new_pictures(
    items: Iterable[Captured | Event], seen: Mapping[str, int], next_id: int
) -> Generator[Captured | Event]:
    """Yield the pictures of different places that were not looked at yet, numbered on.

    Args:
        items: What a folder gives, from its first picture.
        seen: File -> number of those that were looked at.
        next_id: The number of the next one.
    """
    for item in items:
        photograph = item.photograph if isinstance(item, Captured) else None
        if photograph is not None and photograph.file in seen:
            continue
        if isinstance(item, Captured):
            yield replace(item, frame_id=next_id)
        else:
            yield replace(item, first_frame_id=next_id, last_frame_id=next_id)
        next_id += 1


def same_pictures(
    items: Iterable[Captured | Event], seen: Mapping[str, int], known_to: int
) -> Generator[Captured | Event]:
    """Yield the frames of one drive; its pictures must be the same as far as it was seen.

    Args:
        items: What a source gives, from its first frame.
        seen: File -> number of the pictures that were looked at.
        known_to: The last number that is done with.

    Raises:
        SurveyError: a picture was put between them, or taken away.
    """
    for item in items:
        if isinstance(item, Captured) and seen and item.frame_id <= known_to:
            _check_same(item, seen)
        yield item


def _check_same(captured: Captured, seen: Mapping[str, int]) -> None:
    photograph = captured.photograph
    if photograph is not None and seen.get(photograph.file) != captured.frame_id:
        raise SurveyError(
            f"{photograph.file} was not the picture number {captured.frame_id + 1} of this drive "
            "before; choose another folder for the survey"
        )
