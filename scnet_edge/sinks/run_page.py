"""One run as one HTML file: nothing outside it is asked for, so it can be mailed and archived."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.pages import jpeg_address, page_template
from scnet_edge.runtime.counters import Latency
from scnet_edge.runtime.overlay import fill_layer, outline_layer
from scnet_edge.sinks.run_records import FrameRecord
from scnet_edge.types import Frame, Map, Mask, PixelCounts

PAGE = Path(__file__).with_name("run_page.html")
MAX_SHOTS = 120
MAX_SHOT_BYTES = 10_500_000  # of pictures; base64 adds a third
MAX_SIDE_PX = 960
MAX_TABLE_ROWS = 50
JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFrame:
    """One frame as the page shows it: encoded pictures, stretched to one size over each other."""

    index: int
    size_hw: tuple[int, int]
    layers: Mapping[str, str]  # frame, mask and, where known, edges and truth -> data URI

    @property
    def size_bytes(self) -> int:
        """What it adds to the page."""
        return sum(map(len, self.layers.values()))


class Gallery:
    """The frames that the page embeds, evenly picked while they stream by.

    When they are more, or more bytes, than the page may hold, every other one is dropped and from
    then on half as many are taken.
    """

    def __init__(self, *, max_shots: int = MAX_SHOTS, max_bytes: int = MAX_SHOT_BYTES) -> None:
        self.shots: list[PageFrame] = []
        self._max_shots = max_shots
        self._max_bytes = max_bytes * 4 // 3  # as base64
        self._stride = 1

    def add(
        self,
        index: int,
        frame: Frame,
        mask: Mask,
        *,
        edges: Map | None = None,
        truth: Mask | None = None,
        ignored: Mask | None = None,
    ) -> None:
        """Take frame number `index` (from 0, rising) if it is one of those to show."""
        if index % self._stride:
            return
        self.shots.append(_shot(index, frame, mask, edges, truth, ignored))
        while len(self.shots) > 1 and (
            len(self.shots) > self._max_shots
            or sum(shot.size_bytes for shot in self.shots) > self._max_bytes
        ):
            self._stride *= 2
            self.shots = [shot for shot in self.shots if shot.index % self._stride == 0]


def render_page(
    records: Sequence[FrameRecord],
    gallery: Gallery,
    *,
    facts: Mapping[str, str],
    scores: Mapping[int, PixelCounts],
    latency: Latency,
) -> str:
    """Return the page as self-contained HTML.

    Args:
        records: every frame's record, at least one, in order.
        gallery: the frames to embed.
        facts: label -> text for the header, `Source` among them.
        scores: tolerance in pixels -> counts over all frames; empty without truth.
        latency: of all frames, by stage, `total` the last.
    """
    shown, total = len(gallery.shots), len(records)
    data = {
        "facts": dict(facts),
        "figures": _figures(records, scores, latency),
        "stages": {stage: ms[:2] for stage, ms in latency.summary_ms().items()},
        "names": [_label(record) for record in records],
        "sizes": [record.size_hw for record in records],
        "areas": [record.crack_area_px for record in records],
        "cracks_per_frame": [len(record.cracks) for record in records],
        "shots": [
            {"index": shot.index, "size_hw": shot.size_hw, **shot.layers} for shot in gallery.shots
        ],
        "selection": ""
        if shown == total
        else f"The viewer holds {shown} of {total} frames, evenly picked.",
        **_cracks(records),
    }
    template = page_template(
        PAGE, style=PAGE.with_suffix(".css"), scripts=[PAGE.with_suffix(".js")]
    )
    return template.render(data=data)


def _label(record: FrameRecord) -> str:
    photograph = record.photograph
    if photograph is None:
        return record.name
    return f"{photograph.file}, {photograph.taken}" if photograph.taken else photograph.file


def _figures(
    records: Sequence[FrameRecord], scores: Mapping[int, PixelCounts], latency: Latency
) -> list[tuple[str, str, str]]:
    """Return (label, value, note) for the top of the page."""
    cracks = [crack for record in records for crack in record.cracks]
    longest_px = max((float(str(crack["length_px"])) for crack in cracks), default=0.0)
    p50_ms, p95_ms, _ = latency.summary_ms()["total"]
    each = len(cracks) / len(records)
    with_cracks = sum(bool(record.cracks) for record in records)
    figures = [
        ("Frames", f"{len(records):,}", f"{with_cracks:,} with cracks"),
        ("Cracks", f"{len(cracks):,}", f"summed over frames, {each:.1f} in each"),
        ("Longest crack", f"{longest_px:,.0f} px", "along its centre line"),
        ("Per frame", f"{p50_ms:,.1f} ms", f"95 % within {p95_ms:,.1f} ms"),
        ("Frames per second", f"{1e3 / p50_ms:,.1f}", "at the median time"),
    ]
    if ignored_px := sum(record.ignored_px for record in records):
        share = ignored_px / sum(math.prod(record.size_hw) for record in records)
        figures.append(("Not inspected", f"{share:.1%}", "of all pixels, hatched in the frames"))
    for tolerance_px, counts in scores.items():
        label = f"F1 within {tolerance_px} px" if tolerance_px else "F1, pixel exact"
        note = f"precision {counts.precision:.3f}, recall {counts.recall:.3f}"
        figures.append((label, f"{counts.f1:.3f}", note))
    return figures


def _cracks(records: Sequence[FrameRecord]) -> dict[str, Any]:
    """Return the longest cracks, each with its frame, and how many there are in all."""
    found = [{"frame": r.frame_id, **crack} for r in records for crack in r.cracks]
    found.sort(key=lambda crack: -float(str(crack["length_px"])))
    return {"cracks": found[:MAX_TABLE_ROWS], "cracks_total": len(found)}


def _shot(
    index: int,
    frame: Frame,
    mask: Mask,
    edges: Map | None,
    truth: Mask | None,
    ignored: Mask | None,
) -> PageFrame:
    factor = min(1.0, MAX_SIDE_PX / max(mask.shape))
    size_wh = (max(1, round(mask.shape[1] * factor)), max(1, round(mask.shape[0] * factor)))
    left_out = None if ignored is None else _shrunk(ignored, size_wh)
    layers = {
        "frame": jpeg_address(
            cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA), JPEG_QUALITY
        ),
        "mask": _png(fill_layer(_shrunk(mask, size_wh), left_out)),
    }
    if edges is not None:
        half_wh = (max(1, size_wh[0] // 2), max(1, size_wh[1] // 2))  # it is a soft map
        small = cv2.resize(edges, half_wh, interpolation=cv2.INTER_AREA)
        layers["edges"] = jpeg_address((255 * small).astype(np.uint8), JPEG_QUALITY)
    if truth is not None:
        layers["truth"] = _png(outline_layer(_shrunk(truth, size_wh)))
    return PageFrame(index=index, size_hw=size_wh[::-1], layers=layers)


def _shrunk(mask: Mask, size_wh: tuple[int, int]) -> Mask:
    """Return the mask at display size; a crack thinner than a display pixel stays visible."""
    share = cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
    return share > 0.25


def _png(image: npt.NDArray[Any]) -> str:
    data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(data).decode()
