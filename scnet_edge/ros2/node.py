"""The node's work: an image message in; mask, cracks, boxes and overlay out, the mask first."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from time import perf_counter
from typing import Any, Literal

from scnet_edge.errors import ConfigError, EngineError, InputError
from scnet_edge.inspection.chainage import Chainage
from scnet_edge.inspection.measure import Crack, Scale, measure_cracks
from scnet_edge.runtime.counters import Latency, Percentiles
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.sinks import ros_messages
from scnet_edge.sinks.ros_messages import Make
from scnet_edge.types import Frame, Result
from scnet_edge.video.ros_images import frame_of, stamp_ns

Output = Literal["mask", "cracks", "detections", "overlay"]
OUTPUTS: dict[Output, str] = {
    "mask": "sensor_msgs/msg/Image",
    "cracks": "scnet_edge_msgs/msg/Cracks",
    "detections": "vision_msgs/msg/Detection2DArray",
    "overlay": "sensor_msgs/msg/CompressedImage",
}
STAGES = ("decode", "segment", "publish mask")
OK, WARN, ERROR = 0, 1, 2  # of diagnostic_msgs/msg/DiagnosticStatus


class CrackNode:
    """What a ROS 2 node does, without ROS.

    `image` belongs to one thread; camera info, odometry and diagnostics may come in another.

    Args:
        segment: A pipeline, or anything that makes a `Result` of a BGR frame.
        make: Makes the messages that are given back; see `ros_messages`.
        facts: What runs, by label, for the diagnostics.
        distance_m: From the camera to the wall; with a camera info it gives the scale.

    Raises:
        ConfigError: the distance is not a number above 0.
    """

    def __init__(
        self,
        segment: Callable[[Frame], Result],
        make: Make,
        *,
        facts: Mapping[str, str],
        distance_m: float | None = None,
    ) -> None:
        if distance_m is not None and not 0 < distance_m < math.inf:
            raise ConfigError(f"distance_m: expected a number above 0, found {distance_m}")
        self._segment, self._make, self._facts = segment, make, dict(facts)
        self._distance_m = distance_m
        self._focal: tuple[float, int] | None = None  # in pixels, and of an image of that width
        self._chainage = Chainage()
        self._latency = Latency()
        self._latency.stages.update((stage, Percentiles()) for stage in STAGES)
        self.processed = self.dropped = self.refused = self.cracks = 0
        self._error = ""

    @property
    def received(self) -> int:
        """Images that came and were seen through, or not."""
        return self.processed + self.dropped + self.refused

    def camera_info(self, message: Any) -> None:
        """Take a CameraInfo; one that is not calibrated, with a focal length of 0, is left out."""
        focal_px, width_px = float(message.k[0]), int(message.width)
        if focal_px > 0 and width_px > 0 and math.isfinite(focal_px):
            self._focal = (focal_px, width_px)

    def odometry(self, message: Any) -> None:
        """Take an Odometry."""
        self._chainage.add(message)

    def drop(self, count: int = 1) -> None:
        """Count images for which there was no time."""
        self.dropped += count

    def image(
        self, message: Any, wanted: Collection[Output] = tuple(OUTPUTS)
    ) -> Iterator[tuple[Output, Any]]:
        """Yield what comes of an Image or CompressedImage, each as soon as it is made.

        Args:
            message: Its header is copied to all that is yielded.
            wanted: What somebody listens to; the rest is not made.

        Raises:
            InputError: a picture that cannot be used; counted, and said in the diagnostics.
            EngineError: the engine failed; likewise.
        """
        start_s = perf_counter()
        try:
            frame = frame_of(message)
            decoded_s = perf_counter()
            result = self._segment(frame)
        except (InputError, EngineError) as e:
            self.refused += 1
            self._error = str(e)
            raise
        segmented_s = perf_counter()
        if "mask" in wanted:
            yield "mask", ros_messages.mask_image(self._make, message.header, result.mask)
        clock_s = (start_s, decoded_s, segmented_s, perf_counter())
        stages_ms = (1e3 * (after - before) for before, after in pairwise(clock_s))
        self._latency.add(dict(zip(STAGES, stages_ms, strict=True)))
        yield from self._measure(message.header, frame, result, wanted)
        self.processed += 1
        self._error = ""

    def _measure(
        self, head: Any, frame: Frame, result: Result, wanted: Collection[Output]
    ) -> Iterator[tuple[Output, Any]]:
        if "cracks" in wanted or "detections" in wanted:
            scale = self._scale(frame.shape[1])
            cracks: list[Crack] = measure_cracks(result.mask, frame=frame, scale=scale)
            self.cracks += len(cracks)
            if "cracks" in wanted:
                yield (
                    "cracks",
                    ros_messages.cracks_message(
                        self._make,
                        head,
                        cracks,
                        chainage_m=self._chainage.at(stamp_ns(head)),
                        mm_per_px=scale.mm_per_px if scale else None,
                        flags=result.flags,
                    ),
                )
            if "detections" in wanted:
                yield "detections", ros_messages.detections(self._make, head, cracks)
        if "overlay" in wanted:
            overlay = draw_overlay(frame, result.mask)
            yield "overlay", ros_messages.picture(self._make, head, overlay)

    def _scale(self, width_px: int) -> Scale | None:
        """Return the scale at the wall; None without camera info or distance.

        The focal length is of the camera info's width; an image of another is scaled or binned.
        """
        if self._focal is None or self._distance_m is None:
            return None
        focal_px, of_width_px = self._focal
        return Scale(mm_per_px=1e3 * self._distance_m / (focal_px * width_px / of_width_px))

    def diagnostics(self, head: Any) -> Any:
        """Return a DiagnosticArray of one status; a header of now is given."""
        level, said = self._state()
        values = {
            **self._facts,
            "images received": str(self.received),
            "images processed": str(self.processed),
            "images dropped, for lack of time": str(self.dropped),
            "images refused": str(self.refused),
            "cracks": str(self.cracks),
            "camera info": "yes" if self._focal else "no",
            "odometry": "yes" if self._chainage.known else "no",
            **{
                f"{stage}, ms, median": f"{ms[0]:.1f}"
                for stage, ms in self._latency.summary_ms().items()
                if self.processed
            },
        }
        status = self._make(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=level,
            name="scnet_edge: crack segmentation",
            message=said,
            hardware_id="",
            values=[
                self._make("diagnostic_msgs/msg/KeyValue", key=key, value=value)
                for key, value in values.items()
            ],
        )
        return self._make("diagnostic_msgs/msg/DiagnosticArray", header=head, status=[status])

    def _state(self) -> tuple[int, str]:
        """Return level and message: an error before a warning, a warning before none."""
        if self._error:
            return ERROR, self._error
        if not self.received:
            return WARN, "no image yet"
        if self._distance_m is not None and self._focal is None:
            return WARN, "no calibrated camera info yet: sizes are in pixels alone"
        return OK, "segmenting"
