"""What the machine itself offers, read from the system's own files; the first half of `doctor`."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from typing import Literal

from scnet_edge.machine.board import l4t_version, system_text

Verdict = Literal["ok", "warn", "missing"]

# CPU flags of Linux, the best first: instructions that multiply and add INT8 without saturating.
INT8_FLAGS = ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp")
BF16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
OTHER_FLAGS = ("avx512f", "avx2", "asimdhp", "asimd")
# (implementer, part) of ARM cores whose kernel names no model: those of the Jetsons.
ARM_CORES = {
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x4e", "0x003"): "NVIDIA Denver 2",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}
JETPACK_OF_L4T = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7}
OLDEST_JETPACK = 6  # the first whose Python, 3.10, is one of ours
MIN_FREE_BYTES = 2**30  # a process with the full model and its engine, with some room


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; `remedy` is empty where there is nothing to do."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def check_python() -> Check:
    """Return the interpreter; a package of ours that runs at all runs on a supported one."""
    return Check(name="python", verdict="ok", found=f"{platform.python_version()} {sys.executable}")


def check_machine() -> Check:
    """Return the platform and, where a device tree names it, the board."""
    board = system_text("/proc/device-tree/model").strip("\0\n ")
    found = ", ".join(filter(None, (board, platform.platform())))
    if platform.system() == "Linux":
        return Check(name="machine", verdict="ok", found=found)
    return Check(name="machine", verdict="warn", found=found, remedy="tested on Linux alone")


def check_cpu(cpuinfo: str) -> Check:
    """Return the model of the CPU and the features that count."""
    flags = cpu_flags(cpuinfo)
    known = [f for f in (*INT8_FLAGS, *BF16_FLAGS, *OTHER_FLAGS) if f in flags]
    model = cpu_model(cpuinfo) or platform.machine()
    return Check(name="cpu", verdict="ok", found=f"{model}: {' '.join(known) or 'no SIMD known'}")


def check_int8(flags: frozenset[str]) -> Check:
    """Return what the CPU's features mean for an INT8 bundle."""
    best = next((f for f in INT8_FLAGS if f in flags), None)
    if best:
        return Check(name="cpu int8", verdict="ok", found=f"{best}: INT8 products in hardware")
    return Check(
        name="cpu int8",
        verdict="warn",
        found="no INT8 products in hardware: sums may saturate and little time is saved",
        remedy="run 'scnet-edge verify BUNDLE' here before trusting INT8, or build --fp16",
    )


def check_bf16(flags: frozenset[str]) -> Check:
    """Return what the CPU's features mean for the floating-point layers of an INT8 bundle."""
    best = next((f for f in BF16_FLAGS if f in flags), None)
    used = f"{best}: for layers outside INT8, where 'build --on-device' finds it quicker"
    none = "none: layers outside INT8 are computed in FP32"
    return Check(name="cpu bf16", verdict="ok", found=used if best else none)


def check_cores() -> Check:
    """Return the cores this process may use, its container's limit included."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cpu_quota(
        system_text("/sys/fs/cgroup/cpu.max")
        or f"{system_text('/sys/fs/cgroup/cpu/cpu.cfs_quota_us').strip()} "
        f"{system_text('/sys/fs/cgroup/cpu/cpu.cfs_period_us').strip()}"
    )
    if quota is None:
        return Check(name="cores", verdict="ok", found=f"{allowed} of {os.cpu_count()}")
    return Check(
        name="cores",
        verdict="warn" if quota < (allowed or 1) else "ok",
        found=f"{allowed} of {os.cpu_count()}, the container's quota is {quota:g}",
        remedy=f"pass --threads {max(1, int(quota))}" if quota < (allowed or 1) else "",
    )


def check_memory() -> Check:
    """Return the free memory, the container's limit included."""
    total, free = memory_bytes(system_text("/proc/meminfo"))
    limit = system_text("/sys/fs/cgroup/memory.max").strip()
    if limit.isdecimal():
        total, free = min(total, int(limit)), min(free, int(limit))
    enough = free >= MIN_FREE_BYTES
    return Check(
        name="memory",
        verdict="ok" if enough else "warn",
        found=f"{free / 2**30:.1f} GiB free of {total / 2**30:.1f}",
        remedy="" if enough else "stop other programs or add swap; about 1 GiB should be free",
    )


def check_jetpack(nv_tegra_release: str) -> Check:
    """Return the L4T release and JetPack of a Jetson."""
    l4t = l4t_version(nv_tegra_release)
    if l4t is None:
        return Check(name="jetpack", verdict="ok", found="none: not a Jetson")
    jetpack = JETPACK_OF_L4T.get(l4t[0])
    found = f"L4T {'.'.join(map(str, l4t))}, JetPack {jetpack or 'unknown'}"
    if jetpack and jetpack < OLDEST_JETPACK:
        remedy = (
            f"its TensorRT is for a Python before 3.10; flash JetPack {OLDEST_JETPACK} or newer"
        )
        return Check(name="jetpack", verdict="warn", found=found, remedy=remedy)
    return Check(name="jetpack", verdict="ok", found=found)


def cpu_model(cpuinfo: str) -> str | None:
    """Return the CPU's name in /proc/cpuinfo, from its part number where it states no name."""
    fields = dict(re.findall(r"^(model name|CPU implementer|CPU part)\s*:\s*(.+)$", cpuinfo, re.M))
    part = (fields.get("CPU implementer", ""), fields.get("CPU part", ""))
    return (
        ARM_CORES.get(part) or fields.get("model name") or " part ".join(filter(None, part)) or None
    )


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the features that every core in /proc/cpuinfo has."""
    cores = re.findall(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.M)
    return frozenset.intersection(*(frozenset(c.split()) for c in cores)) if cores else frozenset()


def cpu_quota(text: str) -> float | None:
    """Return the cores of a cgroup's `QUOTA PERIOD` in microseconds; None without a limit."""
    quota, _, period = text.strip().partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def memory_bytes(meminfo: str) -> tuple[int, int]:
    """Return total and available bytes of /proc/meminfo; 0 where it is silent."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s*(\d+) kB$", meminfo, re.M))
    return 1024 * int(found.get("MemTotal", 0)), 1024 * int(found.get("MemAvailable", 0))
