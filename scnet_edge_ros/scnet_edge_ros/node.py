"""`ros2 run scnet_edge_ros cracks`: a lifecycle node that starts itself, unless told not to.

in   image (Image) or image/compressed, camera_info, odom
out  mask, cracks, detections, overlay/compressed, /diagnostics
"""

from __future__ import annotations

import threading
import traceback
from contextlib import suppress
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from scnet_edge.errors import EngineError, EngineGone, InputError, ScnetEdgeError
from scnet_edge.ros2.node import OUTPUTS, CrackNode
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge_ros.messages import make_message, message_class

PARAMETERS = {
    "autostart": True,
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
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Cracks(LifecycleNode):
    """Inactive, it has an engine and topics to publish; active, it subscribes and segments.

    The newest image waits for a thread that segments. Parameters are read when it is configured.

    Raises:
        ParameterException: a parameter has the wrong type.

    Attributes:
        engine_gone: whether the engine crashed too often to go on.
    """

    def __init__(self) -> None:
        super().__init__("scnet_edge")
        for name, default in PARAMETERS.items():
            self.declare_parameter(name, default)
        self.engine_gone = False
        self._given: dict[str, Any] = {}
        self._pipeline: Pipeline | None = None
        self._outputs: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._timer: Any = None
        self._worker: threading.Thread | None = None
        self._newest: Any = None
        self._changed = threading.Condition()
        self._closing = False
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def start(self) -> bool:
        """Configure and activate the node, unless `autostart` is off; return whether it went well.

        A refusal has been logged.
        """
        if not self.get_parameter("autostart").value:
            return True
        steps = (self.trigger_configure, self.trigger_activate)
        return all(step() == SUCCESS for step in steps)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open bundle and engine and offer the topics; refuse in one line."""
        try:
            self._open()
        except ScnetEdgeError as e:
            self.get_logger().error(str(e))
            self._release()
            return FAILURE
        except BaseException:
            self.get_logger().fatal(traceback.format_exc())  # rclpy would not tell it
            raise
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, and start the thread."""
        self._subscribe()
        self._timer = self.create_timer(self._given["diagnostics_period_s"], self._diagnose)
        self._closing = False
        self._worker = threading.Thread(target=self._work, name="segment")
        self._worker.start()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the image in work be answered, drop the one that waits, and take no more."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the engine, and take back the topics."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free all, from whatever state."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free all, so that the node can be configured again."""
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Free all; no transition, for after Ctrl-C rclpy cannot make one."""
        self._release()
        super().destroy_node()

    def _open(self) -> None:
        self._given = given = {name: self.get_parameter(name).value for name in PARAMETERS}
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
        names = {"overlay": "overlay/compressed"}
        for output, kind in OUTPUTS.items():
            topic = names.get(output, output)
            self._outputs[output] = self.create_lifecycle_publisher(message_class(kind), topic, 10)

    def _release(self) -> None:
        self._stop()
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None

    def _subscribe(self) -> None:
        quality = QoSProfile(
            history=qos_profile_sensor_data.history,
            depth=1,
            reliability=RELIABILITY[self._given["input_reliability"]],
        )
        images = (Image, "image")
        if self._given["compressed"]:
            images = (CompressedImage, "image/compressed")
        sensor = qos_profile_sensor_data
        self._inputs = [
            self.create_subscription(*images, self._take, quality),
            self.create_subscription(CameraInfo, "camera_info", self._core.camera_info, sensor),
            self.create_subscription(Odometry, "odom", self._core.odometry, sensor),
        ]

    def _stop(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join()
            self._worker = None
        if self._newest is not None:
            self._core.drop()
            self._newest = None

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
                self.engine_gone = True
                rclpy.try_shutdown()
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
    """Run the node until it is stopped; end with 1 where it cannot start or its engine is gone."""
    rclpy.init()
    try:
        node = Cracks()
    except ParameterException as e:
        rclpy.logging.get_logger("scnet_edge").fatal(str(e))
        raise SystemExit(1) from None
    try:
        started = node.start()
        if started:
            with suppress(KeyboardInterrupt, ExternalShutdownException):
                rclpy.spin(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    if node.engine_gone or not started:
        raise SystemExit(1)
