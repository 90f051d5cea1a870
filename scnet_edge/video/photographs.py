"""Frames from picture files: one that cannot be read is named and counted, and the others go on."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from scnet_edge.data.picture_files import PictureFiles, names_of, unread_reason
from scnet_edge.data.pictures import read_picture
from scnet_edge.errors import Incomplete, InputError, escape
from scnet_edge.events import Event, event_now
from scnet_edge.types import Captured

UNREADABLE = "unreadable"  # the reason of the gap that a picture leaves
MOST_NAMED = 5


def photographs(files: PictureFiles) -> Generator[Captured | Event]:
    """Yield the frames of a folder's pictures, and a gap for each that cannot be read.

    Raises:
        Incomplete: some could not be read; after the last of the others.
    """
    unread: list[str] = []
    for i, (path, name) in enumerate(zip(files.pictures, names_of(files), strict=True)):
        label = files.relative(path)
        try:
            yield capture(path, i, name, label)
        except InputError as e:
            reason = str(e).removeprefix(f"{label}: ")
            unread.append(f"{label} ({reason.partition(';')[0]})")
            gap = event_now("gap", UNREADABLE, f"{label}: {reason}")
            yield replace(gap, first_frame_id=i, last_frame_id=i, file=label)
    if unread:
        raise Incomplete(_summary(files, unread))


def capture(path: Path, frame_id: int, name: str, label: str) -> Captured:
    """Return one picture as a frame; `label` is what its photograph and messages call it.

    Raises:
        InputError: it cannot be read.
    """
    if reason := unread_reason(path):
        raise InputError(f"{label}: {reason}")
    picture = read_picture(path, label=label)
    return Captured(
        frame_id=frame_id,
        name=name,
        frame=picture.frame(),
        mono_ns=time.monotonic_ns(),
        utc_ns=picture.photograph.utc_ns,
        photograph=picture.photograph,
    )


def _summary(files: PictureFiles, unread: list[str]) -> str:
    named = ", ".join([*unread[:MOST_NAMED], *(["..."] if len(unread) > MOST_NAMED else [])])
    return (
        f"{escape(files.folder)}: {len(unread)} of {len(files.pictures)} pictures could not be "
        f"read, the others were: {named}"
    )
