"""The real wire: Cyclone DDS, which most ROS 2 installations speak, on loopback, as the peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="no wheel for this machine")

from dds_types import Header, Image, Time
from wire import START_NS, image

from scnet_edge.ros2.node import CrackNode
from scnet_edge.sinks.ros_results import make_message, types
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import drawn_frames

IMAGES, SIZE_HW = 5, (48, 64)
LOOPBACK = (
    "<CycloneDDS><Domain><General><AllowMulticast>false</AllowMulticast><Interfaces>"
    '<NetworkInterface name="lo" multicast="false"/></Interfaces></General><Discovery>'
    '<ParticipantIndex>auto</ParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers>'
    "</Discovery></Domain></CycloneDDS>"
)


def dark(frame: Frame) -> Result:
    darkness = 1 - frame.mean(axis=2, dtype=np.float32) / 255
    return Result(mask=darkness >= 0.5, probability=darkness, edges=None)


def test_the_bytes_are_those_of_another_implementation() -> None:
    frame = next(drawn_frames(1, SIZE_HW))
    ours = types().serialize_cdr(image(frame), "sensor_msgs/msg/Image")
    stamp = Time(sec=START_NS // 10**9, nanosec=START_NS % 10**9)
    theirs = Image(
        header=Header(stamp=stamp, frame_id="front"),
        height=SIZE_HW[0],
        width=SIZE_HW[1],
        encoding="bgr8",
        is_bigendian=0,
        step=3 * SIZE_HW[1],
        data=list(frame.tobytes()),
    )
    assert bytes(ours) == theirs.serialize()


CAMERA = """
import json, sys, time
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration
from dds_types import Header, Image, Time
from wire import START_NS
from scnet_edge.video.fake_source import drawn_frames

domain, images, height, width = map(int, sys.argv[1:])
participant = DomainParticipant(domain)
sensor = Qos(Policy.Reliability.Reliable(duration(seconds=5)), Policy.History.KeepLast(10))
writer = DataWriter(participant, Topic(participant, "rt/image", Image), qos=sensor)
reader = DataReader(participant, Topic(participant, "rt/mask", Image), qos=sensor)
masks, end_s = [], time.monotonic() + 60
while not writer.get_matched_subscriptions() and time.monotonic() < end_s:
    time.sleep(0.02)
for i, frame in enumerate(drawn_frames(images, (height, width))):
    head = Header(stamp=Time(sec=START_NS // 10**9 + i, nanosec=i), frame_id="front")
    writer.write(Image(head, height, width, "bgr8", 0, 3 * width, list(frame.tobytes())))
    while len(masks) <= i and time.monotonic() < end_s:
        masks += reader.take(1)
        time.sleep(0.005)
print(json.dumps([
    {"sec": m.header.stamp.sec, "nanosec": m.header.stamp.nanosec, "frame_id": m.header.frame_id,
     "encoding": m.encoding, "size_hw": [m.height, m.width], "data": list(m.data)} for m in masks
]))
"""


def test_images_in_masks_out_over_dds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera in another process publishes, the node answers, the camera reads the masks."""
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    from cyclonedds.core import Policy, Qos
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.pub import DataWriter
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic
    from cyclonedds.util import duration

    domain = 40 + os.getpid() % 60
    participant = DomainParticipant(domain)
    sensor = Qos(Policy.Reliability.Reliable(duration(seconds=5)), Policy.History.KeepLast(10))
    reader = DataReader(participant, Topic(participant, "rt/image", Image), qos=sensor)
    writer = DataWriter(participant, Topic(participant, "rt/mask", Image), qos=sensor)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}",
    }
    arguments = [sys.executable, "-c", CAMERA, *map(str, (domain, IMAGES, *SIZE_HW))]
    core, answered = CrackNode(dark, make_message, facts={}), 0
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as camera:
        assert camera.stdout is not None
        end_s = time.monotonic() + 60
        while answered < IMAGES and time.monotonic() < end_s:
            for message in reader.take(1):
                message.data = bytes(message.data)
                for _, mask in core.image(message, ["mask"]):
                    mask.data = mask.data.tolist()
                    stamp = Time(mask.header.stamp.sec, mask.header.stamp.nanosec)
                    head = Header(stamp, mask.header.frame_id)
                    fields = (mask.height, mask.width, mask.encoding, 0, mask.step, mask.data)
                    writer.write(Image(head, *fields))
                    answered += 1
            time.sleep(0.005)
        masks = json.loads(camera.stdout.read())
    assert len(masks) == IMAGES
    for i, (mask, frame) in enumerate(zip(masks, drawn_frames(IMAGES, SIZE_HW), strict=True)):
        assert (mask["sec"], mask["nanosec"]) == (START_NS // 10**9 + i, i)
        assert (mask["frame_id"], mask["encoding"]) == ("front", "mono8")
        expected = np.where(frame[..., 0] < 128, 255, 0)
        np.testing.assert_array_equal(np.reshape(mask["data"], mask["size_hw"]), expected)
