"""One target under atheris; started by `python -m scripts.fuzz`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

import atheris

# What a parser imports as late as it is called would not be watched, so it is imported here.
with atheris.instrument_imports(include=["scnet_edge", "mcap", "rosbags", "tomllib"]):
    import scnet_edge.sinks.mcap_file  # noqa: F401
    from scripts.fuzz.targets import TARGETS

LONGEST_S = 30  # of processor, for one input


class TooLongError(BaseException):
    """An input took too long; no error of a reader's, so that none catches it."""


def main(name: str, cpu_s: float, options: list[str]) -> None:
    """Run libFuzzer on a target until so much time of the processor is used."""
    target = TARGETS[name]

    def run_one(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
        target(data)
        signal.setitimer(signal.ITIMER_PROF, 0)

    signal.signal(signal.SIGPROF, _too_long)
    threading.Thread(target=_end_after, args=(cpu_s,), daemon=True).start()
    atheris.Setup([sys.argv[0], *options], run_one)
    atheris.Fuzz()


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLongError(f"over {LONGEST_S} s of processor")


def _end_after(cpu_s: float) -> None:
    """Let libFuzzer end with its figures; the time of a busy machine would not say much."""
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGUSR1)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
