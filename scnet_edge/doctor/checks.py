"""What this machine can run: each check looks at one thing, says what it found and what to do.

Torch and onnx, which only building needs, are looked up and not imported.
"""

from __future__ import annotations

import ctypes
import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scnet_edge.doctor.camera_checks import check_cameras
from scnet_edge.doctor.tensorrt_checks import check_power_mode, check_swap, check_tensorrt
from scnet_edge.engines.base import CPU_REMEDY, ENGINES, default_engine, installed_engines
from scnet_edge.errors import EngineError, ModelError
from scnet_edge.machine.board import RELEASE, l4t_version, system_text
from scnet_edge.machine.sysfs import power_mode
from scnet_edge.machine.system import (
    Check,
    check_bf16,
    check_cores,
    check_cpu,
    check_int8,
    check_jetpack,
    check_machine,
    check_memory,
    check_python,
    cpu_flags,
)
from scnet_edge.models.cards import shipped_models

COMPUTE_CAPABILITY = (75, 76)  # CUdevice_attribute: major, minor
CUDA = "CUDAExecutionProvider"


def checks() -> list[Check]:
    """Return every check of this machine, engines imported, in the order to read them."""
    cpuinfo = system_text("/proc/cpuinfo")
    gpu, jetpack = check_gpu(), check_jetpack(system_text(RELEASE))
    tensorrt = check_tensorrt(gpu, l4t_version(system_text(RELEASE)))
    engines = [check_engine("openvino"), check_engine("onnxruntime"), tensorrt]
    return [
        check_python(),
        check_machine(),
        check_cpu(cpuinfo),
        check_int8(cpu_flags(cpuinfo)),
        check_bf16(cpu_flags(cpuinfo)),
        check_cores(),
        check_memory(),
        gpu,
        jetpack,
        check_power_mode(power_mode(Path("/"))),
        check_swap(system_text("/proc/meminfo"), jetson="not a Jetson" not in jetpack.found),
        *engines,
        check_default_engine(engines),
        *check_opencv(),
        *check_cameras(),
        *map(check_build_package, ("torch", "onnx", "safetensors")),
        check_models(),
    ]


def can_run(found: list[Check]) -> bool:
    """Return whether at least one engine can run a bundle here."""
    return any(check.name in ENGINES and check.verdict == "ok" for check in found)


def check_engine(engine: str) -> Check:
    """Return whether a CPU engine imports, its version and what it lists; none of it is opened."""
    remedy = ENGINES[engine][2]
    if engine not in installed_engines():
        return Check(name=engine, verdict="missing", found="not installed", remedy=remedy)
    try:
        module = import_module(engine)
    except (ImportError, OSError) as e:
        return Check(name=engine, verdict="missing", found=_one_line(e), remedy=remedy)
    devices = (
        module.get_available_providers()
        if engine == "onnxruntime"
        else module.Core().available_devices
    )
    usable = any(device.startswith("CPU") for device in devices)
    listed = f"lists {', '.join(devices)}"
    if CUDA in devices:
        listed += f"; whether CUDA starts, 'verify BUNDLE --engine {engine}' shows"
    return Check(
        name=engine,
        verdict="ok" if usable else "warn",
        found=f"{module.__version__}, {listed}",
        remedy="" if usable else f"it lists no CPU; {remedy}",
    )


def check_gpu() -> Check:
    """Return the CUDA devices that the driver lists, asked without any CUDA package."""
    missing = "the CPU engines need none; for an NVIDIA GPU install its driver"
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Check(name="gpu", verdict="missing", found="no NVIDIA driver", remedy=missing)
    status = cuda.cuInit(0)
    count, driver = ctypes.c_int(0), ctypes.c_int(0)
    if status == 0:
        cuda.cuDeviceGetCount(ctypes.byref(count))
        cuda.cuDriverGetVersion(ctypes.byref(driver))
    if count.value == 0:
        found = f"the NVIDIA driver finds no GPU (cuInit gives {status})"
        return Check(name="gpu", verdict="missing", found=found, remedy=missing)
    devices = ", ".join(_gpu_name(cuda, i) for i in range(count.value))
    cuda_version = f"{driver.value // 1000}.{driver.value % 1000 // 10}"
    return Check(name="gpu", verdict="ok", found=f"{devices}; driver for CUDA {cuda_version}")


def check_default_engine(engines: list[Check]) -> Check:
    """Return the engine that runs when none is named, and whether its own check went well."""
    try:
        name = default_engine()
    except EngineError as e:
        return Check(name="default engine", verdict="missing", found=str(e))
    working = [check.name for check in engines if check.verdict == "ok"]
    if name in working:
        return Check(name="default engine", verdict="ok", found=name)
    other = f"name another: --engine {working[0]}" if working else f"get another: {CPU_REMEDY}"
    remedy = f"see its line above, or {other}"
    return Check(name="default engine", verdict="warn", found=name, remedy=remedy)


def check_build_package(name: str) -> Check:
    """Return the version of a package that building needs, without importing it."""
    try:
        return Check(name=name, verdict="ok", found=version(name))
    except PackageNotFoundError:
        return Check(
            name=name,
            verdict="missing",
            found="not installed",
            remedy="only to build bundles: pip install 'scnet-edge[build]'",
        )


def check_opencv() -> list[Check]:
    """Return OpenCV and whether it reads videos."""
    remedy = "pip install opencv-python-headless, and no other OpenCV beside it"
    try:
        cv2 = import_module("cv2")
    except ImportError as e:
        return [Check(name="opencv", verdict="missing", found=_one_line(e), remedy=remedy)]
    built = cv2.getBuildInformation()
    return [
        Check(name="opencv", verdict="ok", found=cv2.__version__),
        _check_video(built, "FFMPEG", "needed for video files: pip install opencv-python-headless"),
    ]


def check_models() -> Check:
    """Return the shipped models whose weight file lies beside its card."""
    remedy = "'scnet-edge build' needs one; install scnet-edge again or fetch the source checkout"
    try:
        names = [card.name for card in shipped_models() if card.path.is_file()]
    except ModelError as e:
        return Check(name="models", verdict="warn", found=str(e), remedy=remedy)
    if not names:
        return Check(name="models", verdict="missing", found="none", remedy=remedy)
    return Check(name="models", verdict="ok", found=", ".join(names))


def built_with(build_information: str, part: str) -> bool:
    """Return whether OpenCV's build information says YES of a part, such as FFMPEG."""
    return bool(re.search(rf"^\s*{re.escape(part)}:\s*YES\b", build_information, re.M))


def _check_video(built: str, part: str, remedy: str) -> Check:
    name = f"opencv {part.lower()}"
    if built_with(built, part):
        return Check(name=name, verdict="ok", found="built in")
    return Check(name=name, verdict="warn", found="not built in", remedy=remedy)


def _gpu_name(cuda: ctypes.CDLL, index: int) -> str:
    """Return `NVIDIA H200 (compute capability 9.0)`."""
    device, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    numbers = [ctypes.c_int(0), ctypes.c_int(0)]
    for number, attribute in zip(numbers, COMPUTE_CAPABILITY, strict=True):
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
    capability = ".".join(str(number.value) for number in numbers)
    return f"{name.value.decode(errors='replace')} (compute capability {capability})"


def _one_line(error: Exception) -> str:
    return f"installed, but does not import: {' '.join(str(error).split())}"
