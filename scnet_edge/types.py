"""Values that everybody may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Frame: TypeAlias = npt.NDArray[np.uint8]  # (h, w, 3), BGR
Mask: TypeAlias = npt.NDArray[np.bool_]  # (h, w)
Map: TypeAlias = npt.NDArray[np.float32]  # (h, w) in [0, 1]
Ranges: TypeAlias = Mapping[str, float]  # tensor name -> largest magnitude to represent
INT8_MAX = 127.0  # symmetric INT8: -127 to 127

# What can be wrong with a frame, by reason.
FAULTS = frozenset(
    {"frozen", "black", "blank", "overexposed", "underexposed", "blurred", "corrupt", "geometry"}
)


class Photograph(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a picture file says of itself; what it does not say is None.

    Attributes:
        file: its name, with the folders below the one that was given; bytes that are no UTF-8 and
            control characters are written as `\\xNN`.
        taken: ISO 8601, with an offset from UTC where it is known, else the camera's local time.
        utc_ns: the same since 1970, where the offset is known.
        lonlat: longitude and latitude in degrees, WGS 84.
    """

    file: str
    taken: str | None = None
    utc_ns: int | None = None
    lonlat: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A frame as a source delivers it.

    Attributes:
        frame_id: counts up from 0 over a whole run, through reconnects; a jump is a dropped frame.
        name: unique in the run and safe as a file name.
        frame: (h, w, 3) uint8 BGR.
        mono_ns: CLOCK_MONOTONIC when it was captured; the only clock for rates and time-outs. The
            frames of a video file are as far apart here as they were filmed.
        time_s: seconds since the beginning of a video file, by the file's own clock; None for
            images and cameras.
        utc_ns: the wall clock at that moment, which may jump; None for images without a time.
        still_since_ns: of a `frozen` frame, since when by `mono_ns` its picture stands still.
        faults: what is wrong with it, by reason: `frozen`, `black`, `blank`,
            `overexposed`, `underexposed`, `blurred`, `corrupt`, `geometry`; empty for a good one.
        photograph: of a picture file, what it says of itself.
    """

    frame_id: int
    name: str
    frame: Frame
    mono_ns: int
    utc_ns: int | None = None
    time_s: float | None = None
    still_since_ns: int | None = None
    faults: tuple[str, ...] = ()
    photograph: Photograph | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one frame gives; the maps have the size of the frame.

    Attributes:
        mask: (h, w) bool, True where a crack is.
        probability: (h, w) float32 in [0, 1].
        edges: (h, w) float32 in [0, 1], the HED map; None for a model without the prior.
        timing: milliseconds by stage, in the order they ran.
        flags: how it was made, where that weakens it: `degraded`, `gated`, `prior_reused`.
        scale: how it was looked at: `fit`, whole, scaled to the model; `native`, as it is, in
            tiles; `auto`, in those tiles in which the frame, made smaller, showed something. The
            maps are 0 where it was not looked at.
        tiles: how many times the model looked.
        ignored: (h, w) bool, True where nothing was inspected; None where everything was.
    """

    mask: Mask
    probability: Map
    edges: Map | None
    timing: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    scale: Literal["native", "fit", "auto"] = "native"
    tiles: int = 1
    ignored: Mask | None = None


class Parity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Agreement of an engine with the PyTorch FP32 reference on a bundle's golden frames."""

    engine: str
    frames: int
    max_abs_error: float  # of the probability
    mean_abs_error: float
    mask_agreement: float  # share of equal pixels at the threshold
    mask_f1: float  # F1 of our mask against the reference's
    prior_flip_rate: float | None  # share of prior pixels that differ; None without a prior


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelCounts:
    """Pixels counted over any number of frames; add them first, divide afterwards.

    Attributes:
        predicted: pixels called crack.
        right: those of them with true crack within the tolerance.
        true: pixels that are crack.
        found: those of them with predicted crack within the tolerance.
    """

    predicted: int = 0
    right: int = 0
    true: int = 0
    found: int = 0

    def __add__(self, other: PixelCounts) -> PixelCounts:
        """Return the counts of both together."""
        return PixelCounts(
            predicted=self.predicted + other.predicted,
            right=self.right + other.right,
            true=self.true + other.true,
            found=self.found + other.found,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted crack that is right; 1 when nothing is predicted."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of the true crack that is found; 1 when there is none."""
        return self.found / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


class CrackFigures(Protocol):
    """What a loop and its sinks read of a measured crack; `inspection.measure.Crack` has more."""

    @property
    def length_px(self) -> float:
        """Along the centre line, branches included."""
        ...

    @property
    def width_mean_px(self) -> float:
        """The mean across the centre line."""
        ...

    @property
    def width_max_px(self) -> float:
        """The largest across the centre line."""
        ...

    @property
    def angle_deg(self) -> float:
        """In [0, 180): 0 along x, 90 along y, which points down."""
        ...

    @property
    def area_px(self) -> int:
        """Pixels of the mask."""
        ...

    @property
    def bbox_xyxy(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom, the last two exclusive."""
        ...
