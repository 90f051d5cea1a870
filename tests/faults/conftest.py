"""What the fault tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from misbehaving import MjpegCamera, Script


@pytest.fixture
def mjpeg_camera() -> Iterator[Callable[[Script], MjpegCamera]]:
    """Return a function that starts a camera which does what a script says."""
    cameras: list[MjpegCamera] = []

    def start(script: Script) -> MjpegCamera:
        cameras.append(MjpegCamera(script))
        return cameras[-1]

    yield start
    for started in cameras:
        started.close()
