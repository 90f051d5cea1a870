"""Whether a run is alive and ready, judged by the frames it processed; a sink and a watchdog."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from threading import Event as Flag
from threading import Thread
from typing import Literal, TypeAlias

from scnet_edge.events import Event
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import FrameResult

State: TypeAlias = Literal["starting", "waiting_camera", "running", "stalled", "closed"]
FRESH_S = 5.0  # without a processed frame for longer than this we are not ready
# With a frame at hand and none processed for longer than this we are not alive. An engine may hang
# for 20 s, start again, and take a minute for its first frame.
STALLED_S = 90.0
LOG_LINES = 200  # of the fault log that are kept

logger = logging.getLogger(__name__)


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1` or `STATUS=...`; return whether anyone listens."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
        try:
            s.sendto(state.encode(), address)
        except OSError:  # systemd went away; there is nobody to tell
            return False
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often systemd wants to hear from us, in seconds; None if it does not."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = environment.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if usec.isdecimal() and int(usec) else None


class Liveness:
    """A `Sink` that keeps the fault log and judges the run.

    Alive: a frame was processed lately, or there is none to process; a camera that is away is its
    capture's business, which has deadlines of its own. Ready: frames were processed lately.

    Attributes:
        events: the newest of the fault log, oldest first.
    """

    def __init__(
        self, counters: Counters, *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.events: deque[Event] = deque(maxlen=LOG_LINES)
        self.events_total = 0
        self._counters = counters
        self._clock_ns = clock_ns
        self._start_ns = clock_ns()
        self._camera_away = False
        self._closed = False

    @property
    def state(self) -> State:
        """One word for people and for metrics."""
        if self._closed:
            return "closed"
        processed_ns = self._counters.last_processed_ns
        idle_s = (self._clock_ns() - (processed_ns or self._start_ns)) / 1e9
        if idle_s > STALLED_S and self._counters.in_flight and not self._camera_away:
            return "stalled"
        if self._camera_away or (processed_ns and idle_s > FRESH_S):
            return "waiting_camera"
        return "running" if processed_ns else "starting"

    @property
    def alive(self) -> bool:
        """Whether the process deserves to go on."""
        return self.state != "stalled"

    @property
    def ready(self) -> bool:
        """Whether results come at this moment."""
        return self.state == "running"

    def write(self, frame_result: FrameResult) -> None:
        """Know that the camera is there."""
        self._camera_away = False

    def note(self, event: Event) -> None:
        """Keep the event."""
        if event.kind in ("camera_waiting", "camera_lost"):
            self._camera_away = True
        elif event.kind == "camera_found":
            self._camera_away = False
        elif event.kind == "run_closed":
            self._closed = True
        self.events.append(event)
        self.events_total += 1

    def close(self) -> None:
        """Do nothing: the log stays readable."""


class Watchdog:
    """Keeps systemd's watchdog quiet while frames are settled, or while there are none.

    It pings only if another frame was processed, or lost to a crash of the engine, since the last
    look, or none is at hand. A loop that hangs has a frame at hand and settles none, so systemd
    ends it after `WatchdogSec`.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        tell: Callable[[str], object] = notify,
    ) -> None:
        asked_s = watchdog_s()
        self._interval_s = asked_s / 3 if asked_s else None
        self._counters = counters
        self._tell = tell
        self._settled = -1
        self._stop = Flag()
        self._thread = Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        """Tell systemd that the run has begun."""
        self._tell("READY=1\nSTATUS=running")
        if self._interval_s:
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Tell systemd that it ends."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._tell("STOPPING=1")

    def look(self) -> None:
        """Ping, or hold the ping back."""
        settled = self._counters.settled
        if settled != self._settled or not self._counters.in_flight:
            self._tell("WATCHDOG=1")
        else:
            logger.error("no frame was settled since the last look; the watchdog is not told")
        self._settled = settled

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.look()
