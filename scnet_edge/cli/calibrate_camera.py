"""`scnet-edge calibrate-camera`: the lens, from pictures of a checkerboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import write_file

if TYPE_CHECKING:
    from scnet_edge.inspection.lens import Board, Lens
    from scnet_edge.inspection.skeleton import Points


@app.command("calibrate-camera")
def calibrate_camera(
    source: Annotated[str, typer.Argument(help="A folder of pictures of the board, or a video.")],
    board: Annotated[str, typer.Option(help="Inner corners, COLUMNSxROWS.")] = "9x6",
    square_mm: Annotated[float, typer.Option(help="Side of a square.")] = 20.0,
    fisheye: Annotated[
        bool, typer.Option("--fisheye", help="For lenses over 120 degrees.")
    ] = False,
    most: Annotated[int, typer.Option(help="Use at most so many boards.")] = 60,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("camera.toml"),
) -> None:
    """Calibrate a camera from a checkerboard; pipe.toml then says `camera = "camera.toml"`."""
    from rich.console import Console

    from scnet_edge.inspection.lens import solve_lens

    if most < 1:
        raise ConfigError(f"--most must be at least 1, found {most}")
    printed = _board(board, square_mm)
    found, pictures, size_hw = _boards(source, printed)
    spread = found[:: max(1, -(-len(found) // most))]
    lens = solve_lens(spread, printed, size_hw, fisheye=fisheye)
    try:
        write_file(out, _toml(lens, source).encode())
    except OSError as e:
        raise ConfigError(f"{out}: cannot be written ({e.strerror})") from e
    Console().print(
        f"{out}: {len(found)} boards in {pictures} pictures, {len(spread)} used; fx {lens.fx:.1f}, "
        f"fy {lens.fy:.1f}, centre {lens.cx:.1f}, {lens.cy:.1f} px; reprojection error "
        f"{lens.rms_px:.2f} px",
        soft_wrap=True,
        highlight=False,
    )


def _board(text: str, square_mm: float) -> Board:
    from scnet_edge.inspection.lens import Board

    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise ConfigError(f"--board must be COLUMNSxROWS of inner corners, found {text!r}")
    return Board(columns=int(match[1]), rows=int(match[2]), square_mm=square_mm)


def _boards(source: str, board: Board) -> tuple[list[Points], int, tuple[int, int]]:
    """Return the boards, how many pictures there are, and their size."""
    from scnet_edge.inspection.lens import find_board
    from scnet_edge.video.sources import open_source

    found, pictures, size_hw = [], 0, (0, 0)
    with open_source(source) as frames:
        for captured in frames:
            frame, here = captured.frame, (captured.frame.shape[0], captured.frame.shape[1])
            if pictures and here != size_hw:
                raise InputError(
                    f"{captured.name}: {here[1]}x{here[0]} px, expected {size_hw[1]}x{size_hw[0]} "
                    "as the pictures before; one camera and one size at a time"
                )
            size_hw, pictures = here, pictures + 1
            corners = find_board(frame, board)
            if corners is not None:
                found.append(corners)
    return found, pictures, size_hw


def _toml(lens: Lens, source: str) -> str:
    import msgspec

    values = msgspec.to_builtins(lens)
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
    first = f"# scnet-edge calibrate-camera {msgspec.json.encode(source).decode()}"
    return "\n".join([first, *lines]) + "\n"
