"""What shows that work goes on, where there is no terminal."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from scnet_edge.cli import main, progress


class Told(io.StringIO):
    """A log that says when a text has come."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.came = text, threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.text in self.getvalue():
            self.came.set()
        return written


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.01)


def test_a_log_gets_a_line_of_the_step_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Told("s: judging INT8 ...")
    monkeypatch.setattr("sys.stderr", log)
    with progress.show_steps("loading weights") as report:
        report("judging INT8")
        assert log.came.wait(30)


def test_a_log_gets_how_far_the_bars_are() -> None:
    log = Told("Frames 3 of 48")
    bars = Progress(console=Console(file=log))
    task = bars.add_task("Frames", total=48)
    with progress.show_progress(bars):
        bars.update(task, completed=3)
        assert log.came.wait(30)


def test_a_bar_that_nobody_began_prints_nothing() -> None:
    log = Told("")
    bars = Progress(console=Console(file=log))
    bars.add_task("Frames", total=None, visible=False)
    with progress.show_progress(bars, start=False):
        pass
    assert log.getvalue() == ""


def test_training_tells_that_it_goes_on_before_its_first_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = Told("s: step 0 of 20")
    monkeypatch.setattr("sys.stderr", log)

    def draw_walls(*arguments: object, **named: object) -> None:
        assert log.came.wait(30)

    monkeypatch.setattr("scnet_edge.training.run.train_run", draw_walls)
    arguments = ["--data", f"folder:{tmp_path}", "--steps", "20", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["scnet-edge", "train", "tiny", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code, log.getvalue()
