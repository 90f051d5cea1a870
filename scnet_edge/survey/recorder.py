"""An observation on its way to the disk: its pictures where there is room, then its record."""

from __future__ import annotations

import errno
from collections.abc import Callable

import cv2
import numpy as np
from msgspec.structs import replace

from scnet_edge.errors import SurveyError
from scnet_edge.files import free_bytes
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.evidence import (
    encode_mask,
    snapshot_name,
    write_crack_mask,
    write_picture,
    write_sidecar,
)
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.journal import Journal, removed_message
from scnet_edge.types import Frame, Mask

REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
PICTURES_WAIT = "pictures wait until there is room again; records go on in the room held for them"


def with_evidence(
    journal: Journal, observation: Observation, frame: Frame | None, mask: Mask | None
) -> Observation:
    """Write an observation's picture and mask while there is room; return what is to be recorded.

    Without room the picture goes first, then the mask; the record, which says so by the flag
    `no_snapshot`, has room in reserve. Both come back by themselves once there is room again.
    """
    folder, limits, seq = journal.folder, journal.limits, observation.seq
    if mask is not None:
        _write_if_room(
            journal, limits.mask_bytes, lambda: write_crack_mask(folder, seq, encode_mask(mask))
        )
    taken = frame is not None and _write_if_room(
        journal, limits.snapshot_bytes, lambda: write_picture(folder, seq, frame)
    )
    if taken:
        observation = replace(observation, snapshot=snapshot_name(seq))
    else:
        flags = dict.fromkeys((*observation.flags, "no_snapshot"))
        observation = replace(observation, snapshot=None, flags=tuple(flags))
    _write_if_room(journal, 0, lambda: write_sidecar(folder, observation))
    return observation


def record(
    journal: Journal,
    observation: Observation,
    frame: Frame | None,
    mask: Mask | None,
    *,
    progress: Progress | None = None,
) -> bool:
    """Write an observation's files, then its record; True once that is durable."""
    observation = with_evidence(journal, observation, frame, mask)
    return journal.commit(observations=[observation], progress=progress)


def _write_if_room(journal: Journal, least_bytes: int, write: Callable[[], None]) -> bool:
    """Write if that much is free and the journal's reserve is whole; else raise the alarm."""
    try:
        if free_bytes(journal.folder) < least_bytes or not journal.reserve.fill():
            journal.alarm("disk_full", PICTURES_WAIT)
            return False
        write()
    except OSError as e:
        if e.errno == errno.ENOENT:
            raise SurveyError(removed_message(journal.folder)) from None
        if e.errno not in REFUSALS:
            raise
        if e.errno == errno.ENOSPC:
            journal.alarm("disk_full", PICTURES_WAIT)
        else:
            journal.alarm("disk_error", f"the disk refuses to write: {e.strerror}")
        return False
    return True


def crack_of(mask: Mask, observation: Observation) -> Mask:
    """Return the one crack of a frame's mask that an observation is about, (h, w) bool."""
    left, top, right, bottom = observation.bbox_xyxy
    inside = mask[top:bottom, left:right].astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    alike = np.abs(stats[:, cv2.CC_STAT_AREA] - observation.area_px)
    alike[0] = np.iinfo(alike.dtype).max  # the background
    crack = np.zeros_like(mask)
    crack[top:bottom, left:right] = labels == int(alike.argmin())
    return crack
