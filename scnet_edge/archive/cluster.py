"""The same work on a Ray cluster: which machine takes which film, and again, is for Ray to say.

Every machine sees the films and the archive's folder under the same paths. Actors hold an engine
each. One that dies is started again by Ray, and its film with it; the marker on the shared disk
makes a film that is done twice harmless.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scnet_edge.archive.film import inspect_film
from scnet_edge.archive.folder import Done, Job, mark_done, read_done
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.archive.workers import DEATHS, given_up
from scnet_edge.errors import ConfigError, EngineError, install_extra
from scnet_edge.runtime.pipeline import Pipeline


class FilmWorker:
    """An engine that inspects one film after another; an actor on a cluster."""

    def __init__(self, job: Job, archive: Path) -> None:
        self._job, self._archive = job, archive
        self._pipeline = Pipeline.open(job.bundle, engine=job.engine, threads=job.threads)

    def inspect(self, film: ManifestRow) -> Done | None:
        """Inspect a film and mark it, unless it is marked; None if it was told to stop."""
        done = read_done(self._archive, film)
        if done is None:
            done = inspect_film(film, self._job, self._pipeline, self._archive)
            if done is not None:
                mark_done(self._archive, film, done)
        return done


def work_on_cluster(
    films: Iterable[ManifestRow],
    job: Job,
    archive: Path,
    *,
    workers: int,
    address: str,
    report: Callable[[Done], None],
    stop: threading.Event,
    gpus: float = 0.0,
) -> None:
    """Inspect films with so many actors of a Ray cluster.

    Args:
        films, job, archive, workers, report, stop: as `work` takes them.
        address: of the cluster: `auto`, `HOST:6379`, `ray://HOST:10001`.
        gpus: what share of a GPU each actor is given.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers.
        EngineError: an actor cannot open the bundle, or Ray fails.
    """
    if find_spec("ray") is None:
        raise ConfigError(f"--engine ray: Ray is not installed; {install_extra('ray')}")
    import ray
    from ray.exceptions import RayActorError, RayError

    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as e:
        raise ConfigError(f"--address {address}: no Ray cluster there ({e})") from e
    try:
        actor_kind = ray.remote(
            num_cpus=job.threads or 1,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=DEATHS - 1,
        )(FilmWorker)
        idle = [actor_kind.remote(job, archive) for _ in range(workers)]
        waiting, at = deque(films), dict[Any, tuple[Any, ManifestRow]]()
        while (waiting or at) and not stop.is_set():
            while idle and waiting:
                actor, film = idle.pop(), waiting.popleft()
                at[actor.inspect.remote(film)] = actor, film
            for answer in ray.wait(list(at), timeout=1.0)[0]:
                actor, film = at.pop(answer)
                idle.append(actor)
                try:
                    done = ray.get(answer)
                except RayActorError:
                    done = given_up(film, "see Ray's messages")
                    mark_done(archive, film, done)
                if done is not None:
                    report(done)
    except RayError as e:
        raise EngineError(f"Ray gave up: {str(e).strip().splitlines()[-1]}") from e
    finally:
        ray.shutdown()
