"""The leak verdict: told from real growth of this process, and from drawn curves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.soak.faults import FAULTS
from scnet_edge.soak.soak import parse_faults
from scnet_edge.soak.vitals import Vitals, growth, read_vitals, rss_slope_mb_per_h


def curve(rss_mb: Callable[[float], float], seconds: int = 600, fds: int = 20) -> list[Vitals]:
    return [
        Vitals(at_s=t, rss_mb=rss_mb(t), fds=fds, threads=9, processes=3) for t in range(seconds)
    ]


def test_a_leak_is_told_from_a_warm_up() -> None:
    warm_up = growth(curve(lambda t: 200 + min(t, 60)))
    assert not warm_up["rss_mb"].leaks
    leak = growth(curve(lambda t: 200 + t / 10))
    assert leak["rss_mb"].leaks
    assert leak["rss_mb"].grew == pytest.approx(30, abs=1)
    assert rss_slope_mb_per_h(curve(lambda t: 200 + t / 10)) == pytest.approx(360, rel=0.01)
    assert rss_slope_mb_per_h(curve(lambda t: 200 + t, seconds=60)) is None
    samples = curve(lambda t: 200)[:470] + curve(lambda t: 200, fds=30)[470:]
    assert growth(samples)["fds"].leaks
    fault = curve(lambda t: 200)[:500] + curve(lambda t: 200, fds=90)[500:]
    assert not growth(fault)["fds"].leaks  # taken for a while, and given back before


TOUCH_60_MB = """
from scnet_edge.soak.vitals import read_vitals
before = read_vitals(0.0)
block = bytearray(60 * 2**20)
block[::4096] = b"x" * len(block[::4096])  # touched, so that it is resident
print(read_vitals(1.0).rss_mb - before.rss_mb)
"""


def test_memory_that_is_touched_counts() -> None:
    # In a process of its own: the kernel may take pages back from one as large as a test run's.
    command = [sys.executable, "-c", TOUCH_60_MB]
    grew_mb = float(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert 55 < grew_mb < 70


def test_what_the_kernel_says_of_us_and_our_children() -> None:
    before = read_vitals(0.0)
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    after = read_vitals(1.0)
    assert after.fds - before.fds >= 10 + 1
    assert after.threads - before.threads >= 2  # ours, and the child's
    assert after.processes - before.processes == 1
    over.set()
    thread.join()
    child.communicate()
    for fd in fds:
        os.close(fd)
    assert read_vitals(2.0).processes == before.processes


def test_faults_by_name() -> None:
    assert parse_faults("all") == list(FAULTS)
    assert parse_faults("none") == []
    assert parse_faults("disk_full, clock_jump") == ["disk_full", "clock_jump"]
    with pytest.raises(ConfigError, match="expected all, none or some of camera_hang"):
        parse_faults("earthquake")
