"""One command, killed again and again; what it leaves is checked each time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scripts.kill_writers.commands import RUN, Command

LEAST_KILLS = 3  # of each command, before quick ones have more
HALF = "HALF"


class Ended(Exception):
    """It ended before it was killed."""


@dataclass
class Turn:
    """A command with the place that it writes to.

    Attributes:
        found: What lay there after a kill, and how often.
        spent_s: How long all this took.
    """

    name: str
    command: Command
    out: Path
    found: Counter[str] = field(default_factory=Counter)
    spent_s: float = 0.0
    _result: object = None
    _took_s: float = 0.0  # undisturbed; 0 before it ever was

    @property
    def rank(self) -> tuple[int, float]:
        """The lowest is to be killed next."""
        return min(LEAST_KILLS, self.found.total()), self.spent_s

    def kill(self, moment: random.Random) -> str:
        """Start it over an older result until one start is killed; return what was found."""
        start_s = time.monotonic()
        if not self._took_s:
            self._let_end()
        while True:
            with suppress(Ended):
                found = self._try(moment)
                break
        self.found[found.partition(":")[0]] += 1
        self.spent_s += time.monotonic() - start_s
        return found

    def _try(self, moment: random.Random) -> str:
        try:
            self._kill_once(moment)
            return self._judge()
        except AssertionError as e:
            self._let_end()
            return f"{HALF}: {e}"

    def _call(self, arguments: tuple[str, ...]) -> list[str]:
        return [*RUN, *(part.replace("{out}", str(self.out)) for part in arguments)]

    def _prepare(self) -> None:
        """Free the place, or put there what the command works on."""
        if self.command.remove or self.command.begin is not None:
            shutil.rmtree(self.out, ignore_errors=True)
            self.out.unlink(missing_ok=True)
        if self.command.begin is not None:
            shutil.copytree(self.command.begin, self.out)

    def _let_end(self) -> None:
        """Let it end, for its result and the time that it takes."""
        self._prepare()
        start_s = time.monotonic()
        self._end_well(self.command.arguments)
        self._took_s = time.monotonic() - start_s
        self.command.whole(self.out)
        self._result = self.command.result(self.out)

    def _end_well(self, arguments: tuple[str, ...]) -> None:
        done = subprocess.run(self._call(arguments), capture_output=True, text=True)
        assert done.returncode == 0, (self.name, done.stderr)

    def _kill_once(self, moment: random.Random) -> None:
        self._prepare()
        process = subprocess.Popen(
            self._call(self.command.arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment.uniform(0.2, 1.0) * self._took_s)
        ended = process.poll() is not None
        # The machine may be busier or less so than before.
        self._took_s *= 0.85 if ended else 1.02
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if ended:
            raise Ended

    def _judge(self) -> str:
        found, command = self._whole(), self.command
        if command.resume is None or not self.out.exists():
            return found
        done = subprocess.run(self._call(command.resume), capture_output=True, text=True)
        nothing_yet = not (self.out / "settings.json").exists()
        if done.returncode and "--resume" in command.resume and nothing_yet:
            return "nothing yet"
        command.whole(self.out)
        same = command.result(self.out) == self._result
        if done.returncode and same:
            return "whole"  # killed behind its last file, and nothing is left to go on with
        assert done.returncode == 0, (self.name, done.stderr)
        assert same, f"{self.name}: gone on with, {self.out} is another result"
        return "gone on with, the same"

    def _whole(self) -> str:
        if not self.out.exists():
            assert self.command.remove, f"{self.name}: the older {self.out} is gone"
            return "nothing yet"
        if self.name == "inspect" and not (self.out / "survey.db").exists():
            return "nothing yet"
        try:
            self.command.whole(self.out)
        except Exception as e:
            if self.name == "inspect" and "cut before it began" in str(e):
                return "nothing yet"
            raise AssertionError(f"{self.name}: {self.out} is half: {e}") from e
        return "whole"
