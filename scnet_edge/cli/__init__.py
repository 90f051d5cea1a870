"""The command line. Each command imports what it needs when it runs, so `--help` stays quick."""

from __future__ import annotations

import errno
import io
import os
import sys

import typer

from scnet_edge.errors import EngineGone, GateError, ScnetEdgeError, SinkError

app = typer.Typer(
    name="scnet-edge",
    help="Crack segmentation on embedded GPUs: from trained weights to INT8 bundles to masks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


# What the machine refuses, whatever file it was: for the user to mend, not a bug to trace.
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

STATUSES: dict[type[ScnetEdgeError], int] = {
    GateError: 2,
    EngineGone: os.EX_CONFIG,
    SinkError: os.EX_IOERR,
}


def main() -> None:
    """Run the command line; a user's mistake or a full disk is one line and exit status 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may be of any bytes
    try:
        app()
    except SystemExit as e:  # Click ends a wrong call with 2, which is the gate's here
        sys.exit(os.EX_USAGE if e.code == 2 else e.code)
    except ScnetEdgeError as e:
        print(f"scnet-edge: {e}", file=sys.stderr)
        sys.exit(STATUSES.get(type(e), 1))
    except OSError as e:
        if e.errno not in REFUSALS:
            raise
        place = f"{e.filename}: " if e.filename else ""
        print(f"scnet-edge: {place}{e.strerror}; free or choose another place", file=sys.stderr)
        sys.exit(1)


# The commands, in the order of `--help`; each module adds its own to `app`.
from scnet_edge.cli import (  # noqa: E402
    ablate,  # noqa: F401
    bench,  # noqa: F401
    build,  # noqa: F401
    calibrate,  # noqa: F401
    calibrate_camera,  # noqa: F401
    compare,  # noqa: F401
    doctor,  # noqa: F401
    evaluate,  # noqa: F401
    explain,  # noqa: F401
    export,  # noqa: F401
    inspect,  # noqa: F401
    measure,  # noqa: F401
    models,  # noqa: F401
    recover,  # noqa: F401
    report,  # noqa: F401
    review,  # noqa: F401
    run,  # noqa: F401
    sensitivity,  # noqa: F401
    service,  # noqa: F401
    simulate,  # noqa: F401
    soak,  # noqa: F401
    statistics,  # noqa: F401
    train,  # noqa: F401
    verify,  # noqa: F401
)
