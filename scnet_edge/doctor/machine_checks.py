"""What `doctor` says of the machine itself: system, CPU, memory, GPU, and a Jetson's software."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import Literal

from scnet_edge.errors import install_extra
from scnet_edge.machine.description import BF16_FLAGS, INT8_FLAGS, Cuda, Machine
from scnet_edge.machine.nvml import driver_version

Verdict = Literal["ok", "warn", "missing"]

OLDEST_JETPACK = 6  # the first whose Python, 3.10, is one of ours
MIN_FREE_BYTES = 2**30  # a process with the full model and its engine, with some room
MIN_BUILD_BYTES = 8 * 2**30  # memory and swap; below, builders were killed (ultralytics#19614)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; `remedy` is empty where there is nothing to do."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def check_machine(machine: Machine) -> list[Check]:
    """Return what the machine itself offers, in the order to read it."""
    return [
        Check(name="python", verdict="ok", found=f"{machine.python} {sys.executable}"),
        check_system(machine),
        check_cpu(machine),
        check_int8(machine),
        check_bf16(machine),
        check_cores(machine),
        check_memory(machine),
        check_gpu(machine.cuda),
        *check_gpu_sensors(machine, driver_version()),
        check_jetpack(machine),
        check_power_mode(machine.power_mode),
        check_swap(machine),
    ]


def check_system(machine: Machine) -> Check:
    """Return the platform and, where a device tree names it, the board."""
    found = ", ".join(filter(None, (machine.board, machine.system)))
    if platform.system() == "Linux":
        return Check(name="machine", verdict="ok", found=found)
    return Check(name="machine", verdict="warn", found=found, remedy="tested on Linux alone")


def check_cpu(machine: Machine) -> Check:
    """Return the model of the CPU and the features that count."""
    flags = " ".join(machine.cpu_flags) or "no SIMD known"
    return Check(name="cpu", verdict="ok", found=f"{machine.cpu or machine.architecture}: {flags}")


def check_int8(machine: Machine) -> Check:
    """Return what the CPU's features mean for an INT8 bundle."""
    best = next((f for f in INT8_FLAGS if f in machine.cpu_flags), None)
    if best:
        return Check(name="cpu int8", verdict="ok", found=f"{best}: INT8 products in hardware")
    return Check(
        name="cpu int8",
        verdict="warn",
        found="no INT8 products in hardware: sums may saturate and little time is saved",
        remedy="run 'scnet-edge verify BUNDLE' here before trusting INT8, or build --fp16",
    )


def check_bf16(machine: Machine) -> Check:
    """Return what the CPU's features mean for the floating-point layers of an INT8 bundle."""
    best = next((f for f in BF16_FLAGS if f in machine.cpu_flags), None)
    used = f"{best}: for layers outside INT8, where 'scnet-edge compile' finds it quicker"
    none = "none: layers outside INT8 are computed in FP32"
    return Check(name="cpu bf16", verdict="ok", found=used if best else none)


def check_cores(machine: Machine) -> Check:
    """Return the cores this process may use, its container's limit included."""
    found, quota = f"{machine.cores} of {machine.all_cores}", machine.core_quota
    if quota is None:
        return Check(name="cores", verdict="ok", found=found)
    return Check(
        name="cores",
        verdict="warn" if quota < machine.cores else "ok",
        found=f"{found}, the container's quota is {quota:g}",
        remedy=f"pass --threads {max(1, int(quota))}" if quota < machine.cores else "",
    )


def check_memory(machine: Machine) -> Check:
    """Return the free memory, the container's limit included."""
    limit = machine.memory_limit_bytes or machine.memory_bytes
    free, total = min(machine.free_memory_bytes, limit), min(machine.memory_bytes, limit)
    enough = free >= MIN_FREE_BYTES
    return Check(
        name="memory",
        verdict="ok" if enough else "warn",
        found=f"{free / 2**30:.1f} GiB free of {total / 2**30:.1f}",
        remedy="" if enough else "stop other programs or add swap; about 1 GiB should be free",
    )


def check_gpu(cuda: Cuda) -> Check:
    """Return the CUDA devices that the driver lists."""
    missing = "the CPU engines need none; for an NVIDIA GPU install its driver"
    if cuda.status is None:
        return Check(name="gpu", verdict="missing", found="no NVIDIA driver", remedy=missing)
    if not cuda.gpus:
        found = f"the NVIDIA driver finds no GPU (cuInit gives {cuda.status})"
        return Check(name="gpu", verdict="missing", found=found, remedy=missing)
    gpus = ", ".join(f"{gpu.name} (compute capability {gpu.capability})" for gpu in cuda.gpus)
    return Check(name="gpu", verdict="ok", found=f"{gpus}; driver for CUDA {cuda.version}")


def check_gpu_sensors(machine: Machine, driver: str | None) -> list[Check]:
    """Return whether power, heat and clocks of a PC's card can be read; none where it has none.

    Args:
        machine: A Jetson's sensors are files, which nothing is needed for.
        driver: The NVIDIA driver's version, as NVML says it; None where it cannot be asked.
    """
    if not machine.cuda.gpus or machine.l4t is not None:
        return []
    if driver is not None:
        return [Check(name="gpu sensors", verdict="ok", found=f"by NVML of driver {driver}")]
    remedy = f"for power, heat and clocks of the GPU: {install_extra('nvidia')}"
    return [Check(name="gpu sensors", verdict="warn", found="not read", remedy=remedy)]


def check_jetpack(machine: Machine) -> Check:
    """Return the L4T release and JetPack of a Jetson."""
    if machine.l4t is None:
        return Check(name="jetpack", verdict="ok", found="none: not a Jetson")
    jetpack = machine.jetpack
    found = f"L4T {'.'.join(map(str, machine.l4t))}, JetPack {jetpack or 'unknown'}"
    if jetpack and jetpack < OLDEST_JETPACK:
        remedy = (
            f"its TensorRT is for a Python before 3.10; flash JetPack {OLDEST_JETPACK} or newer"
        )
        return Check(name="jetpack", verdict="warn", found=found, remedy=remedy)
    return Check(name="jetpack", verdict="ok", found=found)


def check_power_mode(mode: str | None) -> Check:
    """Return nvpmodel's mode of a Jetson."""
    if mode is None:
        return Check(name="power mode", verdict="ok", found="none: not a Jetson")
    if mode.upper().startswith("MAXN"):
        return Check(name="power mode", verdict="ok", found=mode)
    remedy = "slower than the board can be: 'sudo nvpmodel -p --verbose' lists the modes"
    return Check(name="power mode", verdict="warn", found=mode, remedy=remedy)


def check_swap(machine: Machine) -> Check:
    """Return the swap; on a Jetson, building a plan takes memory that the board may not have."""
    found = f"{machine.swap_bytes / 2**30:.1f} GiB"
    if machine.l4t is not None and machine.memory_bytes + machine.swap_bytes < MIN_BUILD_BYTES:
        remedy = "a plan's builder may be killed: add 4 GiB of swap before 'scnet-edge compile'"
        return Check(name="swap", verdict="warn", found=found, remedy=remedy)
    return Check(name="swap", verdict="ok", found=found)
