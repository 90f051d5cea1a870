"""Temperature, power, clocks and power mode of the machine, sampled beside the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

import msgspec

from scnet_edge.machine import nvml, sysfs

INTERVAL_S = 1.0
JTOP_SOCKET = Path("/run/jtop.sock")

logger = logging.getLogger(__name__)


class Telemetry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine at one moment; what it has no sensor for is empty or None.

    Attributes:
        temperatures_c: degrees Celsius by thermal zone.
        power_mw: milliwatts by rail; `total_mw` is the whole board, on a PC the graphics card.
        clocks_mhz: megahertz by `gpu`, `cpu0`, ...
        clocks_locked: whether `jetson_clocks`, or the like, holds them.
        power_mode: nvpmodel's name for it: `15W`, `MAXN`.
        throttled: why it runs slower than that mode allows; empty when it does not.
    """

    source: Literal["sysfs", "nvml", "jtop"] = "sysfs"
    temperatures_c: dict[str, float] = msgspec.field(default_factory=dict)
    power_mw: dict[str, float] = msgspec.field(default_factory=dict)
    total_mw: float | None = None
    clocks_mhz: dict[str, float] = msgspec.field(default_factory=dict)
    clocks_locked: bool | None = None
    gpu_load_percent: float | None = None
    power_mode: str | None = None
    throttled: tuple[str, ...] = ()

    @property
    def hottest_c(self) -> float | None:
        """The highest temperature; None without a sensor."""
        return max(self.temperatures_c.values(), default=None)


def read_sysfs(root: Path = Path("/")) -> Telemetry:
    """Return what the files under `root` say, some milliseconds' work."""
    rails = sysfs.rails_mw(root)
    return Telemetry(
        source="sysfs",
        temperatures_c=sysfs.temperatures_c(root),
        power_mw=rails,
        total_mw=sysfs.total_mw(rails),
        clocks_mhz=sysfs.clocks_mhz(root),
        clocks_locked=sysfs.clocks_locked(root),
        gpu_load_percent=sysfs.gpu_load_percent(root),
        power_mode=sysfs.power_mode(root),
        throttled=sysfs.throttle_reasons(root),
    )


def read_sensors(root: Path = Path("/"), card: nvml.GraphicsCard | None = None) -> Telemetry:
    """Return what the files under `root` say and, where there is a graphics card, its driver.

    Args:
        root: `/`, or a fake tree.
        card: None for the card that CUDA uses here, if there is one.
    """
    files, card = read_sysfs(root), card or nvml.first_card()
    power_mw = card.power_mw() if card else None
    if card is None or (power_mw is None and not card.clocks_mhz()):
        return files  # a Jetson's library answers, and knows less than /sys
    temperature_c, load = card.temperature_c(), card.load_percent()
    return msgspec.structs.replace(
        files,
        source="nvml",
        temperatures_c=files.temperatures_c
        | ({} if temperature_c is None else {"gpu": temperature_c}),
        power_mw=files.power_mw | ({} if power_mw is None else {"gpu": power_mw}),
        total_mw=files.total_mw if files.total_mw is not None else power_mw,
        clocks_mhz=files.clocks_mhz | card.clocks_mhz(),
        gpu_load_percent=files.gpu_load_percent if load is None else load,
        throttled=(*files.throttled, *card.slowed_by()),
    )


def read_jtop(jtop: Any, root: Path = Path("/")) -> Telemetry:
    """Return what an open `jtop.jtop()` says; what it does not give comes from `root`.

    jtop counts milliwatts and kilohertz, and marks sensors that are off with `online: False`.
    """
    rails = {name: float(rail["power"]) for name, rail in jtop.power["rail"].items()}
    zones = {
        name: float(zone["temp"])
        for name, zone in jtop.temperature.items()
        if zone.get("online", True)
    }
    gpus = list(jtop.gpu.values())
    clocks = sysfs.clocks_mhz(root)
    if gpus:
        clocks["gpu"] = float(gpus[0]["freq"]["cur"]) / 1e3
    return Telemetry(
        source="jtop",
        temperatures_c=zones,
        power_mw=rails,
        total_mw=float(jtop.power["tot"]["power"]),
        clocks_mhz=clocks,
        clocks_locked=bool(jtop.jetson_clocks),
        gpu_load_percent=float(gpus[0]["status"]["load"]) if gpus else None,
        power_mode=str(jtop.nvpmodel),
        throttled=sysfs.throttle_reasons(root),
    )


class TelemetrySampler:
    """Reads telemetry once a second in a thread; `latest` never waits for a sensor.

    Where the system refuses, because it has no descriptor left, say, the last sample stays.

    Args:
        read: gives one sample; None for jtop where its service runs, else `read_sensors`.
    """

    def __init__(
        self, read: Callable[[], Telemetry] | None = None, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._jtop: Any = None
        self._read = read or self._reader()
        self._interval_s = interval_s
        self._stop = Event()
        self.latest = self._read()
        self._thread = Thread(target=self._sample, name="telemetry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and leave jtop."""
        self._stop.set()
        self._thread.join()
        if self._jtop is not None:
            self._jtop.close()

    def __enter__(self) -> TelemetrySampler:
        """Return itself, already sampling."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End the thread."""
        self.close()

    def _reader(self) -> Callable[[], Telemetry]:
        if not (JTOP_SOCKET.exists() and find_spec("jtop")):
            return read_sensors
        from jtop import JtopException, jtop

        try:
            self._jtop = jtop()
            self._jtop.start()
        except JtopException as e:  # its service and its client are of different versions, say
            logger.warning("jtop is installed but does not answer (%s); reading sysfs instead", e)
            self._jtop = None
            return read_sensors
        return lambda: read_jtop(self._jtop)

    def _sample(self) -> None:
        refused = ""
        while not self._stop.wait(self._interval_s):
            try:
                self.latest, refused = self._read(), ""
            except OSError as e:
                if refused != str(e.strerror):
                    refused = str(e.strerror)
                    logger.warning("telemetry: %s; the last sample stays until it is read", refused)
