from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from scnet_edge.bench.changes import absolute, compare_results, differences, find_missing
from scnet_edge.bench.comparable import paired_ratio
from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow
from scnet_edge.bench.scoring import Scored
from scnet_edge.errors import ConfigError

ROUNDS = np.array([30.0, 30.2, 29.8, 30.1])
DRIFT = np.array([1.0, 0.5, 0.7, 0.9])  # of a machine, from round to round


def hashed(row: BenchmarkRow, sha256: dict[str, str]) -> BenchmarkRow:
    return msgspec.structs.replace(row, sha256=sha256)


def test_drift_that_meets_both_alike_leaves_the_ratio_alone() -> None:
    drift = np.array([1.0, 0.5, 2.0, 0.7, 1.3])
    assert paired_ratio(30 * drift, 10 * drift) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ()),
        ({"round_fps": (29.5, 30.0, 29.9, 29.7)}, ()),  # within the noise
        ({"round_fps": (20.0, 20.1, 19.9, 20.2)}, ("slower",)),
        ({"round_fps": (20.0, 45.0, 28.0, 31.0)}, ()),  # too noisy to tell
        ({"f1": 0.80}, ("less accurate",)),
        ({"f1": 0.0}, ("less accurate",)),
        ({"f1": 0.80, "images": 12}, ()),  # other images
        ({"rss_mb": 300.0}, ("larger in memory",)),
    ],
)
def test_only_what_noise_cannot_explain_is_worse(
    changed: dict[str, object], said: tuple[str, ...], row: Callable, result: Callable
) -> None:
    (change,) = compare_results(result(row()), result(row(**changed)))
    assert change.worse == said


def test_rows_that_are_gone_are_named(row: Callable, result: Callable) -> None:
    before, after = result(row(), row(engine="torch", precision="fp32")), result(row())
    assert [r.engine for r in find_missing(before, after)] == ["torch"]


def test_two_machines_are_refused(row: Callable, result: Callable) -> None:
    a = result(row())
    elsewhere = msgspec.structs.replace(a.environment, cores=64)
    with pytest.raises(ConfigError, match="two machines"):
        compare_results(a, result(row(), environment=elsewhere))
    with pytest.raises(ConfigError, match="no row in common"):
        compare_results(a, result(row(model="other")))


@pytest.fixture
def beside(row: Callable, result: Callable) -> Callable[..., BenchmarkResult]:
    """Return what makes a result: our engine, and ONNX Runtime in turns with it."""

    def make(ours: np.ndarray, theirs: np.ndarray, **packages: str) -> BenchmarkResult:
        gauge = {"engine": "onnxruntime", "precision": "fp32"}
        rows = [
            row(**other, scope=scope, round_fps=tuple(fps))
            for other, fps in (({}, ours), (gauge, theirs))
            for scope in ("engine", "camera_to_mask")
        ]
        made = result(*rows)
        environment = msgspec.structs.replace(made.environment, packages=packages)
        return msgspec.structs.replace(made, environment=environment)

    return make


def test_a_slower_machine_is_no_regression(beside: Callable) -> None:
    before, after = beside(ROUNDS, ROUNDS / 3), beside(0.7 * ROUNDS, 0.7 * ROUNDS / 3)
    changes = compare_results(before, after)
    assert [c.worse for c in changes] == [(), (), (), ()]
    assert changes[0].speed[0] == pytest.approx(0.7)
    assert changes[0].relative == pytest.approx((1, 1, 1))
    assert [c.relative is None for c in changes] == [False, False, True, True]
    assert "4 of 4 rows moved together; 2 have no other engine" in absolute(changes)
    assert absolute(compare_results(before, before)) == ""


def test_code_that_is_slower_is_found_on_a_machine_that_drifts(beside: Callable) -> None:
    """Its own speed could be noise; round by round beside the other engine it is not."""
    before = beside(ROUNDS * DRIFT, ROUNDS * DRIFT / 3)
    after = beside(0.8 * ROUNDS * DRIFT[::-1], ROUNDS * DRIFT[::-1] / 3)
    change = compare_results(before, after)[0]
    assert change.speed[2] > 1
    assert change.relative == pytest.approx((0.8, 0.8, 0.8), rel=0.02)
    assert (change.gauge, change.worse) == ("onnxruntime fp32", ("slower",))


def test_an_engine_that_slows_alone_is_found_though_others_are_held_to_it(
    beside: Callable,
) -> None:
    changes = compare_results(beside(ROUNDS, ROUNDS / 3), beside(ROUNDS, ROUNDS / 6))
    assert [c.worse for c in changes] == [(), (), ("slower",), ("slower",)]


def test_another_version_of_the_engine_is_nothing_to_hold_to(beside: Callable) -> None:
    before = beside(ROUNDS, ROUNDS / 3, onnxruntime="1.31", torch="2.13")
    after = beside(0.7 * ROUNDS, 0.7 * ROUNDS / 3, onnxruntime="1.32", torch="2.13")
    changes = compare_results(before, after)
    assert all((c.gauge, c.worse) == (None, ("slower",)) for c in changes)
    assert differences(before, after) == ["packages: onnxruntime 1.31 and 1.32"]


def test_a_loop_that_slows_every_engine_is_found(row: Callable, result: Callable) -> None:
    """The engine alone is what wider scopes are held to: our own code is a part of those."""

    def rows(loop: float) -> list[BenchmarkRow]:
        return [
            row(engine=engine, precision="fp32", scope=scope, round_fps=tuple(factor * ROUNDS))
            for engine in ("openvino", "onnxruntime")
            for scope, factor in (("engine", 1.0), ("camera_to_mask", loop))
        ]

    changes = compare_results(result(*rows(0.9)), result(*rows(0.6)))
    assert [(c.row.engine, c.row.scope) for c in changes if c.worse] == [
        ("openvino", "camera_to_mask"),
        ("onnxruntime", "camera_to_mask"),
    ]


def test_what_else_differs_is_said(row: Callable, result: Callable) -> None:
    """Suite, power mode, weights by their hash or by F1 in FP32, and networks."""
    fp32 = {"engine": "torch", "precision": "fp32"}
    before = result(hashed(row(), {"a": "1"}), row(**fp32))
    changed = hashed(row(), {"a": "2"})
    after = msgspec.structs.replace(
        result(changed, row(**fp32, f1=0.83, gflop=18.0)), suite="other", suite_sha256="abcdef"
    )
    environment = msgspec.structs.replace(after.environment, power_mode="15W")
    after = msgspec.structs.replace(after, environment=environment)
    assert differences(before, after) == [
        "suite: some (0) and other (abcdef)",
        "power mode: none and 15W",
        "other weights or graphs: net openvino int8",
        "weights or masks, as F1 in FP32 shows: net",
        "other networks: net, 17 and 18 GFLOP",
    ]
    assert [c.weights for c in compare_results(before, after)] == [True, None]
    assert differences(before, before) == []


def test_f1_of_other_images_is_not_compared(row: Callable, result: Callable) -> None:
    """As many of the same data set, but not the same, as the results say."""

    def told(digest: str, **changed: object) -> BenchmarkResult:
        scored = Scored(data="walls test", images=8, sha256=digest)
        return msgspec.structs.replace(result(row(**changed)), scored=scored)

    (same,) = compare_results(told("a"), told("a", f1=0.7))
    assert same.worse == ("less accurate",)
    (other,) = compare_results(told("a"), told("b", f1=0.7))
    assert (other.f1, other.worse) == (None, ())
