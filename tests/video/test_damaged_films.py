"""Films with a lost sector, or bytes cut out: every picture is right at its time, or said lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from films import walls, write_film

from scnet_edge.types import Frame
from scnet_edge.video.film import Picture, open_film

SIZE_HW = (144, 176)
COUNT, FPS, SECTOR, SEEDS = 30, 25, 2048, 6
B_FRAMES = {"bf": "2", "g": "10", "b": "2M", "x265-params": "log-level=0"}
KINDS = [
    ("a.avi", "libx264", None),
    ("a.avi", "mpeg4", None),
    ("a.ts", "libx264", None),
    ("a.ts", "mpeg2video", None),
    ("a.mpg", "mpeg2video", None),
    ("a.vob", "mpeg2video", "vob"),
    ("a.mkv", "libx264", None),
    ("a.mxf", "mpeg2video", None),
    ("a.mkv", "libx265", None),
    ("a.wmv", "wmv2", None),
]


def grainy_walls() -> list[Frame]:
    """Return pictures that take many sectors of a file."""
    grain = np.random.default_rng(0).integers(-9, 10, (COUNT, *SIZE_HW, 1))
    drawn = walls(COUNT, SIZE_HW)
    return [
        np.clip(wall + g, 0, 255).astype(np.uint8) for wall, g in zip(drawn, grain, strict=True)
    ]


@pytest.mark.parametrize("kind", ["a lost sector", "bytes cut out"])
@pytest.mark.parametrize(("name", "codec", "format"), KINDS)
def test_no_picture_is_smeared_or_at_a_wrong_time(
    tmp_path: Path, name: str, codec: str, format: str | None, kind: str
) -> None:
    options = {**B_FRAMES, "bf": "0"} if codec == "wmv2" else B_FRAMES
    path = write_film(
        tmp_path / name, grainy_walls(), codec, fps=FPS, options=options, format=format
    )
    whole = [item.frame for item in open_film(path).items if isinstance(item, Picture)]
    data, lost_of_all = path.read_bytes(), 0
    for seed in range(SEEDS):
        at = int(np.random.default_rng(seed).integers(4, len(data) // SECTOR - 1)) * SECTOR
        if kind == "a lost sector":
            path.write_bytes(data[:at] + bytes(SECTOR) + data[at + SECTOR :])
        else:  # not at bounds of parts, as MXF has them
            path.write_bytes(data[: at + 90] + data[at + SECTOR :])
        pictures = [item for item in open_film(path).items if isinstance(item, Picture)]
        lost = 0
        for picture in pictures:
            if not picture.frame.size:
                lost += 1
                continue
            number = round(picture.time_s * FPS)
            assert picture.time_s == pytest.approx(number / FPS, abs=0.0051)
            np.testing.assert_allclose(picture.frame.astype(int), whole[number], atol=8)
        assert lost or len(pictures) == COUNT, "what is not given is said"
        lost_of_all += lost
    assert lost_of_all
