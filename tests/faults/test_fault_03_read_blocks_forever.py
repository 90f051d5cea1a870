"""A camera that stops in the middle of its stream: the capture process is killed and replaced."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from misbehaving import picture

from scnet_edge.types import Captured
from scnet_edge.video.camera import camera_items
from scnet_edge.video.uris import parse_camera

CAMERAS, CYCLES = 5, 10


def held() -> dict[str, Any]:
    """Return what this process holds: descriptors, children, threads, shared memory."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "children": children.read_text(),
        "threads": threading.active_count(),
        "shared memory": sorted(p for p in Path("/dev/shm").iterdir() if p.name[:4] != "sem."),
        "mappings": Path("/proc/self/maps").read_text().count("memfd:scnet-edge"),
    }


def hang_cycles(uri: str) -> list[Captured]:
    camera, stop, frames = parse_camera(uri), threading.Event(), []
    assert camera
    reasons = []
    for item in camera_items(camera, stop, frame_s=0.1):
        if isinstance(item, Captured):
            frames.append(item)
        elif item.kind == "camera_lost":
            reasons.append(item.reason)
            if len(reasons) == CYCLES:
                stop.set()
    assert reasons == ["timeout"] * CYCLES
    return frames


@pytest.mark.usefixtures("impatient")
def test_50_hangs_leak_nothing(mjpeg_camera: Callable[..., Any]) -> None:
    over = threading.Event()

    def one_picture_then_silence(send: Callable[[bytes], None], number: int) -> None:
        send(picture(60 + number))
        over.wait(60)

    server = mjpeg_camera(one_picture_then_silence)
    before = held()
    with ThreadPoolExecutor(CAMERAS) as pool:
        runs = list(pool.map(hang_cycles, [server.uri] * CAMERAS))
    over.set()
    for _ in range(100):  # the server's own threads end a little later
        if held() == before:
            break
        threading.Event().wait(0.02)
    assert held() == before
    assert server.connections == CAMERAS * CYCLES
    for frames in runs:
        assert [frame.frame_id for frame in frames] == list(range(CYCLES))
        assert all(a.mono_ns < b.mono_ns for a, b in pairwise(frames))
