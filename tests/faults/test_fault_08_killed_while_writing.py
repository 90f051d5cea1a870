"""SIGKILL at random points: the journal opens, and no acknowledged record is lost or doubled.

The full count, about half a minute: python tests/faults/kill_journal.py FOLDER 200
"""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill_journal.py")
KILLS = 25


def test_fault_08_killed_while_writing(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path / "survey"), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root)
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(r"25 kills, (\d+) records acknowledged, none lost\n", done.stdout)
    assert said
    assert int(said[1]) > KILLS  # else the children were killed before they did anything
