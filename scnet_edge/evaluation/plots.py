"""Precision-recall curves, and pictures of what is right, wrong and missed in one image.

The paper's Fig. 5 has the curves of all models in one plot; `evaluate` draws the one of its model.
Its Fig. 10 to 12 compare the shares of true positives, false positives and false negatives of the
models on each data set; the panels here show which pixels of an image these are.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scnet_edge.errors import ConfigError, install_extra
from scnet_edge.evaluation.metrics import Counts, add_up, ods, score_at
from scnet_edge.evaluation.scores import Tally
from scnet_edge.files import new_file, write_image
from scnet_edge.types import Frame, Mask

RIGHT, WRONG, MISSED = (255, 255, 255), (60, 60, 230), (230, 150, 60)  # BGR: white, red, blue
GAP_PX = 4
PER_KIND = 3


def draw_curves(path: Path, curves: Mapping[str, Counts]) -> None:
    """Write precision over recall of each named count, its ODS point marked; .png, .svg or .pdf.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure, axes = new_figure()
    for label, counts in curves.items():
        best = ods(counts)
        kept = counts.predicted > 0  # beyond them precision is 1 by convention, not by merit
        name = f"{label}: F1 {best.f1:.3f} at {best.threshold:.2f}"
        (line,) = axes.plot(counts.recall[kept], counts.precision[kept], label=name)
        axes.plot(best.recall, best.precision, "o", color=line.get_color())
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    with new_file(path) as f:
        figure.savefig(f, format="png", bbox_inches="tight", dpi=120)


def new_figure(columns: int = 1):  # type: ignore[no-untyped-def]  # matplotlib is optional
    """Return a matplotlib figure and its axes, drawn without a display.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    _keep_fonts_for_now()
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as e:
        raise ConfigError(f"plots need matplotlib; {install_extra('train')}") from e
    figure = Figure(figsize=(6 * columns, 4.5))
    return figure, figure.subplots(1, columns)


def _keep_fonts_for_now() -> None:
    """Have matplotlib list its fonts in a folder that goes with us, unless the user names one."""
    if "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="scnet-edge-fonts-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder


def panel(frame: Frame, mask: Mask, truth: Mask) -> Frame:
    """Return frame, truth and verdict side by side, (h, 3 w + gaps, 3) uint8 BGR.

    In the verdict white is right, red a false alarm, blue a missed crack.
    """
    verdict = np.zeros_like(frame)
    for colour, where in ((RIGHT, mask & truth), (WRONG, mask & ~truth), (MISSED, truth & ~mask)):
        verdict[where] = colour
    known = np.repeat(truth[..., None].astype(np.uint8) * 255, 3, 2)
    return beside([frame, known, verdict])


def beside(images: Iterable[npt.NDArray[np.uint8]]) -> Frame:
    """Return (h, w, 3) images of one height side by side, white between them."""
    first, *rest = images
    gap = np.full((first.shape[0], GAP_PX, 3), 255, np.uint8)
    return np.concatenate([first, *(part for image in rest for part in (gap, image))], 1)


def pick_images(counted: Tally) -> dict[str, list[str]]:
    """Return the names of images worth a look: best, median and worst F1, and the thinnest cracks.

    Images without a crack are left out; where they are all there is, so is everything.
    """
    masks = counted.decided
    cracked = [i for i, counts in enumerate(masks.pixels) if counts.truth]
    by_f1 = sorted(cracked, key=lambda i: -score_at(masks.pixels[i], 1).f1)
    by_thin = sorted(cracked, key=lambda i: -masks.thin[i].truth / masks.pixels[i].truth)
    middle = max(0, len(by_f1) // 2 - PER_KIND // 2)
    chosen = {
        "good": by_f1[:PER_KIND],
        "median": by_f1[middle : middle + PER_KIND],
        "failed": by_f1[::-1][:PER_KIND],
        "thin": by_thin[:PER_KIND],
    }
    return {kind: [counted.names[i] for i in images] for kind, images in chosen.items()}


def write_panel(path: Path, frame: Frame, mask: Mask, truth: Mask) -> None:
    """Write `panel` as an image file, its folder as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, panel(frame, mask, truth))


def total(counted: Tally) -> Counts:
    """Return the pixel counts of all images at zero tolerance."""
    return add_up(counted.swept.pixels)
