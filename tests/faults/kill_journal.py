"""Kills a survey's writer at random moments; every acknowledged record must be there afterwards.

    python tests/faults/kill_journal.py FOLDER 200

Each child opens the journal, records observations with their pictures and acknowledges each on a
pipe once it is committed; the parent kills it, and holds what can be read against what was said.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from hand_made import facts, observation, picture

from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record

LIMITS = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=2**20)
LONGEST_S = 0.05  # about what opening or a record takes


def write_until_killed(folder: Path, acknowledge: int) -> None:
    """Record one observation after the other."""
    with Journal(folder, facts(), limits=LIMITS) as journal:
        while True:
            seq = journal.acknowledged + 1
            if record(journal, observation(seq), *picture(seq, (64, 96))):
                os.write(acknowledge, f"{seq}\n".encode())


def kill_one(folder: Path, acknowledgements: int, after_s: float) -> list[int]:
    """Return what a child acknowledged that was killed some time after so many of its records."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write_until_killed(folder, writing)
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as f:
        said = [int(f.readline()) for _ in range(acknowledgements)]
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return said + [int(line) for line in f.read().split("\n")[:-1]]


def kill_many(folder: Path, kills: int, seed: int = 1) -> int:
    """Return how many records were acknowledged over all kills; raise if one is not there."""
    moments, acknowledged = random.Random(seed), set[int]()
    with Journal(folder, facts(), limits=LIMITS):
        pass
    for kill in range(kills):
        fresh = kill_one(folder, moments.randint(0, 4), moments.uniform(0, LONGEST_S))
        assert not acknowledged & set(fresh), "a number was given twice"
        acknowledged |= set(fresh)
        held = [o.seq for o in read_survey(folder).observations]
        assert len(held) == len(set(held))
        assert acknowledged <= set(held), f"lost after kill {kill}: {acknowledged - set(held)}"
    with Journal(folder, facts(), limits=LIMITS):
        assert not list((folder / "snapshots").glob("*.partial"))
    survey = read_survey(folder)
    for o in survey.observations:
        assert o.snapshot is None or (folder / "snapshots" / o.snapshot).is_file()
    return len(acknowledged)


if __name__ == "__main__":
    kills = int(sys.argv[2])
    print(f"{kills} kills, {kill_many(Path(sys.argv[1]), kills)} records acknowledged, none lost")
