"""Sinks by one word each, as `--sink` takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from scnet_edge.errors import ConfigError, install_extra
from scnet_edge.redaction import redact
from scnet_edge.sinks.queued import Outlet, Queued
from scnet_edge.sinks.run_records import Recorder

SUPPORTED = (
    "jsonl:PATH, mcap:PATH, video:PATH.avi, masks:FOLDER, rosbag:FOLDER, ros2://PREFIX "
    "or mqtt://HOST/TOPIC"
)


@contextmanager
def open_sinks(
    specs: Sequence[str],
    recorder: Recorder,
    *,
    fps: float | None = None,
    backpressure: bool = False,
    on_failure: Callable[[], object] = lambda: None,
) -> Iterator[list[Queued[Any]]]:
    """Open every sink; on leaving, all of them get the same few seconds to write what waits.

    Args:
        specs: such as `jsonl:run.jsonl`; see the package's docstring.
        recorder: makes the records of this run.
        fps: of the source, if it has one.
        backpressure: frames wait for a sink that is behind, instead of being dropped: for files.
        on_failure: called for each item that a sink could not write.

    Raises:
        ConfigError: an unknown kind of sink, one whose package is not installed, or a file or
            folder that cannot be made.
    """
    sinks: list[Queued[Any]] = []
    try:
        for spec in specs:
            outlet = _outlet(spec, recorder, fps)
            name = redact(spec)
            sinks.append(Queued(outlet, name, backpressure=backpressure, on_failure=on_failure))
        yield sinks
    finally:
        _close_all(sinks)


def _outlet(spec: str, recorder: Recorder, fps: float | None) -> Outlet[Any]:
    kind, _, rest = spec.partition(":")
    if not rest.strip("/") and kind != "ros2":
        raise ConfigError(f"sink {redact(spec)!r}: expected {SUPPORTED}")
    try:
        match kind:
            case "jsonl":
                from scnet_edge.sinks.json_lines import JsonLines

                return JsonLines(Path(rest), recorder)
            case "mcap":
                from scnet_edge.sinks.mcap_file import McapFile

                return McapFile(Path(rest), recorder)
            case "video":
                from scnet_edge.sinks.media import OverlayVideo

                return OverlayVideo(Path(rest), fps=fps)
            case "masks":
                from scnet_edge.sinks.media import MaskFiles

                return MaskFiles(Path(rest) / recorder.run.run_id)
            case "mqtt" | "mqtts":
                from scnet_edge.sinks.mqtt import Mqtt

                return Mqtt(spec, recorder)
            case "ros2":
                from scnet_edge.sinks.ros2_topics import Ros2Topics

                return Ros2Topics(spec, recorder)
            case "rosbag":
                from scnet_edge.sinks.rosbag_file import RosbagFile, parse_rosbag

                folder, storage = parse_rosbag(rest)
                return RosbagFile(folder, recorder, storage=storage)
    except ModuleNotFoundError as e:
        extra = "ros" if kind in ("ros2", "rosbag") else "robot"
        raise ConfigError(
            f"sink {redact(spec)!r} needs the package {e.name}; {install_extra(extra)}"
        ) from e
    except OSError as e:
        reason = f"{e.strerror or e}{f': {e.filename}' if e.filename else ''}"
        raise ConfigError(
            f"sink {redact(spec)!r}: cannot be opened ({reason}); name another place"
        ) from e
    raise ConfigError(f"sink {redact(spec)!r}: unknown kind, expected {SUPPORTED}")


def _close_all(sinks: Sequence[Queued[Any]]) -> None:
    """Close them side by side, so that one that hangs takes no time from the others."""
    errors: list[BaseException] = []

    def close(sink: Queued[Any]) -> None:
        try:
            sink.close()
        except BaseException as e:  # carried to the caller's thread
            errors.append(e)

    threads = [Thread(target=close, args=(sink,)) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
