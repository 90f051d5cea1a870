"""The command line. Each command imports what it needs when it runs, so `--help` stays quick."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from scnet_edge.cli.process_limits import is_lack, limits_hint, require_limits
from scnet_edge.errors import CONTROL, EngineGone, GateError, ScnetEdgeError, SinkError
from scnet_edge.redaction import without_secrets

app = typer.Typer(
    name="scnet-edge",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from scnet_edge import __version__

        typer.echo(f"scnet-edge {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Crack segmentation on embedded GPUs: from trained weights to INT8 bundles to masks."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# What the machine refuses, whatever file it was: for the user to mend, not a bug to trace.
REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
    *(errno.EACCES, errno.EPERM),
}

UsageError: Any = typer.BadParameter.__base__  # Click's, which newer versions of typer carry

STATUSES: dict[type[ScnetEdgeError], int] = {
    GateError: 2,
    EngineGone: os.EX_CONFIG,
    SinkError: os.EX_IOERR,
}


def main(program: typer.Typer | None = None, name: str = "scnet-edge") -> None:
    """Run a command line; a user's mistake or a full disk is one line and exit status 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may be of any bytes
    try:
        if not {"--help", "--version"} & {*sys.argv}:
            require_limits()
        sys.exit((program or app)(prog_name=name, standalone_mode=False))
    except UsageError as e:
        command = e.ctx.command_path if e.ctx else name
        message = e.format_message().rstrip(".")
        _end(f"{command}: {message}; see '{command} --help'", os.EX_USAGE)
    except typer.Abort:
        sys.exit(130)
    except ScnetEdgeError as e:
        _end(f"{name}: {e}{limits_hint(e)}", STATUSES.get(type(e), 1))
    except (OSError, MemoryError, ImportError, RuntimeError) as e:
        if is_lack(e):
            _end(f"{name}: {str(e) or 'no memory is left'}{limits_hint(e)}", 1)
        if not isinstance(e, OSError) or e.errno not in REFUSALS:
            raise
        place = f"{e.filename}: " if e.filename else ""
        _end(f"{name}: {place}{e.strerror}; free space or choose another place{limits_hint(e)}", 1)


def _end(message: str, status: int) -> NoReturn:
    """Print one line and exit; whatever it repeats of the call, no password is in it."""
    for argument in sys.argv[1:]:
        message = without_secrets(message, argument)
    print(CONTROL.sub(" ", message), file=sys.stderr)
    sys.exit(status)


# The commands, in the order of `--help`; each module adds its own to `app`.
# isort: off
from scnet_edge.cli import (  # noqa: E402
    run,  # noqa: F401
    build,  # noqa: F401
    bundle,  # noqa: F401
    survey,  # noqa: F401
    archive,  # noqa: F401
    measure,  # noqa: F401
    calibrate_camera,  # noqa: F401
    calibrate,  # noqa: F401
    sensitivity,  # noqa: F401
    train,  # noqa: F401
    evaluate,  # noqa: F401
    models,  # noqa: F401
    statistics,  # noqa: F401
    simulate,  # noqa: F401
    bench,  # noqa: F401
    doctor,  # noqa: F401
    soak,  # noqa: F401
    service,  # noqa: F401
)
