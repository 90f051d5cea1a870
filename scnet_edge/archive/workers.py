"""Films over workers: each takes one film at a time, and may die at any moment.

A film whose worker died is given to another, which goes on where the last commit was. One that
takes its worker with it every time, such as a file that crashes the decoder, is marked as failed.
A worker that dies as it starts is replaced; after some in a row, one more for each film that gets
done. Only where none is at a film, and many die in a row, is the machine at fault.
What a worker is, a process here or an actor on a cluster, is for its crew to say.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar

from scnet_edge.archive.folder import SURVEY, Done, film_folder, mark_done
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.errors import EngineError, ScnetEdgeError, SurveyError
from scnet_edge.survey.folder import read_survey

READY: Literal["ready"] = "ready"
STARTING = ("", 0)
STARTS = 20  # that may die in a row, with no worker at a film
TRIES = 3  # starts that may die in a row, until the next waits for a film that gets done
DEATHS = 4  # without any progress in between, until a film is given up
Answer: TypeAlias = Done | ScnetEdgeError | OSError | Literal["ready"] | None
Deaths: TypeAlias = Counter[tuple[str, int]]


class FilmWorker(Protocol):
    """A process that inspects films, somewhere.

    Attributes:
        film: the one that it is at.
        ready: it waits for a film.
    """

    film: ManifestRow | None
    ready: bool

    def give(self, film: ManifestRow) -> None:
        """Let it begin with a film."""

    def answer(self) -> Answer:
        """Return what came of the film, what is wrong with the machine, or that it is ready.

        None: it is dead, or was told to stop.
        """

    def ending(self) -> str:
        """Return how it died, in a few words."""

    def end(self) -> None:
        """Tell it to end."""

    def join(self) -> None:
        """Wait for its end, not forever."""


AnyWorker = TypeVar("AnyWorker", bound=FilmWorker)


class Crew(Protocol[AnyWorker]):
    """Where workers come from."""

    def start(self) -> AnyWorker:
        """Start a worker; it is ready once it says so."""

    def wait(self, workers: Sequence[AnyWorker]) -> list[AnyWorker]:
        """Return the workers that have answered or died; waits for a moment at most."""


def work(
    films: Iterable[ManifestRow],
    archive: Path,
    crew: Crew[AnyWorker],
    *,
    workers: int,
    report: Callable[[Done], None],
    stop: threading.Event,
) -> None:
    """Inspect films with so many workers and mark each as done.

    Args:
        films: those that are to be done.
        archive: the folder of the results.
        crew: starts workers.
        workers: how many.
        report: called with what came of each film, as it comes.
        stop: set it to end soon; films at hand go on another time.

    Raises:
        ScnetEdgeError: the bundle or its engine cannot be used, or no worker lives until it is
            ready; films that are done stay done.
        OSError: the disk is full or refuses.
    """
    waiting, at_work, deaths = deque(films), list[AnyWorker](), Deaths()
    try:
        while (waiting or _is_at_a_film(at_work)) and not stop.is_set():
            _give_films(at_work, waiting)
            wanted = len(waiting) + sum(worker.film is not None for worker in at_work)
            while len(at_work) < min(workers, wanted) and _may_start(at_work, deaths):
                at_work.append(crew.start())
            for worker in crew.wait(at_work):
                film, answer = worker.film, worker.answer()
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    deaths[STARTING] = 0
                else:
                    at_work.remove(worker)
                    answer = count_death(film, worker, archive, deaths)
                    if deaths[STARTING] >= STARTS and not _is_at_a_film(at_work):
                        ending = worker.ending()
                        raise EngineError(
                            f"{STARTS} workers in a row died as they started ({ending})"
                        )
                    if answer is None and film is not None:
                        waiting.appendleft(film)
                if isinstance(answer, Done) and film is not None:
                    _give_films(at_work, waiting)  # none waits for the disk
                    mark_done(archive, film, answer)
                    report(answer)
    finally:
        for worker in at_work:
            worker.end()
        for worker in at_work:
            worker.join()


def _give_films(workers: Iterable[FilmWorker], waiting: deque[ManifestRow]) -> None:
    for worker in workers:
        if worker.ready and waiting:
            worker.give(waiting.popleft())


def _is_at_a_film(workers: Iterable[FilmWorker]) -> bool:
    return any(worker.film is not None for worker in workers)


def _may_start(workers: Iterable[FilmWorker], deaths: Deaths) -> bool:
    return deaths[STARTING] < TRIES or not _is_at_a_film(workers)


def count_death(
    film: ManifestRow | None, worker: FilmWorker, archive: Path, deaths: Deaths
) -> Done | None:
    """Count a death; return that the film has failed if that is what its workers die of."""
    reached = STARTING if film is None else (film.film_id, _frames(archive, film))
    deaths[reached] += 1
    if film is None or deaths[reached] < DEATHS:
        return None
    reason = f"{film.path}: its worker died {DEATHS} times ({worker.ending()}); convert the film"
    return Done(film=film.film_id, path=film.path, state="failed", reason=reason)


def _frames(archive: Path, film: ManifestRow) -> int:
    """Return how far a film has come, in frames that are committed."""
    try:
        progress = read_survey(film_folder(archive, film) / SURVEY).progress
    except SurveyError:
        return 0
    return 0 if progress is None else progress.frames
