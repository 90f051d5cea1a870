"""Coverage-guided fuzzing of every parser of ours, outside the tests.

    pip install atheris
    python -m scripts.fuzz --minutes 60            # all, one after the other
    python -m scripts.fuzz jsonl toml --minutes 5  # some

An input that ends in anything but our own one-line error, takes 30 s or 2 GB is kept in
`tests/fuzzed/NAME/` and is run by the tests from then on. Minutes are those of the processor.
What was found worth keeping stays in `.fuzz/NAME/`, and the next run goes on from there;
`.fuzz/figures.json` counts inputs and seconds over all runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.fuzz.seeds import seeds
from scripts.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "tests" / "fuzzed"
CORPUS = ROOT / ".fuzz"
MEMORY = Path("/dev/shm")  # a disk would be written to for an hour
FIGURES = CORPUS / "figures.json"
HANGS_S, MOST_MB, MOST_BYTES = 600, 2048, 1 << 16
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main() -> int:
    """Fuzz the targets that are named; return how many found something."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="default: all")
    parser.add_argument("--minutes", type=float, default=60.0, help="for each")
    asked = parser.parse_args()
    failed = [name for name in asked.targets or TARGETS if not fuzz(name, 60 * asked.minutes)]
    print(f"found something: {', '.join(failed) or 'none'}")
    return len(failed)


def fuzz(name: str, cpu_s: float) -> bool:
    """Fuzz one target in a process of its own, which libFuzzer ends; return whether it held."""
    corpus, found = CORPUS / name, FOUND / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = {"timeout": HANGS_S, "rss_limit_mb": MOST_MB, "max_len": MOST_BYTES}
    command = [sys.executable, "-m", "scripts.fuzz.one", name, str(cpu_s), str(corpus), str(found)]
    command += [f"-{key}={value}" for key, value in options.items()]
    command += ["-print_final_stats=1", f"-artifact_prefix={found}/"]
    log, before = CORPUS / f"{name}.log", resource.getrusage(resource.RUSAGE_CHILDREN)
    # libFuzzer ends without tidying up, so that the folder is ours.
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as temporary,
        log.open("wb") as written,
    ):
        environment = {**os.environ, "TMPDIR": temporary}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=written, stderr=written)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    counted = EXECUTED.search(log.read_text(errors="replace"))
    count(name, int(counted[1]) if counted else 0, used_s)
    print(f"{name}: {counted[1] if counted else '?'} inputs, {used_s:.0f} s, {log}", flush=True)
    return done.returncode == 0


def count(name: str, inputs: int, cpu_s: float) -> None:
    """Add to the figures of a target."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    before = figures.get(name, {"inputs": 0, "cpu_s": 0})
    figures[name] = {
        "inputs": before["inputs"] + inputs,
        "cpu_s": round(before["cpu_s"] + cpu_s, 1),
    }
    FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
