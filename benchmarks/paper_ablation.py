"""Tables of the paper, each row a training run and an evaluation, resumable at any step.

OUT/ROW--DATA/               the run, which tables in the same OUT share; it may end in --from-RUN
OUT/ROW--DATA/on-DATA.json   what it scores on the test split
OUT/edges/                   HED's maps of all images, which the runs share
OUT/table-VII.json .md       the figures beside the paper's
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.paper_tables import SCNET, Metric, Row, Table
from scnet_edge import __version__
from scnet_edge.config import read_json, write_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import ConfigError
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.evaluation.scores import Evaluation, evaluate
from scnet_edge.machine.description import machine_name
from scnet_edge.models.cards import find_card
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.models.weights import open_prior, open_scnet
from scnet_edge.training.edge_maps import KeptHED
from scnet_edge.training.hardware import CPU, Hardware
from scnet_edge.training.presets import PRESETS, Preset
from scnet_edge.training.run import Progress, Report, Request, train_run
from scnet_edge.training.run_folder import is_begun
from scnet_edge.training.schedule import Schedule

Begin = Callable[[str, int], Progress]


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cell of a table: what a run scores on a test split; `paper` in percent as printed."""

    row: str
    trained_on: str
    tested_on: str
    parameters: int
    scores: Evaluation
    paper: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table with what it was made from; `schedule` is SCNet's, rows may have other losses."""

    table: str
    about: str
    width: float
    schedule: Schedule
    version: str
    machine: str
    created: str
    figures: list[Figure]


def ablate(
    number: str,
    table: Table,
    data: Sequence[str],
    out: Path,
    *,
    width: float = 1.0,
    on: Hardware = CPU,
    changes: dict[str, Any],
    report: Report = lambda line: None,
    begin: Begin = lambda name, steps: lambda step, loss: None,
) -> Figures:
    """Train and evaluate every row that is not there yet, and write the table.

    Args:
        number: Of the table.
        table: What to train.
        data: NAME:DIR, each a column.
        out: The folder of all runs.
        width: Of every SCNet; 0.25 makes a table a matter of hours on a CPU.
        on: What it computes on.
        changes: Fields of the schedule of every row, such as `steps`.
        report: Told what happens.
        begin: Told each run's name and steps; returns what is told its progress.

    Raises:
        ScnetEdgeError: data, options or a folder cannot be used.
    """
    names = [name_of(spec) for spec in data]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"--data: expected sets of different names, found {', '.join(names)}; rename a folder, "
            "or give each once"
        )
    maps = out / "edges"

    def trained(row: Row, spec: str, start: Path | None = None) -> Path:
        preset, name = preset_of(row, width, changes), row.run or row.name
        begun = f"--from-{start.name}" if start else ""
        run = out / f"{slug(name)}--{name_of(spec)}{begun}"
        wanted = Request(
            name=f"ablate {name}",
            preset=preset,
            data=(spec,),
            start=str(start) if start else None,
            on=on,
        )
        told = begin(f"{row.name} on {name_of(spec)}", preset.schedule.steps)
        train_run(wanted, run, resume=is_begun(run), report=report, progress=told, maps=maps)
        return run

    figures: list[Figure] = []
    for spec, another in zip(data, [*data[1:], *data[:1]], strict=True):
        for row in table.rows:
            if row.transferred and len(data) == 1:
                report(f"{row.name}: left out, it begins from a second --data")
                continue
            run = trained(row, spec, trained(SCNET, another) if row.transferred else None)
            for test in [spec] if table.crossed is None else data:
                paper = find_printed(table, row, name_of(spec), name_of(test))
                figures.append(figure_of(row, run, maps, spec, test, paper, on.device))
    made = Figures(
        table=number,
        about=table.about,
        width=width,
        schedule=preset_of(SCNET, width, changes).schedule,
        version=__version__,
        machine=machine_name(),
        created=datetime.date.today().isoformat(),
        figures=figures,
    )
    write_json(out / f"table-{number}.json", made)
    (out / f"table-{number}.md").write_text(markdown(made, table), encoding="utf-8")
    return made


def find_printed(table: Table, row: Row, trained_on: str, tested_on: str) -> float | None:
    """Return what the paper printed, in percent; None where it has no such figure."""
    cells = row.paper if table.crossed is None else table.crossed.get(trained_on, {})
    return cells.get(tested_on)


def preset_of(row: Row, width: float, changes: dict[str, Any]) -> Preset:
    """Return what a row trains: its preset with its own changes, then those of all rows."""
    base = PRESETS["modern" if row.preset == "scnet" else row.preset]
    config = base.config
    if row.preset == "scnet":
        config = SCNetConfig(**{"width": width, **row.config})
    elif config is not None:
        config = dataclasses.replace(config, width=width)
    return dataclasses.replace(
        base,
        config=config,
        start=row.start,
        schedule=dataclasses.replace(base.schedule, **{**row.schedule, **changes}),
    )


def figure_of(
    row: Row,
    run: Path,
    maps: Path,
    trained_on: str,
    tested_on: str,
    paper: float | None,
    device: str = "cpu",
) -> Figure:
    """Return the scores of a run on a test split, from its file where it is newer than the run."""
    card, path = find_card(str(run)), run / f"on-{name_of(tested_on)}.json"
    if not path.is_file() or path.stat().st_mtime < card.path.stat().st_mtime:
        prior = open_prior(card)
        hed = prior and KeptHED(prior.to(device), maps)
        reference = reference_run(open_scnet(card), hed, device=device)
        scores = evaluate(
            predictions(reference, open_dataset(tested_on, "test")),
            decision=card.decision,
            subject=run.name,
            engine="PyTorch FP32",
            data=f"{name_of(tested_on)} test",
        )
        write_json(path, scores)
    return Figure(
        row=row.name,
        trained_on=name_of(trained_on),
        tested_on=name_of(tested_on),
        parameters=card.parameters,
        scores=read_json(path, Evaluation),
        paper=paper,
    )


def markdown(made: Figures, table: Table) -> str:
    """Return a table for people: percents with intervals, beside what the paper printed."""
    how = made.schedule
    lines = [
        f"# Table {made.table}: {table.about}",
        "",
        f"{how.steps} steps of {how.batch} crops by {how.optimizer} at a {how.rate} {how.lr:g} in "
        f"{how.precision}, SCNets of width {made.width:g}, seed {how.seed}; {made.machine}, "
        f"{made.created}. The paper's recipe, the preset `paper`, is another. Test splits, whole "
        "images, zero tolerance; best threshold for all images, 95 % interval over images.",
        "",
        f"| model | parameters | trained on | tested on | {' | '.join(table.metrics)} | paper |",
        "|---" * (5 + len(table.metrics)) + "|",
    ]
    for f in made.figures:
        cells = [f"{f.parameters / 1e6:.2f} M", f.trained_on, f.tested_on]
        cells += [cell(f.scores, metric) for metric in table.metrics]
        cells += ["-" if f.paper is None else f"{f.paper:.2f}"]
        lines.append(f"| {f.row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(scores: Evaluation, metric: Metric) -> str:
    """Return a score in percent; F1 of pixels with its interval."""
    if metric == "f1":
        low, high = scores.ods.ci95
        return f"{100 * scores.ods.f1:.2f} [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * getattr(scores, metric):.2f}"


def name_of(spec: str) -> str:
    """Return how a data set is called: its loader, and the folder where that is any folder."""
    name, _, folder = spec.partition(":")
    return f"{name}-{Path(folder).resolve().name}" if name in ("folder", "coco") else name


def slug(name: str) -> str:
    """Return a name that is a folder's: lower case, words joined by dashes."""
    spelt = re.sub(r"(?<!\w)-1\b", "minus one", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", spelt).strip("-")
