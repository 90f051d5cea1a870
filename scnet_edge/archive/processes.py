"""Workers that are processes of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from scnet_edge.archive.film import inspect_film, open_net
from scnet_edge.archive.folder import Job
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.archive.workers import READY, Answer
from scnet_edge.child import child_command, end_with_parent
from scnet_edge.errors import ScnetEdgeError

_STOP_S = 30.0  # to commit, once told to stop


@dataclass(frozen=True, slots=True)
class ProcessCrew:
    """Starts processes that inspect films of a job."""

    job: Job
    archive: Path

    def start(self) -> FilmProcess:
        """Start a process; it loads the bundle first."""
        ours, theirs = Pipe()
        with theirs:
            line = theirs.fileno()
            command = child_command(__name__, line)
            process = subprocess.Popen(command, pass_fds=[line], stdin=subprocess.DEVNULL)
        with suppress(BrokenPipeError):
            ours.send((self.job, self.archive))
        return FilmProcess(process, ours)

    def wait(self, workers: Sequence[FilmProcess]) -> list[FilmProcess]:
        """Return the workers that have answered or died."""
        lines = wait([worker.line for worker in workers], timeout=0.5)
        return [worker for worker in workers if worker.line in lines]


@dataclass(eq=False)
class FilmProcess:
    """A process, and the line to it."""

    process: subprocess.Popen[bytes]
    line: Connection
    film: ManifestRow | None = None
    ready: bool = False

    def give(self, film: ManifestRow) -> None:
        """Send a film."""
        self.film, self.ready = film, False
        with suppress(BrokenPipeError):  # it is dead; the next wait finds that out
            self.line.send(film)

    def answer(self) -> Answer:
        """Return what it has sent; None if it died."""
        try:
            answer: Answer = self.line.recv()
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_S)
            return None
        self.film, self.ready = None, True
        return answer

    def ending(self) -> str:
        """Return the signal or the status that it ended with."""
        code = self.process.returncode
        return f"signal {-code}" if code and code < 0 else f"status {code}"

    def end(self) -> None:
        """Ask it to commit what it has and end."""
        self.line.close()
        self.process.terminate()

    def join(self) -> None:
        """Wait for it, then kill it."""
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(line_fd: int) -> None:
    """Inspect films that come over a line, a socket, behind what is to be done with each.

    It ends when nobody is at the other end.
    """
    end_with_parent()
    line = Connection(line_fd)
    try:
        job, archive = line.recv()
        pipeline = open_net(job)
        line.send(READY)
        while True:
            film: ManifestRow = line.recv()
            done = inspect_film(film, job, pipeline, archive)
            if done is None:
                return  # told to stop
            line.send(done)
    except (EOFError, BrokenPipeError):
        return
    except (ScnetEdgeError, OSError) as e:  # of the machine: the whole run ends with this line
        with suppress(OSError):
            line.send(e)
