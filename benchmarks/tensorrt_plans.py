"""Build plans of the shipped models ahead of time, without a GPU, and count what became of them.

    python benchmarks/tensorrt_plans.py --out benchmarks/plans/tensorrt-rtx.json
    python benchmarks/tensorrt_plans.py --against benchmarks/plans/tensorrt-rtx.json    # make plans

With --batch N the graphs take N frames, or tiles of one, at once.
Each graph as a bundle carries it (FP32, FP16, INT8 with FP16 around it) goes through TensorRT-RTX's
own parser and builder for each GPU generation. Exit status 1 when a convolution has no kernel, when
one that is quantised does not read INT8, or when a Q or DQ stands alone; Turing (SM75) is recorded
but not held to that: TensorRT-RTX has neither INT8 convolutions nor FP32 matrix products there.
`int8_writes` says what the convolutions that read INT8 write: FP32, all of them and everywhere, so
bias, ReLU and requantisation are a kernel of their own after it; those kernels are `requantising`.
With --against also when a plan of the report was not built, or has become worse than it says:
refused, more kernels, fewer that requantise with bias and ReLU, or fewer convolutions that write
INT8.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import onnx

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.config import parse_size
from scnet_edge.engines.tensorrt.builder import BuildSettings, build_plan
from scnet_edge.engines.tensorrt.library import tensorrt
from scnet_edge.engines.tensorrt.plan_layers import summarise
from scnet_edge.errors import EngineError
from scnet_edge.models.cards import find_card, shipped_models, weights_of
from scnet_edge.onnx_export.fp16 import to_fp16
from scnet_edge.quantization.lowering import fp32_graph, lower
from scnet_edge.quantization.ranges import find_ranges

Row = dict[str, Any]
Key = tuple[str, str, str]  # model, precision, target
Asked = tuple[Collection[str] | None, Collection[str], Collection[str]]
PRECISIONS = ("fp32", "fp16", "int8")
TARGETS = ("SM75", "SM80", "SM86", "SM89", "SM120")
FAKE_INT8 = "SM75"


def main() -> None:
    """Build all that was asked for, print each, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--size", default="384x544")
    parser.add_argument("--batch", type=int, default=1, help="frames that a plan takes at once")
    files = parser.add_mutually_exclusive_group(required=True)
    files.add_argument("--out", type=Path)
    files.add_argument("--against", type=Path)
    options = parser.parse_args()
    models = options.models or [card.name for card in shipped_models() if card.kind == "scnet"]
    about = {"size": options.size, "batch": options.batch}
    before = read(options.against, about) if options.against else {}
    rows: list[Row] = []
    wrong: list[str] = []
    for model in models:
        graphs = graphs_of(model, options.size, options.batch)
        for precision, target in itertools.product(options.precisions, options.targets):
            row = build(model, precision, graphs[precision], target)
            rows.append(row)
            wrong += faults_of(row)
            print(json.dumps(row), flush=True)
            if options.out:
                write(options.out, about, rows)
            else:
                wrong += worse_than(row, before.get((model, precision, target)))
    built = {(row["model"], row["precision"], row["target"]) for row in rows}
    asked = options.models, options.precisions, options.targets
    wrong += [f"{' '.join(key)}: in the report, not built" for key in unbuilt(before, built, asked)]
    raise SystemExit("\n".join(wrong) if wrong else 0)


def unbuilt(before: Iterable[Key], built: Collection[Key], asked: Asked) -> list[Key]:
    """Return the plans of the report that were asked for, or where nothing was, and not built."""
    return [
        key
        for key in before
        if key not in built
        and all(names is None or name in names for name, names in zip(key, asked, strict=True))
    ]


def graphs_of(model: str, size: str, batch: int = 1) -> dict[str, onnx.ModelProto]:
    """Return the graphs that a strongly typed TensorRT is given, by precision."""
    recipe = Recipe(precision="int8", model=model, size_hw=parse_size(size))
    card = find_card(model)
    chain = open_chain(card, recipe)
    edge_threshold = None if chain.hed is None else recipe.edge_threshold
    fp32 = fp32_graph(chain, batch=batch)
    calibration = find_ranges(model, weights_of(card), edge_threshold)
    fused = fp32_graph(chain, calibration, batch=batch)
    int8 = to_fp16(lower(fused, "int8", calibration, exclude=recipe.exclude))
    return {"fp32": fp32, "fp16": to_fp16(fp32), "int8": int8}


def build(model: str, precision: str, graph: onnx.ModelProto, target: str) -> Row:
    """Return what became of one graph for one GPU generation."""
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(graph, path)
        start_s = time.perf_counter()
        try:
            built = build_plan(path, BuildSettings(target=target))
        except EngineError as e:
            reason = str(e).partition(": ")[2]
            return {"model": model, "precision": precision, "target": target, "refused": reason}
        took_s = time.perf_counter() - start_s
    found = summarise(built.layers, [node.name for node in convolutions])
    return {
        "model": model,
        "precision": precision,
        "target": target,
        "plan_mib": round(len(built.plan) / 2**20, 1),
        "kernels": found.kernels,
        "convolutions": found.convolutions,
        "quantised": sum(node.input[0].endswith(".dq") for node in convolutions),
        "missing": list(found.missing),
        "lone_qdq": len(found.lone_qdq),
        "requantising": found.requantising,
        "int8_writes": found.int8_writes,
        "excluded": list(built.excluded),
        "build_s": round(took_s, 1),
    }


def faults_of(row: Row) -> list[str]:
    """Return what is wrong with a plan, in words."""
    where = f"{row['model']} {row['precision']} {row['target']}"
    if "refused" in row:
        return [] if row["target"] == FAKE_INT8 else [f"{where}: {row['refused']}"]
    wrong = [f"{where}: no kernel for {name}" for name in row["missing"]]
    if row["target"] != FAKE_INT8:
        int8 = row["convolutions"].get("INT8", 0)
        if int8 != row["quantised"]:
            wrong.append(f"{where}: {int8} of {row['quantised']} convolutions read INT8")
        if row["lone_qdq"]:
            wrong.append(f"{where}: {row['lone_qdq']} kernels only quantise or dequantise")
    return wrong


def worse_than(row: Row, before: Row | None) -> list[str]:
    """Return in words what has become worse than the report says."""
    where = f"{row['model']} {row['precision']} {row['target']}"
    if before is None:
        return [f"{where}: not in the report; make it anew with --out"]
    if "refused" in row or "refused" in before:
        worse = "refused" in row and "refused" not in before
        return [f"{where}: was built before, refused now: {row['refused']}"] if worse else []
    wrong = []
    if row["kernels"] > before["kernels"]:
        wrong.append(f"{where}: {row['kernels']} kernels, {before['kernels']} before")
    if row["requantising"] < before["requantising"]:
        wrong.append(
            f"{where}: {row['requantising']} kernels requantise with their convolution's bias and "
            f"ReLU, {before['requantising']} before"
        )
    within, earlier = (r["int8_writes"].get("INT8", 0) for r in (row, before))
    if within < earlier:
        wrong.append(f"{where}: {within} convolutions write INT8, {earlier} before")
    return wrong


def read(report: Path, about: dict[str, Any]) -> dict[Key, Row]:
    """Return the rows of a report by model, precision and target."""
    found, trt = json.loads(report.read_text(encoding="utf-8")), tensorrt()
    here = {"tensorrt": f"{trt.__name__} {trt.__version__}", **about}
    for key, value in here.items():
        if (written := found.get(key, 1)) != value:  # reports without a batch are of one frame
            raise SystemExit(f"{report}: of {key} {written}, found {value}; make it anew: --out")
    return {(row["model"], row["precision"], row["target"]): row for row in found["plans"]}


def write(out: Path, about: dict[str, Any], rows: list[Row]) -> None:
    """Write what was found so far."""
    out.parent.mkdir(parents=True, exist_ok=True)
    trt = tensorrt()
    report = {"tensorrt": f"{trt.__name__} {trt.__version__}", **about, "plans": rows}
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
