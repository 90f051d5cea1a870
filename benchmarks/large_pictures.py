"""What a picture of 200 megapixels takes by windows: memory, time, and what is found on it.

python -m benchmarks.large_pictures BUNDLE [--megapixels 200] [--out FILE.json]

Over 100 megapixels: smaller JPEG and PNG files are not read by windows.

It draws a wall with level cracks 5 px wide, writes it as a tiled GeoTIFF, as JPEG and as PNG, and
runs `scnet-edge run` on each. Memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio

from benchmarks.whole_pictures import open_crack
from scnet_edge import __version__
from scnet_edge.machine.description import machine_name
from scnet_edge.types import Frame, Mask

APART_PX, BORDER_PX = 900, 800


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--megapixels", type=int, default=200)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    height_px = round((1e6 * chosen.megapixels / 1.28) ** 0.5)
    wall, truth = draw_wall((height_px, round(1.28 * height_px)))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("wall.tif", "wall.jpg", "wall.png"):
            write(Path(folder, name), wall)
            rows.append(figures(chosen.bundle, Path(folder, name), truth))
    found = {
        "what": "scnet-edge run over one drawn wall by windows; memory of the whole process",
        "machine": machine_name(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "date": datetime.date.today().isoformat(),
        "version": __version__,
        "size_hw": wall.shape[:2],
        "rows": rows,
    }
    text = json.dumps(found, indent=1)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


def draw_wall(size_hw: tuple[int, int]) -> tuple[Frame, Mask]:
    """Return a wall with level cracks, (h, w, 3) uint8 BGR, and where they are."""
    rng = np.random.default_rng(7)
    height_px, width_px = size_hw
    coarse = rng.normal(0, 1, (height_px // 16, width_px // 16)).astype(np.float32)
    smooth = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    grey = np.asarray(smooth, np.float32)
    grey *= 7
    grey += 150
    truth = np.zeros(size_hw, np.bool_)
    for middle in range(250, height_px - 250, APART_PX):
        x = np.arange(BORDER_PX, width_px - BORDER_PX, 20)
        y = middle + np.cumsum(rng.normal(0, 6, len(x)))
        open_crack(grey, truth, np.stack([x, y], 1).astype(np.float64))
    for rows in np.array_split(grey, 20):
        rows += rng.normal(0, 3, rows.shape).astype(np.float32)
    grey8 = np.clip(grey, 0, 255).astype(np.uint8)
    return np.repeat(grey8[..., None], 3, axis=2), truth


def write(path: Path, wall: Frame) -> None:
    """Write the wall; as a GeoTIFF with half a millimetre a pixel."""
    if path.suffix != ".tif":
        quick = [cv2.IMWRITE_PNG_COMPRESSION, 1] if path.suffix == ".png" else []
        cv2.imwrite(str(path), wall, quick)
        return
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": 3,
        "height": wall.shape[0],
        "width": wall.shape[1],
        "dtype": "uint8",
        "tiled": True,
        "compress": "deflate",
        "crs": "EPSG:25832",
        "transform": rasterio.Affine(0.0005, 0, 500_000, 0, -0.0005, 5_400_000),
    }
    with rasterio.open(path, "w", **profile) as dataset:
        for band in range(3):
            dataset.write(wall[..., 2 - band], band + 1)


def figures(bundle: Path, picture: Path, truth: Mask) -> dict[str, Any]:
    """Return what one run takes and finds."""
    out = picture.with_suffix(".out")
    peak = picture.with_suffix(".peak")  # wait4's figure would count what this process has
    program = (
        "import atexit, pathlib, shutil; from scnet_edge.cli import main; "
        f"atexit.register(shutil.copy, '/proc/self/status', {str(peak)!r}); main()"
    )
    command = ["-c", program, "run", str(bundle), "--source", str(picture), "--out", str(out)]
    start_s = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True)
    seconds = time.perf_counter() - start_s
    [peak_kib] = [int(line.split()[1]) for line in peak.open() if line.startswith("VmHWM")]
    with rasterio.open(out / "mask.tif") as dataset:
        crack = dataset.read(1) > 0
    shutil.rmtree(out)
    return {
        "file": picture.suffix[1:],
        "file_mb": round(picture.stat().st_size / 1e6),
        "peak_mib": round(peak_kib / 1024),
        "seconds": round(seconds),
        "recall": round(float(crack[truth].mean()), 4),
        "precision": round(float(truth[crack].mean()), 4),
    }


if __name__ == "__main__":
    main()
