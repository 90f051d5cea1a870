"""`scnet-edge simulate pipe`: footage of a pipe whose cracks are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError

T = TypeVar("T")
simulate = typer.Typer(help="Render footage with exact ground truth.", no_args_is_help=True)
app.add_typer(simulate, name="simulate")


@simulate.callback()
def _simulate() -> None:
    """Render footage with exact ground truth."""


@simulate.command()
def pipe(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    seed: Annotated[int, typer.Option(help="Decides everything that is left to chance.")] = 0,
    mode: Annotated[str, typer.Option(help="The camera looks `side` or `forward`.")] = "side",
    wall: Annotated[str, typer.Option(help="concrete, brick or steel.")] = "concrete",
    metres: Annotated[float, typer.Option(help="Length of the pipe.")] = 3.0,
    cracks: Annotated[int, typer.Option(help="How many, of all four kinds.")] = 6,
    diameter_mm: Annotated[float, typer.Option(help="Inner diameter of the pipe.")] = 300.0,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the frames.")] = "384x544",
    speed_mps: Annotated[float, typer.Option(help="Metres per second, about.")] = 0.12,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 10.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older folder.")
    ] = False,
) -> None:
    """Render a robot's ride: footage.mp4, masks, truth.json, odometry.csv and pipe.toml."""
    from rich.console import Console

    from scnet_edge.config import parse_size
    from scnet_edge.simulation.footage import write_footage
    from scnet_edge.simulation.optics import MODES
    from scnet_edge.simulation.scene import ScenePlan
    from scnet_edge.simulation.walls import MATERIALS

    plan = ScenePlan(
        seed=_from(0, seed, "--seed"),
        mode=_one_of(mode, MODES, "--mode"),
        material=_one_of(wall, MATERIALS, "--wall"),
        metres=metres,
        cracks=cracks,
        diameter_mm=diameter_mm,
        size_hw=parse_size(size),
        speed_mps=speed_mps,
        fps=fps,
    )
    scene = write_footage(plan, out, overwrite=overwrite)
    Console().print(
        f"{out}: {len(scene.steps)} frames, {len(scene.defects)} cracks in {metres:g} m of {wall}, "
        "simulated",
        soft_wrap=True,
        highlight=False,
    )
    Console().print(
        f"scnet-edge inspect BUNDLE --source {out}/footage.mp4 --pipe {out}/pipe.toml "
        f"--odometry {out}/odometry.csv --out SURVEY",
        soft_wrap=True,
        highlight=False,
    )


def _one_of(name: str, known: tuple[T, ...], option: str) -> T:
    for one in known:
        if one == name:
            return one
    raise ConfigError(f"{option} must be one of {', '.join(map(str, known))}, found {name!r}")


def _from(least: int, value: int, option: str) -> int:
    if value < least:
        raise ConfigError(f"{option} must be at least {least}, found {value}")
    return value
