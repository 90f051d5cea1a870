"""Messages of rclpy from plain values."""

from __future__ import annotations

from array import array
from importlib import import_module
from typing import Any

import numpy as np


def message_class(kind: str) -> Any:
    """Return the class of a type such as `sensor_msgs/msg/Image`."""
    package, folder, name = kind.split("/")
    return getattr(import_module(f"{package}.{folder}"), name)


def make_message(kind: str, /, **fields: Any) -> Any:
    """Return a message of a type such as `sensor_msgs/msg/Image`.

    rclpy takes bytes of an `array` as they are, where it would look at each byte of anything else,
    and wants an octet as bytes.
    """
    for key, value in fields.items():
        if isinstance(value, np.ndarray) and value.dtype == np.uint8:
            fields[key] = array("B")
            fields[key].frombytes(memoryview(np.ascontiguousarray(value)).cast("B"))
    if kind == "diagnostic_msgs/msg/DiagnosticStatus":
        fields["level"] = bytes([fields["level"]])
    return message_class(kind)(**fields)
