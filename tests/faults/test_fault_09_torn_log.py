"""The write-ahead log cut at a random byte: read up to its last whole record, and said so."""

import random
import shutil
from pathlib import Path

import pytest
from hand_made import facts, observation, picture

from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record

LIMITS = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=2**16)
RECORDS = 12


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a survey as it lies on the disk while it is being written."""
    folder = tmp_path_factory.mktemp("survey")
    with Journal(folder / "live", facts(), limits=LIMITS) as journal:
        for seq in range(1, RECORDS + 1):
            progress = Progress(
                frame_id=10 * seq, resume_frame_id=10 * seq, frames=10 * seq, chainage_m=seq
            )
            record(journal, observation(seq), *picture(seq), progress=progress)
        shutil.copytree(folder / "live", folder / "copy")
    return folder / "copy"


@pytest.mark.parametrize("seed", range(6))
def test_fault_09_torn_log(cut_off: Path, tmp_path: Path, seed: int) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(cut_off, torn)
    log = torn / f"{JOURNAL}-wal"
    with log.open("r+b") as f:
        f.truncate(random.Random(seed).randrange(log.stat().st_size))
    read = len(read_survey(torn).observations)

    replayed = tmp_path / "replayed"
    shutil.copytree(torn, replayed)
    with Journal(replayed, facts(), limits=LIMITS, replays=True) as journal:
        # What a source that can be read again is resumed from: rows and progress of one moment.
        assert journal.acknowledged == read
        at = None if journal.progress is None else journal.progress.frame_id
        assert at == (10 * read or None)
        assert len(list((replayed / "snapshots").glob("*.jpg"))) == read

    with Journal(torn, facts(), limits=LIMITS) as journal:  # a camera cannot be asked again
        assert journal.acknowledged == RECORDS
    survey = read_survey(torn)
    assert [o.seq for o in survey.observations] == list(range(1, RECORDS + 1))
    assert survey.observations[-1].snapshot == f"{RECORDS:06d}.jpg"
    restored = [a.detail for a in survey.alarms if a.reason == "records_restored"]
    assert [int(detail.split()[0]) for detail in restored] == [RECORDS - read] * (read < RECORDS)
