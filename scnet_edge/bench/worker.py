"""A case in a process of its own, told what to do by lines of JSON: both ends of the pipe.

Nothing is imported before the clock of the first mask runs but what a robot would import, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from scnet_edge.bench.schema import Case, EngineProfile, Scope
from scnet_edge.child import child_command
from scnet_edge.errors import EngineError, ScnetEdgeError

if TYPE_CHECKING:
    from scnet_edge.bench.subject import BenchmarkSubject
    from scnet_edge.types import Frame

TIMEOUT_S = 900.0  # torch.compile and a TensorRT plan take minutes
MODULE = "scnet_edge.bench.worker"
# They would slow PyTorch alone; threads are for the suite to say, of every engine alike.
OF_ONE_ENGINE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerProcess:
    """One case, loaded in a process that nothing else shares; ends with the context."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `close`)
        self._started_ns = time.monotonic_ns()
        try:
            self._process = subprocess.Popen(
                child_command(MODULE),
                env={k: v for k, v in os.environ.items() if k not in OF_ONE_ENGINE},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        except OSError as e:
            self._errors.close()
            raise EngineError(f"no process for it starts here ({e}); end other programs") from e

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def open(self, order: Order) -> dict[str, Any]:
        """Return the answer to an order to open, whose clock runs since this process was made."""
        return self.ask(msgspec.structs.replace(order, started_ns=self._started_ns))

    def ask(self, order: Order) -> dict[str, Any]:
        """Return the answer to an order.

        Raises:
            EngineError: the worker says so, has died, or does not answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EngineError(self._last_words()) from None
        if not select.select([self._process.stdout], [], [], TIMEOUT_S)[0]:
            raise EngineError(f"no answer to {order.do!r} within {TIMEOUT_S:.0f} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EngineError(self._last_words())
        answer: dict[str, Any] = msgspec.json.decode(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer

    def close(self) -> None:
        """Hang up; kill a worker that does not end by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> WorkerProcess:
        """Return itself, already started."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End the process."""
        self.close()

    def _last_words(self) -> str:
        """Return how the process ended and the last line it wrote to standard error."""
        status = self._process.wait(10)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with status {status}" + (f": {lines[-1][:300]}" if lines else "")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One line from the runner; `do` says which of the others count."""

    do: Literal["open", "time", "memory", "score", "profile"]
    case: Case | None = None
    bundle: str = ""
    cache: str = ""
    threads: int | None = None
    started_ns: int = 0  # CLOCK_MONOTONIC when this process was asked for
    scope: Scope = "engine"
    seconds: float = 1.0
    frames: int = 1
    data: str = ""
    images: int = 0


class Worker:
    """Answers orders; each answer is one line of JSON, `{"error": ...}` where it failed."""

    def __init__(self) -> None:
        self._subject: BenchmarkSubject | None = None
        self._opened: Order | None = None
        self._frames: list[Frame] = []

    def answer(self, order: Order) -> dict[str, Any]:
        """Do what an order says."""
        if order.do == "open":
            return self.open(order)
        assert self._subject is not None
        assert self._opened is not None
        if order.do == "time":
            turn = self._subject.time(
                order.scope, self._frames, seconds=order.seconds, at_most=order.frames
            )
            return dataclasses.asdict(turn)
        if order.do == "memory":
            return {"rss_mb": peak_rss_mb()}
        if order.do == "score":
            return score(self._subject, order.data, order.images)
        return {"profile": profile(self._opened)}

    def open(self, order: Order) -> dict[str, Any]:
        """Load the case, make the first mask, and say how long after the start that was."""
        from scnet_edge.bench.subject import BenchmarkSubject

        assert order.case is not None
        threads, cache = order.threads, Path(order.cache)
        self._opened = order
        self._subject = BenchmarkSubject(order.case, Path(order.bundle), threads, cache)
        h, w = self._subject.frame_hw
        import numpy as np

        self._subject.pipeline(np.full((h, w, 3), 128, np.uint8))
        first_mask_ms = (time.monotonic_ns() - order.started_ns) / 1e6
        from scnet_edge.simulation.clip import render_clip

        self._frames = [frame for frame, _ in render_clip(4, (h, w), seed=9)]
        return {
            "first_mask_ms": first_mask_ms,
            "device": self._subject.backend.name,
            "sha256": self._subject.sha256,
            "engine_threads": self._subject.threads,
        }


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far, in 1e6 bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    match = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.M)
    # getrusage alone would count a peak of the parent's, before it forked
    kib = int(match[1]) if match else getrusage(RUSAGE_SELF).ru_maxrss
    return round(kib * 1024 / 1e6, 1)


def score(subject: BenchmarkSubject, data: str, images: int) -> dict[str, Any]:
    """Return pixel F1 of the masks of annotated images, evenly spaced, the same for every case."""
    from scnet_edge.bench.scoring import choose_samples
    from scnet_edge.evaluation.bootstrap import interval
    from scnet_edge.evaluation.metrics import add_up, as_map, count, score_at

    samples = choose_samples(data, images)
    counts = []
    for sample in samples:
        mask, truth = subject.pipeline(sample.read_frame()).mask, sample.read_truth()
        counts.append(count(as_map(mask), truth.crack, ignored=truth.ignored))
    return {
        "f1": score_at(add_up(counts), 1).f1,
        "f1_ci95": interval(counts, lambda c: score_at(c, 1).f1),
        "images": len(counts),
        "data": f"{data.partition(':')[0]} test",
    }


def profile(order: Order) -> EngineProfile:
    """Return where OpenVINO's time goes; no other engine is asked."""
    from scnet_edge.bench.profile import profile_openvino

    assert order.case is not None
    return profile_openvino(order.case, Path(order.bundle), order.threads)


def main() -> None:
    """Answer until the runner hangs up; a mistake is a line, a bug shows its traceback."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what an engine prints is no answer
    worker = Worker()
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        try:
            found = worker.answer(order)
        except ScnetEdgeError as e:
            found = {"error": str(e)}
        answers.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
