"""One picture of a film, at a time, as a person would see it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av

from scnet_edge.errors import InputError, escape
from scnet_edge.types import Frame
from scnet_edge.video.container import open_container, video_stream
from scnet_edge.video.upright import Upright, look_of

EARLY_S = (1.0, 5.0, 20.0)  # before the picture that is wanted: to begin with a whole one
MOST_PICTURES = 1500  # that are decoded for one


def read_still(path: Path, time_s: float) -> Frame:
    """Return the picture of a film that is shown at a time, (h, w, 3) uint8 BGR; else the last one.

    Args:
        path: of a video file.
        time_s: seconds since its beginning, by its own clock.

    Raises:
        InputError: it cannot be read, or no picture decodes there.
    """
    for early_s in EARLY_S:  # some containers are sought to the whole picture after
        frame, is_early_enough = _seek(path, time_s, early_s)
        if is_early_enough:
            return frame
    return frame


def read_length_s(path: Path) -> float | None:
    """Return how long a film says it is; None where it does not.

    Raises:
        InputError: it cannot be read.
    """
    with open_container(path) as container:
        return container.duration / av.time_base if container.duration else None


def _seek(path: Path, time_s: float, early_s: float) -> tuple[Frame, bool]:
    """Return the picture, sought for from some seconds before; and if one before it was there."""
    container = open_container(path)
    with container:
        stream = video_stream(path, container)
        start_s = 0.0
        if stream.start_time is not None and stream.time_base is not None:
            start_s = float(stream.start_time * stream.time_base)
        wanted_s = start_s + max(time_s, 0.0) + 0.5 / float(stream.average_rate or 25)
        found: av.VideoFrame | None = None
        first_s: float | None = None
        try:
            if wanted_s - early_s > start_s:
                container.seek(int((wanted_s - early_s) * av.time_base))
            for frame in islice(container.decode(stream), MOST_PICTURES):
                first_s = frame.time if found is None else first_s
                if found is not None and frame.time is not None and frame.time > wanted_s:
                    break
                found = frame
        except av.error.FFmpegError as e:
            raise InputError(f"{escape(path)}: no picture at {time_s:.1f} s ({e.strerror})") from e
        if found is None:
            raise InputError(f"{escape(path)}: no picture decodes at {time_s:.1f} s")
        upright: Upright[float] = Upright()
        look = look_of(found, stream.sample_aspect_ratio)
        [(_, pixels)] = [*upright.push(found, look, time_s), *upright.flush()]
        return pixels, first_s is None or first_s <= wanted_s
