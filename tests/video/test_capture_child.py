"""The far side of the shared memory, without a process: what it says of each frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import msgspec
import numpy as np
import pytest

from scnet_edge.video.capture_child import FOREIGN_FRAMES, FrameWriter
from scnet_edge.video.shared_frames import (
    SLOTS,
    CameraTrouble,
    Message,
    Opened,
    Shot,
    Spoiled,
    create_memory,
    slots,
)

SHAPE = (48, 64, 3)


def grey(value: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.full(shape, value, np.uint8)


class Far:
    """A writer, the near end of its link, and the memory between them."""

    def __init__(self) -> None:
        self.link, theirs = Pipe()
        self.memory_fd = create_memory()
        self.writer = FrameWriter(theirs, self.memory_fd)
        self._theirs: Connection = theirs

    def said(self) -> list[Message]:
        messages = []
        while self.link.poll():
            messages.append(msgspec.json.decode(self.link.recv_bytes(), type=Message))
        return messages

    def close(self) -> None:
        self.link.close()
        self._theirs.close()
        os.close(self.memory_fd)


@pytest.fixture
def far() -> Iterator[Far]:
    made = Far()
    yield made
    made.close()


def test_frames_lie_in_the_slots_they_are_said_to(far: Far) -> None:
    for value in (7, 8, 9):
        far.writer.write(grey(value))
    opened, *shots = far.said()
    assert opened == Opened(height_px=48, width_px=64)
    room = slots(far.memory_fd, SHAPE)
    for number, (shot, value) in enumerate(zip(shots, (7, 8, 9), strict=True)):
        assert isinstance(shot, Shot)
        assert shot.number == number
        np.testing.assert_array_equal(room[shot.slot], grey(value))


def test_without_a_free_slot_frames_are_numbered_and_dropped(far: Far) -> None:
    for _ in range(SLOTS + 3):
        far.writer.write(grey(1))
    shots = [item for item in far.said() if isinstance(item, Shot)]
    assert [shot.number for shot in shots] == list(range(SLOTS))
    far.writer.give_back(shots[2].slot)
    far.writer.write(grey(2))
    [next_shot] = far.said()
    assert isinstance(next_shot, Shot)
    assert (next_shot.number, next_shot.slot) == (SLOTS + 3, shots[2].slot)


def test_damaged_and_foreign_frames_are_told_and_never_shown(far: Far) -> None:
    far.writer.write(None)
    far.writer.write(grey(1))
    far.writer.write(grey(2, (64, 96, 3)))
    far.writer.write(grey(3))
    first, _, shot, foreign, last = far.said()
    assert isinstance(first, Spoiled)
    assert (first.number, first.reason) == (0, "corrupt")
    assert isinstance(foreign, Spoiled)
    assert (foreign.number, foreign.reason) == (2, "geometry")
    assert isinstance(shot, Shot)
    assert isinstance(last, Shot)
    assert [shot.number, last.number] == [1, 3]


def test_a_new_size_that_stays_ends_the_session(far: Far) -> None:
    far.writer.write(grey(1))
    for _ in range(FOREIGN_FRAMES - 1):
        far.writer.write(grey(2, (64, 96, 3)))
    with pytest.raises(CameraTrouble, match="the frames have become 96x64 px"):
        far.writer.write(grey(2, (64, 96, 3)))
