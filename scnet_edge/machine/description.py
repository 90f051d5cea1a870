"""What this machine is, as values, read from the system's own files and from the CUDA driver.

`doctor` judges these values, a benchmark keeps them beside its figures, a run's report names the
machine by them; nobody reads them out of a sentence.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
from pathlib import Path

import msgspec

from scnet_edge.machine.sysfs import power_mode

RELEASE = Path("/etc/nv_tegra_release")
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
COMPUTE_CAPABILITY = (75, 76)  # CUdevice_attribute: major, minor


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One CUDA device; `capability` is its compute capability, `8.7`."""

    name: str
    capability: str


class Cuda(msgspec.Struct, frozen=True, kw_only=True):
    """What the CUDA driver says.

    Attributes:
        status: Of cuInit, 0 for success; None without a driver.
        version: The newest CUDA that the driver runs, `13.0`; None where it is not known.
    """

    status: int | None = None
    version: str | None = None
    gpus: tuple[Gpu, ...] = ()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine is.

    Attributes:
        board: As a device tree names it: `NVIDIA Jetson Orin Nano ...`.
        cpu: The processor's name.
        cpu_flags: Features that all cores have, of those that inference cares for, the best first.
        cores: That this process may use, of `all_cores`.
        core_quota: Of the container, in cores.
        memory_limit_bytes: Of the container.
        l4t: The release of a Jetson's software, (36, 4, 3).
        power_mode: nvpmodel's name for it: `15W`, `MAXN`.
    """

    board: str | None
    architecture: str
    system: str
    python: str
    cpu: str | None
    cpu_flags: tuple[str, ...]
    cores: int
    all_cores: int
    core_quota: float | None
    memory_bytes: int
    free_memory_bytes: int
    memory_limit_bytes: int | None
    swap_bytes: int
    l4t: tuple[int, ...] | None
    power_mode: str | None
    cuda: Cuda

    @property
    def name(self) -> str:
        """The machine in a few words: its board or processor, then the system."""
        name = self.board or self.cpu or self.architecture
        return f"{name}, {platform.system()} {self.architecture}"

    @property
    def jetpack(self) -> int | None:
        """The JetPack of a Jetson's software; None of one that is not known, or of no Jetson."""
        return JETPACK_OF_L4T.get(self.l4t[0]) if self.l4t else None


def read_machine(cuda: Cuda | None = None) -> Machine:
    """Return what this machine is.

    Args:
        cuda: What `read_cuda` returned; None leaves the CUDA driver unasked.
    """
    cpuinfo, meminfo = system_text("/proc/cpuinfo"), system_text("/proc/meminfo")
    flags = cpu_flags(cpuinfo)
    total, free = memory_bytes(meminfo)
    limit = system_text("/sys/fs/cgroup/memory.max").strip()
    all_cores = os.cpu_count() or 1
    return Machine(
        board=system_text("/proc/device-tree/model").strip("\0\n ") or None,
        architecture=platform.machine(),
        system=platform.platform(),
        python=platform.python_version(),
        cpu=cpu_model(cpuinfo),
        cpu_flags=tuple(f for f in (*INT8_FLAGS, *BF16_FLAGS, *OTHER_FLAGS) if f in flags),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else all_cores,
        all_cores=all_cores,
        core_quota=cpu_quota(
            system_text("/sys/fs/cgroup/cpu.max")
            or f"{system_text('/sys/fs/cgroup/cpu/cpu.cfs_quota_us').strip()} "
            f"{system_text('/sys/fs/cgroup/cpu/cpu.cfs_period_us').strip()}"
        ),
        memory_bytes=total,
        free_memory_bytes=free,
        memory_limit_bytes=int(limit) if limit.isdecimal() else None,
        swap_bytes=swap_bytes(meminfo),
        l4t=l4t_version(system_text(RELEASE)),
        power_mode=power_mode(Path("/")),
        cuda=cuda or Cuda(),
    )


def machine_name() -> str:
    """Return this machine in a few words, as a report states it."""
    return read_machine().name


def read_cuda() -> Cuda:
    """Return what the CUDA driver says, asked without any CUDA package."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Cuda()
    status = cuda.cuInit(0)
    if status != 0:
        return Cuda(status=status)
    count, driver = ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDeviceGetCount(ctypes.byref(count))
    cuda.cuDriverGetVersion(ctypes.byref(driver))
    return Cuda(
        status=status,
        version=f"{driver.value // 1000}.{driver.value % 1000 // 10}",
        gpus=tuple(_gpu(cuda, i) for i in range(count.value)),
    )


def system_text(path: str | Path) -> str:
    """Return a file of the system; empty where it does not exist or may not be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def l4t_version(nv_tegra_release: str) -> tuple[int, ...] | None:
    """Return (36, 4, 3) of `# R36 (release), REVISION: 4.3, ...`; None of anything else."""
    match = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", nv_tegra_release)
    return tuple(map(int, f"{match[1]}.{match[2]}".split("."))) if match else None


def jetson_release() -> str:
    """Return the release of a Jetson's software, `L4T 36.4.3`, or `not a Jetson`."""
    l4t = l4t_version(system_text(RELEASE))
    return f"L4T {'.'.join(map(str, l4t))}" if l4t else "not a Jetson"


def cpu_identity(cpuinfo: str) -> str:
    """Return what of /proc/cpuinfo distinguishes a CPU for compiled code: model and features."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.M)
    features = " ".join(sorted(flags[1].split())) if flags else ""
    digest = hashlib.sha256(features.encode()).hexdigest()[:8]
    return f"{platform.machine()} {found[1].strip() if found else ''} features {digest}"


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
    return _kilobytes(meminfo, "MemTotal"), _kilobytes(meminfo, "MemAvailable")


def swap_bytes(meminfo: str) -> int:
    """Return the bytes of swap of /proc/meminfo; 0 where it is silent."""
    return _kilobytes(meminfo, "SwapTotal")


def _kilobytes(meminfo: str, name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB$", meminfo, re.M)
    return 1024 * int(found[1]) if found else 0


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    numbers = [ctypes.c_int(0), ctypes.c_int(0)]
    for number, attribute in zip(numbers, COMPUTE_CAPABILITY, strict=True):
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
    capability = ".".join(str(number.value) for number in numbers)
    return Gpu(name=name.value.decode(errors="replace"), capability=capability)
