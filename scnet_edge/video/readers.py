"""How each kind of camera is read: in the capture process, where it may hang or crash.

Nothing here has a deadline of its own: `camera` kills this process at the one that it was given.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Generator
from typing import IO

import cv2
import numpy as np

from scnet_edge.data.frames import as_bgr, check_size
from scnet_edge.errors import InputError
from scnet_edge.types import Frame
from scnet_edge.video.network import mjpeg_frames, rtsp_frames
from scnet_edge.video.shared_frames import CameraTrouble
from scnet_edge.video.uris import Camera

# Where nothing can be made: else GStreamer keeps one in the home folder. It sets the permissions of
# the folder that it is given, so as root no device may stand in that place.
NO_REGISTRY = "/proc/none/registry"
# To RGB in a format that tells the size of every frame. The leaky queue keeps the newest frame:
# what the camera gives faster than we read is dropped here, and never becomes a delay.
GST_TAIL = (
    "! queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 "
    "! videoconvert ! video/x-raw,format=RGB ! pnmenc ! fdsink fd=1 sync=false"
)


def read_camera(camera: Camera) -> Generator[Frame | None]:
    """Yield what the camera sees, (h, w, 3) uint8 BGR; None for a frame that is damaged.

    Raises:
        CameraTrouble: the camera cannot be opened or gives no more.
    """
    if camera.kind == "http":
        return mjpeg_frames(camera.target)
    if camera.kind == "v4l2":
        return _v4l2_frames(camera)
    if camera.kind == "rtsp":
        return rtsp_frames(camera)
    if camera.kind == "ros2":
        from scnet_edge.video.ros2_topic import topic_frames  # its packages are an extra

        return topic_frames(camera)
    return gst_frames(gst_pipeline(camera))


def gst_pipeline(camera: Camera) -> str:
    """Return the GStreamer pipeline that ends in PPM frames on standard output."""
    if camera.kind == "gst":
        return f"{camera.target} {GST_TAIL}"
    size = f"width={camera.width_px or 1280},height={camera.height_px or 720}"
    return (
        f"nvarguscamerasrc sensor-id={camera.target} "
        f"! video/x-raw(memory:NVMM),{size},framerate={camera.fps or 30}/1,format=NV12 "
        f"! nvvidconv ! video/x-raw,format=BGRx {GST_TAIL}"
    )


def gst_frames(pipeline: str) -> Generator[Frame | None]:
    """Yield the PPM frames that `gst-launch-1.0` writes.

    Raises:
        CameraTrouble: the pipeline cannot be built, or it ended.
    """
    try:
        command = ["gst-launch-1.0", "-q", *shlex.split(pipeline)]
    except ValueError as e:
        detail = f"the pipeline cannot be split into words ({e}); close the quotation"
        raise CameraTrouble("pipeline", detail, hopeless=True) from e
    # Its messages tell whether another try can help; they are read in English.
    english = {k: v for k, v in os.environ.items() if k != "LANGUAGE"} | {"LC_ALL": "C"}
    english.setdefault("GST_REGISTRY", NO_REGISTRY)
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=english) as process,
    ):
        assert process.stdout is not None
        try:
            while (frame := _read_ppm(process.stdout)) is not None:
                yield frame
            process.wait()
            raise _gst_trouble(log)
        finally:
            process.terminate()


def _read_ppm(stream: IO[bytes]) -> Frame | None:
    """Return the next frame; None at the end."""
    lines = [stream.readline(64) for _ in range(3)]  # P6, width height, 255
    if not lines[-1]:
        return None
    width_px, height_px = map(int, lines[1].split())
    check_size(height_px, width_px, "GStreamer")
    pixels = np.empty((height_px, width_px, 3), np.uint8)
    view, at = pixels.data.cast("B"), 0
    while at < len(view):
        if not (count := stream.readinto(view[at:])):  # type: ignore[attr-defined]
            return None
        at += count
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR, dst=pixels).view(np.uint8)


def _gst_trouble(log: IO[bytes]) -> CameraTrouble:
    log.seek(0)
    lines = log.read(65_536).decode(errors="replace").splitlines()
    said = [line for line in lines if line.startswith(("ERROR", "WARNING"))]
    detail = said[0].split(": ", 1)[-1] if said else "the pipeline ended"
    hopeless = detail.startswith(("erroneous pipeline", "pipeline could not be constructed"))
    return CameraTrouble("pipeline" if said else "ended", detail, hopeless=hopeless)


def _v4l2_frames(camera: Camera) -> Generator[Frame | None]:
    capture = cv2.VideoCapture(camera.target, cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))  # raw YUV starves USB 2
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    for wish, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, camera.width_px),
        (cv2.CAP_PROP_FRAME_HEIGHT, camera.height_px),
        (cv2.CAP_PROP_FPS, camera.fps),
    ):
        if value is not None:
            capture.set(wish, value)
    return _opencv_frames(capture, "no camera there that gives pictures, or it is in use")


def _opencv_frames(capture: cv2.VideoCapture, if_closed: str) -> Generator[Frame | None]:
    try:
        if not capture.isOpened():
            raise CameraTrouble("unreachable", if_closed)
        while capture.grab():
            decoded, image = capture.retrieve()
            yield _usable(image) if decoded else None
        raise CameraTrouble("ended", "the camera gives no more frames")
    finally:
        capture.release()


def _usable(image: object) -> Frame | None:
    try:
        return as_bgr(image)  # type: ignore[arg-type]
    except InputError:
        return None
