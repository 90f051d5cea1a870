"""`pipe.toml`: what it takes, and one clear line for what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.setup import lens_of, read_setup

FORWARD = """mode = "forward"
diameter_mm = 300
fx = 500
fy = 500
cx = 319.5
cy = 239.5
width_px = 640
height_px = 480
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "pipe.toml"
    path.write_text(text)
    return path


def test_a_side_camera_needs_two_numbers(tmp_path: Path) -> None:
    setup = read_setup(written(tmp_path, 'mode = "side"\ndiameter_mm = 300\nmm_per_px = 0.2\n'))
    assert (setup.diameter_mm, setup.mm_per_px, setup.roll) == (300, 0.2, "none")
    assert lens_of(setup, (384, 544)) is None


def test_a_wall_needs_none(tmp_path: Path) -> None:
    assert read_setup(written(tmp_path, 'mode = "wall"\n')).mm_per_px is None


def test_a_camera_file_beside_it_is_read_in(tmp_path: Path) -> None:
    lens = "\n".join(line for line in FORWARD.splitlines() if line[:4] not in {"mode", "diam"})
    (tmp_path / "camera.toml").write_text(lens + "\ndistortion = [0.1, 0, 0, 0]\nrms_px = 0.3\n")
    text = 'mode = "forward"\ndiameter_mm = 300\ncamera = "camera.toml"\n'
    setup = read_setup(written(tmp_path, text))
    lens_read = lens_of(setup, (480, 640))
    assert lens_read is not None
    assert (lens_read.fx, lens_read.distortion) == (500, (0.1, 0, 0, 0))
    with pytest.raises(ConfigError, match="calibrated for 640x480 px, the frames are 320x240"):
        lens_of(setup, (240, 320))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('mode = "side"\ndiameter_mm = -300\nmm_per_px = 0.2', r"> 0.*\$\.diameter_mm"),
        ('mode = "side"\ndiameter_mm = 300\nmm_per_px = 0', r"> 0.*\$\.mm_per_px"),
        ('mode = "wall"\nmm_per_px = nan', r"> 0.*\$\.mm_per_px"),
        ('mode = "wall"\nmm_per_px = inf', r"finite number.*\$\.mm_per_px"),
        ('mode = "wall"\nmm_per_pixel = 1', "mm_per_pixel"),
        ('mode = "side"\ndiameter_mm = 300', "needs mm_per_px"),
        ('mode = "forward"\ndiameter_mm = 300', "calibrate-camera"),
        (FORWARD.replace("cx = 319.5\n", ""), "missing cx"),
        (FORWARD + "distortion = [1, 2, 3]\n", "distortion coefficients"),
        (FORWARD + 'camera = "camera.toml"\n', "found both"),
        (FORWARD + "axis_x_px = 3\n", "axis_y_px"),
        ('mode = "sideways"', "sideways"),
        ('mode = "wall"\ncamera = "nowhere.toml"', "nowhere.toml: no such file"),
        ("mode = ", "pipe.toml"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        lens_of(read_setup(path), (480, 640))
    assert "\n" not in str(caught.value)
