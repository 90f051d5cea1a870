"""What the engine inspector's JSON says of precision, in the three dialects that TensorRT has had.

Written by hand after NVIDIA's documentation and published engines: 8.5 names nodes in the layer's
own name, 10 in its metadata, 11 parts data type and format.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from scnet_edge.engines.tensorrt.plan_layers import layers_from_json, summarise

INT8 = "Thirty-two wide channel vectorized row major Int8 format"
FP16 = "Channel major FP16 format where channel % 8 == 0"
FP32 = "Row major linear FP32"


def layer(kind: str, name: str, reads: Any, writes: Any, **more: str) -> dict[str, Any]:
    return {"Name": name, "LayerType": kind, "Inputs": [reads], "Outputs": [writes], **more}


def eight() -> dict[str, Any]:
    def tensor(form: str) -> dict[str, Any]:
        return {"Name": "t", "Dimensions": [1, 8, 4, 4], "Format/Datatype": form}

    return {
        "Layers": [
            layer("Reformat", "a.0.q", tensor(FP32), tensor(INT8), Origin="QDQ"),
            layer(
                "CaskConvolution", "a.0.weight + a.0.weight.q + a.0 + PWN(/Relu)",
                tensor(INT8), tensor(INT8),
            ),
            layer("CaskConvolution", "a.1.weight + a.1", tensor(INT8), tensor(FP16)),
            layer(
                "Reformat", "Reformatting CopyNode for Input Tensor 0 to head",
                tensor(INT8), tensor(FP16),
            ),
            layer("CaskConvolution", "head + PWN(PWN(/Sigmoid), /Mul)", tensor(FP16), tensor(FP32)),
        ],
        "Bindings": ["frame", "probability"],
    }  # fmt: skip


def modern(tensor: Any, rest: dict[str, Any]) -> dict[str, Any]:
    def nodes(*names: str) -> dict[str, str]:
        return {"Metadata": "\x1f".join(f"[ONNX Layer: {name}]" for name in names)}

    half, int8 = tensor("Half"), tensor("Int8")
    return {
        "Layers": [
            layer("kgen", "__myl_Quan_myl0_1", half, int8, **nodes("a.0.q")),
            layer("gemm", "a.0_myl0_2", int8, int8, **nodes("a.0.dq", "a.0", "/Relu", "a.1.q")),
            layer("gemm", "a.1_myl0_3", int8, half, **nodes("a.1.dq", "a.1")),
            layer("gemm", "head_myl0_4", half, half, **nodes("head", "/Sigmoid")),
            layer("wait", "wait_myl0_5", half, half),
        ],
        **rest,
    }


def ten() -> dict[str, Any]:
    return modern(lambda dtype: {"Name": "t", "Format/Datatype": dtype}, {"Bindings": ["frame"]})


def eleven() -> dict[str, Any]:
    io = {"Name": "frame", "IOMode": "Input", "DataType": "UInt8", "Dimensions": [1, 4, 4, 3]}
    return modern(
        lambda dtype: {"Name": "t", "Format": "Row major linear (kLINEAR)", "DataType": dtype},
        {"I/O Tensors": [io]},
    )


@pytest.mark.parametrize("dialect", [eight, ten, eleven])
def test_each_dialect_says_the_same(dialect: Any) -> None:
    layers = layers_from_json(json.dumps(dialect()))
    found = summarise(layers, ["a.0", "a.1", "head"])
    assert found.convolutions == {"FP16": 1, "INT8": 2}
    assert found.missing == ()
    assert len(found.lone_qdq) == 1
    assert found.int8_writes == {"FP16": 1, "INT8": 1}
    assert found.kernels == (5 if dialect is eight else 4)  # what only orders streams is none
    assert summarise(layers, ["a.0", "gone"]).missing == ("gone",)


def test_a_kernel_after_the_convolution_that_requantises_is_seen() -> None:
    """So it is on RTX: the convolution writes FP32, and bias, ReLU and INT8 are a pass more."""
    report = ten()
    _, gemm, *rest = report["Layers"]
    wide = {"Name": "t", "Format/Datatype": "Float"}
    plain = gemm | {"Outputs": [wide], "Metadata": "[ONNX Layer: a.0.dq]\x1f[ONNX Layer: a.0]"}
    after = layer("kgen", "__myl_AddRelu", wide, gemm["Outputs"][0])
    after["Metadata"] = "\x1f".join(f"[ONNX Layer: {name}]" for name in ("a.0", "/Relu", "a.1.q"))
    layers = layers_from_json(json.dumps({"Layers": [plain, after, *rest]}))
    found = summarise(layers, ["a.0"])
    assert (found.convolutions, found.int8_writes) == ({"INT8": 1}, {"FP32": 1})
    assert found.requantising == 1


@pytest.mark.parametrize("dialect", [ten, eleven])
def test_requantising_within_the_convolution_is_seen(dialect: Any) -> None:
    layers = layers_from_json(json.dumps(dialect()))
    assert summarise(layers, ["a.0"]).requantising == 1


def test_a_convolution_that_fell_out_of_int8_is_seen() -> None:
    report = ten()
    report["Layers"][1]["Inputs"] = [{"Name": "t", "Format/Datatype": "Half"}]
    found = summarise(layers_from_json(json.dumps(report)), ["a.0", "a.1"])
    assert found.convolutions == {"FP16": 1, "INT8": 1}


def test_names_alone_tell_nothing_and_harm_nothing() -> None:
    report = json.dumps({"Layers": ["a.0 + PWN(/Relu)", "a.1"]})  # of a plan built without details
    assert summarise(layers_from_json(report), ["a.0"]).missing == ("a.0",)
    assert layers_from_json("{}") == []
