from pathlib import Path

import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.robot.robot_toml import Robot, read_robot


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "robot.toml"
    path.write_text(text)
    return path


def test_every_key_can_be_set(tmp_path: Path) -> None:
    text = """
        source = "rtsp://camera/1"
        policy = "every"
        sinks = ["jsonl:run.jsonl"]
        skip = ["corrupt", "blurred"]
        frame_timeout_s = 2
        mm_per_px = 0.2
        hed_every = 4
        late_ms = 250
        hot_c = 87.5
    """
    robot = read_robot(written(tmp_path, text))
    assert (robot.source, robot.policy, robot.sinks) == (
        "rtsp://camera/1",
        "every",
        ("jsonl:run.jsonl",),
    )
    assert (robot.frame_timeout_s, robot.mm_per_px, robot.hot_c) == (2.0, 0.2, 87.5)
    assert robot.limits.frozen_s == Robot().frozen_s


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "frame_timeout_ms = 5000",
            "unknown key 'frame_timeout_ms'; did you mean 'frame_timeout_s'",
        ),
        ("colour = 1", "unknown key 'colour'; see docs/reference/robot-toml.md"),
        ("mm_per_px = 0", "mm_per_px: expected a number above 0 to 1000"),
        ("mm_per_px = -0.2", "mm_per_px: expected a number above 0 to 1000"),
        ('frame_timeout_s = "5 s"', "frame_timeout_s: expected a number from 0.1 to 3600"),
        ("hed_every = 0", "hed_every: expected a whole number from 1 to 1000"),
        ("hed_every = 1.5", "hed_every: expected a whole number from 1 to 1000"),
        ("threads = -1", "threads: expected a whole number from 1 to 256"),
        ('policy = "latest"', "policy: expected one of every, newest"),
        ('skip = ["dirty"]', "skip: expected a list, each one of "),
        ("isolate = 1", "isolate: expected true or false"),
        ("source = 0", "source: expected a text in quotes"),
        ("late_ms = nan", "late_ms: expected a number from 0 to 60000"),
        ("source = ", "not TOML"),
    ],
)
def test_a_mistake_is_one_line_with_the_key_and_its_range(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_robot(written(tmp_path, line))
    assert str(caught.value).startswith(f"{tmp_path / 'robot.toml'}: {message}")
    assert "\n" not in str(caught.value)


def test_a_password_is_never_repeated(tmp_path: Path) -> None:
    for line in (
        'sorce = "rtsp://joe:s3cret@camera/1"',
        'policy = "rtsp://joe:s3cret@camera/1"',
        'source = "rtsp://joe:s3cret@camera/1" oops',
        "source = rtsp://joe:s3cret@camera/1",
    ):
        with pytest.raises(ConfigError) as caught:
            read_robot(written(tmp_path, line))
        assert "s3cret" not in str(caught.value)


def test_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"robot\.toml: no such file"):
        read_robot(tmp_path / "robot.toml")
