"""The tables of the results pages, each made from committed JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.paper_ablation import Figures, cell
from benchmarks.paper_tables import TABLES
from benchmarks.prior_report import Figure, PriorStudy
from scnet_edge.bench.schema import BenchmarkRow, read_result
from scnet_edge.bundle.manifest import GateRecord
from scnet_edge.config import read_json
from scnet_edge.evaluation.scores import Evaluation
from scnet_edge.models.cards import find_card
from scripts.archive_tables import (
    archive_coding,
    archive_counter,
    archive_films,
    archive_review,
    archive_workers,
)
from scripts.field_tables import domains, operating_points
from scripts.tables import RESULTS, ROOT, edge_models, table

OTHER_NETS = {
    "yolo:best_int8_openvino_model": "Ultralytics YOLO26n-sem, OpenVINO INT8",
    "yolo:best_openvino_model": "Ultralytics YOLO26n-sem, OpenVINO FP32",
    "mts:mtscrack_ultimate_bgr.onnx": "MTS, ONNX Runtime FP32",
    "crackpot:my_model.keras": "crackpot 2.0, TensorFlow FP32",
}
CPU = RESULTS / "speed/epyc-avx512-2core.json"
SETS = ("deepcrack", "crackforest", "masonry")


def models() -> str:
    """Return what each shipped net costs and gives: the one table of the README."""
    rows = []
    speeds = {find_card(row.model).config: row for row in cpu_rows()}  # of one shape, one speed
    for name in edge_models():
        card = find_card(name)
        speed = speeds.get(card.config)
        int8 = read_json(RESULTS / f"{name}-int8.json", Evaluation)
        rows.append(
            [
                f"`{name}`" + (" behind `hed`" if card.config and card.config.edges else ""),
                f"{card.parameters / 1e6:.2f} M",
                f"{int8.ods.f1:.3f}",
                f"{int8.shipped.f1:.3f}",
                fps_of(speed) if speed else "-",
                f"{speed.rss_mb:.0f} MB" if speed else "-",
            ]
        )
    head = ("model, INT8", "parameters", "best F1", "F1 as shipped", "FPS", "memory")
    return table(head, rows)


def cpu_rows() -> list[BenchmarkRow]:
    """Return the INT8 rows of two CPU cores, camera to mask, one a model."""
    return [
        row
        for row in read_result(CPU).rows
        if (row.precision, row.mode, row.scope) == ("int8", "bf16-rest", "camera_to_mask")
        and not row.is_folder
    ]


def fps_of(row: BenchmarkRow) -> str:
    """Return frames a second, rounded as far as they are known."""
    return f"{row.fps:.0f}" if row.fps >= 10 else f"{row.fps:.1f}"


def cpu_speed() -> str:
    """Return the speeds on two CPU cores."""
    rows = []
    for row in cpu_rows():
        faster = [
            f"{row.speedup[other][0]:.1f}x" for other in ("torch fp32 eager", "onnxruntime fp32")
        ]
        first_s = row.first_mask_ms["warm"] / 1e3
        rows.append(
            [f"`{row.model}`", fps_of(row), *faster, f"{first_s:.1f} s", f"{row.rss_mb:.0f} MB"]
        )
    head = ("model, INT8", "FPS, camera to mask", "over PyTorch", "over ONNX Runtime")
    return table((*head, "first mask", "memory"), rows)


def seed_cost() -> str:
    """Return what the seed of the default costs, beside nets without one."""
    rows = [
        [f"`{row.model}`", fps_of(row), "{:.2f} ({:.2f} to {:.2f})".format(*row.relative or ())]
        for row in read_result(RESULTS / "seed.json").rows
        if row.scope == "camera_to_mask"
    ]
    return table(("model, INT8", "FPS, camera to mask", "times the first"), rows)


def chain_speed() -> str:
    """Return what the full chain reached on two CPU cores, rest in BF16 and in FP32."""
    chain = {
        (row.mode, row.scope): row
        for row in read_result(CPU).rows
        if (row.model, row.precision, row.schedule) == ("scnet", "int8", "every")
    }
    modes = ("bf16-rest", "default")
    rows = []
    for other in ("torch fp32 eager", "onnxruntime fp32"):
        both = [f"{chain[mode, 'camera_to_mask'].speedup[other][0]:.1f}x" for mode in modes]
        rows.append([f"FPS over {other}", *both])
    limits = [chain[mode, "engine"].limit for mode in modes]
    rows.append(
        ["share of the measured INT8 limit", *(f"{100 * x.share:.0f} %" for x in limits if x)]
    )
    return table(("`scnet` behind `hed`, INT8", "rest in BF16", "rest in FP32"), rows)


def gpu_speed() -> str:
    """Return the speeds on an NVIDIA H100."""
    result = read_result(RESULTS / "speed/h100.json")
    whole = {row.case_key: row for row in result.rows if row.scope == "camera_to_mask"}
    rows = []
    for row in result.rows:
        if row.scope != "engine":
            continue
        fps = f"{row.fps:.0f} ({min(row.round_fps):.0f} to {max(row.round_fps):.0f})"
        ms = f"{row.latency_ms.p50:.1f} / {row.latency_ms.p95:.1f}"
        first = f"{row.first_mask_ms['cold'] / 1e3:.1f} s"
        camera = f"{whole[row.case_key].fps:.0f}"
        joules = f"{row.joules:.2f}" if row.joules is not None else "-"
        rows.append([f"`{row.model}`", row.label, fps, ms, camera, f"{row.f1:.4f}", first, joules])
    head = ("model", "engine", "FPS, engine alone", "ms p50 / p95", "FPS, camera to mask")
    return table((*head, "F1 of 24 images", "first mask, cold", "joules a frame"), rows)


def edge_turns() -> str:
    """Return the time of each edge net over that of the first, in turns."""
    rows = []
    for row in _json(RESULTS / "turns-edge.json")["rows"]:
        low, high = row["quartiles"]
        name = row["bundle"].removesuffix(" int8")
        rows.append([f"`{name}`", f"{row['time_of_first']:.2f} ({low:.2f} to {high:.2f})"])
    return table(("bundle, INT8", "its time, median (quartiles)"), rows)


def sizes() -> str:
    """Return what a smaller picture costs."""
    rows = []
    for row in _json(RESULTS / "turns-sizes.json")["rows"]:
        size = "{}x{}".format(*row["size_hw"])
        scores = [read_json(RESULTS / f"sizes/{size}-on-{name}.json", Evaluation) for name in SETS]
        low, high = row["quartiles"]
        rows.append(
            [
                size,
                f"{row['time_of_first']:.2f} ({low:.2f} to {high:.2f})",
                *(f"{s.shipped.f1:.4f}, {s.ods.f1:.4f}" for s in scores),
                f"{scores[0].tolerance['2']:.4f}",
                f"{scores[0].thin_recall:.3f}",
            ]
        )
    head = ("height x width", "time (quartiles)", *(f"{s}: F1 shipped, best" for s in SETS))
    return table((*head, "within 2 px", "recall up to 4 px wide"), rows)


def loop() -> str:
    """Return how much of the engine's speed the whole loop keeps."""
    rows = []
    for name in ("scnet", "scnet-small"):
        found = _json(RESULTS / f"robot/loop-{name}.json")
        here, elsewhere = found["engine_on_this_machine"], found["engine_elsewhere"]
        first = [f"`{name}`", "all", f"{here['engine_fps']:.1f}", f"{here['loop_fps']:.1f}"]
        rows.append([*first, f"{here['ratio']:.3f}", f"{elsewhere['ratio']:.3f}"])
        if "with_threads" in found:
            few = found["with_threads"]
            cells = [f"{few['engine_fps']:.1f}", f"{few['loop_fps']:.1f}", f"{few['ratio']:.3f}"]
            rows.append([f"`{name}`", str(few["threads"]), *cells, "-"])
    head = ("bundle, INT8", "threads", "engine alone, FPS", "loop, FPS", "loop over engine")
    return table((*head, "beside an engine that needs no CPU"), rows)


def schedule(name: str) -> str:
    """Return recall and time of each way to save time."""
    columns = ("crack_recall", "pixel_recall", "pixel_precision")
    rows = [
        [option, *(f"{row[column]:.4f}" for column in columns), f"{row['time_of_full']:.3f}"]
        for option, row in _json(RESULTS / f"robot/schedule-{name}.json")["rows"].items()
    ]
    return table(("option", "crack recall", "pixel recall", "pixel precision", "time"), rows)


def int8_losses() -> str:
    """Return what INT8 costs each shipped model, by stratum."""
    rows = []
    strata = (*SETS, "thin", "dark")
    for name in edge_models():
        gate = read_json(ROOT / f"calibration/gates/{name}.json", GateRecord)
        int8 = gate.candidates[0]
        lost = {stratum.name: stratum.f1_fp32 - stratum.f1 for stratum in int8.strata}
        low, high = int8.lost_ci95
        cells = [f"{lost[s]:.4f}" if s in lost else "-" for s in strata]
        cells.append(f"{int8.lost_f1:.4f} [{low:.4f}, {high:.4f}]")
        rows.append([f"`{name}`", *cells, gate.shipped])
    head = ("model", "DeepCrack", "CrackForest", "masonry", "thin quarter", "dark quarter")
    return table((*head, "all images [95 %]", "ships"), rows)


def int8_chain() -> str:
    """Return where the error of INT8 enters the chain."""
    rows = [
        [part["part"], f"{part['lost_f1']:+.4f}", f"{100 * part['prior_flip_rate']:.3f} %"]
        for part in _json(ROOT / "calibration/sensitivity/scnet.json")["chain"]
    ]
    return table(("in INT8", "lost F1", "flipped pixels of the edge map"), rows)


def finetuned() -> str:
    """Return what fine-tuning under fake quantisation recovers."""
    rows = []
    for path in sorted((ROOT / "calibration/finetuned").glob("*.json")):
        found = _json(path)
        scores = [f"{found[key]:.4f}" for key in ("f1_fp32", "f1_int8", "f1_finetuned")]
        rows.append([f"`{found['model']}`, {found['clip']:g}", *scores, str(found["steps"])])
    return table(("model, ranges times", "FP32", "INT8", "fine-tuned", "steps"), rows)


def scales() -> str:
    """Return what each scale finds of mosaics and of a wall of 24 megapixels."""
    [row] = _json(RESULTS / "whole_pictures.json")["rows"]
    rows = []
    for scale in ("native", "auto", "fit"):
        mosaics = [f"{found[scale]:.3f}" for found in row["mosaics"].values()]
        wall = row["wall"][scale]
        within = f"{wall['precision']:.2f} ({wall['precision_within_1px']:.2f})"
        rows.append([f"`{scale}`", *mosaics, f"{wall['recall']:.2f}", within, str(wall["tiles"])])
    single = [f"{found['single']:.3f}" for found in row["mosaics"].values()]
    rows.append(["each picture by itself", *single, "-", "-", "-"])
    head = ("scale", *(f"F1, mosaics of {size}" for size in row["mosaics"]))
    return table((*head, "24 MP: recall", "precision (within 1 px)", "tiles"), rows)


def other_nets() -> str:
    """Return our nets beside what a user would take instead."""
    found = _json(RESULTS / "other-nets.json")
    rows = []
    for row in found["rows"]:
        kind, _, name = row["net"].partition(":")
        scores = [f"{s['f1']:.3f} ({s['best_f1']:.3f})" for s in row["sets"].values()]
        speed, memory = f"{row['times_the_first']:.2f}x", f"{row['peak_mib']} MiB"
        label = f"`{name}`" if kind == "bundle" else OTHER_NETS[row["net"]]
        rows.append(
            [label, *scores, speed, memory, f"{row['start_s']} s", f"{row['megabytes']} MB"]
        )
    head = ("net", *(f"{name}, {count}" for name, count in found["images"].items()))
    return table((*head, "speed", "memory", "start", "size"), rows)


def auto_scale() -> str:
    """Return what `auto` saves and loses."""
    [row] = _json(RESULTS / "whole_pictures.json")["rows"]
    rows = []
    for size, found in row["auto"].items():
        native, auto = found["recall_native"], found["recall_auto"]
        both = [f"{a:.3f}, {b:.3f}" for a, b in zip(native, auto, strict=True)]
        times = [f"{found[key]:.1f}x" for key in ("times_quicker", "times_fewer_tiles")]
        rows.append([size, *both, *times])
    head = ("frame", "recall, all cracks: `native`, `auto`", "cracks of at most 4 px")
    return table((*head, "quicker", "fewer tiles"), rows)


def large_pictures() -> str:
    """Return what 200 megapixels take."""
    found = _json(RESULTS / "large_pictures.json")
    height_px, width_px = found["size_hw"]
    rows = [
        [
            f"{row['file']}, {row['file_mb']} MB",
            f"{row['peak_mib']} MiB",
            f"{row['seconds']} s",
            f"{row['recall']:.3f}",
            f"{row['precision']:.3f}",
        ]
        for row in found["rows"]
    ]
    head = (f"{width_px} x {height_px} px", "peak memory", "time", "recall", "precision")
    return table(head, rows)


def accuracy() -> str:
    """Return the scores of every net on every data set."""
    rows = []
    paths = sorted((RESULTS / "accuracy").glob("*.json"))
    for path in sorted(paths, key=lambda p: _accuracy_order(p.stem)):
        name, _, data = path.stem.partition("-on-")
        result = read_json(path, Evaluation)
        best = result.ods
        low, high = best.ci95
        rows.append(
            [
                f"`{name}`",
                f"{data}, {result.images}",
                f"{best.f1:.4f} [{low:.3f}, {high:.3f}]",
                f"{result.shipped.f1:.4f}",
                *(f"{result.tolerance[px]:.4f}" for px in ("2", "5")),
                f"{result.auprc:.4f}",
            ]
        )
    head = ("model", "test split, images", "best F1 [95 %]", "F1 as shipped", "within 2 px")
    return table((*head, "within 5 px", "AUPRC"), rows)


def _accuracy_order(stem: str) -> tuple[int, str, int]:
    name, _, data = stem.partition("-on-")
    ships = edge_models()
    return (ships.index(name) if name in ships else len(ships), name, SETS.index(data))


def rarity() -> str:
    """Return how rare cracks are in each data set."""
    rows = [
        [
            spec.split(":")[0],
            str(row["images"]),
            f"{row['crack_percent']:.2f}",
            f"{row['crop_crack_percent']:.2f}",
        ]
        for spec, row in _json(RESULTS / "data.json").items()
    ]
    head = ("data set", "training images", "crack, % of pixels", "% of the pixels of crops")
    return table(head, rows)


def survey() -> str:
    """Return cracks found and false alarms of simulated rides."""
    rows = []
    for path in sorted((RESULTS / "survey").glob("*.json")):
        result = _json(path)
        rows.append(
            [
                result["plan"]["mode"],
                f"{result['found']} of {result['cracks']}",
                str(result["found_in_pieces"]),
                f"{result['false_alarms']} ({result['false_alarms_in_one_frame']})",
                f"{100 * result['false_alarms'] / result['plan']['metres']:.0f}",
                f"{100 * result['length_error_share_abs_median']:.1f} %",
                f"{result['width_error_mm_abs_median']:.2f} mm",
            ]
        )
    head = ("view", "cracks found", "in pieces", "false alarms (seen in one frame)", "per 100 m")
    return table((*head, "length error, median", "mean width error, median"), rows)


def survey_by_confidence() -> str:
    """Return the same by how sure a record must be."""
    rows, head = [], ["view", "default report", "all records"]
    for path in sorted((RESULTS / "survey").glob("*.json")):
        result = _json(path)
        sure = result["at_least_as_sure"]
        shown = (result["default_report"], result, *sure)
        head[3:] = [f"at least {100 * one['min_confidence']:.0f} % sure" for one in sure]
        rows.append(
            [
                result["plan"]["mode"],
                *(f"{one['found']}, {one['false_alarms']}" for one in shown),
            ]
        )
    return table(head, rows)


def paper_table(name: str) -> str:
    """Return a table of the paper as we made it."""
    made = read_json(RESULTS / f"tables/table-{name}.json", Figures)
    described = TABLES[made.table]
    crossed = described.crossed is not None
    rows = []
    for row in made.figures:
        cells = [row.row, f"{row.parameters / 1e6:.2f} M"]
        cells += [row.trained_on, row.tested_on] if crossed else []
        cells += [cell(row.scores, metric) for metric in described.metrics]
        rows.append([*cells, "-" if row.paper is None else f"{row.paper:.2f}"])
    head = ["row", "parameters", *(["trained on", "tested on"] if crossed else [])]
    return table([*head, *described.metrics, "paper"], rows)


ARM_NAMES = {
    "light": "behind the light HED",
    "none": "wider, no prior",
    "small": "the same, no prior",
}


def prior_study() -> str:
    """Return what a light HED in front of a net is worth in short runs."""
    study = read_json(RESULTS / "prior-study.json", PriorStudy)
    rows = []
    for cost in study.costs:
        runs = [run for run in study.runs if run.arm == cost.arm]
        f1, found, alarmed = (
            sum(getattr(run, key) for run in runs) / len(runs)
            for key in ("best_f1", "found", "alarmed")
        )
        each = ", ".join(f"{run.best_f1:.3f}" for run in runs)
        price = (f"{cost.parameters / 1e6:.2f} M", f"{cost.int8_ms:.1f}", f"{cost.fp32_ms:.1f}")
        rows.append(
            [ARM_NAMES[cost.arm], f"{f1:.4f}", each, f"{found:.0%}", f"{alarmed:.0%}", *price]
        )
    head = ("net", "best F1, mean of domains", "each seed", "cracks found", "sound frames alarmed")
    return table((*head, "parameters", "INT8, ms", "FP32, ms"), rows)


def prior_differences() -> str:
    """Return the paired differences of the study of the prior, domain by domain."""
    study = read_json(RESULTS / "prior-study.json", PriorStudy)
    domains = list(study.differences[0].by_domain)
    labels = ["mean of domains", *domains, "cracks found", "sound frames alarmed"]
    columns = [
        [d.best_f1, *(d.by_domain[domain] for domain in domains), d.found, d.alarmed]
        for d in study.differences
    ]
    rows = [[label, *map(_above, cells)] for label, *cells in zip(labels, *columns, strict=True)]
    heads = (f"{ARM_NAMES[d.arm]} - {ARM_NAMES[d.against]}" for d in study.differences)
    return table(("best F1, or share", *heads), rows)


def _above(figure: Figure) -> str:
    low, high = figure.ci95
    return f"{figure.above:+.3f} [{low:+.3f}, {high:+.3f}]"


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


TABLES_BY_NAME: dict[str, Callable[[], str]] = {
    "models": models,
    "cpu-speed": cpu_speed,
    "seed-cost": seed_cost,
    "chain-speed": chain_speed,
    "gpu-speed": gpu_speed,
    "edge-turns": edge_turns,
    "sizes": sizes,
    "loop": loop,
    "schedule-scnet-small": lambda: schedule("scnet-small"),
    "schedule-scnet": lambda: schedule("scnet"),
    "int8-losses": int8_losses,
    "int8-chain": int8_chain,
    "finetuned": finetuned,
    "accuracy": accuracy,
    "scales": scales,
    "auto-scale": auto_scale,
    "other-nets": other_nets,
    "large-pictures": large_pictures,
    "domains": domains,
    "operating-points": operating_points,
    "rarity": rarity,
    "archive-films": archive_films,
    "archive-workers": archive_workers,
    "archive-counter": archive_counter,
    "archive-coding": archive_coding,
    "archive-review": archive_review,
    "survey": survey,
    "survey-by-confidence": survey_by_confidence,
    "prior-study": prior_study,
    "prior-differences": prior_differences,
    **{
        f"paper-{name}": lambda name=name: paper_table(name)  # type: ignore[misc]
        for name in sorted(p.stem.removeprefix("table-") for p in (RESULTS / "tables").glob("*"))
    },
}
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.S)


def fill(text: str) -> str:
    """Return a page with the table of every marker made anew.

    Raises:
        KeyError: a marker names no table.
    """
    return MARKED.sub(lambda m: f"{m[1]}{TABLES_BY_NAME[m[2]]()}\n{m[3]}", text)
