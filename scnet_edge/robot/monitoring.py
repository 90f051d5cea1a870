"""What watches a run: telemetry, sinks, the live page, the watchdog, and an orderly end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from scnet_edge import __version__
from scnet_edge.errors import ConfigError, SinkError, escape, install_extra
from scnet_edge.machine.description import machine_name
from scnet_edge.machine.telemetry import Telemetry, TelemetrySampler
from scnet_edge.redaction import redact
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import Sink
from scnet_edge.runtime.liveness import Liveness, Watchdog
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.runtime.status import Monitor
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.queued import Queued
from scnet_edge.sinks.run_records import Recorder

if TYPE_CHECKING:
    from scnet_edge.web.server import Served  # needs the extra [live]

METRICS = "prometheus://"
STOPPING = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """What watches a run.

    Attributes:
        sinks: for `run_loop`, in order; `queued` among them.
        queued: those that `--sink` named.
        monitor: knows the status of the run.
        recorder: makes the records of the run, for every sink the same.
        pages: where the live page and the metrics are served.
    """

    sinks: list[Sink]
    queued: list[Queued[Any]]
    monitor: Monitor
    recorder: Recorder
    pages: list[Served]


@contextmanager
def open_monitoring(
    counters: Counters,
    *,
    facts: dict[str, str],
    sinks: Sequence[str] = (),
    live: str | None = None,
    engine: Callable[[], str] = lambda: "",
    fps: float | None = None,
    backpressure: bool = False,
    stop_on_failure: threading.Event | None = None,
    announce: Callable[[str], object] = logger.info,
    telemetry: Callable[[], Telemetry] | None = None,
) -> Iterator[Monitoring]:
    """Open what watches a run; `run_loop` writes to its sinks.

    Args:
        counters: the same that `run_loop` gets.
        facts: what the run is, by label, for the page and the first record; without passwords.
        sinks: such as `jsonl:run.jsonl`, see `scnet_edge.sinks`; `prometheus://HOST:PORT` is
            served like the live page.
        live: HOST:PORT of the live page; empty for the usual one, None for no page.
        engine: gives what runs the model at this moment.
        fps: of the source, if it has one.
        backpressure: frames wait for a sink that is behind instead of being dropped: for files.
        stop_on_failure: set when a sink cannot write, and the run then ends with `SinkError`; None
            to count what is lost and go on.
        announce: gets the address of the page, with its token: for a terminal, not for a log.
        telemetry: gives a sample; None reads this machine's sensors.

    Raises:
        ConfigError: a sink or an address that cannot be, or a package that is not installed.
        SinkError: see `stop_on_failure`.
    """
    served = [spec.removeprefix(METRICS) for spec in sinks if spec.startswith(METRICS)]
    files = [spec for spec in sinks if not spec.startswith(METRICS)]
    liveness = Liveness(counters)
    with ExitStack() as stack:
        sampler = stack.enter_context(TelemetrySampler(telemetry))
        recorder = Recorder(lambda: sampler.latest, facts)
        queued = stack.enter_context(
            open_sinks(
                files,
                recorder,
                fps=fps,
                backpressure=backpressure,
                on_failure=(stop_on_failure or threading.Event()).set,
            )
        )
        monitor = Monitor(
            counters,
            liveness,
            telemetry=lambda: sampler.latest,
            engine=engine,
            sinks=lambda: [sink.stats for sink in queued],
        )
        shown: list[Sink] = []
        pages: list[Served] = []
        addresses = [*([live] if live is not None else []), *served]
        if addresses:
            shown, pages = _serve(stack, addresses, monitor, facts, announce)
        stack.enter_context(Watchdog(counters))
        yield Monitoring(
            sinks=[monitor, liveness, *shown, *queued],
            queued=queued,
            monitor=monitor,
            recorder=recorder,
            pages=pages,
        )
    failed = [stats for stats in (sink.stats for sink in queued) if stats.failed]
    if stop_on_failure is not None and failed:
        raise SinkError(
            f"sink {failed[0].name}: {failed[0].failed} items could not be written "
            f"({failed[0].error or 'it works again'}); see to its disk, or run without fail_closed"
        )


def _serve(
    stack: ExitStack,
    addresses: Sequence[str],
    monitor: Monitor,
    facts: dict[str, str],
    announce: Callable[[str], object],
) -> tuple[list[Sink], list[Served]]:
    try:
        from scnet_edge.live.app import NewestFrame, Show, open_live
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"the live page needs the package {e.name}; {install_extra('live')}"
        ) from e
    show = Show(NewestFrame(), monitor, facts)
    pages = [stack.enter_context(open_live(address, show)) for address in addresses]
    for page in pages:
        announce(page.url)
    return [show.board], pages


def describe_run(bundle: Path, uri: str, pipeline: Pipeline, files: str) -> dict[str, str]:
    """Return what a run's page and records say of it, label -> text, without passwords."""
    manifest = pipeline.manifest
    (height_px, width_px), prior = manifest.input.size_hw, manifest.model.prior
    rendered = {"Footage": "simulated: rendered by a program"} if uri.startswith("sim:") else {}
    return {
        "Source": redact(uri),
        **rendered,
        **({"Files": files} if files else {}),
        "Bundle": escape(bundle),
        "Model": manifest.model.name + (f" with the edges of {prior}" if prior != "none" else ""),
        "Precision": manifest.precision.upper(),
        "Model size": f"{width_px} x {height_px} px",
        "Threshold": str(manifest.decision),
        "Engine": pipeline.engine,
        "Machine": machine_name(),
        "Date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Version": f"scnet-edge {__version__}",
    }


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end the run in order: `stop` is set, what waits is written, exit 0.

    The second one ends the process at once. Signals arrive in the main thread; a run in another
    thread is left to whoever started it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False  # `stop` does not tell: it is set at the end of every run

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        stop.set()

    before = {number: signal.signal(number, end) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
