"""One damaged record costs that record, and the remedy that a message names works."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest
from hand_made import facts, gap, observation, picture
from mcap.reader import make_reader
from sink_frames import frame_result, recorder

from scnet_edge.errors import ScnetEdgeError, SurveyError
from scnet_edge.sinks.mcap_file import McapFile
from scnet_edge.sinks.recover import cut_torn_tail, recover_file
from scnet_edge.survey import database
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.evidence import read_sidecars
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=64 * 1024)
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
DAMAGE = {
    "not UTF-8": b'{"kind": "\xff\xfe"}',
    "deep": DEEP,
    "torn": b'{"kind": "frame", "x": ',
    "empty": b"",
    "another type": b"[1, 2]",
    "another record": b'{"kind": "frame"}',
}


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        for seq in (1, 2, 3):
            record(journal, observation(seq), *picture(seq))
        progress = Progress(frame_id=90, resume_frame_id=91, frames=91)
        journal.commit(gaps=[gap(), gap()], progress=progress)
    return folder


def spoil(folder: Path, table: str, column: str, value: object) -> None:
    with closing(sqlite3.connect(folder / JOURNAL)) as db, db:
        row = 2 if table in ("observation", "gap") else 1
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = {row}", (value,))


@pytest.mark.parametrize("table", ["survey", "observation", "gap", "progress"])
@pytest.mark.parametrize(
    "damage", [*DAMAGE.values(), 7, None, "\ud7ff"], ids=lambda value: str(value)[:12]
)
def test_the_remedy_of_a_damaged_survey_works(survey: Path, table: str, damage: object) -> None:
    if damage is None and table == "survey":
        damage = 1.5  # the column is never NULL
    elif damage is None:
        damage = b""
    before = read_survey(survey)
    spoil(survey, table, "facts" if table == "survey" else "record", damage)
    with pytest.raises(SurveyError, match="run 'inspect' on it again, which keeps what is whole"):
        read_survey(survey)
    with Journal(survey, facts(survey_id="anew"), limits=SMALL, replays=True) as journal:
        assert journal.progress is not None
        assert journal.next_seq == 4
    after = read_survey(survey)
    assert after.observations == before.observations  # number 2 from beside its snapshot
    assert len(after.gaps) == (1 if table == "gap" else 2)
    assert after.facts.survey_id == ("anew" if table == "survey" else before.facts.survey_id)
    assert [alarm.reason for alarm in after.alarms] == ["journal_corrupt"]
    assert "1 damaged records" in after.alarms[0].detail
    (kept,) = survey.glob("survey.db.corrupt-*")
    assert kept.stat().st_size


def test_an_observation_without_its_file_is_lost_alone(survey: Path) -> None:
    spoil(survey, "observation", "record", DEEP)
    (survey / "snapshots" / "000002.json").write_bytes(DEEP)
    with Journal(survey, facts(), limits=SMALL, replays=True):
        pass
    assert [o.seq for o in read_survey(survey).observations] == [1, 3]


@pytest.mark.parametrize("geometry", [{"diameter_mm": "wide"}, {"nonsense": 1}, {"fx": [1]}])
def test_facts_that_no_setup_has_are_damage(survey: Path, geometry: dict[str, object]) -> None:
    given = json.loads((survey / "snapshots" / "000001.json").read_bytes())
    assert given["seq"] == 1
    with closing(sqlite3.connect(survey / JOURNAL)) as db, db:
        text = json.loads(db.execute("SELECT facts FROM survey").fetchone()[0])
        text["geometry"] |= geometry
        db.execute("UPDATE survey SET facts = ?", (json.dumps(text),))
    with pytest.raises(SurveyError, match="damaged"):
        read_survey(survey)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_sidecar_is_left_out(survey: Path, damage: str) -> None:
    (survey / "snapshots" / "000002.json").write_bytes(DAMAGE[damage])
    assert [o.seq for o in read_sidecars(survey)] == [1, 3]


@pytest.mark.parametrize("damage", ["not UTF-8", "deep", "torn", "another type"])
def test_recover_keeps_every_whole_line(tmp_path: Path, damage: str) -> None:
    path, out = tmp_path / "run.jsonl", tmp_path / "out.jsonl"
    lines = [b'{"n": 1}', DAMAGE[damage], b'{"n": 2}', DAMAGE[damage]]
    path.write_bytes(b"\n".join(lines))
    done = recover_file(path, out)
    assert out.read_bytes() == b'{"n": 1}\n{"n": 2}\n'
    assert done.records == 2
    assert done.lost_bytes == path.stat().st_size - out.stat().st_size
    assert cut_torn_tail(path) == len(DAMAGE[damage])  # as a sink does that goes on with it
    assert path.read_bytes() == b"\n".join(lines[:3]) + b"\n"


def test_a_tail_larger_than_any_window_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"n": 1}\n' + bytes(5 * 2**20))
    assert cut_torn_tail(path) == 5 * 2**20
    assert path.read_bytes() == b'{"n": 1}\n'


def test_recover_goes_on_behind_a_damaged_chunk(tmp_path: Path) -> None:
    path, out = tmp_path / "run.mcap", tmp_path / "out.mcap"
    sink = McapFile(path, recorder(), room_bytes=0)
    for i in range(60):
        sink.put(sink.prepare(frame_result(i)))
    sink.close()
    data = bytearray(path.read_bytes())
    chunks = [at for at in range(len(data) - 9) if data[at] == 6 and _is_chunk(data, at)]
    assert len(chunks) > 3
    data[chunks[1] + 200] ^= 0xFF  # in its records
    path.write_bytes(data)
    done = recover_file(path, out)
    assert 0 < done.lost_bytes < 40_000
    with out.open("rb") as f:
        kept = sum(1 for _ in make_reader(f).iter_messages())
    assert kept == done.records
    assert kept >= 80  # of 121


def _is_chunk(data: bytearray, at: int) -> bool:
    (length,) = struct.unpack_from("<Q", data, at + 1)
    return (
        1000 < length < 100_000 and at + 9 + length < len(data) and data[at + 9 + length] in (6, 7)
    )


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE gap; CREATE VIEW gap AS WITH RECURSIVE n(record) AS "
        "(SELECT 'x' UNION ALL SELECT record FROM n) SELECT record FROM n",
        "CREATE TRIGGER t AFTER INSERT ON alarm BEGIN DELETE FROM observation; END",
        "CREATE TABLE more (x)",
    ],
)
def test_a_journal_with_views_or_triggers_of_a_stranger_is_refused(
    survey: Path, statement: str
) -> None:
    with closing(sqlite3.connect(survey / JOURNAL)) as db:
        db.executescript(statement)
    for opened in (lambda: read_survey(survey), lambda: Journal(survey, facts(), limits=SMALL)):
        with pytest.raises(SurveyError, match="in no survey"):
            opened()


def test_a_table_whose_pages_lead_back_to_each_other_is_not_read_without_end(
    survey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few pages of 4 KiB are a table of any number of rows."""
    with closing(sqlite3.connect(survey / JOURNAL)) as db:
        tables = dict(db.execute("SELECT name, rootpage FROM sqlite_master"))
        db.execute("PRAGMA journal_mode = DELETE")
    make_endless(survey / JOURNAL, tables["gap"])
    monkeypatch.setattr(database, "MAX_ROWS", 1000)
    with pytest.raises(SurveyError, match="a table of over 1000 rows"):
        read_survey(survey)


def make_endless(path: Path, root: int) -> None:
    """Let a table have its only leaf 100 x 100 times."""
    data = bytearray(path.read_bytes())
    (size,) = struct.unpack_from(">H", data, 16)
    pages = len(data) // size
    leaf = data[size * (root - 1) : size * root]
    for child in (pages + 1, pages + 2):
        made = bytearray(size)
        cells = [size - 5 * (i + 1) for i in range(100)]
        struct.pack_into(">BHHHBI", made, 0, 5, 0, len(cells), cells[-1], 0, child)
        struct.pack_into(f">{len(cells)}H", made, 12, *cells)
        for at in cells:
            struct.pack_into(">IB", made, at, child, 1)
        if child == pages + 1:
            data += leaf + made
        else:
            data[size * (root - 1) : size * root] = made
    struct.pack_into(">I", data, 28, len(data) // size)
    data[92:96] = data[24:28]  # for which state of the file that number holds
    path.write_bytes(data)


def test_a_journal_that_is_a_link_is_not_followed(survey: Path, tmp_path: Path) -> None:
    outside = tmp_path / "theirs.db"
    shutil.move(survey / JOURNAL, outside)
    (survey / JOURNAL).symlink_to(outside)
    before = outside.read_bytes()
    for opened in (lambda: read_survey(survey), lambda: Journal(survey, facts(), limits=SMALL)):
        with pytest.raises(ScnetEdgeError, match="link"):
            opened()
    assert outside.read_bytes() == before
