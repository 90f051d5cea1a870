"""From the FP32 graph to the precision that ships, in one place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import onnx

from scnet_edge.errors import ConfigError, GraphError
from scnet_edge.models.chain import Chain
from scnet_edge.onnx_export.fp16 import half_layers, to_half
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.corrections import correct_biases, equalise
from scnet_edge.quantization.qdq import quantisable, quantise
from scnet_edge.quantization.ranges import CalibrationFile


def fp32_graph(
    chain: Chain, calibration: CalibrationFile | None = None, *, batch: int = 1
) -> onnx.ModelProto:
    """Return the FP32 graph of `batch` frames, its layers equalised where the calibration was.

    Raises:
        GraphError: the ranges are not exactly those of the graph's quantisable convolutions.
    """
    rewritten = exportable(chain)
    if calibration is not None and calibration.equalised:
        equalise(rewritten)
    fused = trace_chain(rewritten, batch=batch)
    if calibration is not None and set(calibration.ranges) != set(quantisable(fused)):
        odd = sorted(set(calibration.ranges) ^ set(quantisable(fused)))
        raise GraphError(
            f"the ranges are of another graph ({odd[0]} is in one of them only); "
            "run 'scnet-edge calibrate' again"
        )
    return fused


def int8_graph(
    fused: onnx.ModelProto, calibration: CalibrationFile, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """Return the graph with Q/DQ around all convolutions but those excluded, biases corrected."""
    shifts = {k: v for k, v in calibration.bias_shifts.items() if k not in exclude}
    return quantise(correct_biases(fused, shifts), calibration.ranges, exclude=exclude)


def layers_of(calibration: CalibrationFile, exclude: Collection[str]) -> list[str]:
    """Return the convolutions that INT8 quantises.

    Raises:
        ConfigError: all of them are excluded.
    """
    layers = [name for name in calibration.ranges if name not in exclude]
    if not layers:
        raise ConfigError(
            f"exclude: names all {len(calibration.ranges)} convolutions, expected one at least "
            "that is left to INT8; take some out, or build in FP16"
        )
    return layers


def lower(
    fused: onnx.ModelProto,
    precision: Literal["fp32", "fp16", "int8"],
    calibration: CalibrationFile | None,
    *,
    exclude: Collection[str] = (),
    fp16_layers: Collection[str] = (),
) -> onnx.ModelProto:
    """Return the graph in a precision.

    Args:
        fused: The FP32 graph.
        precision: What it shall compute in.
        calibration: Ranges; INT8 needs them.
        exclude: Convolutions that INT8 leaves in FP32.
        fp16_layers: Convolutions that INT8 leaves in FP16.

    Raises:
        GraphError: INT8 without ranges, or a weight beyond FP16.
    """
    if precision == "fp16":
        return to_half(fused)
    if precision == "fp32":
        return fused
    if calibration is None:
        raise GraphError("INT8 needs ranges; run 'scnet-edge calibrate'")
    return half_layers(int8_graph(fused, calibration, {*exclude, *fp16_layers}), fp16_layers)
