"""A run as a systemd service: the unit, and what systemd says of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from scnet_edge.bundle.made_here import KEY
from scnet_edge.errors import CONTROL, ConfigError
from scnet_edge.redaction import FILES, redact

NAME = "scnet-edge"
HIDDEN = (Path("/tmp"), Path("/var/tmp"))
SYSTEM_UNITS = Path("/etc/systemd/system")
START_S, WATCHDOG_S, RESTARTS, RESTARTS_S, STOP_S = 1800, 120, 5, 60, 10
PROPERTIES = ("LoadState", "ActiveState", "SubState", "NRestarts", "MemoryCurrent", "StatusText")

# Type=notify: up once the run says so; an engine may build its plan at the first start.
# WatchdogSec: the run pings only while frames are settled, so a loop that hangs is ended. It looks
# three times in that time, and a frame may take a minute after the engine has started again.
# 78 is EX_CONFIG: an engine that crashes again and again is not helped by another start.
# KillMode=mixed: SIGTERM goes to the run alone, which flushes and ends its children itself.
TEMPLATE = """\
[Unit]
Description=scnet-edge: crack segmentation of a live camera
After=network.target
StartLimitIntervalSec={restarts_s}
StartLimitBurst={restarts}

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
TimeoutStartSec={start_s}
WatchdogSec={watchdog_s}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=78
KillMode=mixed
TimeoutStopSec={stop_s}
MemoryMax={memory_max}
OOMPolicy=stop
{key}StateDirectory={name}
WorkingDirectory=%S/{name}
{user}
[Install]
WantedBy={target}
"""
# What the run needs of the machine: cameras and the GPU, its state folder, sockets. No more.
HARDENING = """\
DynamicUser=yes
SupplementaryGroups=video render
ReadOnlyPaths={read_only}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
NoNewPrivileges=yes
UMask=0077
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
CapabilityBoundingSet=
"""


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """What systemd says of the service.

    Attributes:
        active: `active`, `activating`, `inactive`, `failed`, or `unknown` without systemd.
        restarts: since it was started by hand or at boot.
    """

    unit: str
    installed: bool
    active: str
    detail: str = ""
    restarts: int = 0
    memory_mib: float | None = None


def unit_text(
    arguments: list[str],
    *,
    memory_max: str = "2G",
    user: bool = False,
    read_only: tuple[Path, ...] = (),
    device_key: Path | None = None,
) -> str:
    """Return a unit that runs `scnet-edge ARGUMENTS`.

    Args:
        arguments: from `run` on; paths in them are absolute.
        memory_max: bytes, with K, M or G; systemd ends a run that takes more.
        user: a unit of this user's own systemd, which may not change users or hide folders.
        read_only: files and folders that the run reads.
        device_key: of who compiles the bundle on this machine; systemd hands it to the run.

    Raises:
        ConfigError: an argument with a line break, or another `memory_max`.
    """
    if not re.fullmatch(r"[1-9]\d*[KMGT]?", memory_max):
        raise ConfigError(f"memory: expected a size such as 2G, found {memory_max!r}")
    folders = " ".join(_quote(str(path)) for path in read_only)
    return TEMPLATE.format(
        command=" ".join(map(_quote, [*_program(), *arguments])),
        memory_max=memory_max,
        name=NAME,
        start_s=START_S,
        key=f"LoadCredential={KEY}:{_escape(str(device_key))}\n" if device_key else "",
        watchdog_s=WATCHDOG_S,
        restarts=RESTARTS,
        restarts_s=RESTARTS_S,
        stop_s=STOP_S,
        user="" if user else "\n" + HARDENING.format(read_only=folders),
        target="default.target" if user else "multi-user.target",
    )


def require_readable(path: Path) -> None:
    """Raise ConfigError unless the service's own user, who is nobody else, may read `path`.

    What a link leads to counts as well; the service has folders of its own in place of /tmp.
    """
    if path.is_symlink():
        require_readable(path.parent / path.readlink())
    for hidden in HIDDEN:
        if path.is_relative_to(hidden):
            raise ConfigError(
                f"{path}: the service does not see {hidden}; put it where everybody may read it, "
                "such as below /opt, or install with --user"
            )
    for part in (path, *path.parents):
        needed = 0o005 if part.is_dir() else 0o004
        if part.stat().st_mode & needed != needed:
            raise ConfigError(
                f"{part}: the service's user may not read it; put {path} where everybody may, "
                "such as below /opt, or install with --user"
            )


def require_writable(spec: str) -> None:
    """Raise ConfigError unless the service may write the files of a sink."""
    kind, _, place = spec.partition(":")
    if kind in FILES and Path(place).is_absolute():
        raise ConfigError(
            f"sink {spec!r}: the service may write in its state folder alone; name a relative "
            "path, or install with --user"
        )


def unit_path(*, user: bool) -> Path:
    """Return where the unit lies."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser())
    return (config / "systemd" / "user" if user else SYSTEM_UNITS) / f"{NAME}.service"


def verify_unit(path: Path) -> str | None:
    """Return what `systemd-analyze verify` has against a unit; None where it cannot be asked."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return None
    command = [analyze, "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if path.name in line]
    return "\n".join(lines) if done.returncode or lines else ""


def systemctl(*arguments: str, user: bool) -> subprocess.CompletedProcess[str]:
    """Run systemctl.

    Raises:
        ConfigError: there is none.
    """
    program = shutil.which("systemctl")
    if program is None:
        raise ConfigError("no systemctl here: this system is not run by systemd")
    command = [program, *(["--user"] if user else []), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def service_state(*, user: bool) -> ServiceState:
    """Return what systemd says of the service; `unknown` where it does not answer."""
    path = unit_path(user=user)
    if shutil.which("systemctl") is None:
        return ServiceState(
            unit=str(path), installed=path.exists(), active="unknown", detail="no systemctl here"
        )
    done = systemctl("show", f"{NAME}.service", f"--property={','.join(PROPERTIES)}", user=user)
    if done.returncode:
        detail = " ".join(done.stderr.split())
        return ServiceState(
            unit=str(path), installed=path.exists(), active="unknown", detail=detail
        )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    memory = found.get("MemoryCurrent", "")
    return ServiceState(
        unit=str(path),
        installed=path.exists(),
        active=found.get("ActiveState", "unknown"),
        detail=" ".join(filter(None, (found.get("SubState"), found.get("StatusText")))),
        restarts=int(found.get("NRestarts") or 0),
        memory_mib=int(memory) / 2**20 if memory.isdecimal() else None,
    )


def _program() -> list[str]:
    """Return how to start us: by this interpreter, whatever the PATH of the service."""
    return [sys.executable, "-m", "scnet_edge"]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "%%")


def _quote(argument: str) -> str:
    """Return an argument as a unit file writes it: % and $ mean something there."""
    if CONTROL.search(argument):
        raise ConfigError(
            f"{redact(argument)}: a line break, or another character that is not shown, has no "
            "place in a service's command"
        )
    escaped = _escape(argument).replace("$", "$$")
    if escaped == shlex.quote(escaped):
        return escaped
    return '"' + escaped.replace('"', '\\"') + '"'
