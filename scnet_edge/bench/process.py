"""The runner's end of a worker: a child process, asked in lines of JSON."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from typing import Any

import msgspec

from scnet_edge.bench.worker import Order
from scnet_edge.child import child_command
from scnet_edge.errors import EngineError

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
