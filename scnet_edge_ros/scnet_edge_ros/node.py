"""`ros2 run scnet_edge_ros cracks`: the node; starts working at once, without lifecycle calls.

in   image (Image) or image/compressed, camera_info, odom
out  mask, cracks, detections, overlay/compressed, /diagnostics
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from scnet_edge.errors import EngineError, EngineGone, InputError, ScnetEdgeError
from scnet_edge.ros2.node import OUTPUTS, CrackNode
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge_ros.messages import make_message, message_class

PARAMETERS = {
    "bundle": "",
    "engine": "",
    "threads": 0,
    "isolate": True,
    "compressed": False,
    "input_reliability": "best_effort",
    "distance_m": 0.0,
    "diagnostics_period_s": 1.0,
}
RELIABILITY = {
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
}


class Cracks(Node):
    """Subscribes and publishes; the newest image waits for a thread that segments.

    Raises:
        ScnetEdgeError: a parameter, the bundle or the engine cannot be used.
    """

    def __init__(self) -> None:
        super().__init__("scnet_edge")
        given = {name: self._parameter(name, default) for name, default in PARAMETERS.items()}
        if not given["bundle"]:
            raise InputError("parameter bundle: expected a folder that 'scnet-edge build' wrote")
        if given["input_reliability"] not in RELIABILITY:
            raise InputError(f"parameter input_reliability: expected one of {list(RELIABILITY)}")
        self._pipeline = Pipeline.open(
            given["bundle"],
            engine=given["engine"] or None,
            threads=given["threads"] or None,
            isolate=given["isolate"],
        )
        manifest = self._pipeline.manifest
        self._core = CrackNode(
            self._pipeline,
            make_message,
            facts={
                "model": manifest.model.name,
                "precision": manifest.precision,
                "engine": self._pipeline.engine,
            },
            distance_m=given["distance_m"] or None,
        )
        self._newest: Any = None
        self._changed = threading.Condition()
        self._closing = False
        self._connect(given)
        self._worker = threading.Thread(target=self._work, name="segment")
        self._worker.start()

    def destroy_node(self) -> None:
        """Let the thread end, then release engine and node."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._worker.join()
        self._pipeline.close()
        super().destroy_node()

    def _parameter(self, name: str, default: Any) -> Any:
        return self.declare_parameter(name, default).value

    def _connect(self, given: dict[str, Any]) -> None:
        quality = QoSProfile(
            history=qos_profile_sensor_data.history,
            depth=1,
            reliability=RELIABILITY[given["input_reliability"]],
        )
        kind, topic = (
            (CompressedImage, "image/compressed") if given["compressed"] else (Image, "image")
        )
        self.create_subscription(kind, topic, self._take, quality)
        sensor = qos_profile_sensor_data
        self.create_subscription(CameraInfo, "camera_info", self._core.camera_info, sensor)
        self.create_subscription(Odometry, "odom", self._core.odometry, sensor)
        names = {"overlay": "overlay/compressed"}
        self._outputs = {
            output: self.create_publisher(message_class(kind), names.get(output, output), 10)
            for output, kind in OUTPUTS.items()
        }
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(given["diagnostics_period_s"], self._diagnose)

    def _take(self, message: Any) -> None:
        with self._changed:
            if self._newest is not None:
                self._core.drop()
            self._newest = message
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._closing)
                if self._closing:
                    return
                message, self._newest = self._newest, None
            try:
                self._segment(message)
            except EngineGone as e:
                self.get_logger().fatal(str(e))
                rclpy.shutdown()
                return
            except (InputError, EngineError) as e:
                self.get_logger().error(str(e), throttle_duration_sec=5.0)

    def _segment(self, message: Any) -> None:
        wanted = [name for name, to in self._outputs.items() if to.get_subscription_count()]
        for name, made in self._core.image(message, wanted):
            self._outputs[name].publish(made)

    def _diagnose(self) -> None:
        head = Header(stamp=self.get_clock().now().to_msg(), frame_id="")
        self._diagnostics.publish(self._core.diagnostics(head))


def main() -> None:
    """Run the node until it is stopped; what is wrong with its parameters is one line."""
    rclpy.init()
    try:
        node = Cracks()
    except ScnetEdgeError as e:
        rclpy.logging.get_logger("scnet_edge").fatal(str(e))
        raise SystemExit(1) from None
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()
    rclpy.try_shutdown()
