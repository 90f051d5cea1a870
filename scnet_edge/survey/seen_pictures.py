"""Pictures of a folder, known by their names when a survey goes on: the folder may have grown."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace

from scnet_edge.errors import SurveyError
from scnet_edge.events import Event
from scnet_edge.survey.facts import SeenPicture
from scnet_edge.types import Captured


def seen_in(captured: Captured) -> list[SeenPicture]:
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
