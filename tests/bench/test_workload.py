from __future__ import annotations

import pytest
from torch import nn

from benchmarks.planner.count_workloads import count, counts
from benchmarks.planner.workload import COUNTED, Counts, workloads
from scnet_edge.config import read_json
from scnet_edge.errors import ScnetEdgeError
from scnet_edge.models.cards import find_card, find_chain, shipped_models

SIZE = (384, 544)


def test_the_counts_are_of_the_shipped_models_and_their_scores() -> None:
    # else: python -m benchmarks.planner.count_workloads
    assert read_json(COUNTED, Counts) == counts()


def test_layers_are_counted_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 2, 1), nn.BatchNorm2d(2), nn.Upsample(scale_factor=2.0),
    ).to("meta")  # fmt: skip
    found = count([net], (10, 20))
    assert found.convolutions == {
        3: [pytest.approx(2e-9 * 8 * 27 * 200), 3 * 200, 8 * 200, 8 * 200],
        2: [pytest.approx(2e-9 * 2 * 8 * 50), 8 * 50, 2 * 50, 0],
    }
    assert found.moved == 8 * (200 + 50) + 2 * (50 + 200)


def test_every_shipped_model_is_a_workload_with_its_scores() -> None:
    found = {w.model: w for w in workloads(SIZE, [])}
    assert set(found) == {card.name for card in shipped_models() if card.kind == "scnet"}
    for name, work in found.items():
        card = find_card(name)
        gmac = sum(each.gmac for each in find_chain(card))
        assert work.gflop == pytest.approx(2 * gmac, rel=1e-3)
        assert work.f1["fp32"] == pytest.approx(work.f1["int8"], abs=0.005)
    assert found["scnet"].gflop == pytest.approx(399, rel=0.02)


def test_other_sizes_are_scaled_by_pixels() -> None:
    (half,) = (w for w in workloads((192, 544), []) if w.model == "scnet-small-instance")
    (whole,) = (w for w in workloads(SIZE, []) if w.model == "scnet-small-instance")
    assert half.gflop == pytest.approx(whole.gflop / 2)
    assert half.mega_moved == pytest.approx(whole.mega_moved / 2)
    for a, b in zip(half.convolutions, whole.convolutions, strict=True):
        assert (a.channels, a.mega_normed) == (b.channels, pytest.approx(b.mega_normed / 2))


@pytest.mark.parametrize("size", [(300, 500), (384, 540), (32, 32), (0, 0), (64, 9216)])
def test_a_size_that_build_refuses_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ScnetEdgeError, match=f"size {size[0]}x{size[1]}: .*(multiples|64 to 8192)"):
        workloads(size, [])


def test_results_of_all_images_replace_the_score(row, result) -> None:
    few = row(model="scnet-small", precision="int8", f1=0.1, images=32)
    all_images = row(model="scnet-small", precision="fp16", f1=0.7, images=237)
    others = [
        row(model="scnet-small", precision="int8", f1=0.2, images=500, data="masonry test"),
        row(model="scnet-small", precision="int8", f1=0.2, images=237, size_hw=(192, 256)),
    ]
    results = [result(few, all_images, *others)]
    (work,) = (w for w in workloads(SIZE, results) if w.model == "scnet-small")
    assert work.f1["fp16"] == 0.7
    assert work.f1["int8"] > 0.8
