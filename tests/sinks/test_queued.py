"""A sink behind its queue: nothing that its device does reaches the loop, and the books balance."""

from __future__ import annotations

import errno
import logging
import threading
import time

import pytest
from sink_frames import Device, balanced, frame_result

from scnet_edge.events import event_now
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.status import SinkStats
from scnet_edge.sinks import queued
from scnet_edge.sinks.queued import Lost, Queued


def ids(device: Device) -> list[object]:
    return [i.captured.frame_id if isinstance(i, FrameResult) else i.kind for i in device.items]


def test_frames_and_events_arrive_in_their_order() -> None:
    device = Device()
    sink = Queued(device, "device", backpressure=True)
    for i in range(20):
        sink.write(frame_result(i))
        if i == 9:
            sink.note(event_now("camera_lost"))
    sink.close()
    assert ids(device) == [*range(10), "camera_lost", *range(10, 20)]
    assert (device.flushes >= 0, device.closes) == (True, 1)
    assert sink.stats == SinkStats(name="device", accepted=21, written=21)


def test_a_stuck_device_costs_its_own_oldest_frames_and_no_event() -> None:
    free = threading.Event()
    device = Device(lambda item: free.wait() and None)
    sink = Queued(device, "device")
    sink.write(frame_result(0))
    while len(sink._frames):  # until the device has it
        time.sleep(0.001)
    for i in range(1, 1000):  # none of these waits: the device is freed only after them
        sink.write(frame_result(i))
        assert balanced(sink.stats)
    sink.note(event_now("camera_lost"))
    assert sink.stats.waiting == 1 + device.depth + 1
    free.set()
    sink.close()
    assert ids(device) == [0, 996, 997, 998, 999, "camera_lost"]
    assert sink.stats == SinkStats(name="device", accepted=1001, written=6, dropped=995)


def test_a_device_that_hangs_at_the_end_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    free = threading.Event()
    sink = Queued(Device(lambda item: free.wait() and None), "device")
    sink.write(frame_result(0))
    with caplog.at_level(logging.ERROR):
        sink.close(timeout_s=0.1)
    assert "1 items are lost" in caplog.text
    free.set()


def test_failures_are_counted_said_once_and_tried_anew(caplog: pytest.LogCaptureFixture) -> None:
    full = True

    def refuse(item: object) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")

    device = Device(refuse)
    sink = Queued(device, "device", backpressure=True)
    with caplog.at_level(logging.WARNING):
        for i in range(6):
            sink.write(frame_result(i))
        while sink.stats.waiting:
            time.sleep(0.005)
        assert sink.stats.error == "No space left on device"
        full = False
        sink.write(frame_result(6))
        sink.close()
    assert sink.stats == SinkStats(name="device", accepted=7, written=1, failed=6)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_bug_is_raised_at_the_end_and_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail(item: object) -> None:
        raise ZeroDivisionError("a bug")

    failures: list[int] = []
    sink = Queued(Device(fail), "device", backpressure=True, on_failure=lambda: failures.append(1))
    sink.write(frame_result(0))
    while not failures:
        time.sleep(0.001)
    assert "sink device: ZeroDivisionError: a bug" in caplog.text
    for i in range(1, 20):
        sink.write(frame_result(i))
    assert len(failures) == 20
    assert (sink.stats.accepted, sink.stats.failed, sink.stats.waiting) == (20, 20, 0)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        sink.close()
    assert "ZeroDivisionError" in sink.stats.error
    sink.close()


def test_what_waits_behind_a_bug_is_counted() -> None:
    free = threading.Event()

    def fail(item: object) -> None:
        free.wait()
        raise ZeroDivisionError

    sink = Queued(Device(fail), "device")
    for i in range(3):
        sink.write(frame_result(i))
    free.set()
    with pytest.raises(ZeroDivisionError):
        sink.close()
    assert (sink.stats.accepted, sink.stats.failed, sink.stats.waiting) == (3, 3, 0)


def test_what_was_lost_after_all_is_counted_at_the_end() -> None:
    class Broker(Device):
        def close(self) -> None:
            raise Lost(2, "nobody has them")

    failures: list[int] = []
    sink = Queued(Broker(), "broker", on_failure=lambda: failures.append(1))
    for i in range(3):
        sink.write(frame_result(i))
    sink.close()
    assert (sink.stats.written, sink.stats.failed) == (1, 2)
    assert (sink.stats.error, failures) == ("nobody has them", [1])


def test_a_write_that_works_hides_no_flush_that_does_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "FLUSH_S", 0.0)

    class Cut(Device):
        def flush(self) -> None:
            super().flush()
            raise OSError(errno.ENOTCONN, "cut")

    device = Cut()
    sink = Queued(device, "device")
    for i in range(5):
        sink.write(frame_result(i))
        flushes = device.flushes
        while device.flushes < flushes + 2:
            time.sleep(0.001)
        assert sink.stats.error == "cut"
    assert [record.message for record in caplog.records] == [
        "sink device: cut; what it cannot take is counted"
    ]
    sink.close()
