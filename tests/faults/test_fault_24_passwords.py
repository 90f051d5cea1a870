"""A password in a URL is in no message, no record, no metric and on no page."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from sink_frames import frame_result

from scnet_edge.redaction import redact
from scnet_edge.robot.monitoring import open_monitoring
from scnet_edge.runtime.counters import Counters

SECRET = "hunter2"


@pytest.mark.parametrize(
    "options",
    [
        ("--sink", f"mqtt://robot:{SECRET}@broker"),  # no topic
        ("--sink", f"amqp://robot:{SECRET}@broker/x"),  # no such kind
        ("--source", f"rtsq://robot:{SECRET}@camera/1"),  # a spelling mistake
        ("--source", f"rtsq://robot:{SECRET} {SECRET}@camera/1"),
        ("--source", f"rtsp://robot:a\t{SECRET}@camera:port/1"),
        ("--source", f"rtsp:/robot:{SECRET}@camera/1"),
        ("--source", f'gst:nothing location="rtsp://robot:a {SECRET}@127.0.0.1:9/" ! appsink'),
        ("--source", f"gst:nothing user-pw={SECRET} {SECRET} ! appsink"),
        ("--source", f"sim://robot:{SECRET} {SECRET}@pipe"),
        ("--sink", f"mqtt://robot:{SECRET} x@broker:port/t"),
        ("--sink", f"mqtt://robot:1/{SECRET}@broker/t"),
    ],
)
def test_messages_do_not_repeat_it(
    command_line: Callable[..., subprocess.CompletedProcess[str]],
    darkness_bundle: Callable[[tuple[int, int]], Path],
    options: tuple[str, ...],
) -> None:
    source = () if "--source" in options else ("--source", "sim://pipe?frames=1")
    done = command_line("run", str(darkness_bundle((64, 96))), *source, *options)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("scnet-edge: ")
    assert "***" in done.stderr


def test_records_metrics_and_page_do_not_hold_it(tmp_path: Path) -> None:
    source = redact(f"rtsp://robot:{SECRET}@camera/1?password={SECRET}")
    sink, urls = f"jsonl:{tmp_path / 'run.jsonl'}", []
    broker = f"mqtt://robot:{SECRET}@127.0.0.1:9/robot"  # nobody listens there
    with open_monitoring(
        Counters(),
        facts={"Source": source},
        sinks=[sink, broker],
        live="127.0.0.1:0",
        announce=urls.append,
    ) as monitoring:
        for each in monitoring.sinks:
            each.write(frame_result(0))
        for path in ("metrics", "status.json", ""):
            with urllib.request.urlopen(urls[0] + path) as answer:
                text = answer.read().decode()
            assert SECRET not in text
            assert path != "metrics" or "mqtt://***@127.0.0.1:9/robot" in text
    assert SECRET not in (tmp_path / "run.jsonl").read_text()
