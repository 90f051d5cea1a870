"""The status of a run in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from scnet_edge.runtime.status import Status

PREFIX = "scnet_edge_"
STATES = ("starting", "waiting_camera", "running", "stalled", "closed")


class _Collector:
    """Gives the families of one status, as it is when it is scraped."""

    def __init__(self, status: Callable[[], Status], requests_refused: int) -> None:
        self._status = status
        self._requests_refused = requests_refused

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield from _frames(status)
        yield from _sinks(status)
        yield from _machine(status)
        yield _counter("page_refused", "Requests refused.", {"": self._requests_refused})


def metrics_text(status: Callable[[], Status], *, requests_refused: int) -> bytes:
    """Return what a scraper reads; every counter is of this run."""
    registry = CollectorRegistry()
    registry.register(_Collector(status, requests_refused))
    return generate_latest(registry)


def _frames(status: Status) -> Iterator[Metric]:
    yield _counter("frames_captured", "Frames the camera gave.", {"": status.captured})
    yield _counter("frames_processed", "Frames segmented.", {"": status.processed})
    yield _counter("frames_dropped", "Frames not segmented.", status.dropped, "reason")
    yield _counter("frame_faults", "Frames with a fault.", status.faults, "reason")
    yield _counter("cracks", "Cracks found, in all frames together.", {"": status.cracks})
    yield _counter("events", "Lines of the fault log.", {"": status.events})
    yield _gauge("frames_in_flight", "Frames waiting or worked on.", {"": status.in_flight})
    yield _gauge("fps", "Frames processed per second, lately.", {"": status.fps})
    yield _gauge("uptime_seconds", "Since the run began.", {"": status.uptime_s})
    states = {state: float(state == status.state) for state in STATES}
    yield _gauge("state", "1 for the state the run is in.", states, "state")
    latency = GaugeMetricFamily(
        f"{PREFIX}latency_milliseconds", "Of the whole run.", labels=["stage", "quantile"]
    )
    for stage, values_ms in status.latency_ms.items():
        for quantile, ms in zip(("0.5", "0.95", "0.99"), values_ms, strict=True):
            latency.add_metric([stage, quantile], ms)
    yield latency


def _sinks(status: Status) -> Iterator[Metric]:
    for name in ("written", "dropped", "failed"):
        values = {sink.name: getattr(sink, name) for sink in status.sinks}
        yield _counter(f"sink_{name}", f"Items {name}.", values, "sink")
    waiting = {sink.name: sink.waiting for sink in status.sinks}
    yield _gauge("sink_waiting", "Items that wait.", waiting, "sink")


def _machine(status: Status) -> Iterator[Metric]:
    board = status.telemetry
    yield _gauge("temperature_celsius", "By thermal zone.", board.temperatures_c, "zone")
    watts = {rail: mw / 1000 for rail, mw in board.power_mw.items()}
    yield _gauge("power_watts", "By rail.", watts, "rail")
    hertz = {name: mhz * 1e6 for name, mhz in board.clocks_mhz.items()}
    yield _gauge("clock_hertz", "By clock.", hertz, "clock")
    yield _gauge("throttled", "1 while the board slows down.", {"": float(bool(board.throttled))})
    synced = {} if status.clock_synced is None else {"": float(status.clock_synced)}
    yield _gauge("clock_synced", "1 while a time server is followed.", synced)
    if board.power_mode:
        yield _gauge("power_mode", "1 for the mode in force.", {board.power_mode: 1.0}, "mode")


def _counter(name: str, text: str, values: Mapping[str, int], label: str = "") -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label] if label else [])
    for key, value in values.items():
        family.add_metric([key] if label else [], value)
    return family


def _gauge(name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label] if label else [])
    for key, value in values.items():
        family.add_metric([key] if label else [], value)
    return family
