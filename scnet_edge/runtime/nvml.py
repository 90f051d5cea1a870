"""What an NVIDIA driver says of a graphics card, asked of its own library: no package is needed.

A Jetson has its sensors in /sys; a PC's card has them here. What the driver does not tell is left
out, as in `sysfs`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
# Numbers of nvml.h: clock domains, the sensor, the field of the power of this moment.
SM_CLOCK, MEMORY_CLOCK, CORE_SENSOR, INSTANT_POWER = 1, 2, 0, 186
# Bits of the reasons for a lower clock. Idleness and a chosen clock slow nothing down, and a card
# that is at its power limit does what its mode allows.
SLOWING = {
    0x08: "hardware slowdown",
    0x20: "hot",
    0x40: "hot (hardware)",
    0x80: "power brake",
}


class _Field(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("timestamp", ctypes.c_longlong),
        ("latency", ctypes.c_longlong),
        ("kind", ctypes.c_int),
        ("status", ctypes.c_int),
        (
            "value",
            ctypes.c_uint,
        ),  # of a union of eight bytes, which little-endian machines agree on
        ("more", ctypes.c_uint),
    )


class _Load(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Card:
    """The first NVIDIA card, as NVML numbers them.

    Args:
        library: NVML, or what stands in for it.
        handle: The card, as `nvmlDeviceGetHandleByIndex_v2` gave it.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle

    def power_mw(self) -> float | None:
        """Return milliwatts now; the mean of the last second where the driver has no other."""
        field = _Field(number=INSTANT_POWER)
        with contextlib.suppress(AttributeError):  # a driver from before 2018
            status = self._library.nvmlDeviceGetFieldValues(self._handle, 1, ctypes.byref(field))
            if status == 0 and field.status == 0 and field.value:
                return float(field.value)
        return self._number("nvmlDeviceGetPowerUsage")

    def temperature_c(self) -> float | None:
        """Return degrees Celsius of the chip."""
        return self._number("nvmlDeviceGetTemperature", CORE_SENSOR)

    def clocks_mhz(self) -> dict[str, float]:
        """Return megahertz of the multiprocessors and of the memory."""
        found = {
            "gpu": self._number("nvmlDeviceGetClockInfo", SM_CLOCK),
            "gpu memory": self._number("nvmlDeviceGetClockInfo", MEMORY_CLOCK),
        }
        return {name: mhz for name, mhz in found.items() if mhz is not None}

    def load_percent(self) -> float | None:
        """Return how much of the last moments a kernel ran, 0 to 100."""
        load = _Load()
        status = self._library.nvmlDeviceGetUtilizationRates(self._handle, ctypes.byref(load))
        return float(load.gpu) if status == 0 else None

    def slowed_by(self) -> tuple[str, ...]:
        """Return why the card is slower than it could be; empty when it is not."""
        reasons = ctypes.c_ulonglong(0)
        status = self._library.nvmlDeviceGetCurrentClocksThrottleReasons(
            self._handle, ctypes.byref(reasons)
        )
        found = reasons.value if status == 0 else 0
        return tuple(f"gpu:{why}" for bit, why in SLOWING.items() if found & bit)

    def driver(self) -> str | None:
        """Return the version of the driver, `580.159.04`."""
        text = ctypes.create_string_buffer(96)
        if self._library.nvmlSystemGetDriverVersion(text, len(text)):
            return None
        return text.value.decode(errors="replace")

    def _number(self, call: str, *which: int) -> float | None:
        value = ctypes.c_uint(0)
        status = getattr(self._library, call)(self._handle, *which, ctypes.byref(value))
        return float(value.value) if status == 0 else None


@functools.cache
def first_card() -> Card | None:
    """Return the first card of this machine; None without a driver or a card."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    handle = ctypes.c_void_p()
    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
        return None
    return Card(library, handle)
