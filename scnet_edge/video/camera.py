"""A live camera that may be absent, hang, crash and come back, as one stream of frames and events.

The camera is read by a process of its own (`capture_child`). One that gives nothing within its
deadline is killed and another started, after a wait that doubles from 1 s to 30 s, with jitter.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from scnet_edge.child import child_command
from scnet_edge.errors import InputError, install_extra
from scnet_edge.events import Event, Kind, event_now
from scnet_edge.redaction import without_secrets
from scnet_edge.types import Captured, Frame
from scnet_edge.video.shared_frames import (
    CameraTrouble,
    Ended,
    Message,
    Opened,
    Shot,
    Spoiled,
    create_memory,
    slots,
)
from scnet_edge.video.uris import Camera

OPEN_S = 15.0  # until the first frame
FRAME_S = 5.0  # between frames
ANSWER_S = 5.0  # a host that says neither yes nor no for longer is left to the capture process
GRACE_S = 1.0  # from SIGTERM to SIGKILL: a driver may need it to let go of its camera
POLL_S = 0.1  # how soon a stop is seen
ROS2_NEEDS = ("zenoh", "rosbags")
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
logger = logging.getLogger(__name__)
CAPTURE = "scnet_edge.video.capture_child"
NO_PIXELS: Frame = np.empty((0, 0, 3), np.uint8)


def camera_items(
    camera: Camera, stop: threading.Event, *, open_s: float = OPEN_S, frame_s: float = FRAME_S
) -> Generator[Captured | Event]:
    """Yield frames and what happens between them until `stop` is set.

    Frame ids count on through reconnects. A frame that could not be decoded, or has another size
    than those before it, has no pixels, (0, 0, 3), and says so in its faults.

    Raises:
        InputError: no try can succeed, such as a pipeline with a spelling mistake. A camera that
            has given a frame is never given up: while it starts anew it may answer with anything.
    """
    next_id, tries, seen = 0, 0, False
    while not stop.is_set():
        try:
            for captured in _session(camera, stop, next_id, open_s, frame_s):
                if (tries or not seen) and captured.frame.size:
                    yield event_now("camera_found", detail=_size(captured))
                    tries, seen = 0, True
                next_id = captured.frame_id + 1
                yield captured
            return
        except CameraTrouble as e:
            if e.hopeless and not seen:
                raise InputError(
                    f"{camera.label}: {without_secrets(e.detail, camera.target)}"
                ) from e
            kind: Kind = "camera_lost" if seen and not tries else "camera_waiting"
            tries += 1
            wait_s = 0.0 if e.reason == "geometry" else _wait_s(tries)
            detail = f"{without_secrets(e.detail, camera.target)}; next try in {wait_s:.1f} s"
            yield event_now(kind, e.reason, detail, attempt=tries)
        stop.wait(wait_s)


def _size(captured: Captured) -> str:
    return f"{captured.frame.shape[1]}x{captured.frame.shape[0]} px"


def _wait_s(tries: int) -> float:
    """Return how long to wait after so many tries; jitter keeps many robots out of step."""
    longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries - 1, 10))
    return longest_s * random.uniform(0.75, 1.0)


def _session(
    camera: Camera, stop: threading.Event, first_id: int, open_s: float, frame_s: float
) -> Generator[Captured]:
    """Yield the frames of one capture process.

    Raises:
        CameraTrouble: it ended, crashed or hung.
    """
    _check_present(camera, open_s)
    with _refusals():
        memory_fd = create_memory()
    try:
        with _child(camera, memory_fd) as link:
            room = None
            while not stop.is_set():
                message = _receive(link, stop, frame_s if room is not None else open_s)
                if isinstance(message, Opened):
                    room = slots(memory_fd, (message.height_px, message.width_px, 3))
                elif isinstance(message, Spoiled):
                    yield _capture(message, NO_PIXELS, first_id, (message.reason,))
                elif isinstance(message, Shot) and room is not None:
                    frame = room[message.slot].copy()
                    with suppress(OSError):  # it has died since; receiving will say so
                        link.send_bytes(bytes([message.slot]))
                    yield _capture(message, frame, first_id, ())
    finally:
        os.close(memory_fd)


def _capture(
    message: Shot | Spoiled, frame: Frame, first_id: int, faults: tuple[str, ...]
) -> Captured:
    frame_id = first_id + message.number
    return Captured(
        frame_id=frame_id,
        name=f"frame-{frame_id:07d}",
        frame=frame,
        mono_ns=message.mono_ns,
        utc_ns=message.utc_ns,
        faults=faults,
    )


def _receive(link: Connection, stop: threading.Event, deadline_s: float) -> Message | None:
    """Return the next message; None when the loop is stopped.

    Raises:
        CameraTrouble: none came in time, or it was the last.
    """
    until_s = time.monotonic() + deadline_s
    while not link.poll(POLL_S):
        if stop.is_set():
            return None
        if time.monotonic() > until_s:
            raise CameraTrouble("timeout", f"no frame for {deadline_s:g} s")
    try:
        message: Message = msgspec.json.decode(link.recv_bytes(), type=Message)
    except (EOFError, OSError):
        raise CameraTrouble("crashed", "the capture process died") from None
    if isinstance(message, Ended):
        raise CameraTrouble(message.reason, message.detail, hopeless=message.hopeless)
    return message


@contextmanager
def _child(camera: Camera, memory_fd: int) -> Iterator[Connection]:
    """Start a capture process; kill it, and all it started, on leaving."""
    with ExitStack() as stack:
        with _refusals():
            ours, theirs = map(stack.enter_context, Pipe())
            log = stack.enter_context(tempfile.TemporaryFile())
            fds = (memory_fd, theirs.fileno())
            process = subprocess.Popen(
                child_command(CAPTURE, *fds),
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"},
                start_new_session=True,
            )
        theirs.close()
        try:
            ours.send_bytes(msgspec.json.encode(camera))
            yield ours
        finally:
            _end(process)
            log.seek(0)
            if said := log.read(65_536).decode(errors="replace").strip():
                logger.warning("%s: %s", camera.label, without_secrets(said, camera.target))


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the system refuses, such as one more descriptor, into trouble that may pass."""
    try:
        yield
    except OSError as e:
        raise CameraTrouble("refused", f"no capture process can be started: {e.strerror}") from e


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, politely at first, then it and its whole group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _check_present(camera: Camera, open_s: float) -> None:
    """Find out cheaply, without a process, that there is nothing to read yet.

    Raises:
        CameraTrouble: no such device, or nobody listens at that address.
    """
    if camera.kind in ("gst", "csi") and not shutil.which("gst-launch-1.0"):
        remedy = "install gstreamer1.0-tools and gstreamer1.0-plugins-bad"
        raise CameraTrouble("absent", f"needs gst-launch-1.0; {remedy}", hopeless=True)
    if camera.kind == "v4l2" and not Path(camera.target).exists():
        raise CameraTrouble("absent", "no such device; is the camera plugged in?")
    if camera.kind == "ros2" and (missing := [name for name in ROS2_NEEDS if not find_spec(name)]):
        needs = f"needs the package {missing[0]}; {install_extra('ros')}"
        raise CameraTrouble("absent", needs, hopeless=True)
    if camera.address is not None:
        try:
            socket.create_connection(camera.address, timeout=min(ANSWER_S, open_s)).close()
        except TimeoutError:
            return  # it may only be slow: the capture process has `open_s`
        except OSError as e:
            host, port = camera.address
            raise CameraTrouble("unreachable", f"{host}:{port}: {e.strerror or e}") from e
