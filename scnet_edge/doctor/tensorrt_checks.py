"""What `doctor` says of TensorRT: whether it runs here, and what is known to be wrong with it.

Sources are named beside each fact. Met on hardware of ours: that TensorRT-RTX refuses an H100.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec

from scnet_edge.doctor.machine_checks import Check
from scnet_edge.engines.base import CUDA_PACKAGES, ENGINES
from scnet_edge.engines.tensorrt.cuda import REMEDY
from scnet_edge.engines.tensorrt.library import OLDEST_OF_TENSORRT, missing_kernels, pair
from scnet_edge.errors import one_line
from scnet_edge.machine.description import Machine

RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")  # TensorRT-RTX 1.7's own list
ORIN = "8.7"
LAST_L4T_OF_PYTHON_38 = 35  # JetPack 5


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
    found = f"{names[0]} {version}{known_note(names[0], version, capability)}"
    if not gpus:
        remedy = "without a GPU it only builds plans ahead of time; nothing to do"
    elif not any(map(find_spec, CUDA_PACKAGES)):
        remedy = f"CUDA from Python is missing: {REMEDY}"
    else:
        remedy = known_trouble(names[0], version, capability)
    return Check(name="tensorrt", verdict="warn" if remedy else "ok", found=found, remedy=remedy)


def known_trouble(module: str, version: str, capability: str) -> str:
    """Return why a TensorRT is known not to run on a GPU, and what to do; empty for nothing.

    Args:
        module: `tensorrt` or `tensorrt_rtx`.
        version: Such as `10.3.0`.
        capability: The GPU's compute capability, `8.7`; empty when not known.
    """
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if module == "tensorrt_rtx":
        return missing_kernels(version, capability, RTX_CAPABILITIES) if capability else ""
    if numbers[:3] == (10, 2, 0):
        return "10.2.0 fails to load its builder (ultralytics#24367): install another 10.x"
    if numbers[:3] == (10, 13, 3) and capability == ORIN:
        return "10.13.3 has no kernels for Orin (isaac-ros-cli#22): install JetPack 7.2's 10.16"
    if numbers >= (10, 5) and capability and pair(capability) < OLDEST_OF_TENSORRT:
        return f"TensorRT 10.5 and later have no kernels for compute capability {capability}"
    if (11, 0) <= numbers < (11, 4, 1) and capability == ORIN:
        return "11.0 to 11.4.0 do not support JetPack: install 11.4.1, or JetPack's own 10.x"
    return ""


def known_note(module: str, version: str, capability: str) -> str:
    """Return what else is known of a TensorRT that runs, to follow its version; empty for nothing.

    Args:
        module: As for `known_trouble`, and so are the others.
    """
    if module == "tensorrt" and version.startswith("10.3.") and capability == ORIN:
        return ", which cannot build INT8 by calibrators on Orin (TensorRT#4797): bundles use none"
    return ""
