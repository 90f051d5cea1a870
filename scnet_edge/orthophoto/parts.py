"""The strips of a picture that are done, kept so that after a kill only the others are computed.

A strip holds four levels, for an area is crack only where the net is sure of a part of it, and
areas go on from strip to strip.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import msgspec
import numpy as np

from scnet_edge.errors import ConfigError
from scnet_edge.files import PARTIAL, make_subfolder, write_file, write_image
from scnet_edge.folders import check_folder, lock_folder
from scnet_edge.models.decision import FAINT_SHARE, Decision
from scnet_edge.orthophoto.components import Levels
from scnet_edge.types import Map

PARTS, PLAN = "parts", "plan.json"
FAINT, CRACK, SURE = 1, 2, 3  # levels of a pixel


def levels_of(probability: Map, decision: Decision) -> Levels:
    """Return the levels of a map; without a seed every pixel of a crack is sure."""
    levels = np.where(probability >= np.float32(decision.threshold), CRACK, 0).astype(np.uint8)
    if not decision.seed:
        return np.where(levels == CRACK, SURE, 0).astype(np.uint8)
    faint = probability >= np.float32(FAINT_SHARE * decision.threshold)
    return np.maximum(
        levels, faint + np.uint8(SURE - FAINT) * (probability >= np.float32(decision.seed))
    )


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the strips are made from; those of another plan are not gone on with."""

    version: str
    source: str
    source_bytes: int
    source_mtime_ns: int
    bundle: str
    decision: Decision
    ignored: str


class Parts:
    """The strips that are done, one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def done(self) -> int:
        """Return how many strips are there, from the first on without a gap."""
        number = 0
        while self._path(number).exists():
            number += 1
        return number

    def write(self, number: int, levels: Levels) -> None:
        """Keep a strip."""
        write_image(self._path(number), levels, durable=False)

    def read(self, number: int) -> Levels:
        """Return a strip.

        Raises:
            ConfigError: a power cut has left it empty.
        """
        path = self._path(number)
        data = path.read_bytes()
        levels = data and cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if not isinstance(levels, np.ndarray):
            raise ConfigError(f"{path}: damaged, perhaps by a power cut; remove it and run again")
        return np.asarray(levels, np.uint8)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.png"


@contextmanager
def open_parts(
    out: Path, plan: Plan, *, names: Collection[str], overwrite: bool
) -> Iterator[Parts]:
    """Yield the strips in `out`, which are gone when the block ends well.

    Args:
        out: A folder that is new, empty, or holds strips of the same plan.
        plan: What they are made from.
        names: What `out` may hold besides, if it is to be overwritten.
        overwrite: Remove strips of whatever plan; the results stay until there are others.

    Raises:
        ConfigError: `out` holds something else, or another process works there.
    """
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    if overwrite or not (out / PARTS / PLAN).exists():
        _clear(out, names, overwrite=overwrite)
    folder = make_subfolder(out, PARTS)
    busy = ConfigError(f"{out}: another process works there; wait for it or name another folder")
    with lock_folder(folder, busy):
        text = msgspec.json.format(msgspec.json.encode(plan))
        if not (folder / PLAN).exists():
            write_file(folder / PLAN, text)
        elif (folder / PLAN).read_bytes() != text:
            raise ConfigError(
                f"{out}: holds strips of another picture, bundle or setting; name another folder, "
                "or pass --overwrite"
            )
        yield Parts(folder)
        shutil.rmtree(folder)


def _clear(out: Path, names: Collection[str], *, overwrite: bool) -> None:
    present = {path.name for path in out.iterdir() if not PARTIAL.fullmatch(path.name)}
    if foreign := present - {*names, PARTS}:
        raise ConfigError(
            f"{out}: holds {min(foreign)!r}, which is not ours; name a new or an empty folder"
        )
    if present and not overwrite and present != {PARTS}:
        raise ConfigError(f"{out}: not empty; name another folder or pass --overwrite")
    if PARTS in present:
        shutil.rmtree(out / PARTS)
