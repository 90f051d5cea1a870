"""How long a file's own header says that it is: so a file that was cut is known by its end."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# Formats whose header states a length; of others FFmpeg gives an estimate from the file's end.
DECLARING = frozenset({"mov", "matroska", "avi", "asf", "flv", "mxf"})
ASF_HEAD_BYTES = 65_536
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def declared_s(path: Path, container: InputContainer, stream: VideoStream) -> float:
    """Return the length that a file's header states, in seconds; 0 where it states none."""
    formats = set(container.format.name.split(","))
    if not DECLARING & formats:
        return 0.0
    length_s = (container.duration or 0) / av.time_base
    if "avi" in formats and stream.average_rate:  # FFmpeg shortens a cut file's duration
        return max(length_s, float(stream.frames / stream.average_rate))
    if "asf" in formats:  # and of these it gives none
        return max(length_s, _asf_length_s(path))
    return length_s


def _asf_length_s(path: Path) -> float:
    """Return the play duration of an ASF or WMV header, its preroll taken off."""
    with path.open("rb") as file:
        head = file.read(ASF_HEAD_BYTES)
    at = head.find(ASF_FILE_PROPERTIES)
    if at < 0 or len(head) < at + 88:
        return 0.0
    play_s = int.from_bytes(head[at + 64 : at + 72], "little") / 1e7
    preroll_s = int.from_bytes(head[at + 80 : at + 88], "little") / 1e3
    return max(0.0, play_s - preroll_s)
