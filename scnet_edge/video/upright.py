"""A decoded picture as a person would see it: deinterlaced, square pixels, upright, BGR.

FFmpeg's own filters do the work. A graph of them fits one kind of picture, so a film whose size,
format or pixel shape changes gets another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Generic, NamedTuple, TypeAlias, TypeVar, cast

import av
import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.filter.context import FilterContext

from scnet_edge.types import Frame

T = TypeVar("T")
Turn: TypeAlias = tuple[int, int, int, int]  # the display matrix' a, b, c, d, each -1, 0 or 1
NOT_TURNED: Turn = (1, 0, 0, 1)
NARROWEST = Fraction(3, 4)  # pixels narrower than this are made higher, none is thrown away
CREDIBLE = (Fraction(1, 4), Fraction(4))  # a pixel's width over its height; else a wrong header
# Heights of interlaced video. Such film that was copied without its mark is told by its combs.
INTERLACED_HEIGHTS_PX = frozenset({480, 486, 576, 1080})
TOP, BOTTOM = "top field first", "bottom field first"
# Of ITU-T H.273, those that FFmpeg turns into BGR. It refuses all others.
UNSPECIFIED = 2
MATRICES = {0, 1, 2, 4, 5, 6, 7, 9}
PRIMARIES, CURVES = {1, 2, *range(4, 13), 22}, {1, 2, *range(4, 9), *range(11, 19)}
TICK = Fraction(1, 1000)  # what pictures are numbered by inside a graph
# FFmpeg's fast way from YUV to BGR rounds down: up to 3 grey levels too dark. The exact one takes
# 2 ms more for 720x576 pixels, 12 ms for 1920x1080.
FAST, EXACT = "bicubic", "bicubic+accurate_rnd+full_chroma_int"


@dataclass(frozen=True, slots=True)
class Look:
    """All that a graph must know of a picture.

    Attributes:
        size_hw: as it is coded.
        pixel_aspect: the width of a pixel over its height.
        turn: how to turn and mirror it for display.
        interlaced: its two fields were filmed one after the other.
    """

    size_hw: tuple[int, int]
    pixel_format: str
    pixel_aspect: Fraction
    colorspace: int
    color_range: int
    turn: Turn
    interlaced: bool

    @property
    def square_hw(self) -> tuple[int, int]:
        """The size with square pixels, before it is turned: mostly of the same height."""
        (height_px, width_px), aspect = self.size_hw, self.pixel_aspect
        if aspect < NARROWEST:
            return round(height_px / aspect), width_px
        return height_px, round(width_px * aspect)

    @property
    def text(self) -> str:
        """What was done to it, for people; empty where nothing was."""
        height_px, width_px = self.size_hw
        square_hw = self.square_hw
        shape = f"{self.pixel_aspect.numerator}:{self.pixel_aspect.denominator}"
        done = [
            f"pixels {shape} made square: {square_hw[1]}x{square_hw[0]} px"
            if square_hw != self.size_hw
            else "",
            "turned upright" if self.turn != NOT_TURNED else "",
        ]
        words = ", ".join(filter(None, done))
        return words and f"{width_px}x{height_px} px, {words}"


def look_of(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Look:
    """Return the look of a decoded picture, whose pixels have that shape; None for square.

    Colours that FFmpeg cannot turn, and those that damage leaves, become unspecified, in the frame,
    too: what is dark stays dark.
    """
    if (
        frame.colorspace not in MATRICES
        or frame.color_primaries not in PRIMARIES
        or frame.color_trc not in CURVES
    ):
        frame.colorspace = frame.color_primaries = frame.color_trc = UNSPECIFIED
    aspect = pixel_aspect or Fraction(1)
    return Look(
        size_hw=(frame.height, frame.width),
        pixel_format=frame.format.name,
        pixel_aspect=aspect if CREDIBLE[0] <= aspect <= CREDIBLE[1] else Fraction(1),
        colorspace=int(frame.colorspace),
        color_range=int(frame.color_range),
        turn=_turn(frame),
        interlaced=frame.interlaced_frame,
    )


def field_order(frame: av.VideoFrame) -> str:
    """Return which field of a picture that is marked as interlaced was filmed first."""
    size = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
    graph = Graph()
    nodes = [
        graph.add("buffer", f"{size}:time_base={TICK}"),
        graph.add("select", "eq(interlace_type,1)"),  # lets those pass that are top first
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    try:
        graph.vpull()
    except av.error.BlockingIOError:
        return BOTTOM
    return TOP


class Upright(Generic[T]):
    """Makes pictures upright, in order. A graph may hold one back until the next is there.

    Args:
        live: Of a camera, which does not wait. Else pictures that look interlaced and are not
            marked so are deinterlaced, too, which holds one back; and colours are exact.

    Attributes:
        found_order: which field of such pictures was filmed first; empty before one was found.
    """

    def __init__(self, *, live: bool = False) -> None:
        self.found_order = ""
        self._live = live
        self._look: Look | None = None
        self._filters: _Filters | None = None
        self._tags: dict[int, T] = {}
        self._number = 0

    def push(self, frame: av.VideoFrame, look: Look, tag: T) -> Iterator[tuple[T, Frame]]:
        """Take a picture; yield those that are ready, each as (its tag, (h, w, 3) uint8 BGR)."""
        if replace(look, interlaced=True) == self._look:
            look = self._look  # the filter leaves it as it is, and needs it beside the others
        if look != self._look:
            yield from self.flush()
            self._look, self._filters = look, _filters(look, self._live)
        assert self._filters is not None
        self._tags[self._number] = tag
        frame.pts, frame.time_base = self._number, TICK
        self._number += 1
        self._filters.graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[tuple[T, Frame]]:
        """Yield what is held back."""
        if self._filters is not None:
            self._filters.graph.vpush(None)
            yield from self._ready()
        self._filters = self._look = None

    def _ready(self) -> Iterator[tuple[T, Frame]]:
        assert self._filters is not None
        assert self._look is not None
        for combed in _pull(self._filters.combed):
            self.found_order = self.found_order or field_order(combed)
        for ready in _pull(self._filters.sink):
            assert ready.pts is not None
            assert ready.time_base is not None
            number = round(ready.pts * ready.time_base / TICK)
            pixels = np.asarray(ready.to_ndarray(), np.uint8)
            yield self._tags.pop(number), _apply_turn(pixels, self._look.turn)


class _Filters(NamedTuple):
    """A graph, where its pictures come out, and where those that look interlaced do, untouched."""

    graph: Graph
    sink: FilterContext
    combed: FilterContext | None


def _filters(look: Look, live: bool) -> _Filters:
    """Return the filters, configured: deinterlace where needed, square pixels, BGR."""
    (height_px, width_px), (square_h, square_w) = look.size_hw, look.square_hw
    source = (
        f"video_size={width_px}x{height_px}:pix_fmt={look.pixel_format}"
        f":time_base={TICK}:colorspace={look.colorspace}:range={look.color_range}"
    )
    graph = Graph()
    nodes, combed = [graph.add("buffer", source)], None
    unmarked = not live and not look.interlaced and height_px in INTERLACED_HEIGHTS_PX
    if unmarked:
        nodes += [graph.add("idet"), graph.add("split")]  # marks those that it finds
        marked, combed = graph.add("select", "gt(interlace_type,0)"), graph.add("buffersink")
        nodes[-1].link_to(marked, 1)
        marked.link_to(combed)
    if look.interlaced or unmarked:
        nodes.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
    nodes.append(graph.add("scale", f"{square_w}:{square_h}:flags={FAST if live else EXACT}"))
    nodes += [graph.add("format", "bgr24"), graph.add("buffersink")]
    graph.link_nodes(*nodes)
    graph.configure()
    return _Filters(graph, nodes[-1], combed)


def _pull(sink: FilterContext | None) -> Iterator[av.VideoFrame]:
    """Yield what a sink has ready."""
    while sink is not None:
        try:
            frame = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _turn(frame: av.VideoFrame) -> Turn:
    """Return the display matrix' part that turns and mirrors, to the nearest quarter turn."""
    side_data = cast("Mapping[str, Buffer]", frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return NOT_TURNED
    matrix = (
        np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32)
        .reshape(3, 3)[:2, :2]
        .astype(float)
    )
    if abs(matrix[0, 1]) > abs(matrix[0, 0]):
        matrix[0, 0] = matrix[1, 1] = 0
    else:
        matrix[0, 1] = matrix[1, 0] = 0
    a, b, c, d = (int(sign) for sign in np.sign(matrix).ravel())
    return a, b, c, d


def _apply_turn(frame: Frame, turn: Turn) -> Frame:
    """Return the picture as its display matrix says: x' = a x + c y, y' = b x + d y."""
    a, b, c, d = turn
    if turn == NOT_TURNED:
        return frame
    if b:
        frame = frame.transpose(1, 0, 2)
    if a + c < 0:
        frame = frame[:, ::-1]
    if b + d < 0:
        frame = frame[::-1]
    return np.ascontiguousarray(frame)
