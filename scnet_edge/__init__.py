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
    from scnet_edge.build import build_bundle
    from scnet_edge.bundle.verify import verify_bundle
    from scnet_edge.engines.fake import FakeBackend
    from scnet_edge.inspection.measure import measure_cracks
    from scnet_edge.robot.run import inspect
    from scnet_edge.runtime.delivery import Sink
    from scnet_edge.runtime.loop import run_loop
    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.types import Result
    from scnet_edge.video.fake_source import fake_source
    from scnet_edge.video.sources import open_source

    __version__: str

__all__ = [
    "BundleError",
    "ConfigError",
    "EngineError",
    "FakeBackend",
    "GraphError",
    "InputError",
    "ModelError",
    "Pipeline",
    "Result",
    "ScnetEdgeError",
    "Sink",
    "__version__",
    "build_bundle",
    "fake_source",
    "inspect",
    "measure_cracks",
    "open_source",
    "read_survey",
    "run_loop",
    "verify_bundle",
]

# Public names that need NumPy, OpenCV or more, and the module of each.
_LAZY = {
    "FakeBackend": "scnet_edge.engines.fake",
    "Pipeline": "scnet_edge.runtime.pipeline",
    "Result": "scnet_edge.types",
    "Sink": "scnet_edge.runtime.delivery",
    "build_bundle": "scnet_edge.build",
    "fake_source": "scnet_edge.video.fake_source",
    "inspect": "scnet_edge.robot.run",
    "measure_cracks": "scnet_edge.inspection.measure",
    "open_source": "scnet_edge.video.sources",
    "read_survey": "scnet_edge.survey.folder",
    "run_loop": "scnet_edge.runtime.loop",
    "verify_bundle": "scnet_edge.bundle.verify",
}


def __getattr__(name: str) -> object:
    """Import the public names that need NumPy and OpenCV when they are first asked for."""
    if name == "__version__":
        return version("scnet-edge")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
