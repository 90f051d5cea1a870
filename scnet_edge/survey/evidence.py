"""The pictures and the record beside them, by which a journal can be filled anew.

    snapshots/000001.jpg    the frame that stands for observation 1
    snapshots/000001.png    the crack's mask in it, 255 where it is
    snapshots/000001.json   the observation, as the journal has it

Names come from `seq` alone, never from a source or a remark.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.config import NOT_JSON
from scnet_edge.data.pictures import decode_image
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import make_subfolder, open_plain, write_file, write_image
from scnet_edge.inspection.records import Observation
from scnet_edge.types import Frame, Mask

SNAPSHOTS = "snapshots"
JPEG_QUALITY = 90
MAX_FILE_BYTES = 64 * 2**20
NAME = re.compile(r"(\d{6,})\.(jpg|png|json)")


def snapshot_name(seq: int) -> str:
    """Return the file name of an observation's picture."""
    return f"{seq:06d}.jpg"


def write_picture(folder: Path, seq: int, frame: Frame) -> None:
    """Write the frame, (h, w, 3) uint8 BGR, as JPEG; an OSError leaves nothing."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    write_image(_own(folder) / snapshot_name(seq), frame, settings)


def encode_mask(mask: Mask) -> bytes:
    """Return a crack's mask, (h, w) bool, as one-bit PNG."""
    pixels = mask.astype(np.uint8) * 255
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes()


def write_crack_mask(folder: Path, seq: int, mask: bytes) -> None:
    """Write a crack's mask, as `encode_mask` returns it; an OSError leaves nothing."""
    write_file(_path(_own(folder), seq, "png"), mask)


def write_sidecar(folder: Path, observation: Observation) -> None:
    """Write the record once more; an OSError leaves nothing."""
    path = _path(_own(folder), observation.seq, "json")
    write_file(path, msgspec.json.encode(observation))


def picture_path(folder: Path, observation: Observation) -> Path | None:
    """Return the file of an observation's picture; None where there is none."""
    path = _path(folder / SNAPSHOTS, observation.seq, "jpg")
    there = observation.snapshot is not None and path.is_file() and not path.is_symlink()
    return path if there else None


def read_picture(folder: Path, observation: Observation) -> Frame | None:
    """Return the frame, (h, w, 3) uint8 BGR; None where there is no picture or it is damaged."""
    return None if observation.snapshot is None else _decode(folder, observation.seq, "jpg")


def read_crack_mask(folder: Path, observation: Observation) -> Mask | None:
    """Return the crack's mask, (h, w) bool; None where there is none or it is damaged."""
    image = _decode(folder, observation.seq, "png")
    return None if image is None else np.asarray(image[..., 0] > 127, np.bool_)


def read_mask_file(folder: Path, seq: int) -> bytes:
    """Return the file of the crack's mask as it is; empty where there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return _bytes_of(_path(folder / SNAPSHOTS, seq, "png"))
    except FileNotFoundError:
        return b""


def remove_crack_mask(folder: Path, seq: int) -> None:
    """Remove the file of a crack's mask, if it is there."""
    _path(_own(folder), seq, "png").unlink(missing_ok=True)


def read_sidecars(folder: Path, *, after_seq: int = 0) -> list[Observation]:
    """Return the records beside the snapshots, in order; one that is damaged is left out."""
    found = []
    for path in _files(folder, after_seq):
        if path.suffix == ".json":
            try:
                found.append(msgspec.json.decode(_bytes_of(path), type=Observation))
            except (ConfigError, OSError, *NOT_JSON):
                continue
    return sorted(found, key=lambda observation: observation.seq)


def remove_evidence(folder: Path, *, after_seq: int) -> None:
    """Remove the files of observations that the journal does not hold."""
    for path in _files(folder, after_seq):
        path.unlink()


def _files(folder: Path, after_seq: int) -> list[Path]:
    names = ((path, NAME.fullmatch(path.name)) for path in (folder / SNAPSHOTS).iterdir())
    return [path for path, name in names if name and int(name[1]) > after_seq]


def _own(folder: Path) -> Path:
    """Return the folder of the pictures, which is no link to another."""
    folder.stat()  # one that was removed is not made anew
    return make_subfolder(folder, SNAPSHOTS)


def _path(snapshots: Path, seq: int, suffix: str) -> Path:
    return snapshots / snapshot_name(seq).replace("jpg", suffix)


def _decode(folder: Path, seq: int, suffix: str) -> npt.NDArray[Any] | None:
    path = _path(folder / SNAPSHOTS, seq, suffix)
    try:
        return decode_image(_bytes_of(path), where=str(path))
    except (ConfigError, InputError, OSError):
        return None


def _bytes_of(path: Path) -> bytes:
    """Return the content of a file of the survey's own, never of what a link leads to."""
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as f:
        data = f.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: expected at most {MAX_FILE_BYTES >> 20} MiB")
    return data
