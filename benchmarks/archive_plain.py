"""The same films by a plain script: a pool of processes that decode, run the net and forget.

And the net alone, without films: what two processes are faster than one on this machine at most.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime as ort

from scnet_edge.archive.manifest import ArchiveManifest
from scnet_edge.bundle.manifest import FUSED, read_manifest

FRAMES = 20  # about a second


def run_plain(bundle: Path, manifest: ArchiveManifest, *, workers: int) -> list[float]:
    """Return when each film was done, in seconds of the machine's clock."""
    files = [os.fsdecode(os.fsencode(manifest.root) + b"/" + f.path_bytes) for f in manifest.films]
    done_s = list[float]()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for _ in pool.imap_unordered(partial(_look, bundle), files):
            done_s.append(time.monotonic())
    return done_s


def run_net(bundle: Path, *, times: int, workers: int) -> list[float]:
    """Return when each of so many pieces of work was done, each some frames of noise."""
    done_s = list[float]()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for _ in pool.imap_unordered(_repeat, [bundle] * times):
            done_s.append(time.monotonic())
    return done_s


def _repeat(bundle: Path) -> None:
    session, size_hw = _open(bundle)
    frame = np.random.default_rng(0).integers(0, 256, (1, *size_hw, 3), np.uint8)
    for _ in range(FRAMES):
        session.run(["probability"], {"frame": frame})


@cache
def _open(bundle: Path) -> tuple[Any, tuple[int, int]]:
    """Return the net of this process and the size of its frames."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(bundle / FUSED), options, ["CPUExecutionProvider"])
    return session, read_manifest(bundle).input.frame_hw


def _look(bundle: Path, path: str) -> int:
    """Return how many pixels of a film look like cracks."""
    session, (height, width) = _open(bundle)
    found = 0
    with Path(path).open("rb") as f, av.open(f, "r") as film:
        for frame in film.decode(video=0):
            picture = cv2.resize(frame.to_ndarray(format="bgr24"), (width, height))
            (probability,) = session.run(["probability"], {"frame": picture[None]})
            found += int((np.asarray(probability) > 0.5).sum())
    return found
