"""HED and SCNet as one backend, over stand-ins that say what they were asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from scnet_edge.engines.base import Array
from scnet_edge.engines.split import SplitBackend, open_both
from scnet_edge.errors import EngineError


class Hed:
    """Edges where a frame is light; counts how often it ran."""

    name = "hed"

    def __init__(self) -> None:
        self.runs = 0
        self.closed = False

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        edges = feeds["frame"][..., 0].astype(np.float32) / 255  # (1, h, w)
        return {"edges": edges, "prior": (edges[:, None] > 0.5).astype(np.float32)}

    def close(self) -> None:
        self.closed = True


class Scnet:
    """Says the prior it was given."""

    name = "scnet"
    closed = False

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"probability": feeds["prior"][0]}

    def close(self) -> None:
        self.closed = True


def frame(value: int, size_hw: tuple[int, int] = (64, 96)) -> np.ndarray:
    made = np.zeros((1, *size_hw, 3), np.uint8)
    made[:, :, 32:] = value
    return made


def split(hed: Hed, every: int, hed_frame_hw: tuple[int, int] = (64, 96)) -> SplitBackend:
    return SplitBackend(
        hed,
        Scnet(),
        every=every,
        hed_frame_hw=hed_frame_hw,
        size_hw=(64, 96),
        edge_threshold=0.5,
    )


def test_every_frame_its_own_edges() -> None:
    hed = Hed()
    backend = split(hed, every=1)
    for value in (200, 0, 255):
        outputs = backend.run({"frame": frame(value)})
        assert outputs["probability"].shape == outputs["edges"].shape == (1, 64, 96)
        assert outputs["probability"].max() == float(value > 127)
        assert not backend.reused
    assert hed.runs == 3


def test_edges_are_reused_in_between() -> None:
    hed = Hed()
    backend = split(hed, every=3)
    reused, seen = [], []
    for value in (255, 0, 0, 0, 255, 255, 255):
        outputs = backend.run({"frame": frame(value)})
        reused.append(backend.reused)
        seen.append(outputs["probability"].max())
    assert reused == [False, True, True, False, True, True, False]
    assert seen == [1, 1, 1, 0, 0, 0, 1]
    assert hed.runs == 3


def test_a_smaller_hed_is_scaled_to_the_prior() -> None:
    backend = split(Hed(), every=1, hed_frame_hw=(32, 48))
    outputs = backend.run({"frame": frame(255)})
    assert outputs["edges"].shape == (1, 64, 96)
    columns = outputs["probability"][0].mean(axis=0)
    assert set(np.unique(outputs["probability"])) == {0, 1}
    assert columns[:30].max() == 0
    assert columns[34:].min() == 1


def test_edges_that_are_not_finite_are_refused() -> None:
    class Broken(Hed):
        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {name: np.full_like(a, np.nan) for name, a in super().run(feeds).items()}

    with pytest.raises(EngineError, match="finite edges"):
        split(Broken(), every=2).run({"frame": frame(255)})


def test_a_prior_in_fp16_reaches_scnet_in_fp32() -> None:
    class Half(Hed):
        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {name: a.astype(np.float16) for name, a in super().run(feeds).items()}

    outputs = split(Half(), every=1).run({"frame": frame(255)})
    assert outputs["probability"].dtype == np.float32  # what SCNet was given, and takes


def test_a_scnet_that_does_not_open_closes_hed() -> None:
    hed = Hed()

    def fails() -> Scnet:
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        open_both(lambda: hed, fails)
    assert hed.closed


def test_closing_closes_both() -> None:
    hed = Hed()
    backend = split(hed, every=1)
    backend.close()
    assert hed.closed
