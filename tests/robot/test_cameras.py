from itertools import islice

import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.robot.open_source import open_any
from scnet_edge.simulation.clip import render_clip


def test_the_simulated_pipe_is_the_rendered_clip_live() -> None:
    with open_any("sim://pipe?size=96x128&frames=3&fps=100&seed=4") as source:
        assert source.live
        items = list(source)
    expected = [frame for frame, _ in render_clip(3, (96, 128), seed=4)]
    assert [item.name for item in items] == ["sim-000000", "sim-000001", "sim-000002"]
    for item, frame in zip(items, expected, strict=True):
        np.testing.assert_array_equal(item.frame, frame)


def test_without_a_count_it_has_no_end() -> None:
    with open_any("sim://pipe?size=64x64&fps=200") as source:
        assert len(list(islice(source, 30))) == 30


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sim://tunnel", "expected sim://pipe"),
        ("sim://pipe?size=20x20", "size '20x20': expected HEIGHTxWIDTH"),
        ("sim://pipe?fps=0", "fps=0, expected a whole number from 1 to 240"),
        ("sim://pipe?speed=3", "unknown option 'speed', expected size, seed, frames, fps"),
        ("ftp://camera", "sim://pipe"),
    ],
)
def test_a_mistake_is_one_line(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message), open_any(uri):
        pass
