from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from scnet_edge.bench.compare import compare, missing
from scnet_edge.bench.rows import paired_ratio
from scnet_edge.errors import ConfigError


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
    (change,) = compare(result(row()), result(row(**changed)))
    assert change.worse == said


def test_rows_that_are_gone_are_named(row: Callable, result: Callable) -> None:
    before, after = result(row(), row(engine="torch", precision="fp32")), result(row())
    assert [r.engine for r in missing(before, after)] == ["torch"]


def test_two_machines_are_refused(row: Callable, result: Callable) -> None:
    a = result(row())
    elsewhere = msgspec.structs.replace(a.environment, cores=64)
    with pytest.raises(ConfigError, match="two machines"):
        compare(a, result(row(), environment=elsewhere))
    with pytest.raises(ConfigError, match="no row in common"):
        compare(a, result(row(model="other")))
