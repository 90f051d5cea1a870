"""What is fuzzed: each target gives bytes to one parser and lets pass only what it promises."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scnet_edge.arrays import read_arrays
from scnet_edge.bundle.device import State
from scnet_edge.bundle.manifest import Manifest
from scnet_edge.bundle.verify import read_golden
from scnet_edge.config import NotToml, parse_toml, read_json
from scnet_edge.data.coco import read_coco
from scnet_edge.data.pictures import decode_image
from scnet_edge.errors import ScnetEdgeError
from scnet_edge.inspection.live_odometry import parsed
from scnet_edge.inspection.odometry_file import read_odometry
from scnet_edge.inspection.setup import read_setup
from scnet_edge.redaction import redact, without_secrets
from scnet_edge.robot.robot_toml import read_robot
from scnet_edge.simulation.clip import read_truth
from scnet_edge.sinks.recover import cut_torn_tail, recover
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import MIGRATIONS
from scnet_edge.survey.facts import Facts
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL
from scnet_edge.video.uris import parse_camera
from scnet_edge.web.access import access_for, is_origin, parse_address

MEMORY = Path("/dev/shm")  # a disk would be written to for an hour
FOLDER = Path(tempfile.mkdtemp(prefix="scnet-edge-fuzz-", dir=MEMORY if MEMORY.is_dir() else None))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
Target = Callable[[bytes], None]


def of_file(read: Callable[[Path], object], name: str) -> Target:
    """Return the target of a reader of files: only our own errors may come out."""

    def target(data: bytes) -> None:
        path = FOLDER / name
        path.write_bytes(data)
        with contextlib.suppress(ScnetEdgeError):
            read(path)

    return target


def of_text(read: Callable[[str], object]) -> Target:
    """Return the target of a reader of text."""

    def target(data: bytes) -> None:
        with contextlib.suppress(ScnetEdgeError, NotToml):
            read(data.decode("utf-8", "surrogateescape"))

    return target


def recovered(path: Path) -> None:
    """Recover a file into another; what was recovered must be whole."""
    out = path.with_name(f"whole{path.suffix}")
    out.unlink(missing_ok=True)
    done = recover(path, out)
    again = path.with_name(f"again{path.suffix}")
    again.unlink(missing_ok=True)
    assert recover(out, again).lost_bytes == 0
    assert recover(out, again.with_name(f"more{path.suffix}")).records == done.records
    for made in (out, again, again.with_name(f"more{path.suffix}")):
        made.unlink()


def arrays(path: Path) -> None:
    """Read an archive of arrays, whose errors are ValueErrors."""
    with contextlib.suppress(ValueError):
        read_arrays(path, most_bytes=1 << 24)


def image(data: bytes) -> None:
    """Decode an image."""
    with contextlib.suppress(ScnetEdgeError):
        decode_image(data, where="fuzzed", max_pixels=1 << 22)


def reading(data: bytes) -> None:
    """Parse a datagram of an odometer."""
    parsed(data)


def survey_rows(data: bytes) -> None:
    """Read a sound journal with whatever rows: facts, then an observation each line."""
    path = FOLDER / "survey" / JOURNAL
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    facts, *records = data.split(b"\n")
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for statement in (s for step in MIGRATIONS for s in step):
            db.execute(statement)
        version_of_ours = f"PRAGMA user_version = {len(MIGRATIONS)}"
        db.execute("PRAGMA application_id = 1396919877")
        db.execute(version_of_ours)
        db.execute("INSERT INTO survey VALUES (1, ?)", (facts,))
        for record in records:
            db.execute("INSERT INTO observation (record) VALUES (?)", (record,))
    with contextlib.suppress(ScnetEdgeError):
        read_survey(path.parent)


def journal_file(path: Path) -> None:
    """Open whatever bytes as a journal."""
    folder = path.parent / "journal"
    folder.mkdir(exist_ok=True)
    path.replace(folder / JOURNAL)
    read_survey(folder)


def live_headers(text: str) -> None:
    """Judge whatever Host and Origin headers."""
    host, _, origin = text.partition("\n")
    access = access_for("127.0.0.1", "live")
    access.host_allowed(host)
    is_origin(origin)
    access.origin_allowed(origin, host)


def address(text: str) -> None:
    """Hide an address's secrets, and parse it."""
    redact(text)
    without_secrets(f"cannot open {text}", text)
    parse_camera(text)


TARGETS: dict[str, Target] = {
    "address": of_text(address),
    "arrays": of_file(arrays, "a.npz"),
    "coco": of_file(lambda path: list(read_coco(path)), "coco.json"),
    "codes": of_file(read_codes, "codes.toml"),
    "facts": of_file(lambda path: read_json(path, Facts), "facts.json"),
    "golden": of_file(read_golden, "golden.npz"),
    "headers": of_text(live_headers),
    "image": image,
    "journal": of_file(journal_file, "fuzzed.db"),
    "jsonl": of_file(recovered, "run.jsonl"),
    "live-address": of_text(partial(parse_address, default_port=8765)),
    "manifest": of_file(lambda path: read_json(path, Manifest), "manifest.json"),
    "mcap": of_file(recovered, "run.mcap"),
    "odometry-csv": of_file(read_odometry, "odometry.csv"),
    "odometry-jsonl": of_file(read_odometry, "odometry.jsonl"),
    "pipe-toml": of_file(read_setup, "pipe.toml"),
    "reading": reading,
    "robot-toml": of_file(read_robot, "robot.toml"),
    "state": of_file(lambda path: read_json(path, State), "state.json"),
    "survey-rows": survey_rows,
    "toml": of_text(parse_toml),
    "torn-tail": of_file(cut_torn_tail, "torn.jsonl"),
    "truth": of_file(read_truth, "truth.npz"),
}
