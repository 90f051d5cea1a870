"""Build the default model's INT8 bundle and pack it for the wheel: samples/bundle.tar.xz.

    python scripts/pack_sample.py

One graph and one golden frame, so that the wheel stays small; `scnet-edge build` makes the whole
bundle. Not in the repository: `scripts/release` makes it anew. The same weights, tools and
SOURCE_DATE_EPOCH give the same bytes.
"""

from __future__ import annotations

import datetime
import os
import tarfile
import tempfile
from pathlib import Path

import msgspec

from scnet_edge.build import GateRequest, build_bundle
from scnet_edge.bundle.manifest import (
    CALIBRATION,
    FUSED,
    GOLDEN,
    MANIFEST,
    read_manifest,
    write_manifest,
)
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.verify import Golden, parity_of, read_golden, require_parity, write_golden
from scnet_edge.engines.base import cpu_engine, open_backend
from scnet_edge.folders import file_sha256
from scnet_edge.quantization.gate import parse_gate

ARCHIVE = Path(__file__).parents[1] / "samples" / "bundle.tar.xz"
GATE = "f1:0.005"
EPOCH_S = 315_532_800  # 1980-01-01, as in the other archives that name no time


def lighten(bundle: Path, created_s: int) -> None:
    """Leave a bundle one graph and one golden frame, and say so in its manifest."""
    manifest, golden = read_manifest(bundle), read_golden(bundle / GOLDEN)
    kept = [name for name in (FUSED, CALIBRATION, GOLDEN) if name in manifest.files]
    for name in manifest.files.keys() - {*kept}:
        (bundle / name).unlink()
    edges = None if golden.edges is None else golden.edges[:1]
    one = Golden(frames=golden.frames[:1], probability=golden.probability[:1], edges=edges)
    write_golden(bundle / GOLDEN, one)
    engine = open_backend(cpu_engine(), bundle / FUSED)
    parity = parity_of(engine, one, manifest.threshold, manifest.edge_threshold)
    require_parity(parity, manifest.min_mask_f1)
    lighter = msgspec.structs.replace(
        manifest,
        parity=parity,
        files={name: file_sha256(bundle / name) for name in kept},
        created=datetime.datetime.fromtimestamp(created_s, datetime.timezone.utc).isoformat(),
    )
    write_manifest(bundle, lighter)


def pack(bundle: Path, archive: Path, created_s: int) -> None:
    """Write the files of a bundle as a .tar.xz that depends on their contents alone."""
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for name in (MANIFEST, *sorted(read_manifest(bundle).files)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = (bundle / name).stat().st_size, created_s
            with (bundle / name).open("rb") as file:
                tar.addfile(member, file)


def main() -> None:
    created_s = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH_S))
    gate = GateRequest(gate=parse_gate(GATE), elsewhere=True)
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "bundle"
        build_bundle(Recipe(precision="int8"), bundle, gate=gate)
        lighten(bundle, created_s)
        pack(bundle, ARCHIVE, created_s)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
