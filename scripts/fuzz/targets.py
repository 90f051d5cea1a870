"""What is fuzzed: each target gives bytes to one parser and lets pass only what it promises."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from scnet_edge.archive.folder import Done, Job
from scnet_edge.archive.manifest import read_manifest
from scnet_edge.archive.readers import read_inspections
from scnet_edge.archive.scan import container_of
from scnet_edge.arrays import read_arrays
from scnet_edge.bench.schema import read_result
from scnet_edge.bench.suite import read_suite
from scnet_edge.bundle.device import State
from scnet_edge.bundle.manifest import Manifest
from scnet_edge.bundle.recipe import read_recipe
from scnet_edge.bundle.signing import _private, _public
from scnet_edge.bundle.verify import read_golden
from scnet_edge.config import NotToml, parse_toml, read_json
from scnet_edge.data.coco import read_coco
from scnet_edge.data.corpus import read_corpus
from scnet_edge.data.labelme import read_labelme_mask
from scnet_edge.data.masks import read_mask
from scnet_edge.data.pictures import decode_image, read_picture, read_size
from scnet_edge.engines.compiled import CompiledEngine
from scnet_edge.engines.graph_file import check_graph
from scnet_edge.errors import ScnetEdgeError, SurveyError
from scnet_edge.inspection.chainage import Chainage
from scnet_edge.inspection.lens import read_lens
from scnet_edge.inspection.live_odometry import parse_line
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.odometry_file import read_odometry
from scnet_edge.inspection.osd_counter import numbers_of
from scnet_edge.inspection.ros_odometry import KIND
from scnet_edge.inspection.setup import Setup, read_setup
from scnet_edge.models.cards import read_card
from scnet_edge.orthophoto.raster import open_raster
from scnet_edge.quantization.gate import parse_gate
from scnet_edge.quantization.ranges import read_ranges
from scnet_edge.redaction import redact, without_secrets
from scnet_edge.robot.robot_toml import read_robot
from scnet_edge.runtime.ignore import Ignore
from scnet_edge.simulation.clip import read_truth
from scnet_edge.sinks.recover import cut_torn_tail, recover_file
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import MIGRATIONS, DiskLimits
from scnet_edge.survey.evidence import SNAPSHOTS, read_sidecars
from scnet_edge.survey.exchange.annotations import read_annotations
from scnet_edge.survey.facts import BundleIdentity, Facts
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.training.run_folder import LOG, read_log
from scnet_edge.video.film import open_film
from scnet_edge.video.ros_images import PICTURES, frame_of
from scnet_edge.video.rosbag import open_rosbag
from scnet_edge.video.uris import parse_camera, parse_place
from scnet_edge.web.access import access_for, is_origin, parse_address

FOLDER = Path(tempfile.mkdtemp(prefix="scnet-edge-fuzz-"))  # in TMPDIR
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
Target = Callable[[bytes], None]
STORE = get_typestore(Stores.LATEST)
FACTS = Facts(
    survey_id="a",
    created="2026-01-01T00:00:00+00:00",
    source="clip.mp4",
    mode="side",
    bundle=BundleIdentity(model="m", precision="int8", threshold=0.5, sha256="00"),
    engine="openvino",
    machine="pc",
    version="0.3",
    geometry={"diameter_mm": 300.0, "fx": 400.0, "distortion": [0.1]},
)
BAG = """rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
  duration: {nanoseconds: 2}
  starting_time: {nanoseconds_since_epoch: 1}
  message_count: 2
  topics_with_message_count:
    - topic_metadata:
        name: /i
        type: sensor_msgs/msg/CompressedImage
        serialization_format: cdr
        offered_qos_profiles: []
        type_description_hash: >-
          RIHS01_15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a
      message_count: 2
  compression_format: ""
  compression_mode: ""
  relative_file_paths: [bag.mcap]
  files: []
  custom_data: {}
  ros_distro: jazzy
"""


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


def recover_torn(path: Path) -> None:
    """Recover a file into another; what was recovered must be whole."""
    out = path.with_name(f"whole{path.suffix}")
    out.unlink(missing_ok=True)
    done = recover_file(path, out)
    again = path.with_name(f"again{path.suffix}")
    again.unlink(missing_ok=True)
    assert recover_file(out, again).lost_bytes == 0
    assert recover_file(out, again.with_name(f"more{path.suffix}")).records == done.records
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
    parse_line(data)


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
    with contextlib.suppress(ScnetEdgeError):
        read_survey(folder)
    with contextlib.suppress(SurveyError):
        Journal(folder, FACTS, limits=DiskLimits(reserve_bytes=0)).close()
    shutil.rmtree(folder)


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


def odometry_address(text: str) -> None:
    """Parse what `--odometry` takes; nothing is opened that would wait."""
    if text.startswith(("osd://", "speed://", "file://")):
        with open_odometry(text, Setup(mode="wall")):
            pass


def pacp(data: bytes) -> None:
    """Read PACP tables, one behind the other."""
    names = ("Inspections", "Conditions", "Media_Inspections", "Media_Conditions")
    folder = FOLDER / "pacp"
    folder.mkdir(exist_ok=True)
    for name, table in zip(names, [*data.split(b"\f"), b"", b"", b""], strict=False):
        (folder / f"PACP_{name}.csv").write_bytes(table)
    with contextlib.suppress(ScnetEdgeError):
        read_inspections(folder / "PACP_Inspections.csv")


def draw_ignored(path: Path) -> None:
    """Draw the polygons of a robot's configuration on frames of two sizes."""
    ignore = Ignore(read_robot(path).ignore)
    for size_hw in ((48, 64), (20, 400)):
        ignore(np.zeros((*size_hw, 3), np.uint8))


def bag(name: str) -> Target:
    """Return the target of one file of a bag whose others are sound."""

    def target(data: bytes) -> None:
        folder = FOLDER / "bag"
        folder.mkdir(exist_ok=True)
        (folder / "metadata.yaml").write_text(BAG)
        (folder / name).write_bytes(data)
        with contextlib.suppress(ScnetEdgeError):
            source = open_rosbag(f"rosbag:{folder}")
            for _ in zip(range(20), source.items, strict=False):
                pass

    return target


def ros_message(data: bytes) -> None:
    """Take whatever comes over zenoh for a picture or for odometry."""
    for kind in (*PICTURES, KIND):
        with contextlib.suppress(ScnetEdgeError, SerdeError):
            message = STORE.deserialize_cdr(data, kind)
            if kind == KIND:
                Chainage().add(message)
            else:
                frame_of(message)


def keys(path: Path) -> None:
    """Take whatever bytes for a key of a bundle's maker."""
    for load in (_private, _public):
        with contextlib.suppress(ScnetEdgeError):
            load(path)


def picture_file(path: Path) -> None:
    """Read a picture in every way that a folder of pictures is read."""
    for read in (read_size, read_picture, read_mask):
        with contextlib.suppress(ScnetEdgeError):
            read(path)


def raster(path: Path) -> None:
    """Read a window and the small picture of whatever claims to be an orthophoto."""
    with open_raster(path) as opened:
        height_px, width_px = (min(64, side) for side in opened.size_hw)
        opened.frame(slice(0, height_px), slice(0, width_px))
        opened.ignored(slice(0, height_px), slice(0, width_px))
        if opened.size_hw[0] * opened.size_hw[1] < 1 << 22:
            opened.small(64)


def film(name: str) -> Target:
    """Return the target of the films of one container: the first twenty pictures."""

    def read(path: Path) -> None:
        with contextlib.closing(open_film(path).items) as items:
            for _ in zip(range(20), items, strict=False):
                pass

    return of_file(read, name)


def sidecars(data: bytes) -> None:
    """Read whatever bytes as the record beside a picture."""
    path = FOLDER / "sidecars" / SNAPSHOTS / "000001.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    read_sidecars(FOLDER / "sidecars")


def training_log(data: bytes) -> None:
    """Read whatever bytes as the log of a training."""
    folder = FOLDER / "training"
    folder.mkdir(exist_ok=True)
    (folder / LOG).write_bytes(data)
    read_log(folder, until=5)


def words(text: str) -> None:
    """Parse what a command line takes in one word, and what is read from a picture."""
    for parse in (parse_gate, parse_place):
        with contextlib.suppress(ScnetEdgeError):
            parse(text)
    numbers_of(text.split("\n"))


TARGETS: dict[str, Target] = {
    "address": of_text(address),
    "annotations": of_file(lambda path: list(read_annotations(path)), "000001.json"),
    "archive-done": of_file(lambda path: read_json(path, Done), "done.json"),
    "archive-header": of_file(lambda path: container_of(os.fsencode(path)), "a.mp4"),
    "archive-ibak": of_file(read_inspections, "Daten.txt"),
    "archive-job": of_file(lambda path: read_json(path, Job), "archive.json"),
    "archive-manifest": of_file(read_manifest, "archive.parquet"),
    "archive-pacp": pacp,
    "archive-wincan": of_file(read_inspections, "job.db3"),
    "archive-xml": of_file(read_inspections, "job.xml"),
    "arrays": of_file(arrays, "a.npz"),
    "bench-result": of_file(read_result, "result.json"),
    "bench-suite": of_file(read_suite, "suite.toml"),
    "card": of_file(read_card, "card.json"),
    "coco": of_file(lambda path: list(read_coco(path)), "coco.json"),
    "codes": of_file(read_codes, "codes.toml"),
    "compiled": of_file(lambda path: read_json(path, CompiledEngine), "compiled.json"),
    "corpus": of_file(read_corpus, "corpus.toml"),
    "facts": of_file(lambda path: read_json(path, Facts), "facts.json"),
    "film-avi": film("film.avi"),
    "film-mkv": film("film.mkv"),
    "film-mpg": film("film.mpg"),
    "film-ts": film("film.ts"),
    "golden": of_file(read_golden, "golden.npz"),
    "graph": of_file(check_graph, "graph.onnx"),
    "headers": of_text(live_headers),
    "ignore": of_file(draw_ignored, "robot.toml"),
    "image": image,
    "journal": of_file(journal_file, "fuzzed.db"),
    "jsonl": of_file(recover_torn, "run.jsonl"),
    "keys": of_file(keys, "maker.pem"),
    "labelme": of_file(read_labelme_mask, "a.json"),
    "lens": of_file(read_lens, "lens.toml"),
    "live-address": of_text(partial(parse_address, default_port=8765)),
    "manifest": of_file(lambda path: read_json(path, Manifest), "manifest.json"),
    "mcap": of_file(recover_torn, "run.mcap"),
    "odometry-address": of_text(odometry_address),
    "odometry-csv": of_file(read_odometry, "odometry.csv"),
    "odometry-jsonl": of_file(read_odometry, "odometry.jsonl"),
    "picture-file": of_file(picture_file, "a.tif"),
    "pipe-toml": of_file(read_setup, "pipe.toml"),
    "ranges": of_file(read_ranges, "ranges.json"),
    "raster": of_file(raster, "a.tif"),
    "reading": reading,
    "recipe": of_file(read_recipe, "recipe.toml"),
    "ros-message": ros_message,
    "rosbag": bag("bag.mcap"),
    "rosbag-metadata": bag("metadata.yaml"),
    "robot-toml": of_file(read_robot, "robot.toml"),
    "sidecars": sidecars,
    "state": of_file(lambda path: read_json(path, State), "state.json"),
    "survey-rows": survey_rows,
    "toml": of_text(parse_toml),
    "torn-tail": of_file(cut_torn_tail, "torn.jsonl"),
    "training-log": training_log,
    "truth": of_file(read_truth, "truth.npz"),
    "words": of_text(words),
}
