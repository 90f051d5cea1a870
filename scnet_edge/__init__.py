"""Crack segmentation on embedded GPUs; `import scnet_edge` alone imports nothing heavy.

from scnet_edge import Pipeline

with Pipeline.open("BUNDLE") as pipeline:
    result = pipeline(frame_bgr)  # result.mask (h, w) bool
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from scnet_edge.errors import (
    BundleError,
    ConfigError,
    EngineError,
    GraphError,
    InputError,
    ModelError,
    ScnetEdgeError,
)

if TYPE_CHECKING:
    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.types import Result

    __version__: str

__all__ = [
    "BundleError",
    "ConfigError",
    "EngineError",
    "GraphError",
    "InputError",
    "ModelError",
    "Pipeline",
    "Result",
    "ScnetEdgeError",
    "__version__",
]

_LAZY = {"Pipeline": "scnet_edge.runtime.pipeline", "Result": "scnet_edge.types"}


def __getattr__(name: str) -> object:
    """Import the public names that need NumPy and OpenCV when they are first asked for."""
    if name == "__version__":
        return version("scnet-edge")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
