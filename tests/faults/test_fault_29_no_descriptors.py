"""Not one descriptor more for this process: telemetry, camera and engine wait, and come back."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from misbehaving import MjpegCamera, picture

from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.errors import EngineCrash
from scnet_edge.events import Event
from scnet_edge.machine.telemetry import TelemetrySampler, read_sensors
from scnet_edge.types import Captured
from scnet_edge.video import camera
from scnet_edge.video.uris import Camera


@contextmanager
def none_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_telemetry_keeps_its_last_sample_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    read, refused = threading.Semaphore(0), threading.Event()

    def sample() -> object:
        try:
            return read_sensors()
        except OSError:
            refused.set()
            raise
        finally:
            read.release()

    with TelemetrySampler(sample, interval_s=0.01) as sampler:
        with none_left():
            assert refused.wait(10)
            for _ in range(5):
                assert read.acquire(timeout=10)
        before = sampler.latest
        for _ in range(20):
            assert read.acquire(timeout=10)
        assert sampler.latest is not before
    assert [r.getMessage() for r in caplog.records] == [
        "telemetry: Too many open files; the last sample stays until it is read"
    ]


def test_a_camera_that_cannot_be_started_is_waited_for(
    mjpeg_camera: Callable[..., MjpegCamera], impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = mjpeg_camera(lambda send, _: [send(picture(i % 99)) for i in range(1000)])
    monkeypatch.setattr(camera, "_check_present", lambda *args: None)  # it would refuse before
    seen = Camera(kind="http", target=served.uri)
    with closing(camera.camera_items(seen, threading.Event())) as items:
        with none_left():
            waiting = next(items)
        assert isinstance(waiting, Event)
        assert (waiting.kind, waiting.reason) == ("camera_waiting", "refused")
        assert any(isinstance(item, Captured) and item.frame.size for item in items)


def test_an_engine_that_cannot_be_started_costs_frames_alone(
    darkness_bundle: Callable[[tuple[int, int]], Path],
) -> None:
    graph = darkness_bundle((64, 96)) / "fused.onnx"
    backend = IsolatedBackend([Opening(engine="onnxruntime", graph=str(graph), threads=1)])
    feeds = {"frame": np.zeros((1, 64, 96, 3), np.uint8)}
    with closing(backend):
        backend.run(feeds)
        assert backend.pid
        os.kill(backend.pid, signal.SIGKILL)
        with pytest.raises(EngineCrash):
            backend.run(feeds)
        with none_left():
            for _ in range(20):  # more than an engine that crashes by itself is given
                with pytest.raises(EngineCrash, match="cannot be started"):
                    backend.run(feeds)
        assert backend.run(feeds)["probability"].shape == (1, 64, 96)
