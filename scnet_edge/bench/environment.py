"""The machine a benchmark runs on, as far as figures depend on it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scnet_edge.bench.schema import Environment
from scnet_edge.machine.description import read_cuda, read_machine
from scnet_edge.machine.nvml import driver_version
from scnet_edge.machine.telemetry import read_sensors

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
