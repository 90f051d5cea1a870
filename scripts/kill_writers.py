"""Kill every command that writes, again and again: what it writes is whole, or as it was before.

    python scripts/kill_writers.py --kills 200 [--bundle BUNDLE]

Each command first writes an older result that is kept. It is then started again and killed by
SIGKILL at a random moment within the time that it takes; what then lies under the final name must
be the older result or a whole newer one, by its reader.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

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
    """

    arguments: tuple[str, ...]
    whole: Check
    suffix: str = ""
    remove: bool = False


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


def exported(name: str) -> Check:
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
    """Require a survey that can be read, with every picture that it names."""
    from scnet_edge.survey.folder import read_survey

    for observation in read_survey(folder).observations:
        if observation.snapshot:
            assert (folder / "snapshots" / observation.snapshot).is_file()


def bundle_folder(folder: Path) -> None:
    """Require a bundle whose every hash is right."""
    from scnet_edge.bundle.manifest import read_manifest

    read_manifest(folder)


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
    export = ("export", str(survey_folder), "--out", "{out}", "--format")
    found = {
        "measure": Command(
            ("measure", str(work / "mask.png"), "--json", "{out}"), json_file, ".json"
        ),
        "recover": Command(
            ("recover", str(work / "torn.jsonl"), "--out", "{out}"), lines, ".jsonl", remove=True
        ),
        "export csv": Command((*export, "csv"), table),
        "export json": Command((*export, "json"), exported("survey.json")),
        "export geojson": Command((*export, "geojson"), exported("observations.geojson")),
        "export coco": Command((*export, "coco"), exported("coco.json")),
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
        "report": Command(("report", "{out}"), survey),
        "bench report": Command(
            ("bench", "report", str(next(Path("benchmarks/results/speed").glob("*.json"))),
             "--html", "{out}"),
            page, ".html",
        ),
    }  # fmt: skip
    return found


def kill_once(name: str, command: Command, work: Path, took_s: float, moment: random.Random) -> str:
    """Start a command over an older result, kill it, and check; return what was found."""
    out = work / "out" / f"{name.replace(' ', '-')}{command.suffix}"
    if command.remove:
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
    arguments = [part.replace("{out}", str(out)) for part in command.arguments]
    process = subprocess.Popen(
        [*RUN, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(moment.uniform(0.3, 1.05) * took_s)
    ended = process.poll() is not None
    process.kill()
    process.wait()
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
    return "ended before" if ended else "whole"


def main() -> None:
    """Kill, and print how often and what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    moment, found = random.Random(asked.seed), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory(prefix="kill-writers-") as folder:
        work = Path(folder)
        (work / "out").mkdir()
        known, took_s = commands(work, asked.bundle), dict[str, float]()
        for name, command in known.items():
            out = work / "out" / f"{name.replace(' ', '-')}{command.suffix}"
            if name == "report":
                shutil.copytree(work / "survey", out)
            start_s = time.monotonic()
            arguments = [part.replace("{out}", str(out)) for part in command.arguments]
            done = subprocess.run([*RUN, *arguments], capture_output=True, text=True)
            assert done.returncode == 0, (name, done.stderr)
            command.whole(out)
            took_s[name] = time.monotonic() - start_s
        for i in range(asked.kills):
            name = list(known)[i % len(known)]
            result = kill_once(name, known[name], work, took_s[name], moment)
            found[name, result] += 1
            print(f"{i + 1:4} {name}: {result}", flush=True)
        left = list((work / "out").rglob("*.partial"))
    print(f"{asked.kills} kills, none left a half file; {len(left)} parts that the next run sweeps")
    for (name, result), count in sorted(found.items()):
        print(f"{count:4}  {name}: {result}")


if __name__ == "__main__":
    main()
