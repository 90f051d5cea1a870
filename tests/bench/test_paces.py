from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.planner.devices import ANCHORS, DEVICES
from benchmarks.planner.paces import NARROW, Pace, find_pace, frame_ms, narrow, paces
from benchmarks.planner.workload import Convolutions, Workload
from scnet_edge.bench.schema import read_result

SPEEDS = Path(__file__).parents[2] / "benchmarks/results/speed"
PACE = Pace(device="nano", fixed_ms=3.0, share=0.5, miss=0.1)


def workload(*convolutions: Convolutions, mega_moved: float = 0.0) -> Workload:
    return Workload(model="net", convolutions=convolutions, mega_moved=mega_moved, f1={})


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_nothing_beats_its_own_device(precision) -> None:
    for pace in paces(precision):
        assert 0 < pace.share < 1
        assert 1 < pace.fixed_ms < 5


@pytest.mark.parametrize("anchor", ANCHORS, ids=lambda a: f"{a.device} {a.precision} {a.what}")
def test_the_paces_give_back_what_they_come_from(anchor) -> None:
    tops = DEVICES[anchor.device].tops[anchor.precision]
    for pace in paces(anchor.precision):
        if pace.device == anchor.device:
            ms = pace.fixed_ms + anchor.gflop / (tops * pace.share)
            assert ms == pytest.approx(anchor.ms, rel=pace.miss + 1e-9)


def test_a_device_timed_in_fp16_gains_from_int8_what_others_gained() -> None:
    for whose in ("xavier-nx", "agx-xavier"):
        half, int8 = (find_pace(whose, precision) for precision in ("fp16", "int8"))
        assert {p.device for p in int8.middle} == {p.device for p in half.middle} == {"agx-xavier"}
        assert max(p.share for p in int8.spread) < max(p.share for p in half.spread)
        assert 2 * min(p.share for p in int8.spread) > min(p.share for p in half.spread)


def test_narrow_layers_attain_what_they_attain_on_the_cpu() -> None:
    limits = read_result(SPEEDS / "epyc-avx512-2core.json").limits
    assert limits is not None
    for precision, arithmetic in (("fp16", "bf16"), ("int8", "int8")):
        best = limits.best_gops(arithmetic)
        assert best is not None
        for rate in limits.rates:
            if rate.arithmetic == arithmetic:
                attained = rate.gops / best
                assert narrow(rate.channels[0], precision) == pytest.approx(attained, abs=0.15)
        (narrowest,) = (
            r for r in limits.rates if (r.arithmetic, r.channels[0]) == (arithmetic, 16)
        )
        assert narrow(16, precision) == pytest.approx(narrowest.gops / best, abs=0.01)
    assert set(NARROW) == {"fp16", "int8"}


def test_a_narrow_net_takes_longer_for_the_same_operations() -> None:
    wide, thin = (workload(Convolutions(c, 10.0, 0.1, 0.1)) for c in (64, 16))
    wide_ms, thin_ms = (frame_ms(w, "nano", "fp16", PACE) - PACE.fixed_ms for w in (wide, thin))
    assert wide_ms == pytest.approx(10.0 / (0.47 * 0.5))
    assert thin_ms == pytest.approx(wide_ms / 0.76)


def test_norms_and_what_lies_between_are_passes_of_their_own() -> None:
    gb_s = DEVICES["orin-nano"].gb_s * 0.7
    for precision, norm_bytes, wider_bytes in (("fp16", 6, 0), ("int8", 9, 1)):
        plain, normed, moving = (
            frame_ms(w, "orin-nano", precision, PACE)
            for w in (
                workload(Convolutions(64, 1e-6, 100.0, 100.0)),
                workload(Convolutions(64, 1e-6, 100.0, 100.0, 100.0)),
                workload(Convolutions(64, 1e-6, 100.0, 100.0), mega_moved=50.0),
            )
        )
        assert plain - PACE.fixed_ms == pytest.approx((200 if precision == "int8" else 400) / gb_s)
        assert normed - plain == pytest.approx(100 * (norm_bytes + wider_bytes) / gb_s)
        assert moving - plain == pytest.approx(100 / gb_s)
