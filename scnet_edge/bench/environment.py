"""The machine a benchmark runs on, as far as figures depend on it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scnet_edge.bench.schema import Environment
from scnet_edge.doctor.checks import check_gpu
from scnet_edge.machine.board import system_text
from scnet_edge.machine.nvml import driver_version
from scnet_edge.machine.system import (
    BF16_FLAGS,
    INT8_FLAGS,
    OTHER_FLAGS,
    check_jetpack,
    cpu_flags,
    cpu_model,
    memory_bytes,
)
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
    cpuinfo, telemetry = system_text("/proc/cpuinfo"), read_sensors()
    flags = cpu_flags(cpuinfo)
    board = system_text("/proc/device-tree/model").strip("\0\n ")
    gpu, jetpack = check_gpu(), check_jetpack(system_text("/etc/nv_tegra_release"))
    return Environment(
        machine=board or platform.machine(),
        cpu=cpu_model(cpuinfo) or platform.processor() or "unknown",
        cpu_flags=tuple(f for f in (*INT8_FLAGS, *BF16_FLAGS, *OTHER_FLAGS) if f in flags),
        cores=len(os.sched_getaffinity(0)),
        gpu=gpu.found if gpu.verdict == "ok" else None,
        jetpack=None if jetpack.found.startswith("none") else jetpack.found,
        memory_gb=round(memory_bytes(system_text("/proc/meminfo"))[0] / 1e9, 1),
        system=platform.platform(),
        python=platform.python_version(),
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
