"""The loop over workers with a crew of this process, and real actors where Ray is installed.

pip install '.[ray]' && pytest tests/archive/test_cluster.py
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import drives
import pytest

from scnet_edge import __version__
from scnet_edge.archive.cluster import FilmActor, _check_room, join_cluster
from scnet_edge.archive.folder import Done, Job, open_archive, read_done
from scnet_edge.archive.manifest import ManifestRow, write_manifest
from scnet_edge.archive.run import run_archive
from scnet_edge.archive.scan import scan
from scnet_edge.archive.workers import DEATHS, Answer, work
from scnet_edge.bundle.manifest import FUSED, read_manifest
from scnet_edge.errors import ConfigError, EngineError

HAS_RAY = find_spec("ray") is not None


def needs_ray(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.ray(pytest.mark.skipif(not HAS_RAY, reason="needs Ray")(test))


@pytest.fixture
def job(darkness_bundle: Callable[[tuple[int, int]], Path], tmp_path: Path) -> Job:
    bundle = darkness_bundle(drives.SIZE_HW)
    (tmp_path / "films").mkdir()
    for name in ("a", "b", "c"):
        drives.film(tmp_path / "films" / f"{name}.avi", frames=12)
    return Job(
        root=str(tmp_path / "films"),
        bundle=str(bundle),
        sha256=read_manifest(bundle).files[FUSED],
        threads=1,
    )


def opened(job: Job, tmp_path: Path, name: str = "out") -> tuple[list[ManifestRow], Path]:
    """Return the films and a folder of results that is begun."""
    manifest = tmp_path / "a.parquet"
    write_manifest(manifest, scan(Path(job.root)))
    return open_archive(tmp_path / name, manifest, job).films, tmp_path / name


@dataclass(eq=False)
class Here:
    """A worker of this very process, as Ray's actors are seen from the loop."""

    actor: FilmActor
    room: bool
    kills: list[str]
    film: ManifestRow | None = None
    ready: bool = False
    ended: bool = False

    def give(self, film: ManifestRow) -> None:
        self.film, self.ready = film, False

    def answer(self) -> Answer:
        if self.film is None:
            self.ready = True
            return self.actor.open(__version__)
        if self.film.path in self.kills:
            self.kills.remove(self.film.path)
            return None
        done = self.actor.inspect(self.film)
        self.film, self.ready = None, True
        return done

    def ending(self) -> str:
        return "killed"

    def end(self) -> None:
        self.ended = True

    def join(self) -> None: ...


@dataclass
class HereCrew:
    """As many workers as are asked for; so many of them have room."""

    job: Job
    archive: Path
    room: int
    kills: list[str] = field(default_factory=list)
    started: list[Here] = field(default_factory=list)

    def start(self) -> Here:
        living = sum(w.room for w in self.started if not w.ended)
        actor = FilmActor(self.job, self.archive)
        self.started.append(Here(actor, living < self.room, self.kills))
        return self.started[-1]

    def wait(self, workers: Sequence[Here]) -> list[Here]:
        return [w for w in workers if w.room and not w.ready]


def done_with(crew: HereCrew, films: list[ManifestRow], workers: int) -> list[Done]:
    found: list[Done] = []
    told = threading.Event()
    work(films, crew.archive, crew, workers=workers, report=found.append, stop=told)
    return found


def test_a_worker_without_room_is_given_no_film(job: Job, tmp_path: Path) -> None:
    films, out = opened(job, tmp_path)
    crew = HereCrew(job, out, room=1)
    found = done_with(crew, films, workers=3)
    assert sorted(done.path for done in found) == ["a.avi", "b.avi", "c.avi"]
    assert [read_done(out, film) is not None for film in films] == [True] * 3
    waiting = [w for w in crew.started if not w.room]
    assert waiting
    assert all(w.ended and w.film is None for w in waiting)


def test_a_film_is_given_up_when_its_workers_die_and_no_other_is(job: Job, tmp_path: Path) -> None:
    films, out = opened(job, tmp_path)
    kills = ["a.avi"] * (DEATHS - 1) + ["b.avi"] * DEATHS
    crew = HereCrew(job, out, room=9, kills=kills)
    states = {done.path: done.state for done in done_with(crew, films, workers=2)}
    assert states == {"a.avi": "inspected", "b.avi": "failed", "c.avi": "inspected"}


def test_a_machine_with_another_version_or_without_the_bundle_ends_the_run(
    job: Job, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"expected scnet-edge 0\.0 as here"):
        FilmActor(job, tmp_path).open("0.0")
    (Path(job.bundle) / FUSED).write_bytes(b"altered")
    films, out = opened(job, tmp_path)
    with pytest.raises(Exception, match=FUSED):
        done_with(HereCrew(job, out, room=1), films, workers=1)
    assert all(read_done(out, film) is None for film in films)


def test_a_cluster_whose_machines_are_all_too_small_says_so() -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    _check_room(nodes, cpus=4, gpus=0)
    for cpus, gpus in ((5, 0), (1, 0.5)):
        with pytest.raises(ConfigError, match="found none among 1"):
            _check_room(nodes, cpus=cpus, gpus=gpus)


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_command_says_what_to_install(job: Job, tmp_path: Path) -> None:
    opened(job, tmp_path)
    with pytest.raises(ConfigError, match=r"\[ray\]"):
        run_archive(tmp_path / "a.parquet", job, tmp_path / "out", workers=1, crew="ray")


def tree(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@needs_ray
def test_actors_of_ray_give_the_same_bytes_also_if_one_is_killed(job: Job, tmp_path: Path) -> None:
    films, calm = opened(job, tmp_path, "calm")
    done_with(HereCrew(job, calm, room=1), films, workers=1)
    films, out = opened(job, tmp_path, "ray")
    kills: list[int] = []

    def kill_one(done: Done) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            if not kills and process.read_bytes().startswith(b"ray::FilmActor"):
                kills.append(int(process.parent.name))
                os.kill(kills[0], signal.SIGKILL)

    with join_cluster("local", job, out, 0.0) as crew:
        work(films, out, crew, workers=1, report=kill_one, stop=threading.Event())
    assert kills
    assert tree(out) == tree(calm)


@needs_ray
def test_where_no_cluster_is_the_command_says_so_in_one_line(job: Job, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="no Ray cluster there") as raised,
        join_cluster("auto", job, tmp_path, 0.0),
    ):
        pass
    assert len(str(raised.value).splitlines()) == 1


def test_a_ray_that_does_not_start_in_time_is_one_line(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**options: object) -> None:
        raise Exception("The current node timed out during startup. This could be.\nmore")

    fake = ModuleType("ray")
    fake.__spec__ = ModuleSpec("ray", None)
    fake.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", fake)
    with (
        pytest.raises(ConfigError, match=r"Ray did not start .*timed out") as raised,
        join_cluster("local", job, tmp_path, 0.0),
    ):
        pass
    assert len(str(raised.value).splitlines()) == 1
