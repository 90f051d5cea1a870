"""Histograms kept between runs, under a key that no other collection can have.

Collecting is what takes the time; reading ranges from histograms does not. The key covers the graph
(and with it weights, size, preprocessing and the ranges of the networks before), every frame's
bytes, how they are sampled and binned, and the versions of the engine and of this package, so
whatever changes one of them asks for a new collection.
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from scnet_edge.engines.base import cpu_engine
from scnet_edge.errors import ConfigError
from scnet_edge.files import new_file
from scnet_edge.quantization.activations import SAMPLED, Histograms
from scnet_edge.quantization.histograms import BINS, Histogram
from scnet_edge.state import cache_folder

logger = logging.getLogger(__name__)
NOT_OURS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def default_cache() -> Path | None:
    """Return where histograms are kept unless told otherwise; None for a user without a home."""
    base = cache_folder()
    return None if base is None else base / "histograms"


def key_of(graph: onnx.ModelProto, frames_sha256: Iterable[str]) -> str:
    """Return the key of collecting the magnitudes of a graph over frames in this engine."""
    digest = hashlib.sha256(graph.SerializeToString(deterministic=True))
    engine = cpu_engine()
    by = (engine, import_module(engine).__version__, version("scnet-edge"), f"{SAMPLED}, {BINS}")
    for part in (*by, *frames_sha256):
        digest.update(part.encode())
    return digest.hexdigest()


def kept(cache: Path, key: str) -> Histograms | None:
    """Return the histograms under a key; None where there are none, or none that are whole."""
    try:
        path = cache / f"{key}.npz"
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = [str(n) for n in arrays["names"]]
            rows = zip(names, arrays["peaks"], arrays["uppers"], arrays["counts"], strict=True)
            return {
                name: Histogram(peak=float(peak), upper=float(upper), counts=counts)
                for name, peak, upper, counts in rows
            }
    except NOT_OURS:
        return None


def keep(cache: Path, key: str, histograms: Histograms) -> None:
    """Write histograms under a key, where there is room; readers see all of them or nothing."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _write(cache / f"{key}.npz", histograms)
    except (OSError, ConfigError) as e:
        reason = getattr(e, "strerror", None) or e
        logger.warning("%s: histograms are not kept for another time (%s)", cache, reason)


def _write(path: Path, histograms: Histograms) -> None:
    with new_file(path, durable=False) as f:
        np.savez_compressed(
            f,
            names=np.array(list(histograms)),
            peaks=np.array([h.peak for h in histograms.values()]),
            uppers=np.array([h.upper for h in histograms.values()]),
            counts=np.stack([h.counts for h in histograms.values()]),
        )
