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
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from scnet_edge.errors import ConfigError
from scnet_edge.video.frame_checks import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.1, le=3600.0)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Fault = Literal["corrupt", "geometry", "black", "frozen", "overexposed", "underexposed", "blurred"]


class Robot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `robot.toml`; on the command line, options override them.

    Attributes:
        source: any URI that `run --source` takes.
        pipe, odometry: for `inspect`: the pipe.toml, and `--odometry`.
        isolate: the engine in a process of its own, so that a crash of its native code costs one
            frame; left out, a camera's is and a file's is not.
        fallback: another engine, for when the isolated one keeps crashing.
        sinks: as `run --sink` takes them; live: HOST:PORT of the live page.
        fail_closed: end the run, with exit status 74, when a sink cannot write; else what is lost
            is counted and the run goes on.
        open_timeout_s, frame_timeout_s: how long a camera may take to its first frame, and between
            frames, before its process is replaced.
        engine_timeout_s: how long an isolated engine may take over a frame before its process is
            replaced.
        skip: faults that keep a frame from the model; `frozen_s` to `sharpness` say what a
            fault is, see `Limits`.
        mm_per_px, sigma_mm_per_px: the scale at the wall, where it is known.
        hed_every: HED on every so many frames, of a bundle built with `--split-graphs`.
        hed_bundle: HED from this bundle, built smaller, with `--split-graphs`.
        gate_bundle: a cheap bundle that wakes the full one, from `gate_wake_px` pixels of at least
            `gate_threshold` on.
        late_ms, hot_c: degrade when the median from camera to mask, or the hottest thermal zone or
            NVIDIA card, is above this; 0 never.
        degrade_every, degrade_bundle: the steps, in this order: every so many frames, then another
            bundle.
        settle_s, recover_s: between two steps down, and before one up.
    """

    source: str = ""
    pipe: str | None = None
    odometry: str | None = None
    policy: Literal["newest", "every"] | None = None
    engine: str | None = None
    fallback: str | None = None
    isolate: bool | None = None
    threads: Annotated[int, Meta(ge=1, le=256)] | None = None
    sinks: tuple[str, ...] = ()
    fail_closed: bool = False
    live: str | None = None
    open_timeout_s: Seconds = 15.0
    frame_timeout_s: Seconds = 5.0
    engine_timeout_s: Seconds = 20.0
    skip: tuple[Fault, ...] = ("corrupt", "geometry", "black", "frozen")
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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: cannot be read as a text file ({e})") from e
    try:
        return msgspec.convert(tomllib.loads(text), Robot)
    except tomllib.TOMLDecodeError as e:
        where = re.search(r"\(at .*\)$", str(e))
        raise ConfigError(f"{path}: not TOML {where[0] if where else ''}".rstrip()) from None
    except msgspec.ValidationError as e:
        raise ConfigError(f"{path}: {_explained(str(e))}") from None


def _explained(message: str) -> str:
    """Return msgspec's message with the key first and its whole range."""
    if unknown := re.search(r"unknown field `(.*)`", message):
        close = difflib.get_close_matches(unknown[1], Robot.__struct_fields__, 1, 0.6)
        meant = f"did you mean {close[0]!r}?" if close else "see docs/robot.md for the keys"
        return f"unknown key {unknown[1]!r}; {meant}"
    at, kind = re.search(r"`\$\.(\w+)", message), re.search(r"got `(\w+)`", message)
    assert at, message
    found = f", found {kind[1]}" if kind else ""
    return f"{at[1]}: expected {_expected(at[1])}{found}"


def _expected(key: str) -> str:
    """Return what a key takes, in words."""
    hint = get_type_hints(Robot, include_extras=True)[key]
    kind = msgspec.inspect.type_info(hint)
    kinds = [k for k in getattr(kind, "types", (kind,)) if type(k).__name__ != "NoneType"]
    return _words(kinds[0])


def _words(kind: Any) -> str:
    name = type(kind).__name__
    if name in ("IntType", "FloatType"):
        low = f"above {kind.gt:g}" if kind.gt is not None else f"from {kind.ge:g}"
        high = f"below {kind.lt:g}" if kind.lt is not None else f"to {kind.le:g}"
        return f"a {'whole ' if name == 'IntType' else ''}number {low} {high}"
    if name == "LiteralType":
        return "one of " + ", ".join(map(str, kind.values))
    if name == "VarTupleType":
        return f"a list, each {_words(kind.item_type)}"
    return {"StrType": "a text in quotes", "BoolType": "true or false"}[name]
