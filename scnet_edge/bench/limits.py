"""What this machine attains at best: convolutions in the engine of the models, and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from scnet_edge.bench.schema import MachineLimits, Precision, Rate

# (channels, height, width) of VGG's blocks at 384x544, of both networks, full width and quarter
SHAPES = (
    (64, 384, 544),
    (128, 192, 272),
    (256, 96, 136),
    (512, 48, 68),
    (16, 384, 544),
    (32, 192, 272),
    (64, 96, 136),
    (128, 48, 68),
)
DEPTH = 6  # equal layers in a row, so that what enters and leaves the chain weighs little
HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
SECONDS, WARM_UP = 0.4, 1
COPY_BYTES = 512 * 2**20  # each of two arrays; server caches reach 300 MB


def measure_limits(threads: int | None = None) -> MachineLimits:
    """Return the rates of every shape and arithmetic, and the memory bandwidth."""
    rates = [
        Rate(
            arithmetic=arithmetic,
            channels=(c, c),
            size_hw=(h, w),
            gops=round(convolution_gops(arithmetic, c, (h, w), threads), 1),
        )
        for c, h, w in SHAPES
        for arithmetic in HINTS
    ]
    return MachineLimits(rates=tuple(rates), bandwidth_gb_s=round(copy_gb_s(threads), 1))


def convolution_gops(
    arithmetic: Precision, channels: int, size_hw: tuple[int, int], threads: int | None
) -> float:
    """Return 1e9 operations a second of `DEPTH` equal 3x3 convolutions with ReLU, in OpenVINO."""
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[arithmetic]}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    model = _chain(channels, size_hw, quantised=arithmetic == "int8")
    request = ov.Core().compile_model(model, "CPU", config).create_infer_request()
    x = np.random.default_rng(0).random((1, channels, *size_hw), np.float32)
    seconds = min(_time(lambda: request.infer({0: x}, share_inputs=True)))
    return 2e-9 * DEPTH * channels * channels * 9 * size_hw[0] * size_hw[1] / seconds


def copy_gb_s(threads: int | None) -> float:
    """Return 1e9 bytes a second, read and written, of a copy by all threads together."""
    count = threads or len(os.sched_getaffinity(0))
    source = np.ones(COPY_BYTES // 8)
    target = np.empty_like(source)
    parts = list(zip(np.array_split(source, count), np.array_split(target, count), strict=True))
    with ThreadPoolExecutor(count) as pool:
        seconds = min(_time(lambda: list(pool.map(lambda p: np.copyto(p[1], p[0]), parts))))
    return 2e-9 * COPY_BYTES / seconds


def _time(work: Callable[[], object]) -> Iterator[float]:
    """Yield the seconds of each repetition, for about `SECONDS`, at least three."""
    end_s, done = time.perf_counter() + SECONDS, 0
    while done < WARM_UP + 3 or time.perf_counter() < end_s:
        start_s = time.perf_counter()
        work()
        if done >= WARM_UP:
            yield time.perf_counter() - start_s
        done += 1


def _chain(channels: int, size_hw: tuple[int, int], *, quantised: bool) -> ov.Model:
    rng = np.random.default_rng(1)
    frame = ops.parameter((1, channels, *size_hw), np.float32)
    x = frame.output(0)
    for _ in range(DEPTH):
        weight = rng.normal(0, (2 / 9 / channels) ** 0.5, (channels, channels, 3, 3))
        if quantised:
            x, kernel = _quantise(x), _int8_kernel(weight)
        else:
            kernel = ops.constant(weight.astype(np.float32)).output(0)
        x = ops.relu(ops.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1])).output(0)
    # One number a channel leaves, so that no full map is converted for the caller.
    return ov.Model([ops.reduce_max(x, np.array([2, 3]))], [frame])


def _quantise(x: ov.Output) -> ov.Output:
    low, high = np.float32(-4), np.float32(4 * 127 / 128)
    return ops.fake_quantize(x, low, high, low, high, 256).output(0)


def _int8_kernel(weight: np.ndarray) -> ov.Output:
    scale = (np.abs(weight).max((1, 2, 3), keepdims=True) / 127).astype(np.float32)
    stored = ops.constant(np.round(weight / scale).astype(np.int8))
    return ops.multiply(ops.convert(stored, np.float32), ops.constant(scale)).output(0)
