"""The tables of what the nets cost: frames a second, time, memory."""

from __future__ import annotations

from collections.abc import Callable

from scnet_edge.bench.schema import BenchmarkRow, read_result
from scnet_edge.config import read_json
from scnet_edge.evaluation.scores import Evaluation
from scnet_edge.models.cards import find_card
from scripts.tables import RESULTS, SETS, edge_models, read_any, table

CPU = RESULTS / "speed/epyc-avx512-2core.json"
OTHER_NETS = {
    "yolo:best_int8_openvino_model": "Ultralytics YOLO26n-sem, OpenVINO INT8",
    "yolo:best_openvino_model": "Ultralytics YOLO26n-sem, OpenVINO FP32",
    "mts:mtscrack_ultimate_bgr.onnx": "MTS, ONNX Runtime FP32",
    "crackpot:my_model.keras": "crackpot 2.0, TensorFlow FP32",
}


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
                f"`{name}`" + (f" behind `{card.prior}`" if card.prior else ""),
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
    for row in read_any(RESULTS / "turns-edge.json")["rows"]:
        low, high = row["quartiles"]
        name = row["bundle"].removesuffix(" int8")
        rows.append([f"`{name}`", f"{row['time_of_first']:.2f} ({low:.2f} to {high:.2f})"])
    return table(("bundle, INT8", "its time, median (quartiles)"), rows)


def sizes() -> str:
    """Return what a smaller picture costs."""
    rows = []
    for row in read_any(RESULTS / "turns-sizes.json")["rows"]:
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
        found = read_any(RESULTS / f"robot/loop-{name}.json")
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
        for option, row in read_any(RESULTS / f"robot/schedule-{name}.json")["rows"].items()
    ]
    return table(("option", "crack recall", "pixel recall", "pixel precision", "time"), rows)


def other_nets() -> str:
    """Return our nets beside what a user would take instead."""
    found = read_any(RESULTS / "other-nets.json")
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


TABLES: dict[str, Callable[[], str]] = {
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
    "other-nets": other_nets,
}
