"""A full disk: pictures stop, records go on in the room held for them, all resumes when freed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_made import facts, observation, picture

from scnet_edge.files import free_bytes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record

LIMITS = DiskLimits(snapshot_bytes=200_000, mask_bytes=100_000, reserve_bytes=1_000_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 3 MB."""
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    if mount.returncode:
        pytest.skip(f"cannot mount a small disk here: {mount.stderr.strip()}; run as root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_fault_11_survey_disk_full(small_disk: Path) -> None:
    folder, ballast = small_disk / "survey", small_disk / "ballast"
    with Journal(folder, facts(), limits=LIMITS) as journal:
        assert record(journal, observation(1), *picture(1))
        # Something else leaves room for masks only.
        ballast.write_bytes(bytes(free_bytes(folder) - 150_000))
        assert record(journal, observation(2), *picture(2))
        # It takes all there is.
        with ballast.open("ab", buffering=0) as f:
            while free_bytes(folder):
                f.write(bytes(min(4096, free_bytes(folder))))
        for seq in range(3, 203):
            assert record(journal, observation(seq), *picture(2)), f"record {seq} refused"
        assert not journal.reserve.is_full
        # And is gone again.
        ballast.unlink()
        assert record(journal, observation(203), *picture(1))
        assert journal.reserve.is_full
    survey = read_survey(folder)
    assert [o.seq for o in survey.observations] == list(range(1, 204))
    pictured = [o.seq for o in survey.observations if o.snapshot]
    assert pictured == [1, 203]
    assert all("no_snapshot" in o.flags for o in survey.observations if o.seq not in pictured)
    masks = sorted(int(path.stem) for path in (folder / "snapshots").glob("*.png"))
    assert masks == [1, 2, 203]
    assert [alarm.reason for alarm in survey.alarms] == ["disk_full"]
