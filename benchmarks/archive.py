"""Measure the archive commands on made films, and print the figures as JSON.

python -m benchmarks.archive BUNDLE --work FOLDER [--only PART ...] [--out FILE.json]

scan     200 films in six containers, five database formats, three broken: all accounted for?
kills    all of them inspected twice, undisturbed and with 60 kills of workers: the same bytes?
workers  one worker and two, in turns: processes, Ray if installed, a plain script, the net alone
counter  distance counters drawn over made films: readings within 0.05 m
coding   simulated rides against a human coding made from their truth: pairs of one crack
review   the server of the review page with 500 records of such a ride: seconds to list, to say

`--out` keeps the parts that are there and were not asked for. Needs ffmpeg. Other programs on the
machine slow it down: the load is in the result.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.archive_coding import measure_coding
from benchmarks.archive_counter import measure_counters
from benchmarks.archive_films import make_archive
from benchmarks.archive_plain import run_net, run_plain
from benchmarks.archive_review import measure_review
from scnet_edge.archive.folder import Done, Job
from scnet_edge.archive.manifest import ArchiveManifest, read_manifest, write_manifest
from scnet_edge.archive.run import Crew, run_archive, status_of
from scnet_edge.archive.scan import scan, summary
from scnet_edge.bundle.manifest import FUSED
from scnet_edge.bundle.manifest import read_manifest as read_bundle
from scnet_edge.machine.description import machine_name

TURNS, FILMS_A_TURN = 3, 24


@dataclass(frozen=True, slots=True)
class Asked:
    """What is measured with: a bundle, a folder for what is made, how many films and kills."""

    bundle: Path
    work: Path
    films: int
    kills: int


def main() -> None:
    """Measure the parts that were asked for, print them, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="a new folder, or one to go on in")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    asked = Asked(given.bundle, given.work, given.films, given.kills)
    given.work.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {}
    if given.out and given.out.exists():
        result = json.loads(given.out.read_text(encoding="utf-8"))
    for part in given.only:
        before = os.getloadavg()[0]
        result[part] = PARTS[part](asked) | {
            "machine": machine_name(),
            "cores": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d"),
            "load": [round(before, 1), round(os.getloadavg()[0], 1)],
        }
        print(json.dumps({part: result[part]}, indent=2, ensure_ascii=False))
        if given.out:
            text = json.dumps(result, indent=2, ensure_ascii=False)
            given.out.write_text(text + "\n", encoding="utf-8")


def measure_scan(asked: Asked) -> dict[str, Any]:
    """Return what a scan finds of all films that were made."""
    films = _make_films(asked)
    start_s = time.monotonic()
    manifest = scan(asked.work / "archive")
    write_manifest(_manifest(asked), manifest)
    took_s = time.monotonic() - start_s
    found = {r.path_bytes for r in manifest.rows if r.kind == "film" and r.state != "missing"}
    return {
        "films": len(films),
        "accounted_for": len(found & films),
        "seconds": round(took_s, 2),
        "rows": summary(manifest),
    }


def measure_kills(asked: Asked) -> dict[str, Any]:
    """Return whether killed workers change a byte of the results."""
    _make_films(asked)
    manifest = _manifest(asked)
    write_manifest(manifest, scan(asked.work / "archive"))
    calm, disturbed, kills = asked.work / "calm", asked.work / "killed", list[float]()
    for folder in (calm, disturbed):
        shutil.rmtree(folder, ignore_errors=True)
    done_s, start_s = list[float](), time.monotonic()
    calm_s = _run(asked, manifest, calm, workers=2, done_s=done_s)
    apart_s = (done_s[0] - start_s) / 2  # each of two dies about as often as one film is done
    killed_s = _run(asked, manifest, disturbed, workers=2, kills=kills, apart_s=apart_s)
    one, other = _hash_files(calm), _hash_files(disturbed)
    return {
        "status": status_of(calm)[0],
        "reasons": status_of(disturbed)[1],
        "kills": len(kills),
        "files": len(one),
        "files_that_differ": sum(one.get(k) != other.get(k) for k in {*one, *other}),
        "seconds_undisturbed": calm_s,
        "seconds_with_kills": killed_s,
    }


def measure_workers(asked: Asked) -> dict[str, Any]:
    """Return the films a minute of one worker and of two, in turns, by what they are.

    Worker processes, actors of Ray where it is installed, a plain script that keeps nothing, and
    the net without films.
    """
    _make_films(asked)
    whole = scan(asked.work / "archive")
    whole_films = [row for row in whole.films if row.state == "matched"][:FILMS_A_TURN]
    manifest = asked.work / "few.parquet"
    few = ArchiveManifest(root=whole.root, rows=tuple(whole_films))
    write_manifest(manifest, few)
    kinds = ["processes", "plain script", "net alone", *(["ray"] if find_spec("ray") else [])]
    films_a_minute = {kind: {1: list[float](), 2: list[float]()} for kind in kinds}
    processor_s: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(TURNS):
        for kind, workers in itertools.product(kinds, (1, 2)):
            out = asked.work / "turn"
            shutil.rmtree(out, ignore_errors=True)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done_s = list[float]()
            if kind == "plain script":
                done_s = run_plain(asked.bundle, few, workers=workers)
            elif kind == "net alone":
                done_s = run_net(asked.bundle, times=len(whole_films), workers=workers)
            else:
                crew: Crew = "ray" if kind == "ray" else "processes"
                _run(asked, manifest, out, workers=workers, crew=crew, done_s=done_s)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if kind == "processes":
                used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                processor_s[workers].append(used_s / len(whole_films))
            # From the first film on: workers start once, an archive takes days.
            minutes = (done_s[-1] - done_s[0]) / 60
            films_a_minute[kind][workers].append((len(done_s) - 1) / minutes)
    return {
        "films_a_turn": len(whole_films),
        "turns": TURNS,
        "films_a_minute": {
            kind: {w: round(median(v), 1) for w, v in by_workers.items()}
            for kind, by_workers in films_a_minute.items()
        },
        "processor_s_a_film": {w: round(median(v), 2) for w, v in processor_s.items()},
        "two_against_one": {
            kind: [round(two / one, 2) for one, two in zip(*by_workers.values(), strict=True)]
            for kind, by_workers in films_a_minute.items()
        },
    }


PARTS: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "scan": measure_scan,
    "kills": measure_kills,
    "workers": measure_workers,
    "counter": lambda asked: measure_counters(asked.work / "counters"),
    "coding": lambda asked: measure_coding(asked.bundle, asked.work / "coding"),
    "review": lambda asked: measure_review(asked.work / "coding/8/1/survey", asked.work / "review"),
}


def _make_films(asked: Asked) -> set[bytes]:
    """Return the films of the archive, which is made at the first call."""
    folder, listed = asked.work / "archive", asked.work / "films.json"
    if listed.exists():
        return {bytes.fromhex(name) for name in json.loads(listed.read_text(encoding="utf-8"))}
    films = make_archive(folder, asked.films)
    listed.write_text(json.dumps(sorted(name.hex() for name in films)), encoding="utf-8")
    return films


def _manifest(asked: Asked) -> Path:
    return asked.work / "archive.parquet"


def _run(
    asked: Asked,
    manifest: Path,
    out: Path,
    *,
    workers: int,
    crew: Crew = "processes",
    kills: list[float] | None = None,
    apart_s: float = 0.0,
    done_s: list[float] | None = None,
) -> float:
    """Inspect all films and return the seconds it took; kill random workers on the way.

    `done_s` takes the time at which each film was done, `kills` that of each kill, `apart_s` apart
    on the mean.
    """
    job = Job(
        root=str(read_manifest(manifest).root),
        bundle=str(asked.bundle.absolute()),
        sha256=read_bundle(asked.bundle).files[FUSED],
        threads=1,
    )
    ended, start_s = threading.Event(), time.monotonic()
    killer = threading.Thread(target=_kill, args=(kills, asked.kills, apart_s, ended))
    if kills is not None:
        killer.start()

    def report(done: Done) -> None:
        if done_s is not None:
            done_s.append(time.monotonic())

    try:
        run_archive(manifest, job, out, workers=workers, crew=crew, address="local", report=report)
    finally:
        ended.set()
    return round(time.monotonic() - start_s, 1)


def _kill(kills: list[float], most: int, apart_s: float, ended: threading.Event) -> None:
    chance = random.Random(2)
    while len(kills) < most and not ended.wait(chance.uniform(0.2, 1.8) * apart_s):
        tasks = Path("/proc/self/task").iterdir()
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
        if children:
            os.kill(int(chance.choice(children)), signal.SIGKILL)
            kills.append(time.monotonic())


def _hash_files(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


if __name__ == "__main__":
    main()
