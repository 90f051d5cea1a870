"""Links in a survey or bundle that somebody else made: nothing outside it is ever written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hand_made import facts, observation, picture
from sink_frames import frame_result, recorder

from scnet_edge.bundle.device import DEVICE, State, claim_device, write_state
from scnet_edge.errors import ConfigError, ScnetEdgeError
from scnet_edge.files import write_file
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.recover import cut_torn_tail
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.exchange import WRITERS, export_survey
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review import review_record

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=64 * 1024)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        record(journal, observation(1), *picture(1))
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's, which must not change."""
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (home / ".bashrc").write_text("mine")
    return home


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in folder.rglob("*")
    }


def write_everything(survey: Path) -> None:
    """Do all that writes into a survey's folder; each may be refused, in one line."""

    def exported(name: str) -> Callable[[], object]:
        return lambda: export_survey(read_survey(survey), read_codes(None), name, survey / "export")

    def resumed() -> None:
        with Journal(survey, facts(), limits=SMALL) as journal:
            record(journal, observation(journal.next_seq), *picture(2))

    for action in (
        lambda: write_file(survey / "report.html", b"page"),
        *(exported(name) for name in WRITERS),
        lambda: review_record(survey, 1, verdict="accepted"),
        resumed,
    ):
        with suppress(ScnetEdgeError):
            action()


LINKS = [
    *("report.html", "report.html.partial", ".report.html.tmp", "reserve", ".lock"),
    *("survey.db", "survey.db-wal", "survey.db-shm", "export", "snapshots"),
    *("export/observations.csv", "export/survey.json", "export/coco.json", "export/pacp"),
    *("export/observations.geojson", "export/isybau.xml", "export/pacp/Conditions.csv"),
    *("snapshots/000001.json", "snapshots/000002.jpg", "snapshots/000002.png"),
    *("snapshots/000002.json", "snapshots/000002.jpg.partial"),
]


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("hard", [False, True])
def test_nothing_outside_a_survey_is_written(
    survey: Path, outside: Path, name: str, hard: bool
) -> None:
    link = survey / name
    link.parent.mkdir(exist_ok=True, parents=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    folder = name in ("export", "snapshots", "export/pacp")
    if hard:
        if folder:
            pytest.skip("folders have no second name")
        os.link(outside / ".bashrc", link)
    else:
        link.symlink_to(outside / ("folder" if folder else ".bashrc"))
    before = content(outside)
    write_everything(survey)
    if not folder and not hard:  # and through a link to nothing
        link.unlink(missing_ok=True)
        link.symlink_to(outside / "new")
        write_everything(survey)
    assert content(outside) == before


@pytest.mark.parametrize(
    "name", ["device", "device/state.json", "device/state.json.tmp", "device/.lock"]
)
def test_nothing_outside_a_bundle_is_written(tmp_path: Path, outside: Path, name: str) -> None:
    link = tmp_path / "bundle" / f"{DEVICE}{name}"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / ("folder" if not name else ".bashrc"))
    before = content(outside)
    with suppress(ScnetEdgeError), claim_device(tmp_path / "bundle"):
        write_state(tmp_path / "bundle", State())
    assert content(outside) == before


@pytest.mark.parametrize("sink", ["jsonl:run.jsonl", "mcap:run.mcap", "video:run.mp4"])
@pytest.mark.parametrize("target", [".bashrc", "new"])
def test_no_sink_writes_through_a_link(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, sink: str, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(sink.partition(":")[2]).symlink_to(outside / target)
    before = content(outside)
    with (
        suppress(ScnetEdgeError),
        open_sinks([sink], recorder(), fps=10.0) as opened,
    ):
        opened[0].write(frame_result(0))
    assert content(outside) == before


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "pipe"])
def test_a_device_is_no_file_of_records(tmp_path: Path, device: str) -> None:
    path = Path(device) if device != "pipe" else tmp_path / device
    if device == "pipe":
        os.mkfifo(path)
    with pytest.raises(ConfigError, match="expected a plain file"):
        cut_torn_tail(path)
