"""What an NVIDIA driver says of a graphics card, asked of its own library: no package is needed.

A Jetson has its sensors in /sys; a PC's card has them here. What the driver does not tell is left
out, as in `sysfs`. nvidia-ml-py would save 50 lines here, and every robot would carry and import
8,000 for twelve calls.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from typing import Any

log = logging.getLogger(__name__)

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
# What is asked, and with which arguments: a card is an opaque pointer.
CARD = TO = ctypes.c_void_p
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "nvmlInit_v2": (),
    "nvmlSystemGetDriverVersion": (ctypes.c_char_p, ctypes.c_uint),
    "nvmlDeviceGetCount_v2": (TO,),
    "nvmlDeviceGetHandleByIndex_v2": (ctypes.c_uint, TO),
    "nvmlDeviceGetHandleByUUID": (ctypes.c_char_p, TO),
    "nvmlDeviceGetFieldValues": (CARD, ctypes.c_int, TO),
    "nvmlDeviceGetPowerUsage": (CARD, TO),
    "nvmlDeviceGetTemperature": (CARD, ctypes.c_int, TO),
    "nvmlDeviceGetClockInfo": (CARD, ctypes.c_int, TO),
    "nvmlDeviceGetUtilizationRates": (CARD, TO),
    "nvmlDeviceGetCurrentClocksEventReasons": (CARD, TO),
    "nvmlDeviceGetCurrentClocksThrottleReasons": (CARD, TO),  # its name before CUDA 12.2
}


class _Field(ctypes.Structure):
    # The value is a union of eight bytes, of which little-endian machines agree on the lower four.
    _fields_ = (
        ("number", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("timestamp", ctypes.c_longlong),
        ("latency", ctypes.c_longlong),
        ("kind", ctypes.c_int),
        ("status", ctypes.c_int),
        ("value", ctypes.c_uint),
        ("more", ctypes.c_uint),
    )


class _Load(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class GraphicsCard:
    """One NVIDIA card.

    Args:
        library: NVML, or what stands in for it.
        handle: The card, as `nvmlDeviceGetHandleByIndex_v2` gave it.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle

    def power_mw(self) -> float | None:
        """Return milliwatts now; the mean of the last second where the driver has no other."""
        field = _Field(number=INSTANT_POWER)
        asked = self._ask("nvmlDeviceGetFieldValues", 1, ctypes.byref(field))
        if asked and field.status == 0 and field.value:
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
        asked = self._ask("nvmlDeviceGetUtilizationRates", ctypes.byref(load))
        return float(load.gpu) if asked else None

    def slowed_by(self) -> tuple[str, ...]:
        """Return why the card is slower than it could be; empty when it is not."""
        reasons = ctypes.c_ulonglong(0)
        for name in ("Event", "Throttle"):  # the newer name first
            call = f"nvmlDeviceGetCurrentClocks{name}Reasons"
            if self._ask(call, ctypes.byref(reasons)):
                return tuple(f"gpu:{why}" for bit, why in SLOWING.items() if reasons.value & bit)
        return ()

    def _number(self, call: str, *which: int) -> float | None:
        value = ctypes.c_uint(0)
        asked = self._ask(call, *which, ctypes.byref(value))
        return float(value.value) if asked else None

    def _ask(self, call: str, *arguments: Any) -> bool:
        return ask(self._library, call, self._handle, *arguments)


def ask(library: Any, call: str, *arguments: Any) -> bool:
    """Return whether a call succeeded; a driver that lacks the function did not answer."""
    function = getattr(library, call, None)
    if function is None:
        return False
    function.argtypes = ARGUMENTS[call]
    return bool(function(*arguments) == 0)


@functools.cache
def first_card() -> GraphicsCard | None:
    """Return the card that is CUDA's first; None without one, or where nobody can tell which.

    NVML counts all cards in the order of their slots. CUDA begins with the fastest, and
    `CUDA_VISIBLE_DEVICES` hides cards from it.
    """
    library, handle = _open(), ctypes.c_void_p()
    if library is None:
        return None
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    to = ctypes.byref(handle)
    if not wanted.isdecimal():  # a UUID; "" and "-1" hide all cards, and are none's
        found = ask(library, "nvmlDeviceGetHandleByUUID", wanted.encode(), to)
    else:
        found = _counts_like_cuda(library) and ask(
            library, "nvmlDeviceGetHandleByIndex_v2", int(wanted), to
        )
    return GraphicsCard(library, handle) if found else None


def driver_version() -> str | None:
    """Return the version of the NVIDIA driver, `580.159.04`; None without one."""
    library, text = _open(), ctypes.create_string_buffer(96)
    if library is None or not ask(library, "nvmlSystemGetDriverVersion", text, len(text)):
        return None
    return text.value.decode(errors="replace")


def _open() -> Any:
    """Return NVML, ready to be asked; None where there is none."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    return library if ask(library, "nvmlInit_v2") else None


def _counts_like_cuda(library: Any) -> bool:
    """Return whether a number means the same card to NVML and to CUDA."""
    count = ctypes.c_uint(0)
    ask(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
    if count.value == 1 or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return True
    if count.value:
        log.warning(
            "sensors of an NVIDIA card are not read: which of %d CUDA uses is not known; "
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID",
            count.value,
        )
    return False
