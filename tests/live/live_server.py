"""A live page for tests: a run that is fed by hand, and a client."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sink_frames import BOARD, frame_result

from scnet_edge.live.app import NewestFrame, Show, open_live
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.liveness import Liveness
from scnet_edge.runtime.status import Monitor, SinkStats
from scnet_edge.web.server import Served

Answer = tuple[int, dict[str, str], bytes]


class Run:
    """A run that a test feeds by hand."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.liveness = Liveness(self.counters)
        self.monitor = Monitor(
            self.counters,
            self.liveness,
            telemetry=lambda: BOARD,
            sinks=lambda: [SinkStats(name="jsonl:run.jsonl", written=3, dropped=1)],
        )
        self.show = Show(NewestFrame(), self.monitor, {"Source": "rtsp://***@camera/1"})

    def frame(self, frame_id: int) -> None:
        self.counters.capture()
        for sink in (self.show.board, self.monitor, self.liveness):
            sink.write(frame_result(frame_id))
        self.counters.process()


@contextmanager
def serving(run: Run, address: str = "127.0.0.1:0", **options: Path) -> Iterator[Served]:
    with open_live(address, run.show, **options) as live:
        yield live


def ask(live: Served, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, names)
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return answer


def wait_for(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
