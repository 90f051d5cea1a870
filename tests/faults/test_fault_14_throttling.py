"""A board that throttles says so, in every record, in the metrics and on the page."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

from sink_frames import frame_result

from scnet_edge.machine.telemetry import read_sysfs
from scnet_edge.robot.monitoring import open_monitoring
from scnet_edge.runtime.counters import Counters

ZONE = "sys/class/thermal/thermal_zone0"
FILES = {
    f"{ZONE}/type": "gpu-thermal",
    f"{ZONE}/trip_point_0_type": "passive",
    f"{ZONE}/trip_point_0_temp": "87000",
    "sys/class/devfreq/17000000.gpu/cur_freq": "612000000",
    "var/lib/nvpmodel/status": "pmode:0000",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >",
}


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"{text}\n")


def test_throttling_is_in_the_records_and_in_the_metrics(tmp_path: Path) -> None:
    root, path, urls = tmp_path / "root", tmp_path / "run.jsonl", []
    for name, text in {**FILES, f"{ZONE}/temp": "50000"}.items():
        write(root, name, text)
    counters = Counters()
    with open_monitoring(
        counters,
        facts={},
        sinks=[f"jsonl:{path}"],
        live="127.0.0.1:0",
        backpressure=True,
        announce=urls.append,
        telemetry=lambda: read_sysfs(root),
    ) as monitoring:
        sinks, monitor = monitoring.sinks, monitoring.monitor
        for sink in sinks:
            sink.write(frame_result(0))
        write(root, f"{ZONE}/temp", "91000")
        deadline_s = time.monotonic() + 10
        while not monitor.status().telemetry.throttled and time.monotonic() < deadline_s:
            time.sleep(0.02)
        for sink in sinks:
            sink.write(frame_result(1))
        with urllib.request.urlopen(f"{urls[0]}metrics") as answer:
            metrics = answer.read().decode()
    assert "scnet_edge_throttled 1.0" in metrics
    assert 'scnet_edge_temperature_celsius{zone="gpu-thermal"} 91.0' in metrics
    assert 'scnet_edge_clock_hertz{clock="gpu"} 6.12e+08' in metrics
    _, cool, hot = [json.loads(line) for line in path.read_text().splitlines()]
    assert (cool["throttled"], cool["power_mode"], cool["hottest_c"]) == ([], "MAXN", 50.0)
    assert (hot["throttled"], hot["hottest_c"]) == (["hot:gpu-thermal"], 91.0)
    assert hot["clocks_mhz"]["gpu"] == 612.0
