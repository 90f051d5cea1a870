"""All films of a manifest, by worker processes or a cluster; what is done is never done again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

from scnet_edge.archive.cluster import join_cluster
from scnet_edge.archive.folder import (
    DONE,
    Done,
    Job,
    open_archive,
    own_film_folder,
    read_archive,
    read_done,
)
from scnet_edge.archive.processes import ProcessCrew
from scnet_edge.archive.workers import work
from scnet_edge.errors import ConfigError
from scnet_edge.folders import lock_folder
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.osd_counter import SCHEME
from scnet_edge.inspection.osd_odometry import check_recogniser, parse_counter

Crew = Literal["processes", "ray"]


def run_archive(
    manifest: Path,
    job: Job,
    archive: Path,
    *,
    workers: int,
    crew: Crew = "processes",
    address: str = "auto",
    gpus: float = 0.0,
    retry_failed: bool = False,
    report: Callable[[Done], None] = lambda done: None,
    begin: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> None:
    """Inspect all films of a manifest that are not done yet.

    Args:
        manifest: the file that `archive scan` wrote.
        job: what is done to each film.
        archive: the folder of the results: new, empty, or to go on with.
        workers: how many films at a time.
        crew: processes of this machine, or actors of a Ray cluster at `address`, each with such a
            share of a GPU.
        retry_failed: try films again that failed.
        report: called with what came of each film.
        begin: called once with how many films are done and how many there are.
        stop: set it to end soon.

    Raises:
        ConfigError: the folder holds something else, is in use, Ray is not there, or an odometry
            that cannot be.
        ScnetEdgeError, OSError: as `work`.
    """
    _check_odometry(job)
    rows = open_archive(archive, manifest, job)
    with closing(lock_folder(archive, ConfigError(f"{archive}: another 'archive run' is at it"))):
        if retry_failed:
            for film in rows.films:
                done = read_done(archive, film)
                if done is not None and done.state == "failed":
                    (own_film_folder(archive, film) / DONE).unlink()
        todo = [film for film in rows.films if read_done(archive, film) is None]
        begin(len(rows.films) - len(todo), len(rows.films))
        ended = stop or threading.Event()
        if crew == "ray":
            with join_cluster(address, job, archive, gpus) as actors:
                work(todo, archive, actors, workers=workers, report=report, stop=ended)
        else:
            processes = ProcessCrew(job, archive)
            work(todo, archive, processes, workers=workers, report=report, stop=ended)


def _check_odometry(job: Job) -> None:
    """Raise ConfigError where no film could be inspected: before the first, not at each."""
    if job.odometry is not None and job.odometry.startswith(SCHEME):
        parse_counter(job.odometry)
        check_recogniser()
    else:
        with open_odometry(job.odometry, job.setup):
            pass


def status_of(archive: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many films there are by state, and how many failed by reason.

    Raises:
        InputError: no archive there.
    """
    _, manifest, done = read_archive(archive)
    states = Counter(d.state for d in done.values())
    unreadable = [r for r in manifest.rows if r.kind == "film" and r.state == "unreadable"]
    counts = {
        "films": len(manifest.films) + len(unreadable),
        "inspected": states["inspected"],
        "cut": states["cut"],
        "failed": states["failed"],
        "waiting": len(manifest.films) - len(done),
        "unreadable": len(unreadable),
        "cracks": sum(d.cracks for d in done.values()),
    }
    reasons = Counter(_kind_of(d.reason, d.path) for d in done.values() if d.state == "failed")
    reasons.update(row.reason for row in unreadable)
    return counts, dict(reasons.most_common())


def _kind_of(reason: str, path: str) -> str:
    """Return a reason without the film it is about, so that the same reasons count as one."""
    return reason.replace(f"{path}: ", "").replace(path, "the film")
