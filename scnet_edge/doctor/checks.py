"""What this machine can run: each check looks at one thing, says what it found and what to do.

Torch and onnx, which only building needs, are looked up and not imported.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from scnet_edge.doctor.machine_checks import Check, check_machine
from scnet_edge.engines.base import (
    CPU_REMEDY,
    CUDA_PACKAGES,
    ENGINES,
    default_engine,
    list_engines,
)
from scnet_edge.engines.tensorrt.cuda import REMEDY
from scnet_edge.engines.tensorrt.library import OLDEST_OF_TENSORRT, find_missing_kernels, pair
from scnet_edge.errors import EngineError, ModelError, install_extra, one_line
from scnet_edge.machine.description import Machine, read_cuda, read_machine
from scnet_edge.models.cards import shipped_models

CUDA = "CUDAExecutionProvider"
ELEMENTS = ("pnmenc", "videoconvert", "rtspsrc")
INSTALL = (
    "apt install gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad, "
    "for gst: and csi: sources; USB, RTSP and HTTP cameras need none of it"
)
RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")  # TensorRT-RTX 1.7's own list
ORIN = "8.7"
LAST_L4T_OF_PYTHON_38 = 35  # JetPack 5


def checks() -> list[Check]:
    """Return every check of this machine, engines imported, in the order to read them."""
    machine = read_machine(read_cuda())
    engines = [check_engine("openvino"), check_engine("onnxruntime"), check_tensorrt(machine)]
    return [
        *check_machine(machine),
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
    if engine not in list_engines():
        return Check(name=engine, verdict="missing", found="not installed", remedy=remedy)
    try:
        module = import_module(engine)
    except (ImportError, OSError) as e:
        return Check(
            name=engine,
            verdict="missing",
            found=f"installed, but does not import: {one_line(e)}",
            remedy=remedy,
        )
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
            remedy=f"only to build bundles: {install_extra('build')}",
        )


def check_opencv() -> list[Check]:
    """Return OpenCV and whether it reads videos."""
    remedy = "pip install opencv-python-headless, and no other OpenCV beside it"
    try:
        cv2 = import_module("cv2")
    except ImportError as e:
        return [
            Check(
                name="opencv",
                verdict="missing",
                found=f"installed, but does not import: {one_line(e)}",
                remedy=remedy,
            )
        ]
    built = cv2.getBuildInformation()
    return [
        Check(name="opencv", verdict="ok", found=cv2.__version__),
        check_ffmpeg(built),
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


def check_ffmpeg(build_information: str) -> Check:
    """Return whether OpenCV's build information says that it has FFMPEG."""
    if re.search(r"^\s*FFMPEG:\s*YES\b", build_information, re.M):
        return Check(name="opencv ffmpeg", verdict="ok", found="built in")
    remedy = "needed for video files: pip install opencv-python-headless"
    return Check(name="opencv ffmpeg", verdict="warn", found="not built in", remedy=remedy)


def check_cameras() -> list[Check]:
    """Return the video devices, and GStreamer as `run --source gst:` and `csi:` use it."""
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    return [
        Check(name="cameras", verdict="ok", found=", ".join(devices) or "no /dev/video*"),
        check_gstreamer(),
    ]


def check_gstreamer() -> Check:
    """Return whether gst-launch-1.0 and the elements it is given are here."""
    inspect = shutil.which("gst-inspect-1.0")
    if not inspect or not shutil.which("gst-launch-1.0"):
        return Check(name="gstreamer", verdict="warn", found="not installed", remedy=INSTALL)
    try:
        with tempfile.TemporaryDirectory() as folder:  # its registry, else left in the home folder
            environment = os.environ | {"GST_REGISTRY": str(Path(folder) / "registry.bin")}
            lacking = [name for name in ELEMENTS if not _exists(inspect, name, environment)]
            argus = _exists(inspect, "nvarguscamerasrc", environment)
    except OSError as e:  # a full disk
        found, remedy = f"not looked at: {one_line(e)}", "make room in the temporary folder"
        return Check(name="gstreamer", verdict="warn", found=found, remedy=remedy)
    if lacking:
        found = f"without {', '.join(lacking)}"
        return Check(name="gstreamer", verdict="warn", found=found, remedy=INSTALL)
    found = f"installed, {'with' if argus else 'without'} nvarguscamerasrc for csi: cameras"
    return Check(name="gstreamer", verdict="ok", found=found)


def _exists(inspect: str, element: str, environment: dict[str, str]) -> bool:
    command = [inspect, "--exists", element]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def check_tensorrt(machine: Machine) -> Check:
    """Return whether TensorRT or TensorRT-RTX imports, and whether it can run plans here."""
    l4t, gpus = machine.l4t, machine.cuda.gpus
    capability = gpus[0].capability if gpus else ""
    names = [name for name in ENGINES["tensorrt"][1] if find_spec(name)]
    remedy = ENGINES["tensorrt"][2]
    if l4t is not None and l4t[0] <= LAST_L4T_OF_PYTHON_38:
        remedy = (
            "TensorRT's bindings in JetPack 5 and earlier are for Python 3.8 at most, this package "
            "needs 3.10: install JetPack 6, or use --engine onnxruntime"
        )
    if not names:
        return Check(name="tensorrt", verdict="missing", found="not installed", remedy=remedy)
    try:
        version = import_module(names[0]).__version__
    except (ImportError, OSError) as e:
        found = f"installed, but does not import: {one_line(e)}"
        return Check(name="tensorrt", verdict="missing", found=found, remedy=remedy)
    found = f"{names[0]} {version}{find_note(names[0], version, capability)}"
    if not gpus:
        remedy = "without a GPU it only builds plans ahead of time; nothing to do"
    elif not any(map(find_spec, CUDA_PACKAGES)):
        remedy = f"CUDA from Python is missing: {REMEDY}"
    else:
        remedy = find_trouble(names[0], version, capability)
    return Check(name="tensorrt", verdict="warn" if remedy else "ok", found=found, remedy=remedy)


def find_trouble(module: str, version: str, capability: str) -> str:
    """Return why a TensorRT is known not to run on a GPU, and what to do; empty for nothing.

    Args:
        module: `tensorrt` or `tensorrt_rtx`.
        version: Such as `10.3.0`.
        capability: The GPU's compute capability, `8.7`; empty when not known.
    """
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if module == "tensorrt_rtx":
        return find_missing_kernels(version, capability, RTX_CAPABILITIES) if capability else ""
    if numbers[:3] == (10, 2, 0):
        return "10.2.0 fails to load its builder (ultralytics#24367): install another 10.x"
    if numbers[:3] == (10, 13, 3) and capability == ORIN:
        return "10.13.3 has no kernels for Orin (isaac-ros-cli#22): install JetPack 7.2's 10.16"
    if numbers >= (10, 5) and capability and pair(capability) < OLDEST_OF_TENSORRT:
        return f"TensorRT 10.5 and later have no kernels for compute capability {capability}"
    if (11, 0) <= numbers < (11, 4, 1) and capability == ORIN:
        return "11.0 to 11.4.0 do not support JetPack: install 11.4.1, or JetPack's own 10.x"
    return ""


def find_note(module: str, version: str, capability: str) -> str:
    """Return what else is known of a TensorRT that runs, to follow its version; empty for nothing.

    Args:
        module: As for `find_trouble`, and so are the others.
    """
    if module == "tensorrt" and version.startswith("10.3.") and capability == ORIN:
        return ", which cannot build INT8 by calibrators on Orin (TensorRT#4797): bundles use none"
    return ""
