"""Worker processes on one machine: each takes one film at a time, and may be killed at any moment.

A film whose worker died is given to another, which goes on where the last commit was. One that
takes its worker with it every time, such as a file that crashes the decoder, is marked as failed.
"""

from __future__ import annotations

import subprocess
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from scnet_edge.archive.film import inspect_film
from scnet_edge.archive.folder import SURVEY, Done, Job, film_folder, mark_done
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.child import child_command, end_with_parent
from scnet_edge.errors import EngineError, ScnetEdgeError, SurveyError
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.survey.folder import read_survey

READY, STARTING = "ready", ("", 0)
STARTS = 20  # that may die in a row before one is ready
DEATHS = 4  # without any progress in between, until a film is given up
_STOP_S = 30.0  # to commit, once told to stop


def work(
    films: Iterable[ManifestRow],
    job: Job,
    archive: Path,
    *,
    workers: int,
    report: Callable[[Done], None],
    stop: threading.Event,
) -> None:
    """Inspect films in so many processes and mark each as done.

    Args:
        films: those that are to be done.
        job: what is done to each.
        archive: the folder of the results.
        workers: how many processes.
        report: called with what came of each film, as it comes.
        stop: set it to end soon; films at hand are committed, and go on another time.

    Raises:
        ScnetEdgeError: the bundle or its engine cannot be used; films that are done stay done.
        OSError: the disk is full or refuses.
    """
    waiting, crew = deque(films), list[_Worker]()
    deaths = Counter[tuple[str, int]]()
    try:
        while (waiting or any(w.film for w in crew)) and not stop.is_set():
            for worker in crew:
                if worker.ready and waiting:
                    worker.give(waiting.popleft())
            wanted = len(waiting) + sum(worker.film is not None for worker in crew)
            while len(crew) < min(workers, wanted):
                crew.append(_start(job, archive))
            for worker in _wait_for_answers(crew):
                film, answer = worker.film, worker.answer()
                if isinstance(answer, Exception):
                    raise answer
                if answer == READY:
                    deaths[STARTING] = 0
                if answer is None:
                    crew.remove(worker)
                    answer = _fallen(film, worker, archive, deaths)
                    if answer is None and film is not None:
                        waiting.appendleft(film)
                if isinstance(answer, Done) and film is not None:
                    mark_done(archive, film, answer)
                    report(answer)
    finally:
        for worker in crew:
            worker.end()
        for worker in crew:
            worker.join()


def _fallen(
    film: ManifestRow | None, worker: _Worker, archive: Path, deaths: Counter[tuple[str, int]]
) -> Done | None:
    """Count a death; return that the film has failed if that is what it dies of."""
    reached = STARTING if film is None else (film.film_id, _frames(archive, film))
    deaths[reached] += 1
    if film is None and deaths[reached] >= STARTS:
        raise EngineError(f"{STARTS} workers in a row died as they started ({worker.ending()})")
    if film is None or deaths[reached] < DEATHS:
        return None
    return given_up(film, worker.ending())


def given_up(film: ManifestRow, ending: str) -> Done:
    """Return what is said of a film whose workers die, and how they do."""
    reason = f"{film.path}: its worker died {DEATHS} times ({ending}); convert the film"
    return Done(film=film.film_id, path=film.path, state="failed", reason=reason)


@dataclass(eq=False)
class _Worker:
    """A process, and the film it is at."""

    process: subprocess.Popen[bytes]
    line: Connection
    film: ManifestRow | None = None
    ready: bool = False

    def give(self, film: ManifestRow) -> None:
        self.film, self.ready = film, False
        with suppress(BrokenPipeError):  # it is dead; `_wait_for_answers` finds that out
            self.line.send(film)

    def answer(self) -> Done | Exception | str | None:
        """Return what came of the film, or that it is ready for one; None if the process died."""
        try:
            answer: Done | Exception | str = self.line.recv()
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_S)
            return None
        self.film, self.ready = None, True
        return answer

    def ending(self) -> str:
        """Return how the process died."""
        code = self.process.returncode
        return f"signal {-code}" if code and code < 0 else f"status {code}"

    def end(self) -> None:
        """Ask it to commit what it has and end."""
        self.line.close()
        self.process.terminate()

    def join(self) -> None:
        """Wait for it, not forever."""
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _start(job: Job, archive: Path) -> _Worker:
    ours, theirs = Pipe()
    with theirs:
        command = child_command(__name__, theirs.fileno())
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    with suppress(BrokenPipeError):
        ours.send((job, archive))
    return _Worker(process, ours)


def _wait_for_answers(crew: list[_Worker]) -> list[_Worker]:
    """Return the workers that have answered or died; waits for a moment at most."""
    lines = wait([worker.line for worker in crew], timeout=0.5)
    return [worker for worker in crew if worker.line in lines]


def _frames(archive: Path, film: ManifestRow) -> int:
    """Return how far a film has come, in frames that are committed."""
    try:
        progress = read_survey(film_folder(archive, film) / SURVEY).progress
    except SurveyError:
        return 0
    return 0 if progress is None else progress.frames


def main(line_fd: int) -> None:
    """Inspect films that come over a line, a socket, behind what is to be done with each.

    It ends when nobody is at the other end.
    """
    end_with_parent()
    line = Connection(line_fd)
    try:
        job, archive = line.recv()
        pipeline = Pipeline.open(job.bundle, engine=job.engine, threads=job.threads)
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
