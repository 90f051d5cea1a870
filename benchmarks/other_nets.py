"""Our bundles beside what a user would take instead: F1, speed, memory, start, size.

    SCNET_EDGE_DATA=DIR python -m benchmarks.other_nets --json FILE \\
        bundle:BUNDLE yolo:best_int8_openvino_model mts:mtscrack_ultimate_bgr.onnx \\
        crackpot:my_model.keras --python yolo=PYTHON --python crackpot=PYTHON

Each net runs in a process of its own with two threads; `--python KIND=PYTHON` gives one an
interpreter that has its packages. Nets take turns, so read the ratios. Those that are trained by
others are zero-shot everywhere. What is what:

bundle    a bundle of ours, in the engine that opens
yolo      Ultralytics' semantic task, exported by its own `export(format="openvino")`
mts       the ONNX net of zfsu3722/MTS-Based-Lightweight-Pavement-Crack-Detection-Model
crackpot  the Keras net in the wheel of crackpot 2.0, by TensorFlow
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.config import write_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.evaluation.metrics import Counts, add_up, count
from scnet_edge.machine.description import machine_name
from scnet_edge.types import Frame, Map, Mask

# (h, w, 3) uint8 BGR -> probability (h, w) float32, and the mask (h, w) bool as it comes
Net: TypeAlias = Callable[[Frame], tuple[Map, Mask]]
SETS = {
    "deepcrack": "deepcrack:{}/deepcrack",
    "masonry": "masonry:{}/masonry",
    "drone-walls": "folder:{}/field/uav_wall_cc0",
    "concrete": "folder:{}/field/concrete800_mit",
}
WARM_UP = 3
THREADS = 2


def open_bundle(path: Path) -> tuple[Net, str]:
    """Return a bundle of ours and its engine."""
    from scnet_edge import Pipeline

    pipeline = Pipeline.open(path, threads=THREADS)

    def net(frame: Frame) -> tuple[Map, Mask]:
        result = pipeline(frame)
        return result.probability, result.mask

    return net, f"{pipeline.engine}, {pipeline.manifest.precision.upper()}"


def open_mts(path: Path) -> tuple[Net, str]:
    """Return the net of MTS: 256x256 BGR from 0 to 255 in, a map out."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def net(frame: Frame) -> tuple[Map, Mask]:
        small = cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA)
        fed = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32)
        return decided(session.run(None, {name: fed})[0][0, 0], frame)

    return net, f"onnxruntime {version('onnxruntime')} CPU, FP32"


def open_yolo(path: Path) -> tuple[Net, str]:
    """Return an OpenVINO export of Ultralytics' semantic task: RGB from 0 to 1 in, classes out."""
    import openvino as ov

    core = ov.Core()
    model = core.compile_model(
        next(path.glob("*.xml")),
        "CPU",
        {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"},
    )
    height, width = (int(d) for d in model.input(0).partial_shape.to_shape()[2:])

    def net(frame: Frame) -> tuple[Map, Mask]:
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        fed = np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1)[None], np.float32) / 255
        return decided((model(fed)[0][0] == 1).astype(np.float32), frame)

    kind = "INT8" if "int8" in path.name else "FP32"
    return net, f"openvino {version('openvino')} CPU, {kind}"


def open_crackpot(path: Path) -> tuple[Net, str]:
    """Return the net of crackpot; how it prepares a picture is its `edgedetection.py`'s."""
    import tensorflow as tf  # type: ignore[import-untyped]

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    model = tf.keras.models.load_model(path, compile=False)
    height, width = model.input_shape[1:3]

    def net(frame: Frame) -> tuple[Map, Mask]:
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1]
        fed = np.ascontiguousarray(small[None], np.float32) / 255
        return decided(np.asarray(model(fed))[0, ..., -1], frame)

    return net, f"tensorflow {tf.__version__} CPU, FP32"


OPEN = {"bundle": open_bundle, "mts": open_mts, "yolo": open_yolo, "crackpot": open_crackpot}


def decided(probability: npt.NDArray[Any], frame: Frame) -> tuple[Map, Mask]:
    """Return a map at the size of its frame, within 0 and 1, and where it is at least a half."""
    size_wh = frame.shape[1::-1]
    large = cv2.resize(probability.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    return np.clip(large, 0, 1), large >= 0.5


class Peer:
    """A net in a process of its own, asked by pickled frames."""

    def __init__(self, spec: str, python: str) -> None:
        self.spec = spec
        begun_s = time.perf_counter()
        command = [python, "-m", "benchmarks.other_nets", "--net", spec]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.engine: str = self._answer()
        self.start_s = time.perf_counter() - begun_s

    def ask(self, question: str, *given: Any) -> Any:
        """Return the answer to `predict`, `time` or `memory`."""
        assert self._process.stdin is not None
        pickle.dump((question, given), self._process.stdin)
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)

    def __enter__(self) -> Peer:
        """Return itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def answer_for(spec: str) -> None:
    """Open a net, then answer questions on the standard streams until they end."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    kind, _, path = spec.partition(":")
    net, engine = OPEN[kind](Path(path))
    net(np.zeros((384, 544, 3), np.uint8))
    said: Any = engine
    while True:
        pickle.dump(said, out)
        out.flush()
        question, given = pickle.load(sys.stdin.buffer)
        match question:
            case "predict":
                said = net(*given)
            case "time":
                said = seconds(net, *given)
            case "memory":
                said = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(net: Net, frame: Frame, times: int) -> float:
    """Return the mean seconds of a frame, from camera to mask."""
    begun_s = time.perf_counter()
    for _ in range(times):
        net(frame)
    return (time.perf_counter() - begun_s) / times


def scores(peers: Sequence[Peer], samples: Sequence[Sample]) -> list[dict[str, float]]:
    """Return the F1 of each on annotated images: as it comes, and at its best threshold."""
    counts: list[list[tuple[Counts, Counts]]] = [[] for _ in peers]
    for sample in samples:
        frame, truth = sample.read_frame(), sample.read_truth()
        for mine, peer in zip(counts, peers, strict=True):
            maps = (m.astype(np.float32) for m in peer.ask("predict", frame))
            best, shipped = (count(m, truth.crack, ignored=truth.ignored) for m in maps)
            mine.append((best, shipped))
    found = []
    for mine in counts:
        f1, f1_of_mask = (add_up(of_map).f1 for of_map in zip(*mine, strict=True))
        found.append({"f1": round(float(f1_of_mask[50]), 4), "best_f1": round(float(f1.max()), 4)})
    return found


def megabytes(spec: str) -> float:
    """Return the size of what a net is loaded from."""
    path = Path(spec.partition(":")[2])
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return round(sum(f.stat().st_size for f in files) / 1e6, 2)


def main() -> None:
    """Measure all, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("nets", nargs="*")
    parser.add_argument("--net", help=argparse.SUPPRESS)
    parser.add_argument("--python", action="append", default=[], help="KIND=PYTHON")
    parser.add_argument("--images", type=int, help="of each set, at most")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.net:
        answer_for(asked.net)
        return
    pythons = dict(given.split("=", 1) for given in asked.python)
    data, load = os.environ["SCNET_EDGE_DATA"], os.getloadavg()[0]
    with ExitStack() as stack:
        peers = [
            stack.enter_context(Peer(s, pythons.get(s.partition(":")[0], sys.executable)))
            for s in asked.nets
        ]
        by_set = {}
        for name, spec in SETS.items():
            samples = open_dataset(spec.format(data), "test")[: asked.images]
            by_set[name] = (len(samples), scores(peers, samples))
            print(f"{name}: {len(samples)} images", flush=True)
        frame = open_dataset(SETS["deepcrack"].format(data), "test")[0].read_frame()
        turns = [
            [peer.ask("time", frame, 5 if turn else WARM_UP) for peer in peers]
            for turn in range(asked.rounds + 1)
        ][1:]
        rows = [
            {
                "net": peer.spec.partition(":")[0] + ":" + Path(peer.spec.partition(":")[2]).name,
                "engine": peer.engine,
                "sets": {name: found[i] for name, (_, found) in by_set.items()},
                "ms": round(1e3 * median(turn[i] for turn in turns), 1),
                "times_the_first": round(median(turn[0] / turn[i] for turn in turns), 3),
                "start_s": round(peer.start_s, 1),
                "peak_mib": round(peer.ask("memory")),
                "megabytes": megabytes(peer.spec),
            }
            for i, peer in enumerate(peers)
        ]
    found = {
        "machine": machine_name(),
        "frame_hw": frame.shape[:2],
        "images": {name: number for name, (number, _) in by_set.items()},
        "rounds": asked.rounds,
        "load_before": round(load, 1),
        "date": datetime.date.today().isoformat(),
        "rows": rows,
    }
    print(json.dumps(found, indent=1))
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
