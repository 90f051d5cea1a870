"""Write the perceptual hashes of the public test splits, which calibration refuses.

    SCNET_EDGE_DATA=... python scripts/hash_test_splits.py

Hashes say nothing of the pictures; the data sets themselves are never in the repository. A training
image that its own data set repeats in its test split is listed as a twin: it is left out of every
calibration without refusing the rest of the folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from scnet_edge.config import write_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.quantization.perceptual_hash import (
    EVALUATION_HASHES,
    EvaluationHashes,
    bits,
    phash,
    same_picture,
)

SETS = ("deepcrack", "crackforest", "masonry")


def hashes(samples: list[Sample]) -> dict[str, str]:
    return {phash(sample.read_frame()): sample.name for sample in samples}


def main() -> None:
    root = Path(os.environ["SCNET_EDGE_DATA"])
    splits: dict[str, list[str]] = {}
    twins: dict[str, str] = {}
    for name in SETS:
        test = list(hashes(open_dataset(f"{name}:{root / name}", "test")))
        splits[f"{name} test"] = sorted(test)
        train = hashes(open_dataset(f"{name}:{root / name}", "train"))
        twins |= {h: f"{name} {stem}" for h, stem in train.items() if same_picture(h, bits(test))}
    write_json(EVALUATION_HASHES, EvaluationHashes(splits=splits, twins=twins))
    print(f"{EVALUATION_HASHES}: {sum(map(len, splits.values()))} hashes, twins {twins}")


if __name__ == "__main__":
    main()
