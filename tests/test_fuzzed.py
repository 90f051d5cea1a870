"""Every input that the fuzzer ever stumbled over, and sound ones: only our own errors come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scnet_edge.data.pictures import has_whole_chunks
from scripts.fuzz.seeds import seeds
from scripts.fuzz.targets import TARGETS

FOUND = sorted(path for path in (Path(__file__).parent / "fuzzed").glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name[:12]}")
def test_what_was_found_before(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_sound_and_slightly_damaged_inputs(name: str) -> None:
    rng = np.random.default_rng(7)
    for seed in seeds()[name]:
        TARGETS[name](seed)
        for _ in range(12):
            data = bytearray(seed)
            for at in rng.integers(0, len(data), 1 + len(data) // 50):
                data[at] = rng.integers(256)
            TARGETS[name](bytes(data[: rng.integers(1, len(data) + 1)]))


def test_a_png_whose_chunk_is_longer_than_the_file_is_not_given_to_opencv() -> None:
    found = next(path for path in FOUND if path.parent.name == "image")
    assert not has_whole_chunks(found.read_bytes())
    whole = seeds()["image"]
    assert all(map(has_whole_chunks, whole))
    assert not has_whole_chunks(whole[0][:-20])
