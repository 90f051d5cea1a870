"""Magnitudes of a tensor over many frames, and the range that each method reads from them.

minmax      the largest magnitude seen: nothing saturates, rare peaks cost resolution
percentile  99.99 % of the values lie within
mse         the least mean squared error of rounding and saturation together
entropy     the least Kullback-Leibler divergence of the quantised from the exact distribution
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.engines.base import cpu_engine
from scnet_edge.errors import ConfigError, GraphError
from scnet_edge.files import new_file
from scnet_edge.onnx_export.trace import static_shapes
from scnet_edge.types import Frame

logger = logging.getLogger(__name__)

Method = Literal["minmax", "percentile", "mse", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)

BINS = 2048
LEVELS = 128  # of an INT8 magnitude, zero among them
PERCENTILE = 99.99
CANDIDATES = np.arange(LEVELS, BINS + 1, 16)  # how many of the bins a range may cover
SMALLEST_PEAK = 1e-6  # a tensor of zeros has a range all the same

Floats = npt.NDArray[np.float64]
NETWORKS = ("hed", "scnet")  # in the order a frame meets them
SAMPLED = 65_536  # values of a tensor that are counted in each frame, at most about
# What NumPy raises over a cached file that is not whole.
NOT_OURS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

Run = Callable[[Mapping[str, npt.NDArray[np.uint8]]], dict[str, npt.NDArray[np.float32]]]
Load = Callable[[onnx.ModelProto], Run]


@dataclass(slots=True)
class Histogram:
    """Magnitudes in `BINS` equal bins of [0, upper], which doubles when a larger one comes.

    Attributes:
        peak: The largest magnitude seen; counts may be of a sample of the values.
    """

    peak: float = 0.0
    upper: float = 0.0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, magnitudes: npt.NDArray[np.float32], peak: float) -> None:
        """Count some magnitudes, none above `peak`, the largest of the frame they are from."""
        self.peak = max(self.peak, peak)
        self.upper = self.upper or max(peak, SMALLEST_PEAK)
        while self.peak > self.upper:
            halved = self.counts.reshape(-1, 2).sum(1)  # (BINS / 2,)
            self.counts = np.concatenate([halved, np.zeros(BINS // 2, np.int64)])
            self.upper *= 2
        bins = np.minimum(magnitudes.ravel() * (BINS / self.upper), BINS - 1).astype(np.int64)
        self.counts += np.bincount(bins, minlength=BINS)


Histograms = dict[str, Histogram]


def ranges_by(method: Method, histograms: Histograms) -> dict[str, float]:
    """Return the range of every tensor by one method, never above the largest magnitude seen."""
    read = {"minmax": minmax, "percentile": percentile, "mse": least_squares, "entropy": entropy}
    return {name: read[method](histogram) for name, histogram in histograms.items()}


def minmax(histogram: Histogram) -> float:
    """Return the largest magnitude."""
    return max(histogram.peak, SMALLEST_PEAK)


def percentile(histogram: Histogram) -> float:
    """Return the upper edge of the bin in which the percentile lies."""
    within = histogram.counts.cumsum() >= histogram.counts.sum() * PERCENTILE / 100
    return _cap(histogram, int(np.argmax(within)) + 1)


def least_squares(histogram: Histogram) -> float:
    """Return the range whose rounding and saturation have the least mean squared error."""
    centres = np.arange(BINS, dtype=np.float64) + 0.5  # in bins
    errors = [_squared_error(histogram.counts, centres, int(bins)) for bins in CANDIDATES]
    return _cap(histogram, int(CANDIDATES[np.argmin(errors)]))


def _squared_error(counts: npt.NDArray[np.int64], centres: Floats, bins: int) -> float:
    step = bins / (LEVELS - 1)
    restored = np.minimum(np.rint(centres / step), LEVELS - 1) * step
    return float(counts @ (centres - restored) ** 2)


def entropy(histogram: Histogram) -> float:
    """Return the range that loses the least information, as TensorRT's entropy calibrator does.

    The values beyond a candidate range count in its last bin; the exact distribution is compared
    with the one whose bins are merged to `LEVELS` and spread again over those that held anything.
    The zeros that a ReLU leaves would outweigh all else, so the first bin counts as the second.
    """
    counts = histogram.counts.copy()
    counts[0] = counts[1]
    losses = [_divergence(counts, int(bins)) for bins in CANDIDATES]
    return _cap(histogram, int(CANDIDATES[np.argmin(losses)]))


def _divergence(counts: npt.NDArray[np.int64], bins: int) -> float:
    inside = counts[:bins].astype(np.float64)
    exact = inside.copy()
    exact[-1] += counts[bins:].sum()
    level = np.arange(bins) * LEVELS // bins  # the level of each bin
    held = np.bincount(level, inside > 0, minlength=LEVELS)
    merged = np.bincount(level, inside, minlength=LEVELS)
    spread = np.where(inside > 0, (merged / np.maximum(held, 1))[level], 0)
    if not spread.sum():
        return float("inf")
    # A last bin that only holds what saturates has no counterpart; it must not be free of charge.
    floor = 1e-12
    p, q = exact / exact.sum(), np.maximum(spread / spread.sum(), floor)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))


def _cap(histogram: Histogram, bins: int) -> float:
    return max(min(histogram.upper * bins / BINS, histogram.peak), SMALLEST_PEAK)


def collect(
    model: onnx.ModelProto, convolutions: list[str], frames: Iterable[Frame], load: Load
) -> Histograms:
    """Return the magnitudes of each named convolution's input over all frames.

    Raises:
        GraphError: there are no frames, or a magnitude is not a number.
    """
    run = load(watch_inputs(model, convolutions))
    histograms = {name: Histogram() for name in convolutions}
    seen = 0
    for frame in frames:
        outputs = run({"frame": frame[None]})
        for name, histogram in histograms.items():
            peak = float(outputs[f"{name}.peak"].max())
            if not np.isfinite(peak):
                raise GraphError(f"{name}: its input is not finite on a calibration frame")
            histogram.add(outputs[f"{name}.sample"], peak)
        seen += 1
    if not seen:
        raise GraphError("calibration needs at least one frame, found none")
    return histograms


def watch_inputs(model: onnx.ModelProto, convolutions: list[str]) -> onnx.ModelProto:
    """Return a copy whose outputs are peak and sample of the magnitudes of convolutions' inputs.

    The peak is taken over all values inside the graph. The sample is every nth row and column of
    every channel; n is odd, so that it does not keep step with the 2x2 windows of the pooling.
    """
    shapes = static_shapes(model)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph = watched.graph
    inputs = {n.name: _observable(model, n.input[0]) for n in graph.node if n.op_type == "Conv"}
    del graph.output[:]
    for name in convolutions:
        peak, sample = f"{name}.peak", f"{name}.sample"
        step = int(np.sqrt(np.prod(shapes[inputs[name]]) / SAMPLED)) | 1
        # A slice of step 1 would be another name of the same tensor, which engines drop.
        magnitude = f"{name}.magnitude" if step > 1 else sample
        graph.node.append(helper.make_node("Abs", [inputs[name]], [magnitude], name=magnitude))
        graph.node.append(helper.make_node("ReduceMax", [magnitude], [peak], name=peak, keepdims=0))
        if step > 1:
            _append_slice(graph, magnitude, sample, shapes[inputs[name]], step)
        graph.output.append(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []))
        graph.output.append(helper.make_tensor_value_info(sample, TensorProto.FLOAT, None))
    return watched


def _observable(model: onnx.ModelProto, tensor: str) -> str:
    """Return the tensor before its Q/DQ pair, where it has one."""
    makers = {o: n for n in model.graph.node for o in n.output}
    if tensor in makers and makers[tensor].op_type == "DequantizeLinear":
        return str(makers[makers[tensor].input[0]].input[0])
    return tensor


def _append_slice(
    graph: onnx.GraphProto, source: str, target: str, shape: tuple[int, ...], step: int
) -> None:
    slices = {"starts": [0, 0], "ends": list(shape[2:]), "axes": [2, 3], "steps": [step, step]}
    for part, values in slices.items():
        tensor = numpy_helper.from_array(np.array(values, np.int64), f"{target}.{part}")
        graph.initializer.append(tensor)
    names = [f"{target}.{part}" for part in slices]
    graph.node.append(helper.make_node("Slice", [source, *names], [target], name=target))


def cache_key(graph: onnx.ModelProto, frames_sha256: Iterable[str]) -> str:
    """Return the key of collecting the magnitudes of a graph over frames in this engine."""
    digest = hashlib.sha256(graph.SerializeToString(deterministic=True))
    engine = cpu_engine()
    by = (engine, import_module(engine).__version__, version("scnet-edge"), f"{SAMPLED}, {BINS}")
    for part in (*by, *frames_sha256):
        digest.update(part.encode())
    return digest.hexdigest()


def read_cached(cache: Path, key: str) -> Histograms | None:
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


def write_cached(cache: Path, key: str, histograms: Histograms) -> None:
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
