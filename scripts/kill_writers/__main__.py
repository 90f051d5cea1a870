"""Kill every command that writes, again and again: what it writes is whole, or as it was before.

    python -m scripts.kill_writers --kills 200 --bundle BUNDLE
    python -m scripts.kill_writers --kills 20 --bundle BUNDLE train "archive run"

Each command first writes an older result that is kept. It is then started again and killed by
SIGKILL at a random moment within the time that it takes; what then lies under the final name must
be the older result or a whole newer one, by its reader. A command that goes on where it was killed
is then started again: its result must be that of the run that nobody killed.

The next to be killed is the command that has cost least time so far: quick ones are killed more
often.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.kill_writers.commands import RUN, Command, commands


@dataclass
class Made:
    """What a command wrote that nobody killed, and how long it took at most."""

    result: object
    took_s: float


def call(arguments: tuple[str, ...], out: Path) -> list[str]:
    """Return how to start a command that writes to `out`."""
    return [*RUN, *(part.replace("{out}", str(out)) for part in arguments)]


def prepare(command: Command, out: Path) -> None:
    """Free the place, or put there what the command works on."""
    if command.remove or command.begin is not None:
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
    if command.begin is not None:
        shutil.copytree(command.begin, out)


def undisturbed(name: str, command: Command, out: Path) -> Made:
    """Let a command end."""
    prepare(command, out)
    start_s = time.monotonic()
    done = subprocess.run(call(command.arguments, out), capture_output=True, text=True)
    took_s = time.monotonic() - start_s
    assert done.returncode == 0, (name, done.stderr)
    command.whole(out)
    return Made(command.result(out), took_s)


def kill_once(name: str, command: Command, out: Path, made: Made, moment: random.Random) -> str:
    """Start a command over an older result, kill it, and check; return what was found."""
    prepare(command, out)
    process = subprocess.Popen(
        call(command.arguments, out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment.uniform(0.2, 1.0) * made.took_s)
    ended = process.poll() is not None
    made.took_s *= 0.85 if ended else 1.02  # the machine may be busier or less so than before
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = "ended before" if ended else _whole(name, command, out)
    if command.resume is None or not out.exists():
        return found
    done = subprocess.run(call(command.resume, out), capture_output=True, text=True)
    if done.returncode and "--resume" in command.resume and not (out / "settings.json").exists():
        return "nothing yet"
    command.whole(out)
    if done.returncode and command.result(out) == made.result:
        return "whole"  # killed behind its last file, and nothing is left to go on with
    assert done.returncode == 0, (name, done.stderr)
    assert command.result(out) == made.result, f"{name}: gone on with, {out} is another result"
    return "ended before" if ended else "gone on with: the same"


def _whole(name: str, command: Command, out: Path) -> str:
    if not out.exists():
        assert command.remove, f"{name}: the older {out} is gone"
        return "nothing yet"
    if name == "inspect" and not (out / "survey.db").exists():
        return "nothing yet"
    try:
        command.whole(out)
    except Exception as e:
        if name == "inspect" and "cut before it began" in str(e):
            return "nothing yet"
        raise AssertionError(f"{name}: {out} is half: {e}") from e
    return "whole"


def main() -> int:
    """Kill, and print how often and what was found; return how often something was half."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("commands", nargs="*", help="default: all")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    moment, found = random.Random(asked.seed), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory(prefix="kill-writers-") as folder:
        work = Path(folder)
        (work / "out").mkdir()
        known = commands(work, asked.bundle.absolute())
        names = asked.commands or list(known)
        out = {n: work / "out" / f"{n.replace(' ', '-')}{known[n].suffix}" for n in names}
        made = dict[str, Made]()
        spent_s = dict.fromkeys(names, 0.0)
        for i in range(asked.kills):
            name = min(names, key=spent_s.__getitem__)
            start_s = time.monotonic()
            if name not in made:
                made[name] = undisturbed(name, known[name], out[name])
            try:
                result = kill_once(name, known[name], out[name], made[name], moment)
            except AssertionError as e:
                result = f"HALF: {e}"
                undisturbed(name, known[name], out[name])
            spent_s[name] += time.monotonic() - start_s
            found[name, result] += 1
            print(f"{i + 1:4} {name}: {result}", flush=True)
        left = list((work / "out").rglob("*.partial"))
    half = sum(count for (_, result), count in found.items() if result.startswith("HALF"))
    print(f"{asked.kills} kills, {half} left a half; {len(left)} parts that the next run sweeps")
    for (name, result), count in sorted(found.items()):
        print(f"{count:4}  {name}: {result}")
    return half


if __name__ == "__main__":
    sys.exit(main())
