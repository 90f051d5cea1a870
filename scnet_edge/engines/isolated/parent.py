"""An engine in a process of its own, so that a crash in native code takes one frame and no more."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing

import msgspec

from scnet_edge.child import child_command
from scnet_edge.engines.base import Array
from scnet_edge.engines.isolated.worker import MAX_MESSAGE_BYTES, Opening, Reply, SharedArrays
from scnet_edge.errors import EngineCrash, EngineError, EngineGone

MAX_RESTARTS = 5  # within the window; the next crash is one too many
WINDOW_S = 60.0
RUN_TIMEOUT_S = 20.0
FIRST_RUN_TIMEOUTS = 3  # the first frame after a start may have code compiled and memory taken
LOAD_TIMEOUT_S = 3600.0  # TensorRT may build its plan
END_TIMEOUT_S = 2.0
WORKER = "scnet_edge.engines.isolated.worker"

logger = logging.getLogger(__name__)


class IsolatedBackend:
    """A `Backend` whose engine runs in a child process; arrays cross by shared memory.

    A child that dies or hangs costs the frame it was given (`EngineCrash`); the next frame starts
    another child, at most five times in a minute, or in a row. Then the next opening
    takes over, or there is none and every frame raises `EngineGone`. Nothing of it is silent: each
    step is logged and counted, and `name` is the engine that runs.

    Args:
        openings: what to open, then what to fall back to.
        run_timeout_s: longest time one frame may take before its child is killed; the first frame
            after a start may take three times as long.
        max_restarts: crashes, within a minute or in a row, that another child follows; 0 for a
            trial.

    Raises:
        EngineError: the engines refuse the graph or are not installed; with the child's reason,
            whatever error of ours it was there.
        EngineGone: none of them lives long enough to open.
    """

    def __init__(
        self,
        openings: Sequence[Opening],
        *,
        run_timeout_s: float = RUN_TIMEOUT_S,
        max_restarts: int = MAX_RESTARTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._openings = deque(openings)
        self._run_timeout_s = run_timeout_s
        self._max_restarts = max_restarts
        self._clock = clock
        self._crashes_s: deque[float] = deque()
        self._in_a_row = 0  # crashes since the last frame that was answered
        self._child: _Child | None = None
        self._closed = False
        self.crashes = 0  # over its whole life
        self._child = self._start()
        self.name = self._child.name

    @property
    def pid(self) -> int | None:
        """The child's process id; None between a crash and the next frame."""
        return self._child.process.pid if self._child else None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs; raises EngineCrash for a frame that was lost."""
        if self._closed:
            raise EngineError("this isolated backend is closed; open another")
        if self._child is None:
            self._child = self._start()
            self.name = self._child.name
        try:
            outputs = self._child.run(feeds, self._run_timeout_s)
        except EngineCrash as e:
            self._child = None
            self._count(e)
            raise
        self._in_a_row = 0
        return outputs

    def close(self) -> None:
        """End the child; calling it twice is harmless."""
        self._closed = True
        if self._child is not None:
            self._child.close()
            self._child = None

    def _start(self) -> _Child:
        """Open the first engine that lives, in the order of the openings."""
        while True:
            self._forget_old_crashes()
            if (died := max(len(self._crashes_s), self._in_a_row)) > self._max_restarts:
                self._fall_back(
                    EngineGone(
                        f"engine {_label(self._openings[0])}: its process died {died} times "
                        f"within {WINDOW_S:g} s, or in a row; "
                        "see the lines above, run 'scnet-edge doctor', or choose another --engine"
                    )
                )
            try:
                return _Child(self._openings[0])
            except _Refused:
                raise
            except EngineCrash as e:
                self._count(e)
            except EngineError as e:
                self._fall_back(e)

    def _fall_back(self, reason: EngineError) -> None:
        if len(self._openings) == 1:
            raise reason
        failed = self._openings.popleft()
        self._crashes_s.clear()
        self._in_a_row = 0
        logger.error(
            "engine %s: %s; falling back to %s", _label(failed), reason, _label(self._openings[0])
        )

    def _count(self, crash: EngineCrash) -> None:
        self.crashes += 1
        self._crashes_s.append(self._clock())
        self._in_a_row += 1
        logger.error("%s", crash)

    def _forget_old_crashes(self) -> None:
        while self._crashes_s and self._clock() - self._crashes_s[0] > WINDOW_S:
            self._crashes_s.popleft()


class _Refused(EngineCrash):
    """The system has no room for a child now; no fault of the engine's, the next frame tries."""


class _Child:
    """One child process with its engine open; whatever goes wrong ends it for good."""

    def __init__(self, opening: Opening) -> None:
        self.name = _label(opening)
        with ExitStack() as undone:
            try:
                self._control, theirs = map(
                    undone.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                )
                self._feeds = undone.enter_context(closing(SharedArrays(os.memfd_create("feeds"))))
                self._outputs = undone.enter_context(
                    closing(SharedArrays(os.memfd_create("outputs")))
                )
                fds = (theirs.fileno(), self._feeds.fd, self._outputs.fd)
                self.process = subprocess.Popen(
                    child_command(WORKER, *fds), pass_fds=fds, stdin=subprocess.DEVNULL
                )
            except OSError as e:  # no descriptor or memory left: another time, perhaps
                raise _Refused(f"engine {self.name}: cannot be started ({e.strerror})") from e
            theirs.close()
            undone.pop_all()
        reply = self._ask(opening, LOAD_TIMEOUT_S)
        if reply.error:
            self.close()
            raise EngineError(reply.error)
        self.name, self._fresh = reply.name, True

    def run(self, feeds: Mapping[str, Array], timeout_s: float) -> dict[str, Array]:
        """Map named inputs to named outputs, copied out of the shared memory."""
        allowed_s = timeout_s * (FIRST_RUN_TIMEOUTS if self._fresh else 1)
        reply = self._ask(self._feeds.write(feeds), allowed_s)
        self._fresh = False
        if reply.error:
            raise EngineError(reply.error)
        return {name: view.copy() for name, view in self._outputs.read(reply.outputs).items()}

    def close(self, wait_s: float = END_TIMEOUT_S) -> None:
        """Let the child end, or end it, and release what the two shared."""
        self._control.close()
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._feeds.close()
        self._outputs.close()

    def _ask(self, message: object, timeout_s: float) -> Reply:
        """Send a message and return the reply; EngineCrash when there is none."""
        try:
            self._control.settimeout(timeout_s)
            self._control.send(msgspec.json.encode(message))
            answer = self._control.recv(MAX_MESSAGE_BYTES)
        except TimeoutError:
            self.close(wait_s=0)
            raise EngineCrash(
                f"engine {self.name}: no answer within {timeout_s:g} s, killed"
            ) from None
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if not answer:
            self.close()
            raise EngineCrash(
                f"engine {self.name}: its process {_describe_end(self.process.returncode)}"
            )
        return msgspec.json.decode(answer, type=Reply)


def _label(opening: Opening) -> str:
    return opening.engine or opening.factory


def _describe_end(returncode: int) -> str:
    if returncode < 0:
        return f"died of {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"
