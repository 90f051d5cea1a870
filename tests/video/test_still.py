"""One picture of a film is the one that reading the film through gives at that time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from films import walls, write_film

from scnet_edge.errors import InputError
from scnet_edge.video.film import Picture, open_film
from scnet_edge.video.still import read_still

FILMS = {
    "film.mp4": ("libx264", False),
    "film.mpg": ("mpeg2video", True),
    "film.ts": ("mpeg2video", False),
    "film.avi": ("mpeg4", False),
    "film.mkv": ("mjpeg", False),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_still_is_the_film_s_picture(tmp_path: Path, name: str) -> None:
    codec, interlaced = FILMS[name]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_film(
        tmp_path / name, walls(60), codec, fps=25, interlaced=interlaced, pixel_format=pixels
    )
    film = open_film(path)
    read = [item for item in film.items if isinstance(item, Picture)]
    for number in (0, 1, 13, 30, 55):
        shown = read_still(path, read[number].time_s).astype(int)
        off = [float(np.abs(shown - one.frame).mean()) for one in read]
        assert int(np.argmin(off)) == number


def test_behind_the_end_it_is_the_last_picture(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", walls(10), fps=10)
    assert np.array_equal(read_still(path, 100.0), read_still(path, 0.9))


def test_what_is_no_film_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"nothing" * 100)
    with pytest.raises(InputError, match="FFmpeg finds no video"):
        read_still(tmp_path / "film.mp4", 1.0)
