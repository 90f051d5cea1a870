"""Every command that writes, with how to call it and what it must leave."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from scripts.kill_writers import checks, material
from scripts.kill_writers.checks import Check

Arguments: TypeAlias = tuple[str, ...]
RUN = [sys.executable, "-m", "scnet_edge"]
SIMULATE = ("simulate", "pipe", "--metres", "0.8", "--size", "128x192", "--cracks", "3")
RESULT = next((Path(__file__).parents[2] / "benchmarks/results/speed").glob("*.json"))
SINKS = {
    "jsonl": "run.jsonl",
    "mcap": "run.mcap",
    "video": "run.avi",
    "masks": "masks",
    "rosbag": "bag",
}
NOT_KILLED = {
    "demo": "run, inspect and report, after a folder that is written like that of bundle export",
    "models": "it writes nothing",
    "verify": "it writes nothing",
    "archive status": "it writes nothing",
    "bench compare": "it writes nothing",
    "service status": "it writes nothing",
    "soak": "its verdict is of the machine; its one file is written as all are",
    "sensitivity": "minutes a layer; its one file is written as all are",
    "service install": "it needs systemd; its one file is written as all are",
}


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        arguments: with {out} for the place it writes to.
        whole: raises where what lies at that place is half.
        remove: whether the command wants a place that is free.
        begin: a folder that it works on; each time a copy of it.
        resume: arguments that go on where it was killed; None for a command that cannot.
        result: what is the same, however often it was killed.
    """

    arguments: Arguments
    whole: Check
    suffix: str = ""
    remove: bool = False
    begin: Path | None = None
    resume: Arguments | None = None
    result: Callable[[Path], object] = lambda place: None


def commands(work: Path, bundle: Path) -> dict[str, Command]:
    """Return what is killed, by its name; inputs are made in `work`."""
    film, survey, reviewed = work / "film", work / "survey", work / "reviewed"
    films, archive, keys = work / "films", work / "archive", work / "keys"
    inspect: Arguments = ("inspect", str(bundle), "--source", str(film / "footage.mp4"))
    inspect += ("--pipe", str(film / "pipe.toml"), "--out")
    archive_run: Arguments = (
        "archive",
        "run",
        str(work / "films.parquet"),
        "--bundle",
        str(bundle),
    )
    archive_run += ("--workers", "1", "--out")
    keys.mkdir()
    films.mkdir()
    _call(*SIMULATE, "--out", str(film))
    _call(*inspect, str(survey))
    _call("bundle", "new-key", str(keys / "maker.pem"))
    for name in ("a", "b"):
        shutil.copy(film / "footage.mp4", films / f"{name}.mp4")
    (films / "coding.xml").write_text(material.CODING)
    _call("archive", "scan", str(films), "--out", str(work / "films.parquet"))
    _call(*archive_run, str(archive))
    shutil.copytree(survey, reviewed)
    material.accept_all(reviewed)
    data = material.draw_data(work / "data")
    (work / "torn.jsonl").write_bytes(b'{"a": 1}\n' * 200_000 + b'{"torn')
    (work / "suite.toml").write_text(material.SUITE)
    (work / "empty").mkdir()
    return {
        **_surveys(work, survey, reviewed, inspect, bundle),
        **_bundles(work, data, bundle),
        **_archives(work, archive, archive_run),
    }


def _call(*arguments: str) -> None:
    done = subprocess.run([*RUN, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)


def _surveys(
    work: Path, survey: Path, reviewed: Path, inspect: Arguments, bundle: Path
) -> dict[str, Command]:
    """Return what makes surveys and pictures, and what is made from them."""
    run = ("run", str(bundle), "--source", str(work / "film" / "footage.mp4"), "--frames", "6")
    sinks = [f"{kind}:{{out}}/{name}" for kind, name in SINKS.items()]
    wall: Arguments = (
        "run",
        str(bundle),
        "--source",
        str(material.draw_orthophoto(work / "wall.tif")),
    )
    wall += ("--out", "{out}")
    _call(*wall[:-1], str(work / "wall"))
    mask = str(material.draw_mask(work / "mask.png"))
    export = ("export", str(survey), "--out", "{out}", "--format")
    learn = ("export", str(reviewed), "--out", "{out}", "--format", "training")
    accept = ("review", "{out}", "1", "--verdict", "accepted", "--remarks", "seen")
    masks = str(material.correct_masks(survey, work / "masks"))
    take_in = ("import", "annotations", "{out}", masks)
    boards = str(material.draw_boards(work / "boards"))
    return {
        "measure": Command(("measure", mask, "--json", "{out}"), checks.json_file, ".json"),
        "recover": Command(
            ("recover", str(work / "torn.jsonl"), "--out", "{out}"),
            checks.lines,
            ".jsonl",
            remove=True,
        ),
        "export csv": Command((*export, "csv"), checks.tables),
        "export json": Command((*export, "json"), checks.require_export("survey.json")),
        "export geojson": Command(
            (*export, "geojson"), checks.require_export("observations.geojson")
        ),
        "export coco": Command((*export, "coco"), checks.require_export("coco.json")),
        "export pacp-csv": Command((*export, "pacp-csv"), checks.tables),
        "export isybau-xml": Command((*export, "isybau-xml"), checks.xml),
        "export m150-xml": Command((*export, "m150-xml"), checks.xml),
        "export training": Command(learn, checks.data_set, resume=learn, result=checks.files),
        "simulate pipe": Command((*SIMULATE, "--out", "{out}", "--overwrite"), checks.footage),
        "run": Command((*run, "--out", "{out}", "--overwrite"), checks.run_folder),
        "run sinks": Command(
            (*run, *(part for sink in sinks for part in ("--sink", sink))),
            checks.sinks,
            begin=work / "empty",
        ),
        "run orthophoto": Command(
            wall, checks.orthophoto, remove=True, resume=wall, result=checks.cracks
        ),
        "run orthophoto again": Command(
            (*wall, "--overwrite"),
            checks.orthophoto,
            begin=work / "wall",
            resume=(*wall, "--overwrite"),
            result=checks.cracks,
        ),
        "inspect": Command((*inspect, "{out}"), checks.survey, remove=True),
        "report": Command(("report", "{out}"), checks.survey, begin=survey),
        "compare": Command(
            ("compare", str(survey), str(reviewed), "--json", "{out}"), checks.json_file, ".json"
        ),
        "review": Command(
            accept, checks.survey, begin=survey, resume=accept, result=checks.read_records
        ),
        "review undo": Command(("review", "{out}", "--undo"), checks.survey, begin=reviewed),
        "import annotations": Command(
            take_in, checks.drawn_survey, begin=survey, resume=take_in, result=checks.read_records
        ),
        "calibrate-camera": Command(
            ("calibrate-camera", boards, "--board", "8x5", "--out", "{out}"), checks.toml, ".toml"
        ),
    }


def _bundles(work: Path, data: Path, bundle: Path) -> dict[str, Command]:
    """Return what makes weights and bundles, and what scores them."""
    corpus = str(material.write_corpus(work / "corpus.toml", data))
    folder = f"folder:{data}"
    train: Arguments = ("train", "tiny", "--corpus", corpus, "--steps", "2", "--batch", "1")
    train += ("--validate-every", "1", "--out", "{out}")
    size = ("--model", "scnet-tiny", "--size", "96x128")
    ranges: Arguments = ("calibrate", "--data", str(data / "images"), "--frames", "8", *size)
    ranges += ("--method", "minmax")
    score = ("evaluate", str(bundle), "--data", folder, "--split", "all", "--json", "{out}")
    explain = ("explain", "scnet-tiny", str(data / "images" / "03.png"), "--out", "{out}")
    bench = ("bench", "run", str(work / "suite.toml"), "--out", "{out}")
    return {
        "train": Command(
            train,
            checks.training,
            remove=True,
            resume=(*train, "--resume"),
            result=checks.weights,
        ),
        "calibrate": Command(
            (*ranges, "--out", "{out}"),
            checks.toml,
            ".toml",
        ),
        "build": Command(
            ("build", "--fp32", *size, "--out", "{out}", "--overwrite"), checks.bundle_folder
        ),
        "compile": Command(
            ("compile", "{out}", "--engine", "openvino"), checks.bundle_folder, begin=bundle
        ),
        "evaluate": Command(score, checks.json_file, ".json"),
        "bundle sign": Command(
            ("bundle", "sign", "{out}", "--key", str(work / "keys" / "maker.pem")),
            checks.bundle_folder,
            begin=bundle,
        ),
        "bundle new-key": Command(
            ("bundle", "new-key", "{out}/maker.pem"), checks.keys, begin=work / "empty"
        ),
        "bundle export": Command(
            ("bundle", "export", str(bundle), "--triton", "{out}", "--name", "m", "--overwrite"),
            checks.triton,
        ),
        "statistics": Command(
            ("statistics", "--data", folder, "--json", "{out}"), checks.json_file, ".json"
        ),
        "explain": Command(explain, checks.pictures),
        "doctor": Command(
            ("doctor", "--deep", str(bundle), "--engine", "openvino", "--out", "{out}"),
            checks.json_file,
            ".json",
        ),
        "bench run": Command(bench, checks.json_file, ".json", remove=True, resume=bench),
        "bench report": Command(
            ("bench", "report", str(RESULT), "--html", "{out}"),
            checks.page,
            ".html",
        ),
    }


def _archives(work: Path, archive: Path, run: Arguments) -> dict[str, Command]:
    """Return what works on archives of films."""
    report = ("archive", "report", "{out}")
    compare: Arguments = ("archive", "compare", "{out}", "--json", "{out}/pairings.json")
    compare += ("--for-training", "{out}/training")
    return {
        "archive scan": Command(
            ("archive", "scan", str(work / "films"), "--out", "{out}"),
            checks.read_films,
            ".parquet",
        ),
        "archive run": Command(
            (*run, "{out}"),
            checks.archive,
            remove=True,
            resume=(*run, "{out}"),
            result=checks.files,
        ),
        "archive report": Command(
            report, checks.archive, begin=archive, resume=report, result=checks.files
        ),
        "archive compare": Command(
            compare, checks.compared, begin=archive, resume=compare, result=checks.files
        ),
    }
