"""What a user would pick instead: U-Nets of MONAI, trained by our recipe on the same images.

    pip install '.[peers]'
    python benchmarks/peers.py light unet --data deepcrack:DIR --out runs/peers --steps 4000

`unet` is MONAI's BasicUNet as it comes (2 M parameters), `light` the same at a quarter of the
width; both with batch norm, which engines fold. The recipe is that of `scnet-edge train small`:
crops, changes of light, drawn walls, rate, losses, averaged weights, norm statistics of whole
images, and the threshold from every tenth training image, which trains nothing. Each leaves
`OUT/monai-NAME`, a folder of bundles that a suite can name. A run that was cut short goes on from
its checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from scnet_edge.build import golden_frames
from scnet_edge.bundle.manifest import (
    FUSED,
    GOLDEN,
    SCHEMA,
    InputContract,
    Manifest,
    ModelIdentity,
    Precision,
    write_manifest,
)
from scnet_edge.bundle.recipe import DEFAULT_SIZE_HW
from scnet_edge.bundle.verify import Golden, parity_of, write_golden
from scnet_edge.cli.train import hardware_of
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.frames import EDGE_THRESHOLD
from scnet_edge.data.samples import Sample
from scnet_edge.engines.base import cpu_engine, open_backend
from scnet_edge.engines.torch_eager import TorchBackend
from scnet_edge.evaluation.metrics import add_up, count, ods
from scnet_edge.evaluation.predict import backend_run, predictions
from scnet_edge.folders import file_sha256
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.histograms import Run, collect, ranges_by
from scnet_edge.quantization.qdq import count_quantised, quantisable, quantise
from scnet_edge.training.hardware import Hardware
from scnet_edge.training.images import load_images, share_out
from scnet_edge.training.loop import Material, train
from scnet_edge.training.material import draw_pipes, split_held_out
from scnet_edge.training.presets import EDGE_SCHEDULE
from scnet_edge.training.schedule import Schedule

FEATURES = {"unet": (32, 32, 64, 128, 256, 32), "light": (8, 8, 16, 32, 64, 8)}
CALIBRATION_FRAMES = 60


class Peer(nn.Module):
    """A network of somebody else behind SCNet's interface: fused logits, no side maps."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.config = SCNetConfig(edges=False)  # for its stride, 32
        self.net = BasicUNet(2, 3, 1, features=FEATURES[name], norm="batch")
        nn.init.constant_(self.net.final_conv.bias, EDGE_SCHEDULE.head_bias)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map RGB (N, 3, H, W) in [-1, 1] to logits (N, 1, H, W)."""
        return self.net(x), []


def main() -> None:
    """Train peers, one after another, and leave their bundles."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="+", choices=tuple(FEATURES))
    parser.add_argument("--data", required=True, help="deepcrack:DIR and the like")
    parser.add_argument("--out", type=Path, required=True, help="the folder of their folders")
    parser.add_argument("--steps", type=int, default=4000, help="of 8 crops of 256 pixels")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops ahead")
    chosen = parser.parse_args()
    on = hardware_of(chosen.device, chosen.workers, compiled=False)
    fit, held_out = split_held_out(open_dataset(chosen.data, "train"))
    schedule = dataclasses.replace(EDGE_SCHEDULE, steps=chosen.steps, precision=chosen.precision)
    share = schedule.pipe_share
    material = Material(
        images=[
            *share_out(load_images(fit, None), 1 - share),
            *share_out(draw_pipes(), share, taught=False),
        ]
    )
    for name in chosen.names:
        out = chosen.out / f"monai-{name}"
        peer = train_peer(name, material, schedule, out / "training", on)
        size = DEFAULT_SIZE_HW
        chain = Chain(peer, None, frame_hw=size, size_hw=size).eval()  # type: ignore[arg-type]
        write_bundles(chain, fit, held_out, out)
        print(out)


def train_peer(
    name: str, material: Material, schedule: Schedule, out: Path, on: Hardware
) -> nn.Module:
    """Return a trained peer, going on from the checkpoint in `out`."""
    torch.manual_seed(schedule.seed)
    begun_s = time.monotonic()

    def told(step: int, loss: float) -> None:
        if step % 10 == 0:
            pace_s = time.monotonic() - begun_s
            print(
                f"{name}: step {step} of {schedule.steps}, loss {loss:.3f}, {pace_s:.0f} s",
                flush=True,
            )

    return train(Peer(name), material, schedule, out, on=on, progress=told).cpu()


def write_bundles(chain: Chain, fit: list[Sample], held_out: list[Sample], out: Path) -> None:
    """Write the bundles `OUT/fp32` and `OUT/int8`."""
    threshold, golden = best_threshold(chain, held_out), golden_frames(chain)
    fp32 = trace_chain(exportable(chain))
    frames = [s.read_frame() for s in fit[:: max(1, len(fit) // CALIBRATION_FRAMES)]]
    fitting = [f for f in frames if f.shape[:2] == chain.frame_hw]
    with tempfile.TemporaryDirectory() as folder:
        seen = collect(fp32, quantisable(fp32), fitting, lambda g: _in_openvino(g, Path(folder)))
        ranges = ranges_by("minmax", seen)
    graphs: dict[Precision, onnx.ModelProto] = {"fp32": fp32, "int8": quantise(fp32, ranges)}
    for precision, graph in graphs.items():
        write_bundle(out / precision, graph, golden, precision, threshold)


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
    precision: Precision,
    threshold: float,
) -> None:
    """Write a bundle; a peer is measured as it is, without a gate."""
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, out / FUSED)
    write_golden(out / GOLDEN, golden)
    engine = open_backend(cpu_engine(), out / FUSED)
    parity = parity_of(engine, golden, threshold, EDGE_THRESHOLD)
    manifest = Manifest(
        schema=SCHEMA,
        model=ModelIdentity(name=out.parent.name, prior="none", sha256={}, licence="Apache-2.0"),
        input=InputContract(frame_hw=DEFAULT_SIZE_HW, size_hw=DEFAULT_SIZE_HW),
        threshold=threshold,
        precision=precision,
        calibration=None,
        parity=parity,
        min_mask_f1=min(0.5, parity.mask_f1),
        quantised_convolutions=count_quantised(graph),
        files={file: file_sha256(out / file) for file in (FUSED, GOLDEN)},
        tools={name: version(name) for name in ("monai", "torch", "onnx")},
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
    write_manifest(out, manifest)


def _in_openvino(graph: onnx.ModelProto, folder: Path) -> Run:
    path = folder / "frame_result.onnx"
    onnx.save(graph, path)
    return open_backend("openvino", path, arithmetic="fp32").run


if __name__ == "__main__":
    main()
