"""The machine of a benchmark: what figures depend on, and its sensors while a worker is timed."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread

from scnet_edge.bench.schema import Environment
from scnet_edge.machine.description import read_cuda, read_machine, system_text
from scnet_edge.machine.nvml import driver_version
from scnet_edge.machine.telemetry import Telemetry, read_sensors

PACKAGES = (
    "scnet-edge",
    "openvino",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx",
    "torch",
)
CHECKOUT = Path(__file__).parents[2]
IDLE = (3, 4)  # idle and iowait, of the columns of /proc/stat
COLUMNS = 8  # user to steal; what guests took is in user already


def environment() -> Environment:
    """Return what the figures of this machine depend on, right now."""
    machine, telemetry = read_machine(read_cuda()), read_sensors()
    gpus = machine.cuda.gpus
    return Environment(
        machine=machine.board or machine.architecture,
        cpu=machine.cpu or platform.processor() or "unknown",
        cpu_flags=machine.cpu_flags,
        cores=machine.cores,
        gpu=", ".join(gpu.name for gpu in gpus) or None,
        compute_capability=gpus[0].capability if gpus else None,
        cuda=machine.cuda.version,
        jetpack=machine.jetpack,
        memory_gb=round(machine.memory_bytes / 1e9, 1),
        system=machine.system,
        python=machine.python,
        packages=_packages(),
        commit=_commit(),
        power_mode=telemetry.power_mode,
        sensors={
            "power": telemetry.total_mw is not None,
            "temperature": bool(telemetry.temperatures_c),
            "clocks": bool(telemetry.clocks_mhz),
        },
        load_before=round(os.getloadavg()[0], 2),
        started=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )


def _packages() -> dict[str, str]:
    """Return the versions of what computes, the NVIDIA driver's among them."""
    found = {name: _version(name) for name in PACKAGES} | {"nvidia-driver": driver_version()}
    return {name: known for name, known in found.items() if known}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the source checkout, marked where files differ; None of a wheel."""
    if not (CHECKOUT / ".git").exists():
        return None
    git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@contextmanager
def sample_sensors(into: list[Telemetry], *, every_s: float) -> Iterator[None]:
    """Add what the sensors say to `into`, in a thread, for as long as the body runs."""
    done = Event()

    def sample() -> None:
        while not done.wait(every_s):
            into.append(read_sensors())

    thread = Thread(target=sample, name="sensors", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def watch_others(pid: int, into: list[float]) -> Iterator[None]:
    """Add to `into` the share of all cores that neither `pid` nor this process used meanwhile.

    What a hypervisor gave to its other guests counts as used. Nothing is added without /proc.
    """
    before = _ticks(pid)
    yield
    after = _ticks(pid)
    if before and after and (total := after[0] - before[0]) > 0:
        of_others = (after[1] - before[1]) - (after[2] - before[2])
        into.append(round(min(1.0, max(0.0, of_others / total)), 4))


def _ticks(pid: int) -> tuple[int, int, int] | None:
    """Return the ticks of all cores: that passed, that anything used, that `pid` and we used."""
    first = system_text("/proc/stat").partition("\n")[0].split()[1 : COLUMNS + 1]
    ours = [_process_ticks(p) for p in (pid, os.getpid())]
    if len(first) < COLUMNS or None in ours:
        return None
    columns = [int(value) for value in first]
    passed = sum(columns)
    return passed, passed - sum(columns[i] for i in IDLE), sum(t for t in ours if t is not None)


def _process_ticks(pid: int) -> int | None:
    """Return the ticks in user and kernel of all threads of a process; None where it is gone."""
    after_name = system_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12]) if after_name else None
