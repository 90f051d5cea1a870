"""What is done to a parsed network before it is built."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from scnet_edge.engines.compiled import tensor_text
from scnet_edge.engines.tensorrt.library import numpy_dtype, tensorrt

# Instance-norm statistics, which a graph with FP16 keeps in FP32.
FP32_SCOPE = "/statistics/"


def _layers(network: Any) -> Iterator[Any]:
    """Yield the layers of a network."""
    for i in range(network.num_layers):
        yield network.get_layer(i)


def tensors_of(network: Any) -> dict[str, str]:
    """Return inputs and outputs by name, as `1x384x544x3 uint8`."""
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    tensors += [network.get_output(i) for i in range(network.num_outputs)]
    return {t.name: tensor_text(tuple(t.shape), numpy_dtype(t.name, t.dtype)) for t in tensors}


def shorten_outputs(network: Any) -> None:
    """Drop each output's cast from FP16 to FP32: half the bytes to copy, and the same values."""
    trt = tensorrt()
    casts = {
        layer.get_output(0).name: layer
        for layer in _layers(network)
        if layer.type == trt.LayerType.CAST and layer.get_input(0).dtype == trt.float16
    }
    for output in [network.get_output(i) for i in range(network.num_outputs)]:
        name = output.name
        if name in casts:
            half = casts[name].get_input(0)
            network.unmark_output(output)
            output.name, half.name = f"{name}_fp32", name
            network.mark_output(half)


def convolutions_of(network: Any) -> tuple[str, ...]:
    """Return the names of the convolutions."""
    kind = tensorrt().LayerType.CONVOLUTION
    return tuple(layer.name for layer in _layers(network) if layer.type == kind)


def find_quantised(network: Any) -> list[str]:
    """Return the names of the convolutions whose input passes Q/DQ."""
    return [layer.name for layer in _find_quantised(network)]


def exclude_quantisation(network: Any, names: Collection[str]) -> None:
    """Feed the named convolutions what their inputs were before Q/DQ.

    Weights that the graph stores as INT8 stay rounded: there is nothing before their DQ.
    """
    makers = _makers(network)
    for layer in [layer for layer in _find_quantised(network) if layer.name in names]:
        for i in range(layer.num_inputs):
            quantise = _quantise_before(layer.get_input(i), makers)
            if quantise is not None:
                layer.set_input(i, quantise.get_input(0))


def find_named(errors: Iterable[str], convolutions: Collection[str]) -> tuple[str, ...]:
    """Return the convolutions for which errors say that there is no implementation.

    TensorRT names the fused node: `Could not find any implementation for node
    scnet.encoder.0.0.weight + QuantizeLinear... + scnet.encoder.0.0 + PWN(...)`, or the first and
    last of a region as `{ForeignNode[first...last]}`.
    """
    said = " ".join(e for e in errors if "implementation for node" in e)
    return tuple(
        name
        for name in convolutions
        if re.search(rf"(?<![\w/])(?<!\w\.){re.escape(name)}(?!\.?\w)", said)
    )


def permit_precisions(network: Any, config: Any) -> None:
    """Permit a weakly typed network the precisions that its graph states, and hold it to FP32.

    A quantised graph is permitted FP16 too: what Q/DQ does not hold would run in FP32 otherwise.
    """
    trt = tensorrt()
    layers = list(_layers(network))
    quantised = any(layer.type == trt.LayerType.QUANTIZE for layer in layers)
    if quantised:
        config.set_flag(trt.BuilderFlag.INT8)
    if quantised or any(_makes(layer, trt.float16) for layer in layers):
        config.set_flag(trt.BuilderFlag.FP16)
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
        for layer in layers:
            if FP32_SCOPE in layer.name and _makes(layer, trt.float32):
                layer.precision = trt.float32


def _find_quantised(network: Any) -> Iterator[Any]:
    """Yield each convolution with a Q/DQ pair before it."""
    makers, kind = _makers(network), tensorrt().LayerType.CONVOLUTION
    for layer in _layers(network):
        if layer.type == kind and _quantise_before(layer.get_input(0), makers) is not None:
            yield layer


def _makers(network: Any) -> dict[str, Any]:
    """Return the layer that makes each tensor."""
    return {
        layer.get_output(i).name: layer
        for layer in _layers(network)
        for i in range(layer.num_outputs)
    }


def _quantise_before(tensor: Any, makers: Mapping[str, Any]) -> Any:
    """Return the Q of the Q/DQ pair that makes a tensor; None where there is no pair."""
    kinds = tensorrt().LayerType
    maker = makers.get(tensor.name) if tensor is not None else None
    if maker is None or maker.type != kinds.DEQUANTIZE:
        return None
    before = makers.get(maker.get_input(0).name)
    return before if before is not None and before.type == kinds.QUANTIZE else None


def _makes(layer: Any, dtype: Any) -> bool:
    return any(layer.get_output(i).dtype == dtype for i in range(layer.num_outputs))
