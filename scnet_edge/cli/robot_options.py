"""The options that `run` and `inspect` share, and the robot that they and a robot.toml describe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from scnet_edge.config import PointName

if TYPE_CHECKING:
    from scnet_edge.robot.robot_toml import Robot

Bundle = Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")]
SourceUri = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="csi://0, v4l2:///dev/video0, rtsp://..., http://... (MJPEG), gst:PIPELINE, "
        "ros2://TOPIC, sim://pipe, rosbag:FOLDER, an image, a folder of images or a video.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Keep what the engine compiles here for the next start."),
]
Frames = Annotated[int | None, typer.Option("--frames", min=1, help="Stop after this many.")]

CONFIG = "config"
# How a robot works: each option a field of `Robot`, but for the file that has them all.
ROBOT_OPTIONS: dict[str, Any] = {
    CONFIG: Annotated[
        Path | None, typer.Option(help="A robot.toml; the options here override it.")
    ],
    "policy": Annotated[
        Literal["newest", "every"] | None,
        typer.Option(help="Drop frames the engine is too slow for, or make the source wait."),
    ],
    "sinks": Annotated[
        list[str] | None,
        typer.Option(
            "--sink",
            help="jsonl:PATH, mcap:PATH, video:PATH.avi, masks:FOLDER, rosbag:FOLDER, "
            "ros2://PREFIX, mqtt://HOST/TOPIC or prometheus://HOST:PORT; may be given again.",
        ),
    ],
    "fail_closed": Annotated[
        bool | None,
        typer.Option("--fail-closed", help="End with exit status 74 when a sink cannot write."),
    ],
    "live": Annotated[
        str | None,
        typer.Option(metavar="[HOST:PORT]", help="Show the run on a live page."),
    ],
    "engine": Annotated[
        str | None,
        typer.Option(help="openvino, onnxruntime or tensorrt; default: the best here."),
    ],
    "isolate": Annotated[
        bool | None,
        typer.Option(
            "--isolate/--no-isolate",
            help="Run the engine in a process of its own, which may crash; default: for cameras.",
        ),
    ],
    "fallback": Annotated[
        str | None,
        typer.Option(help="Another engine, for when the isolated one keeps crashing."),
    ],
    "operating_point": Annotated[
        PointName | None,
        typer.Option(help="sensitive, balanced, strict or own, where the bundle has them."),
    ],
    "require_signature": Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="A public key; refuse bundles that are not signed by its owner."
        ),
    ],
    "threads": Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads.")],
    "scale": Annotated[
        Literal["native", "fit", "auto"] | None,
        typer.Option(
            help="Frames larger than the model: in tiles at their own scale (native), whole "
            "(fit), or in tiles where something may be (auto); default: native for pictures, "
            "else fit.",
        ),
    ],
}


class LiveMayStandAlone(TyperCommand):
    """Takes `--live` without an address as well."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put an empty address, which stands for the usual one, after a bare `--live`."""
        full = []
        for word, following in zip(args, [*args, "-"][1:], strict=True):
            full += [word, ""] if word == "--live" and following.startswith("-") else [word]
        return super().parse_args(ctx, full)


def takes_robot(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `ROBOT_OPTIONS` in place of its parameter `robot`, which they become."""
    signature = inspect.signature(command, eval_str=True, locals={"Robot": object})
    own = [p for p in signature.parameters.values() if p.name != "robot"]
    ours = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in ROBOT_OPTIONS.items()
    ]

    @wraps(command)
    def with_robot(**given: Any) -> None:
        options = {name: given.pop(name) for name in ROBOT_OPTIONS}
        command(robot=_read_robot_with(**options), **given)

    parameters = [*own, *ours]
    vars(with_robot)["__signature__"] = signature.replace(parameters=parameters)
    with_robot.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_robot


def replace_given(robot: Robot, **fields: object) -> Robot:
    """Return the robot with those of the fields that are not None."""
    from msgspec.structs import replace

    return replace(robot, **{name: value for name, value in fields.items() if value is not None})


def _read_robot_with(*, config: Path | None, sinks: list[str] | None, **options: object) -> Robot:
    """Return the robot of a robot.toml, or the default one, with the given options on top."""
    from scnet_edge.robot.robot_toml import Robot, read_robot

    robot = read_robot(config) if config else Robot()
    return replace_given(robot, sinks=tuple(sinks) if sinks else None, **options)
