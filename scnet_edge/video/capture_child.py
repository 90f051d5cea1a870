"""The process that reads a camera; `camera` starts it with two descriptors, MEMORY and LINK.

It alone touches drivers and decoders, so a hang or a crash of theirs costs this process and no
other. It learns which camera to read, and gets slots back, over LINK, a socket; frames go into
MEMORY. When the other end of the socket is gone, so is this process and what it started.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import closing
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from types import FrameType

import msgspec
import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.types import Frame
from scnet_edge.video.readers import read_camera
from scnet_edge.video.shared_frames import (
    SLOTS,
    CameraTrouble,
    Ended,
    Message,
    Opened,
    Shot,
    Spoiled,
    allocate,
    slots,
)
from scnet_edge.video.uris import Camera

FOREIGN_FRAMES = 3  # of another size, one after the other: the camera has changed its mode


class FrameWriter:
    """Puts frames into the shared slots and says so; knows the size of the first."""

    def __init__(self, link: Connection, memory_fd: int) -> None:
        self._link = link
        self._memory_fd = memory_fd
        self._free: SimpleQueue[int] = SimpleQueue()
        self._slots: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None = None
        self._number = 0
        self._foreign = 0
        for slot in range(SLOTS):
            self.give_back(slot)

    def write(self, frame: Frame | None) -> None:
        """Hand over a frame, or the news of one that is damaged or of another size.

        Raises:
            CameraTrouble: the size has changed for good.
        """
        number, mono_ns, utc_ns = self._number, time.monotonic_ns(), time.time_ns()
        self._number += 1
        if frame is None:
            return self._send(Spoiled(number, "corrupt", mono_ns, utc_ns))
        if self._slots is None:
            self._open(frame)
        assert self._slots is not None
        if frame.shape != self._slots.shape[1:]:
            self._send(Spoiled(number, "geometry", mono_ns, utc_ns))
            return self._count_foreign(frame)
        self._foreign = 0
        try:
            slot = self._free.get_nowait()
        except Empty:
            return  # the loop is too slow; the jump of the number tells
        self._slots[slot] = frame
        self._send(Shot(number, slot, mono_ns, utc_ns))

    def give_back(self, slot: int) -> None:
        """Free a slot whose frame has been copied; from any thread."""
        self._free.put(slot)

    def _open(self, frame: Frame) -> None:
        height_px, width_px = frame.shape[:2]
        try:
            allocate(self._memory_fd, (height_px, width_px, 3))
        except OSError as e:
            raise CameraTrouble("memory", f"no shared memory for frames: {e.strerror}") from e
        self._slots = slots(self._memory_fd, (height_px, width_px, 3))
        self._send(Opened(height_px, width_px))

    def _count_foreign(self, frame: Frame) -> None:
        self._foreign += 1
        if self._foreign == FOREIGN_FRAMES:
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise CameraTrouble("geometry", f"the frames have become {size} px")

    def _send(self, message: Message) -> None:
        send(self._link, message)


def send(link: Connection, message: Message) -> None:
    """Send a message to the loop."""
    link.send_bytes(msgspec.json.encode(message))


def main(memory_fd: int, link_fd: int) -> None:
    """Read the camera that the first message names until it ends or SIGTERM."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loop, which then ends us
    link = Connection(link_fd)
    camera = msgspec.json.decode(link.recv_bytes(), type=Camera)
    writer = FrameWriter(link, memory_fd)
    threading.Thread(target=take_back, args=(link, writer), daemon=True).start()
    try:
        with closing(read_camera(camera)) as frames:
            for frame in frames:
                writer.write(frame)
    except CameraTrouble as e:
        send(link, Ended(e.reason, e.detail, hopeless=e.hopeless))
    except InputError as e:
        send(link, Ended("format", str(e)))


def take_back(link: Connection, writer: FrameWriter) -> None:
    """Collect slots that are free again; when the loop is gone, end this process and its own."""
    try:
        while True:
            writer.give_back(link.recv_bytes()[0])
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
