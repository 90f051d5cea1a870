"""What an NVIDIA driver says of a graphics card, by NVML.

A Jetson has its sensors in /sys; a PC's card has them here. What the driver does not tell is left
out, as in `sysfs`. So is all of it without the package nvidia-ml-py, which `doctor` asks for where
there is a card.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import Any

try:
    import pynvml
except ModuleNotFoundError:
    pynvml = None

log = logging.getLogger(__name__)


class GraphicsCard:
    """One NVIDIA card.

    Args:
        handle: The card, as NVML calls it.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def power_mw(self) -> float | None:
        """Return milliwatts now; the mean of the last second where the driver has no other."""
        fields = self._ask(pynvml.nvmlDeviceGetFieldValues, [pynvml.NVML_FI_DEV_POWER_INSTANT])
        if fields and fields[0].nvmlReturn == pynvml.NVML_SUCCESS and fields[0].value.uiVal:
            return float(fields[0].value.uiVal)
        return _number(self._ask(pynvml.nvmlDeviceGetPowerUsage))

    def temperature_c(self) -> float | None:
        """Return degrees Celsius of the chip."""
        return _number(self._ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU))

    def clocks_mhz(self) -> dict[str, float]:
        """Return megahertz of the multiprocessors and of the memory."""
        domains = {"gpu": pynvml.NVML_CLOCK_SM, "gpu memory": pynvml.NVML_CLOCK_MEM}
        found = {
            name: _number(self._ask(pynvml.nvmlDeviceGetClockInfo, domain))
            for name, domain in domains.items()
        }
        return {name: mhz for name, mhz in found.items() if mhz is not None}

    def load_percent(self) -> float | None:
        """Return how much of the last moments a kernel ran, 0 to 100."""
        load = self._ask(pynvml.nvmlDeviceGetUtilizationRates)
        return None if load is None else float(load.gpu)

    def slowed_by(self) -> tuple[str, ...]:
        """Return why the card is slower than it could be; empty when it is not.

        Idleness and a chosen clock slow nothing down, and a card that is at its power limit does
        what its mode allows.
        """
        slowing = {
            pynvml.nvmlClocksEventReasonHwSlowdown: "hardware slowdown",
            pynvml.nvmlClocksEventReasonSwThermalSlowdown: "hot",
            pynvml.nvmlClocksEventReasonHwThermalSlowdown: "hot (hardware)",
            pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power brake",
        }
        reasons = self._ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons)
        if reasons is None:  # its name before CUDA 12.2
            reasons = self._ask(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons) or 0
        return tuple(f"gpu:{why}" for bit, why in slowing.items() if reasons & bit)

    def _ask(self, question: Callable[..., Any], *which: Any) -> Any:
        return _ask(question, self._handle, *which)


@functools.cache
def first_card() -> GraphicsCard | None:
    """Return the card that is CUDA's first; None without one, or where nobody can tell which.

    NVML counts all cards in the order of their slots. CUDA begins with the fastest, and
    `CUDA_VISIBLE_DEVICES` hides cards from it.
    """
    if not _start():
        return None
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    handle = None
    if not wanted.isdecimal():  # a UUID; "" and "-1" hide all cards, and are none's
        handle = _ask(pynvml.nvmlDeviceGetHandleByUUID, wanted)
    elif _counts_like_cuda():
        handle = _ask(pynvml.nvmlDeviceGetHandleByIndex, int(wanted))
    return None if handle is None else GraphicsCard(handle)


def driver_version() -> str | None:
    """Return the version of the NVIDIA driver, `580.159.04`; None without one."""
    version: str | None = _ask(pynvml.nvmlSystemGetDriverVersion) if _start() else None
    return version


def _start() -> bool:
    """Return whether there is a driver that answers, and the package that asks it."""
    if pynvml is None:
        return False
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


def _ask(question: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the driver answers; None where it or the card does not know."""
    try:
        return question(*arguments)
    except pynvml.NVMLError:
        return None


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)


def _counts_like_cuda() -> bool:
    """Return whether a number means the same card to NVML and to CUDA."""
    count = _ask(pynvml.nvmlDeviceGetCount) or 0
    if count == 1 or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return True
    if count:
        log.warning(
            "sensors of an NVIDIA card are not read: which of %d CUDA uses is not known; "
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID",
            count,
        )
    return False
