"""The disk refuses writes: records wait in memory, unacknowledged, and are written when it can."""

from pathlib import Path

from scnet_edge.survey.folder import read_survey

# A limit on the size of files makes the kernel refuse writes (EFBIG), SQLite's among them.
CODE = """
import resource, sys
sys.path.insert(0, "tests")
from pathlib import Path
from hand_made import facts, observation, picture
from scnet_edge.errors import SurveyError
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.database import DiskLimits

def largest_file(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

limits = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
journal = Journal(Path(sys.argv[1]), facts(), limits=limits)
print(record(journal, observation(1), *picture(1)))
largest_file(0)
print(record(journal, observation(2), *picture(2)), record(journal, observation(3), *picture(3)))
print(journal.acknowledged)
if sys.argv[2] == "mended":
    largest_file(resource.RLIM_INFINITY)
    print(record(journal, observation(4), *picture(4)), journal.acknowledged)
try:
    journal.close()
except SurveyError as e:
    print(e)
"""


def test_fault_12_survey_write_error_that_passes(python, tmp_path: Path) -> None:
    done = python(CODE, [str(tmp_path), "mended"])
    assert done.stdout.splitlines() == ["True", "False False", "1", "True 4"], done.stderr
    survey = read_survey(tmp_path)
    assert [o.seq for o in survey.observations] == [1, 2, 3, 4]
    assert [o.snapshot is not None for o in survey.observations] == [True, False, False, True]
    assert "disk_error" in {alarm.reason for alarm in survey.alarms}


def test_fault_12_survey_write_error_that_stays(python, tmp_path: Path) -> None:
    done = python(CODE, [str(tmp_path), "broken"])
    *before, last = done.stdout.splitlines()
    assert before == ["True", "False False", "1"], done.stderr
    assert "the disk refuses" in last
    assert [o.seq for o in read_survey(tmp_path).observations] == [1]
