"""Workers that are actors of a Ray cluster: Ray says which machine has room for which.

Every machine sees the films and the archive's folder under the same paths, and has this package.
An actor that Ray has no room for is given no film. One that dies, with its machine or alone, is
replaced like any worker; the marker on the shared disk makes a film that is done twice harmless.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from socket import gethostname
from typing import Any

from scnet_edge import __version__
from scnet_edge.archive.film import inspect_film, open_net
from scnet_edge.archive.folder import Done, Job
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.archive.workers import READY, Answer
from scnet_edge.errors import ConfigError, EngineError, ScnetEdgeError, install_extra


class FilmActor:
    """An engine that inspects one film after another."""

    def __init__(self, job: Job, archive: Path) -> None:
        self._job, self._archive = job, archive

    def open(self, version: str) -> str:
        """Load the bundle; apart from the constructor, whose errors Ray takes for a death.

        Raises:
            EngineError: the machine has another version of this package.
        """
        if version != __version__:
            raise EngineError(
                f"{gethostname()}: expected scnet-edge {version} as here, found {__version__}; "
                "install the same version on every machine of the cluster"
            )
        self._pipeline = open_net(self._job)
        return READY

    def inspect(self, film: ManifestRow) -> Done | None:
        """Inspect a film; None if it was told to stop."""
        return inspect_film(film, self._job, self._pipeline, self._archive)


@dataclass(frozen=True, slots=True)
class RayCrew:
    """Starts actors that inspect films of a job, each with such a share of a GPU."""

    job: Job
    archive: Path
    gpus: float

    def start(self) -> ActorWorker:
        """Ask for an actor; it loads the bundle once Ray has found room for it."""
        import ray

        needs = {"num_cpus": self.job.threads or 1, "num_gpus": self.gpus}
        actor = ray.remote(**needs)(FilmActor).remote(self.job, self.archive)
        return ActorWorker(actor, actor.open.remote(__version__))

    def wait(self, workers: Sequence[ActorWorker]) -> list[ActorWorker]:
        """Return the workers that have answered or died."""
        import ray

        asked = [worker.asked for worker in workers if not worker.ready]
        answered = ray.wait(asked, num_returns=len(asked), timeout=0.5)[0] if asked else []
        return [worker for worker in workers if worker.asked in answered]


@dataclass(eq=False)
class ActorWorker:
    """An actor, and what it was asked last."""

    actor: Any
    asked: Any
    film: ManifestRow | None = None
    ready: bool = False
    _ending: str = "told to stop"

    def give(self, film: ManifestRow) -> None:
        """Send a film."""
        self.film, self.ready = film, False
        self.asked = self.actor.inspect.remote(film)

    def answer(self) -> Answer:
        """Return what came back; None if the actor or its machine died.

        Raises:
            EngineError: a machine lacks this package, or Ray fails in another way.
        """
        import ray
        from ray import exceptions

        try:
            answer: Answer = ray.get(self.asked)
        except exceptions.RayTaskError as e:
            if isinstance(e.cause, (ScnetEdgeError, OSError)):
                return e.cause
            raise
        except (exceptions.RayActorError, exceptions.OutOfMemoryError) as e:
            if isinstance(e, exceptions.RayActorError) and e.actor_init_failed:
                raise EngineError(
                    f"a machine of the cluster cannot start a worker: {_last_line(e)}"
                ) from e
            self._ending = f"{type(e).__name__}, see Ray's logs"
            return None
        except exceptions.RayError as e:
            raise EngineError(f"Ray gave up: {_last_line(e)}") from e
        self.film, self.ready = None, answer is not None
        return answer

    def ending(self) -> str:
        """Return what Ray says of its end."""
        return self._ending

    def end(self) -> None:
        """End it; what it has committed stays."""
        import ray

        ray.kill(self.actor)

    def join(self) -> None:
        """Ray sees to it."""


@contextmanager
def join_cluster(address: str, job: Job, archive: Path, gpus: float) -> Iterator[RayCrew]:
    """Yield a crew of actors on a Ray cluster.

    Args:
        address: of the cluster: `auto` or `HOST:6379`; `local` starts one on this machine.
        job, archive: what is done to each film, and the folder of the results.
        gpus: what share of a GPU each actor is given.

    Raises:
        ConfigError: Ray is not installed, no cluster answers, one of this machine does not start,
            or no machine is large enough.
    """
    if find_spec("ray") is None:
        raise ConfigError(f"--engine ray: Ray is not installed; {install_extra('ray')}")
    import ray

    try:
        with _own_signals(), _StartInTime(address):
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ImportError, ConnectionError, RuntimeError, ValueError) as e:
        reason = str(e).strip().splitlines()[0]
        raise ConfigError(f"--address {address}: no Ray cluster there ({reason})") from e
    try:
        _check_room(ray.nodes(), cpus=job.threads or 1, gpus=gpus)
        yield RayCrew(job, archive, gpus)
    finally:
        ray.shutdown()


@dataclass(frozen=True, slots=True)
class _StartInTime:
    """Says in one line that Ray did not start: it raises an Exception of no kind of its own."""

    address: str

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if kind is Exception:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"--address {self.address}: Ray did not start ({reason}); is the machine busy?"
            ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give SIGTERM back to whom it belonged: Ray takes it and exits."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _last_line(e: Exception) -> str:
    return str(e).strip().splitlines()[-1].strip()


def _check_room(nodes: Sequence[dict[str, Any]], *, cpus: float, gpus: float) -> None:
    """Raise ConfigError where every worker would wait for room forever."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(r.get("CPU", 0) >= cpus and r.get("GPU", 0) >= gpus for r in alive):
        raise ConfigError(
            f"--engine ray: expected a machine with {cpus:g} CPUs and {gpus:g} GPUs for a worker, "
            f"found none among {len(alive)}; lower --threads or --gpus"
        )
