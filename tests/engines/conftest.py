"""SCNet and HED graphs, small: three levels, a sixteenth of the width, 64x64, random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch
from small_chains import minmax_ranges
from torch import nn

from scnet_edge.models import hed as hed_module
from scnet_edge.models.chain import Chain
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.onnx_export.fp16 import to_fp16
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.histograms import Run
from scnet_edge.quantization.qdq import quantise

Array = npt.NDArray[np.float32]
SIDE = 64
BATCH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network in three precisions, and what PyTorch says of the same frame."""

    frame: npt.NDArray[np.uint8]  # (1, 64, 64, 3)
    graphs: Mapping[str, Path]  # fp32, fp16, int8, and typed: INT8 with FP16 around it
    batched: Mapping[str, Path]  # fp32, int8 and typed, of `BATCH` frames
    quantised: list[str]  # convolutions that run in INT8
    reference: Mapping[str, Array]


CONFIGS = {
    "batch": SCNetConfig(levels=3, width=1 / 16, norm="batch", edges=False),
    "instance": SCNetConfig(levels=3, width=1 / 16, norm="instance", edges=False),
    "odd": SCNetConfig(
        levels=3, width=3 / 16, norm="instance", edges=False, refined_channels=4, stem="half",
        decoder="skip",
    ),
    "chain": SCNetConfig(levels=3, width=1 / 16, norm="batch", edges=True),
}  # fmt: skip


@pytest.fixture(scope="session")
def frame() -> npt.NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    smooth = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    noise = np.random.default_rng(1).integers(0, 20, smooth.shape, np.uint8)
    return np.ascontiguousarray((smooth // 2 + noise)[None])


@pytest.fixture(scope="session")
def cases(
    frame: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Case]:
    """Return what makes each case on first use.

    `batch`, `instance` and `odd`, of 12 and 24 channels, are SCNet alone, `chain` has the prior.
    """
    made: dict[str, Case] = {}

    def case(name: str) -> Case:
        if name not in made:
            chain = _chain(CONFIGS[name])
            made[name] = _make(chain, frame, tmp_path_factory.mktemp(name))
        return made[name]

    return case


def _chain(config: SCNetConfig) -> Chain:
    torch.manual_seed(0)
    scnet, prior = SCNet(config), config.edges
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hed_module, "VGG", ((4, 4), (8, 8), (16, 16, 16), (32, 32, 32), (32, 32, 32)))
        hed = HED() if prior else None
    chain = Chain(scnet, hed, frame_hw=(SIDE, SIDE), size_hw=(SIDE, SIDE))
    for layer in chain.modules():
        if isinstance(layer, nn.Conv2d):  # the default weights let the signal die out
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    return chain


def _settle(chain: Chain, frame: torch.Tensor) -> None:
    """Give batch norms the statistics of this frame, and both logit maps mean 0 and deviation 2."""
    seen: list[torch.Tensor] = []
    for network in (chain.hed, chain.scnet):
        if network is not None:
            chain.train()(frame)
            hook = network.fuse.register_forward_hook(lambda *call: seen.append(call[2]))
            chain.eval()(frame)
            hook.remove()
            scale = 2 / seen[-1].std()
            network.fuse.weight *= scale
            network.fuse.bias.sub_(seen[-1].mean()).mul_(scale)


def _make(chain: Chain, frame: npt.NDArray[np.uint8], folder: Path) -> Case:
    with torch.no_grad():
        _settle(chain, torch.from_numpy(frame))
        outputs = chain.eval()(torch.from_numpy(frame))
    fp32 = trace_chain(exportable(chain))
    ranges = minmax_ranges(fp32, [frame[0]], _run_of)
    int8 = quantise(fp32, ranges)
    models = {"fp32": fp32, "fp16": to_fp16(fp32), "int8": int8, "typed": to_fp16(int8)}
    several = trace_chain(exportable(chain), batch=BATCH)
    int8s = quantise(several, ranges)
    batched = {"fp32": several, "int8": int8s, "typed": to_fp16(int8s)}
    for precision, model in models.items():
        onnx.save(model, folder / f"{precision}.onnx")
    for precision, model in batched.items():
        onnx.save(model, folder / f"{precision}-batch.onnx")
    names = [o.name for o in fp32.graph.output]
    return Case(
        frame=frame,
        graphs={precision: folder / f"{precision}.onnx" for precision in models},
        batched={precision: folder / f"{precision}-batch.onnx" for precision in batched},
        quantised=list(ranges),
        reference={name: o.numpy() for name, o in zip(names, outputs, strict=False)},
    )


def _run_of(model: onnx.ModelProto) -> Run:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, dict(feeds)), strict=True))
