"""Kill every command that writes, again and again: what it writes is whole, or as it was before.

    python -m scripts.kill_writers --kills 200 --bundle BUNDLE
    python -m scripts.kill_writers --kills 20 --bundle BUNDLE train "archive run"
    python -m scripts.kill_writers --kills 200 --bundle BUNDLE --json benchmarks/results/kills.json

Each command first writes an older result that is kept. It is then started again and killed by
SIGKILL at a random moment within the time that it takes; what then lies under the final name must
be the older result or a whole newer one, by its reader. A command that goes on where it was killed
is then started again: its result must be that of the run that nobody killed.

Every command is killed three times first. The next to be killed is then the command that has cost
least time so far: quick ones are killed more often. A start that ends before it is killed does not
count, and is tried again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

from scnet_edge.files import write_file
from scripts.kill_writers.commands import commands
from scripts.kill_writers.turn import HALF, Turn


def main() -> int:
    """Kill, and print how often and what was found; return how often something was half."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("commands", nargs="*", help="default: all")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    asked = parser.parse_args()
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-writers-") as folder:
        turns, left = kill_all(Path(folder), asked)
    minutes = (time.monotonic() - start_s) / 60
    half = sum(turn.found[HALF] for turn in turns)
    print(f"{asked.kills} kills of {len(turns)} commands in {minutes:.0f} min: {half} left a half")
    print(f"{left} parts that the next run sweeps")
    for turn in turns:
        print(f"{turn.name}: {', '.join(f'{n} {what}' for what, n in turn.found.items())}")
    if asked.json:
        record = figures(turns, asked, minutes)
        write_file(asked.json, json.dumps(record, indent=1).encode() + b"\n")
    return half


def kill_all(work: Path, asked: argparse.Namespace) -> tuple[list[Turn], int]:
    """Return what was killed, and how many parts lie about at the end."""
    known, places = commands(work, asked.bundle.absolute()), work / "out"
    places.mkdir()
    turns = [
        Turn(name, known[name], places / f"{name.replace(' ', '-')}{known[name].suffix}")
        for name in asked.commands or known
    ]
    moment = random.Random(asked.seed)
    for i in range(asked.kills):
        turn = min(turns, key=lambda turn: turn.rank)
        found = turn.kill(moment)
        print(f"{i + 1:4} {turn.name}: {found} ({turn.spent_s:.0f} s so far)", flush=True)
    return turns, sum(1 for _ in places.rglob("*.partial"))


def figures(turns: list[Turn], asked: argparse.Namespace, minutes: float) -> dict[str, object]:
    """Return what was found, with how, where and when, for the results."""
    return {
        "command": f"python -m scripts.kill_writers --kills {asked.kills} --seed {asked.seed}",
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "minutes": round(minutes),
        "kills": asked.kills,
        "half": sum(turn.found[HALF] for turn in turns),
        "commands": {turn.name: dict(turn.found) for turn in turns},
    }


if __name__ == "__main__":
    sys.exit(main())
