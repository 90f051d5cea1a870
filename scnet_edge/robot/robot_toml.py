"""`robot.toml`: all that a run on a robot can be told, as one flat file with units in its keys.

source = "rtsp://camera/1"
policy = "newest"
late_ms = 250            # degrade where the median from camera to mask is above this
degrade_every = 2        # ... first to every second frame
degrade_bundle = "small" # ... then to another bundle, smaller or of lower precision
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from scnet_edge.config import NotToml, PointName, parse_toml, read_text
from scnet_edge.errors import ConfigError
from scnet_edge.runtime.ignore import Polygon
from scnet_edge.runtime.scale import ModelScale
from scnet_edge.video.frame_checks import Limits

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.1, le=3600.0)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Fault = Literal[
    "corrupt", "geometry", "black", "blank", "frozen", "overexposed", "underexposed", "blurred"
]


class Robot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `robot.toml`; on the command line, options override them.

    Attributes:
        source: a camera or files, as `run --source` takes it.
        pipe: for `inspect`: the pipe.toml.
        odometry: for `inspect`: where the robot is, as `--odometry` takes it.
        policy: `newest` drops frames that the engine is too slow for; `every` makes the source
            wait. Left out: `newest` for cameras, `every` for files.
        engine: what runs the model. Left out: the best one here.
        operating_point: the bundle's decision of this name, also after `degrade_bundle`. Left
            out: the one that the bundle ships with.
        fallback: another engine, for when the isolated one keeps crashing.
        isolate: run the engine in a process of its own, so that a crash of its native code costs
            one frame. Left out: yes for cameras, no for files.
        threads: CPU threads of the engine. Left out: its own choice.
        scale: how frames larger than the model are brought to it: `native` in tiles, `fit` whole,
            `auto` in tiles where something may be. Left out: `native` for pictures, `fit` for
            videos and cameras.
        ignore: regions not to look at, each a list of its corners [x, y], in pixels, or in shares
            of width and height where all are within 0 to 1. Those of a pipe.toml count as well.
        ignore_mask: a picture of the frames' aspect ratio, white where not to look.
        ignore_still: do not look at borders, boxes and text that stand still while the rest of
            the footage moves. Left out: yes for videos and cameras.
        sinks: where results go, as `run --sink` takes them.
        require_signature: a public key; bundles without its owner's signature are refused.
        fail_closed: end the run with exit status 74 when a sink cannot write. Otherwise what is
            lost is counted and the run goes on.
        live: HOST:PORT of the live page. Left out: no page.
        open_timeout_s: longest wait for a camera's first frame before its process is replaced.
        frame_timeout_s: longest wait between two frames before the camera's process is replaced.
        engine_timeout_s: longest time of an isolated engine for one frame before its process is
            replaced.
        skip: faults that keep a frame from the model.
        frozen_s: a picture that stands still for so long is `frozen`.
        black_share: `black` where at least this share of the pixels is black, `blank` where it is
            of one bright colour.
        dark_share: `underexposed` where at least this share is dark.
        bright_share: `overexposed` where at least this share is burnt out.
        sharpness: `blurred` below this, in grey levels; 0 never flags.
        mm_per_px: millimetres per pixel at the wall, where it is known.
        sigma_mm_per_px: standard deviation of `mm_per_px`.
        hed_every: run HED on every so many frames only; needs a bundle built with
            `--split-graphs`.
        hed_bundle: run HED from this bundle, for example of a smaller size.
        gate_bundle: a cheap bundle that sees each frame first and wakes the full one.
        gate_threshold: probability from which a pixel of the cheap bundle counts.
        gate_wake_px: so many pixels wake the full bundle.
        late_ms: work cheaper while the median time from camera to mask is above this; 0 never.
        hot_c: work cheaper while the hottest sensor is above this; 0 never.
        degrade_every: first cheaper step: only every so many frames.
        degrade_bundle: second cheaper step: another bundle.
        settle_s: least time between two steps down.
        recover_s: all must have been well for so long before a step up.
    """

    source: str = ""
    pipe: str | None = None
    odometry: str | None = None
    policy: Literal["newest", "every"] | None = None
    engine: str | None = None
    fallback: str | None = None
    operating_point: PointName | None = None
    isolate: bool | None = None
    threads: Annotated[int, Meta(ge=1, le=256)] | None = None
    scale: ModelScale | None = None
    ignore: tuple[Polygon, ...] = ()
    ignore_mask: str | None = None
    ignore_still: bool | None = None
    sinks: tuple[str, ...] = ()
    require_signature: str | None = None
    fail_closed: bool = False
    live: str | None = None
    open_timeout_s: Seconds = 15.0
    frame_timeout_s: Seconds = 5.0
    engine_timeout_s: Seconds = 20.0
    skip: tuple[Fault, ...] = ("corrupt", "geometry", "black", "blank", "frozen")
    frozen_s: Seconds = 2.0
    black_share: Share = 0.98
    dark_share: Share = 0.95
    bright_share: Share = 0.4
    sharpness: Annotated[float, Meta(ge=0.0, le=100.0)] = 1.2
    mm_per_px: Annotated[float, Meta(gt=0.0, le=1000.0)] | None = None
    sigma_mm_per_px: Annotated[float, Meta(ge=0.0, le=1000.0)] = 0.0
    hed_every: Count = 1
    hed_bundle: str | None = None
    gate_bundle: str | None = None
    gate_threshold: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.1
    gate_wake_px: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    late_ms: Annotated[float, Meta(ge=0.0, le=60_000.0)] = 0.0
    hot_c: Annotated[float, Meta(ge=0.0, le=150.0)] = 0.0
    degrade_every: Count = 1
    degrade_bundle: str | None = None
    settle_s: Seconds = 5.0
    recover_s: Seconds = 30.0

    @property
    def limits(self) -> Limits:
        """When a frame counts as faulty."""
        return Limits(
            black_share=self.black_share,
            dark_share=self.dark_share,
            bright_share=self.bright_share,
            sharpness=self.sharpness,
            frozen_s=self.frozen_s,
        )


def read_robot(path: Path) -> Robot:
    """Return what a `robot.toml` says.

    Raises:
        ConfigError: no such file, not TOML, an unknown key, or a value out of its range; values are
            never repeated, since one of them may be a password.
    """
    try:
        return msgspec.convert(parse_toml(read_text(path)), Robot)
    except NotToml as e:
        where = re.search(r"\(at .*\)$", str(e))
        raise ConfigError(f"{path}: not TOML {where[0] if where else ''}".rstrip()) from None
    except msgspec.ValidationError as e:
        raise ConfigError(f"{path}: {_explain(str(e))}") from None


def _explain(message: str) -> str:
    """Return msgspec's message with the key first and its whole range."""
    if unknown := re.search(r"unknown field `(.*)`", message, re.DOTALL):
        close = difflib.get_close_matches(unknown[1], Robot.__struct_fields__, 1, 0.6)
        meant = (
            f"did you mean {close[0]!r}?"
            if close
            else "see docs/reference/robot-toml.md for the keys"
        )
        return f"unknown key {unknown[1]!r}; {meant}"
    at, kind = re.search(r"`\$\.(\w+)", message), re.search(r"got `(\w+)`", message)
    assert at, message
    found = f", found {kind[1]}" if kind else ""
    return f"{at[1]}: expected {_expectation(at[1])}{found}"


def _expectation(key: str) -> str:
    """Return what a key takes, in words."""
    return describe_type(get_type_hints(Robot, include_extras=True)[key])


def describe_type(hint: Any) -> str:
    """Return what a field of a configuration takes, in words: `a whole number from 1 to 256`."""
    kind = msgspec.inspect.type_info(hint)
    kinds = [k for k in getattr(kind, "types", (kind,)) if type(k).__name__ != "NoneType"]
    return _words(kinds[0])


def _words(kind: Any) -> str:
    name = type(kind).__name__
    if name in ("IntType", "FloatType"):
        words = "a whole number" if name == "IntType" else "a number"
        if kind.gt is not None or kind.ge is not None:
            words += f" above {kind.gt:g}" if kind.gt is not None else f" from {kind.ge:g}"
        if kind.lt is not None or kind.le is not None:
            words += f" below {kind.lt:g}" if kind.lt is not None else f" to {kind.le:g}"
        return words
    if name == "LiteralType":
        return "one of " + ", ".join(map(str, kind.values))
    if name == "VarTupleType":
        return f"a list, each {_words(kind.item_type)}"
    if name == "TupleType":
        return f"a list of {len(kind.item_types)}, each {_words(kind.item_types[0])}"
    return {"StrType": "a text in quotes", "BoolType": "true or false"}[name]


def fit_to_source(robot: Robot, *, live: bool, fps: float | None) -> Robot:
    """Return the robot with what it leaves open, as suits a camera, a film or pictures."""
    footage = live or fps is not None
    # Pictures have time for tiles, what comes by the second has not.
    scale: ModelScale = "fit" if footage or robot.hed_every > 1 else "native"
    return msgspec.structs.replace(
        robot,
        isolate=live if robot.isolate is None else robot.isolate,
        scale=robot.scale or scale,
        ignore_still=footage if robot.ignore_still is None else robot.ignore_still,
    )
