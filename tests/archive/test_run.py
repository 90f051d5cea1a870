"""Films become surveys, each once; what is killed goes on, and gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import coded_files
import drives
import pytest
from hand_made import facts, observation

from scnet_edge.archive import processes, workers
from scnet_edge.archive.chainage import coded_readings, with_chainage, write_readings
from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.film import _odometry_of, inspect_film, setup_of
from scnet_edge.archive.folder import Done, Job, film_folder, read_archive
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow, write_manifest
from scnet_edge.archive.run import run_archive, status_of
from scnet_edge.archive.scan import scan
from scnet_edge.bundle.manifest import FUSED, read_manifest
from scnet_edge.errors import ConfigError, EngineError, ScnetEdgeError
from scnet_edge.inspection.osd_odometry import CounterRead
from scnet_edge.inspection.setup import Setup
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.report.page import REPORT
from scnet_edge.survey.review import review_record


@pytest.fixture
def job(darkness_bundle: Callable[[tuple[int, int]], Path], tmp_path: Path) -> Job:
    bundle = darkness_bundle(drives.SIZE_HW)
    return Job(
        root=str(tmp_path / "films"),
        bundle=str(bundle),
        sha256=read_manifest(bundle).files[FUSED],
        threads=1,
    )


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Return an archive of a coded film, one with an odd name, one cut short and one broken."""
    folder = tmp_path / "films"
    (folder / "Video" / "Sec").mkdir(parents=True)
    coded_files.write_wincan(folder / "job.db3")
    drives.film(folder / "Video" / "Sec" / "prüfung_1.avi")
    drives.film(os.fsencode(folder) + b"/caf\xe9 'x'.vob")
    data = (folder / "Video" / "Sec" / "prüfung_1.avi").read_bytes()
    (folder / "cut.avi").write_bytes(data[: len(data) * 6 // 10])
    (folder / "noise.avi").write_bytes(data[:12] + bytes(5000))
    return folder


def scanned(folder: Path, out: Path) -> tuple[Path, ArchiveManifest]:
    manifest = scan(folder)
    write_manifest(out, manifest)
    return out, manifest


def tree(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_every_film_is_inspected_or_says_why_not(films: Path, job: Job, tmp_path: Path) -> None:
    path, _ = scanned(films, tmp_path / "a.parquet")
    seen: list[Done] = []
    out = tmp_path / "out"
    run_archive(path, job, out, workers=2, report=seen.append)
    by_path = {done.path: done for done in seen}
    assert {name: done.state for name, done in by_path.items()} == {
        "Video/Sec/prüfung_1.avi": "inspected",
        "café 'x'.vob": "inspected",
        "cut.avi": "cut",
        "noise.avi": "failed",
    }
    coded = by_path["Video/Sec/prüfung_1.avi"]
    assert (coded.cracks, coded.frames, coded.odometry) == (2, 30, "database")
    assert "noise.avi" in by_path["noise.avi"].reason
    assert by_path["cut.avi"].reason.startswith("cut.avi: ends after 1")
    survey = read_survey(out / "films" / coded.film / "survey")
    assert survey.facts.site.pipe_id == "100-200"
    assert survey.facts.site.from_node == "200"  # upstream: in the direction of travel
    assert survey.facts.source == "Video/Sec/prüfung_1.avi"
    counts, reasons = status_of(out)
    assert counts == {
        "films": 4,
        "inspected": 2,
        "cut": 1,
        "failed": 1,
        "waiting": 0,
        "unreadable": 0,
        "cracks": sum(done.cracks for done in seen),
    }
    assert len(reasons) == 1
    again: list[Done] = []
    run_archive(path, job, out, workers=2, report=again.append)
    assert again == []
    run_archive(path, job, out, workers=1, retry_failed=True, report=again.append)
    assert [done.path for done in again] == ["noise.avi"]
    assert review_record(out / "films" / coded.film / "survey", 1, verdict="accepted").seq == 1
    assert not (out / "films" / coded.film / "survey" / REPORT).exists()


def children() -> set[int]:
    """The processes that this one has started, those that ended and nobody asked for not."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def test_killed_workers_change_no_byte(films: Path, job: Job, tmp_path: Path) -> None:
    path, _ = scanned(films, tmp_path / "a.parquet")
    run_archive(path, job, tmp_path / "calm", workers=1)
    kills, ended, before = list[int](), threading.Event(), children()

    def kill() -> None:
        while not ended.wait(0.05):
            begun = list((tmp_path / "killed" / "films").glob("*/survey/survey.db"))
            for child in children() - before:
                if len(kills) < 2 and len(begun) > len(kills):
                    os.kill(child, signal.SIGKILL)
                    kills.append(child)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        run_archive(path, job, tmp_path / "killed", workers=1)
    finally:
        ended.set()
        killer.join()
    assert kills
    assert tree(tmp_path / "killed") == tree(tmp_path / "calm")


def test_a_film_that_was_killed_before_its_marker_is_done_once_more(
    films: Path, job: Job, tmp_path: Path
) -> None:
    path, manifest = scanned(films, tmp_path / "a.parquet")
    run_archive(path, job, tmp_path / "out", workers=1)
    before = tree(tmp_path / "out")
    (cut,) = (film for film in manifest.films if film.path == "cut.avi")
    (tmp_path / "out" / "films" / cut.film_id / "done.json").unlink()
    run_archive(path, job, tmp_path / "out", workers=1)
    assert tree(tmp_path / "out") == before


def test_a_film_that_always_takes_its_worker_with_it_is_given_up(
    films: Path, job: Job, tmp_path: Path
) -> None:
    film = scan(films).films[0]
    worker = processes.FilmProcess(Dead(), None)
    deaths = workers.Deaths()
    for _ in range(workers.DEATHS - 1):
        assert workers.count_death(film, worker, tmp_path, deaths) is None
    lost = workers.count_death(film, worker, tmp_path, deaths)
    assert lost is not None
    assert (lost.state, lost.film) == ("failed", film.film_id)
    assert "4 times (signal 11)" in lost.reason


class Dead:
    returncode = -11


class ToldWorker:
    """A worker that answers what it is told to: `ready`, a film that is done, or death."""

    def __init__(self, lives: bool) -> None:
        self.lives, self.film, self.ready = lives, None, False

    def give(self, film: ManifestRow) -> None:
        self.film, self.ready = film, False

    def answer(self) -> workers.Answer:
        if not self.lives:
            return None
        film, self.film, self.ready = self.film, None, True
        if film is None:
            return workers.READY
        return Done(film=film.film_id, path=film.path, state="inspected")

    def ending(self) -> str:
        return "signal 9"

    def end(self) -> None:
        pass

    def join(self) -> None:
        pass


class UnluckyCrew:
    """Starts workers of which only some live; those at a film take long."""

    def __init__(self, living: set[int]) -> None:
        self.living, self.started, self.waits = living, 0, 0

    def start(self) -> ToldWorker:
        self.started += 1
        return ToldWorker(self.started in self.living)

    def wait(self, at_work: list[ToldWorker]) -> list[ToldWorker]:
        self.waits += 1
        starting = [worker for worker in at_work if worker.film is None]
        return starting if starting and self.waits % 60 else list(at_work)


def work_on(films: Path, out: Path, crew: UnluckyCrew) -> list[Done]:
    done: list[Done] = []
    rows, never = scan(films).films, threading.Event()
    workers.work(rows, out, crew, workers=2, report=done.append, stop=never)
    return done


def test_starts_that_die_end_no_run_in_which_films_get_done(films: Path, tmp_path: Path) -> None:
    crew = UnluckyCrew({1})
    done = work_on(films, tmp_path, crew)
    assert {film.state for film in done} == {"inspected"}
    assert len(done) == len(scan(films).films)
    assert crew.started <= 1 + len(done) * workers.TRIES  # and they burn no core


def test_starts_that_all_die_end_a_run(films: Path, tmp_path: Path) -> None:
    crew = UnluckyCrew(set())
    with pytest.raises(EngineError, match=r"20 workers in a row died as they started \(signal 9\)"):
        work_on(films, tmp_path, crew)
    late = UnluckyCrew({workers.STARTS - 2})
    assert len(work_on(films, tmp_path / "late", late)) == len(scan(films).films)


def test_a_bundle_that_does_not_open_ends_the_run_in_one_line(
    films: Path, job: Job, tmp_path: Path
) -> None:
    path, _ = scanned(films, tmp_path / "a.parquet")
    (Path(job.bundle) / FUSED).write_bytes(b"altered")
    with pytest.raises(Exception, match=FUSED) as raised:
        run_archive(path, job, tmp_path / "out", workers=1)
    assert len(str(raised.value).splitlines()) == 1
    assert status_of(tmp_path / "out")[0]["waiting"] == 4


def test_a_worker_without_memory_ends_the_run_in_one_line(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starve(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Pipeline, "open", starve)
    ours, theirs = Pipe()
    ours.send((job, tmp_path))
    processes.main(os.dup(theirs.fileno()))
    error = ours.recv()
    assert isinstance(error, EngineError)
    assert "no memory is left to load it" in str(error)


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    films: Path, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, manifest = scanned(films, tmp_path / "a.parquet")
    out = tmp_path / "out"
    film = next(row for row in manifest.films if row.path.endswith("prüfung_1.avi"))
    pipeline = Pipeline.open(job.bundle, threads=1)
    with monkeypatch.context() as patch:
        patch.setattr("scnet_edge.survey.recorder.free_bytes", lambda folder: 0)
        with pytest.raises(OSError, match="no room for the pictures"):
            inspect_film(film, job, pipeline, out)
    assert not (film_folder(out, film) / "survey").exists()
    done = inspect_film(film, job, pipeline, out)
    assert done is not None
    assert (done.state, done.cracks) == ("inspected", 2)


def test_results_are_never_mixed(films: Path, job: Job, tmp_path: Path) -> None:
    path, _ = scanned(films, tmp_path / "a.parquet")
    stop = threading.Event()
    stop.set()
    run_archive(path, job, tmp_path / "out", workers=1, stop=stop)
    assert read_archive(tmp_path / "out")[2] == {}
    other = Job(root=job.root, bundle=job.bundle, sha256="0" * 64)
    with pytest.raises(ConfigError, match="another bundle"):
        run_archive(path, other, tmp_path / "out", workers=1)
    drives.film(films / "new.avi", frames=3)
    more, _ = scanned(films, tmp_path / "b.parquet")
    with pytest.raises(ConfigError, match="another manifest"):
        run_archive(more, job, tmp_path / "out", workers=1)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"one\.txt"):
        run_archive(path, job, tmp_path / "thesis", workers=1)


@pytest.mark.parametrize("odometry", ["osd://1,2,3", "nowhere.csv", "tape://1"])
def test_an_odometry_that_cannot_be_is_said_before_the_first_film(
    tmp_path: Path, odometry: str
) -> None:
    write_manifest(tmp_path / "a.parquet", ArchiveManifest(root=tmp_path, rows=()))
    job = Job(root=str(tmp_path), bundle="b", sha256="0", odometry=odometry)
    with pytest.raises(ConfigError, match=re.escape(odometry)):
        run_archive(tmp_path / "a.parquet", job, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def noted(*readings: tuple[float, float]) -> CodedInspection:
    conditions = tuple(Condition(code="BAB", film_s=t, distance_m=m) for t, m in readings)
    return CodedInspection(system="m150", pipe="1", conditions=conditions)


def test_what_no_camera_can_do_is_left_out_of_the_coded_way() -> None:
    wrong = noted((0, 0), (10, 1), (12, 90), (20, 2), (5, 40), (30, 3))
    assert coded_readings(wrong, 1.0) == [(0, 0), (10, 1), (20, 2), (30, 3)]
    assert coded_readings(noted((3, 1), (3, 2)), 1.0) == [(3, 1)]
    assert coded_readings(noted(), 1.0) == []


def test_the_geometry_takes_what_the_database_knows() -> None:
    setup = Setup(mode="side", diameter_mm=150, mm_per_px=0.5, pipe_id="of the file")
    coded = CodedInspection(system="pacp", pipe="P9", diameter_mm=200, from_node="a", to_node="b")
    known = setup_of(setup, coded)
    assert (known.pipe_id, known.diameter_mm, known.from_node) == ("P9", 200, "a")
    assert setup_of(setup, None) is setup


def test_without_a_scale_records_have_the_place_of_their_best_frame(tmp_path: Path) -> None:
    readings = tmp_path / "coded.csv"
    write_readings(readings, [(0.0, 0.0), (2.0, 1.0), (4.0, 1.0)])
    seen = observation(
        1,
        time_s=1.5,
        start_m=None,
        end_m=None,
        flags=("visual_odometry", "no_scale"),
    )
    survey = Survey(
        folder=tmp_path,
        facts=facts(mode="wall", fps=10.0),
        observations=(seen,),
        gaps=(),
        alarms=(),
        progress=Progress(frame_id=40, resume_frame_id=41, frames=41),
    )
    placed = with_chainage(survey, readings, Setup(mode="wall"))
    (o,) = placed.observations
    assert (o.start_m, o.end_m) == (0.75, 0.75)
    assert o.start_sigma_m is not None
    assert o.start_sigma_m > 0
    assert o.flags == ("no_scale",)
    assert placed.progress is not None
    assert placed.progress.chainage_m == 1.0


@pytest.mark.parametrize(
    ("shown", "coded", "expected"),
    [
        ([(0.0, 0.0), (1.0, 0.2)], True, "counter.csv"),
        ([], True, "coded.csv"),
        ([], False, "visual://"),
    ],
)
def test_a_film_without_a_counter_falls_back_to_its_database_then_to_its_pictures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: list[tuple[float, float]],
    coded: bool,
    expected: str,
) -> None:
    read = CounterRead(place=None, readings=shown)
    monkeypatch.setattr("scnet_edge.archive.film.read_counter", lambda film, counter: read)
    film = ManifestRow(
        path_bytes=b"a.avi",
        kind="film",
        state="matched",
        inspection=noted((0, 0), (9, 1)) if coded else None,
    )
    job = Job(root="/", bundle="b", sha256="0", odometry="osd://1,2,30,40")
    for _ in range(2):  # the second time it is read from the file
        odometry, name = _odometry_of(film, job, job.setup, tmp_path / "film.avi")
        assert odometry is not None
        assert odometry.endswith(expected)
    assert name == {"counter.csv": job.odometry, "coded.csv": "database"}.get(expected, expected)


@pytest.mark.parametrize(
    "name", ["films", "films/FILM", "films/FILM/survey", "films/FILM/done.json"]
)
@pytest.mark.parametrize("target", ["folder", "file", "new"])
def test_nothing_outside_the_folder_of_results_is_written(
    job: Job, tmp_path: Path, name: str, target: str
) -> None:
    """The folder may come from somebody else, with links in place of what we write."""
    (tmp_path / "films").mkdir()
    drives.film(tmp_path / "films" / "a.avi")
    path, manifest = scanned(tmp_path / "films", tmp_path / "a.parquet")
    outside = tmp_path / "home"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").write_text("mine")
    link = tmp_path / "out" / name.replace("FILM", manifest.films[0].film_id)
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / target)
    before = sorted(outside.rglob("*")), (outside / "file").read_text()
    with suppress(ScnetEdgeError):
        run_archive(path, job, tmp_path / "out", workers=1)
    assert before == (sorted(outside.rglob("*")), (outside / "file").read_text())


def test_an_archive_without_its_manifest_says_so(films: Path, job: Job, tmp_path: Path) -> None:
    path, _ = scanned(films, tmp_path / "a.parquet")
    stop = threading.Event()
    stop.set()
    run_archive(path, job, tmp_path / "out", workers=1, stop=stop)
    (tmp_path / "out" / "archive.parquet").unlink()
    with pytest.raises(ConfigError, match="parquet: cannot be read"):
        run_archive(path, job, tmp_path / "out", workers=1)
