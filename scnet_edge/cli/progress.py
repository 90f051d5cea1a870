"""How long work shows that it goes on: a spinner or bar on a terminal, lines in a pipe or log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

EVERY_S = 30.0  # between two lines where nobody sees a bar


@contextmanager
def show_steps(first: str) -> Iterator[Callable[[str], None]]:
    """Show the step at hand on standard error, and yield a function that takes the next one."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(f"{first} ...") as status:
            yield lambda step: status.update(f"{step} ...")
        return
    current = first

    def take(step: str) -> None:
        nonlocal current
        current = step

    with _lines(console, lambda: f"{current} ..."):
        yield take


@contextmanager
def show_progress(progress: Progress, *, start: bool = True) -> Iterator[Progress]:
    """Show the bars of `progress`; where there is no terminal, print a line of them now and then.

    Args:
        progress: whose console is that of standard error.
        start: show them at once; otherwise whoever has them does, or an error comes first.
    """
    if progress.console.is_terminal:
        if start:
            progress.start()
        try:
            yield progress
        finally:
            if progress.live.is_started:  # else it would print an empty line before an error
                progress.stop()
        return
    with _lines(progress.console, lambda: _line(progress)):
        yield progress


def _line(progress: Progress) -> str:
    tasks = [task for task in progress.tasks if task.visible and not task.finished]
    return ", ".join(
        f"{task.description} {task.completed:.0f}"
        + (f" of {task.total:.0f}" if task.total is not None else "")
        for task in tasks
    )


@contextmanager
def _lines(console: Console, line: Callable[[], str]) -> Iterator[None]:
    """Print a line with the time since the start every `EVERY_S`, until the context is left."""
    over, began_s = threading.Event(), time.monotonic()

    def work() -> None:
        while not over.wait(EVERY_S):
            if text := line():
                passed_s = time.monotonic() - began_s
                console.print(
                    f"{passed_s:.0f} s: {text}", markup=False, highlight=False, soft_wrap=True
                )

    thread = threading.Thread(target=work, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
