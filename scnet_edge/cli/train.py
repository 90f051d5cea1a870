"""`scnet-edge train`: a preset on annotated images, into a folder that is a model afterwards."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError

if TYPE_CHECKING:
    from scnet_edge.training.hardware import Hardware
    from scnet_edge.training.run import Log, Request
    from scnet_edge.training.schedule import Precision


# What a run computes on.
PrecisionName = Annotated[
    str | None, typer.Option(help="fp32, or bf16 for mixed precision on CPU or GPU.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Processes that cut crops ahead; 0 on a CPU, up to 8 on a GPU."),
]
Compiled = Annotated[
    bool, typer.Option("--compile", help="torch.compile: slow to begin, then quicker.")
]


@app.command()
def train(
    preset: Annotated[
        str,
        typer.Argument(
            help="paper, modern, quarter, widened, small, small-instance, small-field, "
            "small-review, small-hed, hed-light, tiny, tiny-instance, tiny-field, hcnn, "
            "deepcrack-liu, deepcrack-zou or patchnet."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run.", show_default=False)],
    data: Annotated[
        list[str] | None,
        typer.Option(help="NAME:DIR, such as deepcrack:DIR or folder:DIR; again for more."),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="A TOML file of data sets with their shares, instead of --data."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Updates; the preset's if left out.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Crops per update.")] = None,
    lr: Annotated[float | None, typer.Option(min=1e-9, help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights and crops.")] = None,
    start: Annotated[str | None, typer.Option(help="Begin from this model or run.")] = None,
    mine: Annotated[
        bool,
        typer.Option(
            "--mine", help="Cut more crops where --start sees cracks in images without any."
        ),
    ] = False,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="Learn the probability of this model or run, too; again: their mean."),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(help="Of a net that sees edges: the HED that makes them, a model or a run."),
    ] = None,
    precision: PrecisionName = None,
    device: Device = "auto",
    workers: Workers = None,
    compiled: Compiled = False,
    keep_start: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.99,
            help="Share of the weights of --start in those that the run ends with. That model is "
            "a --teacher then, too, and what is called a crack stays.",
        ),
    ] = None,
    fine_levels: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Let only so many levels learn, the finest; the others keep the weights of "
            "--start, though not its norm statistics.",
        ),
    ] = None,
    validate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between looks at held-out images.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write the log for TensorBoard into this folder, too.")
    ] = None,
) -> None:
    """Train a preset; a killed run goes on with --resume as if nothing had been.

    Under `torchrun --nproc-per-node N -m scnet_edge train ...` N processes share each batch.
    """
    from scnet_edge.data.corpus import read_corpus
    from scnet_edge.training.hardware import join, leave
    from scnet_edge.training.run import request, train_run

    own = hardware_of(device, workers, compiled)
    wanted = request(
        preset,
        data or (),
        corpus=read_corpus(corpus) if corpus else None,
        mine=mine,
        on=own,
        start=start,
        teachers=teacher or (),
        prior=prior,
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        precision=precision_of(precision),
        validate_every=validate_every,
        keep_start=keep_start,
        fine_levels=fine_levels,
    )
    rank, _ = join(own.device)
    try:
        if rank:
            train_run(wanted, out, resume=resume, writes=False)
        else:
            _train_and_show(wanted, out, resume, tensorboard)
    finally:
        leave()


def _train_and_show(wanted: Request, out: Path, resume: bool, tensorboard: Path | None) -> None:
    """Train with a progress line: step, loss, pace, time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from scnet_edge.cli.progress import show_progress
    from scnet_edge.training.run import train_run
    from scnet_edge.training.run_folder import tensorboard_log

    columns = (
        TextColumn("{task.description} {task.completed:.0f} of {task.total:.0f}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    )
    console = Console(stderr=True)
    with ExitStack() as stack:
        log: Log = lambda row: None  # noqa: E731
        if tensorboard is not None:
            log = stack.enter_context(tensorboard_log(tensorboard, out))
        progress = stack.enter_context(show_progress(Progress(*columns, console=console)))
        task = progress.add_task("step", total=wanted.preset.schedule.steps, loss="preparing")

        def show_step(step: int, loss: float) -> None:
            progress.update(task, completed=step, loss=f"loss {loss:.4f}")

        shown = progress.console.print
        train_run(wanted, out, resume=resume, report=shown, progress=show_step, log=log)
    print(f"{out}: trained; scnet-edge evaluate {out} --data ..., build --model {out} --out BUNDLE")


def hardware_of(device: str, workers: int | None, compiled: bool) -> Hardware:
    """Return what a run computes on, by its options."""
    from scnet_edge.training.hardware import Hardware, usual_workers, world_size

    if compiled and world_size() > 1:
        raise ConfigError(f"--compile: expected one process, found {world_size()}; leave it out")
    own = device_of(device)
    cutting = usual_workers(own) if workers is None else workers
    return Hardware(device=own, workers=cutting, compiled=compiled)


def device_of(name: str) -> str:
    """Return the device that `auto` means here, or the one that was named.

    Of several processes that use GPUs, each has its own.
    """
    import torch

    from scnet_edge.training.hardware import own_gpu, world_size

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    known = ["auto", "cpu", *(["cuda"] if gpus else []), *(f"cuda:{n}" for n in range(gpus))]
    if name not in known:
        found = f"{gpus} GPU{'' if gpus == 1 else 's'}"
        raise ConfigError(f"device {name!r}: expected {', '.join(known)}, found {found}")
    if name == "cpu" or world_size() == 1:
        return name
    if name != "cuda":
        raise ConfigError(f"device {name!r}: each process takes its own; name auto, cuda or cpu")
    return own_gpu()


def precision_of(name: str | None) -> Precision | None:
    """Return the precision that was named, None where none was."""
    known: dict[str, Precision] = {"fp32": "fp32", "bf16": "bf16"}
    if name is None:
        return None
    if name not in known:
        raise ConfigError(f"precision {name!r}: expected fp32 or bf16")
    return known[name]
