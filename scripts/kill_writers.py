"""Kill every command that writes, again and again: what it writes is whole, or as it was before.

    python scripts/kill_writers.py --kills 200 --bundle BUNDLE
    python scripts/kill_writers.py --kills 20 --bundle BUNDLE train "archive run"

Each command first writes an older result that is kept. It is then started again and killed by
SIGKILL at a random moment within the time that it takes; what then lies under the final name must
be the older result or a whole newer one, by its reader. A command that goes on where it was killed
is then started again: its result must be that of the run that nobody killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from msgspec.structs import replace
from safetensors.numpy import load_file

from scnet_edge.archive.folder import film_folder, read_archive
from scnet_edge.archive.manifest import read_manifest as read_archive_manifest
from scnet_edge.bundle.device import opening_for
from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.bundle.signing import SIGNATURE, require_signature
from scnet_edge.config import parse_toml
from scnet_edge.files import write_image
from scnet_edge.folders import file_sha256
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey

SIMULATE = ("simulate", "pipe", "--metres", "0.8", "--size", "128x192", "--cracks", "3")
RUN = [sys.executable, "-m", "scnet_edge"]
Check = Callable[[Path], None]


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

    arguments: tuple[str, ...]
    whole: Check
    suffix: str = ""
    remove: bool = False
    begin: Path | None = None
    resume: tuple[str, ...] | None = None
    result: Callable[[Path], object] = lambda place: None


def json_file(path: Path) -> None:
    """Require JSON."""
    json.loads(path.read_text())


def page(path: Path) -> None:
    """Require an HTML page with its end."""
    text = path.read_text()
    assert text.rstrip().endswith("</html>"), text[-80:]


def table(path: Path) -> None:
    """Require a CSV export: a last line with its end, and each line as long as the first."""
    text = (path / "observations.csv").read_text()
    assert text.endswith("\n")


def require_export(name: str) -> Check:
    """Require a JSON export."""
    return lambda folder: json_file(folder / name)


def xml(folder: Path) -> None:
    """Require the XML's end."""
    assert (folder / "isybau.xml").read_bytes().rstrip().endswith(b">")


def lines(path: Path) -> None:
    """Require whole lines of JSON."""
    data = path.read_bytes()
    assert data.endswith(b"\n")
    for line in data.splitlines():
        json.loads(line)


def footage(folder: Path) -> None:
    """Require all that a simulation consists of."""
    json_file(folder / "truth.json")
    assert {"footage.mp4", "odometry.csv", "pipe.toml", "masks"} <= {
        p.name for p in folder.iterdir()
    }


def run_folder(folder: Path) -> None:
    """Require all that a run consists of."""
    lines(folder / "results.jsonl")
    page(folder / "report.html")


def survey(folder: Path) -> None:
    """Require a survey that can be read, with every picture that it names, and its report."""
    for observation in read_survey(folder).observations:
        if observation.snapshot:
            assert (folder / "snapshots" / observation.snapshot).is_file()
    if (folder / "report.html").exists():
        page(folder / "report.html")


def drawn_survey(folder: Path) -> None:
    """Require that a record that is accepted has the mask that was drawn for it."""
    survey(folder)
    for observation in read_survey(folder).observations:
        mask = read_crack_mask(folder, observation)
        assert mask is not None
        assert observation.review == "needs_review" or mask[:9, :9].all()


def read_records(folder: Path) -> object:
    """Return the records of a survey, but for when they were reviewed, and its masks."""
    records = read_survey(folder).observations
    return [replace(o, reviewed_utc="") for o in records], files(folder / "snapshots", "*.png")


def bundle_folder(folder: Path) -> None:
    """Require a bundle whose every hash is right, and compiled code and a signature that hold."""
    manifest = read_manifest(folder)
    opening_for(folder, manifest, "openvino")
    if (folder / SIGNATURE).exists():
        require_signature(folder, folder.parents[1] / "maker.pub")


def recipe(path: Path) -> None:
    """Require TOML."""
    parse_toml(path.read_text())


def training(folder: Path) -> None:
    """Require weights and a checkpoint that can be read, as far as there are any."""
    for path in folder.glob("*.safetensors"):
        load_file(path)


def weights(folder: Path) -> object:
    """Return the weights of a training."""
    return files(folder, "*.safetensors")


def archive(folder: Path) -> None:
    """Require that each film that is marked as done has its survey, and whole pages."""
    if not (folder / "archive.json").exists():
        return
    _, manifest, done = read_archive(folder)
    for film in manifest.films:
        if film.film_id in done:
            survey(film_folder(folder, film) / "survey")
    for path in folder.rglob("*.html"):
        assert "</html>" in path.read_text()[-120:]


def files(folder: Path, pattern: str = "*") -> dict[str, str]:
    """Return the hash of each file by its path; of locks and what waits to be swept, nothing."""
    found = [p for p in folder.rglob(pattern) if p.is_file() and not p.name.startswith(".")]
    return {str(p.relative_to(folder)): file_sha256(p) for p in found}


def commands(work: Path, bundle: Path) -> dict[str, Command]:
    """Return what is killed; inputs are made in `work`."""
    survey_folder = work / "survey"
    made = subprocess.run(
        [*RUN, *SIMULATE, "--out", str(work / "film")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    inspect = ["inspect", str(bundle), "--source", str(work / "film" / "footage.mp4"), "--out"]
    pipe = ["--pipe", str(work / "film" / "pipe.toml")]
    subprocess.run([*RUN, *inspect, str(survey_folder), *pipe], check=True, capture_output=True)
    (work / "torn.jsonl").write_bytes(b'{"a": 1}\n' * 200_000 + b'{"torn')
    mask = np.zeros((480, 640), np.uint8)
    cv2.line(mask, (20, 30), (600, 400), 255, 5)
    cv2.imwrite(str(work / "mask.png"), mask)
    data = draw_data(work / "data")
    corpus = work / "corpus.toml"  # a training of its own would draw pipes for a minute first
    corpus.write_text(
        'licence = "drawn"\n[[set]]\nname = "lines"\nshare = 1\nlicence = "drawn"\n'
        f'data = "folder:{data}"\n',
        encoding="utf-8",
    )
    train = (
        "train",
        "tiny",
        "--corpus",
        str(corpus),
        "--steps",
        "2",
        "--batch",
        "1",
        "--validate-every",
        "1",
        "--out",
        "{out}",
    )
    masks = work / "masks"
    masks.mkdir()
    for observation in read_survey(survey_folder).observations:
        drawn = read_crack_mask(survey_folder, observation)
        assert drawn is not None
        drawn[:9, :9] = True
        write_image(masks / f"{observation.seq:06d}.png", drawn.astype(np.uint8) * 255)
    (work / "films").mkdir()
    for name in ("a", "b"):
        shutil.copy(work / "film" / "footage.mp4", work / "films" / f"{name}.mp4")
    films = str(work / "films.parquet")
    archive_run = ("archive", "run", films, "--bundle", str(bundle), "--workers", "1")
    for made_by in (
        ("bundle", "new-key", str(work / "maker.pem")),
        ("archive", "scan", str(work / "films"), "--out", films),
        (*archive_run, "--out", str(work / "archive")),
    ):
        subprocess.run([*RUN, *made_by], check=True, capture_output=True)
    export = ("export", str(survey_folder), "--out", "{out}", "--format")
    found = {
        "measure": Command(
            ("measure", str(work / "mask.png"), "--json", "{out}"), json_file, ".json"
        ),
        "recover": Command(
            ("recover", str(work / "torn.jsonl"), "--out", "{out}"), lines, ".jsonl", remove=True
        ),
        "export csv": Command((*export, "csv"), table),
        "export json": Command((*export, "json"), require_export("survey.json")),
        "export geojson": Command((*export, "geojson"), require_export("observations.geojson")),
        "export coco": Command((*export, "coco"), require_export("coco.json")),
        "export isybau-xml": Command((*export, "isybau-xml"), xml),
        "simulate": Command(
            (*SIMULATE, "--out", "{out}", "--overwrite"), footage
        ),
        "run --out": Command(
            ("run", str(bundle), "--source", str(work / "film" / "footage.mp4"), "--frames", "6",
             "--out", "{out}", "--overwrite"),
            run_folder,
        ),
        "inspect": Command((*inspect, "{out}", *pipe), survey, remove=True),
        "report": Command(("report", "{out}"), survey, begin=survey_folder),
        "train": Command(
            train, training, remove=True, result=weights, resume=(*train, "--resume")
        ),
        "calibrate": Command(
            ("calibrate", "--data", str(data / "images"), "--frames", "8", "--model", "scnet-tiny",
             "--size", "96x128", "--method", "minmax", "--out", "{out}"),
            recipe, ".toml",
        ),
        "build": Command(
            ("build", "--fp32", "--model", "scnet-tiny", "--size", "96x128", "--out", "{out}",
             "--overwrite"),
            bundle_folder,
        ),
        "compile": Command(
            ("compile", "{out}", "--engine", "openvino"), bundle_folder, begin=bundle
        ),
        "bundle sign": Command(
            ("bundle", "sign", "{out}", "--key", str(work / "maker.pem")), bundle_folder,
            begin=bundle,
        ),
        "review": Command(
            ("review", "{out}", "1", "--verdict", "accepted", "--remarks", "seen"), survey,
            begin=survey_folder, result=read_records,
            resume=("review", "{out}", "1", "--verdict", "accepted", "--remarks", "seen"),
        ),
        "import annotations": Command(
            ("import", "annotations", "{out}", str(work / "masks")), drawn_survey,
            begin=survey_folder, result=read_records,
            resume=("import", "annotations", "{out}", str(work / "masks")),
        ),
        "archive scan": Command(
            ("archive", "scan", str(work / "films"), "--out", "{out}"), read_films, ".parquet"
        ),
        "archive run": Command(
            (*archive_run, "--out", "{out}"), archive, remove=True, result=files,
            resume=(*archive_run, "--out", "{out}"),
        ),
        "archive report": Command(
            ("archive", "report", "{out}"), archive, begin=work / "archive", result=files,
            resume=("archive", "report", "{out}"),
        ),
        "bench report": Command(
            ("bench", "report", str(next(Path("benchmarks/results/speed").glob("*.json"))),
             "--html", "{out}"),
            page, ".html",
        ),
    }  # fmt: skip
    return found


def draw_data(folder: Path) -> Path:
    """Draw a small data set of images and masks."""
    rng = np.random.default_rng(3)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(12):
        image, mask = rng.integers(100, 160, (96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8)
        cv2.line(mask, (5, 5 + 5 * i), (120, 90 - 4 * i), 255, 3)
        image[mask > 0] = 30
        write_image(folder / "images" / f"{i:02}.png", image)
        write_image(folder / "masks" / f"{i:02}.png", mask)
    return folder


def read_films(path: Path) -> None:
    """Require a manifest with both films."""
    assert len(read_archive_manifest(path).films) == 2


@dataclass
class Made:
    """What a command wrote that nobody killed, and how long it took at most."""

    result: object
    took_s: float


def call(arguments: tuple[str, ...], out: Path) -> list[str]:
    """Return how to start a command that writes to `out`."""
    return [*RUN, *(part.replace("{out}", str(out)) for part in arguments)]


def prepare(command: Command, out: Path) -> None:
    """Free the place, or put there what the command works on."""
    if command.remove or command.begin is not None:
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
    if command.begin is not None:
        shutil.copytree(command.begin, out)


def undisturbed(name: str, command: Command, out: Path) -> Made:
    """Let a command end."""
    prepare(command, out)
    start_s = time.monotonic()
    done = subprocess.run(call(command.arguments, out), capture_output=True, text=True)
    took_s = time.monotonic() - start_s
    assert done.returncode == 0, (name, done.stderr)
    command.whole(out)
    return Made(command.result(out), took_s)


def kill_once(name: str, command: Command, out: Path, made: Made, moment: random.Random) -> str:
    """Start a command over an older result, kill it, and check; return what was found."""
    prepare(command, out)
    process = subprocess.Popen(
        call(command.arguments, out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment.uniform(0.2, 1.0) * made.took_s)
    ended = process.poll() is not None
    made.took_s *= 0.85 if ended else 1.02  # the machine may be busier or less so than before
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = "ended before" if ended else _whole(name, command, out)
    if command.resume is None or not out.exists():
        return found
    done = subprocess.run(call(command.resume, out), capture_output=True, text=True)
    if done.returncode and "--resume" in command.resume and not (out / "settings.json").exists():
        return "nothing yet"
    assert done.returncode == 0, (name, done.stderr)
    command.whole(out)
    assert command.result(out) == made.result, f"{name}: gone on with, {out} is another result"
    return "ended before" if ended else "gone on with: the same"


def _whole(name: str, command: Command, out: Path) -> str:
    if not out.exists():
        assert command.remove, f"{name}: the older {out} is gone"
        return "nothing yet"
    if name == "inspect" and not (out / "survey.db").exists():
        return "nothing yet"
    try:
        command.whole(out)
    except Exception as e:
        if name == "inspect" and "cut before it began" in str(e):
            return "nothing yet"
        raise AssertionError(f"{name}: {out} is half: {e}") from e
    return "whole"


def main() -> None:
    """Kill, and print how often and what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("commands", nargs="*", help="default: all")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    moment, found = random.Random(asked.seed), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory(prefix="kill-writers-") as folder:
        work = Path(folder)
        (work / "out").mkdir()
        known = commands(work, asked.bundle.absolute())
        names = asked.commands or list(known)
        out = {n: work / "out" / f"{n.replace(' ', '-')}{known[n].suffix}" for n in names}
        made = {name: undisturbed(name, known[name], out[name]) for name in names}
        for i in range(asked.kills):
            name = names[i % len(names)]
            result = kill_once(name, known[name], out[name], made[name], moment)
            found[name, result] += 1
            print(f"{i + 1:4} {name}: {result}", flush=True)
        left = list((work / "out").rglob("*.partial"))
    print(f"{asked.kills} kills, none left a half file; {len(left)} parts that the next run sweeps")
    for (name, result), count in sorted(found.items()):
        print(f"{count:4}  {name}: {result}")


if __name__ == "__main__":
    main()
