"""The tables of scores: every net and data set, INT8, and pictures larger than the net."""

from __future__ import annotations

from collections.abc import Callable

from scnet_edge.bundle.manifest import GateRecord
from scnet_edge.config import read_json
from scnet_edge.evaluation.scores import Evaluation
from scripts.tables import RESULTS, ROOT, SETS, edge_models, read_any, table


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
        for spec, row in read_any(RESULTS / "data.json").items()
    ]
    head = ("data set", "training images", "crack, % of pixels", "% of the pixels of crops")
    return table(head, rows)


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
        for part in read_any(ROOT / "calibration/sensitivity/scnet.json")["chain"]
    ]
    return table(("in INT8", "lost F1", "flipped pixels of the edge map"), rows)


def finetuned() -> str:
    """Return what fine-tuning under fake quantisation recovers."""
    rows = []
    for path in sorted((ROOT / "calibration/finetuned").glob("*.json")):
        found = read_any(path)
        scores = [f"{found[key]:.4f}" for key in ("f1_fp32", "f1_int8", "f1_finetuned")]
        rows.append([f"`{found['model']}`, {found['clip']:g}", *scores, str(found["steps"])])
    return table(("model, ranges times", "FP32", "INT8", "fine-tuned", "steps"), rows)


def scales() -> str:
    """Return what each scale finds of mosaics and of a wall of 24 megapixels."""
    [row] = read_any(RESULTS / "whole_pictures.json")["rows"]
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


def drawn_width() -> str:
    """Return how precise narrower masks are on a wall, and what they cost on real pictures."""
    found = read_any(RESULTS / "drawn-width.json")
    rows = []
    for at, rule in enumerate(found["wall"]["rules"]):
        label = f"threshold {rule['threshold']:.2f}"
        if rule["share"]:
            label += f", {100 * rule['share']:.0f} % of the highest within 2 px"
        wall = [f"{rule[key]:.3f}" for key in ("recall", "precision")]
        f1 = [f"{of['rules'][at]['f1']:.3f}" for of in found["sets"].values()]
        rows.append([label, *wall, *f1])
    head = ("a pixel is crack from", "wall: recall", "precision")
    return table((*head, *(f"F1, {name}" for name in found["sets"])), rows)


def label_borders() -> str:
    """Return how dark the pixels beside the labels' borders are."""
    found = read_any(RESULTS / "drawn-width.json")
    places = {"the drawn wall": found["wall"], **found["sets"]}
    rows = [[name, f"{of['within']:.2f}", f"{of['outside']:.2f}"] for name, of in places.items()]
    return table(("pictures", "last pixel within the label", "first pixel outside"), rows)


def auto_scale() -> str:
    """Return what `auto` saves and loses."""
    [row] = read_any(RESULTS / "whole_pictures.json")["rows"]
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
    found = read_any(RESULTS / "large_pictures.json")
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


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy,
    "rarity": rarity,
    "int8-losses": int8_losses,
    "int8-chain": int8_chain,
    "finetuned": finetuned,
    "scales": scales,
    "drawn-width": drawn_width,
    "label-borders": label_borders,
    "auto-scale": auto_scale,
    "large-pictures": large_pictures,
}
