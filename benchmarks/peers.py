"""What a user would pick instead: U-Nets of MONAI, trained by our recipe on the same images.

    pip install 'scnet-edge[peers]'
    python benchmarks/peers.py unet --data deepcrack:DIR --out bundles --steps 4000
    python benchmarks/peers.py light --data deepcrack:DIR --out bundles --steps 4000

`unet` is MONAI's BasicUNet as it comes (2 M parameters), `light` the same at a quarter of the
width; both with batch norm, which engines fold. Each run leaves two bundles, `OUT/NAME-fp32` and
`OUT/NAME-int8`, whose folders are `models` of a suite as they stand. A run that was cut short goes
on from its checkpoint. The threshold that ships is chosen on every sixth training image, which
training never sees.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from scnet_edge.backends.base import open_backend
from scnet_edge.backends.torch_eager import TorchBackend
from scnet_edge.bundle.build import count_quantised, golden_frames, parity_of
from scnet_edge.bundle.manifest import (
    FUSED,
    GOLDEN,
    MANIFEST,
    SCHEMA,
    InputContract,
    Manifest,
    ModelIdentity,
    Precision,
    file_sha256,
)
from scnet_edge.bundle.recipe import DEFAULT_SIZE_HW
from scnet_edge.bundle.verify import Golden, write_golden
from scnet_edge.config import write_json
from scnet_edge.data.datasets import Sample, open_dataset
from scnet_edge.data.preprocess import EDGE_THRESHOLD
from scnet_edge.evaluation.metrics import add_up, count, ods
from scnet_edge.evaluation.predict import backend_run, predictions
from scnet_edge.graph.calibrate import Run, calibrate_chain
from scnet_edge.graph.qdq import quantise
from scnet_edge.graph.rewrite import exportable
from scnet_edge.graph.trace import trace_chain
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.training.images import load_images
from scnet_edge.training.loop import Material, train
from scnet_edge.training.schedule import Schedule

FEATURES = {"unet": (32, 32, 64, 128, 256, 32), "light": (8, 8, 16, 32, 64, 8)}
HELD_OUT = 6  # every sixth training image chooses the threshold
CALIBRATION_FRAMES = 60


class Peer(nn.Module):
    """A network of somebody else behind SCNet's interface: fused logits, no side maps."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.config = SCNetConfig(edges=False)  # for its stride, 32
        self.net = BasicUNet(2, 3, 1, features=FEATURES[name], norm="batch")

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map RGB (N, 3, H, W) in [-1, 1] to logits (N, 1, H, W)."""
        return self.net(x), []


def main() -> None:
    """Train one peer and leave its bundles."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", choices=("unet", "light"))
    parser.add_argument("--data", required=True, help="deepcrack:DIR and the like")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the bundles")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    chosen = parser.parse_args()
    samples = open_dataset(chosen.data, "train")
    held_out = samples[::HELD_OUT]
    learnt = [sample for sample in samples if sample not in held_out]
    peer = train(
        Peer(chosen.name),
        Material(images=load_images(learnt, None)),
        Schedule(steps=chosen.steps, pipe_share=0.0),
        chosen.out / f"{chosen.name}-training",
        device=chosen.device,
        progress=lambda step, loss: print(f"\r{step} of {chosen.steps}, loss {loss:.3f}", end=""),
    )
    print()
    size_hw = DEFAULT_SIZE_HW
    chain = Chain(peer.cpu(), None, frame_hw=size_hw, size_hw=size_hw).eval()
    threshold = best_threshold(chain, held_out)
    fp32 = trace_chain(exportable(chain))
    golden = golden_frames(chain)
    frames = [s.read_frame() for s in learnt[:: max(1, len(learnt) // CALIBRATION_FRAMES)]]
    fitting = [f for f in frames if f.shape[:2] == size_hw]
    with tempfile.TemporaryDirectory() as folder:
        ranges = calibrate_chain(fp32, lambda: fitting, lambda g: _in_openvino(g, Path(folder)))
    graphs: dict[Precision, onnx.ModelProto] = {"fp32": fp32, "int8": quantise(fp32, ranges)}
    for precision, graph in graphs.items():
        out = chosen.out / f"{chosen.name}-{precision}"
        write_bundle(out, graph, golden, chosen.name, precision, threshold)
        print(out)


def best_threshold(chain: Chain, samples: list[Sample]) -> float:
    """Return the threshold of the best F1 on held-out training images."""
    run = backend_run(TorchBackend(chain), chain.frame_hw)
    return ods(
        add_up([count(p, sample.read_mask()) for sample, p in predictions(run, samples)])
    ).threshold


def write_bundle(
    out: Path,
    graph: onnx.ModelProto,
    golden: Golden,
    name: str,
    precision: Precision,
    threshold: float,
) -> None:
    """Write a bundle; a peer is measured as it is, without a gate."""
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, out / FUSED)
    write_golden(out / GOLDEN, golden)
    parity = parity_of(out / FUSED, golden, threshold, EDGE_THRESHOLD)
    manifest = Manifest(
        schema=SCHEMA,
        model=ModelIdentity(name=f"monai {name}", prior="none", sha256={}, licence="Apache-2.0"),
        input=InputContract(frame_hw=DEFAULT_SIZE_HW, size_hw=DEFAULT_SIZE_HW),
        threshold=threshold,
        precision=precision,
        calibration=None,
        parity=parity,
        min_mask_f1=min(0.5, parity.mask_f1),
        quantised_convolutions=count_quantised(graph),
        files={file: file_sha256(out / file) for file in (FUSED, GOLDEN)},
        tools={"torch": str(torch.__version__)},
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
    write_json(out / MANIFEST, manifest)


def _in_openvino(graph: onnx.ModelProto, folder: Path) -> Run:
    path = folder / "observed.onnx"
    onnx.save(graph, path)
    backend = open_backend("openvino", path, arithmetic="fp32")

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return backend.run(feeds)

    return run


if __name__ == "__main__":
    main()
