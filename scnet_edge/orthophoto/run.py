"""`run` over one large picture: windows in; a mask, and cracks as lines on a map, out.

While it works, the folder holds `parts`, a mask for each strip that is done. After a kill or a
power cut the same command goes on behind the last of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

import cv2
import msgspec
import numpy as np

from scnet_edge import __version__
from scnet_edge.errors import ConfigError, Incomplete, InputError, escape
from scnet_edge.files import partial_folder, write_file, write_image
from scnet_edge.inspection.measure import Scale
from scnet_edge.models.decision import SEED_PX, Decision
from scnet_edge.orthophoto.components import Component, Components, Runs, draw
from scnet_edge.orthophoto.features import Feature, features_of, write_features
from scnet_edge.orthophoto.parts import CRACK, SURE, Parts, Plan, levels_of, open_parts
from scnet_edge.orthophoto.raster import Raster, open_mask_file, open_raster
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.robot.segmentation import open_segmentation
from scnet_edge.runtime.overlay import CRACK_BGR
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.runtime.scale import strip_tops
from scnet_edge.types import Frame, Mask

MASK, LINES, GEOJSON = "mask.tif", "cracks.gpkg", "cracks.geojson"
OVERVIEW, SUMMARY = "overview.jpg", "summary.json"
NAMES = (MASK, LINES, GEOJSON, OVERVIEW, SUMMARY)
OVERVIEW_PX = 2000

Progress: TypeAlias = Callable[[int, int], None]  # (strips that are done, of how many)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture gave; `summary.json`.

    Attributes:
        width_px, height_px: of the picture.
        mm_per_px: on the ground, as it was given or by the coordinate system; None: unknown.
        inspected_px: pixels that hold data and are not ignored.
        crack_px: of these, crack.
        cracks: how many; those of less than 20 pixels do not count.
        length_px, length_mm: of all of them together.
        crs: the coordinate system as well-known text; empty where there is none.
    """

    version: str
    source: str
    bundle: str
    engine: str
    decision: Decision
    width_px: int
    height_px: int
    mm_per_px: float | None
    inspected_px: int
    crack_px: int
    cracks: int
    length_px: float
    length_mm: float | None
    crs: str


def run_orthophoto(
    bundle: Path,
    robot: Robot,
    out: Path,
    *,
    overwrite: bool = False,
    cache: Path | None = None,
    stop: threading.Event | None = None,
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Segment one large picture by windows into a folder, or go on where an earlier call ended.

    Args:
        bundle: A bundle folder.
        robot: How to work; `source` is the picture. Settings of cameras do not matter.
        out: A folder that is new, empty, or holds the parts of the same work.
        overwrite: Replace what an earlier run left there.
        cache: Where the engine keeps what it compiles.
        stop: Set it to end after the strip at hand.
        progress: Told before the first strip and after each.

    Raises:
        Incomplete: it was stopped; the next call goes on.
        InputError: the picture cannot be read, or there is nothing in it to inspect.
        ScnetEdgeError: as `open_segmentation`.
    """
    if robot.scale not in (None, "native"):
        raise ConfigError(f"scale {robot.scale!r}: a picture by windows takes native alone")
    robot = msgspec.structs.replace(robot, scale="native", ignore_still=False)
    with (
        open_raster(Path(robot.source)) as raster,
        open_segmentation(bundle, robot, event_queue=SimpleQueue(), cache=cache) as segmentation,
    ):
        plan = _plan(robot, segmentation.pipeline)
        with open_parts(out, plan, names=NAMES, overwrite=overwrite) as parts:
            work = _Work(raster, segmentation.pipeline, parts)
            _segment(work, stop or threading.Event(), progress)
            return _finish(work, plan, robot, out)


@dataclass(frozen=True, slots=True)
class _Work:
    raster: Raster
    pipeline: Pipeline
    parts: Parts

    @property
    def tops(self) -> list[int]:
        """The first row of each strip."""
        return strip_tops(self.raster.size_hw, self.pipeline.manifest.input.frame_hw)

    def rows(self, top: int, bottom: int) -> tuple[Frame, Mask]:
        """Return rows of the picture, and where not to look in them."""
        whole = slice(0, self.raster.size_hw[1])
        return self.raster.frame(slice(top, bottom), whole), self.ignored(top, bottom)

    def ignored(self, top: int, bottom: int) -> Mask:
        """Return (h, w) bool, True where not to look in some rows."""
        rows, columns = slice(top, bottom), slice(0, self.raster.size_hw[1])
        drawn = self.pipeline.ignore.draw(self.raster.size_hw, rows)
        empty = self.raster.ignored(rows, columns)
        return drawn if empty is None else drawn | empty


def _plan(robot: Robot, pipeline: Pipeline) -> Plan:
    source = Path(robot.source)
    found, manifest = source.stat(), pipeline.manifest
    return Plan(
        version=__version__,
        source=escape(source.absolute()),
        source_bytes=found.st_size,
        source_mtime_ns=found.st_mtime_ns,
        bundle=manifest.seal,
        decision=manifest.decision,
        ignored=f"{robot.ignore} {robot.ignore_mask} {robot.pipe}",
    )


def _segment(work: _Work, stop: threading.Event, progress: Progress) -> None:
    """Make every strip that is not there yet."""
    tops, done = work.tops, work.parts.done()
    progress(done, len(tops))
    if done == len(tops):
        return
    with closing(work.pipeline.strips(work.raster.size_hw, work.rows, begin=done)) as strips:
        for number, probability in enumerate(strips, start=done):
            probability[work.ignored(tops[number], tops[number] + len(probability))] = 0
            work.parts.write(number, levels_of(probability, work.pipeline.manifest.decision))
            progress(number + 1, len(tops))
            if stop.is_set() and number + 1 < len(tops):
                raise Incomplete(
                    f"{work.raster.label}: stopped after {number + 1} of {len(tops)} strips; "
                    "the same command goes on from there"
                )


def _finish(work: _Work, plan: Plan, robot: Robot, out: Path) -> Summary:
    """Join the strips, measure the cracks, and put everything into `out`."""
    raster, features = work.raster, list[Feature]()
    mm_per_px = robot.mm_per_px or raster.mm_per_px
    scale = None
    if mm_per_px:
        scale = Scale(mm_per_px=mm_per_px, sigma_mm_per_px=robot.sigma_mm_per_px)
    inspected_px = crack_px = 0

    def measure(complete: Iterable[Component]) -> None:
        for component in complete:
            number = features[-1].crack + 1 if features else 1
            features.extend(features_of(number, component, raster, scale))

    with partial_folder(out / "finished") as folder:
        components = Components()
        with open_mask_file(folder / MASK, raster) as mask_file:
            for mask, ignored in _strips(work):
                mask_file.write(mask, ignored)
                inspected_px += ignored.size - int(np.count_nonzero(ignored))
                crack_px += int(np.count_nonzero(mask))
                measure(components.push(mask.view(np.uint8)))
            measure(components.end())
        if not inspected_px:
            reason = "all of it is ignored or without data"
            raise InputError(f"{raster.label}: nothing to inspect, {reason}")
        write_features(folder / LINES, features, raster.transform, raster.crs)
        if raster.crs:  # GeoJSON without a system is taken for longitude and latitude
            write_features(folder / GEOJSON, features, raster.transform, raster.crs)
        write_image(folder / OVERVIEW, _overview(raster, features))
        measures = [feature.measures for feature in features]
        summary = Summary(
            version=plan.version,
            source=plan.source,
            bundle=plan.bundle,
            engine=work.pipeline.engine,
            decision=plan.decision,
            width_px=raster.size_hw[1],
            height_px=raster.size_hw[0],
            mm_per_px=mm_per_px,
            inspected_px=inspected_px,
            crack_px=crack_px,
            cracks=features[-1].crack if features else 0,
            length_px=sum(crack.length_px for crack in measures),
            length_mm=sum(crack.length_mm or 0.0 for crack in measures) if scale else None,
            crs=raster.crs,
        )
        write_file(folder / SUMMARY, msgspec.json.format(msgspec.json.encode(summary)))
        _move_into(folder, out)
    return summary


def _move_into(folder: Path, out: Path) -> None:
    """Put the results of a run in the place of an older one's; the summary says that all are."""
    (out / SUMMARY).unlink(missing_ok=True)
    for name in NAMES:
        if (folder / name).exists():
            (folder / name).replace(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def _strips(work: _Work) -> Iterator[tuple[Mask, Mask]]:
    """Yield the mask of each strip, and where it was not looked at."""
    height_px, width_px = work.raster.size_hw
    cracks = _cracks(work)
    for top, bottom in pairwise([*work.tops, height_px]):
        first, behind = np.searchsorted(cracks[:, 0], [top, bottom])
        mask = draw(cracks[first:behind], slice(top, bottom), slice(0, width_px))
        yield mask, work.ignored(top, bottom)


def _cracks(work: _Work) -> Runs:
    """Return the runs of crack, by row, of the areas of which the net is sure."""
    areas, seeded = Components(), bool(work.pipeline.manifest.decision.seed)
    found = [np.zeros((0, 4), np.int32)]

    def take(complete: Iterable[Component]) -> None:
        for area in complete:
            if not seeded or area.area_px(SURE) >= SEED_PX:
                found.append(area.runs[area.runs[:, 3] >= CRACK])

    for number in range(len(work.tops)):
        take(areas.push(work.parts.read(number)))
    take(areas.end())
    runs = np.concatenate(found)
    return runs[np.argsort(runs[:, 0], kind="stable")]


def _overview(raster: Raster, features: Iterable[Feature]) -> Frame:
    """Return the picture made small, with the cracks' middles drawn."""
    drawn = raster.small(OVERVIEW_PX)
    factor = drawn.shape[1] / raster.size_hw[1], drawn.shape[0] / raster.size_hw[0]
    for feature in features:
        lines = [np.rint(line * factor).astype(np.int32) for line in feature.lines]
        cv2.polylines(drawn, lines, False, CRACK_BGR, 2, cv2.LINE_AA)
    return drawn
