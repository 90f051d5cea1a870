"""The folder of a run: everything to go on from, to look at, and to use.

RUN/
  settings.json       what is trained on what; a resumed run must be the same
  checkpoint.pt       weights, averages, optimiser and step
  log.jsonl           a line every ten steps, and one per validation
  curves.png          loss, rate and held-out F1
  pictures/           held-out images beside truth and probability, from early on
  RUN.safetensors     the averaged weights in FP16, named after the folder
  RUN.json            their card, which makes the folder a model by its path
  edges/              HED's maps of the training images, for a model with the prior

TensorBoard gets the same log where it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from scnet_edge.config import NOT_JSON, read_json, write_json
from scnet_edge.data.corpus import Corpus
from scnet_edge.errors import ConfigError, install_extra
from scnet_edge.evaluation.plots import beside, new_figure
from scnet_edge.files import new_file, write_file
from scnet_edge.training.checkpoint import CHECKPOINT, read_checkpoint
from scnet_edge.training.schedule import Schedule
from scnet_edge.types import Frame, Map, Mask

SETTINGS, LOG, CURVES, PICTURES = "settings.json", "log.jsonl", "curves.png", "pictures"
Row = dict[str, int | float]  # a step stays whole when it is read back


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes a run this run and no other."""

    preset: str
    data: tuple[str, ...]
    corpus: Corpus | None = None
    mine: bool = False
    start: str | None
    teachers: tuple[str, ...]
    prior: str = "hed"  # whose edges it sees or learns, where it does
    schedule: Schedule  # a field that an older run's file lacks has its default


def is_begun(folder: Path) -> bool:
    """Return whether a folder holds a run, with or without a checkpoint."""
    return (folder / SETTINGS).is_file()


def check(folder: Path, settings: Settings, *, resume: bool) -> None:
    """Refuse a folder that this run cannot have; nothing is written.

    Raises:
        ConfigError: the folder holds something and `resume` was not asked for, or another run, or
            it was and there is none.
    """
    if is_begun(folder):
        if not resume:
            raise ConfigError(f"{folder}: holds a run; pass --resume, or name another --out")
        before = read_json(folder / SETTINGS, Settings)
        if before != settings:
            changed = [f for f in Settings.__struct_fields__ if _differ(before, settings, f)]
            raise ConfigError(
                f"{folder}: its run has another {', '.join(changed)}; give the same options, or "
                "name another --out"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: not empty and no run of ours; name another --out")
    if resume:
        raise ConfigError(f"{folder}: expected a run to go on with, found none; leave out --resume")


def claim(folder: Path, settings: Settings, *, resume: bool) -> None:
    """Begin a run in a folder, or go on with the one that is there.

    Raises:
        ConfigError: as `check` does.
    """
    check(folder, settings, resume=resume)
    if not is_begun(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS, settings)


def _differ(before: Settings, now: Settings, name: str) -> bool:
    return bool(getattr(before, name) != getattr(now, name))


def checkpointed_step(folder: Path) -> int:
    """Return the step of the checkpoint, 0 without one."""
    path = folder / CHECKPOINT
    return int(read_checkpoint(path).get("step", 0)) if path.is_file() else 0


def read_log(folder: Path, *, until: int | None = None) -> list[Row]:
    """Return the rows of the log, those up to a step alone where a run was cut after it."""
    path = folder / LOG
    lines = path.read_bytes().splitlines() if path.is_file() else []
    rows = [row for line in lines if (row := _row(line)) is not None]
    return [row for row in rows if until is None or row.get("step", 0.0) <= until]


def _row(line: bytes) -> Row | None:
    """Return a row of the log; None for one that a kill or a power cut has torn."""
    try:
        return msgspec.json.decode(line, type=Row)
    except NOT_JSON:
        return None


def write_log(folder: Path, rows: list[Row]) -> None:
    """Replace the log."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(folder / LOG, text.encode())


def append_log(folder: Path, row: Row) -> None:
    """Add a row to the log."""
    with (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def draw_curves(folder: Path) -> None:
    """Draw loss and learning rate, and the F1 on held-out images, over the steps."""
    rows = read_log(folder)
    figure, (left, right) = new_figure(2)
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    scores = [(row["step"], row["f1"]) for row in rows if "f1" in row]
    if losses:
        left.semilogy(*zip(*losses, strict=True))
    if scores:
        right.plot(*zip(*scores, strict=True), marker="o")
    left.set(xlabel="step", ylabel="loss")
    right.set(xlabel="step", ylabel="best F1 on held-out images")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with new_file(folder / CURVES) as f:
        figure.savefig(f, format="png", bbox_inches="tight", dpi=100)


def picture(frame: Frame, truth: Mask, probability: Map) -> Frame:
    """Return frame, truth and probability side by side."""
    grey = [truth.astype(np.uint8) * 255, (probability * 255).round().astype(np.uint8)]
    return beside([frame, *(np.repeat(image[..., None], 3, 2) for image in grey)])


@contextmanager
def tensorboard_log(folder: Path, run: Path) -> Iterator[Callable[[Row], None]]:
    """Yield what writes a row of a run's log into `folder`, in a folder named after the run.

    A run that is gone on with hides what it had written after its checkpoint.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"--tensorboard: no package {e.name}; {install_extra('tensorboard')}"
        ) from e
    step = checkpointed_step(run)
    name = run.absolute().name
    with SummaryWriter(folder / name, purge_step=step + 1 if step else None) as writer:

        def write(row: Row) -> None:
            for metric, value in row.items():
                if metric != "step":
                    writer.add_scalar(metric, value, int(row["step"]))

        yield write
