"""A model repository for Triton Inference Server, written from a bundle.

    REPOSITORY/NAME/config.pbtxt
    REPOSITORY/NAME/1/model.onnx      the bundle's graph, byte for byte

The batch axis is part of the graph (`build --batch N`), so a request brings N frames, and Triton
adds no axis of its own. The graph takes frames as cameras give them; nothing is done before it. A
client gets probabilities; thresholds and seeds are among the parameters of the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scnet_edge.bundle.manifest import FUSED, InputContract, Manifest, read_manifest
from scnet_edge.errors import ConfigError
from scnet_edge.files import write_file
from scnet_edge.folders import new_folder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
CONFIG, VERSION = "config.pbtxt", "1"


def write_repository(
    bundle: Path, repository: Path, name: str | None = None, *, overwrite: bool = False
) -> Path:
    """Write a bundle into a model repository, and return the model's folder in it.

    Args:
        bundle: as `scnet-edge build` writes it.
        repository: a folder of models, made if it does not exist.
        name: of the model; None for that of the bundle's network.
        overwrite: replace a model of this name.

    Raises:
        BundleError: not a bundle, or one that was altered.
        ConfigError: a name that Triton cannot have, or something of this name is there.
    """
    manifest = read_manifest(bundle)
    called = name or manifest.model.name
    if not NAME.fullmatch(called):
        raise ConfigError(f"--name {called!r}: expected letters, digits, dots, - and _")
    model = repository / called
    with new_folder(model, marker=CONFIG, names=(VERSION,), overwrite=overwrite) as folder:
        (folder / VERSION).mkdir()
        write_file(folder / VERSION / "model.onnx", (bundle / FUSED).read_bytes())
        write_file(folder / CONFIG, triton_config(manifest, called).encode())
    return model


def triton_config(manifest: Manifest, name: str) -> str:
    """Return the configuration of a model, in protobuf's text format."""
    frames = manifest.input
    outputs = [_tensor("probability", "TYPE_FP32", _map_shape(frames))]
    if manifest.model.prior != "none":
        outputs.append(_tensor("edges", "TYPE_FP32", _map_shape(frames)))
    facts = {
        "model": manifest.model.name,
        "precision": manifest.precision,
        "sha256": manifest.files[FUSED],
        "threshold": f"{manifest.threshold:.9g}",
        "seed": f"{manifest.seed:.9g}",
        **{f"threshold_{p.name}": f"{p.threshold:.9g}" for p in manifest.operating_points},
        **{f"seed_{p.name}": f"{p.seed:.9g}" for p in manifest.operating_points},
    }
    shape = _frame_shape(frames)
    return "\n".join(
        [
            f"name: {_quote(name)}",
            'backend: "onnxruntime"',
            "max_batch_size: 0",
            _list("input", [_tensor("frame", "TYPE_UINT8", shape)]),
            _list("output", outputs),
            "model_warmup [",
            f'  {{ name: "black" batch_size: 0 inputs {{ key: "frame" value '
            f"{{ data_type: TYPE_UINT8 dims: {_dims(shape)} zero_data: true }} }} }}",
            "]",
            *(_parameter(key, value) for key, value in facts.items()),
            "",
        ]
    )


def _frame_shape(frames: InputContract) -> tuple[int, ...]:
    return (frames.batch, *frames.frame_hw, 3)


def _map_shape(frames: InputContract) -> tuple[int, ...]:
    return (frames.batch, *frames.size_hw)


def _list(field: str, items: Iterable[str]) -> str:
    return f"{field} [\n  " + ",\n  ".join(items) + "\n]"


def _tensor(name: str, kind: str, shape: Sequence[int]) -> str:
    return f"{{ name: {_quote(name)} data_type: {kind} dims: {_dims(shape)} }}"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_quote(key)} value {{ string_value: {_quote(value)} }} }}"


def _dims(shape: Sequence[int]) -> str:
    return "[ " + ", ".join(map(str, shape)) + " ]"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
