"""What the fault tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from misbehaving import MjpegCamera, Script

from scnet_edge.video import camera


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a lost camera be tried again at once instead of after a second."""
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(camera, "POLL_S", 0.02)
