"""Readings that come over UDP or a serial line, taken in by a thread as they arrive.

What arrives together is of one time, so that its last line counts. A flood of lines costs the run
no more than that: some hundred readings a second.
"""

from __future__ import annotations

import os
import select
import socket
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from time import monotonic, monotonic_ns, sleep
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec

from scnet_edge.config import NOT_JSON
from scnet_edge.errors import ConfigError
from scnet_edge.inspection.readings import Pose, Readings
from scnet_edge.redaction import redact
from scnet_edge.types import Captured

Receive: TypeAlias = Callable[[float], list[bytes]]  # what came within so many seconds
_POLL_S = 0.1
_PAUSE_S = 0.002  # between two readings: 500 a second
_AT_ONCE = 64  # datagrams that are taken for one reading
_RETRY_S = 1.0  # between two tries to open a line that was unplugged
_LONGEST_BYTES = 4096  # a line of a reading is shorter; a longer one is noise


class LiveOdometry:
    """A thread that keeps the readings of a live odometer; stops on leaving the context."""

    def __init__(self, receive: Receive, readings: Readings) -> None:
        self._receive, self._readings = receive, readings
        self._lock, self._stop = Lock(), Event()
        self._thread = Thread(target=self._listen, name="odometry", daemon=True)

    def __enter__(self) -> LiveOdometry:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join()

    def at(self, captured: Captured) -> Pose:
        """Return the pose when the frame was captured."""
        with self._lock:
            return self._readings.at(captured.mono_ns / 1e9)

    def is_moving(self) -> bool | None:
        """Return whether the robot has moved within the last second; None without readings."""
        with self._lock:
            return self._readings.is_moving(monotonic_ns() / 1e9)

    def _listen(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            for line in self._receive(_POLL_S)[-1:]:
                now_s = monotonic_ns() / 1e9
                chainage_m, roll_deg = parse_line(line)
                with self._lock:
                    self._readings.add(now_s, chainage_m, roll_deg)
                    self._readings.forget()


class _Message(msgspec.Struct):
    chainage_m: float
    roll_deg: float | None = None


def parse_line(line: bytes) -> tuple[float, float | None]:
    """Return chainage and roll of one line; NaN for what is no reading."""
    try:
        if line.lstrip().startswith(b"{"):
            message = msgspec.json.decode(line, type=_Message)
            return message.chainage_m, message.roll_deg
        values = [float(part) for part in line.decode("ascii").split(",")]
    except (ValueError, *NOT_JSON):
        return float("nan"), None
    return values[0], values[1] if len(values) > 1 else None


@contextmanager
def lines_of_udp(uri: str) -> Iterator[Receive]:
    """Listen on `udp://[HOST]:PORT`, on loopback where no host is given."""
    port = _port(uri)
    host = urlsplit(uri).hostname or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        try:
            opened.bind((host, port))
        except OSError as e:
            raise ConfigError(f"{redact(uri)}: cannot listen there ({e.strerror})") from e

        def receive(wait_s: float) -> list[bytes]:
            lines = list[bytes]()
            for _ in range(_AT_ONCE):
                if not select.select([opened], [], [], wait_s)[0]:
                    break
                lines += opened.recv(_LONGEST_BYTES).splitlines()
                wait_s = 0.0
            return [line for line in lines if line.strip()]

        yield receive


@contextmanager
def lines_of_serial(uri: str) -> Iterator[Receive]:
    """Read `serial:///dev/ttyUSB0?baud=115200`, eight bits, no parity, one stop bit.

    Unplugged, it is tried anew every second; without readings the poses say `odometry_lost`.
    """
    line = _SerialLine(uri)
    try:
        yield line.receive
    finally:
        line.close()


class _SerialLine:
    """A serial line that may be unplugged and plugged in again."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._fd: int | None = _open_serial(uri)
        self._rest = b""
        self._retry_s = 0.0

    def receive(self, wait_s: float) -> list[bytes]:
        if self._fd is None:
            self._retry(wait_s)
            return []
        if not select.select([self._fd], [], [], wait_s)[0]:
            return []
        try:
            read = os.read(self._fd, _LONGEST_BYTES)
        except OSError:
            read = b""
        if not read:  # a line that was unplugged can be read, without end, and gives nothing
            self.close()
            return []
        *whole, rest = (self._rest + read).split(b"\n")
        self._rest = rest[-_LONGEST_BYTES:]
        return [part for part in whole if part.strip()]

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._rest, self._retry_s = None, b"", monotonic() + _RETRY_S

    def _retry(self, wait_s: float) -> None:
        sleep(wait_s)
        if monotonic() >= self._retry_s:
            self._retry_s = monotonic() + _RETRY_S
            with suppress(ConfigError):
                self._fd = _open_serial(self._uri)


def _open_serial(uri: str) -> int:
    """Return the descriptor of a serial line, set to its speed and to raw bytes."""
    place, _, query = uri.partition("://")[2].partition("?")
    baud = parse_qs(query).get("baud", ["115200"])[0]
    speed = getattr(termios, f"B{baud}", None) if baud.isdecimal() else None
    if speed is None:
        raise ConfigError(
            f"{redact(uri)}: no serial line runs at {baud} baud; 9600, 57600, 115200 are usual"
        )
    try:
        line = os.open(place, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as e:
        raise ConfigError(f"{redact(uri)}: {place} cannot be opened ({e.strerror})") from e
    try:
        _set_raw(line, speed)
    except termios.error as e:
        os.close(line)
        raise ConfigError(f"{redact(uri)}: not a serial line ({e.args[-1]})") from e
    return line


def _set_raw(line: int, speed: int) -> None:
    tty.setraw(line)
    attributes = termios.tcgetattr(line)
    attributes[4] = attributes[5] = speed
    termios.tcsetattr(line, termios.TCSANOW, attributes)


def _port(uri: str) -> int:
    try:
        port = urlsplit(uri).port
    except ValueError:
        port = None
    if port is None:
        raise ConfigError(f"{redact(uri)}: no port, expected udp://HOST:PORT")
    return port
