"""A Python process of our own, which imports nothing from the folder that it is started in.

Python looks for modules in the current folder first. Somebody else's survey, archive or data set
may hold a `json.py`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from threading import Thread

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from importlib import import_module; "
    "import_module(sys.argv[2]).main(*map(int, sys.argv[3:]))"
)
POLL_S = 1.0


def child_command(module: str, *descriptors: int) -> list[str]:
    """Return the command of a process that calls `main` of a module of ours.

    Args:
        module: its full name.
        descriptors: what `main` is called with.
    """
    path = [str(Path(folder).absolute()) for folder in sys.path if folder]
    flags = ["-I", *(["-B"] if sys.dont_write_bytecode else [])]
    return [sys.executable, *flags, "-c", BOOT, json.dumps(path), module, *map(str, descriptors)]


def end_with_parent() -> None:
    """Leave when the parent has died, even while native code holds the main thread."""
    Thread(target=_wait_for_death, args=(os.getppid(),), daemon=True).start()


def _wait_for_death(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(POLL_S)
    os._exit(0)
