"""Every source by one URI, the simulated pipe among them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import parse_qsl, urlsplit

from scnet_edge.config import parse_size
from scnet_edge.errors import ConfigError, InputError, install_extra
from scnet_edge.redaction import redact
from scnet_edge.simulation.clip import SMALLEST_PX, render_clip
from scnet_edge.video.camera import FRAME_S, OPEN_S
from scnet_edge.video.fake_source import fake_source
from scnet_edge.video.sources import Source, open_source

SIM_OPTIONS = {"seed": (0, 2**31), "frames": (1, 10**9), "fps": (1, 240)}


@contextmanager
def open_any(uri: str, *, open_s: float = OPEN_S, frame_s: float = FRAME_S) -> Iterator[Source]:
    """Open what a URI names, `sim://pipe` and `rosbag:FOLDER` included; close it on leaving.

    Args:
        uri: As `open_source` takes it, or `sim://pipe?size=384x544&fps=10&frames=100&seed=1`: a
            robot's ride through a rendered pipe, at `fps` like a camera, without end if no
            `frames` are given. Or `rosbag:FOLDER?topic=/camera/image_raw`, see `video.rosbag`.

    Raises:
        ConfigError: a bag, without the package that reads it.
        InputError: as `open_source`; an option of the simulation that is unknown or out of range.
    """
    if uri.startswith("rosbag:"):
        source = _bag(uri)
        with closing(source.items):
            yield source
        return
    if not uri.startswith("sim:"):
        with open_source(uri, open_s=open_s, frame_s=frame_s) as source:
            yield source
        return
    source = _simulate(uri)
    with closing(source.items):
        yield source


def _bag(uri: str) -> Source:
    try:
        from scnet_edge.video.rosbag import open_rosbag
    except ModuleNotFoundError as e:
        raise ConfigError(f"{uri}: needs the package {e.name}; {install_extra('ros')}") from e
    return open_rosbag(uri)


def _simulate(uri: str) -> Source:
    parts = urlsplit(uri)
    if parts.netloc + parts.path != "pipe":
        raise InputError(f"{redact(uri)}: unknown simulation, expected sim://pipe")
    options: dict[str, int] = {}
    size_hw = (384, 544)
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key == "size":
            size_hw = _size(uri, value)
        else:
            options[key] = _number(uri, key, value)
    frames = render_clip(options.get("frames", 2**62), size_hw, seed=options.get("seed", 1))
    return fake_source((frame for frame, _ in frames), fps=options.get("fps", 10), name="sim")


def _number(uri: str, key: str, value: str) -> int:
    if key not in SIM_OPTIONS:
        known = ", ".join(itertools.chain(["size"], SIM_OPTIONS))
        raise InputError(f"{redact(uri)}: unknown option {key!r}, expected {known}")
    low, high = SIM_OPTIONS[key]
    if not value.isdecimal() or not low <= int(value) <= high:
        raise InputError(
            f"{redact(uri)}: {key}={value}, expected a whole number from {low} to {high}"
        )
    return int(value)


def _size(uri: str, value: str) -> tuple[int, int]:
    try:
        return parse_size(value, (SMALLEST_PX, 9999))
    except ConfigError as e:
        raise InputError(f"{redact(uri)}: {e}") from e
