"""Coverage-guided fuzzing of every parser of ours, outside the tests.

    pip install atheris
    python -m scripts.fuzz --minutes 60            # all, one after the other
    python -m scripts.fuzz jsonl toml --minutes 5  # some

An input that ends in anything but our own one-line error, takes 30 s or 2 GB is kept in
`tests/fuzzed/NAME/` and is run by the tests from then on.
"""

from __future__ import annotations

import argparse
import os
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
LONGEST_S, MOST_MB, MOST_BYTES = 30, 2048, 1 << 16


def main() -> int:
    """Fuzz the targets that are named; return how many found something."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="default: all")
    parser.add_argument("--minutes", type=float, default=60.0, help="for each")
    asked = parser.parse_args()
    failed = [name for name in asked.targets or TARGETS if not fuzz(name, asked.minutes)]
    print(f"found something: {', '.join(failed) or 'none'}")
    return len(failed)


def fuzz(name: str, minutes: float) -> bool:
    """Fuzz one target in a process of its own, which libFuzzer ends; return whether it held."""
    corpus, found = CORPUS / name, FOUND / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    print(f"{name}: {minutes:g} min", flush=True)
    options = {
        "max_total_time": round(60 * minutes),
        "timeout": LONGEST_S,
        "rss_limit_mb": MOST_MB,
        "max_len": MOST_BYTES,
        "print_final_stats": 1,
    }
    command = [sys.executable, "-m", "scripts.fuzz.one", name, str(corpus), str(found)]
    command += [f"-{key}={value}" for key, value in options.items()]
    command += [f"-artifact_prefix={found}/"]
    # libFuzzer ends without tidying up, so that the folder is ours.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as temporary:
        environment = {**os.environ, "TMPDIR": temporary}
        return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
