"""Pictures as ROS 2 sends them, made BGR frames by stated rules or refused in one line.

A message is anything with the fields of `sensor_msgs/Image` or `CompressedImage`: one of rclpy, of
rosbags, or of any other library. Its bytes are read where they lie.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.frames import as_bgr, check_size
from scnet_edge.data.pictures import decode_image
from scnet_edge.errors import InputError
from scnet_edge.types import Frame

PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
# Encoding -> channels, bits of a channel, OpenCV's conversion to BGR; None where there is none.
ENCODINGS: Final[dict[str, tuple[int, int, int | None]]] = {
    "bgr8": (3, 8, None),
    "rgb8": (3, 8, cv2.COLOR_RGB2BGR),
    "bgra8": (4, 8, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, 8, cv2.COLOR_RGBA2BGR),
    "mono8": (1, 8, cv2.COLOR_GRAY2BGR),
    "mono16": (1, 16, None),
    "bayer_rggb8": (1, 8, cv2.COLOR_BayerRGGB2BGR),
    "bayer_bggr8": (1, 8, cv2.COLOR_BayerBGGR2BGR),
    "bayer_gbrg8": (1, 8, cv2.COLOR_BayerGBRG2BGR),
    "bayer_grbg8": (1, 8, cv2.COLOR_BayerGRBG2BGR),
    "yuv422": (2, 8, cv2.COLOR_YUV2BGR_UYVY),  # ROS's name for UYVY
    "uyvy": (2, 8, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, 8, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, 8, cv2.COLOR_YUV2BGR_YUY2),
}


def frame_of(message: Any, *, where: str = "image") -> Frame:
    """Return the picture of a message as (h, w, 3) uint8 BGR; one of bgr8 is not copied.

    Args:
        message: An Image of one of `ENCODINGS`, or a CompressedImage of JPEG or PNG.
        where: What to call it in an error.

    Raises:
        InputError: another encoding; sizes and bytes that do not fit; a picture that is damaged,
            too small or too large.
    """
    if not hasattr(message, "encoding"):
        return _decode_compressed(message, where)
    if message.encoding not in ENCODINGS:
        raise InputError(
            f"{where}: encoding {message.encoding!r}, expected one of {', '.join(ENCODINGS)}"
        )
    channels, bits, conversion = ENCODINGS[message.encoding]
    height_px, width_px = int(message.height), int(message.width)
    check_size(height_px, width_px, where)
    row_bytes = width_px * channels * bits // 8
    data = np.frombuffer(message.data, np.uint8)
    if message.step < row_bytes or data.size < message.step * height_px:
        raise InputError(
            f"{where}: {width_px}x{height_px} {message.encoding} needs rows of {row_bytes} bytes, "
            f"found rows of {message.step} and {data.size} bytes in all"
        )
    rows = data[: message.step * height_px].reshape(height_px, message.step)[:, :row_bytes]
    return _bgr(rows, message, channels, bits, conversion, where)


def _bgr(
    rows: npt.NDArray[np.uint8],
    message: Any,
    channels: int,
    bits: int,
    conversion: int | None,
    where: str,
) -> Frame:
    if bits == 16:
        order = ">u2" if message.is_bigendian else "<u2"
        values = np.ascontiguousarray(rows).view(order).astype(np.uint16)  # (h, w)
        return as_bgr(values, where=where)
    pixels = rows.reshape(rows.shape[0], -1, channels) if channels > 1 else rows
    if channels == 2 and pixels.shape[1] % 2:
        raise InputError(f"{where}: {message.encoding} of an odd width, {pixels.shape[1]} px")
    if conversion is None:
        return as_bgr(pixels, where=where)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)


def _decode_compressed(message: Any, where: str) -> Frame:
    if "compressedDepth" in message.format:
        raise InputError(f"{where}: a depth image ({message.format}), expected a camera's picture")
    return decode_image(bytes(message.data), where=where)


def stamp_ns(header: Any) -> int:
    """Return the time of a header in nanoseconds; 0 where nobody set it."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)
