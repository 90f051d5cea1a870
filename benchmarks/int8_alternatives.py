"""Our INT8 beside that of ONNX Runtime's and of OpenVINO's own tools: same net, frames, engine.

    SCNET_EDGE_DATA=... python -m benchmarks.int8_alternatives --json int8-alternatives.json

It needs NNCF, which nothing else here does: pip install nncf==3.4.0. Every tool gets the FP32
graph and the calibration frames of the shipped ranges, and is asked for its defaults; ONNX
Runtime also for what its documentation advises for Q/DQ. Every result runs in OpenVINO on the
CPU. F1 is of DeepCrack's test images at the shipped threshold. Times are taken in turns: read the
ratios, for the milliseconds are of this machine and hour. It takes some 20 minutes of two cores.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec
import nncf
import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.config import write_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.frames import resize
from scnet_edge.engines.base import Backend, open_backend
from scnet_edge.machine.description import machine_name
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.quantization.annotated_frames import gate_frames
from scnet_edge.quantization.choose_frames import evenly_spaced
from scnet_edge.quantization.graph_scores import bound_loss, score
from scnet_edge.quantization.lowering import fp32_graph, lower
from scnet_edge.quantization.ranges import find_ranges
from scnet_edge.types import Frame

Feed = dict[str, npt.NDArray[np.uint8]]
WARM_UP = 3


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """One tool's graph.

    Attributes:
        lost_f1: Against FP32, with its 95 % interval over images, paired.
        speedup: Times as many frames a second as FP32, the median over rounds, and its quartiles.
        quantised: Nodes that quantise.
    """

    tool: str
    f1: float
    lost_f1: float
    lost_ci95: tuple[float, float]
    speedup: float
    speedup_quartiles: tuple[float, float]
    megabytes: float
    quantised: int
    quantise_s: float


class Alternatives(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, and what they were measured on."""

    model: str
    size_hw: tuple[int, int]
    calibration_frames: int
    test_images: int
    machine: str
    engine: str
    packages: dict[str, str]
    rounds: int
    frames: int
    load_before: float
    date: str
    rows: tuple[Alternative, ...]


class FrameReader(CalibrationDataReader):  # type: ignore[misc]
    """Calibration frames as ONNX Runtime asks for them."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._feeds: Iterator[Feed] = iter([{"frame": frame[None]} for frame in frames])

    def get_next(self) -> Feed | None:
        """Return the next frame, None after the last."""
        return next(self._feeds, None)


def by_onnxruntime(path: Path, frames: Sequence[Frame], *, advised: bool) -> onnx.ModelProto:
    """Return what `onnxruntime.quantization` makes of a graph.

    Args:
        path: The FP32 graph.
        frames: (H, W, 3) uint8 BGR.
        advised: Symmetric INT8 with a scale for each output channel, not the defaults.
    """
    prepared, out = path.with_name("prepared.onnx"), path.with_name("onnxruntime.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    options = {
        "per_channel": True,
        "activation_type": QuantType.QInt8,
        "extra_options": {"ActivationSymmetric": True},
    }
    quantize_static(prepared, out, FrameReader(frames), **(options if advised else {}))
    return onnx.load(out)


def by_nncf(graph: onnx.ModelProto, frames: Sequence[Frame]) -> onnx.ModelProto:
    """Return what NNCF's post-training quantisation makes of a graph by default."""
    data = nncf.Dataset(frames, lambda frame: {"frame": frame[None]})
    quantised = nncf.quantize(graph, data, subset_size=len(frames))
    assert isinstance(quantised, onnx.ModelProto)
    return quantised


def speedups(
    backends: Sequence[Backend], frame: Frame, rounds: int, frames: int
) -> list[list[float]]:
    """Return of each backend how many times as fast as the first it was, round by round."""
    times = [
        [_frame_s(backend, frame, frames if turn else WARM_UP) for backend in backends]
        for turn in range(rounds + 1)
    ][1:]
    return [[turn[0] / turn[i] for turn in times] for i in range(len(backends))]


def _frame_s(backend: Backend, frame: Frame, frames: int) -> float:
    begun_s = time.perf_counter()
    for _ in range(frames):
        backend.run({"frame": frame[None]})
    return (time.perf_counter() - begun_s) / frames


def main() -> None:
    """Quantise with every tool, score and time the graphs, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="scnet-small")
    parser.add_argument("--images", type=int, default=237, help="test images to score")
    parser.add_argument("--calibration-frames", type=int, default=128, help="at most")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--frames", type=int, default=3, help="of each graph in a round")
    parser.add_argument("--json", type=Path, required=True)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    data = f"deepcrack:{Path(os.environ['SCNET_EDGE_DATA']) / 'deepcrack'}"
    card = find_card(asked.model)
    chain = open_chain(card, Recipe(precision="int8", model=asked.model))
    calibration = find_ranges(asked.model, weights_of(card))
    names = [sample for sample in open_dataset(data, "train") if sample.name in calibration.frames]
    frames = [
        resize(sample.read_frame(), chain.frame_hw)
        for sample in evenly_spaced(names, asked.calibration_frames)
    ]
    everything, _ = gate_frames([data], chain.frame_hw)
    images = evenly_spaced(everything, asked.images)
    fp32 = fp32_graph(chain)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "fp32.onnx"
        onnx.save(fp32, path)
        makers: dict[str, Callable[[], onnx.ModelProto]] = {
            "FP32, no tool": lambda: fp32,
            "scnet-edge": lambda: lower(fp32, "int8", calibration),
            "onnxruntime, defaults": lambda: by_onnxruntime(path, frames, advised=False),
            "onnxruntime, advised": lambda: by_onnxruntime(path, frames, advised=True),
            "nncf, defaults": lambda: by_nncf(fp32, frames),
        }
        graphs, seconds, backends = [], [], []
        for name, make in makers.items():
            begun_s = time.perf_counter()
            graphs.append(make())
            seconds.append(time.perf_counter() - begun_s)
            graph_path = Path(folder) / f"{len(graphs)}.onnx"
            onnx.save(graphs[-1], graph_path)
            backends.append(stack.enter_context(closing(open_backend("openvino", graph_path))))
            print(f"{name}: made in {seconds[-1]:.0f} s", flush=True)
        ratios = speedups(backends, frames[0], asked.rounds, asked.frames)
        scores = [score(b, images, chain.frame_hw, card.threshold) for b in backends]
        rows = tuple(
            Alternative(
                tool=name,
                f1=round(scores[i].f1, 4),
                lost_f1=round(scores[0].f1 - scores[i].f1, 4),
                lost_ci95=_round(bound_loss(scores[i], scores[0]), 4),
                speedup=round(median(ratios[i]), 3),
                speedup_quartiles=_round(np.percentile(ratios[i], (25, 75)), 3),
                megabytes=round((Path(folder) / f"{i + 1}.onnx").stat().st_size / 1e6, 2),
                quantised=sum(n.op_type == "QuantizeLinear" for n in graphs[i].graph.node),
                quantise_s=round(seconds[i], 1),
            )
            for i, name in enumerate(makers)
        )
        found = Alternatives(
            model=asked.model,
            size_hw=chain.frame_hw,
            calibration_frames=len(frames),
            test_images=len(images),
            machine=machine_name(),
            engine=backends[0].name,
            packages={name: version(name) for name in ("openvino", "onnxruntime", "nncf")},
            rounds=asked.rounds,
            frames=asked.frames,
            load_before=round(load, 1),
            date=datetime.date.today().isoformat(),
            rows=rows,
        )
    write_json(asked.json, found)
    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


def _round(pair: Sequence[float] | npt.NDArray[np.float64], digits: int) -> tuple[float, float]:
    low, high = pair
    return round(float(low), digits), round(float(high), digits)


if __name__ == "__main__":
    main()
