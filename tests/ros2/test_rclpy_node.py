"""The skin for rclpy, over a stand-in for it: topics, qualities of service, threads, messages.

No ROS installation was at hand. What holds here is that the node's own lines work; that rclpy takes
them as its documentation says is for a robot to show.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from stand_in import arrived
from wire import camera_info, image, odometry, wall

from scnet_edge import config
from scnet_edge.sinks.ros_results import OURS

ROOT = Path(__file__).parents[2]
ROS = ROOT / "scnet_edge_ros"


def test_topics_and_qualities_of_service(start: Callable[..., Any]) -> None:
    node = start(input_reliability="reliable")
    made = node.subscriptions_made
    asked = {topic: quality.reliability for topic, (_, _, quality) in made.items()}
    assert asked == {"image": "reliable", "camera_info": "best effort", "odom": "best effort"}
    assert made["image"][2].depth == 1
    assert {p.topic: p.kind.__msgtype__ for p in node.publishers_made.values()} == {
        "mask": "sensor_msgs/msg/Image",
        "cracks": "scnet_edge_msgs/msg/Cracks",
        "detections": "vision_msgs/msg/Detection2DArray",
        "overlay/compressed": "sensor_msgs/msg/CompressedImage",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    }


def test_an_image_is_answered_without_waiting_for_anything_else(start: Callable[..., Any]) -> None:
    node = start(distance_m=0.5)
    node.subscriptions_made["image"][1](image(wall()))
    [mask] = arrived(node.publishers_made["mask"])
    pixels = np.frombuffer(mask.data, np.uint8).reshape(wall().shape[:2])
    np.testing.assert_array_equal(pixels == 255, wall()[..., 0] < 128)
    assert mask.data.typecode == "B"
    assert str(mask.header) == str(image(wall()).header)
    [cracks] = arrived(node.publishers_made["cracks"])
    assert np.isnan(cracks.mm_per_px)
    node.subscriptions_made["camera_info"][1](camera_info(500.0, 96))
    node.subscriptions_made["odom"][1](odometry(0, 1.0))
    node.subscriptions_made["image"][1](image(wall()))
    assert arrived(node.publishers_made["cracks"], 2)[1].mm_per_px == pytest.approx(1.0)
    [(period_s, diagnose)] = node.timers
    diagnose()
    [diagnosed] = node.publishers_made["/diagnostics"].published
    assert period_s == 1.0
    assert diagnosed.status[0].level == b"\0"
    assert diagnosed.status[0].message == "segmenting"


def test_the_newest_image_wins_and_the_others_are_counted(start: Callable[..., Any]) -> None:
    node = start()
    for at in range(200):
        node.subscriptions_made["image"][1](image(wall(), at_ns=10**18 + at))
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        masks = node.publishers_made["mask"].published
        if masks and masks[-1].header.stamp.nanosec == 199:
            break
        time.sleep(0.002)
    stamps = [mask.header.stamp.nanosec for mask in masks]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == 199
    core = node._core
    while core.processed < len(masks):
        time.sleep(0.002)
    assert core.processed + core.dropped == 200


def test_what_nobody_listens_to_is_not_made(start: Callable[..., Any]) -> None:
    node = start()
    for publisher in node.publishers_made.values():
        publisher.listeners = int(publisher.topic == "mask")
    node.subscriptions_made["image"][1](image(wall()))
    arrived(node.publishers_made["mask"])
    node.subscriptions_made["image"][1](image(wall()))
    arrived(node.publishers_made["mask"], 2)
    assert node.publishers_made["overlay/compressed"].published == []
    assert node.publishers_made["cracks"].published == []


def test_a_picture_that_cannot_be_used_is_logged_and_the_next_is_answered(
    start: Callable[..., Any],
) -> None:
    node = start()
    node.subscriptions_made["image"][1](image(wall(), encoding="64FC1"))
    end_s = time.monotonic() + 60
    while not node.errors and time.monotonic() < end_s:
        time.sleep(0.002)
    assert "encoding '64FC1'" in node.errors[0]
    node.subscriptions_made["image"][1](image(wall()))
    arrived(node.publishers_made["mask"])


def test_the_file_of_parameters_is_what_the_node_declares(start: Callable[..., Any]) -> None:
    text = (ROS / "config/cracks.yaml").read_text(encoding="utf-8")
    lines = re.findall(r"^    (\w+): ([^#\n]+?) *(?:#.*)?$", text, re.M)
    stated = config.tomllib.loads(
        "\n".join(f"{k} = {v}" if v != "best_effort" else f'{k} = "{v}"' for k, v in lines)
    )
    assert stated == start().declared


def test_the_packages_agree_with_each_other_and_with_pyproject() -> None:
    project = config.tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in ("scnet_edge_ros", "scnet_edge_msgs"):
        package = ElementTree.parse(ROOT / name / "package.xml").getroot()
        assert package.findtext("name") == name
        assert package.findtext("version") == project["version"]
        assert package.findtext("license") == project["license"]
    listed = re.findall(r'"msg/(\w+)\.msg"', (ROOT / "scnet_edge_msgs/CMakeLists.txt").read_text())
    assert sorted(listed) == sorted(OURS)
    assert {path.stem for path in (ROOT / "scnet_edge_msgs/msg").glob("*.msg")} == {*OURS}
    ros = ElementTree.parse(ROS / "package.xml").getroot()
    depends = {element.text for element in ros.findall("depend")}
    source = "".join(p.read_text(encoding="utf-8") for p in (ROS / "scnet_edge_ros").glob("*.py"))
    used = set(re.findall(r"^from (\w+)\.msg import", source, re.M)) | {"rclpy"}
    used |= {kind.split("/")[0] for kind in re.findall(r'"(\w+/msg/\w+)"', source)}
    assert used <= depends


def test_setup_installs_the_files_that_it_names(tmp_path: Path) -> None:
    shutil.copytree(ROS, tmp_path / "source")
    command = [sys.executable, "setup.py", "install_data", "--install-dir", str(tmp_path / "to")]
    done = subprocess.run(
        command, cwd=tmp_path / "source", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    share = tmp_path / "to" / "share"
    installed = {str(path.relative_to(share)) for path in share.rglob("*") if path.is_file()}
    assert installed == {
        "ament_index/resource_index/packages/scnet_edge_ros",
        "scnet_edge_ros/package.xml",
        "scnet_edge_ros/launch/cracks.launch.py",
        "scnet_edge_ros/config/cracks.yaml",
    }
