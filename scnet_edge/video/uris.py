"""What a source is called: one URI, what it names, and how to show it without its password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

import msgspec

from scnet_edge.errors import InputError
from scnet_edge.redaction import redact

Kind: TypeAlias = Literal["csi", "v4l2", "rtsp", "http", "gst", "ros2"]
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
SUPPORTED = (
    "csi://0, v4l2:///dev/video0, rtsp://HOST/PATH, http://HOST/PATH (MJPEG), gst:PIPELINE, "
    "ros2://TOPIC, sim://pipe, rosbag:FOLDER, an image, a folder of images or a video file"
)
DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
LIMITS = {"width": (16, 16_384), "height": (16, 16_384), "fps": (1, 1000)}
ROUTER = "tcp/localhost:7447"
LAST_DOMAIN = 232
NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
ENDPOINT = re.compile(r"tcp/(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})", re.ASCII)


class Camera(msgspec.Struct, frozen=True, kw_only=True):
    """A live source.

    Attributes:
        kind: how it is read.
        target: the sensor's number, the device's path, the URL (of rtsp, http and ros2), or the
            GStreamer pipeline.
        width_px, height_px, fps: what is asked of a csi or v4l2 camera; None leaves it to it.
    """

    kind: Kind
    target: str
    width_px: int | None = None
    height_px: int | None = None
    fps: int | None = None

    @property
    def label(self) -> str:
        """What to call it in messages and records."""
        return redact(self.target if self.kind in ("rtsp", "http", "ros2", "v4l2") else self.uri)

    @property
    def uri(self) -> str:
        """The source, without what is asked of it."""
        return f"{self.kind}:{'//' if self.kind == 'csi' else ''}{self.target}"

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of a camera in the network; of ros2 its router's."""
        if self.kind == "ros2":
            return parse_place(self.target).address
        if self.kind not in ("rtsp", "http"):
            return None
        parts = urlsplit(self.target)
        return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme.lower()]


def parse_camera(uri: str) -> Camera | None:
    """Return the camera that a URI names; None for a path.

    Raises:
        InputError: an unknown scheme, or one that is used wrongly.
    """
    if uri.startswith("gst:"):
        if not uri[4:].strip():
            raise InputError("gst: expected a GStreamer pipeline after the colon, found none")
        return Camera(kind="gst", target=uri[4:])
    match = SCHEME.match(uri)
    if not match:
        return None
    scheme = match[1].lower()
    parts = _split(uri)
    if scheme in ("rtsp", "rtsps", "http", "https"):
        return Camera(kind="rtsp" if scheme.startswith("rtsp") else "http", target=uri)
    if scheme == "csi":
        return _csi(uri, parts)
    if scheme == "ros2":
        parse_place(uri)
        return Camera(kind="ros2", target=uri)
    if scheme == "v4l2":
        return _v4l2(uri, parts)
    raise InputError(f"{redact(uri)}: unknown kind of source, expected {SUPPORTED}")


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        if not parts.hostname and parts.scheme.lower() in ("rtsp", "rtsps", "http", "https"):
            raise InputError(f"{redact(uri)}: expected a host after ://, found none")
        _ = parts.port  # raises where it is no number up to 65535
    except ValueError:
        remedy = "write special characters of a password as %XX"
        raise InputError(f"{redact(uri)}: not a URL with a host and a port; {remedy}") from None
    return parts


def _csi(uri: str, parts: SplitResult) -> Camera:
    sensor = parts.netloc + parts.path
    if not sensor.isdecimal():
        raise InputError(f"{redact(uri)}: expected a sensor's number from 0, as in csi://0")
    return Camera(kind="csi", target=sensor, **_wishes(uri, parts))


def _v4l2(uri: str, parts: SplitResult) -> Camera:
    path = PurePosixPath(parts.path)
    if parts.netloc or path.parts[:2] != ("/", "dev") or ".." in path.parts:
        raise InputError(f"{redact(uri)}: expected a device, as in v4l2:///dev/video0")
    return Camera(kind="v4l2", target=str(path), **_wishes(uri, parts))


def _wishes(uri: str, parts: SplitResult) -> dict[str, int]:
    """Return what `?width=1280&height=720&fps=30` asks for."""
    asked = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in LIMITS:
            raise InputError(f"{redact(uri)}: unknown option {key!r}, expected {', '.join(LIMITS)}")
        low, high = LIMITS[key]
        if not value.isdecimal() or not low <= int(value) <= high:
            raise InputError(
                f"{redact(uri)}: {key}={value}, expected a whole number from {low} to {high}"
            )
        asked[key if key == "fps" else f"{key}_px"] = int(value)
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the URI names.

    Attributes:
        name: a topic, or what a sink's topics begin with; without a slash before it.
        domain: the ROS domain.
        router: zenoh's endpoint of the router.
    """

    name: str
    domain: int = 0
    router: str = ROUTER

    @property
    def address(self) -> tuple[str, int]:
        """The router's host and port."""
        match = ENDPOINT.fullmatch(self.router)
        assert match is not None
        return match["host"].strip("[]"), int(match["port"])


def parse_place(uri: str, *, default: str = "") -> Place:
    """Return what a URI names; `default` stands for a name that is left out.

    Raises:
        InputError: a name that ROS does not take, an unknown option, or one out of range.
    """
    shown = redact(uri)
    rest, _, query = uri.partition(":")[2].partition("?")
    name = rest.strip("/") or default
    if not NAME.fullmatch(name):
        raise InputError(f"{shown}: expected the name of a topic, as in ros2://camera/image_raw")
    given = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
    domain, router = given.pop("domain", "0"), given.pop("router", ROUTER)
    if given:
        raise InputError(f"{shown}: unknown option {min(given)!r}, expected domain or router")
    if not re.fullmatch(r"\d{1,3}", domain, re.ASCII) or int(domain) > LAST_DOMAIN:
        raise InputError(f"{shown}: domain={domain}, expected a number from 0 to {LAST_DOMAIN}")
    match = ENDPOINT.fullmatch(router)
    if not match or not 0 < int(match["port"]) < 65_536:
        raise InputError(f"{shown}: expected router=tcp/HOST:PORT, as in {ROUTER}")
    return Place(name=name, domain=int(domain), router=router)
