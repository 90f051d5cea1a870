"""`scnet-edge service`: a run that systemd starts at boot, watches, and starts again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.files import write_file

service = typer.Typer(
    name="service",
    help="Run under systemd: started at boot, watched, restarted at most five times a minute.",
    no_args_is_help=True,
)
app.add_typer(service)

PACKAGE = Path(__file__).parents[1]
User = Annotated[bool, typer.Option("--user", help="This user's own systemd, without root.")]


@service.command()
def install(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")],
    source: Annotated[str, typer.Option(help="The camera, as 'run' takes it.")],
    live: Annotated[
        str | None, typer.Option(help="HOST:PORT of the live page; without it, no page.")
    ] = None,
    sink: Annotated[
        list[str] | None, typer.Option(help="As 'run' takes it; files go to the state folder.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Another option of 'run', such as --option=--threads=2")
    ] = None,
    memory_max: Annotated[str, typer.Option(help="systemd ends a run that takes more.")] = "2G",
    user: User = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the unit, do nothing.")] = False,
) -> None:
    """Write the unit, have systemd check it, and start it now and at every boot."""
    from scnet_edge.bundle.made_here import key_file
    from scnet_edge.bundle.manifest import read_manifest
    from scnet_edge.robot.service import require_readable, require_writable, unit_path, unit_text

    read_manifest(bundle)  # better said now than in a journal nobody reads
    place = bundle.resolve()
    sinks = sink or ["jsonl:run.jsonl"]
    if not user:
        for path in (place, Path(sys.executable), PACKAGE, *_files_in([source, *(option or [])])):
            require_readable(path)
        for spec in sinks:
            require_writable(spec)
    arguments = ["run", str(place), "--source", source]
    arguments += ["--live", live] if live is not None else []
    for spec in sinks:
        arguments += ["--sink", spec]
    arguments += option or []
    text = unit_text(
        arguments,
        memory_max=memory_max,
        user=user,
        read_only=(place,),
        device_key=None if user else key_file(),
    )
    if dry_run:
        typer.echo(text, nl=False)
        return
    path = unit_path(user=user)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.encode(), mode=0o600)  # a source may have a password in it
    _start(path, user=user)


@service.command()
def status(
    user: User = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what systemd knows of the service; exit status 1 unless it is active."""
    import msgspec

    from scnet_edge.robot.service import service_state

    state = service_state(user=user)
    if json:
        typer.echo(msgspec.json.encode(state).decode())
    else:
        memory = "" if state.memory_mib is None else f", {state.memory_mib:.0f} MiB"
        where = state.unit if state.installed else "not installed; see 'scnet-edge service install'"
        typer.echo(f"{state.active} {state.detail}".strip())
        typer.echo(f"{state.restarts} restarts{memory}")
        typer.echo(where)
    raise typer.Exit(state.active != "active")


def _files_in(options: list[str]) -> list[Path]:
    """Return the files and folders that options name, such as `--config=/etc/robot.toml`."""
    named = [Path(text) for option in options for text in (option, option.partition("=")[2])]
    return [path for path in named if path.is_absolute() and path.exists()]


def _start(path: Path, *, user: bool) -> None:
    from scnet_edge.errors import ConfigError
    from scnet_edge.robot.service import NAME, systemctl, verify_unit

    complaint = verify_unit(path)
    if complaint:
        raise ConfigError(f"{path}: systemd refuses the unit: {' '.join(complaint.split())}")
    typer.echo(f"{path}: written" + ("" if complaint is None else ", checked by systemd"))
    for arguments in (("daemon-reload",), ("enable", "--now", f"{NAME}.service")):
        done = systemctl(*arguments, user=user)
        if done.returncode:
            reason = " ".join(done.stderr.split())
            raise ConfigError(f"systemctl {' '.join(arguments)}: {reason}; the unit stays written")
    typer.echo(f"{NAME}.service: started; see 'scnet-edge service status'")
