"""The options that `run` and `inspect` share, and the robot that they and a robot.toml describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.core import TyperCommand

from scnet_edge.models.cards import PointName

if TYPE_CHECKING:
    from scnet_edge.robot.config import Robot

Bundle = Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")]
SourceUri = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="csi://0, v4l2:///dev/video0, rtsp://..., http://... (MJPEG), gst:PIPELINE, "
        "sim://pipe, rosbag:FOLDER, an image, a folder of images or a video.",
    ),
]
PolicyName = Annotated[
    Literal["newest", "every"] | None,
    typer.Option(
        "--policy", help="Drop frames the engine is too slow for, or make the source wait."
    ),
]
Sinks = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        help="jsonl:PATH, mcap:PATH, video:PATH.avi, masks:FOLDER, rosbag:FOLDER, "
        "mqtt://HOST/TOPIC or "
        "prometheus://HOST:PORT; may be given again.",
    ),
]
FailClosed = Annotated[
    bool,
    typer.Option("--fail-closed", help="End with exit status 74 when a sink cannot write."),
]
Live = Annotated[
    str | None,
    typer.Option("--live", metavar="[HOST:PORT]", help="Show the run on a live page."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="A robot.toml; the options here override it."),
]
EngineName = Annotated[
    str | None,
    typer.Option("--engine", help="openvino, onnxruntime or tensorrt; default: the best here."),
]
Isolate = Annotated[
    bool | None,
    typer.Option(
        "--isolate/--no-isolate",
        help="Run the engine in a process of its own, which may crash; default: for cameras.",
    ),
]
Fallback = Annotated[
    str | None,
    typer.Option("--fallback", help="Another engine, for when the isolated one keeps crashing."),
]
ScaleName = Annotated[
    Literal["native", "fit", "auto"] | None,
    typer.Option(
        "--scale",
        help="Frames larger than the model: in tiles at their own scale (native), whole (fit), or "
        "in tiles where something may be (auto); default: native for pictures, else fit.",
    ),
]
Point = Annotated[
    PointName | None,
    typer.Option(
        "--operating-point", help="sensitive, balanced, strict or own, where the bundle has them."
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, max=256, help="CPU threads.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Keep what the engine compiles here for the next start."),
]
RequireSignature = Annotated[
    str | None,
    typer.Option(
        "--require-signature",
        metavar="KEY",
        help="A public key; refuse bundles that are not signed by its owner.",
    ),
]
Frames = Annotated[int | None, typer.Option("--frames", min=1, help="Stop after this many.")]


class LiveMayStandAlone(TyperCommand):
    """Takes `--live` without an address as well."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put an empty address, which stands for the usual one, after a bare `--live`."""
        full = []
        for word, following in zip(args, [*args, "-"][1:], strict=True):
            full += [word, ""] if word == "--live" and following.startswith("-") else [word]
        return super().parse_args(ctx, full)


def read_robot_with(config: Path | None, **options: object) -> Robot:
    """Return the robot of a robot.toml, or the default one, with the given options on top.

    Args:
        config: A robot.toml.
        options: Fields of `Robot`; None and False leave what `config` says.
    """
    from msgspec.structs import replace

    from scnet_edge.robot.config import Robot, read_robot

    given = {key: value for key, value in options.items() if value not in (None, ())}
    return replace(read_robot(config) if config else Robot(), **given)
