import math

import numpy as np
import pytest

from scnet_edge.runtime.counters import Latency, Percentiles


@pytest.mark.parametrize("scale_ms", [0.05, 3.0, 400.0])
def test_percentiles_are_those_of_numpy_within_their_resolution(scale_ms: float) -> None:
    values = np.random.default_rng(3).lognormal(0, 1, 5000) * scale_ms
    percentiles = Percentiles()
    for value in values:
        percentiles.add(value)
    for percent in (50, 95, 99):
        expected = np.percentile(values, percent, method="inverted_cdf")
        assert percentiles(percent) == pytest.approx(expected, rel=0.0125)


def test_nothing_counted_is_not_a_number() -> None:
    assert math.isnan(Percentiles()(50))


def test_extremes_stay_in_the_outermost_buckets() -> None:
    percentiles = Percentiles()
    percentiles.add(0.0)
    percentiles.add(1e12)
    assert percentiles(1) < 0.0011
    assert percentiles(99) > 9e5


def test_stages_are_kept_apart() -> None:
    latency = Latency()
    for i in range(100):
        latency.add({"engine": 10.0, "measure": 1.0 + i})
    summary = latency.summary_ms()
    assert summary["engine"] == pytest.approx((10, 10, 10), rel=0.0125)
    assert summary["measure"] == pytest.approx((50, 95, 99), rel=0.0125)
